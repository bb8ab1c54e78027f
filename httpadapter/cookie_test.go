package httpadapter_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

// cookieOf returns the one cookie that an answer sets, and its text.
func (a answer) cookieOf() (*http.Cookie, string) {
	a.t.Helper()
	lines := a.header["Set-Cookie"]
	if len(lines) != 1 {
		a.t.Fatalf("Set-Cookie: %q", lines)
	}
	c, err := http.ParseSetCookie(lines[0])
	if err != nil {
		a.t.Fatal(err)
	}
	return c, lines[0]
}

// inCookie is the Cookie header of a browser that was given a session.
func inCookie(secret string) string { return "pocketpaw_session=" + secret }

const evil = "https://evil.example"

func withCookies(u *setup) { u.adapter.Cookie = new(httpadapter.Cookie) }

func TestACookieIsWrittenAsDocumented(t *testing.T) {
	for name, c := range map[string]struct {
		option *httpadapter.Cookie
		want   string
	}{
		"no options":  {nil, "pocketpaw_session=%s; Path=/; Max-Age=86400; HttpOnly; Secure; SameSite=lax"},
		"zero":        {new(httpadapter.Cookie), "pocketpaw_session=%s; Path=/; Max-Age=86400; HttpOnly; Secure; SameSite=lax"},
		"a name":      {&httpadapter.Cookie{Name: "acme"}, "acme=%s; Path=/; Max-Age=86400; HttpOnly; Secure; SameSite=lax"},
		"a host's":    {&httpadapter.Cookie{Name: "__Host-s"}, "__Host-s=%s; Path=/; Max-Age=86400; HttpOnly; Secure; SameSite=lax"},
		"without TLS": {&httpadapter.Cookie{InsecureHTTP: true}, "pocketpaw_session=%s; Path=/; Max-Age=86400; HttpOnly; SameSite=lax"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t)
			web := httpadapter.New(s.issuer, &httpadapter.Options{Cookie: c.option})
			g, err := s.issuer.Operator("test").StartSession(t.Context(), s.master().Token.ID(), remint.Session{})
			if err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			if err := web.SetSessionCookie(w, g); err != nil {
				t.Fatal(err)
			}
			if got, want := w.Header().Get("Set-Cookie"), fmt.Sprintf(c.want, g.Secret.Reveal()); got != want {
				t.Errorf("%s\nwant %s", got, want)
			}
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Error("it may be stored")
			}
			w = httptest.NewRecorder()
			web.ClearSessionCookie(w)
			want := strings.Replace(fmt.Sprintf(c.want, ""), "Max-Age=86400", "Max-Age=0", 1)
			if got := w.Header().Get("Set-Cookie"); got != want {
				t.Errorf("cleared: %s\nwant %s", got, want)
			}
		})
	}
}

func TestACookieLivesAsLongAsItsSession(t *testing.T) {
	for lifetime, want := range map[time.Duration]int{time.Microsecond: 1, time.Hour: 3600, 90*time.Second + 1: 90} {
		s := newService(t)
		web := httpadapter.New(s.issuer, nil)
		g, err := s.issuer.Operator("test").StartSession(t.Context(), s.master().Token.ID(), remint.Session{Lifetime: lifetime})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		if err := web.SetSessionCookie(w, g); err != nil {
			t.Fatal(err)
		}
		c, err := http.ParseSetCookie(w.Header().Get("Set-Cookie"))
		if err != nil || c.MaxAge != want {
			t.Errorf("%v: %d, %v", lifetime, c.MaxAge, err)
		}
	}
}

// It fails without the refusal of a secret for a cookie that is no session's (internal/mutants).
func TestOnlyASessionIsPutIntoACookie(t *testing.T) {
	s := newService(t)
	web := httpadapter.New(s.issuer, nil)
	for _, g := range []remint.Grant{{}, s.master()} {
		w := httptest.NewRecorder()
		if err := web.SetSessionCookie(w, g); err == nil || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%v, %v", err, w.Header())
		}
	}
}

func TestACookieCountsWhereTheServiceSaysSo(t *testing.T) {
	session := func(s *service) string { return inCookie(s.session(s.master().Secret.Reveal())) }
	s := start(t, withCookies)
	if a := s.call("GET", "/me", "", "", "Cookie", session(s)); a.status != 200 {
		t.Errorf("%d", a.status)
	}
	s = start(t)
	if a := s.call("GET", "/me", "", "", "Cookie", session(s)); a.status != 401 {
		t.Errorf("nobody said so: %d", a.status)
	}
}

