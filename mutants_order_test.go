package remint_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// Law 11: whoever has no live secret learns nothing of networks, not even that there are any.
// It fails without the judgement of networks after that of the token's life (internal/mutants).
func TestWhoIsDeniedForAnythingElseLearnsNothingOfNetworks(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	elsewhere := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	expired := w.issue(remint.Spec{Networks: elsewhere, ExpiresAt: w.now.Add(time.Minute)})
	revoked, rotated := w.issue(remint.Spec{Networks: elsewhere}), w.issue(remint.Spec{Networks: elsewhere})
	parent := w.issue(remint.Spec{Networks: elsewhere})
	child := w.issue(remint.Spec{Networks: elsewhere, Parent: parent.Token.ID()})
	for _, g := range []remint.Grant{revoked, parent} {
		if err := w.op.Revoke(t.Context(), g.Token.ID()); err != nil {
			t.Fatal(err)
		}
	}
	w.must(w.op.Rotate(t.Context(), rotated.Token.ID(), remint.Rotation{}))
	w.now = w.now.Add(time.Minute)
	for what, g := range map[string]remint.Grant{
		"expired": expired, "revoked": revoked, "rotated": rotated, "below what was revoked": child,
	} {
		if _, err := w.issuer.Verify(t.Context(), g.Secret.Reveal(), lawAddr); err != remint.ErrDenied {
			t.Errorf("%s: %v, want exactly ErrDenied", what, err)
		}
	}
}

// Law 11, of the observer: who has none of a token's secrets is denied for that, whatever has become of
// the token.
// It fails without the judgement of the secret before that of the token's life (internal/mutants).
func TestAWrongSecretIsDeniedForThatWhateverHasBecomeOfItsToken(t *testing.T) {
	b := newBed(t, nil)
	live, expired, revoked := b.issue(remint.Spec{}), b.issue(remint.Spec{ExpiresAt: b.in(time.Minute)}), b.issue(remint.Spec{})
	b.revoke(revoked.Token.ID())
	b.wait(time.Minute)
	other := b.issue(remint.Spec{}).Secret.Reveal()
	for _, g := range []remint.Grant{live, expired, revoked} {
		forged := sealText(g.Secret.Reveal()[:29] + other[29:72])
		b.took()
		if _, err := b.Verify(t.Context(), forged, netip.Addr{}); err != remint.ErrDenied {
			t.Errorf("a forged secret: %v", err)
		}
		if seen := b.took(); len(seen) != 1 || seen[0].Reason != remint.ReasonSecret {
			t.Errorf("the observer heard %v", seen)
		}
	}
}
