package httpadapter_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store/storetest"
)

const (
	login  = "/api/auth/login"
	logout = "/api/auth/logout"

	pocketPawOK    = `{"ok":true}`
	badToken       = `{"detail":"Invalid access token"}`
	invalidJSON    = `{"detail":"Invalid JSON body"}`
	notAuthorized  = `{"detail":"Unauthorized"}`
	pocketPaw503   = `{"detail":"Service Unavailable"}`
	pocketPaw403   = `{"detail":"Forbidden"}`
	pocketPaw409   = `{"detail":"Conflict: the token was changed by another request"}`
	tooLargeDetail = `{"detail":"the request body is larger than 64 KiB"}`
)

// loginBody is what a login form sends.
func loginBody(token string) string {
	b, err := json.Marshal(map[string]string{"token": token})
	if err != nil {
		panic(err)
	}
	return string(b)
}

// login returns the session that a login puts into the cookie.
func (s *service) login(master string) string {
	s.t.Helper()
	a := s.call("POST", login, "", loginBody(master))
	a.wantBody(200, pocketPawOK)
	c, _ := a.cookieOf()
	return c.Value
}

func TestALoginPutsASessionThatManagesIntoTheCookie(t *testing.T) {
	s := start(t)
	g := s.master()
	secret := g.Secret.Reveal()
	for _, body := range []string{
		loginBody(secret), loginBody(" \t\n" + secret + "\u00a0\r\n"), `{"x":[1,{}],"token":"` + secret + `"}`,
	} {
		for _, path := range []string{login, "/api/v1/auth/login"} {
			a := s.call("POST", path, "", body)
			a.wantBody(200, pocketPawOK)
			c, line := a.cookieOf()
			if want := "pocketpaw_session=" + c.Value + "; Path=/; Max-Age=86400; HttpOnly; Secure; SameSite=lax"; line != want {
				t.Errorf("%s\nwant %s", line, want)
			}
			tok, err := s.issuer.Verify(t.Context(), c.Value, netip.Addr{})
			if err != nil || !tok.IsSession() || tok.Parent() != g.Token.ID() {
				t.Fatalf("%v, %v", tok, err)
			}
			s.call("GET", "/api/v1/auth/api-keys", "", "", "Cookie", inCookie(c.Value))
		}
	}
	cookie := s.login(secret)
	fresh, _ := s.call("POST", regenerate, "", "", "Cookie", inCookie(cookie)).want(200)["token"].(string)
	if !s.works(fresh) || s.works(secret) || s.works(cookie) {
		t.Error("the wrong secrets work")
	}
}

