package main

import (
	"crypto/subtle"
	"encoding/hex"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// A passwordKey is an API key whose secret is stored as a password's is.
type passwordKey struct {
	owner      string
	salt, hash []byte
}

// argon2Keys are hashed as OWASP's cheat sheet on storing passwords has it first: 19 MiB,
// two passes, one thread.
func argon2Keys(_ *run, n int) (*peer, error) {
	hash := func(secret string, salt []byte) []byte { return argon2.IDKey([]byte(secret), salt, 2, 19<<10, 1, 32) }
	return passwordKeys("API key, argon2id", n,
		func(secret string) (k passwordKey, err error) {
			k.salt = random(16)
			k.hash = hash(secret, k.salt)
			return k, nil
		},
		func(k passwordKey, secret string) bool {
			return subtle.ConstantTimeCompare(hash(secret, k.salt), k.hash) == 1
		})
}

// bcryptKeys have bcrypt's default cost, 10.
func bcryptKeys(_ *run, n int) (*peer, error) {
	return passwordKeys("API key, bcrypt", n,
		func(secret string) (k passwordKey, err error) {
			k.hash, err = bcrypt.GenerateFromPassword([]byte(secret), bcrypt.DefaultCost)
			return k, err
		},
		func(k passwordKey, secret string) bool {
			return bcrypt.CompareHashAndPassword(k.hash, []byte(secret)) == nil
		})
}

func passwordKeys(name string, n int, hash func(string) (passwordKey, error), matches func(passwordKey, string) bool) (*peer, error) {
	p := &peer{name: name, owner: ownerOf}
	keys := map[string]passwordKey{}
	for i := range n {
		id, secret := hex.EncodeToString(random(8)), hex.EncodeToString(random(16))
		k, err := hash(secret)
		if err != nil {
			return nil, err
		}
		k.owner = ownerOf(i)
		keys[id] = k
		p.texts = append(p.texts, id+"."+secret)
	}
	p.check = func(text string) (string, error) {
		id, secret, _ := strings.Cut(text, ".")
		if k, ok := keys[id]; ok && matches(k, secret) {
			return k.owner, nil
		}
		return "", errRefused
	}
	p.revoke = func(text string) error {
		id, _, _ := strings.Cut(text, ".")
		delete(keys, id)
		return nil
	}
	return p, nil
}
