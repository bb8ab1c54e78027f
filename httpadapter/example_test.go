package httpadapter_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/store"
)

// A handler behind a token, which may make two requests a minute.
func ExampleAdapter_Require() {
	issuer, err := remint.New(new(store.Memory), nil)
	if err != nil {
		log.Fatal(err)
	}
	grant, err := issuer.Operator("setup").Issue(context.Background(), remint.Spec{
		Name: "ci", Capabilities: remint.Allow("reports"),
		Attributes: map[string]string{httpadapter.RateLimitAttribute: "2"},
	})
	if err != nil {
		log.Fatal(err)
	}

	web := httpadapter.New(issuer, nil)
	mux := http.NewServeMux()
	mux.Handle("GET /reports", web.Require("reports:read", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tok, _ := httpadapter.TokenFromContext(r.Context())
		fmt.Fprint(w, "reports for ", tok.Name())
	})))

	get := func(authorization string) {
		r := httptest.NewRequest("GET", "/reports", nil)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(w.Code, w.Header()["Www-Authenticate"], w.Header()["Ratelimit-Policy"])
	}
	get("Bearer something else")
	for range 3 {
		get("Bearer " + grant.Secret.Reveal())
	}
	// Output:
	// 401 [Bearer error="invalid_token"] []
	// 200 [] ["minute";q=2;w=60]
	// 200 [] ["minute";q=2;w=60]
	// 429 [] ["minute";q=2;w=60]
}

// A service that signs people in by itself gives their browsers a session, and takes it for
// a credential where no bearer token is presented.
func ExampleAdapter_SetSessionCookie() {
	ctx := context.Background()
	issuer, err := remint.New(new(store.Memory), nil)
	if err != nil {
		log.Fatal(err)
	}
	setup := issuer.Operator("setup")
	// One token for each person: its sessions end with it, or all at once with EndSessions.
	alice, err := setup.Issue(ctx, remint.Spec{Name: "alice", Owner: "acme", Capabilities: remint.Allow("reports:read")})
	if err != nil {
		log.Fatal(err)
	}

	web := httpadapter.New(issuer, &httpadapter.Options{Cookie: &httpadapter.Cookie{Name: "__Host-session"}})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		// After whatever proves that it is Alice:
		session, err := setup.StartSession(r.Context(), alice.Token.ID(), remint.Session{})
		if err == nil {
			err = web.SetSessionCookie(w, session)
		}
		if err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
		}
	})
	mux.Handle("POST /reports", web.Authenticate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, httpadapter.Allows(r.Context(), "reports:read"))
	})))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("POST", "/login", nil))
	cookie := w.Result().Cookies()[0]
	fmt.Println(cookie.Name, cookie.HttpOnly, cookie.Secure, cookie.MaxAge)
	for _, from := range []string{"same-origin", "cross-site"} {
		r := httptest.NewRequest("POST", "/reports", nil)
		r.AddCookie(cookie)
		r.Header.Set("Sec-Fetch-Site", from) // browsers set it
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		fmt.Println(from, w.Code)
	}
	// Output:
	// __Host-session true true 86400
	// same-origin 200
	// cross-site 403
}
