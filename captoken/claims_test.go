package captoken_test

import (
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// claims are a payload that the bed's Verifier accepts at start.
func claims(id remint.ID) object {
	return object{
		"iss": quote(issuerName), "sub": quote(id.String()), "aud": quote(audience), "owner": quote(owner),
		"cap": `["reports:read"]`, "iat": fmt.Sprint(start.Unix()), "exp": fmt.Sprint(start.Unix() + 60), "epoch": "1",
	}
}

func TestClaimsAreReadStrictly(t *testing.T) {
	b := newBed(t)
	id := b.issue(remint.Spec{}).Token.ID()
	good := claims(id)
	for what, payload := range map[string]string{
		"as they are":       good.String(),
		"with white space":  strings.ReplaceAll(good.String(), ",", " ,\n\t"),
		"with a network":    good.with("net", `[["10.0.0.0/8","2001:db8::/32"],["10.1.0.0/16"]]`).String(),
		"with escapes":      good.with("owner", `"\u0061cme"`).String(),
		"with the last cap": good.with("cap", `["billing:read","reports"]`).String(),
		"of the last epoch": good.with("epoch", "18446744073709551615").String(),
	} {
		t.Run(what, func(t *testing.T) {
			b := *b
			b.TB = t
			b.accepts(raw(goodHeader, payload, "k1"), inside)
		})
	}
	many := func(n int, format string) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(format, i))
		}
		return "[" + strings.Join(all, ",") + "]"
	}
	for words, payloads := range map[string][]string{
		"the payload is not": {"[]", `"x"`, "null", "1", "\xff", "<xml/>", good.with("owner", "\"\xff\"").String()},
		"is not well-formed": {"{", good.String()[:len(good.String())-1], `{"iss":`, `{"iss" "x"}`, `{1:2}`, `{"iss":NaN}`},
		"something after":    {good.String() + "{}", good.String() + "x", good.String() + good.String()},
		"twice": {
			`{"sub":"x",` + good.String()[1:], good.String()[:len(good.String())-1] + `,"exp":9999999999}`,
			good.String()[:len(good.String())-1] + `,"\u0065xp":9999999999}`,
		},
		"is unknown": {
			good.with("admin", "true").String(), good.with("nbf", "0").String(), good.with("jti", `"1"`).String(),
			good.with("scope", `"x"`).String(), good.with("ISS", `"x"`).String(), good.with("", `"x"`).String(),
			good.with("a\nforged line", `"x"`).String(),
		},
		"is missing": {
			"{}", good.with("iss", "").String(), good.with("sub", "").String(), good.with("aud", "").String(), good.with("owner", "").String(),
			good.with("cap", "").String(), good.with("iat", "").String(), good.with("exp", "").String(), good.with("epoch", "").String(),
			good.with("exp", "").with("EXP", "9999999999").String(),
		},
		"is not a string": {
			good.with("iss", "null").String(), good.with("iss", "1").String(), good.with("sub", "null").String(),
			good.with("sub", `["x"]`).String(), good.with("aud", `["reports"]`).String(), good.with("aud", `["reports","x"]`).String(),
			good.with("aud", "null").String(), good.with("owner", "null").String(), good.with("owner", "{}").String(),
			good.with("owner", "true").String(), good.with("cap", "[null]").String(), good.with("cap", `["reports",1]`).String(),
			good.with("cap", `[["reports"]]`).String(), good.with("net", "[[null]]").String(), good.with("net", `[[{}]]`).String(),
		},
		"replacement character": {good.with("owner", `"\ud800"`).String(), good.with("owner", `"\ufffd"`).String(), good.with("cap", `["\udc00"]`).String()},
		`"iss" is empty`:        {good.with("iss", `""`).String()},
		`"aud" is empty`:        {good.with("aud", `""`).String()},
		`"cap" is empty`:        {good.with("cap", "[]").String()},
		"is not an array": {
			good.with("cap", "null").String(), good.with("cap", `"reports"`).String(), good.with("cap", `{"0":"reports"}`).String(),
			good.with("net", "null").String(), good.with("net", `"10.0.0.0/8"`).String(), good.with("net", `["10.0.0.0/8"]`).String(),
			good.with("net", `[null]`).String(), good.with("net", `[["10.0.0.0/8"],null]`).String(),
		},
		"malformed capability": {
			good.with("cap", `[""]`).String(), good.with("cap", `["reports:"]`).String(), good.with("cap", `["re ports"]`).String(),
			good.with("cap", `["reports:read",""]`).String(), good.with("cap", `["rep*"]`).String(), good.with("cap", many(257, `"reports:%d"`)).String(),
		},
		"not a token's ID": {
			good.with("sub", `""`).String(), good.with("sub", quote(strings.ToLower(id.String()))).String(), good.with("sub", quote(id.String()+" ")).String(),
			good.with("sub", `"00000000000000000000000000"`).String(),
		},
		"is not a natural number": {
			good.with("exp", `"1"`).String(), good.with("exp", "null").String(), good.with("exp", "1e99").String(), good.with("exp", "1.5").String(),
			good.with("exp", fmt.Sprint(start.Unix())+".0").String(), good.with("exp", "1893556000e0").String(), good.with("iat", "-1").String(),
			good.with("iat", "-0").String(), good.with("iat", "true").String(), good.with("epoch", "null").String(), good.with("epoch", "[1]").String(),
			good.with("epoch", "1.0").String(), good.with("exp", "100000000000000000000").String(),
		},
		"is more than":        {good.with("epoch", "18446744073709551616").String()},
		"after the year 9999": {good.with("exp", "253402300800").String(), good.with("iat", "9223372036854775808").String(), good.with("exp", "18446744073709551615").String()},
		"lists, and must":     {good.with("net", "[]").String(), good.with("net", many(17, `["10.0.0.%d/32"]`)).String()},
		"networks, and must":  {good.with("net", "[[]]").String(), good.with("net", `[["10.0.0.0/8"],[]]`).String(), good.with("net", "["+many(257, `"10.0.%d.0/24"`)+"]").String()},
		"canonical form": {
			good.with("net", `[["10.1.2.3/8"]]`).String(), good.with("net", `[["10.0.0.0/08"]]`).String(), good.with("net", `[["::ffff:10.0.0.0/104"]]`).String(),
			good.with("net", `[["10.0.0.0"]]`).String(), good.with("net", `[["10.0.0.0/33"]]`).String(), good.with("net", `[[""]]`).String(),
			good.with("net", `[["2001:DB8::/32"]]`).String(), good.with("net", `[["fe80::%eth0/64"]]`).String(),
		},
		"no later than it was issued": {
			good.with("exp", fmt.Sprint(start.Unix())).String(), good.with("exp", fmt.Sprint(start.Unix()-1)).String(), good.with("exp", "0").String(),
		},
		"and may for 1h0m0s": {
			good.with("exp", fmt.Sprint(start.Unix()+3601)).String(), good.with("iat", "0").String(), good.with("exp", "253402300799").String(),
			good.with("iat", fmt.Sprint(start.Unix()-3600)).String(),
		},
	} {
		for _, payload := range payloads {
			t.Run(fmt.Sprintf("%s %.60s", words, payload), func(t *testing.T) {
				b := *b
				b.TB = t
				b.refuses(raw(goodHeader, payload, "k1"), inside, words)
			})
		}
	}
	b.refuses(b64(goodHeader)+".."+b64(strings.Repeat("x", 64)), inside, "part 2 of 3 is empty")
}

