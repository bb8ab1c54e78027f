package httpadapter_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

func TestANativeRotationSaysWhenTheOldSecretStops(t *testing.T) {
	hour := func(s *service) string { return s.clock.now().Add(time.Hour).Format(time.RFC3339Nano) }
	for _, c := range []struct {
		name, body string
		after      time.Duration // the old secret works until then, once the new one was used
	}{
		{"no body", ``, 0},
		{"an empty one", `{}`, 0},
		{"null", `{"retire":null,"successor":null,"keep_sessions":null,"if_revision":null}`, 0},
		{"now", `{"retire":"now"}`, 0},
		{"after", `{"retire":{"after":60}}`, time.Minute},
		{"after nothing", `{"retire":{"after":0}}`, 0},
		{"at", `{"retire":{"at":"HOUR"}}`, time.Hour},
		{"at a past time", `{"retire":{"at":"2001-01-01T00:00:00Z"}}`, 0},
		{"after first use", `{"retire":{"after_first_use":60}}`, time.Minute},
		{"after first use, at once", `{"retire":{"after_first_use":0}}`, 0},
	} {
		for _, successor := range []bool{false, true} {
			t.Run(c.name, func(t *testing.T) {
				s := start(t)
				g := s.master()
				old, body, status := g.Secret.Reveal(), strings.Replace(c.body, "HOUR", hour(s), 1), 200
				if successor {
					if body == "" {
						body = "{}"
					}
					body, status = strings.Replace(body, `,"successor":null`, ``, 1), 201
					body = strings.Replace(`{"successor":true,`+body[1:], ",}", "}", 1)
				}
				id, fresh := s.call("POST", "/tokens/self/rotate", old, body).made(status)
				if (id == g.Token.ID().String()) == successor {
					t.Errorf("id %s", id)
				}
				if works := s.works(old); strings.Contains(body, "first_use") && !works {
					t.Error("the old secret does not wait for the first use")
				}
				if !s.works(fresh) {
					t.Error("the new secret does not work")
				}
				if s.clock.advance(c.after - time.Millisecond); s.works(old) != (c.after > 0) {
					t.Errorf("the old secret works: %v", c.after == 0)
				}
				if s.clock.advance(time.Millisecond); s.works(old) {
					t.Error("the old secret works on")
				}
			})
		}
	}
}

func TestANativeSuccessorIsACloneOrWhatWasSaid(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	const all = `"name":"n","description":"d","capabilities":["a","b"],"networks":["127.0.0.0/8"],"expires_at":"2099-01-01T00:00:00Z"`
	const all2 = `"name":"m","capabilities":["a"],"networks":[],"expires_at":null`
	for _, c := range []struct {
		successor, name string
		caps, networks  int
		expires         any
	}{
		{`true`, "n", 2, 1, "2099-01-01T00:00:00Z"},
		{`{}`, "n", 2, 1, "2099-01-01T00:00:00Z"},
		{`{"expires_at":"2098-01-01T00:00:00Z"}`, "n", 2, 1, "2098-01-01T00:00:00Z"},
		{`{"expires_at":null}`, "n", 2, 1, nil},
		{`{` + all2 + `}`, "m", 1, 0, nil},
		{`{"capabilities":[],"networks":null,"expires_at":"2097-01-01T00:00:00Z"}`, "", 0, 0, "2097-01-01T00:00:00Z"},
	} {
		id, _ := s.call("POST", "/tokens", master, `{`+all+`}`).made(201)
		a := s.call("POST", "/tokens/"+id+"/rotate", master, `{"retire":{"after":60},"successor":`+c.successor+`}`)
		a.made(201)
		m := a.want(201)
		networks, _ := m["networks"].([]any)
		state, _ := m["state"].(map[string]any)
		if m["id"] == id || m["name"] != c.name || len(m["capabilities"].([]any)) != c.caps || len(networks) != c.networks ||
			m["expires_at"] != c.expires || state["predecessor"] != id {
			t.Errorf("%s: %s", c.successor, a.body)
		}
	}
}

