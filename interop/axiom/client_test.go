// Package axiom_test drives the published client of Axiom, unmodified, against the adapter.
package axiom_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/axiomhq/axiom-go/axiom"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/interop/internal/host"
)

// dial returns the client as its documentation has it, for whoever presents token.
func dial(h *host.Host, token string, options ...axiom.Option) *axiom.Client {
	h.Helper()
	c, err := axiom.NewClient(append([]axiom.Option{axiom.SetNoEnv(), axiom.SetURL(h.URL), axiom.SetToken(token)}, options...)...)
	if err != nil {
		h.Fatal(err)
	}
	return c
}

// admin is a client whose token may do everything in the format.
func admin(h *host.Host) *axiom.Client {
	h.Helper()
	return dial(h, h.Issue(remint.Spec{Name: "admin", Prefix: "xaat-", Capabilities: remint.Allow("org", "dataset", "view")}).Secret.Reveal())
}

// users is the least that a token can have.
var users = axiom.OrganisationCapabilities{Users: []axiom.Action{axiom.ActionRead}}

// manages lets a token regenerate.
var manages = axiom.OrganisationCapabilities{APITokens: []axiom.Action{axiom.ActionRead, axiom.ActionUpdate}}

func create(t *testing.T, c *axiom.Client, req axiom.CreateTokenRequest) *axiom.CreateTokenResponse {
	t.Helper()
	made, err := c.Tokens.Create(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func regenerate(t *testing.T, c *axiom.Client, id string, req axiom.RegenerateTokenRequest) *axiom.CreateTokenResponse {
	t.Helper()
	made, err := c.Tokens.Regenerate(t.Context(), id, req)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func get(t *testing.T, c *axiom.Client, id string) *axiom.APIToken {
	t.Helper()
	tok, err := c.Tokens.Get(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// listed returns the tokens that the client lists, by their IDs.
func listed(t *testing.T, c *axiom.Client) map[string]axiom.APIToken {
	t.Helper()
	list, err := c.Tokens.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]axiom.APIToken{}
	for _, tok := range list {
		m[tok.ID] = *tok
	}
	return m
}

// works reports whether the service accepts a token.
func works(h *host.Host, token string) bool {
	h.Helper()
	_, err := h.Issuer.Verify(h.Context(), token, netip.MustParseAddr("127.0.0.1"))
	if err != nil && !errors.Is(err, remint.ErrDenied) {
		h.Fatal(err)
	}
	return err == nil
}

// wantError fails unless err is the client's error for that status, with all of the words.
func wantError(t *testing.T, err error, status int, words ...string) {
	t.Helper()
	var e axiom.HTTPError
	if !errors.As(err, &e) || e.Status != status {
		t.Errorf("got %v, want an HTTPError of %d", err, status)
		return
	}
	for _, w := range words {
		if !strings.Contains(e.Message, w) {
			t.Errorf("message %q, without %q", e.Message, w)
		}
	}
}

// lose lets the service carry out the first n requests of that method, and then loses its
// answers in the way that how has. It returns how many requests there were.
func lose(h *host.Host, method string, n int64, how http.HandlerFunc) *atomic.Int64 {
	seen := new(atomic.Int64)
	h.Instead(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method || seen.Add(1) > n {
			h.Service.ServeHTTP(w, r)
			return
		}
		h.Service.ServeHTTP(httptest.NewRecorder(), r)
		how(w, r)
	})
	return seen
}

// How an answer is lost.
var losses = map[string]http.HandlerFunc{
	"the connection breaks": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	"a gateway gives up":    func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "gateway", http.StatusGatewayTimeout) },
}

// in returns a time in whole microseconds, as the service keeps it.
func in(h *host.Host, d time.Duration) time.Time {
	return h.Now().Add(d).UTC().Truncate(time.Microsecond)
}
