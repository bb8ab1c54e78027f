package httpadapter_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// axiomList returns the listed tokens, and their IDs.
func (s *service) axiomList(caller string) (list []map[string]any, ids []string) {
	s.t.Helper()
	a := s.call("GET", "/v2/tokens", caller, "")
	if a.status != 200 || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" {
		s.t.Fatalf("%d %v %s", a.status, a.header, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || list == nil {
		s.t.Fatalf("%s: %v", a.body, err)
	}
	for _, m := range list {
		id, _ := m["id"].(string)
		ids = append(ids, id)
	}
	return list, ids
}

// wantListed fails unless these tokens are listed, in the order of their IDs.
func (s *service) wantListed(caller string, want ...string) {
	s.t.Helper()
	slices.Sort(want)
	if _, ids := s.axiomList(caller); !slices.Equal(ids, want) {
		s.t.Errorf("%d are listed, and not the %d that should be: %.200q, want %.200q", len(ids), len(want), ids, want)
	}
}

func TestAnAxiomListOfNothingIsAnEmptyArray(t *testing.T) {
	s := start(t)
	if a := s.call("GET", "/v2/tokens", s.master().Secret.Reveal(), ""); a.status != 200 || a.body != "[]\n" {
		t.Errorf("%d %q", a.status, a.body)
	}
}

func TestWhatAxiomMakesIsWhatGetAndListReturnFieldByField(t *testing.T) {
	s := start(t)
	caller := s.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("*"), Attributes: map[string]string{"samlAuthenticated": "true"}})
	master := caller.Secret.Reveal()
	const nano = `"2098-01-02T03:04:05.999999999+05:30"`
	for _, body := range []string{
		everything,
		`{` + onlyUsers + `}`,
		`{"name":"n","description":"d","expiresAt":` + nano + `,"orgCapabilities":{"users":["update","read","create"]}}`,
		`{"expiresAt":"0001-01-01T00:00:00Z","datasetCapabilities":{"b":{"query":["read"]},"a":{"ingest":[],"query":["read"]}},"orgCapabilities":null,"viewCapabilities":null}`,
	} {
		made := []map[string]any{s.call("POST", "/v2/tokens", master, body).want(200)}
		path := "/v2/tokens/" + made[0]["id"].(string) + "/regenerate"
		for _, more := range []string{
			``, `,"newTokenExpiresAt":` + nano, `,"newToken":{"expiresAt":` + nano + `,` + onlyUsers + `}`,
		} {
			made = append(made, s.call("POST", path, master, `{"existingTokenExpiresAt":`+nano+more+`}`).want(200))
		}
		list, _ := s.axiomList(master)
		for k, m := range made {
			if secret, _ := m["token"].(string); secret == "" {
				t.Errorf("no token in %v", m)
			}
			delete(m, "token")
			if k == 1 || k == 2 {
				continue // one that was replaced, unused
			}
			if k == 0 { // it has been given an end
				m["expiresAt"] = "2098-01-01T21:34:05.999999Z"
			}
			if got := s.call("GET", "/v2/tokens/"+m["id"].(string), master, "").want(200); !reflect.DeepEqual(got, m) {
				t.Errorf("made: %v\nget:  %v", m, got)
			}
			listed := false
			for _, got := range list {
				listed = listed || reflect.DeepEqual(got, m)
			}
			if !listed {
				t.Errorf("made: %v\nlist: %v", m, list)
			}
		}
	}
}

