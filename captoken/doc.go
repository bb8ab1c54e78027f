// Package captoken signs and verifies capabilities tokens: short-lived, signed statements
// that one API token of package remint may do certain things for a certain audience.
//
// [Signer.Sign] makes one; [Verifier.Verify] judges one, with a public key and no store:
//
//	public, private, err := ed25519.GenerateKey(nil) // once, and kept apart
//	key, err := captoken.NewSigningKey("2026-11", private)
//	signer, err := captoken.NewSigner(issuer.Operator("captoken"), &captoken.SignerOptions{
//		Issuer: "https://tokens.example", Keys: []captoken.SigningKey{key}, May: remint.Allow("reports"),
//	})
//	text, err := signer.Sign(ctx, tok.ID(), captoken.Request{
//		Audience: "reports", Capabilities: remint.Allow("reports:read"),
//	})
//
//	verifier, err := captoken.NewVerifier(&captoken.VerifierOptions{Keys: []captoken.Key{{
//		ID: "2026-11", Public: public, Issuer: "https://tokens.example", Audience: "reports", Owner: "acme",
//		May: remint.Allow("reports:read"),
//	}}})
//	claims, err := verifier.Verify(text, clientAddr)
//	ok := claims.Capabilities.Allows("reports:read")
//
// This is a module of its own, github.com/remint-go/remint/captoken, so that a service which
// needs none of it does not get a JOSE library. Until it is published, replace it and
// github.com/remint-go/remint with a checkout's directories in go.mod.
//
// # The token
//
// It is a JWS in compact serialization (RFC 7515, section 7.1) of at most 16 KiB, signed with
// Ed25519 (RFC 8037). Its header has exactly three members: "alg", which is "EdDSA"; "typ",
// which is [Type]; and "kid". There is no choice of algorithm, and no key in the header.
// The payload is a JWT claims set (RFC 7519), of these claims and no others:
//
//	iss    who signed it: Key.Issuer of the verifier
//	sub    the ID of the API token that it is for
//	aud    the one audience that it is for
//	owner  the API token's owner
//	cap    the capabilities, an array of at least one
//	net    where it may be used from: arrays of networks, each of which must hold the
//	       client's address; left out: anywhere
//	iat    when it was signed, in whole seconds since 1970
//	exp    when it stops, likewise: at that second it is over
//	epoch  the API token's epoch: see remint.State.Epoch
//
// What bounds the API token bounds it, offline too: exp is no later than any planned end of the
// API token and its ancestors, and net has the networks of them all.
//
// # Two uses
//
// An inner service, which has no access to the tokens' store, verifies with [Verifier.Verify]
// and the public key. One that has a store, or has a service ask for it, uses
// [Verifier.VerifyLive], which also honours revocation.
//
// [Verifier.Extra] is for a second credential beside the API token's secret: it is what
// httpadapter.Options takes for Katapult's capabilities token. What it returns
// counts for the one request that carries both, and never for what the bearer may issue or
// rotate.
//
// A [Signer] may sign more than the API token allows: to add is the purpose. Three things bound
// it: [SignerOptions.May], for each key [Key.May], which the verifier decides alone, and an hour.
//
// # Changing keys
//
// Without a moment in which anything valid is refused:
//
//  1. Make a [Signer] with the keys {old, new}. It signs with the first; its JWKS document has both.
//  2. Give every [Verifier] both, with [Verifier.SetKeys] (by hand, or by [ParseJWKS] and the
//     bounds that each key shall have).
//  3. When all verifiers have both, make a Signer with {new, old}.
//  4. After [MaxLifetime] and the verifiers' leeway, nothing that the old key has signed is valid:
//     take it out everywhere.
//
// If a private key has leaked, take it out of every verifier at once. Nothing else stops it.
//
// # Caveats
//
// A capabilities token is a bearer token: whoever has its text can use it, any number of times,
// where its networks permit, until it expires. Only beside an API token's secret (Extra) is it
// useless alone.
//
// Offline, nothing revokes it. Revoking the API token, or ending what descends from it, counts at
// once for VerifyLive and Extra, and for Verify at the latest after [MaxLifetime] and the leeway.
//
// Changing the API token's secret does not end it, as it bears none: call
// remint.Actor.EndSessions after a leak.
//
// [Signer.Sign] takes an ID on the service's authority. A handler that gets the ID from a request
// must have checked that the caller may have that: see Sign.
//
// A token with networks needs the client's address. Behind a proxy that is not the connection's.
//
// Several verifiers that are to be told apart need several audiences.
//
// A claim that a later version adds is refused by this one: update verifiers before signers.
package captoken
