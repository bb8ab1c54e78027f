package httpadapter_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

// serveDirectly makes a request without a connection, as call does with one.
func (s *service) serveDirectly(method, path, secret, body string) answer {
	s.t.Helper()
	r := httptest.NewRequestWithContext(s.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+secret)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return answer{s.t, w.Code, w.Header(), w.Body.String()}
}

func TestKatapultsUpdateChangesOnlyTheKeysGiven(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	at, later := s.clock.now().Add(time.Hour).Truncate(time.Second), s.clock.now().Add(2*time.Hour).Truncate(time.Second)
	for properties, want := range map[string]map[string]any{
		`{}`:                                 {},
		`{"unknown":1}`:                      {},
		`{"name":"new"}`:                     {"name": "new"},
		`{"name":null}`:                      {"name": ""},
		`{"scopes":["dns:read"]}`:            {"scopes": []any{"dns:read"}},
		`{"scopes":[]}`:                      {"scopes": []any{}},
		`{"scopes":null}`:                    {"scopes": []any{}},
		`{"expires_at":` + unix(later) + `}`: {"expires_at": float64(later.Unix())},
		`{"expires_at":null}`:                {"expires_at": nil},
		`{"authorized_ip_addresses":["198.51.100.1","2001:db8::9/64"]}`:  {"authorized_ip_addresses": []any{"198.51.100.1", "2001:db8::/64"}},
		`{"authorized_ip_addresses":[]}`:                                 {"authorized_ip_addresses": []any{}},
		`{"authorized_ip_addresses":null}`:                               {"authorized_ip_addresses": []any{}},
		`{"name":"n","scopes":["x"],"expires_at":` + unix(later) + `}`:   {"name": "n", "scopes": []any{"x"}, "expires_at": float64(later.Unix())},
		`{"name":"ci","scopes":["dns"],"expires_at":` + unix(at) + `}`:   {},
		`{"id":"x","organization_id":"other","rate_limit":5,"secret":1}`: {},
	} {
		g := s.issue(remint.Spec{Name: "ci", Prefix: "kat_", Description: "kept", Capabilities: remint.Allow("dns"),
			Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}, ExpiresAt: at.Add(time.Microsecond)})
		id := g.Token.ID().String()
		a := s.call("PATCH", katapultOne("api_token"), master, `{"api_token":{"id":"`+id+`"},"annotations":[{"key":"k"}],"properties":`+properties+`}`)
		token := map[string]any{"id": id, "name": "ci", "organization_id": "acme", "scopes": []any{"dns"}, "expires_at": float64(at.Unix()),
			"authorized_ip_addresses": []any{"192.0.2.7"}, "rate_limit": 0.0, "secret": nil}
		for k, v := range want {
			token[k] = v
		}
		if got := a.want(200); !reflect.DeepEqual(got, map[string]any{"api_token": token, "annotations": []any{}}) {
			t.Errorf("%s: %v\nwant %v", properties, got, token)
		}
		now := s.get(g.Token.ID())
		if len(want) == 0 && now.State().Revision != g.Token.State().Revision {
			t.Errorf("%s: it was changed", properties)
		}
		if now.Spec().Description != "kept" {
			t.Errorf("%s: the description is gone", properties)
		}
	}
}

