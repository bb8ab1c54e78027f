package remint_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// Adding tokens to a service that has a mux and a handler already.
func Example_existingService() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	dir, err := os.MkdirTemp("", "remint")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	mux := http.NewServeMux() // the service's own
	reports := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tok, _ := httpadapter.TokenFromContext(r.Context())
		fmt.Fprintln(w, "the reports of", tok.Owner())
	})

	db, err := storebolt.Open(filepath.Join(dir, "tokens.db"), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	issuer, err := remint.New(db, &remint.Options{Prefixes: []string{"acme_"}})
	if err != nil {
		log.Fatal(err)
	}
	go func() { // housekeeping; nothing waits for it
		for ctx.Err() == nil {
			if err := issuer.Sweep(ctx); err != nil {
				log.Print(err)
			}
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
			}
		}
	}()
	web := httpadapter.New(issuer, nil)
	mux.Handle("GET /reports", web.Require("reports:read", reports))
	web.MountNative(mux, &httpadapter.Native{Path: "/v1"}) // POST /v1/tokens/self/rotate

	grant, err := issuer.Operator("setup").Issue(ctx, remint.Spec{
		Name: "ci", Owner: "acme", Capabilities: remint.Allow("reports:read"),
	})
	if err != nil {
		log.Fatal(err)
	}

	server := httptest.NewServer(mux)
	defer server.Close()
	for _, secret := range []string{grant.Secret.Reveal(), "guess"} {
		req, err := http.NewRequest("GET", server.URL+"/reports", nil)
		if err != nil {
			log.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+secret)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Printf("%d %s\n", resp.StatusCode, body)
	}
	// Output:
	// 200 the reports of acme
	//
	// 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"A live bearer token is needed."}
}

// A settings page acts for a user whom the service has signed in itself: another
// owner's token is not found, whatever ID the request names.
func ExampleIssuer_Member() {
	ctx := context.Background()
	issuer := newIssuer()
	theirs, err := issuer.Operator("setup").Issue(ctx, remint.Spec{Owner: "bob"})
	if err != nil {
		log.Fatal(err)
	}

	alice := issuer.Member("alice", "alice@example.com", remint.Allow("reports"))
	fmt.Println(alice.Revoke(ctx, theirs.Token.ID()))

	mine, err := alice.Issue(ctx, remint.Spec{Name: "laptop", Capabilities: remint.Allow("reports:read")})
	if err != nil {
		log.Fatal(err)
	}
	for tok, err := range alice.List(ctx, remint.Query{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(tok.Owner(), tok.Name(), tok.ID() == mine.Token.ID())
	}
	fmt.Println(alice.Revoke(ctx, mine.Token.ID()))
	// Output:
	// remint: token not found
	// alice laptop true
	// <nil>
}