func TestTheTimeIsJudgedToTheSecond(t *testing.T) {
	b := newBed(t)
	id := b.issue(remint.Spec{}).Token.ID()
	at := func(from, to time.Duration) string {
		return raw(goodHeader, claims(id).with("iat", fmt.Sprint(start.Add(from).Unix())).with("exp", fmt.Sprint(start.Add(to).Unix())).String(), "k1")
	}
	for _, leeway := range []time.Duration{0, time.Second, time.Minute} {
		b.verifier = b.newVerifier(leeway, b.key)
		hour := at(0, time.Hour) // exactly the most
		for _, x := range []struct {
			now   time.Duration
			words string // "": accepted
		}{
			{-leeway - time.Nanosecond, "not yet"}, {-leeway, ""}, {0, ""}, {time.Hour - time.Nanosecond, ""},
			{time.Hour + leeway - time.Nanosecond, ""}, {time.Hour + leeway, "expired"}, {48 * time.Hour, "expired"}, {-48 * time.Hour, "not yet"},
		} {
			b.now = start.Add(x.now)
			if x.words == "" {
				b.accepts(hour, nowhere)
			} else {
				b.refuses(hour, nowhere, x.words)
			}
		}
		b.now = start
		b.refuses(at(0, time.Hour+time.Second), nowhere, "it lives for 1h0m1s")
		b.refuses(at(-time.Hour, time.Second), nowhere, "it lives for 1h0m1s")
	}
}

