package httpadapter_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

func unix(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }

// everything is a body that has each resource and verb there is.
const everything = `{"name":"all","description":"of it","expiresAt":null,
	"datasetCapabilities":{
		"*":{"ingest":["create"],"query":["read"],"starredQueries":["create","read","update","delete"],
			"virtualFields":["create","read","update","delete"],"data":["delete"],"trim":["update"],"vacuum":["update"],"share":["create","read","delete"]},
		"a:b%*c":{"query":["read"]}},
	"orgCapabilities":{"annotations":["create","read","update","delete"],"apiTokens":["delete","update","read","create"],
		"auditLog":["read"],"billing":["read","update"],"dashboards":["create","read","update","delete"],
		"datasets":["create","read","update","delete"],"endpoints":["create","read","update","delete"],
		"flows":["create","read","update","delete"],"integrations":["create","read","update","delete"],
		"monitors":["create","read","update","delete"],"notifiers":["create","read","update","delete"],
		"rbac":["create","read","update","delete"],"sharedAccessKeys":["update","read"],
		"users":["create","read","update","delete"],"views":["create","read","update","delete"]},
	"viewCapabilities":{"v1":{"query":["read"],"share":["delete","read","create"]}}}`

const onlyUsers = `"orgCapabilities":{"users":["read"]}`

func TestWhatAxiomsCreateReturnsIsWhatWasSentAndWhatGetReturns(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	created := s.call("POST", "/v2/tokens", master, everything).want(200)
	secret, _ := created["token"].(string)
	if !strings.HasPrefix(secret, "xaat-") || !s.works(secret) {
		t.Errorf("token %q", secret)
	}
	id, _ := created["id"].(string)
	got := s.call("GET", "/v2/tokens/"+id, master, "").want(200)
	delete(created, "token")
	if !reflect.DeepEqual(got, created) {
		t.Errorf("create: %v\nget:    %v", created, got)
	}
	var sent map[string]any
	if err := json.Unmarshal([]byte(everything), &sent); err != nil {
		t.Fatal(err)
	}
	sent["id"], sent["samlAuthenticated"] = id, false
	if !reflect.DeepEqual(got, sent) {
		t.Errorf("sent: %v\ngot:  %v", sent, got)
	}
}

func TestAxiomsShortestToken(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	for _, body := range []string{
		`{"name":"",` + onlyUsers + `}`,
		`{` + onlyUsers + `,"unknown":[1]}`,
		// As the published client sends it: null lists, and Go's zero time.
		`{"name":"","description":"","expiresAt":"0001-01-01T00:00:00Z","datasetCapabilities":null,` + onlyUsers + `,"viewCapabilities":{}}`,
		`{"name":null,"datasetCapabilities":{},"orgCapabilities":{"users":["read","read"],"rbac":null,"flows":[]}}`,
	} {
		a := s.call("POST", "/v2/tokens", master, body)
		m := a.want(200)
		id, _ := m["id"].(string)
		get := s.call("GET", "/v2/tokens/"+id, master, "")
		get.wantBody(200, `{"id":"`+id+`","name":"","description":"","expiresAt":null,"datasetCapabilities":{},"orgCapabilities":{"users":["read"]},"samlAuthenticated":false}`)
	}
}

func TestAxiomsTimesAreRFC3339InAndUTCOut(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	for sent, want := range map[string]string{
		"2099-01-02T03:04:05Z":                "2099-01-02T03:04:05Z",
		"2099-01-02T03:04:05.123456789Z":      "2099-01-02T03:04:05.123456Z",
		"2099-01-02T03:04:05.120000999+05:30": "2099-01-01T21:34:05.12Z",
	} {
		m := s.call("POST", "/v2/tokens", master, `{"expiresAt":"`+sent+`",`+onlyUsers+`}`).want(200)
		if m["expiresAt"] != want {
			t.Errorf("%s became %v", sent, m["expiresAt"])
		}
	}
}

