package captoken_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/captoken"
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, s := range texts {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}

func TestALifetimeIsFiveMinutesUnlessTheRequestSaysAndAtMostAnHour(t *testing.T) {
	b := newBed(t)
	id := b.issue(remint.Spec{}).Token.ID()
	r := request()
	for asked, want := range map[time.Duration]time.Duration{
		0: 5 * time.Minute, time.Second: time.Second, 1999 * time.Millisecond: time.Second, time.Minute: time.Minute, time.Hour: time.Hour,
	} {
		r.Lifetime = asked
		c := b.accepts(b.sign(id, r), nowhere)
		if got := c.ExpiresAt.Sub(c.IssuedAt); got != want || !c.IssuedAt.Equal(start) {
			t.Errorf("asked for %v it lives for %v from %v", asked, got, c.IssuedAt)
		}
	}
	for _, bad := range []time.Duration{-1, 1, time.Second - 1, time.Hour + 1, -time.Hour, 1 << 62, -1 << 63} {
		r.Lifetime = bad
		var input *remint.InputError
		if text, err := b.signer.Sign(t.Context(), id, r); !errors.As(err, &input) || input.Field != "Request.Lifetime" || text != "" {
			t.Errorf("asked for %v: %v", bad, err)
		}
	}
}

func TestTimesAreRoundedDownAndNothingIsSignedForLessThanASecond(t *testing.T) {
	b := newBed(t)
	free := b.issue(remint.Spec{}).Token.ID()
	r := request()
	r.Lifetime = time.Second
	for _, part := range []time.Duration{0, 1, time.Millisecond, time.Second / 2, time.Second - 1} {
		b.now = start.Add(part)
		c := b.accepts(b.sign(free, r), nowhere)
		if !c.IssuedAt.Equal(start) || !c.ExpiresAt.Equal(start.Add(time.Second)) {
			t.Errorf("at %v: from %v to %v", part, c.IssuedAt, c.ExpiresAt)
		}
	}
	b.now = start
	soon := b.issue(remint.Spec{ExpiresAt: start.Add(2500 * time.Millisecond)}).Token.ID()
	for part, want := range map[time.Duration]time.Duration{0: 2 * time.Second, time.Second: 2 * time.Second, 2*time.Second - 1: 2 * time.Second} {
		b.now = start.Add(part)
		if c := b.accepts(b.sign(soon, request()), nowhere); !c.ExpiresAt.Equal(start.Add(want)) {
			t.Errorf("at %v it expires at %v", part, c.ExpiresAt)
		}
	}
	for _, part := range []time.Duration{2 * time.Second, 2499 * time.Millisecond, 2500 * time.Millisecond, time.Hour} {
		b.now = start.Add(part)
		if _, err := b.signer.Sign(t.Context(), soon, request()); !errors.Is(err, remint.ErrEnded) {
			t.Errorf("%v: %v", part, err)
		}
	}
}

func TestATokenExpiresNoLaterThanTheAPITokenOrAnAncestor(t *testing.T) {
	b := newBed(t)
	root := b.issue(remint.Spec{ExpiresAt: start.Add(3 * time.Minute)})
	mid := b.issue(remint.Spec{Parent: root.Token.ID(), ExpiresAt: start.Add(2 * time.Minute)})
	leaf := b.issue(remint.Spec{Parent: mid.Token.ID(), ExpiresAt: start.Add(4 * time.Minute)})
	never := b.issue(remint.Spec{Parent: root.Token.ID()})
	for id, want := range map[remint.ID]time.Duration{
		root.Token.ID(): 3 * time.Minute, mid.Token.ID(): 2 * time.Minute, leaf.Token.ID(): 2 * time.Minute, never.Token.ID(): 3 * time.Minute,
	} {
		text := b.sign(id, request())
		if c := b.accepts(text, nowhere); !c.ExpiresAt.Equal(start.Add(want)) {
			t.Errorf("it expires at %v, not after %v", c.ExpiresAt, want)
		}
		b.now = start.Add(want)
		b.refuses(text, nowhere, "expired")
		b.now = start
	}
}

