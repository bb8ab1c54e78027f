package captoken_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/remint-go/remint"
	"github.com/remint-go/remint/captoken"
)

// payloadOf returns the payload of a text.
func payloadOf(t testing.TB, text string) string {
	t.Helper()
	return unb64(t, strings.Split(text, ".")[1])
}

func TestWhatASignerSignsIsAccepted(t *testing.T) {
	b := newBed(t)
	g := b.issue(remint.Spec{})
	c := b.accepts(b.sign(g.Token.ID(), request()), nowhere)
	want := captoken.Claims{
		KeyID: "k1", Issuer: issuerName, Audience: audience, Token: g.Token.ID(), Owner: owner, Epoch: 1,
		Capabilities: remint.Allow("reports:read"), IssuedAt: start, ExpiresAt: start.Add(5 * time.Minute),
	}
	if fmt.Sprint(c) != fmt.Sprint(want) {
		t.Errorf("claims are\n%v, not\n%v", c, want)
	}
}

func TestASignedTextHasTheDocumentedForm(t *testing.T) {
	b := newBed(t)
	g := b.issue(remint.Spec{})
	text := b.sign(g.Token.ID(), request())
	if got := unb64(t, strings.Split(text, ".")[0]); got != goodHeader {
		t.Errorf("header is %s", got)
	}
	want := fmt.Sprintf(`{"iss":"https://tokens.example","sub":"%s","aud":"reports","owner":"acme","cap":["reports:read"],`+
		`"iat":%d,"exp":%d,"epoch":1}`, g.Token.ID(), start.Unix(), start.Unix()+300)
	if got := payloadOf(t, text); got != want {
		t.Errorf("payload is\n%s, not\n%s", got, want)
	}
	if again := raw(goodHeader, want, "k1"); again != text {
		t.Errorf("signed by hand it is\n%s, not\n%s", again, text)
	}
}