func TestAxiomListsTheTokensOfItsFormatThatStandBesideTheCaller(t *testing.T) {
	s := start(t)
	master := s.master()
	secret := master.Secret.Reveal()
	var made []string
	for range 300 { // more than the core reads at a time
		made = append(made, s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org:users:read")}).Token.ID().String())
	}
	s.issue(remint.Spec{Prefix: "kat_"})
	s.issue(remint.Spec{Prefix: "xaat-", Owner: "other", Capabilities: remint.Allow("*")})
	session := s.session(secret)
	below := s.issue(remint.Spec{Prefix: "xaat-", Parent: master.Token.ID(), Capabilities: remint.Allow("org")})
	s.wantListed(secret, made...)
	s.wantListed(session, made...)
	// What stands below a token sees what does so, too.
	s.wantListed(below.Secret.Reveal(), below.Token.ID().String())
	id, _ := s.axiomToken(below.Secret.Reveal(), `{`+onlyUsers+`}`)
	s.wantListed(below.Secret.Reveal(), below.Token.ID().String(), id)
	s.wantListed(secret, made...)
}

func TestAxiomListsATokenUntilItIsDeletedRetiredOrExpiredAndReplaced(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	in := func(d time.Duration) string { return s.clock.now().Add(d).UTC().Format(time.RFC3339Nano) }
	forever, _ := s.axiomToken(master, `{`+onlyUsers+`}`)
	deleted, _ := s.axiomToken(master, `{`+onlyUsers+`}`)
	expires, _ := s.axiomToken(master, `{"expiresAt":"`+in(time.Hour)+`",`+onlyUsers+`}`)
	retires, _ := s.axiomToken(master, `{`+onlyUsers+`}`)
	s.call("DELETE", "/v2/tokens/"+deleted, master, "").wantEmpty()
	next := s.call("POST", "/v2/tokens/"+retires+"/regenerate", master, `{"existingTokenExpiresAt":"`+in(time.Hour)+`"}`).want(200)["id"].(string)
	s.wantListed(master, forever, expires, retires, next)
	s.clock.advance(2 * time.Hour)
	s.wantListed(master, forever, expires, next)
	again := s.call("POST", "/v2/tokens/"+expires+"/regenerate", master,
		`{"existingTokenExpiresAt":"`+in(0)+`","newTokenExpiresAt":"`+in(time.Hour)+`"}`).want(200)["id"].(string)
	s.wantListed(master, forever, next, again)
}

// It fails without the revocation by which Axiom's format deletes (internal/mutants).
func TestADeletedAxiomTokenIsDeadAndGone(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id, secret := s.axiomToken(master, `{"orgCapabilities":{"users":["read"],"apiTokens":["create","read","update","delete"]}}`)
	session, err := s.issuer.Operator("test").StartSession(t.Context(), mustID(t, id), remint.Session{})
	if err != nil {
		t.Fatal(err)
	}
	s.call("DELETE", "/v2/tokens/"+id, master, "").wantEmpty()
	if s.works(secret) || s.works(session.Secret.Reveal()) {
		t.Error("it works, or its session does")
	}
	const gone = `{"code":404,"message":"API token not found"}`
	s.call("GET", "/v2/tokens/"+id, master, "").wantBody(404, gone)
	s.call("DELETE", "/v2/tokens/"+id, master, "").wantBody(404, gone)
	s.call("POST", "/v2/tokens/"+id+"/regenerate", master, `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`).wantBody(404, gone)
	s.wantListed(master)
	// Its own bearer is nobody.
	s.call("DELETE", "/v2/tokens/"+id, secret, "").want(401)
}

func TestAnAxiomTokenMayDeleteItself(t *testing.T) {
	s := start(t)
	id, secret := s.axiomToken(s.master().Secret.Reveal(), `{"orgCapabilities":{"apiTokens":["delete"]}}`)
	s.call("DELETE", "/v2/tokens/"+id, secret, "").wantEmpty()
	s.call("DELETE", "/v2/tokens/"+id, secret, "").want(401)
}

func TestAnOldAxiomTokenIsDeletedBesideItsSuccessor(t *testing.T) {
	for _, c := range []struct {
		name  string
		used  bool // the successor was
		after time.Duration
	}{
		{"before its successor was used", false, 0},
		{"after", true, 0},
		{"when it has retired", true, 2 * time.Hour},
		{"when it has retired, and nobody used its successor", false, 2 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t)
			master := s.master().Secret.Reveal()
			id, old := s.axiomToken(master, `{`+onlyUsers+`}`)
			m := s.call("POST", "/v2/tokens/"+id+"/regenerate", master,
				`{"existingTokenExpiresAt":"`+s.clock.now().Add(time.Hour).Format(time.RFC3339Nano)+`"}`).want(200)
			fresh := m["token"].(string)
			if c.used && !s.works(fresh) {
				t.Fatal("the successor does not work")
			}
			s.clock.advance(c.after)
			s.call("DELETE", "/v2/tokens/"+id, master, "").wantEmpty()
			if s.works(old) || !s.works(fresh) {
				t.Error("the wrong one works")
			}
			s.call("GET", "/v2/tokens/"+id, master, "").want(404)
			s.wantListed(master, m["id"].(string))
		})
	}
}

