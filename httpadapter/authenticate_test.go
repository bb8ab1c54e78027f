package httpadapter_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/store"
)

func TestAuthenticateLetsALiveTokenThroughAndHandsItOn(t *testing.T) {
	s := start(t)
	g := s.issue(remint.Spec{Capabilities: remint.Allow("reports")})
	for _, path := range []string{"/me", "/reports"} {
		a := s.call("GET", path, g.Secret.Reveal(), "")
		if a.status != 200 || a.body != g.Token.ID().String() {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if _, ok := httpadapter.TokenFromContext(t.Context()); ok {
		t.Error("a token in a context without one")
	}
}

func TestTheContextOfARequestIsKept(t *testing.T) {
	type key struct{}
	type another struct{}
	s := start(t)
	g := s.issue(remint.Spec{})
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "kept"))
	var inner context.Context
	h := httpadapter.New(s.issuer, nil).Authenticate(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		inner = context.WithValue(r.Context(), another{}, 1)
	}))
	r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+g.Secret.Reveal())
	h.ServeHTTP(httptest.NewRecorder(), r)
	if inner == nil || inner.Value(key{}) != "kept" {
		t.Fatal("the outer value is gone")
	}
	if tok, ok := httpadapter.TokenFromContext(inner); !ok || tok.ID() != g.Token.ID() {
		t.Error("the token cannot be found below another value")
	}
	if cancel(); inner.Err() == nil {
		t.Error("cancelling does not reach it")
	}
}

func TestDenialsLookAlike(t *testing.T) {
	s := start(t)
	live := s.issue(remint.Spec{})
	secret := live.Secret.Reveal()
	forged := otherSecret(secret)
	expired := s.issue(remint.Spec{ExpiresAt: s.clock.now().Add(time.Hour)})
	revoked, retired := s.issue(remint.Spec{}), s.issue(remint.Spec{})
	op := s.issuer.Operator("test")
	if err := op.Revoke(t.Context(), revoked.Token.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := op.Rotate(t.Context(), retired.Token.ID(), remint.Rotation{}); err != nil {
		t.Fatal(err)
	}
	elsewhere := s.issue(remint.Spec{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	other := start(t).issue(remint.Spec{}) // well-formed, and unknown here
	s.clock.advance(2 * time.Hour)

	routes := append(mountedRoutes(live.Token.ID()), mounted{method: "GET", path: "/me"}, mounted{method: "GET", path: "/reports"})
	for _, path := range routes {
		if path.noCredential {
			continue // it has a test of its own
		}
		first := s.call(path.method, path.path, "garbage", path.body)
		delete(first.header, "Date")
		for name, text := range map[string]string{
			"forged": forged, "unknown": other.Secret.Reveal(), "expired": expired.Secret.Reveal(),
			"revoked": revoked.Secret.Reveal(), "retired": retired.Secret.Reveal(), "not ASCII": "pk_ä",
			"long": strings.Repeat("a", 1000), "wrong network": elsewhere.Secret.Reveal(),
		} {
			a := s.call(path.method, path.path, text, path.body)
			if name == "wrong network" && strings.HasPrefix(path.path, "/core") {
				if d := a.wantKatapult(403, "unauthorized_network_for_api_token"); d["ip_address"] != "127.0.0.1" {
					t.Errorf("detail %v", d)
				}
				continue
			}
			delete(a.header, "Date")
			if a.status != first.status || a.body != first.body || !maps.EqualFunc(a.header, first.header, slices.Equal) {
				t.Errorf("%s with %s: %d %s %v; garbage: %d %s %v", path.path, name, a.status, a.body, a.header, first.status, first.body, first.header)
			}
			for k, v := range a.header {
				if strings.Join(first.header[k], ",") != strings.Join(v, ",") {
					t.Errorf("%s with %s: %s is %q, and %q for garbage", path.path, name, k, v, first.header[k])
				}
			}
		}
	}
	if f := s.faults.take(); f != nil {
		t.Errorf("denials were reported as faults: %v", f)
	}
}

func TestTheGuardAnswersAsRFC6750AndRFC9457Say(t *testing.T) {
	s := start(t)
	g := s.issue(remint.Spec{Capabilities: remint.Allow("reports:write")})
	down := func(err error) func() { return func() { s.store.fail(err) } }
	for _, c := range []struct {
		name, path, credential string
		before                 func()
		status                 int
		challenge, detail      string
	}{
		{"nothing presented", "/me", "", nil, 401, `Bearer`, "A live bearer token is needed."},
		{"another scheme", "/me", "Basic dXNlcjpwYXNz", nil, 401, `Bearer`, "A live bearer token is needed."},
		{"garbage", "/me", "Bearer a b", nil, 401, `Bearer error="invalid_token"`, "A live bearer token is needed."},
		{"no token of ours", "/me", "Bearer abc", nil, 401, `Bearer error="invalid_token"`, "A live bearer token is needed."},
		{"too little", "/reports", "Bearer " + g.Secret.Reveal(), nil, 403, `Bearer error="insufficient_scope", scope="reports:read"`, "The token does not allow this."},
		{"store down", "/me", "Bearer " + g.Secret.Reveal(), down(errors.New("disk on fire")), 503, "", "The token could not be checked. Try again."},
		{"no time left", "/me", "Bearer " + g.Secret.Reveal(), down(context.DeadlineExceeded), 503, "", "The token could not be checked. Try again."},
		{"garbage, store down", "/me", "Bearer abc", nil, 401, `Bearer error="invalid_token"`, "A live bearer token is needed."},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.before != nil {
				c.before()
			}
			h := http.Header{}
			if c.credential != "" {
				h.Set("Authorization", c.credential)
			}
			a := s.do("GET", c.path, h, nil)
			want := `{"type":"about:blank","title":"` + http.StatusText(c.status) + `","status":` + strconv.Itoa(c.status)
			if a.status != c.status || a.header.Get("WWW-Authenticate") != c.challenge {
				t.Errorf("%d, %q", a.status, a.header.Get("WWW-Authenticate"))
			}
			if !strings.HasPrefix(a.body, want) || !strings.HasSuffix(a.body, `"detail":"`+c.detail+"\"}\n") {
				t.Errorf("body %s", a.body)
			}
			if a.header.Get("Content-Type") != "application/problem+json" || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("headers %v", a.header)
			}
			if got, want := a.header.Get("Retry-After") != "", c.status == 503; got != want {
				t.Errorf("Retry-After: %q", a.header.Get("Retry-After"))
			}
			if got, want := len(s.faults.take()), 0; c.status != 503 && got != want {
				t.Errorf("%d faults", got)
			} else if c.status == 503 && got != 1 {
				t.Errorf("%d faults, want one", got)
			}
		})
	}
}