func TestALoginWithABrokenBodyIs400(t *testing.T) {
	s := start(t)
	secret := s.master().Secret.Reveal()
	before := s.snapshot()
	for _, body := range []string{
		"", " ", "{", `{"token"`, "null", "true", "0", `"` + secret + `"`, `["token","` + secret + `"]`,
		`{"token":null}`, `{"token":1}`, `{"token":["` + secret + `"]}`, `{"token":{}}`, `{"token":false}`,
		`{"token":"` + secret + `"} x`, `{"token":"` + secret + `","token":"` + secret + `"}`, "{\"token\":\"\xff\"}",
		strings.Repeat("[", 10000),
	} {
		a := s.call("POST", login, "", body, "Content-Type", "application/json")
		a.wantBody(400, invalidJSON)
		if a.header.Get("Set-Cookie") != "" {
			t.Error("it sets a cookie")
		}
	}
	s.call("POST", login, "", loginBody(secret), "Content-Type", "text/plain").wantBody(400, invalidJSON)
	s.call("POST", login, "", loginBody(strings.Repeat("x", 64<<10))).wantBody(413, tooLargeDetail)
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestALoginWithAnythingButALiveMasterIsTheSame401(t *testing.T) {
	s := start(t)
	g := s.master()
	secret := g.Secret.Reveal()
	revoked := s.master()
	if err := s.issuer.Operator("test").Revoke(t.Context(), revoked.Token.ID()); err != nil {
		t.Fatal(err)
	}
	expired := s.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("*"), ExpiresAt: s.clock.now().Add(time.Second)})
	s.clock.advance(time.Second)
	elsewhere := s.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("*"), Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	key := s.issue(remint.Spec{Prefix: "pp_", Capabilities: remint.Allow("*")})
	tokens := map[string]string{
		"empty": "", "blank": " ", "garbage": "x", "a guess": secret[:len(secret)-49] + strings.Repeat("0", 49),
		"another service's": newService(t).master().Secret.Reveal(), "two": secret + " " + secret, "Bearer": "Bearer " + secret,
		"revoked": revoked.Secret.Reveal(), "expired": expired.Secret.Reveal(), "from elsewhere": elsewhere.Secret.Reveal(),
		"a key": key.Secret.Reveal(), "a session": s.session(secret), "long": strings.Repeat("x", 60<<10),
	}
	beside := inCookie(s.session(secret))
	before := s.snapshot()
	var first answer
	for name, token := range tokens {
		a := s.call("POST", login, "", loginBody(token))
		a.wantBody(401, badToken)
		a.header.Del("Date")
		if first.t != nil && fmt.Sprint(a.header) != fmt.Sprint(first.header) {
			t.Errorf("%s: %v, and not %v", name, a.header, first.header)
		}
		first = a
	}
	s.call("POST", login, "", `{}`).wantBody(401, badToken)
	s.call("POST", login, "", `{"Token":"`+secret+`"}`).wantBody(401, badToken)
	// Only the body counts: neither a bearer nor a cookie makes up for it.
	s.call("POST", login, secret, loginBody("x"), "Cookie", beside).wantBody(401, badToken)
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestALoginOfAnotherOriginIsRefusedWhateverItSends(t *testing.T) {
	s := start(t)
	secret := s.master().Secret.Reveal()
	before := s.snapshot()
	for _, body := range []string{loginBody(secret), loginBody("x"), "{", ""} {
		a := s.call("POST", login, "", body, "Origin", evil)
		a.wantBody(403, pocketPaw403)
		if a.header.Get("Set-Cookie") != "" {
			t.Error("it signs the visitor in")
		}
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestInItsGraceAnOldMasterDoesNotLogIn(t *testing.T) {
	s := start(t, func(u *setup) { u.pocketPaw.Retire = remint.RetireAfter(time.Minute) })
	old := s.master().Secret.Reveal()
	fresh, _ := s.call("POST", regenerate, old, "").want(200)["token"].(string)
	if !s.works(fresh) || !s.works(old) {
		t.Fatal("there is no grace")
	}
	s.call("POST", login, "", loginBody(old)).wantBody(403, pocketPaw403)
	s.login(fresh)
	s.clock.advance(time.Minute)
	s.call("POST", login, "", loginBody(old)).wantBody(401, badToken)
}

func TestOf64LoginsAtOnceEachGetsASessionOfItsOwn(t *testing.T) {
	s := start(t)
	g := s.master()
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]string{}
	for i := range 64 {
		wg.Go(func() {
			session := s.login(g.Secret.Reveal())
			mu.Lock()
			defer mu.Unlock()
			seen[session] = fmt.Sprint("session ", i)
		})
	}
	wg.Wait()
	if len(seen) != 64 {
		t.Fatalf("%d sessions", len(seen))
	}
	sessions := map[string]string{}
	for secret, name := range seen {
		sessions[name] = secret
	}
	s.wantWorks("before", true, sessions)
	s.call("POST", regenerate, g.Secret.Reveal(), "").want(200)
	s.wantWorks("after", false, sessions)
}

// It fails without the revocation of the session in the header (internal/mutants).
func TestALogoutEndsTheSessionThatIsPresentedAndClearsTheCookie(t *testing.T) {
	for _, path := range []string{logout, "/api/v1/auth/logout"} {
		for _, body := range []string{"", "{}", "null", "anything"} {
			s := start(t)
			secret := s.master().Secret.Reveal()
			bearer, cookie, other := s.session(secret), s.login(secret), s.login(secret)
			a := s.call("POST", path, "", body, "Cookie", inCookie(cookie))
			a.wantBody(200, pocketPawOK)
			if _, line := a.cookieOf(); line != "pocketpaw_session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=lax" {
				t.Errorf("%s", line)
			}
			a = s.call("POST", path, bearer, body)
			a.wantBody(200, pocketPawOK)
			a.cookieOf()
			s.wantWorks("after", false, map[string]string{"the bearer": bearer, "the cookie": cookie})
			s.wantWorks("after", true, map[string]string{"the master": secret, "another session": other})
			s.call("POST", path, "", body, "Cookie", inCookie(cookie)).wantBody(401, notAuthorized)
			s.call("POST", path, bearer, body).wantBody(401, notAuthorized)
		}
	}
}

func TestALogoutWithBearerAndCookie(t *testing.T) {
	const (
		dies  = true
		lives = false
	)
	for name, c := range map[string]struct {
		bearer, cookie string // what they are
		headers        []string
		status         int
		bearerDies     bool
		cookieDies     bool
		cleared        bool
	}{
		"both are sessions":                    {"session", "session", nil, 200, dies, dies, true},
		"both are the same session":            {"session", "same", nil, 200, dies, dies, true},
		"a master goes on":                     {"master", "session", nil, 200, lives, dies, true},
		"a key goes on":                        {"key", "session", nil, 200, lives, dies, true},
		"a master in the cookie goes on":       {"session", "master", nil, 200, dies, lives, true},
		"a cookie of garbage":                  {"session", "garbage", nil, 200, dies, dies, true},
		"a dead session in the cookie":         {"session", "dead", nil, 200, dies, dies, true},
		"a cookie of another owner's session":  {"session", "foreign", nil, 200, dies, dies, true},
		"a dead bearer":                        {"dead", "session", nil, 200, dies, dies, true},
		"a bearer of garbage":                  {"garbage", "session", nil, 200, dies, dies, true},
		"neither is live":                      {"dead", "dead", nil, 401, dies, dies, false},
		"neither is anything":                  {"garbage", "garbage", nil, 401, dies, dies, false},
		"dead, and a master in the cookie":     {"dead", "master", nil, 401, dies, lives, false},
		"a bearer of another origin's page":    {"session", "session", []string{"Origin", evil}, 200, dies, lives, false},
		"the same, dead":                       {"dead", "session", []string{"Origin", evil}, 401, dies, lives, false},
		"two cookies beside it":                {"session", "two", nil, 200, dies, dies, true},
		"from a page of the service":           {"session", "session", []string{"Sec-Fetch-Site", "same-origin"}, 200, dies, dies, true},
		"a session of another master's bearer": {"foreign", "session", nil, 200, dies, dies, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			g := s.master()
			make := func(what string) string {
				switch what {
				case "session":
					return s.session(g.Secret.Reveal())
				case "master":
					return s.master().Secret.Reveal()
				case "key":
					return s.issue(remint.Spec{Prefix: "pp_"}).Secret.Reveal()
				case "dead":
					dead := s.session(g.Secret.Reveal())
					s.call("POST", logout, dead, "").want(200)
					return dead
				case "foreign":
					other := s.issue(remint.Spec{Owner: "other", Prefix: "pk_", Capabilities: remint.Allow("*")})
					return s.session(other.Secret.Reveal())
				}
				return what
			}
			bearer := make(c.bearer)
			cookie := bearer
			header := ""
			switch c.cookie {
			case "same":
			case "two":
				header = inCookie(make("garbage")) + "; "
				fallthrough
			default:
				cookie = make(c.cookie)
			}
			a := s.call("POST", logout, bearer, "", append([]string{"Cookie", header + inCookie(cookie)}, c.headers...)...)
			if a.want(c.status); c.status == 401 {
				a.wantBody(401, notAuthorized)
			}
			if s.works(bearer) == c.bearerDies || s.works(cookie) == c.cookieDies {
				t.Errorf("the bearer works: %v; the cookie's: %v", s.works(bearer), s.works(cookie))
			}
			if cleared := a.header.Get("Set-Cookie") != ""; cleared != c.cleared {
				t.Errorf("the cookie is cleared: %v", cleared)
			}
			if !s.works(g.Secret.Reveal()) {
				t.Error("the master was ended")
			}
		})
	}
}

