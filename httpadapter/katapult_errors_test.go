package httpadapter_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

// A katapultCause makes one of the documented errors happen.
type katapultCause struct {
	status      int
	code        string
	description string // the documentation's, where it has one
	detail      map[string]any
	happen      func(s *service) answer
	change      func(*setup)
}

const unauthorizedNetwork = "Network is not allowed to access the API with this API token"

// katapultCauses are of every error that the format documents and this package gives.
// organization_not_activated and organization_suspended are not: an organization has no state
// here.
func katapultCauses() map[string]katapultCause {
	none := map[string]any{}
	allTokens := func(s *service) string { return s.master().Secret.Reveal() }
	return map[string]katapultCause{
		"no credential": {400, "missing_api_token", "No API token was provided in the Authorization header. Ensure a token is provided prefixed with Bearer", none,
			func(s *service) answer { return s.call("GET", katapultList, "", "") }, nil},
		"broken JSON": {400, "invalid_json_body", "", map[string]any{"details": "the request body is not JSON, from byte 1 on"},
			func(s *service) answer { return s.call("DELETE", katapultOne("x"), allTokens(s), "{") }, nil},
		"an argument that is missing": {400, "missing_required_argument", "The 'properties' argument is required but has not been provided", map[string]any{"argument": "properties"},
			func(s *service) answer { return s.call("PATCH", katapultOne("x"), allTokens(s), "{}") }, nil},
		"an argument of another type": {400, "invalid_argument", "The 'api_token' argument is invalid", map[string]any{"argument": "api_token", "errors": []any{"api_token must be an object"}},
			func(s *service) answer {
				return s.call("POST", katapultRegenerate("x"), allTokens(s), `{"api_token":"x"}`)
			}, nil},
		"another network": {403, "unauthorized_network_for_api_token", unauthorizedNetwork, map[string]any{"ip_address": "127.0.0.1"},
			func(s *service) answer {
				g := s.issue(remint.Spec{Capabilities: remint.Allow("*"), Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
				return s.call("GET", katapultList, g.Secret.Reveal(), "")
			}, nil},
		"a token that expired": {403, "invalid_api_token", "The API token provided was not valid (it may not exist or have expired)", map[string]any{"details": nil},
			func(s *service) answer {
				g := s.issue(remint.Spec{Capabilities: remint.Allow("*"), ExpiresAt: s.clock.now().Add(time.Second)})
				s.clock.advance(time.Second)
				return s.call("PATCH", katapultOne("x"), g.Secret.Reveal(), `{"properties":{}}`)
			}, nil},
		"a capabilities token that is forged": {403, "invalid_capabilities_token", "The capabilities token provided was not valid (either not valid, expired or not signed by the correct key)", none,
			func(s *service) answer {
				return s.call("DELETE", katapultOne("x"), allTokens(s), "", "X-Capabilities-Token", "forged")
			}, lendsKatapult},
		"no scope": {403, "scope_not_granted", "The scope required for this endpoint has not been granted to the authenticating identity", map[string]any{"scopes": []any{"api_tokens"}},
			func(s *service) answer {
				g := s.issue(remint.Spec{Capabilities: remint.Allow("api_tokens:read")})
				return s.call("POST", katapultCreate, g.Secret.Reveal(), "")
			}, nil},
		"a token that is stronger": {403, "permission_denied", "The authenticated identity is not permitted to perform this action", map[string]any{"details": "This is beyond what the API token may do itself"},
			func(s *service) answer {
				g := s.issue(remint.Spec{Capabilities: remint.Allow("api_tokens")})
				return s.call("POST", katapultRegenerate(s.master().Token.ID().String()), g.Secret.Reveal(), "")
			}, nil},
		"an ID that is unknown": {404, "api_token_not_found", "No API token was found matching any of the criteria provided in the arguments.", none,
			func(s *service) answer { return s.call("DELETE", katapultOne("api_token"), allTokens(s), "") }, nil},
		"an organization that is unknown": {404, "organization_not_found", "No organization was found matching any of the criteria provided in the arguments", none,
			func(s *service) answer {
				return s.call("GET", katapultCreate+"?organization[id]=other", allTokens(s), "")
			}, nil},
		"a path that is unknown": {404, "route_not_found", "", none,
			func(s *service) answer { return s.call("GET", "/core/v1/api_tokens/x/y", allTokens(s), "") }, nil},
		"a method that is unknown": {404, "route_not_found", "", none,
			func(s *service) answer { return s.call("PUT", katapultOne("x"), allTokens(s), "") }, nil},
		"a lost race": {409, "conflict", "", none,
			func(s *service) answer {
				id := s.issue(remint.Spec{Prefix: "kat_"}).Token.ID()
				master := allTokens(s)
				other := func() {
					if _, err := s.issuer.Operator("other").Rotate(s.t.Context(), id, remint.Rotation{}); err != nil {
						s.t.Error(err)
					}
				}
				s.store.before.Store(&other)
				return s.call("POST", katapultRegenerate(id.String()), master, "")
			}, nil},
		"a value that is wrong": {422, "validation_error", "A validation error occurred with the object that was being created/updated/deleted", map[string]any{"errors": []any{"scopes[0] segment 1 is empty"}},
			func(s *service) answer {
				id := s.issue(remint.Spec{Prefix: "kat_"}).Token.ID().String()
				return s.call("PATCH", katapultOne(id), allTokens(s), `{"properties":{"scopes":[":"]}}`)
			}, nil},
		"a request too many": {429, "rate_limit_reached", "You have reached the rate limit for this type of request", map[string]any{"total_permitted": 2.0},
			func(s *service) answer {
				secret := allTokens(s)
				s.call("GET", katapultList, secret, "").want(200)
				s.call("GET", katapultList, secret, "").want(200)
				return s.call("GET", katapultList, secret, "")
			}, func(u *setup) { u.adapter.RateLimit = 2 }},
		"a store that is down": {503, "service_unavailable", "The service is currently unavailable, please try again later", none,
			func(s *service) answer {
				secret := allTokens(s)
				s.store.fail(errors.New("disk on fire"))
				return s.call("DELETE", katapultOne("x"), secret, "")
			}, nil},
	}
}

// lendsKatapult lets the capabilities token "lends" lend two scopes, and "down" find its
// store failed. There is no other.
func lendsKatapult(u *setup) {
	u.adapter.CapabilitiesToken = func(_ context.Context, text string, _ remint.Token, _ netip.Addr) (remint.Capabilities, error) {
		switch text {
		case "lends":
			return remint.Allow("api_tokens", "dns"), nil
		case "down":
			return remint.Capabilities{}, remint.ErrUnavailable
		}
		return remint.Capabilities{}, errors.New("no such key")
	}
}

func TestEveryDocumentedErrorOfKatapultHasACause(t *testing.T) {
	for name, c := range katapultCauses() {
		t.Run(name, func(t *testing.T) {
			change := c.change
			if change == nil {
				change = func(*setup) {}
			}
			s := start(t, change)
			a := c.happen(s)
			detail := a.wantKatapult(c.status, c.code)
			if !reflect.DeepEqual(detail, c.detail) {
				t.Errorf("detail %v, want %v", detail, c.detail)
			}
			m := a.want(c.status)
			if text := m["description"]; text != c.description && c.description != "" {
				t.Errorf("description %q, want %q", text, c.description)
			}
			flat := map[string]any{"code": m["code"], "description": m["description"], "detail": m["detail"]}
			if !reflect.DeepEqual(m["error"], flat) || len(m) != 4 {
				t.Errorf("the wrapper and the flat keys differ: %s", a.body)
			}
			a.wantKatapultHeaders()
		})
	}
}

// wantKatapultHeaders fails unless the answer says how many requests there are.
func (a answer) wantKatapultHeaders() {
	a.t.Helper()
	for _, name := range []string{"X-Ratelimit-Permitted", "X-Ratelimit-Remaining"} {
		if a.header.Get(name) == "" {
			a.t.Errorf("%d %s: no %s", a.status, a.body, name)
		}
	}
}

func TestEveryAnswerOfKatapultsSaysHowManyRequestsThereAre(t *testing.T) {
	for limit, want := range map[int]string{0: "2147483647 2147483647", 10: "10 9"} {
		s := start(t, func(u *setup) { u.adapter.RateLimit = limit })
		for k := range katapultRoutes(remint.ID{}) {
			g := s.master()
			r := katapultRoutes(g.Token.ID())[k]
			a := s.call(r.method, r.path, g.Secret.Reveal(), r.body)
			a.want(200)
			if got := a.header.Get("X-Ratelimit-Permitted") + " " + a.header.Get("X-Ratelimit-Remaining"); got != want {
				t.Errorf("%s %s: %s, want %s", r.method, r.path, got, want)
			}
			for _, method := range []string{"OPTIONS", "PUT"} {
				s.call(method, r.path, g.Secret.Reveal(), "").wantKatapultHeaders()
			}
			s.call(r.method, r.path, "", "").wantKatapultHeaders()
		}
	}
}

func TestACapabilitiesTokenLendsAScopeForOneRequest(t *testing.T) {
	s := start(t, lendsKatapult)
	weak := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("disks")})
	secret := weak.Secret.Reveal()
	id := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("disks")}).Token.ID().String()
	strong := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("dns")}).Token.ID().String()
	with := func(method, path, body, text string) answer {
		return s.call(method, path, secret, body, "X-Capabilities-Token", text)
	}
	with("GET", katapultList, "", "lends").katapultPage()
	with("PATCH", katapultOne(id), `{"properties":{"name":"x"}}`, "lends").want(200)
	with("POST", katapultRegenerate(id), "", "lends").want(200)
	before := s.snapshot()
	s.call("GET", katapultList, secret, "").wantKatapult(403, "scope_not_granted") // without it, nothing changes
	// What is lent widens nothing that is handed out.
	with("POST", katapultCreate, `{"organization":{"id":"acme"},"properties":{"scopes":["dns"]}}`, "lends").wantKatapult(403, "permission_denied")
	with("PATCH", katapultOne(id), `{"properties":{"scopes":["dns"]}}`, "lends").wantKatapult(403, "permission_denied")
	with("POST", katapultRegenerate(strong), "", "lends").wantKatapult(403, "permission_denied")
	with("GET", katapultList, "", "down").wantKatapult(503, "service_unavailable")
	for _, r := range katapultRoutes(s.get(weak.Token.ID()).ID()) {
		with(r.method, r.path, r.body, "x").wantKatapult(403, "invalid_capabilities_token")
		a := s.do(r.method, r.path, http.Header{"Authorization": {"Bearer " + secret}, "X-Capabilities-Token": {"lends", "lends"}}, strings.NewReader(""))
		a.wantKatapult(403, "invalid_capabilities_token")
		// Who has no token learns nothing of the second.
		s.call(r.method, r.path, "garbage", r.body, "X-Capabilities-Token", "x").wantKatapult(403, "invalid_api_token")
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestNothingThatGoesToAKatapultClientNamesAnOptionOfGo(t *testing.T) {
	s := start(t, func(u *setup) {
		u.issuer.MaxLifetime = time.Hour
		u.adapter.RateLimit = 1000
	})
	master := s.issue(remint.Spec{Capabilities: remint.Allow("*"), ExpiresAt: s.clock.now().Add(time.Minute)}).Secret.Reveal()
	broken := s.issue(remint.Spec{Prefix: "kat_", ExpiresAt: s.clock.now().Add(time.Minute), Capabilities: remint.Allow("*"),
		Attributes: map[string]string{httpadapter.RateLimitAttribute: "x"}})
	for _, a := range []answer{
		s.call("POST", katapultCreate, master, `{"organization":{"id":"acme"},"properties":{"name":"\u0000","scopes":[":","a b"],"authorized_ip_addresses":["x"]}}`),
		s.call("POST", katapultCreate, master, `{"organization":{"id":"acme"},"properties":{"expires_at":253402300799}}`),
		s.call("PATCH", katapultOne(broken.Token.ID().String()), master, `{"properties":{"expires_at":null}}`),
		s.call("GET", katapultList, broken.Secret.Reveal(), ""),
	} {
		if a.status == 200 {
			t.Errorf("%s", a.body)
		}
		for _, word := range []string{"Options", "Spec", "remint", "httpadapter", "Rotation"} {
			if strings.Contains(a.body, word) {
				t.Errorf("%s names %s", a.body, word)
			}
		}
	}
}
