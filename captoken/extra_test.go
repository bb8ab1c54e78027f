package captoken_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/captoken"
)

// The hook of package httpadapter has this type.
var _ func(context.Context, string, remint.Token, netip.Addr) (remint.Capabilities, error) = (*captoken.Verifier)(nil).Extra

func TestExtraIsForTheNamedTokenAndNoOther(t *testing.T) {
	b := newBed(t)
	ctx := t.Context()
	mine, other := b.issue(remint.Spec{Networks: prefixes("10.0.0.0/8")}), b.issue(remint.Spec{})
	text := b.sign(mine.Token.ID(), request())
	tok, err := b.issuer.Verify(ctx, mine.Secret.Reveal(), inside)
	if err != nil {
		t.Fatal(err)
	}
	extra, err := b.verifier.Extra(ctx, text, tok, inside)
	if err != nil || !extra.Equal(remint.Allow("reports:read")) {
		t.Fatal(extra, err)
	}
	refused := func(what, text string, tok remint.Token, from netip.Addr, words string) {
		t.Helper()
		extra, err := b.verifier.Extra(ctx, text, tok, from)
		b.refused(err, words)
		if extra.Len() != 0 {
			t.Errorf("%s: beside the error there is %v", what, extra)
		}
	}
	refused("another token", text, other.Token, inside, "and not for")
	refused("the zero Token", text, remint.Token{}, inside, "and not for")
	refused("another network", text, tok, outside, "from where")
	refused("no address", text, tok, nowhere, "from where")
	refused("garbage", "x", tok, inside, "")
	refused("nothing", "", tok, inside, "")
	refused("another owner", raw(goodHeader, claims(tok.ID()).with("owner", `"other"`).String(), "k1"), tok, inside, "its owner")
	any := b.key
	any.Owner, any.AnyOwner = "", true
	if err := b.verifier.SetKeys([]captoken.Key{any}); err != nil {
		t.Fatal(err)
	}
	refused("another owner, of a key for all", raw(goodHeader, claims(tok.ID()).with("owner", `"other"`).String(), "k1"), tok, inside, "its owner")
	for _, epoch := range []string{"0", "2", "18446744073709551615"} {
		refused("epoch "+epoch, raw(goodHeader, claims(tok.ID()).with("epoch", epoch).String(), "k1"), tok, inside, "was ended")
	}
	child := b.issue(remint.Spec{Parent: tok.ID()})
	refused("a child", text, child.Token, inside, "and not for")
	refused("the parent", b.sign(child.Token.ID(), request()), tok, inside, "and not for")

	if err := b.op.EndSessions(ctx, tok.ID()); err != nil {
		t.Fatal(err)
	}
	if tok, err = b.issuer.Verify(ctx, mine.Secret.Reveal(), inside); err != nil {
		t.Fatal(err)
	}
	refused("the epoch before", text, tok, inside, "was ended")
	b.now = start.Add(time.Hour)
	refused("an old one", text, tok, inside, "expired")
}
