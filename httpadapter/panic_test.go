package httpadapter_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

func TestAPanicReachesTheClientAsItsFormatsError(t *testing.T) {
	s := start(t, func(u *setup) {
		u.adapter.RateLimit = 5
		u.adapter.Limiter = limiterFunc(func(context.Context, remint.ID, int) (httpadapter.Quota, error) { panic("a driver's bug") })
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

func TestAnAbortedHandlerIsAbortedStill(t *testing.T) {
	s := newService(t, func(u *setup) {
		u.adapter.RateLimit = 5
		u.adapter.Limiter = limiterFunc(func(context.Context, remint.ID, int) (httpadapter.Quota, error) { panic(http.ErrAbortHandler) })
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
