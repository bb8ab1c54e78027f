package remint_test

import (
	"context"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
)

// hooked runs something before it loads a record, once.
type hooked struct {
	remint.Store
	id     remint.ID
	before func()
}

func (h *hooked) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if before := h.before; before != nil && id == h.id {
		h.before = nil
		before()
	}
	return h.Store.Load(ctx, id)
}

// THREATS.md line 30, of what changes nothing: no commit guards it.
// It fails without the second look at what an answer rests on (internal/mutants).
func TestWhoIsRevokedMeanwhileSeesNothingThatCameAfter(t *testing.T) {
	h := &hooked{Store: new(store.Memory)}
	issuer, err := remint.New(h, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &lawWorld{T: t, issuer: issuer, op: issuer.Operator("op")}
	caller, target := w.issue(remint.Spec{}), w.issue(remint.Spec{})
	h.id, h.before = target.Token.ID(), func() {
		if err := w.op.Revoke(t.Context(), caller.Token.ID()); err != nil {
			t.Error(err)
		}
		if _, err := w.op.Update(t.Context(), h.id, func(s *remint.Spec) error { s.Name = "after"; return nil }); err != nil {
			t.Error(err)
		}
	}
	tok, err := w.bearer(caller).Get(t.Context(), h.id)
	w.is(err, remint.ErrDenied, "reading as one who is revoked meanwhile")
	if tok.Name() != "" {
		t.Errorf("it got %q", tok.Name())
	}
}

// Law 12: a record is judged by no earlier time than that of its last change. What was over then is not
// live again for a clock that is behind.
// It fails without the time of a record's last change, before which Verify judges nothing, and
// without the time of a record's last change, before which no bearer acts (internal/mutants).
func TestWhatWasChangedAfterItsEndIsOverForEveryClock(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	end := w.now.Add(time.Hour)
	g, other := w.issue(remint.Spec{ExpiresAt: end}), w.issue(remint.Spec{})
	w.now = end
	if err := w.op.EndSessions(t.Context(), g.Token.ID()); err != nil {
		t.Fatal(err)
	}
	w.now = end.Add(-time.Second)
	w.fails(g, "for a clock that is a second behind")
	_, err := w.bearer(g).Get(t.Context(), other.Token.ID())
	w.is(err, remint.ErrDenied, "acting by it")
}
