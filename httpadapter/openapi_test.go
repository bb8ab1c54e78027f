package httpadapter_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

// described are the descriptions, and what their paths begin with on a mux.
var described = []struct {
	httpadapter.Description
	base string
}{
	{httpadapter.PocketPawDescription, "/api(/v1)?"},
	{httpadapter.AxiomDescription, "/v2"},
	{httpadapter.KatapultDescription, "/core/v1"},
	{httpadapter.NativeDescription, ""},
}

func TestADescriptionIsServedToBeKept(t *testing.T) {
	for _, d := range described {
		t.Run(d.String(), func(t *testing.T) {
			get := func(method string, headers ...string) *http.Response {
				r := httptest.NewRequest(method, "/openapi.yaml", nil)
				for i := 0; i < len(headers); i += 2 {
					r.Header.Set(headers[i], headers[i+1])
				}
				w := httptest.NewRecorder()
				d.ServeHTTP(w, r)
				return w.Result()
			}
			body := func(resp *http.Response) string {
				var b bytes.Buffer
				b.ReadFrom(resp.Body)
				return b.String()
			}
			first := get("GET")
			text, tag := body(first), first.Header.Get("ETag")
			if first.StatusCode != 200 || text != string(d.YAML()) || !strings.HasPrefix(text, "openapi: 3.1.") {
				t.Errorf("GET: %d %.40q", first.StatusCode, text)
			}
			if got := first.Header.Get("Content-Type"); got != "application/yaml" {
				t.Errorf("Content-Type: %q", got)
			}
			if got := first.Header.Get("Cache-Control"); got != "no-cache" {
				t.Errorf("Cache-Control: %q", got)
			}
			if len(tag) < 18 || tag[0] != '"' {
				t.Errorf("ETag: %q", tag)
			}
			if again := get("GET", "If-None-Match", tag); again.StatusCode != 304 || body(again) != "" || again.Header.Get("ETag") != tag {
				t.Errorf("with its ETag: %d, ETag %q", again.StatusCode, again.Header.Get("ETag"))
			}
			if other := get("GET", "If-None-Match", `"x"`); other.StatusCode != 200 || body(other) != text {
				t.Errorf("with another ETag: %d", other.StatusCode)
			}
			if head := get("HEAD"); head.StatusCode != 200 || body(head) != "" || head.Header.Get("ETag") != tag {
				t.Errorf("HEAD: %d", head.StatusCode)
			}
			if post := get("POST"); post.StatusCode != 405 || post.Header.Get("Allow") != "GET, HEAD" || post.Header.Get("ETag") != "" {
				t.Errorf("POST: %d, Allow %q", post.StatusCode, post.Header.Get("Allow"))
			}
			changed := d.YAML()
			changed[0] = 'X'
			if string(d.YAML()) != text {
				t.Error("who changes the text that YAML returned changes everybody's")
			}
		})
	}
}

func TestEachDescriptionIsAnother(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range described {
		seen[string(d.YAML())] = true
	}
	if len(seen) != len(described) {
		t.Errorf("%d texts", len(seen))
	}
	defer func() {
		if recover() == nil {
			t.Error("the zero Description has a text")
		}
	}()
	httpadapter.Description(0).YAML()
}

func TestEachMountedRouteIsDescribed(t *testing.T) {
	id := remint.ID{1}
	for _, r := range mountedRoutes(id) {
		k := slices.IndexFunc(described, func(d struct {
			httpadapter.Description
			base string
		}) bool {
			return d.String() == r.format
		})
		if k < 0 {
			t.Errorf("format %s is not described", r.format)
			continue
		}
		path, _, _ := strings.Cut(r.path, "?")
		path = regexp.MustCompile("^"+described[k].base).ReplaceAllString(path, "")
		path = strings.ReplaceAll(path, id.String(), "{id}")
		routes := routesIn(described[k].YAML())
		if want := r.method + " " + path; !slices.ContainsFunc(routes, func(route string) bool { return alike(route, want) }) {
			t.Errorf("%s: %s is not described; there are %q", r.format, want, routes)
		}
	}
}

