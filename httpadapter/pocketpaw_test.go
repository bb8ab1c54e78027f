package httpadapter_test

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

const (
	regenerate = "/api/token/regenerate"
	exchange   = "/api/auth/session"
)

// session exchanges a master for a session, and returns its text.
func (s *service) session(master string) string {
	s.t.Helper()
	secret, _ := s.call("POST", exchange, master, "").want(200)["session_token"].(string)
	if secret == "" {
		s.t.Fatal("no session_token")
	}
	return secret
}

// below starts everything that can stand below a master: sessions of every origin, and
// what is none.
func (s *service) below(g remint.Grant) (sessions, others map[string]string) {
	s.t.Helper()
	sessions, others = map[string]string{}, map[string]string{}
	secret := g.Secret.Reveal()
	sessions["an exchanged session"] = s.session(secret)
	sessions["another one"] = s.session(secret)
	for name, actor := range map[string]remint.Actor{
		"the operator's":                s.issuer.Operator("test"),
		"a member's":                    s.issuer.Member("acme", "test", remint.Allow("*")),
		"the master's own":              s.issuer.Bearer(secret, netip.Addr{}),
		"one that its session starts":   s.issuer.Bearer(sessions["another one"], netip.Addr{}),
		"one that manages":              s.issuer.Operator("test"),
		"one that has less than it has": s.issuer.Operator("test"),
	} {
		how := remint.Session{Lifetime: 365 * 24 * time.Hour, Manages: name == "one that manages"}
		if name == "one that has less than it has" {
			how.Capabilities = remint.Allow("chat")
		}
		session, err := actor.StartSession(s.t.Context(), g.Token.ID(), how)
		if err != nil {
			s.t.Fatal(name, err)
		}
		sessions[name] = session.Secret.Reveal()
	}
	child := s.issue(remint.Spec{Parent: g.Token.ID(), Prefix: "kat_", Capabilities: remint.Allow("chat")})
	others["a child that is no session"] = child.Secret.Reveal()
	_, others["what the master created"] = s.axiomToken(secret, `{`+onlyUsers+`}`)
	_, others["what its session created"] = s.axiomToken(sessions["another one"], `{`+onlyUsers+`}`)
	return sessions, others
}

func (s *service) wantWorks(when string, want bool, secrets map[string]string) {
	s.t.Helper()
	for name, secret := range secrets {
		if s.works(secret) != want {
			s.t.Errorf("%s: %s works: %v", when, name, !want)
		}
	}
}

func TestRegeneratingTheMasterStopsTheOldOneAndAllSessions(t *testing.T) {
	for _, version := range []string{"", "/v1"} {
		s := start(t)
		g := s.master()
		old := g.Secret.Reveal()
		sessions, others := s.below(g)
		sessions["the old master"] = old
		s.wantWorks("before", true, sessions)
		commits := s.store.commits.Load()
		body := s.call("POST", strings.Replace(regenerate, "/api", "/api"+version, 1), old, "").want(200)
		if n := s.store.commits.Load() - commits; n != 1 {
			t.Errorf("%d commits", n)
		}
		fresh, _ := body["token"].(string)
		if len(body) != 1 || !strings.HasPrefix(fresh, "pk_") {
			t.Fatalf("body %v", body)
		}
		s.wantWorks("after", false, sessions)
		others["the new master"] = fresh
		s.wantWorks("after", true, others)
		if id, err := s.issuer.Identify(fresh); err != nil || id != g.Token.ID() {
			t.Errorf("the master is another token now: %v, %v", id, err)
		}
	}
}

func TestASessionThatRegeneratesStopsTheOthersAndItself(t *testing.T) {
	s := start(t)
	g := s.master()
	sessions, others := s.below(g)
	sessions["the old master"] = g.Secret.Reveal()
	others["the new master"], _ = s.call("POST", regenerate, sessions["an exchanged session"], "").want(200)["token"].(string)
	s.wantWorks("after", false, sessions)
	s.wantWorks("after", true, others)
}

