package httpadapter_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/store"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// What a guard adds to a handler is the difference to Bare.
func BenchmarkAuthenticate(b *testing.B) {
	issuer, err := remint.New(new(store.Memory), nil)
	if err != nil {
		b.Fatal(err)
	}
	op := issuer.Operator("bench")
	g, err := op.Issue(b.Context(), remint.Spec{Capabilities: remint.Allow("reports")})
	if err != nil {
		b.Fatal(err)
	}
	session, err := op.StartSession(b.Context(), g.Token.ID(), remint.Session{})
	if err != nil {
		b.Fatal(err)
	}
	web := httpadapter.New(issuer, nil)
	limited := httpadapter.New(issuer, &httpadapter.Options{RateLimit: 1 << 40})
	cookies := httpadapter.New(issuer, &httpadapter.Options{Cookie: &httpadapter.Cookie{Name: "s"}})
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	for _, c := range []struct {
		name, header, value string
		h                   http.Handler
	}{
		{"Bare", "Authorization", "Bearer " + g.Secret.Reveal(), bare},
		{"Authenticate", "Authorization", "Bearer " + g.Secret.Reveal(), web.Authenticate(bare)},
		{"Require", "Authorization", "Bearer " + g.Secret.Reveal(), web.Require("reports:read", bare)},
		{"RequireWithALimit", "Authorization", "Bearer " + g.Secret.Reveal(), limited.Require("reports:read", bare)},
		{"AuthenticateACookie", "Cookie", "s=" + session.Secret.Reveal(), cookies.Authenticate(bare)},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := httptest.NewRequest("GET", "/", nil)
			r.Header.Set(c.header, c.value)
			w := &discard{h: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				c.h.ServeHTTP(w, r)
			}
			if w.status != 0 {
				b.Fatal(w.status)
			}
		})
	}
}

type discard struct {
	h      http.Header
	status int
}

func (d *discard) Header() http.Header               { return d.h }
func (d *discard) Write(p []byte) (int, error)       { return len(p), nil }
func (d *discard) WriteString(s string) (int, error) { return len(s), nil }
func (d *discard) WriteHeader(status int)            { d.status = status }

// BenchmarkRegenerate is a regenerate over loopback with 64 connections, for each format, beside
// a bare handler that reads the same request and answers with the same bytes.
func BenchmarkRegenerate(b *testing.B) {
	for _, f := range []struct {
		name string
		make requester
	}{
		{"PocketPaw", func(h *regenerated) func() (string, string) {
			return func() (string, string) { return "/api/token/regenerate", "" }
		}},
		{"Axiom", func(h *regenerated) func() (string, string) {
			// A regenerated token has a successor: each is regenerated once.
			ids := make([]string, 1)
			if !h.bare {
				ids = make([]string, h.N/connections+100)
			}
			for i := range ids {
				ids[i] = h.issue("xaat-").Token.ID().String()
			}
			next := 0
			return func() (string, string) {
				next++
				return "/v2/tokens/" + ids[next%len(ids)] + "/regenerate", `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`
			}
		}},
		{"Katapult", func(h *regenerated) func() (string, string) {
			body := `{"api_token":{"id":"` + h.issue("kat_").Token.ID().String() + `"}}`
			return func() (string, string) { return katapultRegenerate("api_token"), body }
		}},
	} {
		b.Run(f.name, func(b *testing.B) {
			b.Run("Bare", func(b *testing.B) { benchmarkRegenerate(b, new(store.Memory), f.make, true) })
			b.Run("Memory", func(b *testing.B) { benchmarkRegenerate(b, new(store.Memory), f.make, false) })
			b.Run("Bolt", func(b *testing.B) {
				db, err := storebolt.Open(filepath.Join(b.TempDir(), "tokens.db"), nil)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { db.Close() })
				benchmarkRegenerate(b, db, f.make, false)
			})
		})
	}
}

// A requester prepares one connection's requests, and returns what makes them.
type requester func(h *regenerated) func() (path, body string)

const connections = 64

// regenerated is what one benchmark works on.
type regenerated struct {
	*testing.B
	issuer *remint.Issuer
	bare   bool
}

func (h *regenerated) issue(prefix string) remint.Grant {
	g, err := h.issuer.Operator("bench").Issue(h.Context(), remint.Spec{
		Name: "ci", Owner: "acme", Prefix: prefix, Capabilities: remint.Allow("*"),
	})
	if err != nil {
		h.Fatal(err)
	}
	return g
}

func benchmarkRegenerate(b *testing.B, s remint.Store, make requester, bare bool) {
	issuer, err := remint.New(s, &remint.Options{Prefixes: []string{"pk_", "xaat-", "kat_", "pp_", "nat_"}})
	if err != nil {
		b.Fatal(err)
	}
	h := &regenerated{b, issuer, bare}
	web := httpadapter.New(issuer, nil)
	mux := http.NewServeMux()
	web.MountPocketPaw(mux, nil)
	web.MountAxiom(mux, nil)
	web.MountKatapult(mux, &httpadapter.Katapult{Prefix: "kat_"})
	var handler http.Handler = mux
	if bare {
		handler = bareHandler(h, mux, make)
	}
	server := httptest.NewServer(handler)
	b.Cleanup(server.Close)
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}}

	type worker struct {
		secret string
		next   func() (path, body string)
	}
	workers := [connections]worker{}
	for n := range workers {
		workers[n] = worker{h.issue("pk_").Secret.Reveal(), make(h)}
	}
	var wg sync.WaitGroup
	var done atomic.Int64
	var failed atomic.Pointer[string]
	b.ResetTimer()
	for _, w := range workers {
		wg.Go(func() {
			secret := w.secret
			for done.Add(1) <= int64(b.N) {
				path, body := w.next()
				answer, err := post(client, server.URL+path, secret, body)
				if err != nil {
					text := err.Error()
					failed.Store(&text)
					return
				}
				if body == "" && !bare { // PocketPaw's: it is the caller's own secret
					secret = field(answer, "token")
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	if text := failed.Load(); text != nil {
		b.Fatal(*text)
	}
}

// bareHandler answers every request with what one regenerate answered.
func bareHandler(h *regenerated, mux http.Handler, make requester) http.Handler {
	path, body := make(h)()
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", path, bytes.NewReader([]byte(body)))
	r.Header.Set("Authorization", "Bearer "+h.issue("pk_").Secret.Reveal())
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	mux.ServeHTTP(w, r)
	if w.Code != 200 {
		h.Fatal(w.Code, w.Body)
	}
	answer, header := w.Body.Bytes(), w.Header()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for name, values := range header {
			w.Header()[name] = values
		}
		w.Write(answer)
	})
}

func post(client *http.Client, url, secret, body string) ([]byte, error) {
	req, err := http.NewRequest("POST", url, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("%s: %d %s", url, resp.StatusCode, answer)
	}
	return answer, err
}

// field returns a string of a JSON object, without parsing the rest.
func field(object []byte, name string) string {
	_, rest, _ := bytes.Cut(object, []byte(`"`+name+`":"`))
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(value)
}