func TestAScopeThatCannotBeNamedIsLeftOutOfTheChallenge(t *testing.T) {
	s := start(t)
	g := s.issue(remint.Spec{})
	h := httpadapter.New(s.issuer, nil).Require(remint.Join("reports", `"ä"`), http.NotFoundHandler())
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+g.Secret.Reveal())
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if got := w.Header().Get("WWW-Authenticate"); w.Code != 403 || got != `Bearer error="insufficient_scope"` {
		t.Errorf("%d %s", w.Code, got)
	}
}

func TestTwoCredentialsAreRefusedWithoutAskingTheStore(t *testing.T) {
	s := start(t)
	g := s.issue(remint.Spec{Capabilities: remint.Allow("*"), Prefix: "pk_"})
	one := "Bearer " + g.Secret.Reveal()
	before := s.store.called.Load()
	for _, path := range []string{"/me", "/reports"} {
		for _, list := range [][]string{{one, one}, {one, "Basic dXNlcjpwYXNz"}, {"Basic dXNlcjpwYXNz", one}} {
			if a := s.do("GET", path, http.Header{"Authorization": list}, nil); a.status != 401 {
				t.Errorf("%s: %d", path, a.status)
			}
		}
	}
	if n := s.store.called.Load() - before; n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
	if e := s.events.last(); e.Kind != remint.EventDeny || e.Reason != remint.ReasonForm || !e.From.IsLoopback() {
		t.Errorf("the observer was told %+v", e)
	}
}