func TestATokenIsForOneIssuerAudienceAndOwner(t *testing.T) {
	b := newBed(t)
	good := claims(b.issue(remint.Spec{}).Token.ID())
	for _, other := range []string{"x", "Reports", "reports ", "reports\x00", "https://tokens.example/", "acme2", "ACME", "acm"} {
		b.refuses(raw(goodHeader, good.with("iss", quote(other)).String(), "k1"), nowhere, "its issuer")
		b.refuses(raw(goodHeader, good.with("aud", quote(other)).String(), "k1"), nowhere, "its audience")
		b.refuses(raw(goodHeader, good.with("owner", quote(other)).String(), "k1"), nowhere, "its owner")
	}
	b.refuses(raw(goodHeader, good.with("owner", `""`).String(), "k1"), nowhere, "its owner")

	any := b.key
	any.Owner, any.AnyOwner = "", true
	b.verifier = b.newVerifier(0, any)
	for _, o := range []string{"", "acme", "other"} {
		if c := b.accepts(raw(goodHeader, good.with("owner", quote(o)).String(), "k1"), nowhere); c.Owner != o {
			t.Errorf("owner is %q", c.Owner)
		}
	}
}

func TestNothingBeyondWhatTheKeyMayGrantIsAccepted(t *testing.T) {
	b := newBed(t) // its key may grant reports and billing:read
	good := claims(b.issue(remint.Spec{}).Token.ID())
	for caps, ok := range map[string]bool{
		`["reports"]`: true, `["reports:read"]`: true, `["reports:*"]`: true, `["billing:read"]`: true, `["billing:read","reports:a:b"]`: true,
		`["billing"]`: false, `["billing:*"]`: false, `["billing:write"]`: false, `["*"]`: false, `["reports2"]`: false,
		`["reports:read","admin"]`: false, `["admin"]`: false, `["*:read"]`: false,
	} {
		text := raw(goodHeader, good.with("cap", caps).String(), "k1")
		if ok {
			b.accepts(text, nowhere)
		} else {
			b.refuses(text, nowhere, "grants more")
		}
	}
}

func TestNetworksBoundATokenOffline(t *testing.T) {
	b := newBed(t)
	good := claims(b.issue(remint.Spec{}).Token.ID()).with("net", `[["10.0.0.0/8","2001:db8::/32"],["10.1.0.0/16","192.0.2.0/24","2001:db8:1::/48"]]`)
	text := raw(goodHeader, good.String(), "k1")
	for from, ok := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "2001:db8:1::1": true,
		"10.2.0.1": false, "192.0.2.1": false, "2001:db8:2::1": false, "::ffff:10.2.0.1": false, "::ffff:10.1.2.3%eth0": false,
		"2001:db8:1::1%eth0": false, "::": false, "0.0.0.0": false, "127.0.0.1": false,
	} {
		if addr := netip.MustParseAddr(from); ok {
			b.accepts(text, addr)
		} else {
			b.refuses(text, addr, "from where")
		}
	}
	b.refuses(text, nowhere, "from where")
	b.accepts(raw(goodHeader, good.with("net", "").String(), "k1"), nowhere)
	all := raw(goodHeader, good.with("net", `[["0.0.0.0/0","::/0"]]`).String(), "k1")
	b.refuses(all, nowhere, "from where")
	b.accepts(all, outside)
}

// The time and the key's bounds are judged before the networks, so that what is not valid at
// all tells nobody about them.
func TestNetworksAreJudgedLast(t *testing.T) {
	b := newBed(t)
	good := claims(b.issue(remint.Spec{}).Token.ID()).with("net", `[["10.0.0.0/8"]]`)
	b.refuses(raw(goodHeader, good.with("cap", `["*"]`).String(), "k1"), outside, "grants more")
	b.now = start.Add(time.Minute)
	b.refuses(raw(goodHeader, good.String(), "k1"), outside, "expired")
}

// An Ed25519 signature (R, S) has a second form, (R, S + L), where it is not checked that S is
// below the order L of the group (RFC 8032, section 5.1.7).
func TestASignatureHasOneForm(t *testing.T) {
	b := newBed(t)
	text := b.sign(b.issue(remint.Spec{}).Token.ID(), request())
	p := strings.Split(text, ".")
	sig := []byte(unb64(t, p[2]))
	l, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	reverse := func(b []byte) []byte {
		r := make([]byte, 32)
		for i := range b {
			r[len(b)-1-i] = b[i]
		}
		return r
	}
	s := new(big.Int).SetBytes(reverse(sig[32:]))
	s.Add(s, l)
	copy(sig[32:], reverse(s.FillBytes(make([]byte, 32))))
	b.refuses(p[0]+"."+p[1]+"."+b64(string(sig)), nowhere, "the signature is not the key's")
}
