package httpadapter_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

const isInactive = `{"active":false}`

func TestIntrospectionTellsWhatALiveTokenIs(t *testing.T) {
	s := start(t)
	g := s.master()
	master := g.Secret.Reveal()
	at := s.clock.now().Add(time.Hour)
	tok := s.issue(remint.Spec{
		Name: "ci", Capabilities: remint.Allow("reports:read", "x"), ExpiresAt: at, Parent: g.Token.ID(),
		Attributes: map[string]string{"plan": "gold"}, Prefix: "kat_",
	})
	want := map[string]any{
		"active": true, "scope": "reports:read x", "token_type": "Bearer", "sub": "acme", "jti": tok.Token.ID().String(),
		"iat": float64(tok.Token.State().CreatedAt.Unix()), "exp": float64(at.Unix()),
		"name": "ci", "parent": g.Token.ID().String(), "attributes": map[string]any{"plan": "gold"},
	}
	for _, form := range []string{"token=" + tok.Secret.Reveal(), "token_type_hint=refresh_token&token=" + tok.Secret.Reveal() + "&client_secret=x"} {
		if got := s.post("/introspect", master, form).want(200); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	}
	// Itself, and a session.
	if m := s.post("/introspect", master, "token="+master).want(200); m["active"] != true || m["exp"] != nil || m["scope"] != "*" {
		t.Errorf("%v", m)
	}
	_, session := s.call("POST", "/tokens/self/sessions", master, `{"lifetime":60}`).made(201)
	if m := s.post("/introspect", master, "token="+session).want(200); m["session"] != true || m["exp"] == nil {
		t.Errorf("%v", m)
	}
	// A secret that is being retired stops before its token does.
	if _, err := s.issuer.Operator("test").Rotate(t.Context(), tok.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if m := s.post("/introspect", master, "token="+tok.Secret.Reveal()).want(200); m["exp"] != float64(s.clock.now().Add(time.Minute).Unix()) {
		t.Errorf("%v", m)
	}
}

func TestIntrospectionIsAUseAsVerifyIs(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	g := s.issue(remint.Spec{})
	fresh, err := s.issuer.Operator("test").Rotate(t.Context(), g.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
	if err != nil {
		t.Fatal(err)
	}
	if m := s.post("/introspect", master, "token="+fresh.Secret.Reveal()).want(200); m["active"] != true || s.works(g.Secret.Reveal()) {
		t.Errorf("%v", m)
	}
}

// It fails without the owner before anything of a token is judged that is introspected
// (internal/mutants).
func TestWhatIsNoLiveTokenOfTheCallersOwnerIsInactiveAndLeavesNoTrace(t *testing.T) {
	s := start(t)
	op := s.issuer.Operator("test")
	master := s.master().Secret.Reveal()
	rotate := func(g remint.Grant, how remint.Retirement) remint.Grant {
		next, err := op.Rotate(t.Context(), g.Token.ID(), remint.Rotation{Retire: how})
		if err != nil {
			t.Fatal(err)
		}
		return next
	}
	foreign := s.issue(remint.Spec{Owner: "other"})
	waiting := rotate(s.issue(remint.Spec{Owner: "other"}), remint.RetireAfterFirstUse(0))
	retired := s.issue(remint.Spec{Owner: "other"})
	rotate(retired, remint.Retirement{})
	revoked := s.issue(remint.Spec{})
	if err := op.Revoke(t.Context(), revoked.Token.ID()); err != nil {
		t.Fatal(err)
	}
	expired := s.issue(remint.Spec{ExpiresAt: s.clock.now().Add(time.Second)})
	local := s.issue(remint.Spec{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	unconfirmed := rotate(s.issue(remint.Spec{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}), remint.RetireAfterFirstUse(0))
	s.clock.advance(time.Second)
	before := s.snapshot()
	for name, form := range map[string]string{
		"another owner's":                   "token=" + foreign.Secret.Reveal(),
		"another owner's, unconfirmed":      "token=" + waiting.Secret.Reveal(),
		"another owner's, retired":          "token=" + retired.Secret.Reveal(),
		"unknown":                           "token=" + newService(t).master().Secret.Reveal(),
		"malformed":                         "token=x",
		"huge":                              "token=" + strings.Repeat("x", 60000),
		"revoked":                           "token=" + revoked.Secret.Reveal(),
		"expired":                           "token=" + expired.Secret.Reveal(),
		"bound to networks":                 "token=" + local.Secret.Reveal(),
		"bound to networks, from elsewhere": "token=" + local.Secret.Reveal() + "&client_ip=127.0.0.1",
		"bound to networks, unconfirmed":    "token=" + unconfirmed.Secret.Reveal(),
	} {
		seen := len(s.events.all())
		s.post("/introspect", master, form).wantBody(200, isInactive)
		for _, e := range s.events.all()[seen:] {
			if e.Owner == "other" {
				t.Errorf("%s: %v", name, e)
			}
		}
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
	for _, from := range []string{"192.0.2.7", "::ffff:192.0.2.7"} {
		if m := s.post("/introspect", master, "token="+local.Secret.Reveal()+"&client_ip="+url.QueryEscape(from)).want(200); m["active"] != true {
			t.Errorf("%s: %v", from, m)
		}
	}
}

func TestAFormThatCannotBeUsedIsAnInvalidRequest(t *testing.T) {
	s := start(t)
	g := s.master()
	master := g.Secret.Reveal()
	before := s.snapshot()
	for _, path := range []string{"/introspect", "/revoke"} {
		for _, c := range []struct {
			body, contentType string
			status            int
		}{
			{"", formType, 400},
			{"token=", formType, 400},
			{"Token=x", formType, 400},
			{"token=" + master + "&token=" + master, formType, 400},
			{"token=" + master + "&token=", formType, 400},
			{"token=" + master + "&token_type_hint=a&token_type_hint=b", formType, 400},
			{"token=%zz", formType, 400},
			{"token=" + master + ";x=y", formType, 400},
			{"token=" + master, "application/json", 415},
			{"token=" + master, "text/plain", 415},
			{"token=" + master, "", 415},
			{"token=" + master, formType + "; charset=utf-16", 415},
			{"token=" + strings.Repeat("x", 64<<10), formType, 413},
		} {
			if m := s.call("POST", path, master, c.body, "Content-Type", c.contentType).wantProblem(c.status, ""); m["error"] != "invalid_request" {
				t.Errorf("%.60s: %v", c.body, m)
			}
		}
		// In the URL it would be in logs.
		s.post(path+"?token="+master, master, "").wantProblem(400, "invalid")
		h := http.Header{"Authorization": {"Bearer " + master}, "Content-Type": {formType, formType}}
		s.do("POST", path, h, strings.NewReader("token="+master)).wantProblem(415, "")
	}
	for _, bad := range []string{"x", "127.0.0.1/8", "fe80::1%25eth0", "127.0.0.1:80"} {
		if m := s.post("/introspect", master, "token="+master+"&client_ip="+bad).wantProblem(400, "invalid"); m["error"] != "invalid_request" {
			t.Errorf("%s: %v", bad, m)
		}
	}
	if s.snapshot() != before || !s.works(master) {
		t.Error("something changed")
	}
	if m := s.call("POST", "/introspect", master, "token="+master, "Content-Type", formType+"; charset=UTF-8").want(200); m["active"] != true {
		t.Errorf("%v", m)
	}
}

func TestATokenIsRevokedByItsSecret(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	for name, spec := range map[string]remint.Spec{
		"a token":                  {},
		"one bound to networks":    {Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}},
		"one that may do a lot":    {Capabilities: remint.Allow("*")},
		"one of another prefix":    {Prefix: "kat_"},
		"one with attributes":      {Attributes: map[string]string{"a": "b"}},
		"one that expires one day": {ExpiresAt: s.clock.now().Add(time.Hour)},
	} {
		g := s.issue(spec)
		if a := s.post("/revoke", master, "token_type_hint=access_token&token="+g.Secret.Reveal()); a.status != 200 || a.body != "" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if s.get(g.Token.ID()).State().RevokedAt.IsZero() {
			t.Errorf("%s lives", name)
		}
	}
}

func TestRevokingWhatIsNoLiveTokenOfTheCallersOwnerChangesNothing(t *testing.T) {
	s := start(t)
	op := s.issuer.Operator("test")
	master := s.master().Secret.Reveal()
	foreign := s.issue(remint.Spec{Owner: "other"})
	waiting, err := op.Rotate(t.Context(), s.issue(remint.Spec{Owner: "other"}).Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
	if err != nil {
		t.Fatal(err)
	}
	live := s.issue(remint.Spec{})
	forged := s.forged(live)
	revoked := s.issue(remint.Spec{})
	if err := op.Revoke(t.Context(), revoked.Token.ID()); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"another owner's":              foreign.Secret.Reveal(),
		"another owner's, unconfirmed": waiting.Secret.Reveal(),
		"unknown":                      newService(t).master().Secret.Reveal(),
		"malformed":                    "x",
		"an ID":                        live.Token.ID().String(),
		"another secret of that ID":    forged,
		"revoked":                      revoked.Secret.Reveal(),
	} {
		weak := s.issue(remint.Spec{Owner: "third"}).Secret.Reveal()
		before := s.snapshot()
		if a := s.post("/revoke", master, "token="+text); a.status != 200 || a.body != "" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		s.post("/revoke", weak, "token="+text).wantProblem(403, "insufficient_scope")
		if s.snapshot() != before {
			t.Errorf("%s: something changed", name)
		}
	}
	if !s.works(live.Secret.Reveal()) || !s.works(foreign.Secret.Reveal()) {
		t.Error("one of them was revoked")
	}
	// One that a rotation has retired is no way to end what took its place.
	fresh, err := op.Rotate(t.Context(), live.Token.ID(), remint.Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	if a := s.post("/revoke", master, "token="+live.Secret.Reveal()); a.status != 200 || !s.works(fresh.Secret.Reveal()) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// forged is a well-formed text with the ID of g, and a secret that is not its own.
func (s *service) forged(g remint.Grant) string {
	s.t.Helper()
	op := s.issuer.Operator("test")
	next, err := op.Rotate(s.t.Context(), g.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
	if err == nil {
		_, err = op.CancelRotation(s.t.Context(), g.Token.ID())
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return next.Secret.Reveal()
}

// It fails without the revocation by secret that confirms nothing (internal/mutants).
func TestRevokingASuccessorThatNobodyHasUsedLeavesItsPredecessor(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id, old := s.call("POST", "/tokens", master, `{}`).made(201)
	_, fresh := s.call("POST", "/tokens/"+id+"/rotate", master, `{"successor":true,"retire":{"after_first_use":0}}`).made(201)
	if a := s.post("/revoke", master, "token="+fresh); a.status != 200 || s.works(fresh) || !s.works(old) {
		t.Errorf("%d %s; the new one works: %v, the old one: %v", a.status, a.body, s.works(fresh), s.works(old))
	}
}

func TestWhatACallerMayNotRevokeIsForbidden(t *testing.T) {
	s := start(t)
	parent := s.issue(remint.Spec{Capabilities: remint.Allow("*")})
	child := s.issue(remint.Spec{Capabilities: remint.Allow("*"), Parent: parent.Token.ID()})
	s.post("/revoke", child.Secret.Reveal(), "token="+parent.Secret.Reveal()).wantProblem(403, "forbidden")
	if !s.works(parent.Secret.Reveal()) {
		t.Error("it was revoked")
	}
	// A secret that is being retired only authenticates.
	if _, err := s.issuer.Operator("test").Rotate(t.Context(), child.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if m := s.post("/introspect", parent.Secret.Reveal(), "token="+child.Secret.Reveal()).want(200); m["active"] != true {
		t.Errorf("%v", m)
	}
}

func TestAnOutageIsNoAnswerAboutAToken(t *testing.T) {
	// The store fails at each of its calls in turn.
	for _, path := range []string{"/introspect", "/revoke"} {
		failed := 0
		for n := 1; ; n++ {
			s := start(t)
			master, g := s.master().Secret.Reveal(), s.issue(remint.Spec{})
			up := s.store.Store
			s.store.Store = &countdown{Store: up, left: n}
			a := s.post(path, master, "token="+g.Secret.Reveal())
			s.store.Store = up
			if a.status == 200 {
				if strings.Contains(a.body, "false") || path == "/revoke" && s.works(g.Secret.Reveal()) {
					t.Errorf("%s, call %d: %s", path, n, a.body)
				}
				break
			}
			if failed++; n > 50 {
				t.Fatal("it does not end")
			}
			a.wantProblem(503, "unavailable")
		}
		if failed < 3 {
			t.Errorf("%s: it was asked %d times", path, failed)
		}
	}
}

// A countdown is a store that goes down at its call number left.
type countdown struct {
	remint.Store
	left int
}

var errDown = errors.New("disk on fire")

func (c *countdown) down() bool {
	c.left--
	return c.left <= 0
}

func (c *countdown) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if c.down() {
		return nil, errDown
	}
	return c.Store.Load(ctx, id)
}

func (c *countdown) Commit(ctx context.Context, b remint.Batch) error {
	if c.down() {
		return errDown
	}
	return c.Store.Commit(ctx, b)
}

// all returns the events so far.
func (e *events) all() []remint.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]remint.Event(nil), e.list...)
}
