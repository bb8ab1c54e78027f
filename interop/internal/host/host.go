// Package host runs the adapter on loopback for the clients in this module.
package host

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/store"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// A Host is a service with all formats mounted, behind real TCP.
type Host struct {
	testing.TB
	URL    string
	Issuer *remint.Issuer
	Op     remint.Actor // the service itself

	// Service answers requests, whatever Instead says: for an Instead that loses its answers.
	Service http.Handler

	ahead  atomic.Int64
	before atomic.Pointer[http.HandlerFunc]
}

// OnEachStore runs test against a service on memory and one on bbolt. change may set
// options of the adapter.
func OnEachStore(t *testing.T, test func(t *testing.T, h *Host), change ...func(*httpadapter.Options)) {
	t.Run("memory", func(t *testing.T) { test(t, Start(t, new(store.Memory), change...)) })
	t.Run("bbolt", func(t *testing.T) {
		db, err := storebolt.Open(filepath.Join(t.TempDir(), "tokens.db"), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		test(t, Start(t, db, change...))
	})
}

// Start runs a service over a store until the test ends.
func Start(t testing.TB, s remint.Store, change ...func(*httpadapter.Options)) *Host {
	h := &Host{TB: t}
	issuer, err := remint.New(s, &remint.Options{Prefixes: []string{"pk_", "xaat-", "kat_", "pp_", "nat_", "xapt-"}, Now: h.Now})
	if err != nil {
		t.Fatal(err)
	}
	h.Issuer, h.Op = issuer, issuer.Operator("host")
	o := httpadapter.Options{
		Limiter: &httpadapter.MemoryLimiter{Now: h.Now},
		Error:   func(_ *http.Request, err error) { t.Logf("the service says: %v", err) },
	}
	for _, c := range change {
		c(&o)
	}
	web := httpadapter.New(issuer, &o)
	mux := http.NewServeMux()
	web.MountPocketPaw(mux, &httpadapter.PocketPaw{Prefix: "pk_"})
	web.MountAxiom(mux, nil)
	web.MountKatapult(mux, &httpadapter.Katapult{Prefix: "kat_"})
	h.Service = mux
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f := h.before.Load(); f != nil {
			(*f)(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	h.URL = server.URL
	return h
}

// Instead lets f answer all requests from now on; nil: the service does again.
func (h *Host) Instead(f http.HandlerFunc) {
	if f == nil {
		h.before.Store(nil)
		return
	}
	h.before.Store(&f)
}

// Now is the service's clock, which Advance moves.
func (h *Host) Now() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) }

// Advance moves the service's clock.
func (h *Host) Advance(d time.Duration) { h.ahead.Add(int64(d)) }

// Issue makes a token as the service itself; without an owner it is acme's.
func (h *Host) Issue(spec remint.Spec) remint.Grant {
	h.Helper()
	if spec.Owner == "" {
		spec.Owner = "acme"
	}
	g, err := h.Op.Issue(h.Context(), spec)
	if err != nil {
		h.Fatal(err)
	}
	return g
}

// Master makes a token that may do everything, in PocketPaw's format.
func (h *Host) Master() remint.Grant {
	h.Helper()
	return h.Issue(remint.Spec{Name: "master", Capabilities: remint.Allow("*"), Prefix: "pk_"})
}
