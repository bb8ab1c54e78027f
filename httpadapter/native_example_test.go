package httpadapter_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/store"
)

// A service in another language asks whether the token that it was presented is live.
func ExampleAdapter_MountNative() {
	issuer, err := remint.New(new(store.Memory), nil)
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	httpadapter.New(issuer, nil).MountNative(mux, &httpadapter.Native{Path: "/v1"})
	server := httptest.NewServer(mux)
	defer server.Close()

	ctx, admin := context.Background(), issuer.Operator("setup")
	edge, err := admin.Issue(ctx, remint.Spec{Name: "edge", Owner: "acme", Capabilities: remint.Allow("tokens:read")})
	if err != nil {
		log.Fatal(err)
	}
	ci, err := admin.Issue(ctx, remint.Spec{Name: "ci", Owner: "acme", Capabilities: remint.Allow("reports:read")})
	if err != nil {
		log.Fatal(err)
	}

	introspect := func() {
		body := strings.NewReader("token=" + ci.Secret.Reveal())
		req, err := http.NewRequestWithContext(ctx, "POST", server.URL+"/v1/introspect", body)
		if err != nil {
			log.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Authorization", "Bearer "+edge.Secret.Reveal())
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			log.Fatal(err)
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			log.Fatal(err)
		}
		text, _, _ := strings.Cut(string(answer), `,"iat"`)
		fmt.Println(strings.TrimSpace(text))
	}
	introspect()
	if err := admin.Revoke(ctx, ci.Token.ID()); err != nil {
		log.Fatal(err)
	}
	introspect()
	// Output:
	// {"active":true,"scope":"reports:read","token_type":"Bearer"
	// {"active":false}
}
