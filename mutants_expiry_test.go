package remint_test

import (
	"errors"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// THREATS.md line 8: the microseconds of a year that is far enough away are those of another one, which
// may be this year or one that is past.
// It fails without the year beyond which an expiry has no microseconds (internal/mutants).
func TestAYearThatMicrosecondsCannotCountIsNoExpiry(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	g := w.issue(remint.Spec{})
	const round = 1 << 64 / 1_000_000 // seconds, after which the microseconds begin anew
	at := time.Unix(round+1+w.now.Unix()+3600, 0)
	if near := time.UnixMicro(at.UnixMicro()); near.Sub(w.now).Abs() > 2*time.Hour {
		t.Fatalf("%v is taken for %v, and not for a moment near to %v", at, near, w.now)
	}
	_, err := w.op.Issue(t.Context(), remint.Spec{ExpiresAt: at})
	if _, wrong := errors.AsType[*remint.InputError](err); !wrong {
		t.Errorf("Issue: %v", err)
	}
	_, err = w.op.Update(t.Context(), g.Token.ID(), func(s *remint.Spec) error { s.ExpiresAt = at; return nil })
	if _, wrong := errors.AsType[*remint.InputError](err); !wrong {
		t.Errorf("Update: %v", err)
	}
}
