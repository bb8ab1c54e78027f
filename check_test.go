package remint_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

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
