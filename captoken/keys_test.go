package captoken_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/captoken"
)

// The steps of the package comment, with a token of every moment.
func TestAKeyRotatesWithAnOverlap(t *testing.T) {
	b := newBed(t)
	id := b.issue(remint.Spec{}).Token.ID()
	r := request()
	r.Lifetime = captoken.MaxLifetime
	older, newer := signingKey(t, "", "older"), signingKey(t, "", "newer")
	bounded := func(keys []captoken.Key) []captoken.Key {
		for i := range keys {
			keys[i].Issuer, keys[i].Audience, keys[i].Owner, keys[i].May = issuerName, audience, owner, remint.Allow("reports")
		}
		return keys
	}
	fetch := func() []captoken.Key {
		t.Helper()
		w := httptest.NewRecorder()
		b.signer.JWKSHandler().ServeHTTP(w, httptest.NewRequest("GET", "/jwks", nil))
		keys, err := captoken.ParseJWKS(w.Body.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return bounded(keys)
	}
	set := func(keys []captoken.Key) {
		t.Helper()
		if err := b.verifier.SetKeys(keys); err != nil {
			t.Fatal(err)
		}
	}

	b.signer = b.newSigner(older)
	set(fetch())
	before := b.sign(id, r)

	b.signer = b.newSigner(older, newer) // 1
	during := b.sign(id, r)
	b.accepts(during, nowhere) // by a verifier that has not heard of it
	set(fetch())               // 2
	b.accepts(before, nowhere)
	b.accepts(during, nowhere)

	b.signer = b.newSigner(newer, older) // 3
	after := b.sign(id, r)
	for text, kid := range map[string]string{before: older.ID(), during: older.ID(), after: newer.ID()} {
		if c := b.accepts(text, nowhere); c.KeyID != kid {
			t.Errorf("signed with %s, not %s", c.KeyID, kid)
		}
	}

	b.now = start.Add(captoken.MaxLifetime) // 4
	b.refuses(before, nowhere, "expired")
	b.refuses(during, nowhere, "expired")
	b.signer = b.newSigner(newer)
	set(fetch())
	b.now = start.Add(captoken.MaxLifetime - 1)
	b.refuses(during, nowhere, "no key has its ID")
	b.accepts(after, nowhere)
}

func TestAKeyThatIsTakenOutStopsAtOnce(t *testing.T) {
	b := newBed(t)
	text := b.sign(b.issue(remint.Spec{}).Token.ID(), request())
	b.accepts(text, nowhere)
	k2 := b.key
	k2.ID, k2.Public = "k2", publicOf("k2")
	if err := b.verifier.SetKeys([]captoken.Key{k2}); err != nil {
		t.Fatal(err)
	}
	b.refuses(text, nowhere, "no key has its ID")
	// Nor does its ID bring it back under another key.
	k2.ID = "k1"
	if err := b.verifier.SetKeys([]captoken.Key{k2}); err != nil {
		t.Fatal(err)
	}
	b.refuses(text, nowhere, "the signature is not the key's")
}

func TestKeysCanBeReplacedWhileTokensAreJudged(t *testing.T) {
	b := newBed(t)
	text := b.sign(b.issue(remint.Spec{}).Token.ID(), request())
	k2 := b.key
	k2.ID, k2.Public = "k2", publicOf("k2")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			keys := []captoken.Key{b.key, k2}
			if i%2 == 0 {
				slices.Reverse(keys)
			}
			if err := b.verifier.SetKeys(keys); err != nil {
				t.Error(err)
			}
			clear(keys)
		}
	}()
	for range 200 {
		b.accepts(text, nowhere)
	}
	<-done
}

// RFC 8037, appendices A.1 to A.3.
func TestAnEmptyKeyIDIsTheThumbprint(t *testing.T) {
	seed, err := hex.DecodeString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
	if err != nil {
		t.Fatal(err)
	}
	k, err := captoken.NewSigningKey("", ed25519.NewKeyFromSeed(seed))
	if err != nil {
		t.Fatal(err)
	}
	const want = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
	if k.ID() != want || b64(string(k.Public())) != "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" {
		t.Errorf("ID %s of %s", k.ID(), b64(string(k.Public())))
	}
	b := newBed(t)
	b.signer = b.newSigner(k)
	b.key.ID, b.key.Public = "", k.Public()
	b.verifier = b.newVerifier(0, b.key)
	if c := b.accepts(b.sign(b.issue(remint.Spec{}).Token.ID(), request()), nowhere); c.KeyID != want {
		t.Error(c.KeyID)
	}
}

