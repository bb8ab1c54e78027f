package captoken

import (
	"crypto"
	"crypto/ed25519"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// keyIDProblem says what is wrong with a key ID, or "". RFC 7515 lets it be any string; this
// can be logged as it is.
func keyIDProblem(id string) string {
	switch {
	case id == "":
		return "is empty"
	case len(id) > maxKeyID:
		return fmt.Sprintf("has %d bytes, and may have %d", len(id), maxKeyID)
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' {
			return fmt.Sprintf("has something at byte %d that is not a printable ASCII character, or a space", i)
		}
	}
	return ""
}

// publicProblem says what is wrong with a public key, or "".
func publicProblem(public ed25519.PublicKey) string {
	if len(public) != ed25519.PublicKeySize {
		return fmt.Sprintf("has %d bytes, and an Ed25519 public key has %d", len(public), ed25519.PublicKeySize)
	}
	var y [ed25519.PublicKeySize]byte
	copy(y[:], public)
	y[len(y)-1] &= 0x7f // without the sign of x
	if slices.Contains(smallOrder, y) {
		return "is a point of small order, for which anybody can sign"
	}
	return ""
}

// smallOrder has the y coordinates, little-endian, of the points of Curve25519's small
// subgroup (order 1, 2, 4 and 8) in all their encodings of RFC 8032, section 5.1.2, the
// non-canonical ones included. 32 zero bytes, a key that nobody filled in, is one.
var smallOrder = [][ed25519.PublicKeySize]byte{
	{}, // y = 0: order 4
	{1},
	{
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	},
	{
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
	},
	almost(0xec), // p - 1
	almost(0xed), // p, which stands for 0
	almost(0xee), // p + 1, which stands for 1
}

// almost returns the number whose first byte is given, of those next to p = 2²⁵⁵ - 19.
func almost(first byte) (y [ed25519.PublicKeySize]byte) {
	for i := range y {
		y[i] = 0xff
	}
	y[0], y[len(y)-1] = first, 0x7f
	return y
}

// thumbprint returns the JWK SHA-256 thumbprint (RFC 7638, RFC 8037 appendix A.3) of a key that
// has no problem, in base64url.
func thumbprint(public ed25519.PublicKey) string {
	sum, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		panic(err) // there is none for a key of the right length
	}
	return base64url.EncodeToString(sum)
}
