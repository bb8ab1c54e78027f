package remint_test

import (
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// THREATS.md line 9: what the bearer of a retiring secret starts is as old as that secret, and not as the one that
// has replaced it.
// It fails without the secret that was presented, from which a session is started
// (internal/mutants).
func TestASessionEndsWithTheSecretThatItsBearerPresented(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	old := w.issue(remint.Spec{})
	w.must(w.op.Rotate(t.Context(), old.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)}))
	session := w.must(w.bearer(old).StartSession(t.Context(), old.Token.ID(), remint.Session{}))
	w.now = w.now.Add(time.Hour - time.Microsecond)
	w.works(session, "the session, before the end of its secret")
	w.now = w.now.Add(time.Microsecond)
	w.fails(session, "the session, at the end of its secret")
}
