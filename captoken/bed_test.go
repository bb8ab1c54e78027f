package captoken_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/captoken"
	"github.com/remint-go/remint/store"
)

const (
	issuerName = "https://tokens.example"
	audience   = "reports"
	owner      = "acme"
)

var (
	start   = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	inside  = netip.MustParseAddr("10.1.2.3")
	outside = netip.MustParseAddr("192.0.2.1")
	nowhere netip.Addr
)

// keyOf returns the private key that stands for a name, the same in every run.
func keyOf(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicOf(name string) ed25519.PublicKey { return keyOf(name).Public().(ed25519.PublicKey) }

func signingKey(t testing.TB, id, name string) captoken.SigningKey {
	t.Helper()
	k, err := captoken.NewSigningKey(id, keyOf(name))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// A bed is a service with tokens, a Signer and a Verifier, on one clock.
type bed struct {
	testing.TB
	now      time.Time
	store    *store.Memory
	issuer   *remint.Issuer
	op       remint.Actor
	signer   *captoken.Signer
	key      captoken.Key
	verifier *captoken.Verifier
}

func newBed(t testing.TB) *bed {
	t.Helper()
	b := &bed{TB: t, now: start, store: new(store.Memory)}
	var err error
	if b.issuer, err = remint.New(b.store, &remint.Options{Now: b.clock}); err != nil {
		t.Fatal(err)
	}
	b.op = b.issuer.Operator("captoken")
	b.signer = b.newSigner(signingKey(t, "k1", "k1"))
	b.key = captoken.Key{
		ID: "k1", Public: publicOf("k1"), Issuer: issuerName, Audience: audience, Owner: owner,
		May: remint.Allow("reports", "billing:read"),
	}
	b.verifier = b.newVerifier(0, b.key)
	return b
}

func (b *bed) clock() time.Time { return b.now }

func (b *bed) newSigner(keys ...captoken.SigningKey) *captoken.Signer {
	b.Helper()
	s, err := captoken.NewSigner(b.op, &captoken.SignerOptions{
		Keys: keys, Issuer: issuerName, May: remint.Allow("*"), Now: b.clock,
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func (b *bed) newVerifier(leeway time.Duration, keys ...captoken.Key) *captoken.Verifier {
	b.Helper()
	v, err := captoken.NewVerifier(&captoken.VerifierOptions{Keys: keys, Leeway: leeway, Now: b.clock})
	if err != nil {
		b.Fatal(err)
	}
	return v
}

func (b *bed) issue(spec remint.Spec) remint.Grant {
	b.Helper()
	if spec.Owner == "" {
		spec.Owner = owner
	}
	g, err := b.op.Issue(b.Context(), spec)
	if err != nil {
		b.Fatal(err)
	}
	return g
}

// request is what an inner service accepts.
func request() captoken.Request {
	return captoken.Request{Capabilities: remint.Allow("reports:read"), Audience: audience}
}

func (b *bed) sign(id remint.ID, r captoken.Request) string {
	b.Helper()
	text, err := b.signer.Sign(b.Context(), id, r)
	if err != nil {
		b.Fatal(err)
	}
	return text
}

func (b *bed) accepts(text string, from netip.Addr) captoken.Claims {
	b.Helper()
	c, err := b.verifier.Verify(text, from)
	if err != nil {
		b.Fatalf("refused: %v", err)
	}
	return c
}

// refused checks that an error is ErrInvalid, for the reason that has these words.
func (b *bed) refused(err error, words string) {
	b.Helper()
	switch {
	case err == nil:
		b.Error("accepted")
	case !errors.Is(err, captoken.ErrInvalid):
		b.Errorf("%v is not ErrInvalid", err)
	case !strings.Contains(err.Error(), words):
		b.Errorf("refused, but with %q and not for %q", err, words)
	}
}

func (b *bed) refuses(text string, from netip.Addr, words string) {
	b.Helper()
	c, err := b.verifier.Verify(text, from)
	b.refused(err, words)
	if c.KeyID != "" || c.Capabilities.Len() != 0 || !c.Token.IsZero() {
		b.Errorf("beside the error there are claims: %+v", c)
	}
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func unb64(t testing.TB, s string) string {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const goodHeader = `{"alg":"EdDSA","kid":"k1","typ":"remint-cap+jwt"}`

// raw returns a token of any header and payload, well signed with the named key.
func raw(header, payload, key string) string {
	input := b64(header) + "." + b64(payload)
	return input + "." + b64(string(ed25519.Sign(keyOf(key), []byte(input))))
}

// object is a JSON object in parts, so that a test can put anything into it.
type object map[string]string

func (o object) with(name, value string) object {
	o = maps.Clone(o)
	if o[name] = value; value == "" {
		delete(o, name)
	}
	return o
}

func (o object) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(o)) {
		parts = append(parts, quote(name)+":"+o[name])
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}