func TestKatapultsUpdateTakesTheIDOfThePathOrTheBody(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id := s.issue(remint.Spec{Prefix: "kat_"}).Token.ID()
	for n, c := range []struct{ word, lookup string }{
		{"api_token", `"api_token":{"id":"` + id.String() + `"},`},
		{"01ARZ3NDEKTSV4RRFFQ69G5FAV", `"api_token":{"id":"` + id.String() + `"},`},
		{id.String(), ``},
		{id.String(), `"api_token":null,`},
	} {
		name := fmt.Sprint("n", n)
		s.call("PATCH", katapultOne(c.word), master, `{`+c.lookup+`"properties":{"name":"`+name+`"}}`).want(200)
		if got := s.get(id).Name(); got != name {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

func TestKatapultTakesTheIDOfThePathWhereTheBodyIsEmpty(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	for _, body := range []string{"", "{}", " { } "} {
		id := s.issue(remint.Spec{Prefix: "kat_"}).Token.ID()
		s.call("POST", katapultRegenerate(id.String()), master, body).want(200)
		s.call("DELETE", katapultOne(id.String()), master, body).want(200)
	}
	id := s.issue(remint.Spec{Prefix: "kat_"}).Token.ID()
	for method, path := range map[string]string{"PATCH": katapultOne("api_token"), "DELETE": katapultOne("x"), "POST": katapultRegenerate("api_token")} {
		for _, body := range []string{`{"properties":{"name":"q"}}`, `{"api_token":null,"properties":{}}`} {
			a := s.call(method, path, master, body)
			d := a.wantKatapult(400, "missing_required_argument")
			if d["argument"] != "api_token" || !strings.Contains(a.body, "The 'api_token' argument is required but has not been provided") {
				t.Error(a.body)
			}
		}
	}
	s.call("PATCH", katapultOne(id.String()), master, "{}").wantKatapult(400, "missing_required_argument") // of properties
}

func TestTakingAScopeAwayEndsWhatDescends(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	g := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("dns", "disks")})
	session, err := s.issuer.Operator("test").StartSession(t.Context(), g.Token.ID(), remint.Session{})
	if err != nil {
		t.Fatal(err)
	}
	s.call("PATCH", katapultOne(g.Token.ID().String()), master, `{"properties":{"name":"renamed"}}`).want(200)
	if !s.works(session.Secret.Reveal()) {
		t.Error("a new name ended a session")
	}
	s.call("PATCH", katapultOne(g.Token.ID().String()), master, `{"properties":{"scopes":["dns"]}}`).want(200)
	if s.works(session.Secret.Reveal()) || !s.works(g.Secret.Reveal()) {
		t.Error("the wrong one works")
	}
}

func TestKatapultsUpdateNamesEveryProblemAndChangesNothing(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id := s.issue(remint.Spec{Prefix: "kat_"}).Token.ID().String()
	before := s.snapshot()
	for _, c := range []struct {
		properties, code string
		status           int
		want             []string
	}{
		{`{"name":"a\u0000","expires_at":0,"scopes":["a::b"],"authorized_ip_addresses":["192.0.2.1","x"]}`, "validation_error", 422, []string{
			`authorized_ip_addresses[1] "x" is neither`, "scopes[0] segment 2 is empty", "name has a control character", "expires_at 1970-01-01T00:00:00Z is not in the future"}},
		{`{"name":"` + strings.Repeat("x", 257) + `"}`, "validation_error", 422, []string{"name has 257 bytes"}},
		{`{"scopes":[` + many(5000, `"s%d"`) + `]}`, "validation_error", 422, []string{"scopes 5000 of them; at most 256"}},
		{`{"expires_at":253402300799}`, "", 0, nil},
		{`{"name":1,"expires_at":"2099","scopes":[1,"x"],"authorized_ip_addresses":{}}`, "invalid_argument", 400, []string{
			"name must be a string", "expires_at must be a Unix time", "authorized_ip_addresses must be a list of strings", "scopes[0] must be a string"}},
		{`{"expires_at":-1}`, "invalid_argument", 400, []string{"expires_at must be"}},
		{`{"expires_at":1e3}`, "invalid_argument", 400, []string{"expires_at must be"}},
		{`[]`, "invalid_argument", 400, []string{"properties must be an object"}},
		{`null`, "missing_required_argument", 400, nil},
	} {
		a := s.call("PATCH", katapultOne(id), master, `{"properties":`+c.properties+`}`)
		if c.status == 0 {
			a.want(200)
			before = s.snapshot()
			continue
		}
		detail := a.wantKatapult(c.status, c.code)
		got, _ := detail["errors"].([]any)
		if len(got) != len(c.want) {
			t.Errorf("%.60s: %v", c.properties, detail)
			continue
		}
		for i := range c.want {
			if text, _ := got[i].(string); !strings.HasPrefix(text, c.want[i]) {
				t.Errorf("%.60s: %q, want %q", c.properties, text, c.want[i])
			}
		}
		if c.code == "missing_required_argument" && detail["argument"] != "properties" {
			t.Errorf("%v", detail)
		}
	}
	for _, body := range []string{``, `{}`, `{"api_token":{"id":"` + id + `"}}`} {
		if detail := s.call("PATCH", katapultOne(id), master, body).wantKatapult(400, "missing_required_argument"); detail["argument"] != "properties" {
			t.Errorf("%s: %v", body, detail)
		}
	}
	for _, lookup := range []string{`"x"`, `{}`, `{"id":1}`, `{"id":null}`} {
		for _, method := range []string{"PATCH", "DELETE"} {
			if detail := s.call(method, katapultOne(id), master, `{"api_token":`+lookup+`,"properties":{}}`).wantKatapult(400, "invalid_argument"); detail["argument"] != "api_token" {
				t.Errorf("%s: %v", lookup, detail)
			}
		}
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestABoundOnLifetimesIsToldInTheClientsWords(t *testing.T) {
	s := start(t, func(u *setup) { u.issuer.MaxLifetime = 24 * time.Hour })
	master := s.issue(remint.Spec{Capabilities: remint.Allow("*"), ExpiresAt: s.clock.now().Add(time.Hour)}).Secret.Reveal()
	id := s.issue(remint.Spec{Prefix: "kat_", ExpiresAt: s.clock.now().Add(time.Hour)}).Token.ID().String()
	before := s.snapshot()
	far := unix(s.clock.now().Add(25 * time.Hour))
	for _, c := range []struct{ method, path, body, want string }{
		{"POST", katapultCreate, `{"organization":{"id":"acme"},"properties":{}}`, "expires_at must be given: a token lives for at most 24h0m0s"},
		{"POST", katapultCreate, `{"organization":{"id":"acme"},"properties":{"expires_at":` + far + `}}`, "expires_at is more than 24h0m0s away"},
		{"PATCH", katapultOne(id), `{"properties":{"expires_at":null}}`, "expires_at must be given: a token lives for at most 24h0m0s"},
		{"PATCH", katapultOne(id), `{"properties":{"expires_at":` + far + `}}`, "expires_at is more than 24h0m0s away"},
	} {
		detail := s.call(c.method, c.path, master, c.body).wantKatapult(422, "validation_error")
		if !reflect.DeepEqual(detail, map[string]any{"errors": []any{c.want}}) {
			t.Errorf("%s %s: %v", c.method, c.body, detail)
		}
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestWhatIsKeptIsNoProblemOfAnUpdate(t *testing.T) {
	// A token without an expiry, of before there was a bound, and with a prefix of which the issuer has no more.
	s := start(t, func(u *setup) { u.issuer.Prefixes = append(u.issuer.Prefixes, "old_") })
	id := s.issue(remint.Spec{Prefix: "old_"}).Token.ID()
	issuer, err := remint.New(s.store, &remint.Options{MaxLifetime: time.Hour, Now: s.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	httpadapter.New(issuer, nil).MountKatapult(recording(t, mux), nil)
	s.handler = mux
	master, err := issuer.Operator("test").Issue(t.Context(), remint.Spec{Owner: "acme", Capabilities: remint.Allow("*"), ExpiresAt: s.clock.now().Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	s.serveDirectly("PATCH", katapultOne(id.String()), master.Secret.Reveal(), `{"properties":{"name":"x"}}`).want(200)
	s.serveDirectly("PATCH", katapultOne(id.String()), master.Secret.Reveal(), `{"properties":{"expires_at":null}}`).want(200)
	if s.get(id).Name() != "x" {
		t.Error("not renamed")
	}
}

func TestKatapultsDeleteEndsATokenOfThePathOrTheBody(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	for _, how := range []func(id string) (word, body string){
		func(id string) (string, string) { return "api_token", `{"api_token":{"id":"` + id + `"}}` },
		func(id string) (string, string) {
			return "01ARZ3NDEKTSV4RRFFQ69G5FAV", `{"api_token":{"id":"` + id + `"},"x":[]}`
		},
		func(id string) (string, string) { return id, `` },
		func(id string) (string, string) { return id, `{}` },
	} {
		g := s.issue(remint.Spec{Name: "ci", Prefix: "kat_"})
		id := g.Token.ID().String()
		word, body := how(id)
		s.call("DELETE", katapultOne(word), master, body).wantBody(200, `{"api_token":{"id":"`+id+`","name":"ci"}}`)
		if s.works(g.Secret.Reveal()) {
			t.Error("it works")
		}
		before := s.snapshot()
		s.call("DELETE", katapultOne(word), master, body).wantKatapult(404, "api_token_not_found")
		s.call("PATCH", katapultOne(id), master, `{"properties":{"name":"x"}}`).wantKatapult(404, "api_token_not_found")
		s.call("POST", katapultRegenerate(id), master, "").wantKatapult(404, "api_token_not_found")
		if s.snapshot() != before {
			t.Error("something changed")
		}
	}
	self := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("api_tokens")})
	s.call("DELETE", katapultOne(self.Token.ID().String()), self.Secret.Reveal(), "").want(200)
	s.call("DELETE", katapultOne(self.Token.ID().String()), self.Secret.Reveal(), "").wantKatapult(403, "invalid_api_token")
}

func TestAnExpiredTokenCanBeDeletedAndNothingElse(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id := s.issue(remint.Spec{Name: "old", Prefix: "kat_", ExpiresAt: s.clock.now().Add(time.Hour)}).Token.ID().String()
	s.clock.advance(time.Hour)
	before := s.snapshot()
	s.call("POST", katapultRegenerate(id), master, "").wantKatapult(409, "conflict")
	s.call("PATCH", katapultOne(id), master, `{"properties":{"expires_at":`+unix(s.clock.now().Add(time.Hour))+`}}`).wantKatapult(409, "conflict")
	if s.snapshot() != before {
		t.Error("something changed")
	}
	s.call("DELETE", katapultOne(id), master, "").wantBody(200, `{"api_token":{"id":"`+id+`","name":"old"}}`)
	if names, _ := s.call("GET", katapultList, master, "").katapultPage(); len(names) != 0 {
		t.Errorf("listed %v", names)
	}
}

// It fails without the bearer who acts where Katapult's format updates (internal/mutants).
func TestNobodyReachesBeyondItselfByUpdatingOrDeleting(t *testing.T) {
	s := start(t)
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	parent := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("api_tokens", "dns"), Networks: loopback})
	caller := s.issue(remint.Spec{Prefix: "kat_", Parent: parent.Token.ID(), Capabilities: remint.Allow("api_tokens", "dns"),
		Networks: loopback, ExpiresAt: s.clock.now().Add(time.Hour)})
	secret := caller.Secret.Reveal()
	strong := s.master().Token.ID()
	weak := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("dns"), Networks: loopback}).Token.ID()
	foreign := s.issue(remint.Spec{Prefix: "kat_", Owner: "other"}).Token.ID()
	before := s.snapshot()
	update := func(id remint.ID, properties string) answer {
		return s.call("PATCH", katapultOne(id.String()), secret, `{"properties":{`+properties+`}}`)
	}
	update(strong, `"name":"x"`).wantKatapult(403, "permission_denied")
	update(strong, `"scopes":["a b"]`).wantKatapult(403, "permission_denied") // what the values say is not looked at
	update(weak, `"scopes":["*"]`).wantKatapult(403, "permission_denied")
	update(weak, `"authorized_ip_addresses":[]`).wantKatapult(403, "permission_denied")
	update(weak, `"authorized_ip_addresses":["0.0.0.0/0"]`).wantKatapult(403, "permission_denied")
	update(caller.Token.ID(), `"expires_at":null`).wantKatapult(403, "permission_denied")
	update(caller.Token.ID(), `"authorized_ip_addresses":null`).wantKatapult(403, "permission_denied")
	update(parent.Token.ID(), `"name":"x"`).wantKatapult(403, "permission_denied")
	s.call("DELETE", katapultOne(parent.Token.ID().String()), secret, "").wantKatapult(403, "permission_denied")

	unknown := s.call("PATCH", katapultOne("01ARZ3NDEKTSV4RRFFQ69G5FAV"), secret, `{"properties":{"scopes":["a b"]}}`)
	unknown.wantKatapult(404, "api_token_not_found")
	for _, id := range []string{foreign.String(), "api_token", strings.ToLower(weak.String()), "%00"} {
		for _, method := range []string{"PATCH", "DELETE"} {
			s.call(method, katapultOne("x"), secret, `{"api_token":{"id":"`+id+`"},"properties":{"scopes":["a b"]}}`).wantBody(404, strings.TrimSpace(unknown.body))
		}
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
	update(weak, `"name":"renamed"`).want(200)
	update(caller.Token.ID(), `"scopes":["api_tokens"]`).want(200)
}

func TestAnUpdateThatRacesAnotherLosesNothing(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id := s.issue(remint.Spec{Name: "old", Prefix: "kat_", Capabilities: remint.Allow("dns", "disks")}).Token.ID()
	other := func() {
		_, err := s.issuer.Operator("other").Update(t.Context(), id, func(spec *remint.Spec) error {
			spec.Capabilities = remint.Allow("dns")
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	s.store.before.Store(&other)
	token, _ := s.call("PATCH", katapultOne(id.String()), master, `{"properties":{"name":"new"}}`).want(200)["api_token"].(map[string]any)
	if token["name"] != "new" || !reflect.DeepEqual(token["scopes"], []any{"dns"}) {
		t.Errorf("%v", token)
	}
}
