package httpadapter_test

import (
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

const longRetryKey = `"8e03978e-40d5-43e8-bc93-6894a57f9324"`

// A granting route hands out a secret.
type granting struct {
	mounted
	other string // another request to the same route; "": there is none
}

// grantingRoutes are all of them, each with a token to act on.
func grantingRoutes(s *service, master remint.Grant) []granting {
	s.t.Helper()
	target := func(prefix string) string {
		return s.issue(remint.Spec{Prefix: prefix, Capabilities: remint.Allow("chat")}).Token.ID().String()
	}
	hour := s.clock.now().Add(time.Hour).Format(time.RFC3339)
	list := []granting{
		{mounted{format: "axiom", method: "POST", path: "/v2/tokens", body: `{` + onlyUsers + `}`}, `{"name":"other",` + onlyUsers + `}`},
		{mounted{format: "axiom", method: "POST", path: "/v2/tokens/" + target("xaat-") + "/regenerate", body: `{"existingTokenExpiresAt":"` + hour + `"}`},
			`{"existingTokenExpiresAt":"` + hour + `","newToken":{` + onlyUsers + `}}`},
		{mounted{format: "katapult", method: "POST", path: katapultCreate, body: `{"organization":{"id":"acme"},"properties":{"name":"n"}}`},
			`{"organization":{"id":"acme"},"properties":{"name":"other"}}`},
		{mounted{format: "katapult", method: "POST", path: katapultRegenerate(target("kat_"))}, ``},
		{mounted{format: "native", method: "POST", path: "/tokens", body: `{"name":"n"}`, served: 201}, `{"name":"other"}`},
		{mounted{format: "native", method: "POST", path: "/tokens/" + target("nat_") + "/rotate", body: `{"retire":{"after":60}}`}, `{"retire":{"after":61}}`},
		{mounted{format: "native", method: "POST", path: "/tokens/" + target("nat_") + "/rotate", body: `{"successor":true}`, served: 201}, `{"successor":{"expires_at":null}}`},
		{mounted{format: "native", method: "POST", path: "/tokens/" + target("nat_") + "/sessions", body: `{"lifetime":60}`, served: 201}, `{"lifetime":61}`},
	}
	for _, root := range []string{"/api", "/api/v1"} {
		paw := func(path, body string) mounted {
			return mounted{format: "pocketpaw", method: "POST", path: root + path, body: body}
		}
		list = append(list,
			granting{paw("/auth/session", ""), ""},
			granting{paw("/auth/login", loginBody(master.Secret.Reveal())), ""},
			granting{paw("/auth/api-keys", `{"name":"n"}`), `{"name":"other"}`},
			granting{paw("/auth/api-keys/"+target("pp_")+"/rotate", ""), ""},
		)
	}
	return list
}

func TestARequestWithAnIdempotencyKeyIsAnsweredAgainAsItWas(t *testing.T) {
	s := start(t)
	master := s.master()
	for n, r := range grantingRoutes(s, master) {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			key := `"key ` + strings.Repeat("x", n) + `"`
			call := func(body, key string) answer {
				a := s.call(r.method, r.path, master.Secret.Reveal(), body, "Idempotency-Key", key)
				a.t = t
				return a
			}
			first := call(r.body, key)
			if first.status != max(r.served, 200) {
				t.Fatalf("%d %s", first.status, first.body)
			}
			for range 2 {
				again := call(r.body, key)
				if again.status != first.status || again.body != first.body || again.header.Get("Set-Cookie") != first.header.Get("Set-Cookie") {
					t.Errorf("again: %d %s %s\nfirst: %d %s %s", again.status, again.body, again.header.Get("Set-Cookie"),
						first.status, first.body, first.header.Get("Set-Cookie"))
				}
			}
			before := s.snapshot()
			if r.other != "" {
				call(r.other, key).wantError(r.mounted, 422, "validation_error")
			}
			for _, bad := range []string{"x", `""`, `"`, `"a`, `a"`, `"a"b"`, `"a";b=1`, `"a", "b"`, `"é"`, `"\n"`, `"a\"`, `"` + strings.Repeat("k", 256) + `"`, `:YQ==:`} {
				call(r.body, bad).wantError(r.mounted, 400, "invalid_argument")
			}
			if s.snapshot() != before {
				t.Error("something changed")
			}
			if other := call(r.body, `"another"`); other.status < 300 && other.body == first.body && r.format != "pocketpaw" {
				t.Error("another key was answered with the same")
			}
		})
	}
}

