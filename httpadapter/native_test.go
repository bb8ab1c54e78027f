package httpadapter_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

// nativeRoutes are the native routes, each with a good request about the token id; the one
// that ends it is the last of those.
func nativeRoutes(id remint.ID) []mounted {
	one := "/tokens/" + id.String()
	form := "token=rmt_x" // no token's text
	return []mounted{
		{format: "native", method: "GET", path: "/tokens", ignoresBody: true},
		{format: "native", method: "POST", path: "/tokens", body: `{}`, served: 201},
		{format: "native", method: "GET", path: one, ignoresBody: true},
		{format: "native", method: "PATCH", path: one, body: `{"name":"x"}`},
		{format: "native", method: "POST", path: one + "/rotate", body: `{"retire":{"after":60}}`},
		{format: "native", method: "GET", path: one + "/rotation", ignoresBody: true},
		{format: "native", method: "DELETE", path: one + "/rotation", ignoresBody: true},
		{format: "native", method: "POST", path: one + "/rotation/finish", ignoresBody: true},
		{format: "native", method: "GET", path: one + "/sessions", ignoresBody: true},
		{format: "native", method: "POST", path: one + "/sessions", body: `{"lifetime":60}`, served: 201},
		{format: "native", method: "DELETE", path: one + "/sessions", ignoresBody: true, served: 204},
		{format: "native", method: "DELETE", path: one, ignoresBody: true, served: 204},
		{format: "native", method: "POST", path: "/introspect", body: form},
		{format: "native", method: "POST", path: "/revoke", body: form},
	}
}

// nativeNeeds are what they need, in their order.
var nativeNeeds = []remint.Capability{
	"tokens:read", "tokens:create", "tokens:read", "tokens:update",
	"tokens:update", "tokens:read", "tokens:update", "tokens:update",
	"tokens:read", "tokens:create", "tokens:delete",
	"tokens:delete", "tokens:read", "tokens:delete",
}

// isForm reports whether the route's body is a form.
func (r mounted) isForm() bool { return r.path == "/introspect" || r.path == "/revoke" }

// request makes the route's request, and headers' more.
func (s *service) request(r mounted, secret string, headers ...string) answer {
	s.t.Helper()
	if r.isForm() {
		headers = append([]string{"Content-Type", formType}, headers...)
	}
	return s.call(r.method, r.path, secret, r.body, headers...)
}

const formType = "application/x-www-form-urlencoded"

// post posts a form.
func (s *service) post(path, secret, form string) answer {
	s.t.Helper()
	return s.call("POST", path, secret, form, "Content-Type", formType)
}

// wantProblem fails unless the answer is a problem with that status and code, of any if it is "".
func (a answer) wantProblem(status int, code string) map[string]any {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d; body %s", a.status, status, a.body)
	}
	if a.header.Get("Content-Type") != "application/problem+json" || a.header.Get("Cache-Control") != "no-store" {
		a.t.Errorf("headers %v", a.header)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		a.t.Fatalf("body %q: %v", a.body, err)
	}
	got, _ := m["code"].(string)
	detail, _ := m["detail"].(string)
	if m["type"] != "about:blank" || m["title"] != http.StatusText(status) || m["status"] != float64(status) || got == "" || detail == "" {
		a.t.Errorf("body %s", a.body)
	}
	if code != "" && got != code {
		a.t.Errorf("code %s, want %s; body %s", got, code, a.body)
	}
	return m
}

// wantInvalid fails unless the answer names these problems: "field: problem".
func (a answer) wantInvalid(want ...string) {
	a.t.Helper()
	var got []string
	list, _ := a.wantProblem(422, "invalid")["errors"].([]any)
	for _, e := range list {
		m, _ := e.(map[string]any)
		field, _ := m["field"].(string)
		problem, _ := m["problem"].(string)
		got = append(got, field+": "+problem)
	}
	if len(got) != len(want) {
		a.t.Fatalf("%q, want %q", got, want)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			a.t.Errorf("%q, want %q", got[i], want[i])
		}
	}
}

// made is a token that a route made.
func (a answer) made(status int) (id, secret string) {
	a.t.Helper()
	m := a.want(status)
	id, _ = m["id"].(string)
	secret, _ = m["secret"].(string)
	if secret == "" || !strings.Contains(secret, id) {
		a.t.Fatalf("body %s", a.body)
	}
	if a.header.Get("ETag") == "" {
		a.t.Error("no ETag")
	}
	if got, want := a.header.Get("Location"), "/tokens/"+id; (got == want) != (status == 201) {
		a.t.Errorf("Location %q", got)
	}
	return id, secret
}