func TestACookieThatHoldsNoLiveSessionIsAsGoodAsNone(t *testing.T) {
	s := start(t, withCookies)
	g := s.master()
	live, other := s.session(g.Secret.Reveal()), s.session(g.Secret.Reveal())
	ended := s.session(g.Secret.Reveal())
	id, err := s.issuer.Identify(ended)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.issuer.Operator("test").Revoke(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	key := s.issue(remint.Spec{Prefix: "pp_", Capabilities: remint.Allow("*")})
	before := s.snapshot()
	for name, header := range map[string]string{
		"a master":             inCookie(g.Secret.Reveal()),
		"an API key":           inCookie(key.Secret.Reveal()),
		"a session that ended": inCookie(ended),
		"garbage":              inCookie("garbage"),
		"the empty text":       inCookie(""),
		"another name":         "session=" + live,
		"two sessions":         inCookie(live) + "; " + inCookie(other),
		"garbage and one":      inCookie("x") + "; " + inCookie(live),
		"a huge header":        "a=" + strings.Repeat("x", 16<<10) + "; " + inCookie(live),
		"a megabyte less":      inCookie(strings.Repeat("x", 900<<10)),
		"no cookie":            "=;;,,= ; pocketpaw_session",
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range pocketPawRoutes(g.Token.ID()) {
				if r.noCredential || strings.HasSuffix(r.path, "/logout") {
					continue // a logout tries what is there
				}
				a := s.call(r.method, r.path, "", r.body, "Cookie", header)
				want := `{"detail":"Unauthorized"}`
				if strings.HasSuffix(r.path, "/session") {
					want = `{"detail":"Invalid master token"}`
				}
				a.t = t
				a.wantBody(401, want)
				if a.header.Get("Set-Cookie") != "" {
					t.Errorf("%s sets a cookie", r.path)
				}
			}
			if a := s.call("GET", "/me", "", "", "Cookie", header); a.status != 401 {
				t.Errorf("GET /me: %d", a.status)
			}
		})
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
	// The same cookie twice is what some proxies make of one.
	if a := s.call("GET", "/me", "", "", "Cookie", inCookie(live)+"; x=y; "+inCookie(live)); a.status != 200 {
		t.Errorf("the same one twice: %d", a.status)
	}
}

func TestTheBearerCountsBesideACookie(t *testing.T) {
	s := start(t, withCookies)
	one, two := s.master(), s.master()
	cookie := inCookie(s.session(two.Secret.Reveal()))
	if a := s.call("GET", "/me", one.Secret.Reveal(), "", "Cookie", cookie); a.body != one.Token.ID().String() {
		t.Errorf("%d %s", a.status, a.body)
	}
	// A bearer that is dead is not made up for by the cookie.
	s.call("POST", regenerate, "garbage", "", "Cookie", cookie).wantBody(401, `{"detail":"Unauthorized"}`)
	s.call("POST", regenerate, one.Secret.Reveal(), "", "Cookie", cookie).want(200)
	if s.works(one.Secret.Reveal()) || !s.works(two.Secret.Reveal()) {
		t.Error("the wrong master was regenerated")
	}
}

// It fails without the check of where a request with a cookie comes from (internal/mutants).
func TestAPageOfAnotherOriginChangesNothingWithACookie(t *testing.T) {
	s := start(t, withCookies)
	g := s.master()
	cookie := inCookie(s.session(g.Secret.Reveal()))
	for name, headers := range map[string][]string{
		"by the Origin":         {"Origin", evil},
		"by Fetch metadata":     {"Sec-Fetch-Site", "cross-site"},
		"of the same site":      {"Sec-Fetch-Site", "same-site"},
		"of an unknown origin":  {"Origin", "null"},
		"with a form's type":    {"Sec-Fetch-Site", "cross-site", "Content-Type", "text/plain"},
		"of a subdomain's page": {"Origin", "http://x.127.0.0.1"},
	} {
		before := s.snapshot()
		for _, r := range pocketPawRoutes(g.Token.ID()) {
			if r.method == "GET" {
				continue
			}
			a := s.call(r.method, r.path, "", r.body, append([]string{"Cookie", cookie}, headers...)...)
			a.wantBody(403, `{"detail":"Forbidden"}`)
			if a.header.Get("Set-Cookie") != "" {
				t.Errorf("%s, %s: it sets a cookie", name, r.path)
			}
		}
		if s.snapshot() != before {
			t.Errorf("%s: something changed", name)
		}
	}
	// With a bearer token, which no page has that was not given it, it is like any client.
	session := s.session(g.Secret.Reveal())
	s.call("POST", regenerate, session, "", "Cookie", cookie, "Origin", evil).want(200)
}