func TestSetUpPanicsWhereTheMistakeIsAndSaysSo(t *testing.T) {
	issuer, err := remint.New(new(store.Memory), &remint.Options{Prefixes: []string{"acme_", "pp_x_"}})
	if err != nil {
		t.Fatal(err)
	}
	web, mux := httpadapter.New(issuer, nil), http.NewServeMux()
	ok := http.NotFoundHandler()
	for name, c := range map[string]struct {
		f    func()
		says string
	}{
		"a nil issuer":                {func() { httpadapter.New(nil, nil) }, "nil issuer"},
		"an empty capability":         {func() { web.Require("", ok) }, ""},
		"a capability with a hole":    {func() { web.Require("reports::read", ok) }, ""},
		"a capability with a space":   {func() { web.Require("reports read", ok) }, ""},
		"a nil handler":               {func() { web.Authenticate(nil) }, "nil handler"},
		"a nil handler to require":    {func() { web.Require("reports", nil) }, "nil handler"},
		"an invalid proxy":            {func() { httpadapter.New(issuer, &httpadapter.Options{TrustedProxies: make([]netip.Prefix, 1)}) }, "TrustedProxies[0]"},
		"a proxy that is half mapped": {func() { newWithProxy(issuer, "::ffff:0:0/90") }, "TrustedProxies[0]"},
		"a negative session":          {func() { web.MountPocketPaw(mux, &httpadapter.PocketPaw{SessionLifetime: -1}) }, "PocketPaw.SessionLifetime"},
		"a session of no microsecond": {func() { web.MountPocketPaw(mux, &httpadapter.PocketPaw{SessionLifetime: 999}) }, "PocketPaw.SessionLifetime"},
		"PocketPaw retires before now": {func() { web.MountPocketPaw(mux, &httpadapter.PocketPaw{Retire: remint.RetireAfter(-1)}) },
			"httpadapter: PocketPaw.Retire: "},
		"Katapult retires before now": {func() { web.MountKatapult(mux, &httpadapter.Katapult{Retire: remint.RetireAfterFirstUse(-1)}) },
			"httpadapter: Katapult.Retire: "},
		"an OAuth prefix of garbage": {func() { web.MountKatapult(mux, &httpadapter.Katapult{OAuthPrefix: "a b/"}) }, ""},
		"PocketPaw without its prefix": {func() { web.MountPocketPaw(mux, &httpadapter.PocketPaw{Prefix: "pk_"}) },
			`httpadapter: PocketPaw.Prefix is "pk_", and the issuer has only ["acme_" "pp_x_"]: add it to remint.Options.Prefixes, or set PocketPaw.Prefix to one of them`},
		"PocketPaw with one that its clients take for another": {func() { web.MountPocketPaw(mux, &httpadapter.PocketPaw{Prefix: "pp_x_"}) },
			`does not begin with "pp_"`},
		"PocketPaw with the session prefix":   {func() { web.MountPocketPaw(mux, &httpadapter.PocketPaw{Prefix: "rms_"}) }, `"rms_"`},
		"Axiom without its prefix":            {func() { web.MountAxiom(mux, &httpadapter.Axiom{Prefix: "none_"}) }, `Axiom.Prefix is "none_"`},
		"Axiom without the documented prefix": {func() { web.MountAxiom(mux, nil) }, `Axiom.Prefix is "xaat-", and the issuer has only ["acme_" "pp_x_"]: add it to remint.Options.Prefixes`},
		"Katapult without its prefix":         {func() { web.MountKatapult(mux, &httpadapter.Katapult{Prefix: "kat_"}) }, `Katapult.Prefix is "kat_"`},
		"the same routes twice": {func() {
			mux := http.NewServeMux()
			web.MountKatapult(mux, nil)
			web.MountKatapult(mux, nil)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), c.says) {
					t.Errorf("panic: %v", r)
				}
			}()
			c.f()
		})
	}
	// None of them had mounted anything, and what is right can be.
	web.Require("reports:*", ok)
	web.MountPocketPaw(mux, &httpadapter.PocketPaw{APIKeyPrefix: "pp_x_"})
	web.MountAxiom(mux, &httpadapter.Axiom{Prefix: "acme_"})
	web.MountKatapult(mux, nil)
}

func newWithProxy(issuer *remint.Issuer, network string) *httpadapter.Adapter {
	return httpadapter.New(issuer, &httpadapter.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix(network)}})
}