func TestTheNativeRotateNamesEveryProblem(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	g := s.issue(remint.Spec{})
	path := "/tokens/" + g.Token.ID().String() + "/rotate"
	const retire = `retire: must be "now", or an object`
	before := s.snapshot()
	for _, c := range []struct {
		body string
		want []string
	}{
		{`{"retires":"now"}`, []string{"retires: is not a member"}},
		{`{"retire":"later"}`, []string{retire}},
		{`{"retire":60}`, []string{retire}},
		{`{"retire":{}}`, []string{retire}},
		{`{"retire":{"after":60,"at":"2099-01-01T00:00:00Z"}}`, []string{retire}},
		{`{"retire":{"at":null}}`, []string{retire}},
		{`{"retire":{"afterwards":60}}`, []string{"retire.afterwards: is not a member"}},
		{`{"retire":{"at":"tomorrow"}}`, []string{"retire.at: must be a date"}},
		{`{"retire":{"after":-1}}`, []string{"retire.after: must be a whole number from 0 to 3153600000"}},
		{`{"retire":{"after":3153600001}}`, []string{"retire.after: "}},
		{`{"retire":{"after_first_use":"60"}}`, []string{"retire.after_first_use: "}},
		{`{"successor":1}`, []string{"successor: must be true, or an object"}},
		{`{"successor":{"name":"x"}}`, []string{"successor.capabilities: must be given", "successor.networks: must be given", "successor.expires_at: must be given"}},
		{`{"successor":{"owner":"x","capabilities":[],"networks":[],"expires_at":null}}`, []string{"successor.owner: is not a member"}},
		{`{"successor":{"capabilities":["::"],"networks":["x"],"expires_at":"2001-01-01T00:00:00Z","name":"\u0007"}}`, []string{
			`successor.networks[0]: "x"`, "successor.capabilities[0]: ", "successor.name: ", "successor.expires_at: "}},
		{`{"successor":{"expires_at":"2001-01-01T00:00:00Z"}}`, []string{"successor.expires_at: 2001-01-01T00:00:00Z is not in the future"}},
		{`{"successor":{"expires_at":"0001-01-01T00:00:00Z"}}`, []string{"successor.expires_at: is not in the future; null"}},
		{`{"successor":true,"keep_sessions":true}`, []string{"keep_sessions: cannot be with a Successor"}},
		{`{"keep_sessions":1,"if_revision":0}`, []string{"keep_sessions: must be true or false", "if_revision: must be a whole number from 1"}},
		{`{"if_revision":-1}`, []string{"if_revision: "}},
	} {
		s.call("POST", path, master, c.body).wantInvalid(c.want...)
	}
	s.call("POST", path, master, `{"if_revision":1}`, "If-Match", `"2"`).wantInvalid("if_revision: is another")
	s.call("POST", path, master, `{"if_revision":2}`).wantProblem(409, "conflict")
	if s.snapshot() != before {
		t.Error("something changed")
	}
	s.call("POST", path, master, `{"if_revision":1}`, "If-Match", `"1"`).made(200)
}

func TestSessionsAreKeptWhereARotationSaysSo(t *testing.T) {
	s := start(t)
	for body, kept := range map[string]bool{`{"keep_sessions":true}`: true, `{"keep_sessions":false}`: false, ``: false} {
		master := s.master().Secret.Reveal()
		_, session := s.call("POST", "/tokens/self/sessions", master, ``).made(201)
		if s.call("POST", "/tokens/self/rotate", master, body).made(200); s.works(session) != kept {
			t.Errorf("%s: it works: %v", body, !kept)
		}
	}
}

func TestANativeRotationTellsHowFarItHasCome(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	make := func() (path, secret string) {
		id, secret := s.call("POST", "/tokens", master, ``+`{"capabilities":["x"]}`).made(201)
		return "/tokens/" + id, secret
	}
	want := func(path, state string, members ...string) map[string]any {
		t.Helper()
		a := s.call("GET", path+"/rotation", master, "")
		m := a.want(200)
		if m["state"] != state || a.header.Get("ETag") == "" {
			t.Errorf("%s, want %s", a.body, state)
		}
		for _, name := range []string{"unconfirmed", "retiring", "successor", "predecessor", "stops_at", "rotated_at"} {
			if (m[name] != nil) != slices.Contains(members, name) {
				t.Errorf("%s: %v; want %q", name, m[name], members)
			}
		}
		return m
	}

	// Under the same ID.
	path, old := make()
	want(path, "settled")
	const firstUse = `{"retire":{"after_first_use":60}}`
	_, fresh := s.call("POST", path+"/rotate", master, firstUse).made(200)
	want(path, "unconfirmed", "unconfirmed", "rotated_at")
	s.call("POST", path+"/rotation/finish", master, "").wantProblem(409, "conflict")
	if m := s.call("DELETE", path+"/rotation", master, "").want(200); m["state"] != "settled" || s.works(fresh) || !s.works(old) {
		t.Errorf("cancelled: %v", m)
	}
	_, fresh = s.call("POST", path+"/rotate", master, firstUse).made(200)
	s.works(fresh)
	want(path, "retiring", "retiring", "rotated_at")
	if m := s.call("DELETE", path+"/rotation", master, "").want(200); m["state"] != "retiring" {
		t.Errorf("cancelled too late: %v", m)
	}
	// The old secret only authenticates.
	s.call("POST", "/tokens/self/rotation/finish", old, "").wantProblem(403, "forbidden")
	if m := s.call("POST", "/tokens/self/rotation/finish", fresh, "").want(200); m["state"] != "settled" || s.works(old) || !s.works(fresh) {
		t.Errorf("finished: %v", m)
	}
	want(path, "settled", "rotated_at")

	// With a successor.
	path, old = make()
	next, fresh := s.call("POST", path+"/rotate", master, `{"successor":true,"retire":{"after_first_use":60}}`).made(201)
	if m := want(path, "unconfirmed", "successor", "rotated_at"); m["successor"] != next {
		t.Errorf("%v", m)
	}
	want("/tokens/"+next, "unconfirmed", "unconfirmed", "predecessor")
	s.call("POST", path+"/rotation/finish", master, "").wantProblem(409, "conflict")
	s.works(fresh)
	want(path, "retiring", "successor", "stops_at", "rotated_at")
	want("/tokens/"+next, "settled", "predecessor")
	s.call("POST", path+"/rotate", master, ``).wantProblem(409, "conflict")
	if m := s.call("POST", path+"/rotation/finish", master, "").want(200); m["state"] != "ended" || s.works(old) || !s.works(fresh) {
		t.Errorf("finished: %v", m)
	}
	s.call("POST", path+"/rotation/finish", master, "").wantProblem(409, "ended")
	s.call("DELETE", path+"/rotation", master, "").wantProblem(409, "ended")

	path, old = make()
	_, fresh = s.call("POST", path+"/rotate", master, `{"successor":true,"retire":{"after":60}}`).made(201)
	if m := s.call("DELETE", path+"/rotation", master, "").want(200); m["state"] != "settled" || m["stops_at"] != nil || s.works(fresh) || !s.works(old) {
		t.Errorf("cancelled: %v", m)
	}
}