func TestNoOtherHeaderIsAccepted(t *testing.T) {
	b := newBed(t)
	payload := payloadOf(t, b.sign(b.issue(remint.Spec{}).Token.ID(), request()))
	good := object{"alg": `"EdDSA"`, "kid": `"k1"`, "typ": `"remint-cap+jwt"`}
	b.accepts(raw(good.String(), payload, "k1"), nowhere)
	b.accepts(raw(` { "typ" : "remint-cap+jwt" , "kid":"\u006b1", "alg":"EdDSA" } `, payload, "k1"), nowhere)
	jwk := fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q}`, b64(string(publicOf("k1"))))
	for words, headers := range map[string][]string{
		`"alg" is not`: {
			good.with("alg", `"none"`).String(), good.with("alg", `"None"`).String(), good.with("alg", `""`).String(),
			good.with("alg", `"eddsa"`).String(), good.with("alg", `"Ed25519"`).String(), good.with("alg", `"HS256"`).String(),
			good.with("alg", `"RS256"`).String(), good.with("alg", `"ES256"`).String(), good.with("alg", `"EdDSA "`).String(),
		},
		`"alg" is missing`:      {good.with("alg", "").String(), `{"ALG":"EdDSA","kid":"k1","typ":"remint-cap+jwt"}`},
		`"alg" is not a string`: {good.with("alg", `null`).String(), good.with("alg", `["EdDSA"]`).String(), good.with("alg", `1`).String()},
		`"typ" is not`: {
			good.with("typ", `"JWT"`).String(), good.with("typ", `"at+jwt"`).String(), good.with("typ", `""`).String(),
			good.with("typ", `"REMINT-CAP+JWT"`).String(), good.with("typ", `"application/remint-cap+jwt"`).String(),
			good.with("typ", `"remint-cap+jwt\u0000"`).String(),
		},
		`"typ" is missing`:      {good.with("typ", "").String(), `{"alg":"EdDSA","kid":"k1","Typ":"remint-cap+jwt"}`},
		`"typ" is not a string`: {good.with("typ", `true`).String()},
		`no key has its ID`: {
			good.with("kid", `"k2"`).String(), good.with("kid", `"K1"`).String(), good.with("kid", `"../../k1"`).String(),
		},
		`"kid" is missing`:      {good.with("kid", "").String()},
		`"kid" is empty`:        {good.with("kid", `""`).String()},
		`"kid" has`:             {good.with("kid", `"k1\n"`).String(), good.with("kid", `"k1 "`).String(), good.with("kid", quote(strings.Repeat("k", 129))).String()},
		`"kid" is not a string`: {good.with("kid", `null`).String(), good.with("kid", `1`).String()},
		`has the member`: {
			good.with("crit", `["exp"]`).String(), good.with("crit", `[]`).String(), good.with("jwk", jwk).String(),
			good.with("jku", `"https://evil.example/jwks"`).String(), good.with("x5u", `"https://evil.example/x"`).String(),
			good.with("x5c", `[]`).String(), good.with("x5t", `"x"`).String(), good.with("x5t#S256", `"x"`).String(),
			good.with("b64", `true`).String(), good.with("b64", `false`).with("crit", `["b64"]`).String(),
			good.with("cty", `"JWT"`).String(), good.with("zip", `"DEF"`).String(), good.with("nonce", `"n"`).String(),
			good.with("", `1`).String(),
			`{"alg":"EdDSA","alg":"EdDSA","kid":"k1","typ":"remint-cap+jwt"}`,
			`{"alg":"none","kid":"k1","typ":"remint-cap+jwt","\u0061lg":"EdDSA"}`,
			`{"alg":"EdDSA","kid":"k2","kid":"k1","typ":"remint-cap+jwt"}`,
		},
		`the header`: {
			`{}`, `[]`, `"x"`, `null`, `{`, goodHeader + `{}`, goodHeader + `x`, goodHeader[:len(goodHeader)-1],
			goodHeader[:len(goodHeader)-1] + `,}`, "\xff", `{"alg":"EdDSA","kid":"k1","typ":"remint-cap+jwt","\ud800":1}`,
			strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000), strings.Repeat("[", 5000),
			"\ufeff" + goodHeader, "/**/" + goodHeader,
		},
	} {
		for _, h := range headers {
			t.Run(fmt.Sprintf("%s %.40s", words, h), func(t *testing.T) {
				b := *b
				b.TB = t
				b.refuses(raw(h, payload, "k1"), nowhere, words)
			})
		}
	}
}

// The classic confusions, made with the same library and real keys of the other algorithms.
func TestNoOtherAlgorithmIsAccepted(t *testing.T) {
	b := newBed(t)
	payload := payloadOf(t, b.sign(b.issue(remint.Spec{}).Token.ID(), request()))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := publicOf("k1")
	for alg, key := range map[jose.SignatureAlgorithm]any{
		jose.HS256: []byte(public), // the public key as a shared secret
		jose.HS512: append(append([]byte(nil), public...), public...),
		jose.RS256: rsaKey, jose.PS256: rsaKey, jose.ES256: ecKey,
	} {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key},
			new(jose.SignerOptions).WithType(captoken.Type).WithHeader("kid", "k1"))
		if err != nil {
			t.Fatal(alg, err)
		}
		jws, err := signer.Sign([]byte(payload))
		if err != nil {
			t.Fatal(alg, err)
		}
		text, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(alg, err)
		}
		b.refuses(text, nowhere, "") // a signature of another length, or alg
		parts := strings.Split(text, ".")
		b.refuses(b64(goodHeader)+"."+parts[1]+"."+parts[2], nowhere, "")
	}
	none := b64(`{"alg":"none","kid":"k1","typ":"remint-cap+jwt"}`) + "." + b64(payload) + "."
	b.refuses(none, nowhere, "part 3 of 3 is empty")
	b.refuses(none+b64(strings.Repeat("\x00", 64)), nowhere, `"alg" is not`)
	b.refuses(b64(goodHeader)+"."+b64(payload)+"."+b64(strings.Repeat("\x00", 64)), nowhere, "the signature is not the key's")

	// Ed25519ph and Ed25519ctx are other algorithms, too.
	input := b64(goodHeader) + "." + b64(payload)
	for _, o := range []*ed25519.Options{{Context: "x"}, {Hash: crypto.SHA512}} {
		message := []byte(input)
		if o.Hash != 0 {
			h := o.Hash.New()
			h.Write(message)
			message = h.Sum(nil)
		}
		sig, err := keyOf("k1").Sign(nil, message, o)
		if err != nil {
			t.Fatal(err)
		}
		b.refuses(input+"."+b64(string(sig)), nowhere, "the signature is not the key's")
	}
}

func TestATokenOfAnotherKeyIsRefused(t *testing.T) {
	b := newBed(t)
	payload := payloadOf(t, b.sign(b.issue(remint.Spec{}).Token.ID(), request()))
	other := b.key
	other.ID, other.Public = "k2", publicOf("k2")
	b.verifier = b.newVerifier(0, b.key, other)
	k2 := strings.Replace(goodHeader, "k1", "k2", 1)
	b.accepts(raw(goodHeader, payload, "k1"), nowhere)
	b.accepts(raw(k2, payload, "k2"), nowhere)
	b.refuses(raw(goodHeader, payload, "k2"), nowhere, "the signature is not the key's")
	b.refuses(raw(k2, payload, "k1"), nowhere, "the signature is not the key's")
	b.refuses(raw(goodHeader, payload, "stranger"), nowhere, "the signature is not the key's")
}

func TestOnlyTheCompactSerializationIsAccepted(t *testing.T) {
	b := newBed(t)
	text := b.sign(b.issue(remint.Spec{}).Token.ID(), request())
	p := strings.Split(text, ".")
	for _, other := range []string{
		"", ".", "..", "...", p[0], p[0] + "." + p[1], text + ".", "." + text, text + "." + p[2], p[0] + ".." + p[2], "." + p[1] + "." + p[2],
		fmt.Sprintf(`{"protected":%q,"payload":%q,"signature":%q}`, p[0], p[1], p[2]),
		fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, p[1], p[0], p[2]),
		"Bearer " + text, `"` + text + `"`, text + "," + text, text + "~",
	} {
		b.refuses(other, nowhere, "")
	}
}

func TestATextHasOneFormOnly(t *testing.T) {
	b := newBed(t)
	text := b.sign(b.issue(remint.Spec{}).Token.ID(), request())
	p := strings.Split(text, ".")
	for _, space := range []string{" ", "\n", "\r\n", "\t", "\x00", "\u00a0", "=", "+", "/", "%2E"} {
		for _, other := range []string{space + text, text + space, p[0] + space + "." + p[1] + "." + p[2], p[0] + "." + p[1] + space + "." + p[2], p[0] + "." + p[1][:5] + space + p[1][5:] + "." + p[2]} {
			b.refuses(other, nowhere, "")
		}
	}
	for i, part := range p {
		std := base64.RawStdEncoding.EncodeToString([]byte(unb64(t, part)))
		if std != part {
			q := append([]string(nil), p...)
			q[i] = std
			b.refuses(strings.Join(q, "."), nowhere, "not canonical base64url")
		}
	}
	// 64 bytes leave four bits of the last character unused.
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, text[len(text)-1])
	for k := 1; k < 16; k++ {
		b.refuses(text[:len(text)-1]+string(alphabet[last|k]), nowhere, "not canonical base64url")
	}
}

func TestEveryByteOfATextCounts(t *testing.T) {
	b := newBed(t)
	text := b.sign(b.issue(remint.Spec{}).Token.ID(), request())
	for i := range len(text) {
		for _, c := range []byte{'A', 'Q', '_', '.', text[i] ^ 1} {
			if c == text[i] {
				continue
			}
			changed := text[:i] + string(rune(c)) + text[i+1:]
			if _, err := b.verifier.Verify(changed, nowhere); err == nil {
				t.Errorf("with %q at byte %d it is accepted", c, i)
			}
		}
		b.refuses(text[:i], nowhere, "")
		b.refuses(text[:i]+text[i+1:], nowhere, "")
	}
}

func TestALongTextIsRefusedBeforeItIsRead(t *testing.T) {
	b := newBed(t)
	b.refuses(strings.Repeat("a", 16<<10+1), nowhere, "has 16385 bytes")
	b.refuses(strings.Repeat(".", 16<<10), nowhere, "not a JWS")
	b.refuses(strings.Repeat("a", 16<<10), nowhere, "not a JWS")
	// And what just fits is read.
	payload := payloadOf(t, b.sign(b.issue(remint.Spec{}).Token.ID(), request()))
	fill := func(n int) string { return raw(goodHeader, payload+strings.Repeat(" ", n), "k1") }
	n := 0
	for len(fill(n+100)) <= 16<<10 {
		n += 100
	}
	for len(fill(n+1)) <= 16<<10 {
		n++
	}
	b.accepts(fill(n), nowhere)
	b.refuses(fill(n+1), nowhere, "bytes, and may have 16384")
}
