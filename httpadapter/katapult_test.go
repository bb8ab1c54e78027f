package httpadapter_test

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

const (
	katapultCreate = "/core/v1/organizations/organization/api_tokens"
	katapultList   = katapultCreate + "?organization[id]=acme"
)

func katapultOne(word string) string { return "/core/v1/api_tokens/" + word }

func katapultRegenerate(word string) string {
	return katapultOne(word) + "/regenerate_secret"
}

func TestKatapultsCreateReturnsTheWholeToken(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	at := s.clock.now().Add(time.Hour).Truncate(time.Second)
	m := s.call("POST", katapultCreate, master, `{"organization":{"id":"acme"},"annotations":[{"key":"k"}],"properties":{
		"name":"ci","expires_at":`+unix(at)+`,"scopes":["api_tokens","virtual_machines:read","api.katapult.io/core/v1/dns"],"unknown":{},
		"authorized_ip_addresses":["192.0.2.7","198.51.100.0/24","2001:db8::1","2001:db8::/32","::ffff:203.0.113.1","203.0.113.9/24","192.0.2.8/32"]}}`).want(200)
	token, _ := m["api_token"].(map[string]any)
	secret, _ := token["secret"].(string)
	id, _ := token["id"].(string)
	want := map[string]any{"api_token": map[string]any{
		"id": id, "name": "ci", "organization_id": "acme", "expires_at": float64(at.Unix()), "rate_limit": 0.0,
		"scopes":                  []any{"api_tokens", "virtual_machines:read", "api.katapult.io/core/v1/dns"},
		"authorized_ip_addresses": []any{"192.0.2.7", "198.51.100.0/24", "2001:db8::1", "2001:db8::/32", "203.0.113.1", "203.0.113.0/24", "192.0.2.8"},
		"secret":                  secret,
	}, "annotations": []any{}}
	if !reflect.DeepEqual(m, want) {
		t.Errorf("got  %v\nwant %v", m, want)
	}
	if got, err := s.issuer.Identify(secret); err != nil || got.String() != id || !strings.HasPrefix(secret, "kat_") {
		t.Errorf("secret %q: %v", secret, err)
	}
	if _, err := s.issuer.Verify(t.Context(), secret, netip.MustParseAddr("198.51.100.9")); err != nil {
		t.Error(err)
	}
	if s.works(secret) { // from 127.0.0.1
		t.Error("it works from anywhere")
	}
}

func TestKatapultsShortestToken(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	for _, body := range []string{
		`{"organization":{"sub_domain":"acme"},"properties":{}}`,
		`{"organization":{"id":"acme","sub_domain":null},"properties":{"name":null,"expires_at":null,"scopes":null,"authorized_ip_addresses":[]}}`,
	} {
		m := s.call("POST", katapultCreate, master, body).want(200)
		token, _ := m["api_token"].(map[string]any)
		delete(token, "id")
		delete(token, "secret")
		want := map[string]any{"name": "", "organization_id": "acme", "expires_at": nil, "rate_limit": 0.0, "scopes": []any{}, "authorized_ip_addresses": []any{}}
		if !reflect.DeepEqual(token, want) {
			t.Errorf("got  %v\nwant %v", token, want)
		}
	}
}

// It fails without the ID that a regenerated token keeps (internal/mutants).
func TestKatapultsRegenerateKeepsTheIDAndStopsTheOldSecret(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	for _, how := range []func(id string) (path, body string){
		func(id string) (string, string) {
			return katapultRegenerate("api_token"), `{"api_token":{"id":"` + id + `"}}`
		},
		func(id string) (string, string) {
			return katapultRegenerate("anything"), `{"api_token":{"id":"` + id + `"}}`
		},
		func(id string) (string, string) { return katapultRegenerate(id), `` },
		func(id string) (string, string) { return katapultRegenerate(id), `{}` },
		func(id string) (string, string) { return katapultRegenerate(id), ` {"api_token":null,"x":1} ` },
		func(id string) (string, string) {
			return katapultRegenerate("01ARZ3NDEKTSV4RRFFQ69G5FAV"), `{"api_token":{"id":"` + id + `"}}` // the body's wins
		},
	} {
		old := s.issue(remint.Spec{Name: "ci", Prefix: "kat_", Capabilities: remint.Allow("dns"), ExpiresAt: s.clock.now().Add(time.Hour)})
		id := old.Token.ID().String()
		path, body := how(id)
		m := s.call("POST", path, master, body).want(200)
		token, _ := m["api_token"].(map[string]any)
		secret, _ := token["secret"].(string)
		if token["id"] != id || token["name"] != "ci" || len(m) != 1 || len(token) != 8 {
			t.Errorf("%s %s: %v", path, body, m)
		}
		if s.works(old.Secret.Reveal()) || !s.works(secret) {
			t.Error("the wrong secret works")
		}
	}
}

