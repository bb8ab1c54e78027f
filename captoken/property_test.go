package captoken_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/captoken"
	"pgregory.net/rapid"
)

// What Verify accepts was signed, is within what the key may grant, lives for an hour at most and
// no longer than the API token and its ancestors, and is used within the networks of them
// all; and all that is so is accepted. Live, it is accepted while the API token lives.
func TestWhatIsAcceptedKeepsToEveryBound(t *testing.T) {
	// Few capabilities and networks, so that they meet often.
	caps := rapid.SampledFrom([]remint.Capability{"*", "reports", "reports:read", "reports:*", "reports:read:x", "billing", "billing:read", "*:read"})
	set := rapid.Custom(func(t *rapid.T) remint.Capabilities {
		return remint.Allow(rapid.SliceOfN(caps, 1, 3).Draw(t, "caps")...)
	})
	addrs := rapid.SampledFrom([]netip.Addr{
		nowhere, inside, outside, netip.MustParseAddr("10.1.128.1"), netip.MustParseAddr("10.2.0.1"), netip.MustParseAddr("::ffff:10.1.2.3"),
		netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::1%eth0"),
	})
	// Each is within the one before, and so may be a child's.
	nets := [][]netip.Prefix{nil, prefixes("10.0.0.0/8", "2001:db8::/32"), prefixes("10.1.0.0/16", "2001:db8::/64"), prefixes("10.1.0.0/17")}
	moments := rapid.Map(rapid.Int64Range(0, 2*3600*1000), func(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond })

	rapid.Check(t, func(r *rapid.T) {
		b := newBed(t)
		b.key.May = set.Draw(r, "the key's")
		leeway := rapid.SampledFrom([]time.Duration{0, 0, time.Second, time.Minute}).Draw(r, "leeway")
		b.verifier = b.newVerifier(leeway, b.key)

		// A family: who are bounded by what.
		type bounds struct {
			id      remint.ID
			expires time.Duration // 0: never
			nets    [][]netip.Prefix
		}
		var chain []bounds
		var parent remint.ID
		narrow := 0
		for i := range rapid.IntRange(1, 4).Draw(r, "levels") {
			narrow = rapid.IntRange(narrow, len(nets)-1).Draw(r, "networks")
			spec := remint.Spec{Owner: owner, Parent: parent, Networks: nets[narrow]}
			x := bounds{}
			if rapid.Bool().Draw(r, "expires") {
				x.expires = 1 + moments.Draw(r, "at")
				x.expires = x.expires.Truncate(time.Microsecond) + time.Microsecond
				spec.ExpiresAt = start.Add(x.expires)
			}
			g, err := b.op.Issue(b.Context(), spec)
			if err != nil {
				r.Fatal(err)
			}
			x.id, parent = g.Token.ID(), g.Token.ID()
			if i > 0 {
				x.nets = chain[i-1].nets
			}
			if nets[narrow] != nil {
				x.nets = append(x.nets[:len(x.nets):len(x.nets)], nets[narrow])
			}
			if i > 0 && chain[i-1].expires != 0 && (x.expires == 0 || chain[i-1].expires < x.expires) {
				x.expires = chain[i-1].expires
			}
			chain = append(chain, x)
		}
		which := rapid.IntRange(0, len(chain)-1).Draw(r, "for")
		of := chain[which]
		req := captoken.Request{Capabilities: set.Draw(r, "request"), Audience: audience}
		req.Lifetime = rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute, time.Hour}).Draw(r, "lifetime")
		life := req.Lifetime
		if life == 0 {
			life = captoken.DefaultLifetime
		}

		signedAt := rapid.Map(rapid.Int64Range(0, 3600*1000), func(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }).Draw(r, "signed at")
		b.now = start.Add(signedAt)
		end := (signedAt + life).Truncate(time.Second)
		if of.expires != 0 {
			end = min(end, of.expires.Truncate(time.Second))
		}
		text, err := b.signer.Sign(b.Context(), of.id, req)
		if (err == nil) != (end > signedAt) {
			r.Fatalf("signed at %v for until %v: %v", signedAt, end, err)
		}
		if err != nil {
			return
		}

		ended := rapid.IntRange(-1, len(chain)-1).Draw(r, "revoked, or -1")
		if ended >= 0 {
			if err := b.op.Revoke(b.Context(), chain[ended].id); err != nil {
				r.Fatal(err)
			}
		}
		var now time.Duration
		switch rapid.IntRange(0, 3).Draw(r, "when") {
		case 0: // at the edges, which nothing random meets
			now = end + leeway - rapid.SampledFrom([]time.Duration{0, 1}).Draw(r, "before the end")
		case 1:
			now = signedAt.Truncate(time.Second) - leeway - rapid.SampledFrom([]time.Duration{0, 1}).Draw(r, "before the beginning")
		default:
			now = moments.Draw(r, "now")
		}
		b.now = start.Add(now)
		from := addrs.Draw(r, "from")
		tampered := rapid.IntRange(0, 3).Draw(r, "tampered") == 0
		if tampered {
			i := rapid.IntRange(0, len(text)-1).Draw(r, "byte")
			c := rapid.SampledFrom([]byte("Aa0_-.")).Draw(r, "to")
			tampered = text[i] != c
			text = text[:i] + string(c) + text[i+1:]
		}

		inNets := true
		for _, list := range of.nets {
			held := false
			for _, n := range list {
				held = held || from.Zone() == "" && n.Contains(from.Unmap())
			}
			inNets = inNets && held
		}
		want := !tampered && now >= signedAt.Truncate(time.Second)-leeway && now < end+leeway && b.key.May.Contains(req.Capabilities) && inNets
		c, err := b.verifier.Verify(text, from)
		if (err == nil) != want {
			r.Fatalf("accepted %v, and should be %v: signed at %v for until %v, now %v, leeway %v, from %v, %v", err == nil, want, signedAt, end, now, leeway, from, err)
		}
		if err == nil && (!c.Capabilities.Equal(req.Capabilities) || c.Token != of.id || c.ExpiresAt.Sub(c.IssuedAt) > time.Hour || c.Owner != owner) {
			r.Fatalf("it came back as %+v", c)
		}

		dead := of.expires != 0 && now >= of.expires || ended >= 0 && ended <= which
		if _, err := b.verifier.VerifyLive(b.Context(), b.op, text, from); (err == nil) != (want && !dead) {
			r.Fatalf("live, accepted %v, and should be %v: %v", err == nil, want && !dead, err)
		}
	})
}

