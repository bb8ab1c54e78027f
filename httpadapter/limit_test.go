package httpadapter_test

import (
	"context"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

func TestALimiterAdmitsTheLimitInEachClockMinute(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 30, 500, time.UTC)
	l := &httpadapter.MemoryLimiter{Now: func() time.Time { return now }}
	id, other := httpadapter.Counted{Token: remint.ID{1}}, httpadapter.Counted{Token: remint.ID{1}, Sessions: true}
	take := func(id httpadapter.Counted) httpadapter.Quota {
		t.Helper()
		q, err := l.Take(t.Context(), id, 2)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	next := time.Date(2026, 1, 1, 12, 1, 0, 0, time.UTC)
	for n, want := range []httpadapter.Quota{
		{Limit: 2, Remaining: 1, Reset: next, Wait: next.Sub(now)},
		{Limit: 2, Reset: next, Wait: next.Sub(now)},
		{Limit: 2, Reset: next, Wait: next.Sub(now), Exceeded: true},
		{Limit: 2, Reset: next, Wait: next.Sub(now), Exceeded: true},
	} {
		if got := take(id); got != want {
			t.Errorf("request %d: %+v, want %+v", n, got, want)
		}
	}
	if q := take(other); q.Exceeded {
		t.Error("one token's requests used up another's limit")
	}
	now = next.Add(-1)
	if q := take(id); !q.Exceeded || q.Wait != 1 {
		t.Errorf("a nanosecond before the minute is over: %+v", q)
	}
	now = next
	if q := take(id); q.Exceeded || q.Remaining != 1 || !q.Reset.Equal(next.Add(time.Minute)) {
		t.Errorf("in the next minute: %+v", q)
	}
	take(id)
	now = next.Add(-time.Second)
	if q := take(id); !q.Exceeded {
		t.Error("a clock that was set back by a second began the minute again")
	}
	now = next.Add(-time.Hour)
	if q := take(id); q.Exceeded {
		t.Error("a clock that was far ahead for a moment keeps tokens out until then")
	}
}

func TestTheZeroLimiterGoesByTheSystemsClock(t *testing.T) {
	var l httpadapter.MemoryLimiter
	q, err := l.Take(t.Context(), httpadapter.Counted{Token: remint.ID{1}}, 1)
	if err != nil || q.Exceeded || q.Wait <= 0 || q.Wait > time.Minute || time.Until(q.Reset) > time.Minute {
		t.Errorf("%+v, %v", q, err)
	}
}

// It fails without each of these (internal/mutants): the one count that the sessions of a token
// share; the limit itself, at which a request is one too many; the one lock over the look at a
// count and its change.
func TestALimitHoldsUnderConcurrency(t *testing.T) {
	const limit, clients = 100, 64
	s := start(t)
	g := s.issue(remint.Spec{Attributes: map[string]string{httpadapter.RateLimitAttribute: strconv.Itoa(limit)}, Capabilities: remint.Allow("*")})
	var sessions [2]remint.Grant
	for k := range sessions {
		var err error
		if sessions[k], err = s.issuer.Operator("test").StartSession(t.Context(), g.Token.ID(), remint.Session{}); err != nil {
			t.Fatal(err)
		}
	}
	var passed, refused [2]atomic.Int64
	var wg sync.WaitGroup
	for n := range clients {
		wg.Go(func() {
			// Through the guard and through routes: one limit; with the token and with its
			// sessions: two.
			secret, path := g.Secret.Reveal(), "/me"
			if n%2 == 1 {
				secret = sessions[n/2%2].Secret.Reveal()
			}
			if n%4 > 1 {
				path = "/v2/tokens/" + g.Token.ID().String()
			}
			for range 4 {
				switch a := s.call("GET", path, secret, ""); a.status {
				case 200:
					passed[n%2].Add(1)
				case 429:
					refused[n%2].Add(1)
				default:
					t.Errorf("%s: %d %s", path, a.status, a.body)
				}
			}
		})
	}
	wg.Wait()
	for k, who := range []string{"the token", "its sessions"} {
		if passed[k].Load() != limit || refused[k].Load() != 2*clients-limit {
			t.Errorf("%s: %d passed and %d were refused, of %d with a limit of %d", who, passed[k].Load(), refused[k].Load(), 2*clients, limit)
		}
	}
}

// limited is a service where a token has one request a minute, and the clock stands.
func limited(t *testing.T, changes ...func(*setup)) *service {
	return start(t, append(changes, func(u *setup) {
		u.adapter.RateLimit = 1
		clock := time.Date(2026, 1, 1, 12, 0, 48, 0, time.UTC)
		u.adapter.Limiter = &httpadapter.MemoryLimiter{Now: func() time.Time { return clock }}
	})...)
}

func TestEveryRouteHasItsFormatsLimits(t *testing.T) {
	const resets = "1767268860"
	for k := range mountedRoutes(remint.ID{}) {
		s := limited(t)
		g := s.master()
		r := mountedRoutes(g.Token.ID())[k]
		if r.noCredential {
			continue // its credential is in the body
		}
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			first := s.call("GET", "/me", g.Secret.Reveal(), "")
			if first.status != 200 || first.header.Get("RateLimit") != `"minute";r=0;t=12` || first.header.Get("RateLimit-Policy") != `"minute";q=1;w=60` {
				t.Fatalf("the first: %d %v", first.status, first.header)
			}
			before := s.snapshot()
			a := s.call(r.method, r.path, g.Secret.Reveal(), r.body)
			a.t = t
			if r.method == "DELETE" && !strings.HasSuffix(r.path, "/rotation") || strings.HasSuffix(r.path, "/logout") || strings.HasSuffix(r.path, "/revoke") {
				if a.status == 429 {
					t.Errorf("what ends something is refused: %s", a.body)
				}
				return
			}
			a.wantError(r, 429, "rate_limit_reached")
			if a.status != 429 {
				t.Errorf("status %d", a.status)
			}
			want := map[string]map[string]string{
				"pocketpaw": {"X-Ratelimit-Limit": "1", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "12"},
				"axiom":     {"X-Ratelimit-Limit": "1", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": resets},
				"katapult":  {"X-Ratelimit-Permitted": "1", "X-Ratelimit-Remaining": "0"},
				"native":    {"Ratelimit": `"minute";r=0;t=12`, "Ratelimit-Policy": `"minute";q=1;w=60`},
			}[r.format]
			want["Retry-After"] = "12"
			for name, value := range want {
				if got := a.header.Get(name); got != value {
					t.Errorf("%s: %q, want %q", name, got, value)
				}
			}
			if s.snapshot() != before {
				t.Error("something changed")
			}
		})
	}
}