func TestATokenWhosePrefixWasGivenUpIsThisServicesFaultInNative(t *testing.T) {
	s := start(t)
	g := s.issue(remint.Spec{Prefix: "nat_"})
	master := s.master().Secret.Reveal()
	later := start(t, func(u *setup) { u.issuer.Prefixes = []string{"pk_", "xaat-", "kat_", "pp_"} })
	later.store.Store = s.store.Store
	later.call("POST", "/tokens/"+g.Token.ID().String()+"/rotate", master, `{"successor":true}`).wantProblem(500, "internal")
	if f := later.faults.take(); len(f) != 1 {
		t.Errorf("reported %v", f)
	}
}

func TestAConflictThatIsNotTheRevisionsIsOneWithIfMatchToo(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id, _ := s.call("POST", "/tokens", master, `{}`).made(201)
	_, fresh := s.call("POST", "/tokens/"+id+"/rotate", master, `{"successor":true,"retire":{"after":60}}`).made(201)
	s.works(fresh)
	seen := s.call("GET", "/tokens/"+id, master, "").header.Get("ETag")
	s.call("POST", "/tokens/"+id+"/rotate", master, ``, "If-Match", seen).wantProblem(409, "conflict")
	s.call("POST", "/tokens/"+id+"/rotate", master, ``, "If-Match", `"1"`).wantProblem(412, "revision_changed")
}

func TestTheStateOfARotationIsNeverGuessed(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id, _ := s.call("POST", "/tokens", master, `{}`).made(201)
	s.call("POST", "/tokens/"+id+"/rotate", master, `{"successor":true,"retire":{"after":60}}`).made(201)
	for n := 1; ; n++ {
		up := s.store.Store
		s.store.Store = &countdown{Store: up, left: n}
		a := s.call("GET", "/tokens/"+id+"/rotation", master, "")
		s.store.Store = up
		if a.status == 200 {
			if m := a.want(200); m["state"] != "unconfirmed" || n < 3 {
				t.Errorf("after %d calls: %s", n, a.body)
			}
			return
		}
		a.wantProblem(503, "unavailable")
	}
}

func TestASuccessorThatWasSweptIsNoneThatWaits(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id, _ := s.call("POST", "/tokens", master, `{}`).made(201)
	next, _ := s.call("POST", "/tokens/"+id+"/rotate", master, `{"successor":true,"retire":{"after":31536000}}`).made(201)
	s.call("DELETE", "/tokens/"+next, master, "")
	s.clock.advance(100 * 24 * time.Hour)
	if err := s.issuer.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.call("GET", "/tokens/"+next, master, "").wantProblem(404, "not_found")
	if m := s.call("GET", "/tokens/"+id+"/rotation", master, "").want(200); m["state"] != "retiring" || m["stops_at"] == nil {
		t.Errorf("%v", m)
	}
}

func TestNoTokenMakesAnotherOfItselfForFree(t *testing.T) {
	s := start(t)
	g := s.issue(remint.Spec{Prefix: "nat_", Capabilities: remint.Allow("chat"), ExpiresAt: s.clock.now().Add(time.Hour)})
	before := s.snapshot()
	for _, body := range []string{
		`{"successor":true}`, `{"successor":{"expires_at":null},"retire":{"after":3600}}`,
		`{"successor":{"capabilities":[],"networks":null,"expires_at":null}}`,
	} {
		s.call("POST", "/tokens/self/rotate", g.Secret.Reveal(), body).wantProblem(403, "insufficient_scope")
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
	a := s.call("POST", "/tokens/self/rotate", g.Secret.Reveal(), "")
	if a.status != 200 || s.get(g.Token.ID()).Spec().ExpiresAt.IsZero() {
		t.Errorf("in place: %d %s", a.status, a.body)
	}
	may := s.issue(remint.Spec{Prefix: "nat_", Capabilities: remint.Allow("tokens:update")})
	if a := s.call("POST", "/tokens/self/rotate", may.Secret.Reveal(), `{"successor":true}`); a.status != 201 {
		t.Errorf("with tokens:update: %d %s", a.status, a.body)
	}
}
