package httpadapter_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

func TestWhoPresentsWhatIsBeingRetiredIsTold(t *testing.T) {
	for _, on := range []bool{true, false} {
		s := start(t, func(u *setup) { u.adapter.Deprecation = on })
		old := s.issue(remint.Spec{Prefix: "nat_", Capabilities: remint.Allow("*")})
		rotated := s.clock.now()
		g, err := s.issuer.Operator("test").Rotate(t.Context(), old.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/me", "/tokens/self", "/v2/tokens"} {
			a := s.call("GET", path, old.Secret.Reveal(), "")
			since, until := "", ""
			if on {
				since, until = fmt.Sprint("@", rotated.Unix()), rotated.Add(time.Hour).UTC().Format(http.TimeFormat)
			}
			if a.status != 200 || a.header.Get("Deprecation") != since || a.header.Get("Sunset") != until {
				t.Errorf("%s: %d %v, want %s %s", path, a.status, a.header, since, until)
			}
			if a := s.call("GET", path, g.Secret.Reveal(), ""); a.header.Get("Deprecation")+a.header.Get("Sunset") != "" {
				t.Errorf("%s, with the new secret: %v", path, a.header)
			}
		}
	}
}

func TestAnOldSecretThatWaitsForTheNewOneHasNoSunset(t *testing.T) {
	s := start(t, func(u *setup) { u.adapter.Deprecation = true })
	old := s.issue(remint.Spec{Prefix: "nat_"})
	if _, err := s.issuer.Operator("test").Rotate(t.Context(), old.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0)}); err != nil {
		t.Fatal(err)
	}
	a := s.call("GET", "/me", old.Secret.Reveal(), "")
	if a.status != 200 || a.header.Get("Deprecation") == "" || a.header.Get("Sunset") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := s.call("GET", "/me", otherSecret(old.Secret.Reveal()), ""); a.header.Get("Deprecation") != "" {
		t.Errorf("a stranger is told: %v", a.header)
	}
}

func TestAxiomsNowMayWaitForTheFirstUse(t *testing.T) {
	for _, c := range []struct {
		retire remint.Retirement
		works  bool
	}{{remint.Retirement{}, false}, {remint.RetireAfterFirstUse(0), true}} {
		s := start(t, func(u *setup) { u.axiom.RetireNow = c.retire })
		id, secret := s.axiomToken(s.master().Secret.Reveal(), `{"orgCapabilities":{"apiTokens":["update"]}}`)
		body := `{"existingTokenExpiresAt":"` + s.clock.now().Format(time.RFC3339Nano) + `"}`
		lost := s.call("POST", "/v2/tokens/"+id+"/regenerate", secret, body).want(200)
		if s.works(secret) != c.works {
			t.Errorf("the old token works: %v", !c.works)
		}
		if !c.works {
			continue
		}
		next, _ := s.call("POST", "/v2/tokens/"+id+"/regenerate", secret, body).want(200)["token"].(string)
		first, _ := lost["token"].(string)
		if s.works(first) || !s.works(next) || s.works(secret) {
			t.Error("the lost one works, or the new one does not, or the old one after that")
		}
		// A time that is ahead is kept to.
		id, secret = s.axiomToken(s.master().Secret.Reveal(), `{"orgCapabilities":{"apiTokens":["update"]}}`)
		s.call("POST", "/v2/tokens/"+id+"/regenerate", secret, `{"existingTokenExpiresAt":"`+s.clock.now().Add(time.Minute).Format(time.RFC3339Nano)+`"}`).want(200)
		s.clock.advance(time.Minute)
		if s.works(secret) {
			t.Error("the old token works after its time")
		}
	}
}