func TestALogoutThatIsNotStoredIsNoSuccess(t *testing.T) {
	s := start(t)
	secret := s.master().Secret.Reveal()
	for _, when := range []storetest.When{storetest.Before, storetest.After} {
		for n := 0; ; n++ {
			bearer, cookie := s.session(secret), s.login(secret)
			var a answer
			fired := s.failing(n, when, func() { a = s.call("POST", logout, bearer, "", "Cookie", inCookie(cookie)) })
			if a.status == 200 {
				if s.works(bearer) || s.works(cookie) {
					t.Errorf("success although operation %d failed, and something works", n)
				}
			} else {
				a.wantBody(503, pocketPaw503)
				if a.header.Get("Set-Cookie") != "" {
					t.Errorf("the cookie is cleared when operation %d fails", n)
				}
				// The same again ends what is left.
				s.call("POST", logout, bearer, "", "Cookie", inCookie(cookie)).wantBody(200, pocketPawOK)
				if s.works(bearer) || s.works(cookie) {
					t.Errorf("after operation %d failed, something works", n)
				}
			}
			if !fired {
				break
			}
		}
	}
}

// failing lets the n-th operation of the store fail while f runs, and reports whether there was one.
func (s *service) failing(n int, when storetest.When, f func()) (fired bool) {
	whole := s.store.Store
	faulty := storetest.Faulty(whole, n, when)
	s.store.Store = faulty
	f()
	s.store.Store = whole
	return faulty.(interface{ Fired() bool }).Fired()
}

