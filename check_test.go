package remint_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// It fails without the bound of a parent on its sessions' capabilities, and without the difference
// between what is lent and what is had (internal/mutants).
func TestWhatACheckLendsIsNotHandedOut(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	g := w.issue(remint.Spec{Capabilities: remint.Allow("b")})
	me := w.bearer(g).Needing("a").WithCheck(func(context.Context, remint.Token) (remint.Capabilities, error) {
		return remint.Allow("a"), nil
	})
	_, err := me.Issue(t.Context(), remint.Spec{Capabilities: remint.Allow("a")})
	w.is(err, remint.ErrForbidden, "issuing what was lent")
	_, err = me.Update(t.Context(), g.Token.ID(), func(s *remint.Spec) error { s.Capabilities = remint.Allow("a"); return nil })
	w.is(err, remint.ErrForbidden, "updating oneself to what was lent")
	_, err = me.StartSession(t.Context(), g.Token.ID(), remint.Session{Capabilities: remint.Allow("a")})
	if err == nil {
		t.Error("a session was started with what was lent")
	}
	if n, err := me.Issue(t.Context(), remint.Spec{Capabilities: remint.Allow("b")}); err != nil || n.Token.Allows("a") {
		t.Errorf("issuing what one has: %v", err)
	}
}

func TestACheckIsAskedOfWhatIsLiveOnly(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	g := w.issue(remint.Spec{Capabilities: remint.Allow("b")})
	refused := errors.New("refused")
	var asked []remint.Token
	check := func(_ context.Context, tok remint.Token) (remint.Capabilities, error) {
		asked = append(asked, tok)
		return remint.Capabilities{}, refused
	}
	_, err := w.bearer(g).Needing("missing").WithCheck(check).Get(t.Context(), g.Token.ID())
	w.is(err, refused, "a check's error comes before a missing capability")
	if len(asked) != 1 || asked[0].ID() != g.Token.ID() {
		t.Errorf("asked of %v", asked)
	}
	if err := w.op.Revoke(t.Context(), g.Token.ID()); err != nil {
		t.Fatal(err)
	}
	_, err = w.bearer(g).WithCheck(check).Get(t.Context(), g.Token.ID())
	w.is(err, remint.ErrDenied, "revoked")
	_, err = w.op.WithCheck(check).Get(t.Context(), g.Token.ID())
	w.is(err, nil, "an operator")
	if len(asked) != 1 {
		t.Errorf("asked %d times", len(asked))
	}
	defer func() {
		if recover() == nil {
			t.Error("WithCheck(nil) does not panic")
		}
	}()
	w.op.WithCheck(nil)
}

