package main

import (
	"crypto/ed25519"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

func jwtHS256(_ *run, n int) (*peer, error) {
	key := random(32)
	return jwts("golang-jwt, HS256", jwt.SigningMethodHS256, key, key, n)
}

func jwtEdDSA(_ *run, n int) (*peer, error) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	return jwts("golang-jwt, EdDSA", jwt.SigningMethodEdDSA, private, public, n)
}

func jwts(name string, method jwt.SigningMethod, sign, verify any, n int) (*peer, error) {
	p := &peer{name: name, owner: ownerOf}
	for i := range n {
		text, err := jwt.NewWithClaims(method, jwt.RegisteredClaims{
			Issuer: "bench", Subject: ownerOf(i), ExpiresAt: jwt.NewNumericDate(time.Now().Add(day)),
		}).SignedString(sign)
		if err != nil {
			return nil, err
		}
		p.texts = append(p.texts, text)
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{method.Alg()}), jwt.WithExpirationRequired(), jwt.WithIssuer("bench"))
	key := func(*jwt.Token) (any, error) { return verify, nil }
	p.check = func(text string) (string, error) {
		var claims jwt.RegisteredClaims
		_, err := parser.ParseWithClaims(text, &claims, key)
		return claims.Subject, err
	}
	return p, nil
}
