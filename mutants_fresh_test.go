package remint_test

import (
	"context"
	"testing"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
)

// stuck is a cache that keeps what it has, whatever is read past it.
type stuck struct {
	remint.Store
	old map[remint.ID]*remint.Record
}

func (c *stuck) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if r := c.old[id]; r != nil {
		return r, nil
	}
	return c.Store.Load(ctx, id)
}

func (c *stuck) Refresh(ctx context.Context, id remint.ID) (*remint.Record, error) {
	return c.Store.Load(ctx, id)
}

// Law 2: an operation is judged by what the store has, the caller as well as the target. A guard, or a
// second look, would only say that something has changed, again and again.
// It fails without the way past any cache for what is read of a target, and without the way past
// any cache for the caller (internal/mutants).
func TestWhatAnOperationIsJudgedByIsReadPastAnyCache(t *testing.T) {
	cache := &stuck{new(store.Memory), map[remint.ID]*remint.Record{}}
	issuer, err := remint.New(cache, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &lawWorld{T: t, issuer: issuer, op: issuer.Operator("op")}
	caller, target := w.issue(remint.Spec{Capabilities: remint.Allow("*")}), w.issue(remint.Spec{Name: "old"})
	stale := map[remint.ID]*remint.Record{}
	for _, g := range []remint.Grant{caller, target} {
		if stale[g.Token.ID()], err = cache.Store.Load(t.Context(), g.Token.ID()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.op.Update(t.Context(), target.Token.ID(), func(s *remint.Spec) error { s.Name = "new"; return nil }); err != nil {
		t.Fatal(err)
	}

	cache.old[target.Token.ID()] = stale[target.Token.ID()]
	if tok, err := w.bearer(caller).Get(t.Context(), target.Token.ID()); err != nil || tok.Name() != "new" {
		t.Errorf("with an old target in the cache: %q, %v", tok.Name(), err)
	}
	w.must(w.bearer(caller).Rotate(t.Context(), target.Token.ID(), remint.Rotation{}))

	if err := w.op.Revoke(t.Context(), caller.Token.ID()); err != nil {
		t.Fatal(err)
	}
	cache.old[caller.Token.ID()] = stale[caller.Token.ID()]
	_, err = w.bearer(caller).Get(t.Context(), target.Token.ID())
	w.is(err, remint.ErrDenied, "reading as one who is live in the cache only")
}
