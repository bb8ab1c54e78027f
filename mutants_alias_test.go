package remint_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/remint-go/remint"
)

// THREATS.md line 22: what goes in and what comes out are copies. A handler that edits what it was
// given edits nobody's token.
// It fails without the copy of a token's networks in its Spec, and without the copy of the networks
// that a record takes from a Spec (internal/mutants).
func TestWhatIsPassedInOrHandedOutIsNobodyElses(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	inside, outside := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("203.0.113.0/24")
	spec := remint.Spec{
		Capabilities: remint.Allow("read"), Networks: []netip.Prefix{inside}, Attributes: map[string]string{"plan": "free"},
	}
	edit := func(s remint.Spec) {
		s.Networks[0] = outside
		s.Attributes["plan"] = "gold"
	}
	g := w.issue(spec)
	edit(spec)
	unchanged := func(when string) {
		t.Helper()
		tok, err := w.issuer.Verify(ctx, g.Secret.Reveal(), lawAddr)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		s := tok.Spec()
		if !slices.Equal(s.Networks, []netip.Prefix{inside}) || s.Attributes["plan"] != "free" || tok.Allows("*") || tok.Attribute("plan") != "free" {
			t.Errorf("%s it is %+v", when, s)
		}
	}
	unchanged("after its Spec was edited")
	edit(g.Token.Spec())
	unchanged("after what was handed out with it was edited")
	tok, err := w.issuer.Verify(ctx, g.Secret.Reveal(), lawAddr)
	if err != nil {
		t.Fatal(err)
	}
	edit(tok.Spec())
	unchanged("after what was verified was edited")

	var kept remint.Spec
	if _, err := w.op.Update(ctx, g.Token.ID(), func(s *remint.Spec) error {
		s.Name, kept = "updated", *s
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	edit(kept)
	unchanged("after what an update had edited was edited again")

	next := remint.Spec{Capabilities: remint.Allow("read"), Networks: []netip.Prefix{inside}, Attributes: map[string]string{"plan": "free"}}
	successor := &remint.Successor{Spec: &next}
	g = w.must(w.op.Rotate(ctx, g.Token.ID(), remint.Rotation{Successor: successor}))
	edit(next)
	unchanged("after its successor's Spec was edited")
}
