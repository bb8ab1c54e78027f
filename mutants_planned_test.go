package remint_test

import (
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// THREATS.md line 9, rule 6 of Rotate: an end that a rotation planned is not put off by the next
// one, whichever of the four ways the two go.
// It fails without each of these (internal/mutants): rule 6 of Rotate for a secret; rule 6 for what
// an earlier rotation planned; rule 6 for a grace that begins with a first use.
func TestNoRotationPutsOffAnEndThatAnEarlierOnePlanned(t *testing.T) {
	soon, late := remint.RetireAfter(time.Hour), remint.RetireAfter(48*time.Hour)
	successor := new(remint.Successor)
	for name, c := range map[string]struct{ first, next remint.Rotation }{
		"of a secret":                                {remint.Rotation{Retire: soon}, remint.Rotation{Retire: late}},
		"of a secret, by a successor":                {remint.Rotation{Retire: soon}, remint.Rotation{Retire: late, Successor: successor}},
		"of a token, by another successor":           {remint.Rotation{Retire: soon, Successor: successor}, remint.Rotation{Retire: late, Successor: successor}},
		"of a token, by a new secret":                {remint.Rotation{Retire: soon, Successor: successor}, remint.Rotation{Retire: late}},
		"of a secret, by a grace after a first use":  {remint.Rotation{Retire: soon}, remint.Rotation{Retire: remint.RetireAfterFirstUse(48 * time.Hour)}},
		"of a token, by a grace after a first use":   {remint.Rotation{Retire: soon, Successor: successor}, remint.Rotation{Retire: remint.RetireAfterFirstUse(48 * time.Hour), Successor: successor}},
		"of a token, by a grace after another's use": {remint.Rotation{Retire: soon, Successor: successor}, remint.Rotation{Retire: remint.RetireAfterFirstUse(48 * time.Hour)}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newLawWorld(t, remint.Options{})
			old := w.issue(remint.Spec{})
			w.must(w.op.Rotate(t.Context(), old.Token.ID(), c.first))
			fresh := w.must(w.op.Rotate(t.Context(), old.Token.ID(), c.next))
			w.works(fresh, "the new secret")
			w.now = w.now.Add(time.Hour - time.Microsecond)
			w.works(old, "the old secret, before its end")
			w.now = w.now.Add(time.Microsecond)
			w.fails(old, "the old secret, at its end")
			w.works(fresh, "the new secret, then")
		})
	}
}

// THREATS.md line 15, rule 8 of Rotate.
// It fails without rule 8 of Rotate for a secret, and without rule 8, for a successor
// (internal/mutants).
func TestANewSecretDoesNotLapseWhereTheOldOneWouldNotLiveOn(t *testing.T) {
	for name, successor := range map[string]*remint.Successor{"a secret": nil, "a successor": new(remint.Successor)} {
		t.Run(name, func(t *testing.T) {
			w := newLawWorld(t, remint.Options{Lapse: 2 * time.Hour})
			old := w.issue(remint.Spec{})
			w.must(w.op.Rotate(t.Context(), old.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)}))
			fresh := w.must(w.op.Rotate(t.Context(), old.Token.ID(), remint.Rotation{
				Retire: remint.RetireAfterFirstUse(0), Successor: successor,
			}))
			w.now = w.now.Add(time.Hour)
			w.fails(old, "the old secret, at its end")
			w.now = w.now.Add(time.Hour)
			w.works(fresh, "the new one, when it would have lapsed")
		})
	}
}
