package captoken_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/captoken"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/store"
)

// Katapult's second credential: a token that may not regenerate itself does it once, with
// a capabilities token that somebody signed for it. The token stays as it is.
func ExampleVerifier_Extra() {
	ctx := context.Background()
	issuer, err := remint.New(new(store.Memory), &remint.Options{Prefixes: []string{"kat_"}})
	if err != nil {
		log.Fatal(err)
	}
	operator := issuer.Operator("example")
	grant, err := operator.Issue(ctx, remint.Spec{Name: "deploy", Owner: "acme", Capabilities: remint.Allow("virtual_machines")})
	if err != nil {
		log.Fatal(err)
	}
	id := grant.Token.ID()

	// Whoever may lend has the private key; this service has the public one, and says what
	// it lends at most.
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	key, err := captoken.NewSigningKey("2026-11", private)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := captoken.NewSigner(operator, &captoken.SignerOptions{
		Keys: []captoken.SigningKey{key}, Issuer: "https://support.acme.example", May: remint.Allow("api_tokens"),
	})
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := captoken.NewVerifier(&captoken.VerifierOptions{Keys: []captoken.Key{{
		ID: "2026-11", Public: public, Issuer: "https://support.acme.example", Audience: "core-api",
		Owner: "acme", May: remint.Allow("api_tokens"),
	}}})
	if err != nil {
		log.Fatal(err)
	}
	web := httpadapter.New(issuer, &httpadapter.Options{CapabilitiesToken: verifier.Extra})
	mux := http.NewServeMux()
	web.MountKatapult(mux, nil)

	regenerate := func(capabilities string) {
		r := httptest.NewRequest("POST", "/core/v1/api_tokens/api_token/regenerate_secret",
			strings.NewReader(`{"api_token":{"id":"`+id.String()+`"}}`))
		r.Header.Set("Authorization", "Bearer "+grant.Secret.Reveal())
		r.Header.Set("Content-Type", "application/json")
		if capabilities != "" {
			r.Header.Set("X-Capabilities-Token", capabilities)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		var answer struct {
			Code     string
			APIToken struct{ Scopes []string } `json:"api_token"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			log.Fatal(err)
		}
		fmt.Println(w.Code, answer.Code, answer.APIToken.Scopes)
	}
	regenerate("")
	regenerate("not.a.token")
	text, err := signer.Sign(ctx, id, captoken.Request{Audience: "core-api", Capabilities: remint.Allow("api_tokens")})
	if err != nil {
		log.Fatal(err)
	}
	regenerate(text)
	// Output:
	// 403 scope_not_granted []
	// 403 invalid_capabilities_token []
	// 200  [virtual_machines]
}