// alike reports whether a route is the described one, of which {x} is any segment.
func alike(described, route string) bool {
	pattern := regexp.MustCompile(`\\\{\w+\\\}`).ReplaceAllString(regexp.QuoteMeta(described), `[^/]+`)
	return regexp.MustCompile("^" + pattern + "$").MatchString(route)
}

// routesIn returns the methods and paths in a description's text, by their indentation.
func routesIn(text []byte) (routes []string) {
	path, within := "", false
	isPath, isMethod := regexp.MustCompile(`^  (/\S*):$`), regexp.MustCompile(`^    (get|post|put|patch|delete):$`)
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		if line != "" && line[0] != ' ' {
			within = line == "paths:"
		}
		if m := isPath.FindStringSubmatch(line); within && m != nil {
			path = m[1]
		}
		if m := isMethod.FindStringSubmatch(line); within && m != nil {
			routes = append(routes, strings.ToUpper(m[1])+" "+path)
		}
	}
	return routes
}

// Some routes ignore what is in a body, and read it all the same where its length is unknown.
func TestABodyThatCannotBeReadIsABadRequestEvenWhereItIsIgnored(t *testing.T) {
	for k, r := range mountedRoutes(remint.ID{}) {
		if r.method == "GET" {
			continue
		}
		bubble(t, r.method+" "+r.path, func(t *testing.T) {
			s := newService(t)
			web := s.serve(new(http.Server))
			g := s.master()
			r := mountedRoutes(g.Token.ID())[k]
			status, body, _ := web.exchange(t, fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"+
				"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nnot a chunk\r\n", r.method, r.path, g.Secret.Reveal()))
			if status != 400 || !strings.Contains(body, "the request body could not be read") {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}

// What nobody has seen is not described: these are the answers that no other test causes.
func TestALoginSaysWhatIsTheServicesFault(t *testing.T) {
	s := start(t)
	g := s.deepMaster()
	body := `{"token":"` + g.Secret.Reveal() + `"}`
	s.call("POST", "/api/auth/login", "", body).wantBody(500, `{"detail":"Internal Server Error"}`)
	s.store.fail(errors.New("disk on fire"))
	a := s.call("POST", "/api/auth/login", "", body)
	if a.wantBody(503, `{"detail":"Service Unavailable"}`); a.header.Get("Set-Cookie") != "" {
		t.Errorf("Set-Cookie: %s", a.header.Get("Set-Cookie"))
	}
}

func TestAListOfSessionsNamesTheParameterThatIsInvalid(t *testing.T) {
	s := start(t)
	g := s.master()
	a := s.call("GET", "/tokens/"+g.Token.ID().String()+"/sessions?limit=0&expired=true", g.Secret.Reveal(), "")
	if a.status != 422 || !strings.Contains(a.body, `"limit"`) || !strings.Contains(a.body, "expired") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// A secretText is a secret in an answer: in its body, or its cookie.
var secretText = regexp.MustCompile(`(pk_|xaat-|kat_|pp_|nat_|rms_)[0-7][0-9A-HJKMNP-TV-Z]{25}[0-9A-Za-z]+`)

func TestARepeatedRequestIsAConflictOnceItsSecretWasUsed(t *testing.T) {
	s := start(t)
	master := s.master()
	for n, r := range grantingRoutes(s, master) {
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			again := func() answer {
				return s.call(r.method, r.path, master.Secret.Reveal(), r.body, "Idempotency-Key", fmt.Sprintf(`"key %d"`, n))
			}
			first := again()
			if secret := secretText.FindString(first.body + first.header.Get("Set-Cookie")); !s.works(secret) {
				t.Fatalf("%q does not work; %d %s", secret, first.status, first.body)
			}
			status := 409
			if strings.Contains(r.path, "/api-keys/") {
				status = 404 // in its format's words, a key that was rotated is gone
			}
			a := again()
			if a.wantError(r.mounted, status, "conflict"); a.status != status {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

func TestAKeyThatWasUsedOnAnotherRouteIsRefused(t *testing.T) {
	s := start(t)
	master := s.master()
	all := grantingRoutes(s, master)
	const key = `"one for all"`
	if a := s.call("POST", "/tokens", master.Secret.Reveal(), `{"name":"first"}`, "Idempotency-Key", key); a.status != 201 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	all = append(all, granting{mounted: mounted{format: "pocketpaw", method: "POST", path: regenerate}})
	before := s.snapshot()
	for _, r := range all {
		a := s.call(r.method, r.path, master.Secret.Reveal(), r.body, "Idempotency-Key", key)
		if a.wantError(r.mounted, 422, "validation_error"); a.status != 422 {
			t.Errorf("%s: %d %s", r.path, a.status, a.body)
		}
	}
	if s.snapshot() != before {
		t.Error("something changed")
	}
}

func TestEachFormatTellsWhoeverPresentsWhatIsBeingReplaced(t *testing.T) {
	s := start(t, func(u *setup) { u.adapter.Deprecation = true })
	old := s.master()
	if _, err := s.issuer.Operator("test").Rotate(t.Context(), old.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/api/auth/api-keys", "", 200},
		{"DELETE", "/api/auth/api-keys/" + old.Token.ID().String(), "", 404},
		{"GET", "/core/v1/organizations/organization/api_tokens?organization[id]=acme", "", 200},
		{"PATCH", "/core/v1/api_tokens/" + old.Token.ID().String(), `{}`, 400},
		{"GET", "/v2/tokens", "", 200},
		{"POST", "/v2/tokens", `{`, 400},
		{"GET", "/tokens/self/rotation", "", 200},
		{"POST", "/tokens", `{"nmae":"x"}`, 422},
	} {
		a := s.call(c.method, c.path, old.Secret.Reveal(), c.body)
		if a.status != c.status || a.header.Get("Deprecation") == "" || a.header.Get("Sunset") == "" {
			t.Errorf("%s %s: %d %v %s", c.method, c.path, a.status, a.header, a.body)
		}
	}
}

func TestALiveTokenThatIsNoMasterIsAnsweredAsNoneWhileItIsBeingReplaced(t *testing.T) {
	s := start(t, func(u *setup) { u.adapter.Deprecation = true })
	old := s.issue(remint.Spec{Prefix: "nat_"})
	if _, err := s.issuer.Operator("test").Rotate(t.Context(), old.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	a := s.call("POST", exchange, old.Secret.Reveal(), "")
	if a.status != 401 || a.header.Get("Deprecation")+a.header.Get("Sunset") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

func TestALoginOfAnotherOriginIsRefusedAsSuchWhateverItsKeyIs(t *testing.T) {
	s := start(t)
	a := s.call("POST", "/api/auth/login", "", loginBody(s.master().Secret.Reveal()), "Idempotency-Key", "x", "Sec-Fetch-Site", "cross-site")
	if a.status != 403 {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestEachFormatServesItsDescriptionWhereItsOptionSaysSo(t *testing.T) {
	web, mux := httpadapter.New(start(t).issuer, nil), http.NewServeMux()
	web.MountPocketPaw(mux, &httpadapter.PocketPaw{OpenAPI: "/openapi/pocketpaw"})
	web.MountAxiom(mux, &httpadapter.Axiom{OpenAPI: "/v2/openapi.yaml"})
	web.MountKatapult(mux, &httpadapter.Katapult{OpenAPI: "/core/v1/openapi.yaml"})
	web.MountNative(mux, &httpadapter.Native{OpenAPI: "/openapi.yaml"})
	for path, d := range map[string]httpadapter.Description{
		"/openapi/pocketpaw": httpadapter.PocketPawDescription, "/v2/openapi.yaml": httpadapter.AxiomDescription,
		"/core/v1/openapi.yaml": httpadapter.KatapultDescription, "/openapi.yaml": httpadapter.NativeDescription,
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 200 || w.Body.String() != string(d.YAML()) || w.Header().Get("Content-Type") != "application/yaml" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
	}
	if a := start(t).call("GET", "/openapi.yaml", "", ""); a.status != 404 {
		t.Errorf("without the option: %d", a.status)
	}
}