func TestABadIdempotencyKeyTellsAStrangerNothing(t *testing.T) {
	s := start(t)
	master := s.master()
	for _, r := range grantingRoutes(s, master) {
		if strings.HasSuffix(r.path, "/login") {
			continue
		}
		a := s.call(r.method, r.path, otherSecret(master.Secret.Reveal()), r.body, "Idempotency-Key", "x")
		a.wantError(r.mounted, 401, "invalid_api_token")
	}
}

func TestWhoeverARegenerateRetiredMayRepeatIt(t *testing.T) {
	now := time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)
	for _, c := range []struct {
		name string
		make func(s *service) (presented, path, body string)
	}{
		{"PocketPaw's master", func(s *service) (string, string, string) {
			return s.master().Secret.Reveal(), regenerate, ""
		}},
		{"PocketPaw's session", func(s *service) (string, string, string) {
			session, _ := s.call("POST", exchange, s.master().Secret.Reveal(), "").want(200)["session_token"].(string)
			return session, regenerate, ""
		}},
		{"PocketPaw's API key", func(s *service) (string, string, string) {
			g := s.issue(remint.Spec{Prefix: "pp_", Capabilities: remint.Allow("admin")})
			return g.Secret.Reveal(), "/api/auth/api-keys/" + g.Token.ID().String() + "/rotate", ""
		}},
		{"an Axiom token", func(s *service) (string, string, string) {
			g := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org")})
			return g.Secret.Reveal(), "/v2/tokens/" + g.Token.ID().String() + "/regenerate", `{"existingTokenExpiresAt":"` + now + `"}`
		}},
		{"an Axiom token, for another", func(s *service) (string, string, string) {
			g := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org")})
			return g.Secret.Reveal(), "/v2/tokens/" + g.Token.ID().String() + "/regenerate", `{"existingTokenExpiresAt":"` + now + `","newToken":{` + onlyUsers + `}}`
		}},
		{"a Katapult token", func(s *service) (string, string, string) {
			g := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("api_tokens")})
			return g.Secret.Reveal(), katapultRegenerate(g.Token.ID().String()), ""
		}},
		{"a native token", func(s *service) (string, string, string) {
			return s.issue(remint.Spec{Prefix: "nat_"}).Secret.Reveal(), "/tokens/self/rotate", ""
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t)
			presented, path, body := c.make(s)
			call := func(key string) answer { return s.call("POST", path, presented, body, "Idempotency-Key", key) }
			first := call(longRetryKey)
			if first.status != 200 {
				t.Fatalf("%d %s", first.status, first.body)
			}
			again := call(longRetryKey)
			if s.works(presented) {
				t.Error("the old secret works")
			}
			if again.status != 200 || again.body != first.body {
				t.Errorf("again: %d %s, first %s", again.status, again.body, first.body)
			}
			for name, key := range map[string]string{"without the key": "", "with another": `"` + strings.Repeat("k", 30) + `"`} {
				if a := call(key); a.status != 401 && !strings.Contains(a.body, "invalid_api_token") {
					t.Errorf("%s: %d %s", name, a.status, a.body)
				}
			}
			for _, e := range s.events.all() {
				if e.Kind == remint.EventReplay && e.Reason != remint.ReasonRetry {
					t.Errorf("%+v", e)
				}
			}
			s = start(t)
			presented, path, body = c.make(s)
			if a := call(`"short"`); a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			if a := call(`"short"`); a.status != 401 && !strings.Contains(a.body, "invalid_api_token") {
				t.Errorf("with a short key: %d %s", a.status, a.body)
			}
		})
	}
}

func TestAKeyIsOfNoInterestWhereNothingIsHandedOut(t *testing.T) {
	s := start(t)
	g := s.master()
	for _, path := range []string{"/v2/tokens", "/tokens", "/api/auth/api-keys"} {
		if a := s.call("GET", path, g.Secret.Reveal(), "", "Idempotency-Key", "not quoted"); a.status != 200 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}
