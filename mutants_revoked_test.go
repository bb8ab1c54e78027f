package remint_test

import (
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// THREATS.md line 6, rule 2 of Rotate: a token that has retired is rotated once more as long as nobody has
// used its successor, and one that was revoked is not.
// It fails without rule 2 of Rotate where nobody has used the successor (internal/mutants).
func TestARevokedTokenHasNoOtherSuccessorThoughNobodyHasUsedTheFirst(t *testing.T) {
	for name, retire := range map[string]remint.Retirement{
		"stopped at once": {}, "in its overlap": remint.RetireAfter(time.Hour), "waiting": remint.RetireAfterFirstUse(time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			w := newLawWorld(t, remint.Options{})
			old := w.issue(remint.Spec{})
			again := remint.Rotation{Successor: new(remint.Successor), Retire: retire}
			w.must(w.op.Rotate(t.Context(), old.Token.ID(), again))
			next := w.must(w.op.Rotate(t.Context(), old.Token.ID(), again))
			if err := w.op.Revoke(t.Context(), old.Token.ID()); err != nil {
				t.Fatal(err)
			}
			_, err := w.op.Rotate(t.Context(), old.Token.ID(), again)
			w.is(err, remint.ErrEnded, "rotating what was revoked")
			w.works(next, "the successor that it has")
		})
	}
}
