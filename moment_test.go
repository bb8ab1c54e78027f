package remint_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
)

// meddler does something after each read of a record.
type meddler struct {
	remint.Store
	after func(remint.ID)
	loads int
}

func (m *meddler) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	r, err := m.Store.Load(ctx, id)
	m.loads++
	if do := m.after; do != nil {
		m.after = nil
		do(id)
		m.after = do
	}
	return r, err
}

// What a bearer reads depends on its line, of which others may change what gives it no right.
func TestReadsBelowAnAncestorThatIsChangedWithoutEndAreAnswered(t *testing.T) {
	m := &meddler{Store: new(store.Memory)}
	i, err := remint.New(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	op := i.Operator("op")
	line := make([]remint.Grant, 4)
	for k := range line {
		var parent remint.ID
		if k > 0 {
			parent = line[k-1].Token.ID()
		}
		if line[k], err = op.Issue(t.Context(), remint.Spec{Owner: "o", Parent: parent, Capabilities: remint.Allow("*")}); err != nil {
			t.Fatal(err)
		}
	}
	root, leaf := line[0].Token.ID(), line[3]
	n := 0
	m.after = func(remint.ID) {
		n++
		if _, err := op.Update(t.Context(), root, func(s *remint.Spec) error { s.Name = fmt.Sprint("name ", n); return nil }); err != nil {
			t.Error(err)
		}
	}
	me := i.Bearer(leaf.Secret.Reveal(), netip.Addr{})
	for name, read := range map[string]func() error{
		"Get":             func() error { _, err := me.Get(t.Context(), leaf.Token.ID()); return err },
		"Live":            func() error { _, err := op.Live(t.Context(), leaf.Token.ID()); return err },
		"CancelRotation":  func() error { _, err := me.CancelRotation(t.Context(), leaf.Token.ID()); return err },
		"List":            func() error { return drain(me.List(t.Context(), remint.Query{Parent: leaf.Token.ID()})) },
		"a refused write": func() error { return wantForbidden(me.Revoke(t.Context(), root)) },
	} {
		m.loads = 0
		if err := read(); err != nil || m.loads > 100 {
			t.Errorf("%s: %v after %d loads", name, err, m.loads)
		}
	}
}

func drain(list func(func(remint.Token, error) bool)) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

func wantForbidden(err error) error {
	if errors.Is(err, remint.ErrForbidden) {
		return nil
	}
	return fmt.Errorf("%w, want ErrForbidden", err)
}

// Somebody who was revoked between the reading of its record and that of the target sees nothing
// that came after.
func TestWhoIsRevokedInMidReadSeesNothingThatCameAfter(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	m := &meddler{Store: w.store.Store}
	w.store.Store = m
	target := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	me := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	m.after = func(id remint.ID) {
		if id != me.Token.ID() {
			return
		}
		m.after = nil
		if err := w.op.Revoke(t.Context(), me.Token.ID()); err != nil {
			t.Error(err)
		}
		if _, err := w.op.Update(t.Context(), target.Token.ID(), func(s *remint.Spec) error { s.Name = "a secret plan"; return nil }); err != nil {
			t.Error(err)
		}
	}
	tok, err := w.bearer(me).Get(t.Context(), target.Token.ID())
	w.is(err, remint.ErrDenied, "as one who is revoked meanwhile")
	if tok.Spec().Name != "" {
		t.Errorf("it sees %q", tok.Spec().Name)
	}
}

// By a clock that is ahead a caller may have ended that lives: it must not throw its secret away.
func TestWhatAClockThatIsAheadHasChangedDeniesNobodyWhoLives(t *testing.T) {
	s := new(store.Memory)
	now := time.Now()
	issuer := func(ahead time.Duration) *remint.Issuer {
		i, err := remint.New(s, &remint.Options{Now: func() time.Time { return now.Add(ahead) }})
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	here, there := issuer(0), issuer(time.Hour)
	spec := remint.Spec{Owner: "o", Capabilities: remint.Allow("*")}
	target, err := here.Operator("op").Issue(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	spec.ExpiresAt = now.Add(30 * time.Minute)
	caller, err := here.Operator("op").Issue(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := there.Operator("op").Update(t.Context(), target.Token.ID(), func(s *remint.Spec) error { s.Name = "n"; return nil }); err != nil {
		t.Fatal(err)
	}
	me := here.Bearer(caller.Secret.Reveal(), netip.Addr{})
	_, err = me.Get(t.Context(), target.Token.ID())
	if errors.Is(err, remint.ErrDenied) || !errors.Is(err, remint.ErrConflict) {
		t.Errorf("reading what a clock that is ahead has changed: %v, want ErrConflict", err)
	}
	if _, err := me.Get(t.Context(), caller.Token.ID()); err != nil {
		t.Errorf("reading itself: %v", err)
	}
	now = now.Add(30 * time.Minute)
	if _, err := me.Get(t.Context(), target.Token.ID()); !errors.Is(err, remint.ErrDenied) {
		t.Errorf("after its end: %v, want ErrDenied", err)
	}
}
