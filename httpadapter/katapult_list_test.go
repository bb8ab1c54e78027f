package httpadapter_test

import (
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

// katapultPage reads a list: its tokens' names, and the pagination.
func (a answer) katapultPage() (names []string, pagination map[string]any) {
	a.t.Helper()
	m := a.want(200)
	list, ok := m["api_tokens"].([]any)
	pagination, _ = m["pagination"].(map[string]any)
	if !ok || len(m) != 2 || len(pagination) != 5 {
		a.t.Fatalf("body %s", a.body)
	}
	for _, item := range list {
		token, _ := item.(map[string]any)
		name, _ := token["name"].(string)
		names = append(names, name)
		if secret, there := token["secret"]; !there || secret != nil || len(token) != 8 {
			a.t.Errorf("token %v", token)
		}
	}
	return names, pagination
}

// issueMany issues kat_ tokens named from 1 on.
func (s *service) issueMany(n int) {
	s.t.Helper()
	for k := range n {
		s.issue(remint.Spec{Name: strconv.Itoa(k + 1), Prefix: "kat_"})
		s.clock.advance(time.Millisecond) // which orders them
	}
}

func TestKatapultsListEqualsWhatCreateReturned(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	at := s.clock.now().Add(time.Hour)
	made, _ := s.call("POST", katapultCreate, master, `{"organization":{"id":"acme"},"properties":{"name":"ci","scopes":["dns"],
		"authorized_ip_addresses":["192.0.2.7","2001:db8::/32"],"expires_at":`+unix(at)+`}}`).want(200)["api_token"].(map[string]any)
	made["secret"] = nil
	want := map[string]any{
		"pagination": map[string]any{"current_page": 1.0, "total_pages": 1.0, "total": 1.0, "per_page": 30.0, "large_set": false},
		"api_tokens": []any{made},
	}
	for _, query := range []string{"organization[id]=acme", "organization[sub_domain]=acme", "organization%5Bid%5D=acme&unknown=1&x[]=%C3%A9", "per_page=30&page=1&organization[id]=acme"} {
		if got := s.call("GET", katapultCreate+"?"+query, master, "").want(200); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\nwant %v", query, got, want)
		}
	}
	if a := s.call("HEAD", katapultList, master, ""); a.status != 200 || a.body != "" {
		t.Errorf("HEAD: %d %s", a.status, a.body)
	}
}

func TestKatapultsListHoldsWhatCanBeRegeneratedOrDeleted(t *testing.T) {
	s := start(t)
	master := s.master()
	secret := master.Secret.Reveal()
	list := func(secret string) string {
		names, _ := s.call("GET", katapultList, secret, "").katapultPage()
		return strings.Join(names, " ")
	}
	if got := list(secret); got != "" {
		t.Errorf("of none: %q", got)
	}
	s.issue(remint.Spec{Name: "live", Prefix: "kat_"})
	s.clock.advance(time.Millisecond) // IDs are in the order of their making, to that
	s.issue(remint.Spec{Name: "expired", Prefix: "kat_", ExpiresAt: s.clock.now().Add(time.Minute)})
	s.issue(remint.Spec{Name: "child", Prefix: "kat_", Parent: master.Token.ID(), Capabilities: remint.Allow("api_tokens:read")})
	s.issue(remint.Spec{Name: "another format's", Prefix: "xaat-"})
	s.issue(remint.Spec{Name: "another owner's", Prefix: "kat_", Owner: "other"})
	revoked := s.issue(remint.Spec{Name: "revoked", Prefix: "kat_"})
	s.clock.advance(time.Millisecond)
	sibling := s.issue(remint.Spec{Name: "sibling", Prefix: "kat_", Parent: master.Token.ID(), Capabilities: remint.Allow("api_tokens:read")})
	if _, err := s.issuer.Operator("test").StartSession(t.Context(), master.Token.ID(), remint.Session{}); err != nil {
		t.Fatal(err)
	}
	if err := s.issuer.Operator("test").Revoke(t.Context(), revoked.Token.ID()); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(time.Hour)
	if got := list(secret); got != "live expired" {
		t.Errorf("listed: %s", got)
	}
	if got := list(sibling.Secret.Reveal()); got != "child sibling" {
		t.Errorf("below another token: %s", got)
	}
}