// Names of members and values of any kind: nothing but the exact claims is read.
func TestNoPayloadWithOneThingChangedIsTakenForMore(t *testing.T) {
	b := newBed(t)
	good := claims(remint.ID{1})
	b.accepts(raw(goodHeader, good.String(), "k1"), inside)
	names := rapid.SampledFrom([]string{"iss", "sub", "aud", "owner", "cap", "net", "iat", "exp", "epoch", "Cap", "nbf", "", "\x00"})
	values := rapid.SampledFrom([]string{
		"null", "true", "0", "1", "-1", "1.0", "1e3", `""`, `"x"`, `"*"`, "[]", "[null]", `["*"]`, `[["0.0.0.0/0"]]`, `[[]]`, "{}", `{"a":1}`, "[[[]]]",
		"99999999999999999999", fmt.Sprint(start.Unix() + 3600), `"\u0000"`, quote(strings.Repeat("x", 300)),
	})
	rapid.Check(t, func(r *rapid.T) {
		name, value := names.Draw(r, "name"), values.Draw(r, "value")
		o := good.with(name, value)
		c, err := b.verifier.Verify(raw(goodHeader, o.String(), "k1"), inside)
		fine := name == "exp" && value == fmt.Sprint(start.Unix()+3600) || name == "epoch" && (value == "0" || value == "1" || value == fmt.Sprint(start.Unix()+3600)) ||
			name == "net" && value == `[["0.0.0.0/0"]]`
		if (err == nil) != fine {
			r.Fatalf("%s: %s: %+v, %v", name, value, c, err)
		}
	})
}
