package captoken_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/captoken"
	"github.com/remint-go/remint/store"
)

// An inner service verifies offline, with the public key only: the gateway, which has the
// tokens, signs for each request that it passes on what that request may do.
func Example() {
	ctx := context.Background()

	// The gateway.
	issuer, err := remint.New(new(store.Memory), nil)
	if err != nil {
		log.Fatal(err)
	}
	grant, err := issuer.Operator("setup").Issue(ctx, remint.Spec{Owner: "acme", Capabilities: remint.Allow("reports")})
	if err != nil {
		log.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	key, err := captoken.NewSigningKey("2030-01", private)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := captoken.NewSigner(issuer.Operator("captoken"), &captoken.SignerOptions{
		Issuer: "https://gateway.example",
		Keys:   []captoken.SigningKey{key},
		May:    remint.Allow("reports:read"),
	})
	if err != nil {
		log.Fatal(err)
	}

	// The inner service.
	verifier, err := captoken.NewVerifier(&captoken.VerifierOptions{
		Keys: []captoken.Key{{
			ID: "2030-01", Public: public,
			Issuer: "https://gateway.example", Audience: "reports", Owner: "acme",
			May: remint.Allow("reports:read"),
		}},
		Leeway: 2 * time.Second, // it is another machine
	})
	if err != nil {
		log.Fatal(err)
	}
	inner := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		var from netip.Addr // the client's, which only the gateway knows here: in no network
		claims, err := verifier.Verify(text, from)
		if err != nil {
			log.Print(err)
			http.Error(w, "no valid capabilities token", http.StatusUnauthorized)
			return
		}
		if !claims.Capabilities.Allows("reports:read") {
			http.Error(w, "reports:read is not granted", http.StatusForbidden)
			return
		}
		fmt.Fprint(w, "the reports of ", claims.Owner)
	})

	// A request comes to the gateway, which passes it on.
	tok, err := issuer.Verify(ctx, grant.Secret.Reveal(), netip.MustParseAddr("192.0.2.1"))
	if err != nil {
		log.Fatal(err)
	}
	text, err := signer.Sign(ctx, tok.ID(), captoken.Request{
		Audience: "reports", Capabilities: remint.Allow("reports:read"), Lifetime: 30 * time.Second,
	})
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/reports", nil)
	r.Header.Set("Authorization", "Bearer "+text)
	w := httptest.NewRecorder()
	inner.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 the reports of acme
}

// Where there is a store, what was revoked counts at once.
func ExampleVerifier_VerifyLive() {
	ctx := context.Background()
	issuer, signer, verifier := exampleService()
	grant, err := issuer.Operator("setup").Issue(ctx, remint.Spec{Owner: "acme"})
	if err != nil {
		log.Fatal(err)
	}
	text, err := signer.Sign(ctx, grant.Token.ID(), captoken.Request{
		Audience: "reports", Capabilities: remint.Allow("reports:read"),
	})
	if err != nil {
		log.Fatal(err)
	}

	reader := issuer.Operator("reports")
	client := netip.MustParseAddr("192.0.2.1")
	claims, err := verifier.VerifyLive(ctx, reader, text, client)
	fmt.Println(claims.Capabilities, err)

	if err := issuer.Operator("admin").Revoke(ctx, grant.Token.ID()); err != nil {
		log.Fatal(err)
	}
	_, err = verifier.VerifyLive(ctx, reader, text, client)
	fmt.Println(errors.Is(err, captoken.ErrInvalid), errors.Is(err, remint.ErrUnavailable))

	_, err = verifier.Verify(text, client) // offline, for as long as it lives
	fmt.Println(err)
	// Output:
	// reports:read <nil>
	// true false
	// <nil>
}

// Keys travel as a JWK Set; what each may grant does not: that is the verifier's decision.
func ExampleParseJWKS() {
	_, signer, verifier := exampleService()
	server := httptest.NewServer(signer.JWKSHandler())
	defer server.Close()

	resp, err := server.Client().Get(server.URL)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		log.Fatal(err)
	}
	keys, err := captoken.ParseJWKS(body)
	if err != nil {
		log.Fatal(err)
	}
	for i := range keys {
		keys[i].Issuer, keys[i].Audience, keys[i].Owner = "https://gateway.example", "reports", "acme"
		keys[i].May = remint.Allow("reports:read")
	}
	if err := verifier.SetKeys(keys); err != nil {
		log.Fatal(err)
	}
	fmt.Println(keys[0].ID, resp.Header.Get("Cache-Control"))
	// Output: 2030-01 public, max-age=300
}

func exampleService() (*remint.Issuer, *captoken.Signer, *captoken.Verifier) {
	issuer, err := remint.New(new(store.Memory), nil)
	if err != nil {
		log.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	key, err := captoken.NewSigningKey("2030-01", private)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := captoken.NewSigner(issuer.Operator("captoken"), &captoken.SignerOptions{
		Issuer: "https://gateway.example", Keys: []captoken.SigningKey{key}, May: remint.Allow("reports"),
	})
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := captoken.NewVerifier(&captoken.VerifierOptions{Keys: []captoken.Key{{
		ID: key.ID(), Public: public,
		Issuer: "https://gateway.example", Audience: "reports", Owner: "acme", May: remint.Allow("reports"),
	}}})
	if err != nil {
		log.Fatal(err)
	}
	return issuer, signer, verifier
}
