package httpadapter_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/remint-go/remint"
)

// The values that a client can send about a token, in each route's words: JSON texts.
type sent struct{ name, capabilities, expires string }

// A valued route is one that takes them.
type valued struct {
	mounted
	statuses []int // of a value that cannot be used
	body     func(sent) string
	capable  func(text string) string // a capability
	time     func(unix int64, rfc3339 string) string
}

func valuedRoutes(id string) []valued {
	list := func(text string) string { return `"` + text + `"` }
	verbs := func(text string) string { return `"` + text + `":{"ingest":["create"]}` }
	rfc3339 := func(_ int64, text string) string { return `"` + text + `"` }
	unix := func(n int64, _ string) string { return fmt.Sprint(n) }
	return []valued{
		{mounted{format: "pocketpaw", method: "POST", path: "/api/auth/api-keys"}, []int{400, 422}, func(v sent) string {
			return `{"name":` + v.name + `,"scopes":[` + v.capabilities + `],"expires_at":` + v.expires + `}`
		}, list, rfc3339},
		{mounted{format: "axiom", method: "POST", path: "/v2/tokens"}, []int{400}, func(v sent) string {
			return `{"name":` + v.name + `,"datasetCapabilities":{` + v.capabilities + `},"expiresAt":` + v.expires + `}`
		}, verbs, rfc3339},
		{mounted{format: "axiom", method: "POST", path: "/v2/tokens/" + id + "/regenerate"}, []int{400}, func(v sent) string {
			return `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z","newToken":{"name":` + v.name + `,"datasetCapabilities":{` + v.capabilities + `},"expiresAt":` + v.expires + `}}`
		}, verbs, rfc3339},
		{mounted{format: "katapult", method: "POST", path: katapultCreate}, []int{400, 422}, func(v sent) string {
			return `{"organization":{"id":"acme"},"properties":{"name":` + v.name + `,"scopes":[` + v.capabilities + `],"expires_at":` + v.expires + `}}`
		}, list, unix},
		{mounted{format: "katapult", method: "PATCH", path: katapultOne(id)}, []int{400, 422}, func(v sent) string {
			return `{"properties":{"name":` + v.name + `,"scopes":[` + v.capabilities + `],"expires_at":` + v.expires + `}}`
		}, list, unix},
		{mounted{format: "native", method: "POST", path: "/tokens"}, []int{422}, func(v sent) string {
			return `{"name":` + v.name + `,"capabilities":[` + v.capabilities + `],"expires_at":` + v.expires + `}`
		}, list, rfc3339},
		{mounted{format: "native", method: "PATCH", path: "/tokens/" + id}, []int{422}, func(v sent) string {
			return `{"name":` + v.name + `,"capabilities":[` + v.capabilities + `],"expires_at":` + v.expires + `}`
		}, list, rfc3339},
		{mounted{format: "native", method: "POST", path: "/tokens/" + id + "/rotate"}, []int{422}, func(v sent) string {
			return `{"successor":{"name":` + v.name + `,"capabilities":[` + v.capabilities + `],"networks":null,"expires_at":` + v.expires + `}}`
		}, list, rfc3339},
	}
}

func TestValuesThatCannotBeUsedGetTheFormatsErrorAndChangeNothing(t *testing.T) {
	for k := range valuedRoutes("") {
		s := start(t)
		g := s.master()
		r := valuedRoutes(s.issue(remint.Spec{Prefix: "xaat-"}).Token.ID().String())[k]
		good := sent{`"ci"`, r.capable("chat"), "null"}
		many := make([]string, 4000)
		for n := range many {
			many[n] = r.capable(fmt.Sprint("c", n))
		}
		for what, change := range map[string]func(*sent){
			"a name that is a number":           func(v *sent) { v.name = "5" },
			"a name that is an object":          func(v *sent) { v.name = `{"a":1}` },
			"a name with a control character":   func(v *sent) { v.name = `"a\u0000b"` },
			"a name with a line break":          func(v *sent) { v.name = `"a\nb"` },
			"a name of a thousand characters":   func(v *sent) { v.name = `"` + strings.Repeat("n", 1000) + `"` },
			"thousands of capabilities":         func(v *sent) { v.capabilities = strings.Join(many, ",") },
			"a capability of a thousand bytes":  func(v *sent) { v.capabilities = r.capable(strings.Repeat("c", 1000)) },
			"a capability that is a number":     func(v *sent) { v.capabilities = strings.ReplaceAll(good.capabilities, `"`, ``) + "7" },
			"a capability with a control byte":  func(v *sent) { v.capabilities = r.capable(`a\u0001`) },
			"a time that is true":               func(v *sent) { v.expires = "true" },
			"a time that is past":               func(v *sent) { v.expires = r.time(1000, "1970-01-01T00:16:40Z") },
			"a time after the year 9999":        func(v *sent) { v.expires = r.time(253402300800, "10000-01-01T00:00:00Z") },
			"a time beyond 64 bits":             func(v *sent) { v.expires = strings.Repeat("9", 30) },
			"a negative time":                   func(v *sent) { v.expires = "-1" },
			"a time with a fraction of seconds": func(v *sent) { v.expires = "1.5" },
		} {
			t.Run(r.method+" "+r.path+" "+what, func(t *testing.T) {
				v := good
				change(&v)
				body := r.body(v)
				before := s.snapshot()
				a := s.call(r.method, r.path, g.Secret.Reveal(), body)
				a.t = t
				if !json.Valid([]byte(body)) {
					a.wantError(r.mounted, a.status, "invalid_json_body") // what is no JSON has another test
					return
				}
				if !slices.Contains(r.statuses, a.status) {
					t.Fatalf("status %d; %.300s", a.status, a.body)
				}
				code := map[int]string{400: "invalid_argument", 422: "validation_error"}[a.status]
				a.wantError(r.mounted, a.status, code)
				if len(a.body) > 8<<10 {
					t.Errorf("the answer has %d bytes", len(a.body))
				}
				if s.snapshot() != before {
					t.Error("something changed")
				}
			})
		}
		a := s.call(r.method, r.path, g.Secret.Reveal(), r.body(good))
		if a.status/100 != 2 {
			t.Errorf("%s %s: what is good is %d %s", r.method, r.path, a.status, a.body)
		}
	}
}

func TestAnotherOwnersIDAnswersAsAnUnknownOneOnEveryRoute(t *testing.T) {
	s := start(t)
	g := s.master()
	foreign := s.issue(remint.Spec{Owner: "other", Prefix: "pp_", Capabilities: remint.Allow("*")}).Token.ID()
	unknown := start(t).issue(remint.Spec{}).Token.ID()
	before := s.snapshot()
	theirs, nobodys := mountedRoutes(foreign), mountedRoutes(unknown)
	named := 0
	for k, r := range theirs {
		if strings.Contains(r.path+r.body, foreign.String()) && r.body != "" || strings.Contains(r.path, foreign.String()) {
			named++
		} else {
			continue
		}
		a := s.call(r.method, r.path, g.Secret.Reveal(), r.body)
		b := s.call(r.method, nobodys[k].path, g.Secret.Reveal(), nobodys[k].body)
		delete(a.header, "Date")
		delete(b.header, "Date")
		if a.status != b.status || a.body != b.body || !maps.EqualFunc(a.header, b.header, slices.Equal) || a.status != 404 {
			t.Errorf("%s %s: %d %s %v; unknown: %d %s %v", r.method, r.path, a.status, a.body, a.header, b.status, b.body, b.header)
		}
	}
	if named < 15 {
		t.Errorf("%d routes name a token", named)
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}
