package captoken

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// A SigningKey is an Ed25519 private key (RFC 8032) and its ID. Nothing prints, logs or
// encodes it. The zero SigningKey is no key.
type SigningKey struct {
	id     string
	public ed25519.PublicKey
	// A closure is the one form that fmt, which reads unexported fields of a struct that
	// holds a SigningKey without calling its methods, cannot look into.
	private func() ed25519.PrivateKey
}

// NewSigningKey returns a copy of a private key, as [ed25519.GenerateKey] makes it, under an ID
// of 1 to 128 printable ASCII characters without spaces. An empty ID stands for the key's
// SHA-256 thumbprint (RFC 7638, RFC 8037 appendix A.3), which a [Key] with an empty ID has, too.
// A key that cannot be used is a [remint.InputError]. Keep the key as PKCS #8
// ([crypto/x509.MarshalPKCS8PrivateKey]), away from the tokens' store.
func NewSigningKey(id string, private ed25519.PrivateKey) (SigningKey, error) {
	var p problems
	if len(private) != ed25519.PrivateKeySize {
		p.add("private", "has %d bytes, and an Ed25519 private key has %d", len(private), ed25519.PrivateKeySize)
		return SigningKey{}, p.err()
	}
	own := slices.Clone(private)
	if !ed25519.NewKeyFromSeed(own.Seed()).Equal(own) {
		// Signing with another public half would give the private one away.
		p.add("private", "has a public half that is not its own")
		return SigningKey{}, p.err()
	}
	public := own.Public().(ed25519.PublicKey)
	if id == "" {
		id = thumbprint(public)
	} else if problem := keyIDProblem(id); problem != "" {
		p.add("id", "%s", problem)
		return SigningKey{}, p.err()
	}
	return SigningKey{id, public, func() ed25519.PrivateKey { return own }}, nil
}

// ID returns the key's ID, which is the "kid" in what it signs.
func (k SigningKey) ID() string { return k.id }

// Public returns a copy of the public key.
func (k SigningKey) Public() ed25519.PublicKey { return slices.Clone(k.public) }

// String returns the key's ID, and that it is redacted.
func (k SigningKey) String() string { return fmt.Sprintf("captoken.SigningKey(%s, redacted)", k.id) }

// Format implements [fmt.Formatter]: every verb prints what String returns.
func (k SigningKey) Format(f fmt.State, verb rune) { io.WriteString(f, k.String()) }

// LogValue implements [slog.LogValuer] with what String returns.
func (k SigningKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText always fails: a redacted key that was stored is a lost one.
func (k SigningKey) MarshalText() ([]byte, error) {
	return nil, errors.New("captoken: a SigningKey is not encoded: keep the private key that it was made of")
}

// GobEncode always fails, as MarshalText does.
func (k SigningKey) GobEncode() ([]byte, error) { return k.MarshalText() }