// It fails without the revocation of the session in the cookie (internal/mutants).
func TestAfterALogoutNoUseOfTheSessionIsAccepted(t *testing.T) {
	s := start(t, withCookies)
	secret := s.master().Secret.Reveal()
	for range 8 {
		session := s.login(secret)
		var out sync.WaitGroup
		done := make(chan struct{})
		for range 4 {
			out.Go(func() {
				for {
					ended := false
					select {
					case <-done:
						ended = true
					default:
					}
					switch a := s.call("GET", "/me", "", "", "Cookie", inCookie(session)); {
					case ended:
						if a.status != 401 {
							t.Errorf("after the logout: %d", a.status)
						}
						return
					case a.status != 200 && a.status != 401:
						t.Errorf("%d", a.status)
					}
				}
			})
		}
		s.call("POST", logout, "", "", "Cookie", inCookie(session)).wantBody(200, pocketPawOK)
		close(done)
		out.Wait()
	}
}

func TestOfManyLogoutsAtOnceNoneFails(t *testing.T) {
	s := start(t)
	session := s.session(s.master().Secret.Reveal())
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if a := s.call("POST", logout, session, ""); a.status != 200 && a.status != 401 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if s.works(session) {
		t.Error("it works")
	}
}

func TestATokenInTheURLCountsWhereAnOptionSaysSo(t *testing.T) {
	s := start(t)
	g := s.master()
	s.call("POST", regenerate+"?token="+g.Secret.Reveal(), "", "").wantBody(401, notAuthorized)

	s = start(t, func(u *setup) { u.pocketPaw.InsecureQueryToken = true })
	g = s.master()
	query := "?token=" + g.Secret.Reveal()
	other := s.master()
	cookie := inCookie(s.login(other.Secret.Reveal()))
	s.call("POST", regenerate+query+"&token=x", "", "").wantBody(401, notAuthorized)
	s.call("POST", regenerate+"?token=", "", "").wantBody(401, notAuthorized)
	s.call("POST", regenerate+query, "garbage", "").wantBody(401, notAuthorized)
	s.call("POST", login+query, "", `{}`).wantBody(401, badToken)
	s.call("POST", regenerate+query, "", "", "Cookie", cookie).want(200)
	if s.works(g.Secret.Reveal()) || !s.works(other.Secret.Reveal()) {
		t.Error("the cookie counted before it")
	}
	if a := s.call("GET", "/me"+query, "", ""); a.status != 401 {
		t.Errorf("the service's own routes take it: %d", a.status)
	}
}

