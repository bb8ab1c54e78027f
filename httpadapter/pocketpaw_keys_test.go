package httpadapter_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/store"
	"github.com/remint-go/remint/store/storetest"
)

const (
	keys       = "/api/v1/auth/api-keys"
	noKey      = `{"detail":"API key not found or already revoked"}`
	needsAdmin = `{"detail":"API key missing required scope: admin"}`
)

// A keyAnswer is a key as its client reads it.
type keyAnswer struct {
	Key, ID, Name, Prefix string
	Scopes                []string
	CreatedAt             time.Time  `json:"created_at"`
	ExpiresAt             *time.Time `json:"expires_at"`
	LastUsedAt            *time.Time `json:"last_used_at"`
	Revoked               bool
}

func (k keyAnswer) id(t *testing.T) remint.ID {
	t.Helper()
	id, err := remint.ParseID(k.ID)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// key reads the answer to a creation or rotation.
func (a answer) key() (k keyAnswer) {
	a.t.Helper()
	a.want(200)
	if err := json.Unmarshal([]byte(a.body), &k); err != nil || k.Key == "" {
		a.t.Fatalf("%v: %s", err, a.body)
	}
	return k
}

func (s *service) newKey(secret, body string) keyAnswer {
	s.t.Helper()
	return s.call("POST", keys, secret, body).key()
}

// listKeys returns the list by names.
func (s *service) listKeys(secret string) map[string]keyAnswer {
	s.t.Helper()
	a := s.call("GET", keys, secret, "")
	var list []keyAnswer
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || a.status != 200 || list == nil {
		s.t.Fatalf("%d %v %s", a.status, err, a.body)
	}
	byName := map[string]keyAnswer{}
	for _, k := range list {
		name := k.Name
		for byName[name].ID != "" {
			name += "'"
		}
		byName[name] = k
	}
	return byName
}

func TestAnAPIKeyIsCreatedListedAndDeletedAsDocumented(t *testing.T) {
	for _, path := range []string{keys, "/api/auth/api-keys"} {
		s := start(t)
		master := s.master().Secret.Reveal()
		s.call("GET", path, master, "").wantList(200, "[]")
		expires := s.clock.now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		a := s.call("POST", path, master, fmt.Sprintf(`{"name":"ci","scopes":["memory","chat"],"expires_at":%q,"else":1}`, expires.Format(time.RFC3339Nano)))
		k := a.key()
		id := k.ID
		created := s.get(k.id(t)).State().CreatedAt.Format(time.RFC3339Nano)
		ends := expires.Format(time.RFC3339Nano)
		head := fmt.Sprintf(`"id":"%s","name":"ci","prefix":"pp_%s","scopes":["memory","chat"],"created_at":"%s"`, id, id[:16], created)
		a.wantBody(200, fmt.Sprintf(`{"key":"%s",%s,"expires_at":"%s"}`, k.Key, head, ends))
		if !strings.HasPrefix(k.Key, k.Prefix) || !strings.HasSuffix(created, "Z") {
			t.Errorf("%+v", k)
		}
		s.call("GET", path, master, "").wantList(200, fmt.Sprintf(`[{%s,"last_used_at":null,"expires_at":"%s","revoked":false}]`, head, ends))

		if !s.works(k.Key) {
			t.Error("it does not work")
		}
		used := s.clock.now().UTC()
		s.clock.advance(time.Minute)
		if err := s.issuer.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.listKeys(master)["ci"].LastUsedAt; got == nil || got.Sub(used).Abs() > time.Millisecond {
			t.Errorf("last used %v, want %v", got, used)
		}
		s.call("DELETE", path+"/"+id, master, "").wantBody(200, `{"status":"ok"}`)
		if s.works(k.Key) {
			t.Error("it works still")
		}
		if !s.listKeys(master)["ci"].Revoked {
			t.Error("it is not listed as revoked")
		}
		s.call("DELETE", path+"/"+id, master, "").wantBody(404, noKey)
		s.call("POST", path+"/"+id+"/rotate", master, "").wantBody(404, noKey)
		s.clock.advance(91 * 24 * time.Hour)
		if err := s.issuer.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.call("GET", path, master, "").wantList(200, "[]")
	}
}

// wantList is wantBody for what is no object.
func (a answer) wantList(status int, body string) {
	a.t.Helper()
	if got := strings.TrimSuffix(a.body, "\n"); a.status != status || got != body || a.header.Get("Cache-Control") != "no-store" {
		a.t.Errorf("%d %s\nwant %d %s", a.status, got, status, body)
	}
}

func TestWhatAnAPIKeyIsCreatedWith(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	soon := s.clock.now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	for _, c := range []struct {
		body    string
		name    string
		scopes  []string
		expires time.Time
	}{
		{`{"name":"x"}`, "x", []string{"chat", "sessions"}, time.Time{}},
		{`{"name":"x","expires_at":null}`, "x", []string{"chat", "sessions"}, time.Time{}},
		{`{"name":" ","scopes":[]}`, " ", []string{}, time.Time{}},
		{`{"name":"` + strings.Repeat("x", 100) + `"}`, strings.Repeat("x", 100), []string{"chat", "sessions"}, time.Time{}},
		{`{"name":"` + strings.Repeat("é", 100) + `"}`, strings.Repeat("é", 100), []string{"chat", "sessions"}, time.Time{}},
		{`{"name":"x","scopes":["chat","admin","chat"]}`, "x", []string{"chat", "admin"}, time.Time{}},
		{`{"name":"x","scopes":[` + strings.Repeat(`"chat",`, 5000) + `"memory"]}`, "x", []string{"chat", "memory"}, time.Time{}},
		{`{"name":"x","scopes":["sessions","settings:read","settings:write","channels"]}`, "x", []string{"sessions", "settings:read", "settings:write", "channels"}, time.Time{}},
		{`{"name":"x","expires_at":"` + soon.In(time.FixedZone("", 5400)).Format(time.RFC3339Nano) + `"}`, "x", []string{"chat", "sessions"}, soon},
	} {
		k := s.newKey(master, c.body)
		if k.Name != c.name || !slices.Equal(k.Scopes, c.scopes) || (k.ExpiresAt == nil) != c.expires.IsZero() {
			t.Errorf("%.99s: %+v", c.body, k)
		}
		tok := s.get(k.id(t))
		if tok.Name() != c.name || !tok.ExpiresAt().Equal(c.expires) || tok.Capabilities().Len() != len(c.scopes) || !tok.Parent().IsZero() {
			t.Errorf("%.99s: %+v", c.body, tok.Spec())
		}
	}
}

func TestAnAPIKeyThatCannotBeIsNotCreated(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	before := s.snapshot()
	for _, c := range []struct {
		body   string
		status int
		detail string
	}{
		{``, 422, "must be a JSON object"},
		{`{`, 422, "is not JSON"},
		{`[]`, 422, "must be a JSON object"},
		{`{"name":"a","name":"b"}`, 422, "twice"},
		{`{}`, 422, "name: must be given, and have 1 to 100 characters"},
		{`{"name":null}`, 422, "name: must be given"},
		{`{"name":""}`, 422, "name: must be given"},
		{`{"name":7}`, 422, "name: must be a string"},
		{`{"name":"` + strings.Repeat("é", 101) + `"}`, 422, "name: must be given, and have 1 to 100 characters"},
		{`{"name":"` + strings.Repeat("𐍈", 100) + `"}`, 422, "name: has 400 bytes"},
		{`{"name":"a\u0000"}`, 422, "name: has a control character"},
		{`{"name":"x","scopes":null}`, 422, "scopes: must be a list of strings"},
		{`{"name":"x","scopes":"chat"}`, 422, "scopes: must be a list of strings"},
		{`{"name":"x","scopes":["chat",1]}`, 422, "scopes[1]: must be a string"},
		{`{"name":"x","scopes":{}}`, 422, "scopes: must be a list of strings"},
		{`{"name":"x","expires_at":1}`, 422, "expires_at: must be a string"},
		{`{"name":"x","expires_at":""}`, 422, "expires_at: must be a date and time"},
		{`{"name":"x","expires_at":"2099-01-01"}`, 422, "expires_at: must be a date and time"},
		{`{"name":"x","expires_at":"2099-01-01T00:00:00"}`, 422, "expires_at: must be a date and time"},
		{`{"name":"x","expires_at":"2001-01-01T00:00:00Z"}`, 422, "expires_at: 2001-01-01T00:00:00Z is not in the future"},
		{`{"name":"x","expires_at":"0001-01-01T00:00:00Z"}`, 422, "expires_at: is not in the future"},
		{`{"name":"x","expires_at":"9999-12-31T23:59:59-01:00"}`, 422, "expires_at: is after the year 9999"},
		{`{"name":1,"scopes":2,"expires_at":3}`, 422, "name: must be a string; scopes: must be a list of strings; expires_at: must be a string"},
		{`{"name":1,"scopes":["nope"]}`, 422, "name: must be a string"},
		{`{"name":"x","scopes":["*"]}`, 400, `Invalid scopes: "*"`},
		{`{"name":"x","scopes":["chat","root","settings",""]}`, 400, `Invalid scopes: "root", "settings", ""`},
		{`{"name":"x","scopes":["chat:read"]}`, 400, `Invalid scopes: "chat:read"`},
		{`{"name":"x","scopes":[` + strings.Repeat(`"x",`, 9000) + `"x"]}`, 400, `Invalid scopes: "x", "x"`},
	} {
		a := s.call("POST", keys, master, c.body, "Content-Type", "application/json")
		detail, _ := a.want(c.status)["detail"].(string)
		if !strings.Contains(detail, c.detail) || len(detail) > 2000 {
			t.Errorf("%.99s: %s", c.body, detail)
		}
	}
	s.call("POST", keys, master, `{"name":"x"}`, "Content-Type", "text/plain").want(422)
	s.call("POST", keys, master, `{"name":"`+strings.Repeat("x", 64<<10)+`"}`).wantBody(413, tooLargeDetail)
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestAPIKeysNeedAdmin(t *testing.T) {
	s := start(t)
	g := s.master()
	master := g.Secret.Reveal()
	plain := s.newKey(master, `{"name":"plain"}`)
	admin := s.newKey(master, `{"name":"admin","scopes":["admin","chat"]}`)
	before := s.snapshot()
	for _, r := range []struct{ method, path, body string }{
		{"POST", keys, `{"name":"x"}`}, {"POST", keys, `{`}, {"GET", keys, ""},
		{"DELETE", keys + "/" + admin.ID, ""}, {"DELETE", keys + "/nope", ""}, {"POST", keys + "/" + plain.ID + "/rotate", ""},
	} {
		s.call(r.method, r.path, plain.Key, r.body).wantBody(403, needsAdmin)
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}

	// What has it gives no more than it has, and takes no more either.
	made := s.newKey(admin.Key, `{"name":"made","scopes":["chat"]}`)
	for _, body := range []string{`{"name":"x"}`, `{"name":"x","scopes":["memory"]}`, `{"name":"x","scopes":["admin","chat","settings:write"]}`} {
		s.call("POST", keys, admin.Key, body).wantBody(403, pocketPaw403)
	}
	stronger := s.newKey(master, `{"name":"stronger","scopes":["memory"]}`)
	s.call("POST", keys+"/"+stronger.ID+"/rotate", admin.Key, "").wantBody(403, pocketPaw403)
	s.call("POST", keys+"/"+made.ID+"/rotate", admin.Key, "").want(200)
	s.call("DELETE", keys+"/"+stronger.ID, admin.Key, "").want(200)
	s.call("DELETE", keys+"/"+admin.ID, admin.Key, "").want(200)
	s.call("GET", keys, admin.Key, "").wantBody(401, notAuthorized)

	// A key is no master, whatever its scopes.
	all := s.issue(remint.Spec{Prefix: "pp_", Capabilities: remint.Allow("*")}).Secret.Reveal()
	s.call("POST", regenerate, all, "").wantBody(403, pocketPaw403)
	s.call("POST", exchange, all, "").wantBody(401, `{"detail":"Invalid master token"}`)
	if !s.works(master) {
		t.Error("the master was ended")
	}
}

func TestAKeysRoutesAreThereForSessionsThatManage(t *testing.T) {
	s := start(t)
	g := s.master()
	cookie := inCookie(s.login(g.Secret.Reveal()))
	k := s.call("POST", keys, "", `{"name":"x"}`, "Cookie", cookie).key()
	fresh := s.call("POST", keys+"/"+k.ID+"/rotate", "", "", "Cookie", cookie).key()
	if !s.works(fresh.Key) || s.works(k.Key) {
		t.Error("the wrong key works")
	}
	// It stands beside the master, and not below it: neither a logout nor a new master ends it.
	s.call("POST", logout, "", "", "Cookie", cookie).want(200)
	master, _ := s.call("POST", regenerate, g.Secret.Reveal(), "").want(200)["token"].(string)
	if !s.works(fresh.Key) {
		t.Error("it ended")
	}
	s.call("DELETE", keys+"/"+fresh.ID, master, "").want(200)

	plain, err := s.issuer.Operator("test").StartSession(t.Context(), g.Token.ID(), remint.Session{})
	if err != nil {
		t.Fatal(err)
	}
	if list := s.listKeys(plain.Secret.Reveal()); len(list) != 2 {
		t.Errorf("a session that manages nothing reads %v", list)
	}
	s.call("POST", keys, plain.Secret.Reveal(), `{"name":"x"}`).wantBody(403, pocketPaw403)
}

func TestARotatedAPIKeyHasANewIDAndAllElseOfTheOldOne(t *testing.T) {
	s := start(t)
	g := s.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("*"), Attributes: map[string]string{httpadapter.RateLimitAttribute: "100"},
		Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	master := g.Secret.Reveal()
	expires := s.clock.now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	for name, expiry := range map[string]string{"ends": fmt.Sprintf("%q", expires.Format(time.RFC3339Nano)), "never": "null"} {
		old := s.newKey(master, `{"name":"`+name+`","scopes":["memory","chat"],"expires_at":`+expiry+`}`)
		s.clock.advance(time.Minute)
		a := s.call("POST", keys+"/"+old.ID+"/rotate", master, "")
		fresh := a.key()
		if s.works(old.Key) || !s.works(fresh.Key) {
			t.Error("the wrong key works")
		}
		if fresh.ID == old.ID || fresh.Name != name || !slices.Equal(fresh.Scopes, old.Scopes) ||
			(fresh.ExpiresAt == nil) != (expiry == "null") || fresh.ExpiresAt != nil && !fresh.ExpiresAt.Equal(expires) {
			t.Errorf("%+v, was %+v", fresh, old)
		}
		was, is := s.get(old.id(t)).Spec(), s.get(fresh.id(t)).Spec()
		if fmt.Sprint(was) != fmt.Sprint(is) || len(is.Networks) != 1 || is.Attributes[httpadapter.RateLimitAttribute] != "100" {
			t.Errorf("%+v, was %+v", is, was)
		}
		for _, k := range s.listKeys(master) {
			if k.Name == name && (k.Revoked != (k.ID == old.ID) || (k.ExpiresAt == nil) != (expiry == "null")) {
				t.Errorf("listed: %+v", k)
			}
		}
		// The new one was used: the old one is gone for good.
		s.call("POST", keys+"/"+old.ID+"/rotate", master, "").wantBody(404, noKey)
		s.call("DELETE", keys+"/"+old.ID, master, "").wantBody(404, noKey)
	}
}

// It fails without the rotation of an API key again, as long as its successor is not used
// (internal/mutants).
func TestALostAnswerToAKeysRotationLocksNobodyOut(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	old := s.newKey(master, `{"name":"x"}`)
	lost := s.call("POST", keys+"/"+old.ID+"/rotate", master, "").key()
	again := s.call("POST", keys+"/"+old.ID+"/rotate", master, "").key()
	if s.works(old.Key) || s.works(lost.Key) || !s.works(again.Key) {
		t.Error("the wrong key works")
	}
	live := 0
	for _, k := range s.listKeys(master) {
		if !k.Revoked {
			live++
		}
	}
	if live != 1 {
		t.Errorf("%d live keys are listed", live)
	}
}

func TestAnExpiredAPIKeyIsListedAndDeletedAndNotRotated(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	k := s.newKey(master, fmt.Sprintf(`{"name":"x","expires_at":%q}`, s.clock.now().Add(time.Second).Format(time.RFC3339Nano)))
	s.clock.advance(time.Second)
	if s.listKeys(master)["x"].Revoked || s.works(k.Key) {
		t.Error("it is not expired, or revoked")
	}
	before := s.snapshot()
	s.call("POST", keys+"/"+k.ID+"/rotate", master, "").wantBody(409, `{"detail":"API key has expired"}`)
	if s.snapshot() != before {
		t.Error("something changed")
	}
	s.call("DELETE", keys+"/"+k.ID, master, "").want(200)
	if !s.listKeys(master)["x"].Revoked {
		t.Error("it is not revoked")
	}
}

// It fails without the prefix by which PocketPaw's format knows an API key (internal/mutants).
func TestWhatIsNoAPIKeyOfTheCallersIsNotFound(t *testing.T) {
	s := start(t)
	g := s.master()
	session, err := s.issuer.Operator("test").StartSession(t.Context(), g.Token.ID(), remint.Session{})
	if err != nil {
		t.Fatal(err)
	}
	theirs := s.issue(remint.Spec{Owner: "other", Prefix: "pp_", Capabilities: remint.Allow("chat")})
	ids := map[string]string{
		"the master itself": g.Token.ID().String(), "another master": s.master().Token.ID().String(), "a session": session.Token.ID().String(),
		"another owner's key": theirs.Token.ID().String(), "another format's": s.issue(remint.Spec{Prefix: "xaat-"}).Token.ID().String(),
		"nobody's": remint.ID{9}.String(), "no ID": "x", "lower case": strings.ToLower(theirs.Token.ID().String()),
	}
	before := s.snapshot()
	for name, id := range ids {
		t.Run(name, func(t *testing.T) {
			s.call("DELETE", keys+"/"+id, g.Secret.Reveal(), "").wantBody(404, noKey)
			s.call("POST", keys+"/"+id+"/rotate", g.Secret.Reveal(), "").wantBody(404, noKey)
		})
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
	if list := s.listKeys(g.Secret.Reveal()); len(list) != 0 {
		t.Errorf("listed: %v", list)
	}
	if !s.works(theirs.Secret.Reveal()) || !s.works(g.Secret.Reveal()) {
		t.Error("something ended")
	}
}

func TestOfManyRotationsOfAnAPIKeyAtOnceOneKeyLives(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	k := s.newKey(master, `{"name":"x"}`)
	var wg sync.WaitGroup
	answers := make([]answer, 16)
	for i := range answers {
		wg.Go(func() { answers[i] = s.call("POST", keys+"/"+k.ID+"/rotate", master, "") })
	}
	wg.Wait()
	live, won := 0, 0
	for _, a := range answers {
		switch a.status {
		case 200:
			won++
			if s.works(a.key().Key) {
				live++
			}
		case 409:
			a.wantBody(409, pocketPaw409)
		default:
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if live != 1 || won < 1 || s.works(k.Key) {
		t.Errorf("%d won, %d live", won, live)
	}
}

func TestAKeysRouteThatLosesARaceIsAConflict(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	k := s.newKey(master, `{"name":"x"}`)
	other := func() {
		if _, err := s.issuer.Operator("other").Rotate(t.Context(), k.id(t), remint.Rotation{Successor: &remint.Successor{}}); err != nil {
			t.Error(err)
		}
	}
	s.store.before.Store(&other)
	s.call("POST", keys+"/"+k.ID+"/rotate", master, "").wantBody(409, pocketPaw409)

	k = s.newKey(master, `{"name":"x"}`)
	other = func() {
		if err := s.issuer.Operator("other").Revoke(t.Context(), k.id(t)); err != nil {
			t.Error(err)
		}
	}
	s.store.before.Store(&other)
	s.call("POST", keys+"/"+k.ID+"/rotate", master, "").wantBody(404, noKey)
}

func TestAKeysRouteThatIsNotStoredIsNoSuccess(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	for _, r := range []struct{ method, path, body string }{
		{"POST", "", `{"name":"x"}`}, {"GET", "", ""}, {"DELETE", "/ID", ""}, {"POST", "/ID/rotate", ""},
	} {
		for n := 0; ; n++ {
			k := s.newKey(master, `{"name":"x"}`)
			path := keys + strings.Replace(r.path, "ID", k.ID, 1)
			before := s.snapshot()
			var a answer
			fired := s.failing(n, storetest.Before, func() { a = s.call(r.method, path, master, r.body) })
			if !fired {
				if a.status != 200 {
					t.Errorf("%s %s: %d", r.method, path, a.status)
				}
				break
			}
			if a.wantBody(503, pocketPaw503); s.snapshot() != before {
				t.Errorf("%s %s: operation %d failed, and something changed", r.method, path, n)
			}
		}
	}
}

func TestTheScopesOfAPIKeysAreTheServicesToSay(t *testing.T) {
	s := start(t, func(u *setup) { u.pocketPaw.Scopes = []string{"reports:read", "admin"} })
	master := s.master().Secret.Reveal()
	k := s.newKey(master, `{"name":"x","scopes":["reports:read"]}`)
	if a := s.call("GET", "/reports", k.Key, ""); a.status != 200 {
		t.Errorf("%d", a.status)
	}
	s.call("POST", keys, master, `{"name":"x","scopes":["chat"]}`).wantBody(400, `{"detail":"Invalid scopes: \"chat\""}`)
	s.call("POST", keys, master, `{"name":"x"}`).wantBody(400, `{"detail":"Invalid scopes: \"chat\", \"sessions\""}`)
}

func TestAPIKeysCanBeLeftOut(t *testing.T) {
	s := start(t, func(u *setup) {
		u.issuer.Prefixes = []string{"pk_", "xaat-", "kat_"}
		u.pocketPaw.WithoutAPIKeys = true
	})
	master := s.master().Secret.Reveal()
	s.login(master)
	if a := s.call("GET", keys, master, ""); a.status != 404 {
		t.Errorf("%d", a.status)
	}
}

func TestAPIKeysThatCannotBeAreRefusedAtSetUp(t *testing.T) {
	for says, p := range map[string]httpadapter.PocketPaw{
		`PocketPaw.APIKeyPrefix is "pp_" by default, and the issuer has only ["pk_" "key_"]: add it to remint.Options.Prefixes, set PocketPaw.APIKeyPrefix to one of them, or set PocketPaw.WithoutAPIKeys`: {},
		`PocketPaw.APIKeyPrefix is "no_"`:                             {APIKeyPrefix: "no_"},
		`PocketPaw.APIKeyPrefix is "pk_", as PocketPaw.Prefix is`:     {APIKeyPrefix: "pk_"},
		`PocketPaw.APIKeyPrefix is "key_", as PocketPaw.Prefix is`:    {APIKeyPrefix: "key_", Prefix: "key_"},
		`PocketPaw.Scopes: Capabilities[1]: segment 1 is empty`:       {APIKeyPrefix: "key_", Scopes: []string{"a", ""}},
		`PocketPaw.WithoutAPIKeys, and an APIKeyPrefix or Scopes`:     {WithoutAPIKeys: true, APIKeyPrefix: "key_"},
		`PocketPaw.WithoutAPIKeys, and an APIKeyPrefix or Scopes: th`: {WithoutAPIKeys: true, Scopes: []string{"chat"}},
	} {
		issuer, err := remint.New(new(store.Memory), &remint.Options{Prefixes: []string{"pk_", "key_"}})
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), says) {
					t.Errorf("%s: panic: %v", says, r)
				}
			}()
			httpadapter.New(issuer, nil).MountPocketPaw(http.NewServeMux(), &p)
		}()
	}
}

// FuzzAPIKeyBody: whatever is sent is answered in the format, and what is created is what was
// asked for, and no more than can be asked for.
func FuzzAPIKeyBody(f *testing.F) {
	for _, seed := range []string{
		"", "{}", `{"name":"x"}`, `{"name":"x","scopes":["chat","admin"],"expires_at":"2099-01-01T00:00:00+02:00"}`,
		`{"name":"x","scopes":["*"]}`, `{"name":"x","scopes":["chat:x"]}`, `{"name":"x","scopes":null,"expires_at":""}`,
		`{"name":"x","expires_at":"0001-01-01T00:00:00Z"}`, `{"name":"x","expires_at":"2099-01-01T00:00:00"}`,
		`{"name":"` + strings.Repeat("é", 101) + `"}`, `{"name":"\u0000"}`, `{"name":"x","scopes":[[]]}`, `[1]`, `{"name":"x"}x`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		s := newService(t)
		master := s.master()
		r := httptest.NewRequest("POST", keys, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+master.Secret.Reveal())
		r.Header.Set("Content-Type", "application/json")
		before := s.snapshot()
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		a := answer{t, w.Code, w.Header(), w.Body.String()}
		if f := s.faults.take(); f != nil {
			t.Errorf("reported %v", f)
		}
		if (s.snapshot() == before) != (w.Code != 200) {
			t.Errorf("%q: %d, and the store has changed: %v", body, w.Code, w.Code != 200)
		}
		if w.Code != 200 {
			if detail, _ := a.want(w.Code)["detail"].(string); detail == "" || !slices.Contains([]int{400, 413, 422}, w.Code) {
				t.Errorf("%q: %d %s", body, w.Code, w.Body)
			}
			if strings.HasPrefix(a.body, `{"detail":"Invalid scopes: `) != (w.Code == 400) {
				t.Errorf("%q: %d %s", body, w.Code, w.Body)
			}
			return
		}
		var asked map[string]any
		if err := json.Unmarshal([]byte(body), &asked); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		k := a.key()
		if id, err := remint.ParseID(k.ID); err != nil || s.get(id).Owner() != "acme" || !s.works(k.Key) || k.Key == master.Secret.Reveal() {
			t.Errorf("%q: %s", body, a.body)
		}
		if n := len([]rune(k.Name)); n < 1 || n > 100 {
			t.Errorf("%q: a name of %d characters", body, n)
		}
		for _, scope := range k.Scopes {
			if !slices.Contains([]string{"chat", "sessions", "settings:read", "settings:write", "channels", "memory", "admin"}, scope) {
				t.Errorf("%q: the scope %q", body, scope)
			}
		}
		if k.ExpiresAt != nil && !k.ExpiresAt.After(k.CreatedAt) || (k.ExpiresAt == nil) != (asked["expires_at"] == nil) {
			t.Errorf("%q: expires %v", body, k.ExpiresAt)
		}
	})
}
