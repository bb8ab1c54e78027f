package remint_test

import (
	"net/netip"
	"testing"

	"github.com/remint-go/remint"
)

// THREATS.md line 10: a bearer is bounded by its ancestors' networks, too. Of a token that stands elsewhere and
// reaches further it cannot get a secret in any case; it must not change it either.
// It fails without the bound of the networks of a bearer's ancestors (internal/mutants).
func TestABearerChangesNothingThatReachesFurtherThanItsAncestors(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	inside := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	root := w.issue(remint.Spec{Capabilities: remint.Allow("*"), Networks: inside})
	caller := w.issue(remint.Spec{Capabilities: remint.Allow("*"), Parent: root.Token.ID()})
	for _, c := range []struct {
		what     string
		networks []netip.Prefix
		want     error
	}{
		{"what is bound to no network", nil, remint.ErrForbidden},
		{"what reaches further", []netip.Prefix{netip.MustParsePrefix("192.0.0.0/16")}, remint.ErrForbidden},
		{"what reaches as far", inside, nil},
	} {
		target := w.issue(remint.Spec{Networks: c.networks})
		_, err := w.bearer(caller).Update(t.Context(), target.Token.ID(), func(s *remint.Spec) error { s.Name = "renamed"; return nil })
		w.is(err, c.want, "updating "+c.what)
	}
}
