package httpadapter_test

import (
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

const unauthorizedAxiom = `{"code":401,"message":"missing or invalid API token: send a live one as Authorization: Bearer"}`

func TestEveryDeadCredentialGetsTheSameBytesFromAxiom(t *testing.T) {
	s := start(t)
	op := s.issuer.Operator("test")
	live := s.master()
	id := live.Token.ID().String()
	revoked, expired, rotated, orphan := s.master(), s.issue(remint.Spec{
		Capabilities: remint.Allow("*"), ExpiresAt: s.clock.now().Add(time.Minute),
	}), s.master(), s.master()
	below := s.issue(remint.Spec{Capabilities: remint.Allow("*"), Parent: orphan.Token.ID()})
	elsewhere := s.issue(remint.Spec{Capabilities: remint.Allow("*"), Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	for _, err := range []error{
		op.Revoke(t.Context(), revoked.Token.ID()),
		op.Revoke(t.Context(), orphan.Token.ID()),
		func() error { _, err := op.Rotate(t.Context(), rotated.Token.ID(), remint.Rotation{}); return err }(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.clock.advance(time.Hour)
	s.call("GET", "/v2/tokens", rotated.Secret.Reveal(), "").want(401) // the first reuse is an event
	before := s.snapshot()
	for _, r := range axiomRoutes(live.Token.ID()) {
		var first http.Header
		for name, secret := range map[string]string{
			"none": "", "garbage": "x", "unknown": newService(t).master().Secret.Reveal(),
			"revoked": revoked.Secret.Reveal(), "expired": expired.Secret.Reveal(), "rotated": rotated.Secret.Reveal(),
			"below a revoked one": below.Secret.Reveal(), "elsewhere": elsewhere.Secret.Reveal(),
		} {
			for _, body := range []string{r.body, `{`} {
				if body == "{" && r.ignoresBody {
					continue
				}
				a := s.call(r.method, r.path, secret, body, "X-Axiom-Org-Id", "other")
				a.wantBody(401, unauthorizedAxiom)
				a.header.Del("Date")
				a.header.Del("Connection") // where a body was left
				if first == nil {
					first = a.header
				}
				if !reflect.DeepEqual(a.header, first) {
					t.Errorf("%s at %s: %v and %v", name, strings.Replace(r.path, id, "{id}", 1), a.header, first)
				}
			}
		}
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

// Every message of the format by a request that causes it.
func TestEveryAxiomErrorSaysWhatToDo(t *testing.T) {
	s := start(t, func(u *setup) { u.issuer.MaxLifetime = 24 * time.Hour })
	year, hour := s.clock.now().AddDate(1, 0, 0).UTC().Truncate(time.Second).Format(time.RFC3339), s.clock.now().Add(time.Hour).UTC().Format(time.RFC3339)
	g := s.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("*"), ExpiresAt: s.clock.now().Add(24 * time.Hour)})
	master := g.Secret.Reveal()
	id, _ := s.axiomToken(master, `{"expiresAt":"`+hour+`",`+onlyUsers+`}`)
	path := "/v2/tokens/" + id
	const want = "2099-01-01T00:00:00Z"
	large := `{"name":"` + strings.Repeat("x", 64<<10) + `"}`
	for _, c := range []struct {
		method, path, body string
		status             int
		message            string
	}{
		{"POST", "/v2/tokens", `{"expiresAt":"` + year + `",` + onlyUsers + `}`, 400, "expiresAt: is more than 24h0m0s away, and no token here lives longer"},
		{"POST", "/v2/tokens", `{` + onlyUsers + `}`, 400, "expiresAt: is never, and a token here lives for at most 24h0m0s"},
		{"POST", "/v2/tokens", `{"expiresAt":"9999-12-31T23:59:59-01:00",` + onlyUsers + `}`, 400, "expiresAt: is after the year 9999; null stands for never"},
		{"POST", path + "/regenerate", `{"existingTokenExpiresAt":"` + want + `","newTokenExpiresAt":"` + year + `"}`, 400,
			"newTokenExpiresAt: is more than 24h0m0s away, and no token here lives longer"},
		{"POST", path + "/regenerate", `{"existingTokenExpiresAt":"` + want + `","newToken":{"expiresAt":"` + year + `",` + onlyUsers + `}}`, 400,
			"newToken.expiresAt: is more than 24h0m0s away, and no token here lives longer"},
		{"POST", "/v2/tokens", large, 400, "the request body is larger than 64 KiB"},
		{"DELETE", path, large, 400, "the request body is larger than 64 KiB"},
		{"POST", "/v2/tokens", `{"name":1`, 400, "the request body is not JSON, from byte 9 on"},
		{"POST", "/v2/tokens", `{"name":"","name":""}`, 400, `the request body has the key "name" twice`},
		{"GET", "/v2/tokens/x", "", 404, "API token not found"},
		{"GET", "/v2/tokens/", "", 404, "no such path: there are /v2/tokens, /v2/tokens/{id} and /v2/tokens/{id}/regenerate"},
		{"DELETE", "/v2/tokens", "", 405, "no such method on this path: those that there are stand in the header Allow"},
		// What the published client makes of an empty ID.
		{"POST", "/v2/tokens/regenerate", `{"existingTokenExpiresAt":"` + want + `"}`, 405, "no such method on this path: those that there are stand in the header Allow"},
	} {
		before := s.snapshot()
		m := s.call(c.method, c.path, master, c.body).want(c.status)
		if m["message"] != c.message || m["code"] != float64(c.status) || len(m) != 2 {
			t.Errorf("%s %s %.99s: %v, want %q", c.method, c.path, c.body, m, c.message)
		}
		if s.snapshot() != before {
			t.Error("something changed")
		}
	}
}

func TestAxiomsRegenerateOfATokenThatEndedOtherwiseIsAConflict(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	const now = `{"existingTokenExpiresAt":"2001-01-01T00:00:00Z"}`
	// It retired, and its successor was deleted: there is nothing left to replace.
	id, _ := s.axiomToken(master, `{`+onlyUsers+`}`)
	next := s.call("POST", "/v2/tokens/"+id+"/regenerate", master, now).want(200)["id"].(string)
	s.call("DELETE", "/v2/tokens/"+next, master, "").wantEmpty()
	// Or what it stands below was.
	parent := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org")})
	below := s.issue(remint.Spec{Prefix: "xaat-", Parent: parent.Token.ID()}).Token.ID().String()
	s.call("DELETE", "/v2/tokens/"+parent.Token.ID().String(), master, "").wantEmpty()
	before := s.snapshot()
	for _, id := range []string{id, below} {
		for _, more := range []string{"", `,"newToken":{` + onlyUsers + `}`} {
			s.call("POST", "/v2/tokens/"+id+"/regenerate", master, strings.TrimSuffix(now, "}")+more+"}").
				wantBody(409, `{"code":409,"message":"the API token has ended for good: create another"}`)
		}
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestARequestTooManyIsToldTheLimitInAxiomsHeaders(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 48, 0, time.UTC)
	s := start(t, func(u *setup) {
		u.adapter.RateLimit = 2
		u.adapter.Limiter = &httpadapter.MemoryLimiter{Now: func() time.Time { return now }}
	})
	master := s.master()
	for k, r := range append([]mounted{{}, {}}, axiomRoutes(master.Token.ID())...) {
		want := map[string]string{"Scope": "user", "Limit": "2", "Remaining": "0", "Reset": unix(now.Add(12 * time.Second))}
		if k < 2 {
			a := s.call("GET", "/v2/tokens", master.Secret.Reveal(), "", "X-Axiom-Org-Id", "acme")
			if want["Remaining"] = []string{"1", "0"}[k]; a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
			for name, value := range want {
				if got := a.header.Get("X-RateLimit-" + name); got != value {
					t.Errorf("%s: %q, want %q", name, got, value)
				}
			}
			continue
		}
		if r.method == "DELETE" {
			continue // what ends something is never refused for a limit
		}
		a := s.call(r.method, r.path, master.Secret.Reveal(), r.body)
		a.wantBody(429, `{"code":429,"message":"too many requests: the API token may make 2 in a minute; try again in 12 seconds"}`)
		if a.header.Get("Retry-After") != "12" {
			t.Errorf("Retry-After: %q", a.header.Get("Retry-After"))
		}
		for name, value := range want {
			if got := a.header.Get("X-RateLimit-" + name); got != value {
				t.Errorf("%s: %q, want %q", name, got, value)
			}
		}
	}
	if !s.works(master.Secret.Reveal()) {
		t.Error("it was deleted in spite of all")
	}
}