func TestKatapultsRetireOptionGivesAnOverlap(t *testing.T) {
	s := start(t, func(u *setup) { u.katapult.Retire = remint.RetireAfter(time.Hour) })
	g := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("api_tokens")})
	s.call("POST", katapultRegenerate(g.Token.ID().String()), g.Secret.Reveal(), "").want(200)
	if !s.works(g.Secret.Reveal()) {
		t.Error("no overlap")
	}
	s.clock.advance(time.Hour)
	if s.works(g.Secret.Reveal()) {
		t.Error("no end")
	}
}

func TestKatapultsErrorsCarryTheWrapperAndTheFlatKeys(t *testing.T) {
	s := start(t)
	a := s.call("POST", katapultCreate, "", "")
	const flat = `"code":"missing_api_token","description":"No API token was provided in the Authorization header. Ensure a token is provided prefixed with Bearer","detail":{}`
	a.wantBody(400, `{"error":{`+flat+`},`+flat+`}`)
	if a.header.Get("X-Api-Schema") != "json-error" {
		t.Errorf("X-Api-Schema: %q", a.header.Get("X-Api-Schema"))
	}
	if detail := s.call("POST", katapultCreate, "garbage", "").wantKatapult(403, "invalid_api_token"); !reflect.DeepEqual(detail, map[string]any{"details": nil}) {
		t.Errorf("detail %v", detail)
	}
}

// It fails without the comparison of Katapult's organization with the caller's owner
// (internal/mutants).
func TestKatapultJudgesCredentialThenScopeThenArgumentsThenLookup(t *testing.T) {
	s := start(t)
	weak := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("api_tokens:read", "dns")}).Secret.Reveal()
	held := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("api.katapult.io/core/v1/api_tokens")}).Secret.Reveal()
	for _, c := range []struct{ method, path, body, code string }{
		{"POST", katapultCreate, `{"organization":{"id":"other"},"properties":{}}`, "organization_not_found"},
		{"PATCH", katapultOne("api_token"), `{"api_token":{"id":"api_token"},"properties":{}}`, "api_token_not_found"},
		{"DELETE", katapultOne("api_token"), `{}`, "api_token_not_found"},
		{"POST", katapultRegenerate("api_token"), `{}`, "api_token_not_found"},
	} {
		for _, body := range []string{`{`, ``, c.body} {
			s.call(c.method, c.path, "", body).wantKatapult(400, "missing_api_token")
			s.call(c.method, c.path, "garbage", body).wantKatapult(403, "invalid_api_token")
			detail := s.call(c.method, c.path, weak, body).wantKatapult(403, "scope_not_granted")
			if !reflect.DeepEqual(detail, map[string]any{"scopes": []any{"api_tokens"}}) {
				t.Errorf("detail %v", detail)
			}
		}
		detail := s.call(c.method, c.path, held, `{`).wantKatapult(400, "invalid_json_body")
		if text, _ := detail["details"].(string); !strings.Contains(text, "is not JSON") {
			t.Errorf("detail %v", detail)
		}
		s.call(c.method, c.path, held, c.body).wantKatapult(404, c.code)
	}
	// Lookup comes before what the values say.
	s.call("POST", katapultCreate, held, `{"organization":{"id":"other"},"properties":{"scopes":["a b"]}}`).wantKatapult(404, "organization_not_found")
	s.call("POST", katapultCreate, held, `{"organization":{"id":"acme"},"properties":{"scopes":["a b"]}}`).wantKatapult(422, "validation_error")
}

