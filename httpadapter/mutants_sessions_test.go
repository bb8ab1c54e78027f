package httpadapter_test

import (
	"strings"
	"testing"

	"github.com/remint-go/remint"
)

// THREATS.md line 32. That the session regenerates nothing is what RequireMaster is called for; that it
// manages nothing else either is what its comment promises.
// It fails without the option by which sessions manage nothing (internal/mutants).
func TestWhereTheMasterIsDemandedASessionManagesNothingOnAnyRoute(t *testing.T) {
	s := start(t, func(u *setup) { u.pocketPaw.RequireMaster = true })
	session := s.session(s.master().Secret.Reveal())
	target := s.issue(remint.Spec{Capabilities: remint.Allow("chat")})
	before := s.snapshot()
	for _, r := range mountedRoutes(target.Token.ID()) {
		if strings.HasSuffix(r.path, "/auth/logout") {
			continue // with it any session ends itself
		}
		if a := s.request(r, session); s.snapshot() != before {
			t.Fatalf("%s %s: %d, and something has changed", r.method, r.path, a.status)
		}
	}
}

// THREATS.md line 17: all that stands below, and not what the route is named after alone.
// It fails without the end of all that descends (internal/mutants).
func TestEndingSessionsEndsChildrenThatAreNone(t *testing.T) {
	s := start(t)
	master := s.master()
	child := s.issue(remint.Spec{Parent: master.Token.ID()})
	deeper := s.issue(remint.Spec{Parent: child.Token.ID()})
	if a := s.call("DELETE", "/tokens/self/sessions", master.Secret.Reveal(), ""); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if s.works(child.Secret.Reveal()) || s.works(deeper.Secret.Reveal()) || !s.works(master.Secret.Reveal()) {
		t.Error("the wrong ones work")
	}
}