func TestAxiomNamesEveryProblemOfABody(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	before := s.snapshot()
	for _, c := range []struct{ body, want string }{
		{`{"name":"x"}`, "at least one capability must be set"},
		{`{"orgCapabilities":{"users":[]},"datasetCapabilities":{"logs":{}}}`, "at least one capability must be set"},
		{`{"orgCapabilities":{"tokens":["read"],"users":["write"],"auditLog":["delete"]}}`,
			`orgCapabilities: "tokens" is not a resource; orgCapabilities.users: "write" is not one of create, read, update, delete; orgCapabilities.auditLog: "delete" is not one of read`},
		{`{"datasetCapabilities":{"logs":{"ingest":["read"]},"":{"query":["read"]},"a\u0000b":{"query":["read"]}}}`,
			`datasetCapabilities["logs"].ingest: "read" is not one of create; datasetCapabilities[""]: a name has 1 to 128 bytes, and no control characters; datasetCapabilities["a\x00b"]: a name`},
		{`{"viewCapabilities":{"v":{"ingest":["create"]}}}`, `viewCapabilities["v"]: "ingest" is not a resource`},
		{`{"name":1,"description":[],"expiresAt":0,"orgCapabilities":[],"datasetCapabilities":{"a":1},"viewCapabilities":"x"}`,
			`name: must be a string; description: must be a string; expiresAt: must be a string; orgCapabilities: must be an object; datasetCapabilities["a"]: must be an object; viewCapabilities: must be an object`},
		{`{"orgCapabilities":{"users":"read"}}`, "orgCapabilities.users: must be a list of strings"},
		{`{"orgCapabilities":{"users":[1]}}`, "orgCapabilities.users[0]: must be a string"},
		{`{"expiresAt":"2099-01-02",` + onlyUsers + `}`, "expiresAt: must be a date and time"},
		{`{"expiresAt":"2001-01-02T03:04:05Z",` + onlyUsers + `}`, "expiresAt: 2001-01-02T03:04:05Z is not in the future"},
		{`{"name":"a\u0007b","description":"a\u0007b",` + onlyUsers + `}`, "name: has a control character at byte 1; description: has a control character"},
		{`{"name":"` + strings.Repeat("x", 257) + `",` + onlyUsers + `}`, "name: has 257 bytes"},
		// What is wrong with the body, and what the core says of the rest.
		{`{"name":"a\u0007b","description":1,"expiresAt":"2001-01-02T03:04:05Z","orgCapabilities":{"x":["read"]}}`,
			`description: must be a string; orgCapabilities: "x" is not a resource; name: has a control character at byte 1; expiresAt: 2001-01-02T03:04:05Z is not in the future`},
		{`{"datasetCapabilities":{` + many(300, `"%d":{"query":["read"]}`) + `}}`, "capabilities: 300 of them"},
		{`{"datasetCapabilities":{"` + strings.Repeat("x", 129) + `":{"query":["read"]}}}`, "1 to 128 bytes"},
		{`[]`, "must be a JSON object"},
		{`"x"`, "must be a JSON object"},
		{``, "must be a JSON object"},
	} {
		a := s.call("POST", "/v2/tokens", master, c.body)
		m := a.want(400)
		if text, _ := m["message"].(string); !strings.Contains(text, c.want) || m["code"] != 400.0 || len(m) != 2 {
			t.Errorf("%.80s: %v", c.body, m)
		}
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

// many returns n members of a JSON object, made of a format with one %d.
func many(n int, format string) string {
	list := make([]string, n)
	for i := range list {
		list[i] = strings.Replace(format, "%d", strconv.Itoa(i), 1)
	}
	return strings.Join(list, ",")
}

// An axiomToken is one that was created through the format.
func (s *service) axiomToken(caller, body string) (id, secret string) {
	s.t.Helper()
	m := s.call("POST", "/v2/tokens", caller, body).want(200)
	id, _ = m["id"].(string)
	secret, _ = m["token"].(string)
	return id, secret
}

func TestAxiomsRegenerateIssuesASuccessorBesideTheOldToken(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id, old := s.axiomToken(master, `{"name":"ci","description":"d","orgCapabilities":{"apiTokens":["update","read"]}}`)
	until := s.clock.now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	m := s.call("POST", "/v2/tokens/"+id+"/regenerate", old, `{"existingTokenExpiresAt":"`+until.Format(time.RFC3339Nano)+`"}`).want(200)
	fresh, _ := m["token"].(string)
	if m["id"] == id || m["name"] != "ci" || m["description"] != "d" || m["expiresAt"] != nil || !strings.HasPrefix(fresh, "xaat-") {
		t.Errorf("body %v", m)
	}
	if !reflect.DeepEqual(m["orgCapabilities"], map[string]any{"apiTokens": []any{"update", "read"}}) {
		t.Errorf("capabilities %v", m["orgCapabilities"])
	}
	if !s.works(old) || !s.works(fresh) {
		t.Error("one of the two does not work in the overlap")
	}
	if got := s.call("GET", "/v2/tokens/"+id, fresh, "").want(200)["expiresAt"]; got != until.Format(time.RFC3339Nano) {
		t.Errorf("the old token shows %v", got)
	}
	// Now that the successor was used, the old one only authenticates, and is spent.
	body := `{"existingTokenExpiresAt":"` + until.Format(time.RFC3339) + `"}`
	s.call("POST", "/v2/tokens/"+id+"/regenerate", master, body).want(409)
	s.call("POST", "/v2/tokens/"+id+"/regenerate", old, body).want(403)
	s.clock.advance(time.Hour)
	if s.works(old) || !s.works(fresh) {
		t.Error("the overlap does not end")
	}
}

// It fails without the networks of a token whose successor's format has no words for them
// (internal/mutants).
func TestAxiomsRegenerateInAllItsCases(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	at := func(d time.Duration) string {
		return s.clock.now().Add(d).UTC().Truncate(time.Second).Format(time.RFC3339)
	}
	hour, day, week := at(time.Hour), at(24*time.Hour), at(7*24*time.Hour)
	const caps = `"orgCapabilities":{"users":["read"]}`
	const other = `"datasetCapabilities":{"logs":{"ingest":["create"]}}`
	for _, c := range []struct {
		name, old, body string
		status          int
		expiresAt       any // of the successor
		caps            string
		message         string
		oldStops        bool
	}{
		{"neither expiry: the old one's", `"expiresAt":"` + day + `"`, `"existingTokenExpiresAt":"` + hour + `"`, 200, day, caps, "", false},
		{"null is neither", `"expiresAt":"` + day + `"`, `"existingTokenExpiresAt":"` + hour + `","newTokenExpiresAt":null,"newToken":null`, 200, day, caps, "", false},
		{"zero is neither", `"expiresAt":"` + day + `"`, `"existingTokenExpiresAt":"` + hour + `","newTokenExpiresAt":"0001-01-01T00:00:00Z"`, 200, day, caps, "", false},
		{"newTokenExpiresAt", `"expiresAt":"` + day + `"`, `"existingTokenExpiresAt":"` + hour + `","newTokenExpiresAt":"` + week + `"`, 200, week, caps, "", false},
		{"newToken: nothing is merged", `"expiresAt":"` + day + `","description":"old"`,
			`"existingTokenExpiresAt":"` + hour + `","newToken":{` + other + `,"expiresAt":"` + week + `"}`, 200, week, other, "", false},
		{"newTokenExpiresAt beside newToken's wins", ``,
			`"existingTokenExpiresAt":"` + hour + `","newTokenExpiresAt":"` + day + `","newToken":{` + other + `,"expiresAt":"` + week + `"}`, 200, day, other, "", false},
		{"newToken's beside a zero newTokenExpiresAt", ``,
			`"existingTokenExpiresAt":"` + hour + `","newTokenExpiresAt":"0001-01-01T00:00:00Z","newToken":{` + other + `,"expiresAt":"` + week + `"}`, 200, week, other, "", false},
		{"newToken without an expiry: the old one's", `"expiresAt":"` + day + `"`,
			`"existingTokenExpiresAt":"` + hour + `","newToken":{` + other + `,"expiresAt":"0001-01-01T00:00:00Z"}`, 200, day, other, "", false},
		{"now", ``, `"existingTokenExpiresAt":"` + at(0) + `"`, 200, nil, caps, "", true},
		{"long ago", ``, `"existingTokenExpiresAt":"2001-01-01T00:00:00Z"`, 200, nil, caps, "", true},
		{"missing", ``, ``, 400, nil, "", "existingTokenExpiresAt: must be given", false},
		{"null", ``, `"existingTokenExpiresAt":null`, 400, nil, "", "existingTokenExpiresAt: must be given", false},
		{"zero", ``, `"existingTokenExpiresAt":"0001-01-01T00:00:00Z"`, 400, nil, "", "existingTokenExpiresAt: must be given", false},
		{"wrong", ``, `"existingTokenExpiresAt":1`, 400, nil, "", "existingTokenExpiresAt: must be a string", false},
		{"several", ``, `"newTokenExpiresAt":"x","newToken":{"name":1,"orgCapabilities":{"x":[]}}`, 400, nil, "",
			`existingTokenExpiresAt: must be given: when the existing token stops; newTokenExpiresAt: must be a date`, false},
		{"newToken is no object", ``, `"existingTokenExpiresAt":"` + hour + `","newToken":[]`, 400, nil, "", "newToken: must be an object", false},
		{"newToken without capabilities", ``, `"existingTokenExpiresAt":"` + hour + `","newToken":{"name":"x"}`, 400, nil, "", "newToken: at least one capability must be set", false},
		{"newToken with an unknown resource", ``, `"existingTokenExpiresAt":"` + hour + `","newToken":{"orgCapabilities":{"x":["read"]}}`, 400, nil, "", `newToken.orgCapabilities: "x" is not a resource`, false},
		{"newToken with a bad name", ``, `"existingTokenExpiresAt":"` + hour + `","newToken":{"name":"\u0007",` + other + `}`, 400, nil, "", `newToken.name: has a control character`, false},
		{"newToken that has expired", ``, `"existingTokenExpiresAt":"` + hour + `","newToken":{"expiresAt":"2001-01-01T00:00:00Z",` + other + `}`, 400, nil, "", `newToken.expiresAt: 2001-01-01T00:00:00Z is not in the future`, false},
		{"all at once", ``, `"newTokenExpiresAt":"2001-01-01T00:00:00Z","newToken":{"name":"\u0007","description":1,"orgCapabilities":{"x":["read"]}}`, 400, nil, "",
			`existingTokenExpiresAt: must be given: when the existing token stops; newToken.description: must be a string; ` +
				`newToken.orgCapabilities: "x" is not a resource; newToken.name: has a control character at byte 0; newTokenExpiresAt: 2001-01-01T00:00:00Z is not in the future`, false},
		{"newTokenExpiresAt in the past", ``, `"existingTokenExpiresAt":"` + hour + `","newTokenExpiresAt":"2001-01-01T00:00:00Z"`, 400, nil, "", `newTokenExpiresAt: 2001-01-01T00:00:00Z is not in the future`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			old := c.old
			if old != "" {
				old += ","
			}
			id, secret := s.axiomToken(master, `{"name":"n",`+old+caps+`}`)
			before := s.snapshot()
			a := s.call("POST", "/v2/tokens/"+id+"/regenerate", master, `{`+c.body+`}`)
			m := a.want(c.status)
			if c.status != 200 {
				if text, _ := m["message"].(string); !strings.Contains(text, c.message) {
					t.Errorf("message %v", m)
				}
				if s.snapshot() != before {
					t.Error("something changed")
				}
				return
			}
			if m["expiresAt"] != c.expiresAt {
				t.Errorf("expiresAt %v, want %v", m["expiresAt"], c.expiresAt)
			}
			if !strings.Contains(a.body, c.caps) {
				t.Errorf("body %s, want %s", a.body, c.caps)
			}
			if strings.Contains(c.body, `"newToken":{`) && (m["name"] != "" || m["description"] != "") {
				t.Errorf("merged: %v", m)
			}
			if s.works(secret) == c.oldStops {
				t.Errorf("the old token works: %v", !c.oldStops)
			}
		})
	}
}

func TestTheOldTokensLifeIsNeverExtended(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	day := s.clock.now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	id, old := s.axiomToken(master, `{"expiresAt":"`+day.Format(time.RFC3339)+`",`+onlyUsers+`}`)
	s.call("POST", "/v2/tokens/"+id+"/regenerate", master, `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`).want(200)
	if got := s.call("GET", "/v2/tokens/"+id, master, "").want(200)["expiresAt"]; got != day.Format(time.RFC3339) {
		t.Errorf("expiresAt %v", got)
	}
	s.clock.advance(25 * time.Hour)
	if s.works(old) {
		t.Error("it lives on")
	}
}

func TestAnExpiredTokenHasASuccessorAndStaysExpired(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id, old := s.axiomToken(master, `{"expiresAt":"`+s.clock.now().Add(time.Hour).Format(time.RFC3339)+`",`+onlyUsers+`}`)
	s.clock.advance(2 * time.Hour)
	path := "/v2/tokens/" + id + "/regenerate"
	for _, body := range []string{
		`{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`,
		`{"existingTokenExpiresAt":"2099-01-01T00:00:00Z","newToken":{` + onlyUsers + `}}`,
	} {
		m := s.call("POST", path, master, body).want(400)
		if text, _ := m["message"].(string); !strings.Contains(text, "newTokenExpiresAt: ") {
			t.Errorf("message %v", m)
		}
	}
	m := s.call("POST", path, master, `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z","newTokenExpiresAt":"2098-01-01T00:00:00Z"}`).want(200)
	fresh, _ := m["token"].(string)
	if s.works(old) || !s.works(fresh) {
		t.Error("the wrong one works")
	}
	// One whose successor has been used is spent, as any other.
	s.call("POST", path, master, `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z","newTokenExpiresAt":"2098-01-01T00:00:00Z"}`).want(409)
	// Its own credential is dead.
	s.call("POST", path, old, `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`).want(401)
}

func TestAnUnusedSuccessorIsReplaced(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id, old := s.axiomToken(master, `{`+onlyUsers+`}`)
	path, body := "/v2/tokens/"+id+"/regenerate", `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`
	first := s.call("POST", path, master, body).want(200)
	s.clock.advance(30 * time.Second) // before that it is the same request
	second := s.call("POST", path, master, body).want(200)
	lost, _ := first["token"].(string)
	fresh, _ := second["token"].(string)
	if s.works(lost) || !s.works(fresh) || !s.works(old) {
		t.Error("the wrong ones work")
	}
	lostID, _ := first["id"].(string)
	s.call("GET", "/v2/tokens/"+lostID, master, "").want(404)
}

func TestWhatAxiomsFormatCannotSayIsKept(t *testing.T) {
	s := start(t)
	caller := s.issue(remint.Spec{
		Prefix: "pk_", Capabilities: remint.Allow("*"), Attributes: map[string]string{"samlAuthenticated": "true", "plan": "gold"},
		Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")},
	})
	secret := caller.Secret.Reveal()
	m := s.call("POST", "/v2/tokens", secret, `{`+onlyUsers+`}`).want(200)
	if m["samlAuthenticated"] != true {
		t.Errorf("body %v", m)
	}
	id, err := remint.ParseID(m["id"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.get(id).Spec().Networks; len(got) != 2 {
		t.Errorf("a caller that is bound to networks made a token that is not: %v", got)
	}
	narrow := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}
	if _, err := s.issuer.Operator("test").Update(t.Context(), id, func(spec *remint.Spec) error { spec.Networks = narrow; return nil }); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{
		`{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`,
		`{"existingTokenExpiresAt":"2099-01-01T00:00:00Z","newToken":{"name":"n",` + onlyUsers + `}}`,
	} {
		m = s.call("POST", "/v2/tokens/"+id.String()+"/regenerate", secret, body).want(200)
		next, err := remint.ParseID(m["id"].(string))
		if err != nil {
			t.Fatal(err)
		}
		spec := s.get(next).Spec()
		if !reflect.DeepEqual(spec.Networks, narrow) || spec.Attributes["plan"] != "gold" || m["samlAuthenticated"] != true {
			t.Errorf("%s: %+v", body, spec)
		}
	}
}

func TestAxiomsRoutesNeedTheirCapabilities(t *testing.T) {
	s := start(t)
	target := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org:users:read")})
	id := target.Token.ID().String()
	for _, c := range []struct{ method, path, body, needs string }{
		{"POST", "/v2/tokens", `{` + onlyUsers + `}`, "create"},
		{"GET", "/v2/tokens/" + id, ``, "read"},
		{"POST", "/v2/tokens/" + id + "/regenerate", `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`, "update"},
		{"GET", "/v2/tokens", ``, "read"},
		{"DELETE", "/v2/tokens/" + id, ``, "delete"},
	} {
		for _, verb := range []string{"create", "read", "update", "delete"} {
			g := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org:users", remint.Join("org", "apiTokens", verb))})
			a := s.call(c.method, c.path, g.Secret.Reveal(), c.body)
			if verb == c.needs {
				a.wantSuccess()
				continue
			}
			a.wantBody(403, `{"code":403,"message":"the API token lacks the capability org:apiTokens:`+c.needs+`"}`)
			// And nothing else is learned: not that a body is broken, nor whether an ID is known.
			s.call(c.method, c.path, g.Secret.Reveal(), `{`).want(403)
			s.call(c.method, strings.Replace(c.path, id, "unknown", 1), g.Secret.Reveal(), c.body).want(403)
		}
	}
}

const beyondAxiom = `{"code":403,"message":"this is beyond the API token: it can give, or regenerate, no more than it has, cannot change what it` +
	` stands below, and only authenticates once its successor has been used"}`

// It fails without the bearer who acts where Axiom's format issues (internal/mutants).
func TestNobodyHandsOutMoreThanItHasThroughAxiom(t *testing.T) {
	s := start(t)
	caller := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org:apiTokens", "dataset:logs:ingest:create")})
	secret := caller.Secret.Reveal()
	strong := s.master()
	before := s.snapshot()
	wide := `"datasetCapabilities":{"*":{"ingest":["create"]}}`
	s.call("POST", "/v2/tokens", secret, `{`+wide+`}`).wantBody(403, beyondAxiom)
	s.call("POST", "/v2/tokens/"+caller.Token.ID().String()+"/regenerate", secret,
		`{"existingTokenExpiresAt":"2099-01-01T00:00:00Z","newToken":{`+wide+`}}`).wantBody(403, beyondAxiom)
	s.call("POST", "/v2/tokens/"+strong.Token.ID().String()+"/regenerate", secret,
		`{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`).wantBody(403, beyondAxiom)
	if s.snapshot() != before {
		t.Error("something changed")
	}
	s.call("POST", "/v2/tokens", secret, `{"datasetCapabilities":{"logs":{"ingest":["create"]}}}`).want(200)
}

// It fails without the owner in Axiom's routes with an ID (internal/mutants).
func TestAnotherOrganizationsTokenIsUnknownToAxiom(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	foreign := s.issue(remint.Spec{Owner: "other", Prefix: "xaat-", Capabilities: remint.Allow("org:users:read")})
	before := s.snapshot()
	const unknown = `{"code":404,"message":"API token not found"}`
	for _, id := range []string{foreign.Token.ID().String(), "01ARZ3NDEKTSV4RRFFQ69G5FAV", "x", strings.ToLower(foreign.Token.ID().String()), "%00"} {
		s.call("GET", "/v2/tokens/"+id, master, "").wantBody(404, unknown)
		s.call("DELETE", "/v2/tokens/"+id, master, "").wantBody(404, unknown)
		s.call("POST", "/v2/tokens/"+id+"/regenerate", master, `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`).wantBody(404, unknown)
		s.call("POST", "/v2/tokens/"+id+"/regenerate", master, `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z","newToken":{`+onlyUsers+`}}`).wantBody(404, unknown)
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestARevokedTokenIsGoneFromAxiom(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id, _ := s.axiomToken(master, `{`+onlyUsers+`}`)
	parsed, err := remint.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.issuer.Operator("test").Revoke(t.Context(), parsed); err != nil {
		t.Fatal(err)
	}
	s.call("GET", "/v2/tokens/"+id, master, "").want(404)
	s.call("DELETE", "/v2/tokens/"+id, master, "").want(404)
	s.call("POST", "/v2/tokens/"+id+"/regenerate", master, `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`).want(404)
}

// It fails without the comparison of Axiom's header with the caller's owner (internal/mutants).
func TestAxiomsOrganizationHeaderMustNameTheCallersOwn(t *testing.T) {
	s := start(t)
	master := s.master()
	id := master.Token.ID().String()
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/v2/tokens", `{` + onlyUsers + `}`},
		{"GET", "/v2/tokens/" + id, ""},
		{"POST", "/v2/tokens/" + id + "/regenerate", `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`},
		{"GET", "/v2/tokens", ""},
		{"DELETE", "/v2/tokens/" + id, ""},
	} {
		before := s.snapshot()
		for _, org := range []string{"other", "ACME", " "} {
			s.call(c.method, c.path, "garbage", c.body, "X-Axiom-Org-Id", org).want(401)
		}
		for _, org := range []string{"other", "ACME"} {
			s.call(c.method, c.path, master.Secret.Reveal(), c.body, "X-Axiom-Org-Id", org).
				wantBody(403, `{"code":403,"message":"X-Axiom-Org-Id does not name the API token's organization: leave it out, or name that"}`)
		}
		if s.snapshot() != before {
			t.Error("something changed")
		}
		s.call(c.method, c.path, master.Secret.Reveal(), c.body, "X-Axiom-Org-Id", "acme").wantSuccess()
	}
}

func TestASessionHasNoSuccessorInAxiom(t *testing.T) {
	s := start(t)
	g := s.master()
	secret := s.session(g.Secret.Reveal())
	id, err := s.issuer.Identify(secret)
	if err != nil {
		t.Fatal(err)
	}
	m := s.call("POST", "/v2/tokens/"+id.String()+"/regenerate", g.Secret.Reveal(), `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`).want(400)
	if text, _ := m["message"].(string); !strings.HasPrefix(text, "id: ") {
		t.Errorf("message %v", m)
	}
}

func TestAxiomAnswersAnOutageWith503(t *testing.T) {
	s := start(t)
	g := s.master()
	s.store.fail(errors.New("disk on fire"))
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/v2/tokens", `{` + onlyUsers + `}`},
		{"POST", "/v2/tokens", `{`},
		{"GET", "/v2/tokens", ""},
		{"GET", "/v2/tokens/" + g.Token.ID().String(), ""},
		{"DELETE", "/v2/tokens/" + g.Token.ID().String(), ""},
		{"POST", "/v2/tokens/" + g.Token.ID().String() + "/regenerate", `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`},
	} {
		a := s.call(c.method, c.path, g.Secret.Reveal(), c.body)
		a.wantBody(503, `{"code":503,"message":"the service is unavailable for the moment, and may or may not have done what was asked: look, and try again"}`)
		if len(s.faults.take()) != 1 || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: not reported, or no Retry-After", c.path)
		}
	}
}

func TestOfTwoAxiomRegenerationsThatSawTheSameTokenOneWins(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	for _, replacement := range []string{"", `,"newToken":{` + onlyUsers + `}`} {
		id, _ := s.axiomToken(master, `{`+onlyUsers+`}`)
		parsed, err := remint.ParseID(id)
		if err != nil {
			t.Fatal(err)
		}
		other := func() {
			if _, err := s.issuer.Operator("other").Rotate(t.Context(), parsed, remint.Rotation{Successor: &remint.Successor{}}); err != nil {
				t.Error(err)
			}
		}
		s.store.before.Store(&other)
		s.call("POST", "/v2/tokens/"+id+"/regenerate", master, `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"`+replacement+`}`).
			wantBody(409, `{"code":409,"message":"the API token was changed by another request at the same moment, or its successor has been used: regenerate the newest one"}`)
	}
}

func TestCapabilitiesThatAreNotAxiomsAreLeftOut(t *testing.T) {
	s := start(t)
	g := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("*", "org:users", "org:users:write", "org:tokens:read",
		"dataset:logs:ingest", "dataset:logs:ingest:read", "view:v:data:delete", "api_tokens:read", "reports",
		remint.Join("dataset", "*", "query", "read"), // one whose name is an asterisk
		"org:users:read", remint.Join("view", "a b", "query", "read"))})
	id := g.Token.ID().String()
	s.call("GET", "/v2/tokens/"+id, g.Secret.Reveal(), "").wantBody(200, `{"id":"`+id+`","name":"","description":"","expiresAt":null,`+
		`"datasetCapabilities":{},"orgCapabilities":{"users":["read"]},"viewCapabilities":{"a b":{"query":["read"]}},"samlAuthenticated":false}`)
	// A clone has them all the same.
	m := s.call("POST", "/v2/tokens/"+id+"/regenerate", g.Secret.Reveal(), `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`).want(200)
	next, err := remint.ParseID(m["id"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.get(next).Spec().Capabilities, g.Token.Spec().Capabilities; !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAFieldIsNotBlamedForAValueThatWasNotSent(t *testing.T) {
	s := start(t, func(u *setup) { u.issuer.MaxLifetime = 24 * time.Hour })
	g := s.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("*"), ExpiresAt: s.clock.now().Add(24 * time.Hour)})
	master, soon := g.Secret.Reveal(), s.clock.now().Add(time.Hour).Format(time.RFC3339)
	message := func(path, body string) string {
		t.Helper()
		text, _ := s.call("POST", path, master, body).want(400)["message"].(string)
		return text
	}
	if got := message("/v2/tokens", `{"expiresAt":1,`+onlyUsers+`}`); got != "expiresAt: must be a string" {
		t.Error(got)
	}
	if got := message("/v2/tokens", `{`+onlyUsers+`}`); !strings.HasPrefix(got, "expiresAt: is never") {
		t.Error(got)
	}
	id, _ := s.axiomToken(master, `{"expiresAt":"`+soon+`",`+onlyUsers+`}`)
	// Without an expiry the successor has the old token's, which is well.
	if got := message("/v2/tokens/"+id+"/regenerate", `{}`); got != "existingTokenExpiresAt: must be given: when the existing token stops" {
		t.Error(got)
	}
	m := s.call("POST", "/v2/tokens/"+id+"/regenerate", master, `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z","newToken":{`+onlyUsers+`}}`).want(200)
	if at, _ := m["expiresAt"].(string); at == "" {
		t.Errorf("expiresAt %v", m)
	}
}

