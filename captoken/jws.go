package captoken

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// maxText bounds a token's text, before anything of it is looked at. It holds 256
// capabilities of 40 bytes; a header of a request seldom may have more than 8 KiB.
const maxText = 16 << 10

// maxKeyID bounds a key ID.
const maxKeyID = 128

// base64url is the encoding of RFC 7515, section 2, in its one canonical form. It skips line
// breaks, so a caller has to refuse those.
var base64url = base64.RawURLEncoding.Strict()

// keyIDOf judges the form of a token's text and its header, and returns its key ID. The JOSE
// library would accept other algorithms' headers, members that nobody asked for and
// encodings that are not canonical; so all that it gets to see has passed this.
func keyIDOf(token string) (string, error) {
	if len(token) > maxText {
		return "", invalid("it has %d bytes, and may have %d", len(token), maxText)
	}
	if strings.ContainsAny(token, "\r\n") {
		return "", invalid("it has a line break")
	}
	parts := strings.SplitN(token, ".", 4)
	if len(parts) != 3 {
		return "", invalid("it is not a JWS in compact serialization")
	}
	var header []byte
	for i, part := range parts {
		b, err := base64url.DecodeString(part)
		if err != nil || len(b) == 0 {
			return "", invalid("part %d of 3 is empty, or not canonical base64url", i+1)
		}
		switch i {
		case 0:
			header = b
		case 2:
			if len(b) != ed25519.SignatureSize {
				return "", invalid("the signature has %d bytes, and an Ed25519 signature has %d", len(b), ed25519.SignatureSize)
			}
		}
	}
	all, err := members(header)
	if err != nil {
		return "", invalid("the header %w", err)
	}
	var alg, typ, kid string
	for name, to := range map[string]*string{"alg": &alg, "typ": &typ, "kid": &kid} {
		raw, ok := all[name]
		if !ok {
			return "", invalid("the header's %q is missing", name)
		}
		if *to, err = text(raw); err != nil {
			return "", invalid("the header's %q %w", name, err)
		}
		delete(all, name)
	}
	for name := range all {
		return "", invalid("the header has the member %s", shown(name))
	}
	switch {
	case alg != string(jose.EdDSA):
		return "", invalid("the header's \"alg\" is not %q", jose.EdDSA)
	case typ != Type:
		return "", invalid("the header's \"typ\" is not %q", Type)
	case keyIDProblem(kid) != "":
		return "", invalid("the header's \"kid\" %s", keyIDProblem(kid))
	}
	return kid, nil
}

// open verifies the signature of a text that has passed keyIDOf, and returns the payload.
func open(token string, public ed25519.PublicKey) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, invalid("it is not a JWS in compact serialization")
	}
	payload, err := jws.Verify(public)
	if err != nil {
		return nil, invalid("the signature is not the key's")
	}
	return payload, nil
}

// seal returns the function that signs payloads with a key.
func seal(id string, private ed25519.PrivateKey) (func(payload []byte) (string, error), error) {
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.EdDSA, Key: private},
		new(jose.SignerOptions).WithType(Type).WithHeader("kid", id),
	)
	if err != nil {
		return nil, fmt.Errorf("captoken: %w", err)
	}
	return func(payload []byte) (string, error) {
		jws, err := signer.Sign(payload)
		if err != nil {
			return "", fmt.Errorf("captoken: signing: %w", err)
		}
		return jws.CompactSerialize()
	}, nil
}