func TestPocketPawCountsEachRequestOnceAgainstTheMaster(t *testing.T) {
	s := start(t, func(u *setup) { u.adapter.RateLimit = 7 })
	g := s.master()
	left := func(a answer, status, want int) {
		t.Helper()
		a.want(status)
		if got := a.header.Get("X-Ratelimit-Remaining"); got != fmt.Sprint(want) || a.header.Get("X-Ratelimit-Limit") != "7" ||
			a.header.Get("X-Ratelimit-Reset") == "" {
			t.Errorf("%s left, want %d; %v", got, want, a.header)
		}
	}
	a := s.call("POST", login, "", loginBody(g.Secret.Reveal()))
	left(a, 200, 6)
	cookie, _ := a.cookieOf()
	a = s.call("POST", exchange, g.Secret.Reveal(), "")
	left(a, 200, 5)
	session, _ := a.want(200)["session_token"].(string)
	left(s.call("POST", logout, session, "", "Cookie", inCookie(cookie.Value)), 200, 6) // the sessions' own
	left(s.call("POST", "/api/auth/api-keys", g.Secret.Reveal(), `{"name":1}`), 422, 4)
	left(s.call("DELETE", "/api/auth/api-keys/x", g.Secret.Reveal(), ""), 404, 3)
	last := s.login(g.Secret.Reveal())
	for n := 1; n >= 0; n-- {
		left(s.call("POST", login, "", loginBody(g.Secret.Reveal())), 200, n)
	}
	for n := 5; n >= 0; n-- { // a session that somebody stole uses the sessions' limit up
		left(s.call("POST", "/api/auth/api-keys", "", `{"name":1}`, "Cookie", inCookie(last)), 422, n)
	}
	for _, a := range []answer{
		s.call("POST", login, "", loginBody(g.Secret.Reveal())),
		s.call("POST", regenerate, g.Secret.Reveal(), ""),
		s.call("POST", regenerate, "", "", "Cookie", inCookie(last)),
	} {
		left(a, 429, 0)
		a.wantBody(429, `{"detail":"Too Many Requests"}`)
		if a.header.Get("Retry-After") == "" || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%v", a.header)
		}
	}
	left(s.call("POST", logout, "", "", "Cookie", inCookie(last)), 200, 0) // ending is not refused
	// Who has no live master uses nothing up, and learns of no limit.
	if a := s.call("POST", login, "", loginBody("x")); a.header.Get("X-Ratelimit-Limit") != "" {
		t.Errorf("%v", a.header)
	}
	if !s.works(g.Secret.Reveal()) || s.works(last) {
		t.Error("the master is gone, or the session that logged out works")
	}
}

// FuzzLoginBody: whatever is sent is answered in the format, and signs nobody in but the
// master's holder.
func FuzzLoginBody(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"token":"MASTER"}`, `{"token":" MASTER\n"}`, `{"token":null}`, `{"token":1}`, `{"token":["MASTER"]}`, `[]`, `"x"`,
		`{"token":"MASTER","token":"x"}`, `{"TOKEN":"MASTER"}`, "{\"token\":\"\xff\"}", `{"token":"\u0000"}`, `{"token":"\ud800"}`,
		strings.Repeat("[", 100), `{"token":"MASTER"}x`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s := newService(t)
		master := s.master().Secret.Reveal()
		body = strings.ReplaceAll(body, "MASTER", master)
		r := httptest.NewRequest("POST", login, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		before := s.snapshot()
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		if (s.snapshot() == before) != (w.Code != 200) {
			t.Errorf("%q: %d, and the store has changed: %v", body, w.Code, w.Code != 200)
		}
		got := strings.TrimSuffix(w.Body.String(), "\n")
		switch w.Code {
		case 200:
			var b struct{ Token string }
			if err := json.Unmarshal([]byte(body), &b); err != nil || strings.TrimSpace(b.Token) != master || got != pocketPawOK {
				t.Errorf("%q: %s", body, got)
			}
		case 400:
			if got != invalidJSON {
				t.Errorf("%q: %s", body, got)
			}
		case 401:
			if got != badToken {
				t.Errorf("%q: %s", body, got)
			}
		case 413:
			if got != tooLargeDetail || len(body) <= 64<<10 {
				t.Errorf("%q: %s", body, got)
			}
		default:
			t.Errorf("%q: %d %s", body, w.Code, got)
		}
		if set := w.Header().Get("Set-Cookie") != ""; set != (w.Code == 200) {
			t.Errorf("%d, and a cookie: %v", w.Code, set)
		}
		if f := s.faults.take(); f != nil {
			t.Error(f)
		}
	})
}
