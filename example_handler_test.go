package remint_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/store"
)

// Testing a handler: the memory store, and time moved by synctest (or by
// Options.Now, where a test needs real I/O).
func TestReportsNeedALiveToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, err := remint.New(new(store.Memory), nil)
		if err != nil {
			t.Fatal(err)
		}
		grant, err := issuer.Operator("test").Issue(t.Context(), remint.Spec{
			Owner:        "acme",
			Capabilities: remint.Allow("reports:read"),
			ExpiresAt:    time.Now().Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		h := httpadapter.New(issuer, nil).Require("reports:read", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tok, _ := httpadapter.TokenFromContext(r.Context())
			io.WriteString(w, tok.Owner())
		}))
		get := func() int {
			r := httptest.NewRequest("GET", "/reports", nil)
			r.Header.Set("Authorization", "Bearer "+grant.Secret.Reveal())
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}

		if got := get(); got != http.StatusOK {
			t.Errorf("with a live token: %d, want 200", got)
		}
		time.Sleep(time.Hour)
		if got := get(); got != http.StatusUnauthorized {
			t.Errorf("with an expired token: %d, want 401", got)
		}
	})
}

func TestVerifyAllocatesNothing(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	token := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	session := w.must(w.op.StartSession(t.Context(), token.Token.ID(), remint.Session{}))
	for what, g := range map[string]remint.Grant{"a token": token, "a session": session} {
		text := g.Secret.Reveal()
		issuer, err := remint.New(w.store.Store, &remint.Options{Now: func() time.Time { return w.now }})
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(200, func() {
			if _, err := issuer.Verify(t.Context(), text, lawAddr); err != nil {
				t.Fatal(err)
			}
		}); n >= 1 {
			t.Errorf("verifying %s allocates %v times", what, n)
		}
	}
}