func TestWhatTheNativeCreateReturnsIsWhatWasSentAndWhatGetReturns(t *testing.T) {
	s := start(t, func(u *setup) { u.native.Prefix = "nat_" })
	master := s.issue(remint.Spec{Capabilities: remint.Allow("*"), Attributes: map[string]string{"plan": "gold"}}).Secret.Reveal()
	parent := s.issue(remint.Spec{Capabilities: remint.Allow("*"), Attributes: map[string]string{"plan": "gold"}}).Token.ID().String()
	a := s.call("POST", "/tokens", master, `{"name":"<ci>","description":"d","capabilities":["reports:read","x"],
		"networks":["127.0.0.0/8","2001:db8::1"],"expires_at":"2099-01-02T03:04:05.5+01:00","parent":"`+parent+`"}`)
	id, secret := a.made(201)
	if !strings.HasPrefix(secret, "nat_") || !s.works(secret) {
		t.Errorf("secret %.8s", secret)
	}
	created := a.want(201)
	delete(created, "secret")
	got := s.call("GET", "/tokens/"+id, master, "")
	if m := got.want(200); !reflect.DeepEqual(m, created) {
		t.Errorf("create: %v\nget:    %v", created, m)
	}
	if got.header.Get("ETag") != `"1"` || a.header.Get("ETag") != `"1"` {
		t.Errorf("ETags %q, %q", a.header.Get("ETag"), got.header.Get("ETag"))
	}
	delete(created, "state")
	want := map[string]any{
		"id": id, "name": "<ci>", "description": "d", "owner": "acme", "prefix": "nat_", "parent": parent,
		"capabilities": []any{"reports:read", "x"}, "networks": []any{"127.0.0.0/8", "2001:db8::1/128"},
		"expires_at": "2099-01-02T02:04:05.5Z", "attributes": map[string]any{"plan": "gold"},
	}
	if !reflect.DeepEqual(created, want) {
		t.Errorf("got  %v\nwant %v", created, want)
	}
}

func TestANativeTokenThatSaysNothingOfNetworksHasItsMakers(t *testing.T) {
	s := start(t)
	master := s.issue(remint.Spec{Capabilities: remint.Allow("*"), Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}).Secret.Reveal()
	for _, body := range []string{`{}`, `{"networks":null}`} {
		if m := s.call("POST", "/tokens", master, body).want(201); !reflect.DeepEqual(m["networks"], []any{"127.0.0.0/8"}) {
			t.Errorf("%s: %v", body, m)
		}
	}
	s.call("POST", "/tokens", master, `{"networks":[]}`).wantProblem(403, "forbidden")
}