func TestWithAGraceSessionsStopWhenTheOldMasterDoes(t *testing.T) {
	for name, retire := range map[string]remint.Retirement{
		"RetireAfter": remint.RetireAfter(time.Minute), "RetireAfterFirstUse": remint.RetireAfterFirstUse(time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, func(u *setup) { u.pocketPaw.Retire = retire })
			g := s.master()
			sessions, others := s.below(g)
			sessions["the old master"] = g.Secret.Reveal()
			fresh, _ := s.call("POST", regenerate, g.Secret.Reveal(), "").want(200)["token"].(string)
			others["the new master"] = fresh
			if !s.works(fresh) {
				t.Fatal("the new master does not work")
			}
			others["a session of the new master"] = s.session(fresh)
			s.clock.advance(time.Minute - time.Microsecond)
			s.wantWorks("in the grace", true, sessions)
			s.clock.advance(time.Microsecond)
			s.wantWorks("after the grace", false, sessions)
			s.wantWorks("after the grace", true, others)
		})
	}
}

func TestRegeneratingAtOnceEndsAGraceThatIsStillRunning(t *testing.T) {
	s := start(t)
	g := s.master()
	sessions, _ := s.below(g)
	sessions["the oldest master"] = g.Secret.Reveal()
	next, err := s.issuer.Operator("test").Rotate(t.Context(), g.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour), KeepSessions: true})
	if err != nil {
		t.Fatal(err)
	}
	sessions["the master between"] = next.Secret.Reveal()
	sessions["a session between"] = s.session(next.Secret.Reveal())
	s.wantWorks("in the grace", true, sessions)
	s.call("POST", regenerate, next.Secret.Reveal(), "").want(200)
	s.wantWorks("after", false, sessions)
}

func TestRegeneratingTakesAnyBodyOfAnyType(t *testing.T) {
	for _, c := range []struct{ body, contentType string }{
		{"", ""}, {"{}", "application/json"}, {`{"a":`, "application/json"}, {"a=b", "application/x-www-form-urlencoded"},
		{"\xff\x00", "image/png"}, {strings.Repeat("x", 60<<10), "text/plain"},
	} {
		s := start(t)
		a := s.call("POST", regenerate, s.master().Secret.Reveal(), c.body, "Content-Type", c.contentType)
		a.want(200)
	}
}

func TestASessionIsExchangedForAMaster(t *testing.T) {
	s := start(t)
	g := s.master()
	body := s.call("POST", "/api/v1/auth/session", g.Secret.Reveal(), "anything").want(200)
	secret, _ := body["session_token"].(string)
	if len(body) != 2 || body["expires_in_hours"] != 24.0 {
		t.Errorf("body %v", body)
	}
	tok, err := s.issuer.Verify(t.Context(), secret, netip.Addr{})
	if err != nil || tok.Spec().Parent != g.Token.ID() {
		t.Fatalf("%v, %v", tok, err)
	}
	s.clock.advance(24 * time.Hour)
	if s.works(secret) {
		t.Error("it lives longer than a day")
	}
}