func TestKatapultNamesTheArgumentThatIsMissingOrInvalid(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	before := s.snapshot()
	const org = `"organization":{"id":"acme"}`
	for _, c := range []struct{ path, body, code, argument string }{
		{katapultCreate, ``, "missing_required_argument", "organization"},
		{katapultCreate, `{}`, "missing_required_argument", "organization"},
		{katapultCreate, `{"organization":null}`, "missing_required_argument", "organization"},
		{katapultCreate, `{` + org + `}`, "missing_required_argument", "properties"},
		{katapultCreate, `{` + org + `,"properties":null}`, "missing_required_argument", "properties"},
		{katapultCreate, `{"organization":"acme","properties":{}}`, "invalid_argument", "organization"},
		{katapultCreate, `{"organization":{},"properties":{}}`, "invalid_argument", "organization"},
		{katapultCreate, `{"organization":{"id":"acme","sub_domain":"acme"},"properties":{}}`, "invalid_argument", "organization"},
		{katapultCreate, `{"organization":{"id":1},"properties":{}}`, "invalid_argument", "organization"},
		{katapultCreate, `{` + org + `,"properties":[]}`, "invalid_argument", "properties"},
		{katapultCreate, `{` + org + `,"properties":{"name":1}}`, "invalid_argument", "name"},
		{katapultCreate, `{` + org + `,"properties":{"scopes":"dns"}}`, "invalid_argument", "scopes"},
		{katapultCreate, `{` + org + `,"properties":{"scopes":[null]}}`, "invalid_argument", "scopes[0]"},
		{katapultCreate, `{` + org + `,"properties":{"expires_at":"2099-01-01T00:00:00Z"}}`, "invalid_argument", "expires_at"},
		{katapultCreate, `{` + org + `,"properties":{"expires_at":-1}}`, "invalid_argument", "expires_at"},
		{katapultCreate, `{` + org + `,"properties":{"expires_at":1.5}}`, "invalid_argument", "expires_at"},
		{katapultCreate, `{` + org + `,"properties":{"expires_at":999999999999}}`, "invalid_argument", "expires_at"},
		{katapultCreate, `{` + org + `,"properties":{"authorized_ip_addresses":"192.0.2.7"}}`, "invalid_argument", "authorized_ip_addresses"},
		{katapultRegenerate("x"), `{"api_token":"x"}`, "invalid_argument", "api_token"},
		{katapultRegenerate("x"), `{"api_token":{}}`, "invalid_argument", "api_token"},
		{katapultRegenerate("x"), `{"api_token":{"id":1}}`, "invalid_argument", "api_token"},
	} {
		detail := s.call("POST", c.path, master, c.body).wantKatapult(400, c.code)
		if detail["argument"] != c.argument {
			t.Errorf("%s: detail %v", c.body, detail)
		}
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestKatapultNamesEveryValidationError(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	before := s.snapshot()
	for properties, want := range map[string][]string{
		`"scopes":["dns","a::b","*x"],"authorized_ip_addresses":["192.0.2.7","300.1.1.1","fe80::1%eth0","192.0.2.0/33","x"]`: {
			`authorized_ip_addresses[1] "300.1.1.1" is neither an IP address nor a CIDR prefix`,
			`authorized_ip_addresses[2] "fe80::1%eth0" is neither`,
			`authorized_ip_addresses[3] "192.0.2.0/33" is neither`,
			`authorized_ip_addresses[4] "x" is neither`,
			`scopes[1] segment 2 is empty`,
			`scopes[2] segment 1: "*" must stand alone`,
		},
		// Its own and the core's, at once.
		`"name":"a\u0007b","expires_at":1,"scopes":["a::b"],"authorized_ip_addresses":["x"]`: {
			`authorized_ip_addresses[0] "x" is neither`, "scopes[0] segment 2 is empty",
			"name has a control character at byte 1", "expires_at 1970-01-01T00:00:01Z is not in the future",
		},
		`"name":"a\u0007b","expires_at":1`:                             {"name has a control character at byte 1", "expires_at 1970-01-01T00:00:01Z is not in the future"},
		`"scopes":[` + many(5000, `"s%d"`) + `]`:                       {"scopes 5000 of them; at most 256"},
		`"name":"` + strings.Repeat("x", 257) + `"`:                    {"name has 257 bytes"},
		`"authorized_ip_addresses":["::ffff:10.0.0.0/90"]`:             {`authorized_ip_addresses[0] "::ffff:10.0.0.0/90" is neither`},
		`"authorized_ip_addresses":[` + many(300, `"10.0.0.%d"`) + `]`: {`authorized_ip_addresses[256] "10.0.0.256" is neither`},
	} {
		detail := s.call("POST", katapultCreate, master, `{"organization":{"id":"acme"},"properties":{`+properties+`}}`).wantKatapult(422, "validation_error")
		got, _ := detail["errors"].([]any)
		if len(got) < len(want) {
			t.Errorf("%.80s: %v", properties, got)
			continue
		}
		for i := range want {
			if text, _ := got[i].(string); !strings.HasPrefix(text, want[i]) {
				t.Errorf("%.80s: %q, want %q", properties, text, want[i])
			}
		}
		if len(got) > 20 {
			t.Errorf("%d errors", len(got))
		}
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

// It fails without the bearer who acts where Katapult's format issues (internal/mutants).
func TestNobodyHandsOutMoreThanItHasThroughKatapult(t *testing.T) {
	s := start(t)
	caller := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("api_tokens", "dns"),
		Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}})
	secret := caller.Secret.Reveal()
	strong := s.master()
	before := s.snapshot()
	create := func(properties string) answer {
		return s.call("POST", katapultCreate, secret, `{"organization":{"id":"acme"},"properties":{`+properties+`}}`)
	}
	create(`"scopes":["*"]`).wantKatapult(403, "permission_denied")
	create(`"authorized_ip_addresses":["0.0.0.0/0"]`).wantKatapult(403, "permission_denied")
	s.call("POST", katapultRegenerate(strong.Token.ID().String()), secret, "").wantKatapult(403, "permission_denied")
	if s.snapshot() != before {
		t.Error("something changed")
	}
	token, _ := create(`"scopes":["dns:read"]`).want(200)["api_token"].(map[string]any)
	if got := token["authorized_ip_addresses"]; !reflect.DeepEqual(got, []any{"127.0.0.0/8", "::1"}) {
		t.Errorf("without addresses: %v, want the caller's", got)
	}
}

// It fails without the owner in Katapult's routes with an ID (internal/mutants).
func TestAnotherOrganizationsTokenIsUnknownToKatapult(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	foreign := s.issue(remint.Spec{Owner: "other", Prefix: "kat_"}).Token.ID().String()
	before := s.snapshot()
	unknown := s.call("POST", katapultRegenerate("01ARZ3NDEKTSV4RRFFQ69G5FAV"), master, "")
	unknown.wantKatapult(404, "api_token_not_found")
	for _, id := range []string{foreign, "api_token", "x", strings.ToLower(foreign), "%00", strings.Repeat("x", 5000)} {
		s.call("POST", katapultRegenerate(id), master, "").wantBody(404, strings.TrimSpace(unknown.body))
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestKatapultTellsADeletedTokenFromOneThatHasExpired(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	revoked := s.issue(remint.Spec{Prefix: "kat_"}).Token.ID()
	expired := s.issue(remint.Spec{Prefix: "kat_", ExpiresAt: s.clock.now().Add(time.Hour)}).Token.ID()
	if err := s.issuer.Operator("test").Revoke(t.Context(), revoked); err != nil {
		t.Fatal(err)
	}
	s.clock.advance(time.Hour)
	s.call("POST", katapultRegenerate(revoked.String()), master, "").wantKatapult(404, "api_token_not_found")
	s.call("POST", katapultRegenerate(expired.String()), master, "").wantKatapult(409, "conflict")
}

func TestKatapultNamesTheNetworkThatIsNotAllowed(t *testing.T) {
	s := start(t, func(u *setup) {
		u.adapter.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	})
	g := s.issue(remint.Spec{Capabilities: remint.Allow("*"), Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	for from, want := range map[string]string{"203.0.113.9": "203.0.113.9", "unknown": ""} {
		detail := s.call("POST", katapultCreate, g.Secret.Reveal(), `{}`, "X-Forwarded-For", from).wantKatapult(403, "unauthorized_network_for_api_token")
		if detail["ip_address"] != want {
			t.Errorf("detail %v", detail)
		}
	}
}

func TestALostKatapultRaceIsAConflict(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id := s.issue(remint.Spec{Prefix: "kat_"}).Token.ID()
	other := func() {
		if _, err := s.issuer.Operator("other").Rotate(t.Context(), id, remint.Rotation{}); err != nil {
			t.Error(err)
		}
	}
	s.store.before.Store(&other)
	s.call("POST", katapultRegenerate(id.String()), master, "").wantKatapult(409, "conflict")
}

func TestKatapultAnswersAnOutageWith503(t *testing.T) {
	s := start(t)
	g := s.master()
	s.store.fail(errors.New("disk on fire"))
	for _, r := range katapultRoutes(g.Token.ID()) {
		a := s.call(r.method, r.path, g.Secret.Reveal(), r.body)
		if detail := a.wantKatapult(503, "service_unavailable"); len(detail) != 0 {
			t.Errorf("detail %v", detail)
		}
		if len(s.faults.take()) != 1 || a.header.Get("Retry-After") == "" {
			t.Errorf("%s %s: not reported, or no Retry-After", r.method, r.path)
		}
	}
}

func TestATokenWithoutAnOwnerHasNoOrganization(t *testing.T) {
	s := start(t)
	g, err := s.issuer.Operator("test").Issue(t.Context(), remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("api_tokens")})
	if err != nil {
		t.Fatal(err)
	}
	token, _ := s.call("POST", katapultRegenerate(g.Token.ID().String()), g.Secret.Reveal(), "").want(200)["api_token"].(map[string]any)
	if v, there := token["organization_id"]; !there || v != nil {
		t.Errorf("organization_id %v", v)
	}
}

func katapultRoutes(id remint.ID) []mounted {
	lookup := `"api_token":{"id":"` + id.String() + `"}`
	return []mounted{
		{format: "katapult", method: "GET", path: katapultList, ignoresBody: true},
		{format: "katapult", method: "POST", path: katapultCreate, body: `{"organization":{"id":"acme"},"properties":{}}`},
		{format: "katapult", method: "PATCH", path: katapultOne("api_token"), body: `{` + lookup + `,"properties":{}}`},
		{format: "katapult", method: "DELETE", path: katapultOne("api_token"), body: `{` + lookup + `}`},
		{format: "katapult", method: "POST", path: katapultRegenerate("api_token"), body: `{` + lookup + `}`},
	}
}