func TestKatapultsPagesCoverTheListOnce(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	s.issueMany(65)
	for _, c := range []struct {
		query                      string
		first, n, page, pages, per int
	}{
		{"", 1, 30, 1, 3, 30},
		{"&page=1", 1, 30, 1, 3, 30},
		{"&page=2", 31, 30, 2, 3, 30},
		{"&page=3", 61, 5, 3, 3, 30},
		{"&page=4", 0, 0, 4, 3, 30},
		{"&page=3333", 0, 0, 3333, 3, 30},
		{"&per_page=65", 1, 65, 1, 1, 65},
		{"&per_page=64&page=2", 65, 1, 2, 2, 64},
		{"&per_page=200", 1, 65, 1, 1, 200},
		{"&per_page=1&page=65", 65, 1, 65, 65, 1},
		{"&per_page=007", 1, 7, 1, 10, 7},
	} {
		names, pagination := s.call("GET", katapultList+c.query, master, "").katapultPage()
		var want []string
		for k := range c.n {
			want = append(want, strconv.Itoa(c.first+k))
		}
		if !reflect.DeepEqual(names, want) {
			t.Errorf("%s: %v, want %v", c.query, names, want)
		}
		about := map[string]any{"current_page": float64(c.page), "total_pages": float64(c.pages), "total": 65.0, "per_page": float64(c.per), "large_set": false}
		if !reflect.DeepEqual(pagination, about) {
			t.Errorf("%s: %v, want %v", c.query, pagination, about)
		}
	}
}

func TestKatapultsEmptyListHasNoPages(t *testing.T) {
	s := start(t)
	s.call("GET", katapultList, s.master().Secret.Reveal(), "").wantBody(200,
		`{"pagination":{"current_page":1,"total_pages":0,"total":0,"per_page":30,"large_set":false},"api_tokens":[]}`)
}

func TestKatapultDoesNotCountALargeSet(t *testing.T) {
	s := newService(t)
	master := s.master().Secret.Reveal()
	list := func(query string) answer {
		return s.serveDirectly("GET", katapultList+query, master, "")
	}
	s.issueMany(1000)
	if _, about := list("").katapultPage(); about["total"] != 1000.0 || about["total_pages"] != 34.0 || about["large_set"] != false {
		t.Errorf("of 1000: %v", about)
	}
	s.issueMany(5)
	for query, want := range map[string][]string{"&per_page=1": {"1"}, "&per_page=1000": nil, "&per_page=200&page=6": {"1", "2", "3", "4", "5"}, "&per_page=200&page=7": {}} {
		a := list(query)
		if want == nil {
			a.wantKatapult(400, "invalid_argument")
			continue
		}
		names, about := a.katapultPage()
		if len(names) != len(want) || len(want) > 0 && !reflect.DeepEqual(names, want) {
			t.Errorf("%s: %v", query, names)
		}
		for key, value := range map[string]any{"total": nil, "total_pages": nil, "large_set": true} {
			if about[key] != value {
				t.Errorf("%s: %s is %v", query, key, about[key])
			}
		}
	}
}

func TestKatapultNamesTheArgumentOfAListThatIsInvalid(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	for query, want := range map[string]string{
		"":                                "missing_required_argument organization",
		"organization=acme":               "missing_required_argument organization",
		"organization[id]=acme&page=0":    "invalid_argument page",
		"organization[id]=acme&page=-1":   "invalid_argument page",
		"organization[id]=acme&page=":     "invalid_argument page",
		"organization[id]=acme&page=1.0":  "invalid_argument page",
		"organization[id]=acme&page=%2B1": "invalid_argument page",
		"organization[id]=acme&page=99999999999999999999":                "invalid_argument page",
		"organization[id]=acme&page=3334":                                "invalid_argument page",
		"organization[id]=acme&page=501&per_page=200":                    "invalid_argument page",
		"organization[id]=acme&page=1&page=2":                            "invalid_argument page",
		"organization[id]=acme&per_page=0":                               "invalid_argument per_page",
		"organization[id]=acme&per_page=201":                             "invalid_argument per_page",
		"organization[id]=acme&per_page=x&page=x":                        "invalid_argument per_page",
		"organization[id]=acme&organization[id]=acme":                    "invalid_argument organization[id]",
		"organization[id]=acme&organization[sub_domain]=acme":            "invalid_argument organization",
		"organization[id]=acme&page=%zz":                                 "invalid_argument query",
		"organization[id]=acme;page=2":                                   "invalid_argument query",
		"organization[id]=other&page=x":                                  "invalid_argument page", // before the lookup
		"organization[id]=other":                                         "organization_not_found ",
		"organization[sub_domain]=ACME":                                  "organization_not_found ",
		"organization[id]=":                                              "organization_not_found ",
		"organization[id]=" + url.QueryEscape(strings.Repeat("é", 5000)): "organization_not_found ",
	} {
		a := s.call("GET", katapultCreate+"?"+query, master, "")
		code, argument, _ := strings.Cut(want, " ")
		status := 400
		if argument == "" {
			status = 404
		}
		detail := a.wantKatapult(status, code)
		if got, _ := detail["argument"].(string); got != argument {
			t.Errorf("%s: %v", query, detail)
		}
	}
}

