package main

import (
	"crypto/ed25519"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strings"
	"time"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/chacha20"
)

// PASETO version 4, after its specification (paseto-standard/paseto-spec), without footers and
// implicit assertions. It is no library, and does no more than has to be done.

const (
	headPublic = "v4.public."
	headLocal  = "v4.local."
)

type pasetoClaims struct {
	Subject string    `json:"sub"`
	Expires time.Time `json:"exp"`
}

func pasetoPublic(_ *run, n int) (*peer, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	return pasetos("PASETO v4.public, by hand", n,
		func(message []byte) (string, error) { return signPaseto(private, message), nil },
		func(text string) ([]byte, error) { return openSignedPaseto(public, text) })
}

func pasetoLocal(_ *run, n int) (*peer, error) {
	key := random(32)
	return pasetos("PASETO v4.local, by hand", n,
		func(message []byte) (string, error) { return sealPaseto(key, random(32), message) },
		func(text string) ([]byte, error) { return openPaseto(key, text) })
}

func pasetos(name string, n int, seal func([]byte) (string, error), open func(string) ([]byte, error)) (*peer, error) {
	p := &peer{name: name, owner: ownerOf}
	for i := range n {
		message, err := json.Marshal(pasetoClaims{ownerOf(i), time.Now().Add(day).Truncate(time.Second)})
		if err != nil {
			return nil, err
		}
		text, err := seal(message)
		if err != nil {
			return nil, err
		}
		p.texts = append(p.texts, text)
	}
	p.check = func(text string) (string, error) {
		message, err := open(text)
		if err != nil {
			return "", err
		}
		var claims pasetoClaims
		if err := json.Unmarshal(message, &claims); err != nil {
			return "", err
		}
		if !time.Now().Before(claims.Expires) {
			return "", errRefused
		}
		return claims.Subject, nil
	}
	return p, nil
}

func signPaseto(key ed25519.PrivateKey, message []byte) string {
	signature := ed25519.Sign(key, preAuth([]byte(headPublic), message, nil, nil))
	return headPublic + base64.RawURLEncoding.EncodeToString(append(message[:len(message):len(message)], signature...))
}

func openSignedPaseto(key ed25519.PublicKey, text string) ([]byte, error) {
	body, err := pasetoBody(headPublic, text, ed25519.SignatureSize)
	if err != nil {
		return nil, err
	}
	message, signature := body[:len(body)-ed25519.SignatureSize], body[len(body)-ed25519.SignatureSize:]
	if !ed25519.Verify(key, preAuth([]byte(headPublic), message, nil, nil), signature) {
		return nil, errRefused
	}
	return message, nil
}

func sealPaseto(key, nonce, message []byte) (string, error) {
	encrypt, authenticate, err := pasetoKeys(key, nonce)
	if err != nil {
		return "", err
	}
	sealed := make([]byte, len(message))
	encrypt.XORKeyStream(sealed, message)
	tag, err := keyed(authenticate, 32, preAuth([]byte(headLocal), nonce, sealed, nil, nil))
	if err != nil {
		return "", err
	}
	body := append(append(nonce[:32:32], sealed...), tag...)
	return headLocal + base64.RawURLEncoding.EncodeToString(body), nil
}

func openPaseto(key []byte, text string) ([]byte, error) {
	body, err := pasetoBody(headLocal, text, 64)
	if err != nil {
		return nil, err
	}
	nonce, sealed, tag := body[:32], body[32:len(body)-32], body[len(body)-32:]
	encrypt, authenticate, err := pasetoKeys(key, nonce)
	if err != nil {
		return nil, err
	}
	want, err := keyed(authenticate, 32, preAuth([]byte(headLocal), nonce, sealed, nil, nil))
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(tag, want) != 1 {
		return nil, errRefused
	}
	encrypt.XORKeyStream(sealed, sealed)
	return sealed, nil
}

func pasetoBody(head, text string, least int) ([]byte, error) {
	rest, ok := strings.CutPrefix(text, head)
	if !ok {
		return nil, errRefused
	}
	body, err := base64.RawURLEncoding.Strict().DecodeString(rest)
	if err == nil && len(body) < least {
		err = errRefused
	}
	return body, err
}

// pasetoKeys derives the cipher and the key for authentication.
func pasetoKeys(key, nonce []byte) (*chacha20.Cipher, []byte, error) {
	derived, err := keyed(key, 56, append([]byte("paseto-encryption-key"), nonce...))
	if err != nil {
		return nil, nil, err
	}
	encrypt, err := chacha20.NewUnauthenticatedCipher(derived[:32], derived[32:])
	if err != nil {
		return nil, nil, err
	}
	authenticate, err := keyed(key, 32, append([]byte("paseto-auth-key-for-aead"), nonce...))
	return encrypt, authenticate, err
}

func keyed(key []byte, size int, data []byte) ([]byte, error) {
	h, err := blake2b.New(size, key)
	if err != nil {
		return nil, err
	}
	h.Write(data)
	return h.Sum(nil), nil
}

// preAuth is PASETO's pre-authentication encoding: a count of pieces, and each after its length.
func preAuth(pieces ...[]byte) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 512), uint64(len(pieces)))
	for _, piece := range pieces {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(piece)))
		b = append(b, piece...)
	}
	return b
}