// It fails without the refusal of an owner in a native body (internal/mutants).
func TestTheNativeCreateNamesEveryProblem(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	before := s.snapshot()
	for _, c := range []struct {
		body string
		want []string
	}{
		{`{"nmae":"x","expires_At":"2099-01-01T00:00:00Z"}`, []string{"nmae: is not a member", "expires_At: is not a member"}},
		{`{"owner":"other"}`, []string{"owner: is not a member"}},
		{`{"attributes":{"plan":"gold"}}`, []string{"attributes: is not a member"}},
		{`{"prefix":"pk_"}`, []string{"prefix: is not a member"}},
		{`{"` + strings.Repeat("x", 1000) + `":1}`, []string{`"` + strings.Repeat("x", 64) + `…": is not a member`}},
		{`{"name":1,"description":[],"capabilities":"x","networks":{},"expires_at":5,"parent":6}`, []string{"name: must be a string",
			"description: must be a string", "networks: must be a list", "expires_at: must be a string", "capabilities: must be a list", "parent: must be a string"}},
		{`{"capabilities":["a::b","ok","é é"],"networks":["127.0.0.1/8","x","::ffff:1.2.3.4","fe80::1%eth0",1]}`, []string{
			"networks[4]: must be a string", `networks[1]: "x" is neither`, `networks[3]: "fe80::1%eth0" is neither`,
			"capabilities[0]: ", "capabilities[2]: ", "networks[0]: 127.0.0.1/8 has bits beyond its length", "networks[2]: ::ffff:1.2.3.4/128 is an IPv4 network"}},
		{`{"expires_at":"2001-01-01T00:00:00Z"}`, []string{"expires_at: 2001-01-01T00:00:00Z is not in the future"}},
		{`{"expires_at":"0001-01-01T00:00:00Z"}`, []string{"expires_at: is not in the future; null stands for never"}},
		{`{"expires_at":""}`, []string{"expires_at: must be a date"}},
		{`{"name":"a\u0007b","description":"` + strings.Repeat("x", 5000) + `"}`, []string{"name: has a control character", "description: has 5000 bytes"}},
		{`{"parent":""}`, []string{"parent: is not the ID of a token"}},
		{`{"parent":"x"}`, []string{"parent: is not the ID of a token"}},
		{`{"parent":"01JCZ3T8M6RZ6Y0S2V4W8X9YAB"}`, []string{"parent: is not the ID of a token"}},
		{`{"parent":"` + newService(t).master().Token.ID().String() + `"}`, []string{"parent: is not the ID of a token"}},
	} {
		s.call("POST", "/tokens", master, c.body).wantInvalid(c.want...)
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestTheNativeListIsPaged(t *testing.T) {
	s := start(t)
	g := s.master()
	master := g.Secret.Reveal()
	s.issue(remint.Spec{Owner: "other"})
	want := []string{g.Token.ID().String()}
	for range 7 {
		id, _ := s.call("POST", "/tokens", master, `{}`).made(201)
		want = append(want, id)
	}
	slices.Sort(want)
	for _, limit := range []string{"1", "3", "7", "8", "9", "256"} {
		var got []string
		for next := ""; ; {
			m := s.call("GET", "/tokens?limit="+limit+next, master, "").want(200)
			list, _ := m["tokens"].([]any)
			for _, x := range list {
				tok, _ := x.(map[string]any)
				id, _ := tok["id"].(string)
				got = append(got, id)
			}
			cursor, more := m["next"].(string)
			if !more {
				break
			}
			if next = "&after=" + cursor; len(got) > 8 {
				t.Fatal("it does not end")
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %s: %v, want %v", limit, got, want)
		}
	}
	if m := s.call("GET", "/tokens", master, "").want(200); len(m["tokens"].([]any)) != 8 || m["next"] != nil {
		t.Errorf("%v", m)
	}
}

func TestTheNativeListSelects(t *testing.T) {
	s := start(t)
	g := s.master()
	master := g.Secret.Reveal()
	s.clock.advance(time.Millisecond)
	child, _ := s.call("POST", "/tokens", master, `{"name":"child","parent":"`+g.Token.ID().String()+`"}`).made(201)
	s.call("POST", "/tokens/self/sessions", master, ``).made(201)
	s.clock.advance(time.Millisecond)
	expired, _ := s.call("POST", "/tokens", master, `{"name":"expired","expires_at":"`+s.clock.now().Add(time.Hour).Format(time.RFC3339)+`"}`).made(201)
	s.clock.advance(time.Millisecond) // the order of IDs made in one is random
	revoked, _ := s.call("POST", "/tokens", master, `{"name":"revoked"}`).made(201)
	s.call("DELETE", "/tokens/"+revoked, master, "")
	s.clock.advance(2 * time.Hour)
	for query, want := range map[string][]string{
		"":                                 {"master"},
		"?ended=false&expired=false":       {"master"},
		"?expired=true":                    {"master", "expired"},
		"?ended=true":                      {"master", "expired", "revoked"},
		"?parent=" + g.Token.ID().String(): {"child", "a session"},
		"?parent=" + child:                 {},
		"?ended=true&after=" + expired:     {"revoked"},
	} {
		got := []string{}
		for _, x := range s.call("GET", "/tokens"+query, master, "").want(200)["tokens"].([]any) {
			tok := x.(map[string]any)
			name := tok["name"].(string)
			if tok["session"] == true {
				name = "a session"
			}
			if got = append(got, name); tok["secret"] != nil {
				t.Error("a secret is listed")
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	if m := s.call("GET", "/tokens/self/sessions", master, "").want(200)["sessions"].([]any); len(m) != 1 {
		t.Errorf("sessions %v", m)
	}
	for query, want := range map[string][]string{
		"?limit=0": {"limit: must be a whole number from 1 to 256"}, "?limit=257": {"limit: "}, "?limit=": {"limit: "}, "?limit=1e1": {"limit: "},
		"?limit=1&limit=2": {"limit: is given more than once"}, "?after=x": {"after: "}, "?ended=1": {"ended: must be true or false"},
		"?b=1&%22=x&parnet=x": {`"\"": is not a parameter`, `"b": is not a parameter`, `"parnet": is not a parameter`}, "?a=%zz": {"query: "},
	} {
		s.call("GET", "/tokens"+query, master, "").wantInvalid(want...)
	}
	s.call("GET", "/tokens/self/sessions?parent=x", master, "").wantInvalid(`"parent": is not a parameter`)
	s.call("GET", "/tokens/self/sessions?%zz", master, "").wantInvalid("query: ")
	for _, unknown := range []string{"x", "", "01JCZ3T8M6RZ6Y0S2V4W8X9YAB"} {
		s.call("GET", "/tokens?parent="+unknown, master, "").wantProblem(404, "not_found")
	}
}

func TestWhoStandsBelowATokenListsWhatStandsThere(t *testing.T) {
	s := start(t)
	parent := s.master().Token.ID()
	one := s.issue(remint.Spec{Parent: parent, Capabilities: remint.Allow("*")})
	two := s.issue(remint.Spec{Parent: parent, Name: "two"})
	session, err := s.issuer.Operator("test").StartSession(t.Context(), one.Token.ID(), remint.Session{})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{one.Secret.Reveal(), session.Secret.Reveal()} {
		list := s.call("GET", "/tokens", secret, "").want(200)["tokens"].([]any)
		if len(list) != 2 || list[1].(map[string]any)["id"] != two.Token.ID().String() && list[0].(map[string]any)["id"] != two.Token.ID().String() {
			t.Errorf("%v", list)
		}
	}
}

func TestTheNativePatchChangesWhatItNamesAndNothingElse(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id, _ := s.call("POST", "/tokens", master, `{"name":"n","description":"d","capabilities":["a","b"],"networks":["127.0.0.0/8"],"expires_at":"2099-01-01T00:00:00Z"}`).made(201)
	path := "/tokens/" + id
	want := s.call("GET", path, master, "").want(200)
	for _, c := range []struct {
		body, member string
		value        any
	}{
		{`{}`, "", nil},
		{`{"name":"m"}`, "name", "m"},
		{`{"description":"e"}`, "description", "e"},
		{`{"capabilities":["a"]}`, "capabilities", []any{"a"}},
		{`{"networks":["127.0.0.1"]}`, "networks", []any{"127.0.0.1/32"}},
		{`{"expires_at":"2098-01-01T00:00:00Z"}`, "expires_at", "2098-01-01T00:00:00Z"},
		{`{"name":null}`, "name", ""},
		{`{"description":null}`, "description", nil},
		{`{"networks":null}`, "networks", nil},
		{`{"expires_at":null}`, "expires_at", nil},
		{`{"capabilities":null}`, "capabilities", []any{}},
	} {
		got := s.call("PATCH", path, master, c.body, "Content-Type", "application/merge-patch+json").want(200)
		if c.member != "" {
			want[c.member] = c.value
		}
		if c.value == nil {
			delete(want, c.member)
		}
		delete(got, "state")
		delete(want, "state")
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\nwant %v", c.body, got, want)
		}
	}
	before := s.snapshot()
	for body, want := range map[string]string{
		`{"owner":"x"}`:                         "owner: is not a member",
		`{"attributes":{}}`:                     "attributes: is not a member",
		`{"parent":null}`:                       "parent: is not a member",
		`{"expires_at":"0001-01-01T00:00:00Z"}`: "expires_at: is not in the future",
		`{"expires_at":"2001-01-01T00:00:00Z"}`: "expires_at: 2001-01-01T00:00:00Z is not",
		`{"name":"\u0000"}`:                     "name: has a control character",
		`{"networks":["1.2.3.4/8"]}`:            "networks[0]: ",
		`{"capabilities":[""]}`:                 "capabilities[0]: ",
		`{"name":[]}`:                           "name: must be a string",
	} {
		s.call("PATCH", path, master, body).wantInvalid(want)
	}
	s.call("PATCH", path, master, "").wantProblem(400, "bad_request")
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestAConditionIsJudgedInTheOperation(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	op := s.issuer.Operator("test")
	for _, c := range []struct{ method, below, body string }{{"PATCH", "", `{"name":"mine"}`}, {"POST", "/rotate", ``}} {
		g := s.issue(remint.Spec{Name: "n"})
		id, path := g.Token.ID(), "/tokens/"+g.Token.ID().String()+c.below
		rename := func() {
			if _, err := op.Update(t.Context(), id, func(s *remint.Spec) error { s.Name += "'"; return nil }); err != nil {
				t.Error(err)
			}
		}
		rename()
		seen := s.call("GET", "/tokens/"+id.String(), master, "").header.Get("ETag")
		if seen != `"2"` {
			t.Errorf("ETag %s", seen)
		}
		for _, bad := range []string{`"2`, `2`, `W/"2"`, `""`, `"02"`, `"+2"`, `"x"`, `"1", "2"`, ``} {
			h := http.Header{"Authorization": {"Bearer " + master}, "If-Match": {bad}}
			s.do(c.method, path, h, strings.NewReader(c.body)).wantProblem(400, "bad_request")
		}
		s.call(c.method, path, master, c.body, "If-Match", `"1"`).wantProblem(412, "revision_changed")
		// Somebody is faster, once this request has been judged.
		s.store.before.Store(&rename)
		s.call(c.method, path, master, c.body, "If-Match", seen).wantProblem(412, "revision_changed")
		if got := s.get(id); got.Name() != "n''" || !got.State().RotatedAt.IsZero() {
			t.Errorf("it was changed: %s", got.Name())
		}
		a := s.call(c.method, path, master, c.body, "If-Match", `"3"`)
		if a.want(200); a.header.Get("ETag") != `"4"` {
			t.Errorf("ETag %s", a.header.Get("ETag"))
		}
		s.call(c.method, path, master, c.body, "If-Match", `*`).want(200)
		s.call(c.method, "/tokens/01JCZ3T8M6RZ6Y0S2V4W8X9YAB"+c.below, master, c.body, "If-Match", `"3"`).wantProblem(404, "not_found")
	}
	// Without a condition, a change that somebody else made meanwhile is no conflict.
	g := s.issue(remint.Spec{Name: "n"})
	other := func() {
		_, _ = op.Update(t.Context(), g.Token.ID(), func(s *remint.Spec) error { s.Description = "d"; return nil })
	}
	s.store.before.Store(&other)
	if m := s.call("PATCH", "/tokens/"+g.Token.ID().String(), master, `{"name":"m"}`).want(200); m["name"] != "m" || m["description"] != "d" {
		t.Errorf("%v", m)
	}
	// Where it cannot be judged, it is refused.
	before := s.snapshot()
	for _, r := range nativeRoutes(g.Token.ID()) {
		if strings.HasSuffix(r.path, "/rotate") || r.method == "GET" || r.method == "PATCH" || r.isForm() {
			continue
		}
		s.request(r, master, "If-Match", `"1"`).wantProblem(400, "bad_request")
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestNativeRoutesNeedTheirCapabilities(t *testing.T) {
	s := start(t)
	all := []string{"tokens:read", "tokens:create", "tokens:update", "tokens:delete"}
	for k, need := range nativeNeeds {
		var others []remint.Capability
		for _, x := range all {
			if x != string(need) {
				others = append(others, remint.Capability(x))
			}
		}
		target := s.issue(remint.Spec{})
		lacks := s.issue(remint.Spec{Capabilities: remint.Allow(others...)}).Secret.Reveal()
		r := nativeRoutes(target.Token.ID())[k]
		before := s.snapshot()
		a := s.request(r, lacks)
		m := a.wantProblem(403, "insufficient_scope")
		if got, want := a.header.Get("WWW-Authenticate"), `Bearer error="insufficient_scope", scope="`+string(need)+`"`; got != want {
			t.Errorf("%s %s: %s", r.method, r.path, got)
		}
		if r.isForm() && m["error"] != "insufficient_scope" {
			t.Errorf("%s: %v", r.path, m)
		}
		if s.snapshot() != before {
			t.Errorf("%s %s: something changed", r.method, r.path)
		}
		has := s.issue(remint.Spec{Capabilities: remint.Allow(need)}).Secret.Reveal()
		if a := s.request(r, has); a.status != max(r.served, 200) {
			t.Errorf("%s %s with what it needs: %d %s", r.method, r.path, a.status, a.body)
		}
	}
}

func TestATokenNeedsNothingToReadRotateOrRevokeItself(t *testing.T) {
	s := start(t)
	for _, r := range nativeRoutes(remint.ID{1}) {
		r.path = strings.Replace(r.path, (remint.ID{1}).String(), "self", 1)
		if !strings.Contains(r.path, "self") {
			continue
		}
		g := s.issue(remint.Spec{Name: "me"})
		if a := s.request(r, g.Secret.Reveal()); strings.HasSuffix(r.path, "/sessions") || r.method == "PATCH" {
			a.wantProblem(403, "insufficient_scope")
		} else if a.status != max(r.served, 200) {
			t.Errorf("%s %s: %d %s", r.method, r.path, a.status, a.body)
		} else if r.method == "DELETE" && r.path == "/tokens/self" && s.works(g.Secret.Reveal()) {
			t.Error("it was not revoked")
		}
		// Its ID is not the word: that is what anybody would say.
		r.path = strings.Replace(r.path, "self", g.Token.ID().String(), 1)
		if r.method != "DELETE" {
			s.request(r, g.Secret.Reveal()).wantProblem(403, "insufficient_scope")
		}
	}
	g := s.issue(remint.Spec{})
	s.post("/revoke", g.Secret.Reveal(), "token="+g.Secret.Reveal())
	if s.works(g.Secret.Reveal()) {
		t.Error("it was not revoked by its secret")
	}
	// Rotated by itself, at once: only the new secret works.
	g = s.issue(remint.Spec{})
	id, fresh := s.call("POST", "/tokens/self/rotate", g.Secret.Reveal(), "").made(200)
	if id != g.Token.ID().String() || s.works(g.Secret.Reveal()) || !s.works(fresh) {
		t.Error("the wrong one works")
	}
}

func TestEachNativeRouteAnswersEachFailure(t *testing.T) {
	forged := newService(t).master().Secret.Reveal()
	for k, r := range nativeRoutes(remint.ID{1}) {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			s := start(t, func(u *setup) {
				u.adapter.RateLimit = 3
				u.adapter.Cookie = &httpadapter.Cookie{Name: "sid"}
				u.adapter.CapabilitiesToken = refuseSecond
			})
			target := s.issue(remint.Spec{}).Token.ID()
			r := nativeRoutes(target)[k]
			fresh := func() string { return s.issue(remint.Spec{Capabilities: remint.Allow("*")}).Secret.Reveal() }
			oauth := func(m map[string]any, want string) {
				t.Helper()
				if !r.isForm() && m["error"] != nil || r.isForm() && m["error"] != want {
					t.Errorf("error %v, want %s", m["error"], want)
				}
			}

			// Denials are alike, whyever.
			a := s.request(r, "")
			oauth(a.wantProblem(401, "unauthorized"), "invalid_token")
			if got := a.header.Get("WWW-Authenticate"); got != "Bearer" {
				t.Errorf("WWW-Authenticate %s", got)
			}
			revoked, expired := s.issue(remint.Spec{}), s.issue(remint.Spec{ExpiresAt: s.clock.now().Add(time.Second)})
			elsewhere := s.issue(remint.Spec{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
			if err := s.issuer.Operator("test").Revoke(t.Context(), revoked.Token.ID()); err != nil {
				t.Fatal(err)
			}
			s.clock.advance(time.Second)
			for _, secret := range []string{"garbage", forged, revoked.Secret.Reveal(), expired.Secret.Reveal(), elsewhere.Secret.Reveal()} {
				b := s.request(r, secret)
				if b.wantProblem(401, "unauthorized"); b.body != a.body || b.header.Get("WWW-Authenticate") != `Bearer error="invalid_token"` {
					t.Errorf("%.8s: %v %s", secret, b.header, b.body)
				}
			}

			oauth(s.request(r, fresh(), "X-Capabilities-Token", "bad").wantProblem(403, "invalid_capabilities_token"), "access_denied")

			live := fresh()
			s.store.fail(errors.New("disk on fire"))
			b := s.request(r, live)
			s.store.fail(nil)
			if oauth(b.wantProblem(503, "unavailable"), "temporarily_unavailable"); b.header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			if f := s.faults.take(); len(f) != 1 {
				t.Errorf("reported %v", f)
			}

			secret := fresh()
			for range 3 {
				s.call("GET", "/me", secret, "")
			}
			b = s.request(r, secret)
			if r.method == "DELETE" && !strings.HasSuffix(r.path, "/rotation") || r.path == "/revoke" {
				if b.status == 429 {
					t.Error("what ends something is refused for a limit")
				}
				return
			}
			m := b.wantProblem(429, "rate_limited")
			if oauth(m, "temporarily_unavailable"); m["retry_after"] == nil || b.header.Get("Retry-After") == "" || b.header.Get("RateLimit") == "" {
				t.Errorf("%v %s", b.header, b.body)
			}

			// A page of another origin, with a cookie.
			g := s.issue(remint.Spec{Capabilities: remint.Allow("*")})
			session, err := s.issuer.Operator("test").StartSession(t.Context(), g.Token.ID(), remint.Session{Manages: true})
			if err != nil {
				t.Fatal(err)
			}
			if r.method != "GET" {
				oauth(s.request(r, "", "Cookie", "sid="+session.Secret.Reveal(), "Sec-Fetch-Site", "cross-site").wantProblem(403, "cross_origin"), "access_denied")
			}
			if a := s.request(r, "", "Cookie", "sid="+session.Secret.Reveal(), "Sec-Fetch-Site", "same-origin"); a.status != max(r.served, 200) {
				t.Errorf("with a cookie: %d %s", a.status, a.body)
			}
			if got := s.request(r, fresh()); got.header.Get("RateLimit") == "" {
				t.Error("no RateLimit")
			}
		})
	}
}

func TestAPanicOfTheStoreIsANativeProblem(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	boom := func() { panic("boom") }
	s.store.before.Store(&boom)
	s.call("POST", "/tokens", master, `{}`).wantProblem(500, "internal")
	if f := s.faults.take(); len(f) != 1 {
		t.Errorf("reported %v", f)
	}
}

// It fails without the owner in the native routes with an ID (internal/mutants).
func TestAnotherOwnersTokenIsUnknownToNative(t *testing.T) {
	s := start(t)
	foreign := s.issue(remint.Spec{Owner: "other", Capabilities: remint.Allow("*")})
	if _, err := s.issuer.Operator("test").Rotate(t.Context(), foreign.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0)}); err != nil {
		t.Fatal(err)
	}
	unknown := newService(t).master().Token.ID()
	caller := s.master().Secret.Reveal()
	before := s.snapshot()
	theirs, nobodys, malformed := nativeRoutes(foreign.Token.ID()), nativeRoutes(unknown), nativeRoutes(remint.ID{1})
	for k, r := range theirs {
		if !strings.Contains(r.path, foreign.Token.ID().String()) {
			continue
		}
		malformed[k].path = strings.Replace(malformed[k].path, (remint.ID{1}).String(), "x", 1)
		a, b, c := s.request(r, caller), s.request(nobodys[k], caller), s.request(malformed[k], caller)
		a.wantProblem(404, "not_found")
		a.header.Del("Date")
		for _, b := range []answer{b, c} {
			if b.header.Del("Date"); a.status != b.status || a.body != b.body || !reflect.DeepEqual(a.header, b.header) {
				t.Errorf("%s %s: %v %s\nunknown: %v %s", r.method, r.path, a.header, a.body, b.header, b.body)
			}
		}
	}
	for _, id := range []remint.ID{foreign.Token.ID(), unknown} {
		s.call("GET", "/tokens?parent="+id.String(), caller, "").wantProblem(404, "not_found")
		s.call("POST", "/tokens", caller, `{"parent":"`+id.String()+`"}`).wantInvalid("parent: is not the ID of a token")
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

// It fails without the bearer who acts where the native routes issue (internal/mutants).
func TestNobodyHandsOutMoreThanItHasThroughNative(t *testing.T) {
	s := start(t)
	manage := []remint.Capability{"tokens", "reports:read"}
	local := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	weak := s.issue(remint.Spec{Capabilities: remint.Allow(manage...), Networks: local, ExpiresAt: s.clock.now().Add(time.Hour)})
	secret := weak.Secret.Reveal()
	stronger := s.issue(remint.Spec{Capabilities: remint.Allow("*")}).Token.ID().String()
	wider := s.issue(remint.Spec{Capabilities: remint.Allow("reports:read")}).Token.ID().String()
	equal := s.issue(remint.Spec{Capabilities: remint.Allow("reports:read"), Networks: local}).Token.ID().String()
	before := s.snapshot()
	const bounds = `"networks":["127.0.0.1"],"expires_at":null`
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/tokens", `{"capabilities":["reports"]}`},
		{"POST", "/tokens", `{"capabilities":["*"]}`},
		{"POST", "/tokens", `{"networks":[]}`},
		{"POST", "/tokens", `{"networks":["0.0.0.0/0"]}`},
		{"POST", "/tokens/" + stronger + "/rotate", ``},
		{"POST", "/tokens/" + stronger + "/rotate", `{"successor":true}`},
		{"POST", "/tokens/" + stronger + "/rotate", `{"successor":{"capabilities":[],` + bounds + `}}`},
		{"POST", "/tokens/" + wider + "/rotate", ``},
		{"POST", "/tokens/" + stronger + "/sessions", ``},
		{"POST", "/tokens/" + stronger + "/sessions", `{"capabilities":["reports:read"]}`},
		{"PATCH", "/tokens/" + stronger, `{"name":"x"}`},
		{"DELETE", "/tokens/" + stronger + "/rotation", ``},
		{"POST", "/tokens/" + stronger + "/rotation/finish", ``},
		{"POST", "/tokens/" + equal + "/rotate", `{"successor":{"capabilities":["reports"],` + bounds + `}}`},
		{"POST", "/tokens/" + equal + "/rotate", `{"successor":{"capabilities":null,"networks":null,"expires_at":null}}`},
		{"PATCH", "/tokens/" + equal, `{"capabilities":["reports"]}`},
		{"PATCH", "/tokens/" + equal, `{"networks":null}`},
		{"PATCH", "/tokens/self", `{"capabilities":["*"]}`},
		{"PATCH", "/tokens/self", `{"networks":[]}`},
		{"PATCH", "/tokens/self", `{"expires_at":null}`},
		{"PATCH", "/tokens/self", `{"expires_at":"2099-01-01T00:00:00Z"}`},
	} {
		s.call(c.method, c.path, secret, c.body).wantProblem(403, "forbidden")
	}
	s.call("POST", "/tokens/self/sessions", secret, `{"capabilities":["*"]}`).wantInvalid("capabilities: are not within the parent's")
	if s.snapshot() != before {
		t.Error("something changed")
	}
	s.call("POST", "/tokens", secret, `{"capabilities":["reports:read"]}`).made(201)
	s.call("POST", "/tokens/"+equal+"/rotate", secret, ``).made(200)
}

// It fails without rule 7, on the native routes (internal/mutants).
func TestAPlainSessionManagesNothingThroughNative(t *testing.T) {
	s := start(t)
	g := s.master()
	target := s.issue(remint.Spec{})
	start := func(body string) string {
		_, secret := s.call("POST", "/tokens/self/sessions", g.Secret.Reveal(), body).made(201)
		return secret
	}
	session := start(`{}`)
	before := s.snapshot()
	for _, r := range nativeRoutes(target.Token.ID()) {
		if r.path == "/revoke" {
			r.body = "token=" + target.Secret.Reveal()
		}
		if a := s.request(r, session); r.method == "GET" || r.path == "/introspect" {
			a.want(200)
		} else {
			a.wantProblem(403, "forbidden")
		}
	}
	s.call("POST", "/tokens/self/rotate", session, "").wantProblem(403, "forbidden")
	s.call("PATCH", "/tokens/self", session, `{"expires_at":null}`).wantProblem(403, "forbidden")
	if s.snapshot() != before {
		t.Error("something changed")
	}
	if m := s.call("GET", "/tokens/self", session, "").want(200); m["session"] != true || m["parent"] != g.Token.ID().String() {
		t.Errorf("%v", m)
	}
	if s.call("DELETE", "/tokens/self", session, ""); s.works(session) || !s.works(g.Secret.Reveal()) {
		t.Error("it does not revoke itself, and only itself")
	}
	// One that manages acts as its parent, and itself is still the session.
	managing := start(`{"manages":true,"lifetime":60,"capabilities":["tokens"]}`)
	s.call("POST", "/tokens", managing, `{}`).made(201)
	s.call("POST", "/tokens/self/rotate", managing, `{"successor":true}`).wantInvalid("successor: cannot be a session's")
	id, fresh := s.call("POST", "/tokens/self/rotate", managing, ``).made(200)
	if id == g.Token.ID().String() || s.works(managing) || !s.works(fresh) {
		t.Error("the wrong one was rotated")
	}
	s.clock.advance(time.Minute)
	if s.works(fresh) {
		t.Error("it outlives its lifetime")
	}
}

// It fails without the one operation that judges the caller and rotates (internal/mutants).
func TestWhoIsRevokedInMidRequestGetsNoNewSecretThroughNative(t *testing.T) {
	s := start(t)
	for _, c := range []struct{ path, body string }{
		{"/tokens", `{}`}, {"/tokens/self/rotate", ``}, {"/tokens/self/rotate", `{"successor":true}`}, {"/tokens/self/sessions", ``},
	} {
		g := s.issue(remint.Spec{Capabilities: remint.Allow("*")})
		revoke := func() {
			if err := s.issuer.Operator("test").Revoke(t.Context(), g.Token.ID()); err != nil {
				t.Error(err)
			}
		}
		s.store.before.Store(&revoke)
		if a := s.call("POST", c.path, g.Secret.Reveal(), c.body); strings.Contains(a.body, `"secret"`) {
			t.Errorf("%s: %s", c.path, a.body)
		} else {
			a.wantProblem(401, "unauthorized")
		}
	}
}

func TestEndingSessionsEndsAllThatStandBelow(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	id, secret := s.call("POST", "/tokens", master, `{"capabilities":["tokens"]}`).made(201)
	path := "/tokens/" + id + "/sessions"
	_, one := s.call("POST", path, master, `{}`).made(201)
	_, two := s.call("POST", "/tokens/self/sessions", secret, ``).made(201)
	m := s.call("GET", path+"?limit=1", master, "").want(200)
	next, _ := m["next"].(string)
	if n := len(s.call("GET", path+"?after="+next, master, "").want(200)["sessions"].([]any)); len(m["sessions"].([]any)) != 1 || n != 1 {
		t.Errorf("%v and %d", m, n)
	}
	if a := s.call("DELETE", path, master, ""); a.status != 204 || a.body != "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if s.works(one) || s.works(two) || !s.works(secret) {
		t.Error("the wrong ones work")
	}
	if n := len(s.call("GET", path, master, "").want(200)["sessions"].([]any)); n != 0 {
		t.Errorf("%d are left", n)
	}
	for body, want := range map[string]string{
		`{"lifetime":0}`:           "lifetime: must be a whole number from 1",
		`{"lifetime":-1}`:          "lifetime: ",
		`{"lifetime":1.5}`:         "lifetime: ",
		`{"lifetime":"60"}`:        "lifetime: ",
		`{"lifetime":99999999999}`: "lifetime: ",
		`{"capabilities":[]}`:      "capabilities: must have at least one",
		`{"manages":"yes"}`:        "manages: must be true or false",
		`{"managed":true}`:         "managed: is not a member",
	} {
		s.call("POST", path, master, body).wantInvalid(want)
	}
	s.call("POST", "/tokens/"+id+"/sessions", master, ``).made(201)
	session, _ := s.call("POST", path, master, ``).made(201)
	s.call("POST", "/tokens/"+session+"/sessions", master, ``).wantInvalid("id: ")
	s.call("DELETE", "/tokens/"+id, master, "")
	s.call("POST", path, master, ``).wantProblem(409, "ended")
	s.call("PATCH", "/tokens/"+id, master, `{"name":"x"}`).wantProblem(409, "ended")
	s.call("POST", "/tokens", master, `{"parent":"`+id+`"}`).wantProblem(409, "ended")
	if a := s.call("DELETE", "/tokens/"+id, master, ""); a.status != 204 {
		t.Errorf("revoking again: %d", a.status)
	}
}

func TestTheNativePathIsWhereTheRoutesAre(t *testing.T) {
	s := start(t, func(u *setup) { u.native.Path = "/api/v7" })
	master := s.master().Secret.Reveal()
	a := s.call("POST", "/api/v7/tokens", master, `{}`)
	if got := a.header.Get("Location"); got != "/api/v7/tokens/"+a.want(201)["id"].(string) {
		t.Errorf("Location %s", got)
	}
	s.call("GET", a.header.Get("Location"), master, "").want(200)
	s.call("GET", "/api/v7/tokens/", master, "").wantProblem(404, "no_route")
	s.call("PUT", "/api/v7/tokens", master, "").wantProblem(405, "method_not_allowed")
	panics := func(option string, o httpadapter.Native) {
		t.Helper()
		defer func() {
			if text, _ := recover().(string); !strings.Contains(text, option) {
				t.Errorf("%+v: %q", o, text)
			}
		}()
		httpadapter.New(s.issuer, nil).MountNative(http.NewServeMux(), &o)
	}
	for _, bad := range []string{"api", "/", "/api/", "//api", "/a/../b", "/{x}", "/a b", "/a?b"} {
		panics("Native.Path", httpadapter.Native{Path: bad})
	}
	panics("Native.Prefix", httpadapter.Native{Prefix: "none_"})
}

// refuseSecond refuses every capabilities token.
func refuseSecond(context.Context, string, remint.Token, netip.Addr) (remint.Capabilities, error) {
	return remint.Capabilities{}, errors.New("not ours")
}

func TestTheManualOfTheNativeRoutesHasEveryRouteAndCode(t *testing.T) {
	text, err := os.ReadFile("../docs/native.md")
	if err != nil {
		t.Fatal(err)
	}
	manual := string(text)
	for k, r := range nativeRoutes(remint.ID{1}) {
		row := "| `" + r.method + " " + strings.Replace(r.path, (remint.ID{1}).String(), "{id}", 1) + "` | `" + string(nativeNeeds[k]) + "`"
		if !strings.Contains(manual, row) {
			t.Errorf("no row %s", row)
		}
	}
	sources, err := filepath.Glob("native_*.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := regexp.MustCompile(`(?:p\.Code.* = .*?|nativeError\{http\.Status\w+, )"([a-z_]+)"`)
	found := 0
	for _, name := range append(sources, "introspect.go") {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range codes.FindAllStringSubmatch(string(source), -1) {
			if found++; !strings.Contains(manual, "| `"+m[1]+"` |") {
				t.Errorf("no code %s, which is in %s", m[1], name)
			}
		}
	}
	if found < 18 {
		t.Errorf("%d codes were found", found)
	}
}

func TestTheNativePatchNamesEveryProblemAtOnce(t *testing.T) {
	s := start(t)
	id := s.issue(remint.Spec{Prefix: "nat_"}).Token.ID()
	a := s.call("PATCH", "/tokens/"+id.String(), s.master().Secret.Reveal(),
		`{"name":5,"description":"a\u0000b","expires_at":"2001-01-01T00:00:00Z","capabilities":["a b"],"networks":["10.0.0.1/8"],"nmae":1}`)
	for _, field := range []string{`"name"`, `"description"`, `"expires_at"`, `"capabilities[0]"`, `"networks[0]"`, `"nmae"`} {
		if !strings.Contains(a.body, `{"field":`+field) {
			t.Errorf("%s is not named: %s", field, a.body)
		}
	}
	if a.status != 422 {
		t.Errorf("status %d", a.status)
	}
}

func TestAForgottenTimeOfRetirementIsNotNow(t *testing.T) {
	s := start(t)
	g := s.issue(remint.Spec{Prefix: "nat_"})
	a := s.call("POST", "/tokens/self/rotate", g.Secret.Reveal(), `{"retire":{"at":"0001-01-01T00:00:00Z"}}`)
	if a.status != 422 || !strings.Contains(a.body, `"retire.at"`) || !s.works(g.Secret.Reveal()) {
		t.Errorf("%d %s", a.status, a.body)
	}
}
