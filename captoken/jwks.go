package captoken

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// JWKS returns the public keys of all of the Signer's as a JWK Set (RFC 7517, section 5; RFC
// 8037, section 2), the signing one first. The caller may change it.
func (s *Signer) JWKS() []byte { return slices.Clone(s.jwks) }

// JWKSHandler returns a handler that serves [Signer.JWKS] to everybody, to be cached for five
// minutes: wait for longer than that, and than verifiers take to ask again, before a new key
// signs.
func (s *Signer) JWKSHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/jwk-set+json") // RFC 7517, section 8.5
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("X-Content-Type-Options", "nosniff")
		w.Write(s.jwks)
	})
}

// encodeJWKS returns the keys as a JWK Set.
func encodeJWKS(keys []SigningKey) ([]byte, error) {
	var set jose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{
			Key: k.Public(), KeyID: k.id, Algorithm: string(jose.EdDSA), Use: "sig",
		})
	}
	data, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("captoken: encoding the JWK Set: %w", err)
	}
	return data, nil
}

const (
	maxJWKS     = 64 << 10
	maxJWKSKeys = 64
)

// ParseJWKS reads a JWK Set of at most 64 KiB and 64 keys. Of each [Key] it sets ID and Public,
// and the caller sets the bounds: no Verifier takes one without them, so that whoever
// publishes a key does not decide what it may grant. The document must come from whom the bounds
// trust, as over TLS.
//
// All keys must be public Ed25519 keys with an ID of their own and, where they say so, be for
// signatures with EdDSA; a set with any other key, or with a private one, is refused as a
// whole with a [remint.InputError]. Other members are ignored, as RFC 7517 demands.
func ParseJWKS(data []byte) ([]Key, error) {
	var p problems
	refuse := func(format string, args ...any) ([]Key, error) {
		p.add("JWKS", format, args...)
		return nil, p.err()
	}
	if len(data) > maxJWKS {
		return refuse("has %d bytes, and may have %d", len(data), maxJWKS)
	}
	set, err := members(data)
	if err != nil {
		return refuse("%v", err)
	}
	raws, err := list(set["keys"])
	if err != nil {
		return refuse("the member \"keys\" is missing, or %v", err)
	}
	if len(raws) == 0 || len(raws) > maxJWKSKeys {
		return refuse("has %d keys, and must have 1 to %d", len(raws), maxJWKSKeys)
	}
	var keys []Key
	for i, raw := range raws {
		k, err := parseJWK(raw)
		if err != nil {
			return refuse("key %d: %v", i, err)
		}
		for _, other := range keys {
			if other.ID == k.ID || other.Public.Equal(k.Public) {
				return refuse("key %d: its ID or its public key is another's, too", i)
			}
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// privateMembers are those of a JWK that hold what nobody else may have (RFC 7518, section 6).
var privateMembers = []string{"d", "k", "p", "q", "dp", "dq", "qi", "oth", "priv"}

func parseJWK(raw json.RawMessage) (Key, error) {
	jwk, err := members(raw)
	if err != nil {
		return Key{}, fmt.Errorf("it %w", err)
	}
	for _, name := range privateMembers {
		if _, ok := jwk[name]; ok {
			return Key{}, fmt.Errorf("it has the member %q of a private key: publish public keys only, and replace this one", name)
		}
	}
	has := make(map[string]string)
	for _, name := range []string{"kty", "crv", "x", "kid", "use", "alg"} {
		raw, ok := jwk[name]
		if !ok {
			continue
		}
		if has[name], err = text(raw); err != nil {
			return Key{}, fmt.Errorf("its %q %w", name, err)
		}
	}
	if has["kty"] != "OKP" || has["crv"] != "Ed25519" {
		return Key{}, errors.New("it is no Ed25519 key: its \"kty\" must be \"OKP\" and its \"crv\" \"Ed25519\" (RFC 8037)")
	}
	if _, ok := jwk["use"]; ok && has["use"] != "sig" {
		return Key{}, errors.New("its \"use\" is not \"sig\"")
	}
	if _, ok := jwk["alg"]; ok && has["alg"] != string(jose.EdDSA) {
		return Key{}, fmt.Errorf("its \"alg\" is not %q", jose.EdDSA)
	}
	if raw, ok := jwk["key_ops"]; ok {
		if ops, err := texts(raw); err != nil || !slices.Contains(ops, "verify") {
			return Key{}, errors.New("its \"key_ops\" do not have \"verify\"")
		}
	}
	if problem := keyIDProblem(has["kid"]); problem != "" {
		return Key{}, fmt.Errorf("its \"kid\" is missing, or %s", problem)
	}
	public, err := base64url.DecodeString(has["x"])
	if err != nil || base64url.EncodeToString(public) != has["x"] {
		return Key{}, errors.New("its \"x\" is not canonical base64url")
	}
	if problem := publicProblem(public); problem != "" {
		return Key{}, fmt.Errorf("its \"x\" %s", problem)
	}
	return Key{ID: has["kid"], Public: public}, nil
}