func TestARequestIsCountedOnceHoweverManyOperationsItTakes(t *testing.T) {
	s := start(t)
	g := s.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("*"), Attributes: map[string]string{httpadapter.RateLimitAttribute: "10"}})
	session, err := s.issuer.Operator("test").StartSession(t.Context(), g.Token.ID(), remint.Session{Manages: true})
	if err != nil {
		t.Fatal(err)
	}
	a := s.call("POST", "/api/token/regenerate", session.Secret.Reveal(), "")
	a.want(200)
	if left := a.header.Get("X-Ratelimit-Remaining"); left != "9" {
		t.Errorf("%s are left of 10", left)
	}
}

func TestADenialTellsNothingOfLimits(t *testing.T) {
	s := limited(t)
	g := s.master()
	now, err := s.issuer.Operator("test").Rotate(t.Context(), g.Token.ID(), remint.Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 { // however many there were
		for _, r := range mountedRoutes(g.Token.ID()) {
			if r.noCredential {
				continue
			}
			a := s.call(r.method, r.path, g.Secret.Reveal(), r.body)
			for name := range a.header {
				if strings.Contains(strings.ToLower(name), "ratelimit") && r.format != "katapult" {
					t.Errorf("denial %d at %s has %s", n, r.path, name)
				}
			}
			if r.format == "katapult" && a.header.Get("X-Ratelimit-Remaining") != "2147483647" {
				t.Errorf("denial %d at %s: %s", n, r.path, a.header.Get("X-Ratelimit-Remaining"))
			}
		}
	}
	if a := s.call("GET", "/me", now.Secret.Reveal(), ""); a.status != 200 {
		t.Errorf("denials used up the token's limit: %d", a.status)
	}
}

// limiterFunc is a Limiter that a test decides for.
type limiterFunc func(context.Context, httpadapter.Counted, int) (httpadapter.Quota, error)

func (f limiterFunc) Take(ctx context.Context, who httpadapter.Counted, limit int) (httpadapter.Quota, error) {
	return f(ctx, who, limit)
}

func TestALimiterThatFailsIsUnavailableAndNoDenial(t *testing.T) {
	broken := errors.New("connection refused")
	s := start(t, func(u *setup) {
		u.adapter.RateLimit = 5
		u.adapter.Limiter = limiterFunc(func(context.Context, httpadapter.Counted, int) (httpadapter.Quota, error) {
			return httpadapter.Quota{}, broken
		})
	})
	g := s.master()
	for _, r := range mountedRoutes(g.Token.ID()) {
		if r.noCredential {
			continue
		}
		a := s.call(r.method, r.path, g.Secret.Reveal(), r.body)
		a.wantError(r, 503, "service_unavailable")
		if list := s.faults.take(); len(list) != 1 || !errors.Is(list[0], broken) {
			t.Errorf("%s: told of %v", r.path, list)
		}
	}
	if a := s.call("GET", "/me", g.Secret.Reveal(), ""); a.status != 503 {
		t.Errorf("/me: %d", a.status)
	}
}

func TestALimitThatIsNoNumberIsTheServicesFault(t *testing.T) {
	for _, text := range []string{"0", "-1", "ten", "1e3", " 5", "99999999999999999999"} {
		s := start(t)
		g := s.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("*"), Attributes: map[string]string{httpadapter.RateLimitAttribute: text}})
		a := s.call("GET", "/me", g.Secret.Reveal(), "")
		if a.status != 500 {
			t.Errorf("%q: %d", text, a.status)
		}
		if list := s.faults.take(); len(list) != 1 || !strings.Contains(list[0].Error(), strconv.Quote(text)) {
			t.Errorf("%q: told of %v", text, list)
		}
	}
}

func TestOptionsThatCannotBeUsedPanicAtSetUp(t *testing.T) {
	issuer := start(t).issuer
	for name, o := range map[string]httpadapter.Options{
		"a negative size":         {MaxBody: -1},
		"a negative limit":        {RateLimit: -1},
		"a cookie without a name": {Cookie: &httpadapter.Cookie{Name: "a b"}},
		"an origin with a path":   {Cookie: &httpadapter.Cookie{TrustedOrigins: []string{"https://example.com/x"}}},
		"no network":              {TrustedProxies: make([]netip.Prefix, 1)},
	} {
		func() {
			defer func() {
				if p, ok := recover().(string); !ok || !strings.HasPrefix(p, "httpadapter: Options.") {
					t.Errorf("%s: %v", name, p)
				}
			}()
			httpadapter.New(issuer, &o)
		}()
	}
}
