package httpadapter_test

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/remint-go/remint"
)

// A mounted route, with a request that it would serve.
type mounted struct {
	format       string
	method, path string
	body         string
	ignoresBody  bool
	noCredential bool // it finds its credential itself, in the body
	served       int  // the status of a good request; 0 is 200
	badBody      int  // the status of a body that is broken; 0 is 400
}

// mountedRoutes are all routes of all formats, for a token with that ID. One that is added to
// the adapter is added to its format's, and gets everything below.
func mountedRoutes(id remint.ID) []mounted {
	return slices.Concat(pocketPawRoutes(id), axiomRoutes(id), katapultRoutes(id), nativeRoutes(id))
}

// wantError fails unless the answer is an error of its format's, with one of the statuses
// and, for Katapult, the code.
func (a answer) wantError(r mounted, status int, code string) {
	a.t.Helper()
	switch r.format {
	case "pocketpaw":
		if text, _ := a.want(status)["detail"].(string); text == "" {
			a.t.Errorf("body %s", a.body)
		}
	case "axiom":
		m := a.want(status)
		if text, _ := m["message"].(string); text == "" || m["code"] != float64(status) {
			a.t.Errorf("body %s", a.body)
		}
	case "native":
		if status == 400 && (a.status == 413 || a.status == 415) {
			status = a.status
		}
		a.wantProblem(status, "")
	case "katapult":
		a.wantKatapult(a.status, code)
		if a.status == 401 || a.status == 405 {
			a.t.Errorf("there is no %d", a.status)
		}
	default:
		a.t.Fatalf("this test does not know the format %q", r.format)
	}
}

func TestBadCredentialsGetTheFormatsErrorAndChangeNothing(t *testing.T) {
	s := start(t)
	g := s.master()
	one := "Bearer " + g.Secret.Reveal()
	for _, c := range []struct {
		name    string
		headers []string
		code    string // Katapult's; the others answer 401
	}{
		{"none", nil, "missing_api_token"},
		{"empty", []string{""}, "missing_api_token"},
		{"Bearer and nothing", []string{"Bearer "}, "missing_api_token"},
		{"another scheme", []string{"Basic " + g.Secret.Reveal()}, "missing_api_token"},
		{"no scheme", []string{g.Secret.Reveal()}, "missing_api_token"},
		{"two", []string{one, one}, "invalid_api_token"},
		{"two schemes", []string{"Basic x", one}, "invalid_api_token"},
		{"two in one", []string{one + ", " + one}, "invalid_api_token"},
		{"a megabyte", []string{"Bearer " + strings.Repeat("x", 1<<20)}, "invalid_api_token"},
		{"not ASCII", []string{one + "é"}, "invalid_api_token"},
		{"a wrong checksum", []string{one[:len(one)-1] + "!"}, "invalid_api_token"},
	} {
		for _, r := range mountedRoutes(g.Token.ID()) {
			if r.noCredential {
				continue
			}
			t.Run(c.name+" "+r.path, func(t *testing.T) {
				before, asked := s.snapshot(), s.store.called.Load()
				a := s.do(r.method, r.path, http.Header{"Authorization": c.headers, "Content-Type": {"application/json"}}, strings.NewReader(r.body))
				a.t = t
				a.wantError(r, 401, c.code)
				if s.store.called.Load() != asked {
					t.Error("the store was asked")
				}
				if s.snapshot() != before {
					t.Error("something changed")
				}
			})
		}
	}
	for _, word := range []string{"bearer", "BEARER", "BeArEr"} {
		s.do("POST", exchange, http.Header{"Authorization": {word + " " + g.Secret.Reveal()}}, nil).want(200)
	}
}

