package remint_test

import (
	"testing"

	"github.com/remint-go/remint"
)

// THREATS.md line 14: what nobody has used cannot be reused, and is not remembered in the place of what
// was. So no number of rotations whose answers were lost hides a reuse.
// It fails without the oblivion of secrets that nobody has used (internal/mutants).
func TestRotationsThatNobodyUsedHideNoReuse(t *testing.T) {
	b := newBed(t, nil)
	used := b.issue(remint.Spec{})
	b.accepted(used)
	for range 20 {
		b.rotate(used.Token.ID(), remint.Rotation{})
	}
	b.denied(used, remint.ReasonRetired)
}
