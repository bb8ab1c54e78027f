package captoken_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/captoken"
)

// seeds are texts as this package makes them, and what attackers make of them: the same in every
// process, as the fuzzer runs several.
func seeds() (good, bad []string) {
	id := remint.ID{1}
	good = []string{
		raw(goodHeader, claims(id).String(), "k1"),
		raw(goodHeader, claims(id).with("net", `[["10.0.0.0/8"],["10.1.0.0/16","2001:db8::/32"]]`).String(), "k1"),
		raw(` {"typ":"remint-cap+jwt","kid":"k1","alg":"EdDSA"} `, claims(id).with("cap", `["billing:read","reports:*"]`).String(), "k1"),
	}
	p := strings.Split(good[0], ".")
	bad = []string{
		"", ".", "..", p[0] + "." + p[1] + ".", p[0] + "." + p[1], good[0] + ".", good[0] + "=", " " + good[0], p[1] + "." + p[0] + "." + p[2],
		raw(`{"alg":"none","kid":"k1","typ":"remint-cap+jwt"}`, claims(id).String(), "k1"),
		raw(`{"alg":"EdDSA","kid":"k1","typ":"remint-cap+jwt","jwk":{}}`, claims(id).String(), "k1"),
		raw(goodHeader, claims(id).with("cap", `["*"]`).String(), "k1"),
		raw(goodHeader, claims(id).String(), "k2"),
		fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, p[0], p[1], p[2]),
	}
	return good, bad
}

// No text is accepted but, byte for byte, those that the key has signed.
func FuzzVerify(f *testing.F) {
	b := newBed(f)
	g := b.issue(remint.Spec{})
	good, bad := seeds()
	signed := make(map[string]bool)
	for _, text := range good {
		signed[text] = true
		b.accepts(text, inside)
		f.Add(text)
	}
	for _, text := range bad {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := b.verifier.Verify(text, inside)
		if (err == nil) != signed[text] {
			t.Fatalf("accepted %v, signed %v: %v", err == nil, signed[text], err)
		}
		if err != nil && !errors.Is(err, captoken.ErrInvalid) {
			t.Fatalf("%v is not ErrInvalid", err)
		}
		if err == nil && c.Capabilities.Len() == 0 {
			t.Fatal("claims of nothing")
		}
		if _, err := b.verifier.Extra(t.Context(), text, g.Token, inside); err == nil {
			t.Fatal("it counts for a token that it does not name")
		}
	})
}

// Whatever a key signs, what is accepted keeps to the bounds, and means one thing: what a
// Signer would have signed of it is accepted for the same.
func FuzzVerifySigned(f *testing.F) {
	b := newBed(f)
	good, bad := seeds()
	for _, text := range append(good, bad[10:12]...) {
		f.Add(payloadOf(f, text))
	}
	good1 := claims(remint.ID{1})
	for _, o := range []object{
		good1.with("exp", "1e9"), good1.with("owner", `"\ud800"`), good1.with("net", "[[]]"), good1.with("EXP", "1"), good1.with("epoch", "18446744073709551615"),
	} {
		f.Add(o.String())
	}
	any := b.key
	any.Owner, any.AnyOwner = "", true
	v := b.newVerifier(0, any)
	f.Fuzz(func(t *testing.T, payload string) {
		if len(payload) > 8<<10 {
			return // it is refused before it is read, which has a test of its own
		}
		c, err := v.Verify(raw(goodHeader, payload, "k1"), inside)
		if err != nil {
			if !errors.Is(err, captoken.ErrInvalid) {
				t.Fatalf("%v is not ErrInvalid", err)
			}
			return
		}
		life := c.ExpiresAt.Sub(c.IssuedAt)
		switch {
		case life < time.Second || life > time.Hour || b.now.Before(c.IssuedAt) || !b.now.Before(c.ExpiresAt):
			t.Fatalf("at %v it was accepted from %v to %v", b.now, c.IssuedAt, c.ExpiresAt)
		case c.Issuer != issuerName || c.Audience != audience || c.Token.IsZero():
			t.Fatalf("accepted: %+v", c)
		case c.Capabilities.Len() == 0 || !any.May.Contains(c.Capabilities):
			t.Fatalf("accepted for %v", c.Capabilities)
		}
		for _, list := range c.Networks {
			held := false
			for _, n := range list {
				held = held || n.Contains(inside)
			}
			if !held {
				t.Fatalf("accepted outside of %v", list)
			}
		}
		again := object{
			"iss": quote(c.Issuer), "sub": quote(c.Token.String()), "aud": quote(c.Audience), "owner": quote(c.Owner),
			"iat": fmt.Sprint(c.IssuedAt.Unix()), "exp": fmt.Sprint(c.ExpiresAt.Unix()), "epoch": fmt.Sprint(c.Epoch), "cap": encoded(t, c.Capabilities),
		}
		if len(c.Networks) > 0 {
			again["net"] = encoded(t, c.Networks)
		}
		d, err := v.Verify(raw(goodHeader, again.String(), "k1"), inside)
		if err != nil || fmt.Sprint(c) != fmt.Sprint(d) {
			t.Fatalf("%+v came back as %+v, %v", c, d, err)
		}
	})
}

func encoded(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Whatever is read from a JWK Set are usable keys, and without bounds no Verifier takes them.
func FuzzParseJWKS(f *testing.F) {
	b := newBed(f)
	f.Add(b.signer.JWKS())
	f.Add(b.newSigner(signingKey(f, "", "k1"), signingKey(f, "two", "k2")).JWKS())
	x := b64(string(publicOf("k1")))
	for _, doc := range []string{
		"", "{}", `{"keys":[]}`, `{"keys":[{}]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"` + x + `","d":"` + x + `"}]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"` + x + `","key_ops":["verify"],"use":"sig","alg":"EdDSA","x5c":[]}],"a":1}`,
		`{"keys":[{"kty":"RSA","kid":"k","n":"AQAB","e":"AQAB"}]}`, `{"keys":[{"kty":"oct","kid":"k","k":"` + x + `"}]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		keys, err := captoken.ParseJWKS(data)
		if !bytes.Equal(before, data) {
			t.Fatal("the document was changed")
		}
		if err != nil {
			if !in(err, "JWKS") || keys != nil {
				t.Fatalf("%v, %v", keys, err)
			}
			return
		}
		if _, err := captoken.NewVerifier(&captoken.VerifierOptions{Keys: keys}); !in(err, "VerifierOptions.Keys[0].May") {
			t.Fatalf("keys without bounds: %v", err)
		}
		for i := range keys {
			keys[i].Issuer, keys[i].Audience, keys[i].AnyOwner, keys[i].May = "i", "a", true, remint.Allow("x")
		}
		if _, err := captoken.NewVerifier(&captoken.VerifierOptions{Keys: keys}); err != nil {
			t.Fatalf("keys that cannot be used: %v", err)
		}
	})
}
