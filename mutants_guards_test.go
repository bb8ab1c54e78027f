package remint_test

import (
	"context"
	"testing"

	"github.com/remint-go/remint"
)

// THREATS.md line 30, where the target does not stand below the caller's ancestors: they are
// read for the caller alone.
// It fails without the caller's ancestors among the guards (internal/mutants).
func TestACallerWhoseAncestorEndsMeanwhileChangesNothingElsewhere(t *testing.T) {
	for name, do := range map[string]func(context.Context, remint.Actor, remint.ID) error{
		"revokes":       func(ctx context.Context, a remint.Actor, id remint.ID) error { return a.Revoke(ctx, id) },
		"ends sessions": func(ctx context.Context, a remint.Actor, id remint.ID) error { return a.EndSessions(ctx, id) },
		"updates": func(ctx context.Context, a remint.Actor, id remint.ID) error {
			_, err := a.Update(ctx, id, func(s *remint.Spec) error { s.Name = "changed"; return nil })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newLawWorld(t, remint.Options{})
			root := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
			caller := w.issue(remint.Spec{Capabilities: remint.Allow("*"), Parent: root.Token.ID()})
			other := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
			w.store.before = func() {
				if err := w.op.EndSessions(t.Context(), root.Token.ID()); err != nil {
					t.Error(err)
				}
			}
			w.is(do(t.Context(), w.bearer(caller), other.Token.ID()), remint.ErrDenied, "as one whose ancestor ends meanwhile")
			tok, err := w.op.Get(t.Context(), other.Token.ID())
			if err != nil || tok.State().Revision != other.Token.State().Revision {
				t.Errorf("it changed the other token all the same: %+v, %v", tok.State(), err)
			}
		})
	}
}
