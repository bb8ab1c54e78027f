package httpadapter_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

func TestAPanicReachesTheClientAsItsFormatsError(t *testing.T) {
	s := start(t, func(u *setup) {
		u.adapter.RateLimit = 5
		u.adapter.Limiter = limiterFunc(func(context.Context, httpadapter.Counted, int) (httpadapter.Quota, error) { panic("a driver's bug") })
	})
	g := s.master()
	for _, r := range mountedRoutes(g.Token.ID()) {
		if r.noCredential {
			continue
		}
		a := s.call(r.method, r.path, g.Secret.Reveal(), r.body)
		status := 500
		if r.format == "katapult" {
			status = 503 // it knows no other
		}
		a.wantError(r, status, "service_unavailable")
		if a.status != status || strings.Contains(a.body, "driver") {
			t.Errorf("%s: %d %s", r.path, a.status, a.body)
		}
		list := s.faults.take()
		if len(list) != 1 || !strings.Contains(list[0].Error(), "a driver's bug") || !strings.Contains(list[0].Error(), "panic_test.go") {
			t.Errorf("%s: told of %v", r.path, list)
		}
	}
}

// panicking is a store whose every read panics, when it is told to.
type panicking struct {
	remint.Store
	now atomic.Bool
}

func (p *panicking) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if p.now.Load() {
		panic("a driver's bug")
	}
	return p.Store.Load(ctx, id)
}

func TestAPanicOfTheStoreReachesNoClientAsOne(t *testing.T) {
	s := start(t)
	g := s.master()
	store := &panicking{Store: s.store.Store}
	s.store.Store = store
	store.now.Store(true)
	routes := append(mountedRoutes(g.Token.ID()), mounted{format: "native", method: "GET", path: "/me"})
	for _, r := range routes {
		body := r.body
		if strings.HasSuffix(r.path, "/login") {
			body = `{"token":"` + g.Secret.Reveal() + `"}`
		}
		a := s.call(r.method, r.path, g.Secret.Reveal(), body)
		if want := map[bool]int{true: 503, false: 500}[r.format == "katapult"]; a.status != want || strings.Contains(a.body, "driver") {
			t.Errorf("%s: %d %s", r.path, a.status, a.body)
		}
		if list := s.faults.take(); len(list) != 1 || !strings.Contains(list[0].Error(), "a driver's bug") {
			t.Errorf("%s: told of %v", r.path, list)
		}
	}
}

func TestAPanicOfTheGuardedHandlerIsItsOwn(t *testing.T) {
	s := newService(t)
	h := httpadapter.New(s.issuer, nil).Authenticate(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("the handler's") }))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+s.master().Secret.Reveal())
	defer func() {
		if p := recover(); p != "the handler's" {
			t.Errorf("%v", p)
		}
	}()
	h.ServeHTTP(httptest.NewRecorder(), r)
}

func TestAnAbortedHandlerIsAbortedStill(t *testing.T) {
	s := newService(t, func(u *setup) {
		u.adapter.RateLimit = 5
		u.adapter.Limiter = limiterFunc(func(context.Context, httpadapter.Counted, int) (httpadapter.Quota, error) {
			panic(http.ErrAbortHandler)
		})
	})
	g := s.master()
	r := httptest.NewRequest("POST", "/api/token/regenerate", nil)
	r.Header.Set("Authorization", "Bearer "+g.Secret.Reveal())
	defer func() {
		if p := recover(); p != http.ErrAbortHandler {
			t.Errorf("%v", p)
		}
	}()
	s.handler.ServeHTTP(httptest.NewRecorder(), r)
}