func TestAChangeThatRotatesNothingIsNoConflict(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id, _ := s.axiomToken(master, `{`+onlyUsers+`}`)
	parsed, err := remint.ParseID(id)
	if err != nil {
		t.Fatal(err)
	}
	narrow := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	other := func() {
		_, err := s.issuer.Operator("other").Update(t.Context(), parsed, func(spec *remint.Spec) error { spec.Networks = narrow; return nil })
		if err != nil {
			t.Error(err)
		}
	}
	s.store.before.Store(&other)
	m := s.call("POST", "/v2/tokens/"+id+"/regenerate", master, `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z","newToken":{`+onlyUsers+`}}`).want(200)
	next, err := remint.ParseID(m["id"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.get(next).Spec().Networks; !reflect.DeepEqual(got, narrow) {
		t.Errorf("it has what the old token had before: %v", got)
	}
	// Revoking is none either: the token is gone.
	other = func() {
		if err := s.issuer.Operator("other").Revoke(t.Context(), next); err != nil {
			t.Error(err)
		}
	}
	s.store.before.Store(&other)
	s.call("POST", "/v2/tokens/"+next.String()+"/regenerate", master, `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z","newToken":{`+onlyUsers+`}}`).want(404)
}

func TestATokenWhosePrefixWasGivenUpIsThisServicesFault(t *testing.T) {
	s := start(t)
	old := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("org:users:read")})
	master := s.master().Secret.Reveal()
	issuer, err := remint.New(s.store, &remint.Options{Prefixes: []string{"pk_", "xaat-"}, Now: s.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	httpadapter.New(issuer, &httpadapter.Options{Error: s.faults.add}).MountAxiom(recording(t, mux), nil)
	for _, more := range []string{"", `,"newToken":{` + onlyUsers + `}`} {
		r := httptest.NewRequest("POST", "/v2/tokens/"+old.Token.ID().String()+"/regenerate",
			strings.NewReader(`{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"`+more+`}`))
		r.Header.Set("Authorization", "Bearer "+master)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if f := s.faults.take(); w.Code != 500 || len(f) != 1 || !strings.Contains(f[0].Error(), "kat_") {
			t.Errorf("%d %s, reported %v", w.Code, w.Body, f)
		}
	}
}

func axiomRoutes(id remint.ID) []mounted {
	return []mounted{
		{format: "axiom", method: "GET", path: "/v2/tokens", ignoresBody: true},
		{format: "axiom", method: "POST", path: "/v2/tokens", body: `{` + onlyUsers + `}`},
		{format: "axiom", method: "GET", path: "/v2/tokens/" + id.String(), ignoresBody: true},
		{format: "axiom", method: "POST", path: "/v2/tokens/" + id.String() + "/regenerate", body: `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`},
		{format: "axiom", method: "DELETE", path: "/v2/tokens/" + id.String(), ignoresBody: true, served: http.StatusNoContent},
	}
}

// wantSuccess fails unless a route of Axiom's did what was asked: with a body, or with none.
func (a answer) wantSuccess() {
	a.t.Helper()
	switch {
	case a.status == http.StatusNoContent:
		a.wantEmpty()
	case a.status != http.StatusOK || !json.Valid([]byte(a.body)) || a.header.Get("Content-Type") != "application/json":
		a.t.Errorf("%d %v %.200s", a.status, a.header, a.body)
	}
}

// wantEmpty fails unless the answer is a 204.
func (a answer) wantEmpty() {
	a.t.Helper()
	if a.status != http.StatusNoContent || a.body != "" || a.header.Get("Content-Type") != "" || a.header.Get("Cache-Control") != "no-store" {
		a.t.Errorf("%d %v %q, want an empty 204", a.status, a.header, a.body)
	}
}