func TestBadBodiesGetTheFormatsErrorAndChangeNothing(t *testing.T) {
	const large = 64<<10 + 1
	for _, c := range []struct {
		name, body, contentType string
		anyRoute                bool // those that ignore their body, too
	}{
		{"broken", `{"a"`, "application/json", false},
		{"cut off", `{"name":"x`, "application/json", false},
		{"nested deeply", `{"name":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + `}`, "application/json", false},
		{"nested too deeply", `{"x":` + strings.Repeat(`{"x":`, 40) + `1` + strings.Repeat("}", 41), "application/json", false},
		{"a duplicate key", `{"name":"a","name":"b"}`, "application/json", false},
		{"trailing garbage", `{} x`, "application/json", false},
		{"two values", `{}{}`, "application/json", false},
		{"a list", `[]`, "application/json", false},
		{"a string", `"x"`, "application/json", false},
		{"not UTF-8", "{\"name\":\"\xff\"}", "application/json", false},
		{"a form's type", `{}`, "application/x-www-form-urlencoded", false},
		{"plain text's type", `{}`, "text/plain; charset=utf-8", false},
		{"another charset", `{}`, "application/json; charset=utf-16", false},
		{"more than 64 KiB", `{"name":"` + strings.Repeat("x", large) + `"}`, "application/json", true},
		{"a megabyte of blanks", strings.Repeat(" ", 1<<20), "application/json", true},
	} {
		for _, chunked := range []bool{false, true} {
			for k, r := range mountedRoutes(remint.ID{}) {
				if r.ignoresBody && !c.anyRoute || r.method == "GET" {
					continue
				}
				bubble(t, c.name+" "+r.path, func(t *testing.T) {
					s := startBubble(t)
					g := s.master()
					r := mountedRoutes(g.Token.ID())[k]
					before := s.snapshot()
					h := http.Header{"Authorization": {"Bearer " + g.Secret.Reveal()}, "Content-Type": {c.contentType}}
					var a answer
					if chunked {
						a = s.do(r.method, r.path, h, struct{ *strings.Reader }{strings.NewReader(c.body)})
					} else {
						a = s.do(r.method, r.path, h, strings.NewReader(c.body))
					}
					status := cmp.Or(r.badBody, 400)
					if r.format == "pocketpaw" && len(c.body) >= large {
						status = 413
					}
					a.wantError(r, status, "invalid_json_body")
					if s.snapshot() != before {
						t.Error("something changed")
					}
				})
			}
		}
	}
}

func TestOtherMethodsAndPathsGetTheFormatsError(t *testing.T) {
	s := start(t)
	g := s.master()
	before := s.snapshot()
	routes := mountedRoutes(g.Token.ID())
	for k := range routes {
		routes[k].path, _, _ = strings.Cut(routes[k].path, "?")
	}
	allowed := map[string][]string{}
	for _, r := range routes {
		if allowed[r.path] = append(allowed[r.path], r.method); r.method == "GET" {
			allowed[r.path] = append(allowed[r.path], "HEAD")
		}
	}
	for _, r := range routes {
		methods := allowed[r.path]
		slices.Sort(methods)
		want := strings.Join(methods, ", ") + ", OPTIONS"
		for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "POST", "BREW", "TRACE"} {
			if slices.Contains(methods, method) {
				continue
			}
			a := s.call(method, r.path, g.Secret.Reveal(), "")
			a.wantError(r, 405, "route_not_found")
			if got := a.header.Get("Allow"); got != want {
				t.Errorf("%s %s: Allow: %q, want %q", method, r.path, got, want)
			}
		}
		for _, below := range []string{"/", "/x", "/x/y"} {
			for _, method := range []string{"GET", "POST", "BREW"} {
				if s.routed(method, r.path+below) {
					continue
				}
				a := s.call(method, r.path+below, g.Secret.Reveal(), "")
				if a.status == 405 { // another route's path
					continue
				}
				a.wantError(r, 404, "route_not_found")
			}
		}
		a := s.call("OPTIONS", r.path, "", "")
		if a.status != 204 || a.body != "" || a.header.Get("Allow") != want {
			t.Errorf("OPTIONS %s: %d %q", r.path, a.status, a.header.Get("Allow"))
		}
	}
	for _, path := range []string{"/core/v1/api_tokens", "/core/v1/api_tokens/", "/core/v1/api_tokens/x"} {
		s.call("GET", path, "", "").wantKatapult(404, "route_not_found")
	}
	a := s.call("HEAD", "/v2/tokens/"+g.Token.ID().String(), g.Secret.Reveal(), "")
	if a.status != 200 || a.body != "" {
		t.Errorf("HEAD: %d %q", a.status, a.body)
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

// It fails without the silence of a route's answer about its credential (internal/mutants).
func TestNoErrorOfAnyRouteHoldsTheCredential(t *testing.T) {
	s := start(t)
	g := s.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("chat")})
	secret := g.Secret.Reveal()
	canary := secret[len(secret)-49:]
	for _, r := range mountedRoutes(g.Token.ID()) {
		for _, body := range []string{r.body, `{`, `{"` + secret[:60] + `":1,"name":2}`, `{"x":1,"x":2}`} {
			a := s.call(r.method, r.path, secret, body)
			if a.status == 200 {
				continue
			}
			if strings.Contains(a.body, canary) {
				t.Errorf("%s: %s", r.path, a.body)
			}
			for k, v := range a.header {
				if strings.Contains(strings.Join(v, ""), canary) {
					t.Errorf("%s: %s: %s", r.path, k, v)
				}
			}
		}
	}
}