func TestOptionsCanBeChangedAfterwardsWithoutEffect(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	s := start(t, func(u *setup) { u.adapter.TrustedProxies = proxies })
	proxies[0] = netip.Prefix{}
	g := s.issue(remint.Spec{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if a := s.call("GET", "/me", g.Secret.Reveal(), "", "X-Forwarded-For", "192.0.2.7"); a.status != 200 {
		t.Errorf("status %d", a.status)
	}
}

// It fails without the trust in named proxies only (internal/mutants).
func TestAnAllowListIsNotFooledByXForwardedFor(t *testing.T) {
	inside := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	spoofs := []string{"192.0.2.7", "192.0.2.7, 203.0.113.9", "203.0.113.9,192.0.2.7, unknown", "::ffff:192.0.2.7, 203.0.113.9"}

	t.Run("without proxies the header is nothing", func(t *testing.T) {
		s := start(t)
		g := s.issue(remint.Spec{Networks: inside, Capabilities: remint.Allow("*"), Prefix: "pk_"})
		for _, header := range append(spoofs, "192.0.2.7") {
			for _, path := range []string{"/me", "/v2/tokens/" + g.Token.ID().String()} {
				if a := s.call("GET", path, g.Secret.Reveal(), "", "X-Forwarded-For", header); a.status != 401 {
					t.Errorf("%s with %q: %d", path, header, a.status)
				}
			}
		}
	})
	t.Run("behind a proxy only what the proxy wrote counts", func(t *testing.T) {
		s := start(t, func(u *setup) {
			u.adapter.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
		})
		g := s.issue(remint.Spec{Networks: inside})
		for _, header := range spoofs[1:] {
			if a := s.call("GET", "/me", g.Secret.Reveal(), "", "X-Forwarded-For", header); a.status != 401 {
				t.Errorf("%q: %d", header, a.status)
			}
		}
		if a := s.call("GET", "/me", g.Secret.Reveal(), "", "X-Forwarded-For", "203.0.113.9, 192.0.2.7"); a.status != 200 {
			t.Errorf("the real client: %d", a.status)
		}
		// A token that is bound to no network needs no address.
		free := s.issue(remint.Spec{})
		if a := s.call("GET", "/me", free.Secret.Reveal(), "", "X-Forwarded-For", "unknown"); a.status != 200 {
			t.Errorf("no address: %d", a.status)
		}
	})
}

func TestAClientThatWentAwayIsNoFaultAndGetsNoSuccess(t *testing.T) {
	s := start(t)
	var reported []error
	web := httpadapter.New(s.issuer, &httpadapter.Options{Error: func(_ *http.Request, err error) { reported = append(reported, err) }})
	mux := http.NewServeMux()
	mux.Handle("GET /me", web.Authenticate(http.HandlerFunc(me)))
	web.MountPocketPaw(recording(t, mux), nil)
	g := s.master()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct{ method, path string }{{"GET", "/me"}, {"POST", "/api/token/regenerate"}} {
		r := httptest.NewRequestWithContext(ctx, c.method, c.path, nil)
		r.Header.Set("Authorization", "Bearer "+g.Secret.Reveal())
		w := httptest.NewRecorder()
		s.store.fail(context.Canceled)
		mux.ServeHTTP(w, r)
		s.store.fail(nil)
		if w.Code != 503 || len(reported) != 0 {
			t.Errorf("%s: %d, %v", c.path, w.Code, reported)
		}
	}
	// A store that says so by itself is at fault.
	s.store.fail(context.Canceled)
	r := httptest.NewRequest("GET", "/me", nil)
	r.Header.Set("Authorization", "Bearer "+g.Secret.Reveal())
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	if w.Code != 503 || len(reported) != 1 {
		t.Errorf("%d, %v", w.Code, reported)
	}
}

func TestAuthenticateCostsTwoAllocations(t *testing.T) {
	s := start(t, func(u *setup) { u.issuer.Observe = nil })
	g := s.issue(remint.Spec{})
	h := httpadapter.New(s.issuer, nil).Authenticate(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+g.Secret.Reveal())
	w := &discard{h: http.Header{}}
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

func TestABodyIsBoundedBehindAGuard(t *testing.T) {
	s := start(t, func(u *setup) { u.adapter.MaxBody = 10 })
	web := httpadapter.New(s.issuer, &httpadapter.Options{MaxBody: 10})
	s.handler.Handle("POST /read", web.Authenticate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			w.WriteHeader(http.StatusTeapot)
		}
		w.Write(b)
	})))
	secret := s.master().Secret.Reveal()
	if a := s.call("POST", "/read", secret, "0123456789"); a.status != 200 || a.body != "0123456789" {
		t.Errorf("10 bytes: %d %s", a.status, a.body)
	}
	if a := s.call("POST", "/read", secret, "0123456789x"); a.status != 413 || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("11 bytes: %d %s", a.status, a.body)
	}
	chunked := struct{ io.Reader }{strings.NewReader("0123456789x")}
	if a := s.do("POST", "/read", http.Header{"Authorization": {"Bearer " + secret}}, chunked); a.status != http.StatusTeapot {
		t.Errorf("11 bytes of no declared length: %d %s", a.status, a.body)
	}
	if a := s.call("POST", "/read", "garbage", "0123456789x"); a.status != 401 {
		t.Errorf("without a token: %d", a.status)
	}
}

func TestARequestBehindTwoGuardsIsJudgedAndCountedOnce(t *testing.T) {
	s := start(t)
	web := httpadapter.New(s.issuer, &httpadapter.Options{RateLimit: 2})
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	s.handler.Handle("GET /twice", web.Authenticate(web.Require("reports", web.Require("reports:read", ok))))
	s.handler.Handle("GET /more", web.Authenticate(web.Require("other", ok)))
	secret := s.issue(remint.Spec{Capabilities: remint.Allow("reports")}).Secret.Reveal()
	for n, want := range []int{200, 200, 429} {
		if a := s.call("GET", "/twice", secret, ""); a.status != want {
			t.Errorf("request %d: %d", n, a.status)
		}
	}
	s = start(t)
	s.handler.Handle("GET /more", httpadapter.New(s.issuer, nil).Authenticate(httpadapter.New(s.issuer, nil).Require("other", ok)))
	if a := s.call("GET", "/more", s.issue(remint.Spec{}).Secret.Reveal(), ""); a.status != 403 {
		t.Errorf("the inner guard's need: %d", a.status)
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