func TestASigningKeyThatCannotBeUsedIsRefused(t *testing.T) {
	good := keyOf("k1")
	for what, private := range map[string]ed25519.PrivateKey{
		"nil": nil, "empty": {}, "a seed": ed25519.PrivateKey(good.Seed()), "too long": append(slices.Clone(good), 0),
		"zeros": make([]byte, 64), "with another public half": append(good.Seed(), publicOf("k2")...),
	} {
		k, err := captoken.NewSigningKey("k", private)
		var input *remint.InputError
		if !errors.As(err, &input) || k.ID() != "" || len(k.Public()) != 0 {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, id := range []string{" ", "a b", "a\n", "ü", "\x7f", strings.Repeat("a", 129)} {
		if _, err := captoken.NewSigningKey(id, good); err == nil {
			t.Errorf("%q was accepted", id)
		}
	}
	if _, err := captoken.NewSigningKey(strings.Repeat("~", 128), good); err != nil {
		t.Error(err)
	}
}

// For each of these keys somebody who has no private key makes a signature that
// crypto/ed25519 accepts. So they are what they are called, and no Verifier takes them.
func TestAPublicKeyForWhichAnybodyCanSignIsRefused(t *testing.T) {
	const p = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"
	for _, y := range []string{
		strings.Repeat("00", 32), "01" + strings.Repeat("00", 31), "ec" + p, "ed" + p, "ee" + p,
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	} {
		for _, sign := range []byte{0, 0x80} {
			public, err := hex.DecodeString(y)
			if err != nil {
				t.Fatal(err)
			}
			public[31] |= sign
			// R is the identity and S is 0: right whenever the hash is a multiple of the order.
			sig := append([]byte{1}, make([]byte, 63)...)
			forged := false
			for i := 0; i < 1000 && !forged; i++ {
				forged = ed25519.Verify(public, fmt.Append(nil, i), sig)
			}
			// Not all encodings are of a point for Go: x = 0 has no sign.
			if !forged && sign == 0 {
				t.Errorf("%x: no forgery was found", public)
			}
			b := newBed(t)
			b.key.Public = public
			if err := b.verifier.SetKeys([]captoken.Key{b.key}); !in(err, "keys[0].Public") {
				t.Errorf("%x is accepted: %v", public, err)
			}
			doc := fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","x":%q}]}`, b64(string(public)))
			if _, err := captoken.ParseJWKS([]byte(doc)); err == nil {
				t.Errorf("%x is accepted from a JWK Set", public)
			}
		}
	}
}

func TestAJWKSetHasThePublicKeysAndComesBack(t *testing.T) {
	b := newBed(t)
	k1, k2 := signingKey(t, "k1", "k1"), signingKey(t, "", "k2")
	data := b.newSigner(k1, k2).JWKS()
	want := fmt.Sprintf(`{"keys":[{"use":"sig","kty":"OKP","kid":"k1","crv":"Ed25519","alg":"EdDSA","x":%q},`+
		`{"use":"sig","kty":"OKP","kid":%q,"crv":"Ed25519","alg":"EdDSA","x":%q}]}`,
		b64(string(publicOf("k1"))), k2.ID(), b64(string(publicOf("k2"))))
	if string(data) != want {
		t.Errorf("it is\n%s, not\n%s", data, want)
	}
	keys, err := captoken.ParseJWKS(data)
	if err != nil || len(keys) != 2 || keys[0].ID != "k1" || keys[1].ID != k2.ID() ||
		!keys[0].Public.Equal(publicOf("k1")) || !keys[1].Public.Equal(publicOf("k2")) {
		t.Fatal(keys, err)
	}
	if _, err := captoken.NewVerifier(&captoken.VerifierOptions{Keys: keys}); !in(err, "VerifierOptions.Keys[0].May") {
		t.Errorf("keys without bounds are accepted: %v", err)
	}
}

func TestAJWKSetIsServedToBeCachedForMinutes(t *testing.T) {
	b := newBed(t)
	for method, code := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "DELETE": 405} {
		w := httptest.NewRecorder()
		b.signer.JWKSHandler().ServeHTTP(w, httptest.NewRequest(method, "/", nil))
		if w.Code != code {
			t.Errorf("%s: %d", method, w.Code)
		}
		if h := w.Header(); code == http.StatusOK && (h.Get("Content-Type") != "application/jwk-set+json" ||
			h.Get("Cache-Control") != "public, max-age=300" || !bytes.Equal(w.Body.Bytes(), b.signer.JWKS())) {
			t.Errorf("%s: %v %s", method, h, w.Body)
		} else if code != http.StatusOK && h.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %v", method, h)
		}
	}
}

