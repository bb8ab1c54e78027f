package remint_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/remint-go/remint"
)

// THREATS.md line 19, of the one error that is made where a secret is at hand: it names the token and
// the pepper.
// It fails without the silence of the one error that is made beside a secret (internal/mutants).
func TestTheErrorOfAMissingPepperHoldsNoSecret(t *testing.T) {
	with := newBed(t, withPeppers(pepperA))
	g := with.issue(remint.Spec{})
	without := bedOver(t, with.store, with.clock, withPeppers(pepperB))
	c := newCanary("the secret", g.Secret.Reveal())
	for _, op := range operations {
		err := op.do(t.Context(), without.Bearer(g.Secret.Reveal(), netip.Addr{}), g.Token.ID())
		if err == nil {
			t.Errorf("%s: there is no error", op.name)
		}
		c.absent(t, op.name, fmt.Sprintf("%v %+v %#v", err, err, err))
	}
	_, err := without.Verify(t.Context(), g.Secret.Reveal(), netip.Addr{})
	if err == nil {
		t.Error("Verify: there is no error")
	}
	c.absent(t, "Verify", fmt.Sprintf("%v %+v %#v", err, err, err))
}