func TestAnExpiredAxiomTokenMayBeDeleted(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id, _ := s.axiomToken(master, `{"expiresAt":"`+s.clock.now().Add(time.Hour).Format(time.RFC3339)+`",`+onlyUsers+`}`)
	s.clock.advance(2 * time.Hour)
	s.call("DELETE", "/v2/tokens/"+id, master, "").wantEmpty()
	s.wantListed(master)
	s.call("POST", "/v2/tokens/"+id+"/regenerate", master,
		`{"existingTokenExpiresAt":"2099-01-01T00:00:00Z","newTokenExpiresAt":"2099-01-01T00:00:00Z"}`).want(404)
}

func TestWhatAnAxiomTokenMayNotDelete(t *testing.T) {
	s := start(t)
	parent := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org")})
	child := s.issue(remint.Spec{Prefix: "xaat-", Parent: parent.Token.ID(), Capabilities: remint.Allow("org:apiTokens")})
	plain, err := s.issuer.Operator("test").StartSession(t.Context(), parent.Token.ID(), remint.Session{})
	if err != nil {
		t.Fatal(err)
	}
	other := s.issue(remint.Spec{Prefix: "xaat-"})
	replaced := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org")})
	m := s.call("POST", "/v2/tokens/"+replaced.Token.ID().String()+"/regenerate", replaced.Secret.Reveal(),
		`{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`).want(200)
	if !s.works(m["token"].(string)) {
		t.Fatal("the successor does not work")
	}
	before := s.snapshot()
	for name, c := range map[string]struct {
		caller remint.Grant
		target remint.Token
	}{
		"what it stands below":                     {child, parent.Token},
		"as a session that manages nothing":        {plain, other.Token},
		"when its successor has been used":         {replaced, other.Token},
		"itself, when its successor has been used": {replaced, replaced.Token},
		"as a session, its parent":                 {plain, parent.Token},
	} {
		t.Run(name, func(t *testing.T) {
			a := s.call("DELETE", "/v2/tokens/"+c.target.ID().String(), c.caller.Secret.Reveal(), "")
			a.t = t
			a.wantBody(403, beyondAxiom)
		})
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestConcurrentDeletionsOfOneAxiomTokenAllFindItGone(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id, secret := s.axiomToken(master, `{`+onlyUsers+`}`)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if a := s.call("DELETE", "/v2/tokens/"+id, master, ""); a.status != 204 && a.status != 404 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	if s.works(secret) {
		t.Error("it works")
	}
	events, _, err := s.store.Events(t.Context(), "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range events {
		if e.Kind == remint.EventRevoke && e.Token == mustID(t, id) {
			n++
		}
	}
	if n != 1 {
		t.Errorf("it was revoked %d times", n)
	}
}

func TestTheNetworksOfAnAxiomTokenBoundWhereItListsAndDeletes(t *testing.T) {
	s := start(t)
	away := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org"), Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	s.call("GET", "/v2/tokens", away.Secret.Reveal(), "").want(401)
	s.call("DELETE", "/v2/tokens/"+away.Token.ID().String(), away.Secret.Reveal(), "").want(401)
}

func mustID(t *testing.T, text string) remint.ID {
	t.Helper()
	id, err := remint.ParseID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}