func TestAJWKSetIsReadStrictly(t *testing.T) {
	good := object{"kty": `"OKP"`, "crv": `"Ed25519"`, "x": quote(b64(string(publicOf("k1")))), "kid": `"k1"`}
	set := func(keys ...object) string {
		var list []string
		for _, k := range keys {
			list = append(list, k.String())
		}
		return `{"keys":[` + strings.Join(list, ",") + `]}`
	}
	for _, doc := range []string{
		set(good), set(good.with("use", `"sig"`).with("alg", `"EdDSA"`)), set(good.with("key_ops", `["verify"]`)),
		set(good.with("x5t", `"ignored"`).with("later", `{"a":[1]}`)), `{"more":1,` + set(good)[1:],
	} {
		if keys, err := captoken.ParseJWKS([]byte(doc)); err != nil || len(keys) != 1 || keys[0].ID != "k1" {
			t.Errorf("%s: %v %v", doc, keys, err)
		}
	}
	two := good.with("kid", `"k2"`).with("x", quote(b64(string(publicOf("k2")))))
	x := b64(string(publicOf("k1")))
	var many []object
	for i := range 65 {
		many = append(many, good.with("kid", quote(fmt.Sprint(i))).with("x", quote(b64(string(publicOf(fmt.Sprint(i)))))))
	}
	for words, docs := range map[string][]string{
		"not a JSON object": {"", "[]", "null", `"keys"`},
		"well-formed":       {"{", `{"keys":[}`, set(good)[:20]},
		"something after":   {set(good) + "x", set(good) + set(good)},
		"twice":             {`{"keys":[],"keys":[` + good.String() + `]}`, `{"keys":[{"kid":"x",` + good.String()[1:] + `]}`},
		"is missing, or":    {"{}", `{"keys":null}`, `{"keys":{}}`, `{"Keys":[` + good.String() + `]}`},
		"keys, and must":    {`{"keys":[]}`, set(many...)},
		"bytes, and may":    {set(good) + strings.Repeat(" ", 64<<10)},
		"of a private key": {
			set(good.with("d", quote(b64(string(keyOf("k1").Seed()))))), set(good.with("d", "null")), set(two, good.with("d", `""`)), set(good.with("k", `"x"`)),
		},
		"no Ed25519 key": {
			set(good.with("kty", `"RSA"`)), set(good.with("kty", `"oct"`)), set(good.with("kty", "")), set(good.with("crv", "")),
			set(good.with("crv", `"X25519"`)), set(good.with("crv", `"Ed448"`)), set(good.with("crv", `"P-256"`)), set(good.with("kty", `"okp"`)),
			set(two, object{"kty": `"EC"`, "kid": `"x"`}),
		},
		`"use"`:           {set(good.with("use", `"enc"`)), set(good.with("use", `""`)), set(good.with("use", "null"))},
		`"alg"`:           {set(good.with("alg", `"HS256"`)), set(good.with("alg", `"none"`)), set(good.with("alg", "1"))},
		`"key_ops"`:       {set(good.with("key_ops", `["encrypt"]`)), set(good.with("key_ops", `[]`)), set(good.with("key_ops", `"verify"`))},
		`"kid"`:           {set(good.with("kid", "")), set(good.with("kid", `""`)), set(good.with("kid", `"a b"`)), set(good.with("kid", "1"))},
		`"x"`:             {set(good.with("x", "")), set(good.with("x", `""`)), set(good.with("x", "null")), set(good.with("x", quote(x[:42]))), set(good.with("x", quote(x+"AA")))},
		`canonical`:       {set(good.with("x", quote(x+"="))), set(good.with("x", quote(x[:10]+"\n"+x[10:]))), set(good.with("x", quote(" "+x)))},
		"another's, too":  {set(good, good), set(good, two.with("kid", `"k1"`)), set(good, good.with("kid", `"k2"`))},
		"not a JSON obj":  {`{"keys":[null]}`, `{"keys":["x"]}`, `{"keys":[[]]}`},
		"is not a string": {set(good.with("kty", "null")), set(good.with("crv", "[]"))},
	} {
		for _, doc := range docs {
			keys, err := captoken.ParseJWKS([]byte(doc))
			if !in(err, "JWKS") || !strings.Contains(err.Error(), words) || keys != nil {
				t.Errorf("%.100s: %v, not %s", doc, err, words)
			}
		}
	}
}

func TestAPrivateKeyInAJWKSetIsNotInTheError(t *testing.T) {
	d := b64(string(keyOf("k1").Seed()))
	_, err := captoken.ParseJWKS([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"k","d":"` + d + `"}]}`))
	if err == nil || strings.Contains(err.Error(), d[:8]) {
		t.Error(err)
	}
}

func TestAClaimsValueIsTheCallersOwn(t *testing.T) {
	b := newBed(t)
	text := b.sign(b.issue(remint.Spec{Networks: prefixes("10.0.0.0/8")}).Token.ID(), request())
	c := b.accepts(text, inside)
	clear(c.Networks[0])
	if d := b.accepts(text, inside); fmt.Sprint(d.Networks) != "[[10.0.0.0/8]]" {
		t.Error(d.Networks)
	}
	if data, err := json.Marshal(c); err != nil || !json.Valid(data) {
		t.Error(err)
	}
	if c.IssuedAt.Location() != time.UTC {
		t.Error(c.IssuedAt.Location())
	}
}