func TestStateSaysWhyATokenHasEnded(t *testing.T) {
	w := newLawWorld(t, remint.Options{Lapse: time.Hour})
	ctx := t.Context()
	ended := func(id remint.ID) string {
		tok, err := w.op.Get(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return tok.State().Ended
	}
	live, short, gone, old := w.issue(remint.Spec{}), w.issue(remint.Spec{ExpiresAt: w.now.Add(time.Minute)}), w.issue(remint.Spec{}), w.issue(remint.Spec{})
	waiting := w.issue(remint.Spec{})
	if err := w.op.Revoke(ctx, gone.Token.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.op.Rotate(ctx, old.Token.ID(), remint.Rotation{Successor: &remint.Successor{}}); err != nil {
		t.Fatal(err)
	}
	next, err := w.op.Rotate(ctx, waiting.Token.ID(), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfterFirstUse(0)})
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(2 * time.Hour)
	for id, want := range map[remint.ID]string{
		live.Token.ID(): "", short.Token.ID(): remint.ReasonExpired, gone.Token.ID(): remint.ReasonRevoked,
		old.Token.ID(): remint.ReasonRetired, waiting.Token.ID(): "", next.Token.ID(): remint.ReasonLapsed,
	} {
		if got := ended(id); got != want {
			t.Errorf("Ended %q, want %q", got, want)
		}
	}
	if (remint.Token{}).State() != (remint.State{}) {
		t.Error("the zero Token has a State")
	}
}

func TestChangingAttributesEndsSessionsAndNoOtherChildren(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	admin := w.issue(remint.Spec{Capabilities: remint.Allow("*"), Attributes: map[string]string{"role": "admin"}})
	child := w.issue(remint.Spec{Parent: admin.Token.ID(), Capabilities: remint.Allow("*")})
	session := w.must(w.op.StartSession(ctx, admin.Token.ID(), remint.Session{Manages: true}))
	kept := w.must(w.op.Rotate(ctx, admin.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour), KeepSessions: true}))
	w.works(session, "the session")
	set := func(name, role string) {
		t.Helper()
		if _, err := w.op.Update(ctx, admin.Token.ID(), func(s *remint.Spec) error {
			s.Name, s.Attributes = name, map[string]string{"role": role}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	set("renamed", "admin")
	w.works(session, "the session, as its attributes are the same")
	set("renamed", "guest")
	w.fails(session, "a session with what was true")
	w.works(child, "another child")
	w.works(admin, "the old secret")
	w.works(kept, "the new secret")
	fresh := w.must(w.op.StartSession(ctx, admin.Token.ID(), remint.Session{}))
	if fresh.Token.Attribute("role") != "guest" {
		t.Error("a new session has what was true")
	}
	w.works(fresh, "a new session")
	w.must(w.op.Rotate(ctx, admin.Token.ID(), remint.Rotation{}))
	w.fails(fresh, "the new session, after a rotation")
}

func TestASecretIsRevokedByWhoMayAndByNobodyElse(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	caller := w.issue(remint.Spec{Owner: "o", Capabilities: remint.Allow("*")})
	g := w.issue(remint.Spec{Owner: "o"})
	other := w.issue(remint.Spec{Owner: "another"})
	old := w.issue(remint.Spec{Owner: "o"})
	w.must(w.op.Rotate(ctx, old.Token.ID(), remint.Rotation{}))
	me := w.bearer(caller)
	forged := g.Secret.Reveal()[:30] + old.Secret.Reveal()[30:]
	for what, text := range map[string]string{"garbage": "x", "another owner's": other.Secret.Reveal(), "a retired secret": old.Secret.Reveal(), "a wrong checksum": forged} {
		before := len(w.store.batches)
		w.is(me.RevokeSecret(ctx, text), remint.ErrNotFound, what)
		if len(w.store.batches) != before {
			t.Errorf("%s changed something", what)
		}
	}
	// A plain session learns nothing of a secret.
	session := w.must(w.op.StartSession(ctx, caller.Token.ID(), remint.Session{}))
	for what, text := range map[string]string{"a live secret": g.Secret.Reveal(), "a retired one": old.Secret.Reveal()} {
		w.is(w.bearer(session).RevokeSecret(ctx, text), remint.ErrForbidden, what)
	}
	if err := w.bearer(session).RevokeSecret(ctx, session.Secret.Reveal()); err != nil {
		t.Errorf("a session, of itself: %v", err)
	}
	w.fails(session, "it")

	// A successor that nobody has used is not confirmed by this, and its predecessor lives.
	next := w.must(w.op.Rotate(ctx, g.Token.ID(), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfterFirstUse(0)}))
	if err := me.RevokeSecret(ctx, next.Secret.Reveal()); err != nil {
		t.Fatal(err)
	}
	w.fails(next, "the successor")
	w.works(g, "its predecessor")
	if err := me.RevokeSecret(ctx, g.Secret.Reveal()); err != nil {
		t.Fatal(err)
	}
	w.fails(g, "what was revoked")
	w.is(me.RevokeSecret(ctx, g.Secret.Reveal()), remint.ErrNotFound, "again")
}
