package httpadapter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"testing"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

// lending is a service whose second credential "good" lends the capabilities, "down" finds its
// store failed, and any other is invalid.
func lending(t *testing.T, caps ...remint.Capability) (*service, *[]remint.ID) {
	var asked []remint.ID
	s := start(t, func(u *setup) {
		u.adapter.CapabilitiesToken = func(_ context.Context, text string, tok remint.Token, from netip.Addr) (remint.Capabilities, error) {
			if !from.IsLoopback() {
				t.Errorf("from %v", from)
			}
			asked = append(asked, tok.ID())
			switch text {
			case "good":
				return remint.Allow(caps...), nil
			case "down":
				return remint.Capabilities{}, fmt.Errorf("%w: keys", remint.ErrUnavailable)
			}
			return remint.Capabilities{}, errors.New("bad signature")
		}
	})
	return s, &asked
}

const second = "X-Capabilities-Token"

func TestASecondCredentialAddsToRequire(t *testing.T) {
	s, asked := lending(t, "reports:read")
	g := s.issue(remint.Spec{Capabilities: remint.Allow("other")})
	secret := g.Secret.Reveal()
	for text, want := range map[string]int{"": 403, "good": 200, "bad": 403, "down": 503} {
		if a := s.call("GET", "/reports", secret, "", second, text); a.status != want {
			t.Errorf("with %q: %d %s", text, a.status, a.body)
		}
	}
	two := http.Header{"Authorization": {"Bearer " + secret}, second: {"good", "good"}}
	if a := s.do("GET", "/reports", two, nil); a.status != 403 {
		t.Errorf("with two: %d", a.status)
	}
	if a := s.call("GET", "/me", secret, "", second, "bad"); a.status != 403 {
		t.Errorf("an invalid one where none is needed: %d", a.status)
	}
	for _, id := range *asked {
		if id != g.Token.ID() {
			t.Errorf("asked of %v", id)
		}
	}
	*asked = nil
	if a := s.call("GET", "/reports", "garbage", "", second, "good"); a.status != 401 || len(*asked) != 0 {
		t.Errorf("without a live token: %d, and asked %d times", a.status, len(*asked))
	}
}

func TestASecondCredentialIsNotLookedAtWithoutAJudge(t *testing.T) {
	s := start(t)
	g := s.issue(remint.Spec{Capabilities: remint.Allow("reports:read")})
	if a := s.call("GET", "/reports", g.Secret.Reveal(), "", second, "bad"); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestAllowsCountsWhatWasLent(t *testing.T) {
	var got []bool
	s, _ := lending(t, "lent")
	web := httpadapter.New(s.issuer, &httpadapter.Options{
		CapabilitiesToken: func(context.Context, string, remint.Token, netip.Addr) (remint.Capabilities, error) {
			return remint.Allow("lent"), nil
		},
		CapabilitiesHeader: "x-extra",
	})
	s.handler.Handle("GET /allows", web.Authenticate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tok, _ := httpadapter.TokenFromContext(r.Context())
		got = []bool{
			httpadapter.Allows(r.Context(), "own"), httpadapter.Allows(r.Context(), "lent"),
			httpadapter.Allows(r.Context(), "neither"), tok.Allows("lent"), httpadapter.Allows(context.Background(), "own"),
		}
		io.WriteString(w, "ok")
	})))
	g := s.issue(remint.Spec{Capabilities: remint.Allow("own")})
	for value, want := range map[string][]bool{"x": {true, true, false, false, false}, "": {true, false, false, false, false}} {
		if a := s.call("GET", "/allows", g.Secret.Reveal(), "", "X-Extra", value); a.status != 200 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("with %q: %d, %v", value, a.status, got)
		}
	}
}

func TestWhatIsLentIsNotIssued(t *testing.T) {
	s, _ := lending(t, "api_tokens", "dns")
	g := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("vms")})
	secret := g.Secret.Reveal()
	create := func(scope, text string) answer {
		return s.call("POST", katapultCreate, secret, `{"organization":{"id":"acme"},"properties":{"name":"n","scopes":["`+scope+`"]}}`, second, text)
	}
	create("vms", "").wantKatapult(403, "scope_not_granted")
	create("vms", "bad").wantKatapult(403, "invalid_capabilities_token")
	create("vms", "down").wantKatapult(503, "service_unavailable")
	before := s.snapshot()
	create("dns", "good").wantKatapult(403, "permission_denied")
	create("api_tokens", "good").wantKatapult(403, "permission_denied")
	if s.snapshot() != before {
		t.Error("something changed")
	}
	create("vms", "good").want(200)
	// A route of a format that documents no such credential does not look at it.
	a := s.call("GET", "/v2/tokens/"+g.Token.ID().String(), secret, "", second, "bad")
	if m := a.want(403); m["message"] != "the API token lacks the capability org:apiTokens:read" {
		t.Error(a.body)
	}
}