func TestTheListIsReadByWhoMayOnlyRead(t *testing.T) {
	s := start(t)
	id := s.issue(remint.Spec{Name: "x", Prefix: "kat_"}).Token.ID().String()
	for _, c := range []struct {
		scope          string
		reads, manages bool
	}{
		{"api_tokens", true, true},
		{"api_tokens:read", true, false},
		{"api.katapult.io/core/v1/api_tokens", true, true},
		{"api.katapult.io/core/v1/api_tokens:read", true, false},
		{"api_tokens:write", false, false},
		{"example.com/api_tokens", false, false},
		{"dns", false, false},
	} {
		secret := s.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow(remint.Capability(c.scope))}).Secret.Reveal()
		a := s.call("GET", katapultList, secret, "")
		if c.reads {
			a.katapultPage()
		} else if detail := a.wantKatapult(403, "scope_not_granted"); !reflect.DeepEqual(detail["scopes"], []any{"api_tokens", "api_tokens:read"}) {
			t.Errorf("detail %v", detail)
		}
		a = s.call("PATCH", katapultOne(id), secret, `{"properties":{}}`)
		if c.manages {
			a.want(200)
		} else if detail := a.wantKatapult(403, "scope_not_granted"); !reflect.DeepEqual(detail["scopes"], []any{"api_tokens"}) {
			t.Errorf("detail %v", detail)
		}
	}
}

func TestAScopeWithTheOAuthPrefixIsAnotherCapability(t *testing.T) {
	const prefix = "api.katapult.io/core/v1/"
	s := start(t)
	held := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow(prefix+"api_tokens", prefix+"dns")}).Secret.Reveal()
	create := func(scope string) answer {
		return s.call("POST", katapultCreate, held, fmt.Sprintf(`{"organization":{"id":"acme"},"properties":{"scopes":[%q]}}`, scope))
	}
	create(prefix + "dns:read").want(200)
	create("dns").wantKatapult(403, "permission_denied")
}

func TestTheOAuthPrefixIsAnOption(t *testing.T) {
	s := start(t, func(u *setup) { u.katapult.OAuthPrefix = "api" }) // which "api_tokens" begins with, too
	for scope, status := range map[remint.Capability]int{"apiapi_tokens:read": 200, "api_tokens:read": 200, "api.katapult.io/core/v1/api_tokens": 403} {
		a := s.call("GET", katapultList, s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow(scope)}).Secret.Reveal(), "")
		if a.status != status {
			t.Errorf("%s: %d", scope, a.status)
		}
		if status == 403 {
			if detail := a.wantKatapult(403, "scope_not_granted"); !reflect.DeepEqual(detail["scopes"], []any{"api_tokens", "api_tokens:read"}) {
				t.Errorf("detail %v", detail)
			}
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a prefix that cannot be part of a capability is mounted")
		}
	}()
	start(t, func(u *setup) { u.katapult.OAuthPrefix = "a b/" })
}

func TestAListByAnnotationsIsEmptyAsThereAreNone(t *testing.T) {
	s := start(t)
	s.issueMany(1)
	names, about := s.call("GET", katapultList+"&annotations[][key]=managed-by&annotations[][value]=me", s.master().Secret.Reveal(), "").katapultPage()
	if len(names) != 0 || about["total"] != 0.0 {
		t.Errorf("%v %v", names, about)
	}
}

func TestKatapultShowsTheLimitThatCounts(t *testing.T) {
	for _, c := range []struct {
		option    int
		attribute string
		want      float64
		reported  bool
	}{
		{0, "", 0, false},
		{7, "", 7, false},
		{7, "9", 9, false},
		{7, "many", 0, true},
	} {
		s := start(t, func(u *setup) { u.adapter.RateLimit = c.option })
		spec := remint.Spec{Prefix: "kat_", Name: "x"}
		if c.attribute != "" {
			spec.Attributes = map[string]string{httpadapter.RateLimitAttribute: c.attribute}
		}
		id := s.issue(spec).Token.ID()
		m := s.call("GET", katapultList, s.master().Secret.Reveal(), "").want(200)
		token, _ := m["api_tokens"].([]any)[0].(map[string]any)
		if token["id"] != id.String() || token["rate_limit"] != c.want {
			t.Errorf("%d %q: %v", c.option, c.attribute, token)
		}
		if list := s.faults.take(); (len(list) == 1) != c.reported {
			t.Errorf("%q: reported %v", c.attribute, list)
		}
	}
}