func TestASessionSaysHowLongItLives(t *testing.T) {
	for _, c := range []struct {
		lifetime, master time.Duration
		want             float64
	}{
		{0, 0, 24}, {time.Hour, 0, 1}, {90 * time.Minute, 0, 1.5}, {0, 2 * time.Hour, 2}, {time.Minute, 0, 0.01},
	} {
		s := start(t, func(u *setup) { u.pocketPaw.SessionLifetime = c.lifetime })
		spec := remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("*")}
		if c.master != 0 {
			spec.ExpiresAt = s.clock.now().Add(c.master)
		}
		a := s.call("POST", exchange, s.issue(spec).Secret.Reveal(), "")
		if got := a.want(200)["expires_in_hours"]; got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestASessionRegeneratesItsMasterUnlessTheMasterIsDemanded(t *testing.T) {
	s := start(t)
	g := s.master()
	session := s.session(g.Secret.Reveal())
	fresh, _ := s.call("POST", regenerate, session, "").want(200)["token"].(string)
	if s.works(session) || s.works(g.Secret.Reveal()) || !s.works(fresh) {
		t.Error("the wrong secrets work")
	}

	s = start(t, func(u *setup) { u.pocketPaw.RequireMaster = true })
	g = s.master()
	session = s.session(g.Secret.Reveal())
	s.call("POST", regenerate, session, "").wantBody(403, `{"detail":"Forbidden"}`)
	s.call("POST", regenerate, g.Secret.Reveal(), "").want(200)
}

// It fails without the prefix by which PocketPaw's format knows a master (internal/mutants).
func TestOnlyTheMasterAndItsManagingSessionsRegenerate(t *testing.T) {
	s := start(t)
	g := s.master()
	op := s.issuer.Operator("test")
	plain, err := op.StartSession(t.Context(), g.Token.ID(), remint.Session{})
	if err != nil {
		t.Fatal(err)
	}
	narrow, err := op.StartSession(t.Context(), g.Token.ID(), remint.Session{Manages: true, Capabilities: remint.Allow("chat")})
	if err != nil {
		t.Fatal(err)
	}
	child := s.issue(remint.Spec{Parent: g.Token.ID(), Capabilities: remint.Allow("*"), Prefix: "kat_"})
	key := s.issue(remint.Spec{Capabilities: remint.Allow("chat"), Prefix: "xaat-"})
	strong := s.issue(remint.Spec{Capabilities: remint.Allow("*"), Prefix: "kat_"})
	strongs, err := op.StartSession(t.Context(), strong.Token.ID(), remint.Session{Manages: true})
	if err != nil {
		t.Fatal(err)
	}
	before := s.snapshot()
	for name, g := range map[string]remint.Grant{
		"a session that manages nothing":   plain,
		"a session with less than it":      narrow,
		"a child that is no session":       child,
		"a scoped key":                     key,
		"as strong a token, but no master": strong,
		"a session of one":                 strongs,
	} {
		t.Run(name, func(t *testing.T) {
			s.call("POST", regenerate, g.Secret.Reveal(), "").wantBody(403, `{"detail":"Forbidden"}`)
		})
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestOnlyAMasterIsExchanged(t *testing.T) {
	s := start(t)
	g := s.master()
	session := s.session(g.Secret.Reveal())
	key := s.issue(remint.Spec{Capabilities: remint.Allow("*"), Prefix: "kat_"})
	before := s.snapshot()
	for _, secret := range []string{"", "garbage", session, key.Secret.Reveal()} {
		s.call("POST", exchange, secret, "").wantBody(401, `{"detail":"Invalid master token"}`)
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestWithAGraceALatePollWithTheOldMasterIsNotRefused(t *testing.T) {
	s := start(t, func(u *setup) { u.pocketPaw.Retire = remint.RetireAfterFirstUse(time.Minute) })
	old := s.master().Secret.Reveal()
	session := s.session(old)
	poll := func(secret string) int { return s.call("GET", "/me", secret, "").status }
	fresh, _ := s.call("POST", regenerate, old, "").want(200)["token"].(string)
	if poll(old) != 200 || poll(session) != 200 {
		t.Error("refused before the new master was used")
	}
	if poll(fresh) != 200 || poll(old) != 200 || poll(session) != 200 {
		t.Error("refused in the grace")
	}
	// It only polls: a thief who has it does not take the master back.
	s.call("POST", regenerate, old, "").wantBody(403, `{"detail":"Forbidden"}`)
	s.call("POST", regenerate, session, "").wantBody(403, `{"detail":"Forbidden"}`)
	s.call("POST", exchange, old, "").wantBody(403, `{"detail":"Forbidden"}`)
	s.clock.advance(time.Minute)
	if poll(old) != 401 || poll(session) != 401 || poll(fresh) != 200 {
		t.Error("the grace does not end")
	}
}

// It fails without the conflict, and no 401, for a secret that stopped a moment ago
// (internal/mutants).
func TestALostRaceIsAConflictAndNever401(t *testing.T) {
	s := start(t)
	g := s.master()
	// The other one commits after this request's bearer was judged.
	other := func() {
		if _, err := s.issuer.Operator("other").Rotate(t.Context(), g.Token.ID(), remint.Rotation{}); err != nil {
			t.Error(err)
		}
	}
	s.store.before.Store(&other)
	a := s.call("POST", regenerate, g.Secret.Reveal(), "")
	a.wantBody(409, `{"detail":"Conflict: the token was changed by another request"}`)
	// Afterwards it is simply a token that was retired.
	s.call("POST", regenerate, g.Secret.Reveal(), "").wantBody(401, `{"detail":"Unauthorized"}`)

	// The same for a session, which dies of it.
	g = s.master()
	session := s.session(g.Secret.Reveal())
	other = func() {
		if _, err := s.issuer.Operator("other").Rotate(t.Context(), g.Token.ID(), remint.Rotation{}); err != nil {
			t.Error(err)
		}
	}
	s.store.before.Store(&other)
	s.call("POST", regenerate, session, "").wantBody(409, `{"detail":"Conflict: the token was changed by another request"}`)
}

func TestOfManyRegenerationsAtOnceOneWins(t *testing.T) {
	s := start(t)
	g := s.master()
	var wg sync.WaitGroup
	answers := make([]answer, 32)
	for i := range answers {
		wg.Go(func() { answers[i] = s.call("POST", regenerate, g.Secret.Reveal(), "") })
	}
	wg.Wait()
	won := 0
	for _, a := range answers {
		switch a.status {
		case 200:
			won++
			if secret, _ := a.want(200)["token"].(string); !s.works(secret) {
				t.Error("the winner's secret does not work")
			}
		case 401, 409:
		default:
			t.Errorf("status %d", a.status)
		}
	}
	if won != 1 {
		t.Errorf("%d won", won)
	}
}

func TestPocketPawAnswersAnOutageWith503(t *testing.T) {
	s := start(t)
	g := s.master()
	s.store.fail(errors.New("disk on fire"))
	for _, path := range []string{regenerate, exchange} {
		a := s.call("POST", path, g.Secret.Reveal(), "")
		a.wantBody(503, `{"detail":"Service Unavailable"}`)
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		if f := s.faults.take(); len(f) != 1 || !strings.Contains(f[0].Error(), "disk on fire") {
			t.Errorf("reported %v", f)
		}
	}
	s.store.fail(nil)
	s.call("POST", regenerate, g.Secret.Reveal(), "").want(200)
}

func TestAMisconfiguredFormatIsThisServicesFault(t *testing.T) {
	s := start(t)
	g := s.deepMaster()
	s.call("POST", exchange, g.Secret.Reveal(), "").wantBody(500, `{"detail":"Internal Server Error"}`)
	if f := s.faults.take(); len(f) != 1 || !strings.Contains(f[0].Error(), "the deepest there is") {
		t.Errorf("reported %v", f)
	}
}

// deepMaster is a master that stands as deep as can be, so that it cannot have sessions.
func (s *service) deepMaster() (g remint.Grant) {
	for range 4 {
		g = s.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("*"), Parent: g.Token.ID()})
	}
	return g
}

func TestASessionLifetimeThatNoSessionMayHaveIsRefusedAtSetUp(t *testing.T) {
	defer func() {
		if p, _ := recover().(string); !strings.Contains(p, "PocketPaw.SessionLifetime is 48h0m0s, and remint.Options.MaxLifetime is 24h0m0s") {
			t.Error(p)
		}
	}()
	newService(t, func(u *setup) {
		u.pocketPaw.SessionLifetime = 48 * time.Hour
		u.issuer.MaxLifetime = 24 * time.Hour
	})
}

func pocketPawRoutes(id remint.ID) (list []mounted) {
	for _, root := range []string{"/api", "/api/v1"} {
		keys := root + "/auth/api-keys"
		list = append(list,
			mounted{method: "POST", path: root + "/token/regenerate", ignoresBody: true},
			mounted{method: "POST", path: root + "/auth/session", ignoresBody: true},
			mounted{method: "POST", path: root + "/auth/login", body: `{"token":"x"}`, noCredential: true},
			mounted{method: "POST", path: root + "/auth/logout", ignoresBody: true},
			mounted{method: "POST", path: keys, body: `{"name":"ci"}`, badBody: 422},
			mounted{method: "GET", path: keys, ignoresBody: true},
			// The token with the ID is a master, and no key.
			mounted{method: "DELETE", path: keys + "/" + id.String(), ignoresBody: true, served: 404},
			mounted{method: "POST", path: keys + "/" + id.String() + "/rotate", ignoresBody: true, served: 404},
		)
	}
	for k := range list {
		list[k].format = "pocketpaw"
	}
	return list
}

// To judge the bearer before the rotation would be to confirm its secret in a commit of its own,
// and on a disk that is half of the time. And who never passed is denied, and no loser of a race.
func TestPocketPawRegeneratesInOneCommit(t *testing.T) {
	s := start(t)
	g := s.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("*")})
	secret := g.Secret.Reveal()
	for revision := uint64(2); revision < 5; revision++ {
		secret, _ = s.call("POST", regenerate, secret, "").want(200)["token"].(string)
		tok, err := s.issuer.Operator("test").Get(t.Context(), g.Token.ID())
		if err != nil || tok.State().Revision != revision {
			t.Fatalf("revision %d, %v, want %d", tok.State().Revision, err, revision)
		}
	}
	s.call("POST", regenerate, g.Secret.Reveal(), "").want(401)
}