func TestTheServicesOwnPagesMayUseTheCookie(t *testing.T) {
	const app = "https://app.example.com"
	s := start(t, func(u *setup) { u.adapter.Cookie = &httpadapter.Cookie{TrustedOrigins: []string{app}} })
	for _, headers := range [][]string{
		{"Sec-Fetch-Site", "same-origin"},
		{"Sec-Fetch-Site", "none"},
		{"Origin", s.url},
		{"Origin", app, "Sec-Fetch-Site", "cross-site"},
		nil, // no browser at all
	} {
		cookie := inCookie(s.session(s.master().Secret.Reveal()))
		s.call("POST", regenerate, "", "", append([]string{"Cookie", cookie}, headers...)...).want(200)
	}
}

func TestACookieThatCannotBeIsRefusedAtSetUp(t *testing.T) {
	s := newService(t)
	for says, c := range map[string]httpadapter.Cookie{
		"Options.Cookie.Name":              {Name: "a b"},
		`Options.Cookie.Name is "x;y"`:     {Name: "x;y"},
		"Options.Cookie.TrustedOrigins[1]": {TrustedOrigins: []string{"https://x.example", "x.example/path"}},
	} {
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), says) {
					t.Errorf("%s: panic: %v", says, r)
				}
			}()
			httpadapter.New(s.issuer, &httpadapter.Options{Cookie: &c})
		}()
	}
}

func TestALogoutEndsEverySessionThatTheCookiesHold(t *testing.T) {
	s := start(t, withCookies)
	g := s.master()
	for name, c := range map[string]struct {
		cookies []string
		status  int
	}{
		"one, and what another site of the domain set": {[]string{"live", "tossed"}, 200},
		"the other way round":                          {[]string{"tossed", "live"}, 200},
		"two":                                          {[]string{"live", "live2"}, 200},
		"none that lives":                              {[]string{"tossed", "x"}, 401},
		"too many":                                     {[]string{"live", "1", "2", "3", "4", "5", "6", "7", "8"}, 400},
		"too large":                                    {[]string{"live", strings.Repeat("x", 16<<10)}, 400},
	} {
		for _, bearer := range []string{"", g.Secret.Reveal()} {
			texts := map[string]string{"live": s.session(g.Secret.Reveal()), "live2": s.session(g.Secret.Reveal())}
			var header []string
			for _, name := range c.cookies {
				header = append(header, inCookie(cmp.Or(texts[name], name)))
			}
			want := c.status
			if bearer != "" && want == 401 {
				want = 200 // it is live
			}
			a := s.call("POST", "/api/auth/logout", bearer, "", "Cookie", strings.Join(header, "; "))
			if a.status != want || (a.header.Get("Set-Cookie") != "") != (want == 200) {
				t.Errorf("%s, bearer %v: %d %s", name, bearer != "", a.status, a.body)
			}
			for _, name := range c.cookies {
				if text := texts[name]; text != "" && s.works(text) != (want != 200) {
					t.Errorf("%s, bearer %v: %s works: %v", name, bearer != "", name, s.works(text))
				}
			}
		}
	}
}

func TestAWebSocketOfAnotherOriginIsNotOpenedWithACookie(t *testing.T) {
	s := start(t, withCookies)
	session := s.session(s.master().Secret.Reveal())
	for site, want := range map[string]int{"same-origin": 200, "same-site": 403, "cross-site": 403} {
		a := s.call("GET", "/me", "", "", "Cookie", inCookie(session), "Sec-Fetch-Site", site, "Upgrade", "websocket", "Connection", "Upgrade")
		if a.status != want {
			t.Errorf("%s: %d", site, a.status)
		}
	}
	if a := s.call("GET", "/me", "", "", "Cookie", inCookie(session), "Sec-Fetch-Site", "same-site"); a.status != 200 {
		t.Errorf("a link from another site of the domain: %d", a.status)
	}
}