func TestATokenExpiresNoLaterThanAPlannedEnd(t *testing.T) {
	b := newBed(t)
	ctx := t.Context()
	expires := func(what string, id remint.ID, want time.Duration) {
		t.Helper()
		if c := b.accepts(b.sign(id, request()), nowhere); !c.ExpiresAt.Equal(start.Add(want)) {
			t.Errorf("%s: it expires at %v, not after %v", what, c.ExpiresAt, want)
		}
	}

	// A token that is replaced by a successor.
	old := b.issue(remint.Spec{})
	if _, err := b.op.Rotate(ctx, old.Token.ID(), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	expires("a token with a successor", old.Token.ID(), time.Minute)

	// A session, and the secret that it was started with.
	parent := b.issue(remint.Spec{})
	session, err := b.issuer.Bearer(parent.Secret.Reveal(), nowhere).StartSession(ctx, parent.Token.ID(), remint.Session{})
	if err != nil {
		t.Fatal(err)
	}
	expires("a session", session.Token.ID(), 5*time.Minute)
	if _, err := b.op.Rotate(ctx, parent.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(2 * time.Minute)}); err != nil {
		t.Fatal(err)
	}
	expires("a session of a secret that is being retired", session.Token.ID(), 2*time.Minute)
	expires("its parent", parent.Token.ID(), 5*time.Minute)

	// A successor that nobody has used, before its rotation lapses.
	first := b.issue(remint.Spec{})
	next, err := b.op.Rotate(ctx, first.Token.ID(), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfterFirstUse(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	b.now = next.Token.State().Unconfirmed.Until.Add(-time.Minute)
	if c := b.accepts(b.sign(next.Token.ID(), request()), nowhere); c.ExpiresAt.Sub(b.now) != time.Minute {
		t.Errorf("an unused successor's expires at %v", c.ExpiresAt)
	}
}

func TestATokenCarriesTheNetworksOfTheAPITokenAndEveryAncestor(t *testing.T) {
	b := newBed(t)
	root := b.issue(remint.Spec{Networks: prefixes("10.0.0.0/8", "2001:db8::/32")})
	mid := b.issue(remint.Spec{Parent: root.Token.ID(), Networks: prefixes("10.1.0.0/16")})
	leaf := b.issue(remint.Spec{Parent: mid.Token.ID()})
	same := b.issue(remint.Spec{Parent: root.Token.ID(), Networks: prefixes("10.0.0.0/8", "2001:db8::/32")})
	for _, x := range []struct {
		what string
		id   remint.ID
		want string
		ok   []string
		bad  []string
	}{
		{"the root", root.Token.ID(), "[[10.0.0.0/8 2001:db8::/32]]", []string{"10.9.9.9", "2001:db8::1"}, []string{"192.0.2.1"}},
		{"its child", mid.Token.ID(), "[[10.1.0.0/16] [10.0.0.0/8 2001:db8::/32]]", []string{"10.1.2.3", "::ffff:10.1.2.3"}, []string{"10.2.0.1", "2001:db8::1"}},
		{"a grandchild with none", leaf.Token.ID(), "[[10.1.0.0/16] [10.0.0.0/8 2001:db8::/32]]", []string{"10.1.2.3"}, []string{"10.2.0.1", "192.0.2.1"}},
		{"one with its parent's", same.Token.ID(), "[[10.0.0.0/8 2001:db8::/32]]", []string{"10.9.9.9"}, []string{"192.0.2.1"}},
	} {
		text := b.sign(x.id, request())
		b.refuses(text, nowhere, "from where")
		for _, from := range x.ok {
			if c := b.accepts(text, netip.MustParseAddr(from)); fmt.Sprint(c.Networks) != x.want {
				t.Errorf("%s: networks are %v, not %s", x.what, c.Networks, x.want)
			}
		}
		for _, from := range x.bad {
			b.refuses(text, netip.MustParseAddr(from), "from where")
		}
	}
	// All must hold: not only the narrowest, when an ancestor's were widened, or are elsewhere.
	if _, err := b.op.Update(t.Context(), root.Token.ID(), func(s *remint.Spec) error {
		s.Networks = append(s.Networks, prefixes("192.0.2.0/24")...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	b.refuses(b.sign(leaf.Token.ID(), request()), outside, "from where")
}

func TestNothingIsSignedForWhatHasEnded(t *testing.T) {
	b := newBed(t)
	ctx := t.Context()
	refused := func(what string, id remint.ID, want error) {
		t.Helper()
		if text, err := b.signer.Sign(ctx, id, request()); !errors.Is(err, want) || text != "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	family := func() (ids []remint.ID) {
		var parent remint.ID
		for range 4 {
			g := b.issue(remint.Spec{Parent: parent})
			parent = g.Token.ID()
			ids = append(ids, parent)
			b.sign(parent, request())
		}
		return ids
	}
	for level := range 4 {
		ids := family()
		must(b.op.Revoke(ctx, ids[level]))
		for i, id := range ids {
			if i < level {
				b.sign(id, request())
			} else {
				refused(fmt.Sprintf("level %d with level %d revoked", i, level), id, remint.ErrEnded)
			}
		}
		ids = family()
		must(b.op.EndSessions(ctx, ids[level]))
		for i, id := range ids {
			if i <= level {
				b.sign(id, request())
			} else {
				refused(fmt.Sprintf("level %d with the descendants of level %d ended", i, level), id, remint.ErrEnded)
			}
		}
	}
	retired := b.issue(remint.Spec{})
	session, err := b.op.StartSession(ctx, retired.Token.ID(), remint.Session{})
	must(err)
	b.sign(session.Token.ID(), request())
	_, err = b.op.Rotate(ctx, retired.Token.ID(), remint.Rotation{})
	must(err)
	b.sign(retired.Token.ID(), request())
	refused("a session of a secret that is gone", session.Token.ID(), remint.ErrEnded)
	_, err = b.op.Rotate(ctx, retired.Token.ID(), remint.Rotation{Successor: &remint.Successor{}})
	must(err)
	refused("what was replaced", retired.Token.ID(), remint.ErrEnded)
	refused("an unknown ID", remint.ID{1}, remint.ErrNotFound)
	refused("the zero ID", remint.ID{}, remint.ErrNotFound)
}

func TestSigningWritesNothing(t *testing.T) {
	b := newBed(t)
	g := b.issue(remint.Spec{})
	before, _, err := b.issuer.Events(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	b.sign(g.Token.ID(), request())
	after, _, err := b.issuer.Events(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	tok, err := b.op.Get(t.Context(), g.Token.ID())
	if err != nil || len(after) != len(before) || tok.State().Revision != g.Token.State().Revision {
		t.Errorf("signing left %d events, revision %d, %v", len(after)-len(before), tok.State().Revision, err)
	}
}

// To add is the purpose: the API token's own capabilities are no bound, the Signer's are.
func TestASignerGrantsWithinItsOwnBoundsAndBeyondTheAPITokens(t *testing.T) {
	b := newBed(t)
	id := b.issue(remint.Spec{Capabilities: remint.Allow("else")}).Token.ID()
	s, err := captoken.NewSigner(b.op, &captoken.SignerOptions{
		Keys: []captoken.SigningKey{signingKey(t, "k1", "k1")}, Issuer: issuerName, May: remint.Allow("reports:read", "x"), Now: b.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, caps := range []remint.Capabilities{remint.Allow("reports:read"), remint.Allow("x:y", "reports:read:a")} {
		if _, err := s.Sign(t.Context(), id, captoken.Request{Capabilities: caps, Audience: audience}); err != nil {
			t.Errorf("%v: %v", caps, err)
		}
	}
	for _, caps := range []remint.Capabilities{remint.Allow("reports"), remint.Allow("*"), remint.Allow("reports:read", "y"), remint.Allow("else")} {
		if _, err := s.Sign(t.Context(), id, captoken.Request{Capabilities: caps, Audience: audience}); !errors.Is(err, remint.ErrForbidden) {
			t.Errorf("%v: %v", caps, err)
		}
	}
}

func TestASignersReaderBoundsWhoseTokensItSignsFor(t *testing.T) {
	b := newBed(t)
	mine, theirs := b.issue(remint.Spec{}).Token.ID(), b.issue(remint.Spec{Owner: "other"}).Token.ID()
	s, err := captoken.NewSigner(b.issuer.Member(owner, "captoken", remint.Allow("*")), &captoken.SignerOptions{
		Keys: []captoken.SigningKey{signingKey(t, "k1", "k1")}, Issuer: issuerName, May: remint.Allow("reports"), Now: b.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sign(t.Context(), mine, request()); err != nil {
		t.Error(err)
	}
	if _, err := s.Sign(t.Context(), theirs, request()); !errors.Is(err, remint.ErrNotFound) {
		t.Error(err)
	}
}

func TestARequestThatCannotBeUsedIsAnInputErrorEach(t *testing.T) {
	b := newBed(t)
	id := b.issue(remint.Spec{}).Token.ID()
	_, err := b.signer.Sign(t.Context(), id, captoken.Request{Lifetime: -1})
	for _, field := range []string{"Request.Capabilities", "Request.Audience", "Request.Lifetime"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not in %v", field, err)
		}
	}
	for _, bad := range []string{strings.Repeat("a", 256), "a\nb", "\xff", "\ufffd"} {
		var input *remint.InputError
		r := request()
		if r.Audience = bad; !errors.As(func() error { _, err := b.signer.Sign(t.Context(), id, r); return err }(), &input) {
			t.Errorf("audience %.20q was accepted", bad)
		}
	}
	// What no verifier could read is not signed.
	odd := b.issue(remint.Spec{Owner: "\ufffd"}).Token.ID()
	if _, err := b.signer.Sign(t.Context(), odd, request()); err == nil {
		t.Error("signed for an owner that no verifier can read")
	}
	long := b.issue(remint.Spec{}).Token.ID()
	var caps []string
	for i := range 200 {
		caps = append(caps, fmt.Sprintf("reports:%d:%s", i, strings.Repeat("a", 100)))
	}
	set, err := remint.ParseCapabilities(caps)
	if err != nil {
		t.Fatal(err)
	}
	var input *remint.InputError
	if _, err := b.signer.Sign(t.Context(), long, captoken.Request{Capabilities: set, Audience: audience}); !errors.As(err, &input) {
		t.Errorf("a text that is too long: %v", err)
	}
}

func TestEveryOwnerAndCapabilityComesThroughAsItIs(t *testing.T) {
	b := newBed(t)
	any := b.key
	any.Owner, any.AnyOwner, any.May = "", true, remint.Allow("*")
	b.verifier = b.newVerifier(0, any)
	for _, o := range []string{"acme", `a"b\c</script>&'`, "ünï☃🦊\u2028\u2029", strings.Repeat("x", 255), "[]", "null"} {
		g := b.issue(remint.Spec{Owner: o})
		r := request()
		r.Capabilities = remint.Allow(remint.Join("a:b*%", `"\<&>☃`, "\x00\xff"), "x:*:y", "*")
		c := b.accepts(b.sign(g.Token.ID(), r), nowhere)
		if c.Owner != o || !c.Capabilities.Equal(r.Capabilities) {
			t.Errorf("%q, %v came back as %q, %v", o, r.Capabilities, c.Owner, c.Capabilities)
		}
	}
}

func TestOptionsThatCannotBeUsedAreAnInputErrorEach(t *testing.T) {
	b := newBed(t)
	k1, k2 := signingKey(t, "k1", "k1"), signingKey(t, "k2", "k2")
	good := captoken.SignerOptions{Keys: []captoken.SigningKey{k1}, Issuer: "i", May: remint.Allow("a")}
	if _, err := captoken.NewSigner(b.op, &good); err != nil {
		t.Fatal(err)
	}
	signer := func(reader remint.Actor, field string, change func(*captoken.SignerOptions)) {
		t.Helper()
		o := good
		change(&o)
		_, err := captoken.NewSigner(reader, &o)
		if in(err, field) {
			return
		}
		t.Errorf("%s is not in %v", field, err)
	}
	signer(remint.Actor{}, "reader", func(*captoken.SignerOptions) {})
	signer(b.op, "SignerOptions.Keys", func(o *captoken.SignerOptions) { o.Keys = nil })
	signer(b.op, "SignerOptions.Keys[1]", func(o *captoken.SignerOptions) { o.Keys = []captoken.SigningKey{k1, {}} })
	signer(b.op, "SignerOptions.Keys[1]", func(o *captoken.SignerOptions) { o.Keys = []captoken.SigningKey{k1, signingKey(t, "k1", "k2")} })
	signer(b.op, "SignerOptions.Keys[2]", func(o *captoken.SignerOptions) { o.Keys = []captoken.SigningKey{k1, k2, signingKey(t, "k3", "k1")} })
	signer(b.op, "SignerOptions.Issuer", func(o *captoken.SignerOptions) { o.Issuer = "" })
	signer(b.op, "SignerOptions.Issuer", func(o *captoken.SignerOptions) { o.Issuer = "a\tb" })
	signer(b.op, "SignerOptions.May", func(o *captoken.SignerOptions) { o.May = remint.Capabilities{} })
	if _, err := captoken.NewSigner(b.op, nil); !in(err, "SignerOptions.Keys") || !in(err, "SignerOptions.May") {
		t.Error(err)
	}

	verifier := func(field string, change func(*captoken.Key)) {
		t.Helper()
		k := b.key
		change(&k)
		if _, err := captoken.NewVerifier(&captoken.VerifierOptions{Keys: []captoken.Key{k}}); !in(err, "VerifierOptions.Keys[0]"+field) {
			t.Errorf("%s is not in %v", field, err)
		}
		if err := b.verifier.SetKeys([]captoken.Key{k}); !in(err, "keys[0]"+field) {
			t.Errorf("SetKeys: %s is not in %v", field, err)
		}
	}
	verifier(".ID", func(k *captoken.Key) { k.ID = "a b" })
	verifier(".ID", func(k *captoken.Key) { k.ID = "ü" })
	verifier(".ID", func(k *captoken.Key) { k.ID = strings.Repeat("a", 129) })
	verifier(".Public", func(k *captoken.Key) { k.Public = nil })
	verifier(".Public", func(k *captoken.Key) { k.Public = k.Public[1:] })
	verifier(".Public", func(k *captoken.Key) { k.Public = ed25519.PublicKey(keyOf("k1")) })
	verifier(".Public", func(k *captoken.Key) { k.Public = make([]byte, 32) })
	verifier(".Issuer", func(k *captoken.Key) { k.Issuer = "" })
	verifier(".Issuer", func(k *captoken.Key) { k.Issuer = "\n" })
	verifier(".Audience", func(k *captoken.Key) { k.Audience = "" })
	verifier(".Owner", func(k *captoken.Key) { k.Owner = "" })
	verifier(".Owner", func(k *captoken.Key) { k.Owner = strings.Repeat("o", 256) })
	verifier(".AnyOwner", func(k *captoken.Key) { k.AnyOwner = true })
	verifier(".May", func(k *captoken.Key) { k.May = remint.Capabilities{} })
	if _, err := captoken.NewVerifier(nil); !in(err, "VerifierOptions.Keys") {
		t.Error(err)
	}
	if err := b.verifier.SetKeys(nil); !in(err, "keys") {
		t.Error(err)
	}
	for _, leeway := range []time.Duration{-1, time.Minute + 1} {
		if _, err := captoken.NewVerifier(&captoken.VerifierOptions{Keys: []captoken.Key{b.key}, Leeway: leeway}); !in(err, "VerifierOptions.Leeway") {
			t.Error(leeway, err)
		}
	}
	same := b.key
	same.ID = "other"
	again := b.key
	again.Public = publicOf("k2")
	for _, k := range []captoken.Key{same, again} {
		if _, err := captoken.NewVerifier(&captoken.VerifierOptions{Keys: []captoken.Key{b.key, k}}); !in(err, "VerifierOptions.Keys[1]") {
			t.Error(err)
		}
	}
	// After all that, the old keys count.
	b.accepts(b.sign(b.issue(remint.Spec{}).Token.ID(), request()), nowhere)
}

// in reports whether an InputError for the field is among those that are joined in err.
func in(err error, field string) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			if in(e, field) {
				return true
			}
		}
		return false
	}
	var input *remint.InputError
	return errors.As(err, &input) && input.Field == field
}

// It fails without a Verifier's own copy of a key (internal/mutants).
func TestOptionsCanBeChangedAfterwardsWithoutEffect(t *testing.T) {
	b := newBed(t)
	id := b.issue(remint.Spec{}).Token.ID()
	private := keyOf("k1")
	k, err := captoken.NewSigningKey("k1", private)
	if err != nil {
		t.Fatal(err)
	}
	keys := []captoken.SigningKey{k}
	b.signer = b.newSigner(keys...)
	vkeys := []captoken.Key{b.key}
	vkeys[0].Public = publicOf("k1")
	b.verifier = b.newVerifier(0, vkeys...)
	clear(private)
	clear(keys)
	clear(k.Public())
	clear(b.signer.JWKS())
	clear(vkeys[0].Public)
	clear(vkeys)
	b.accepts(b.sign(id, request()), nowhere)
	if got, err := captoken.ParseJWKS(b.signer.JWKS()); err != nil || !got[0].Public.Equal(publicOf("k1")) {
		t.Error(got, err)
	}
}

func TestACancelledContextIsItsOwnError(t *testing.T) {
	b := newBed(t)
	id := b.issue(remint.Spec{}).Token.ID()
	text := b.sign(id, request())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.signer.Sign(ctx, id, request()); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := b.verifier.VerifyLive(ctx, b.op, text, nowhere); !errors.Is(err, context.Canceled) || errors.Is(err, captoken.ErrInvalid) {
		t.Error(err)
	}
}
