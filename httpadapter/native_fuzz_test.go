package httpadapter_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/remint-go/remint"
)

// fuzzNative sends bodies to a route as a token that has bounds of every kind. Each is served or
// refused with a problem; nothing is the service's fault, what is refused changes nothing, nothing
// of another owner changes, the credential is in no answer, and whoever holds a secret afterwards
// has no more than the caller has. CALLER, TARGET, FOREIGN and ENDED in a body stand for secrets,
// OWN for the target's ID.
func fuzzNative(f *testing.F, method, path, contentType string, statuses []int, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := newService(t)
		local := netip.MustParsePrefix("192.0.2.0/24") // httptest's client
		bounded := func(caps ...remint.Capability) remint.Grant {
			return s.issue(remint.Spec{Capabilities: remint.Allow(caps...), Networks: []netip.Prefix{local}, Attributes: map[string]string{"a": "b"}})
		}
		caller, target, ended := bounded("tokens", "x"), bounded("x"), bounded("x")
		// Nobody has used the foreign one: to verify it would be to change it.
		foreign, err := s.issuer.Operator("test").Rotate(t.Context(), s.issue(remint.Spec{Owner: "other"}).Token.ID(), remint.Rotation{})
		if err != nil {
			t.Fatal(err)
		}
		was := s.get(foreign.Token.ID()).State().Revision
		if err := s.issuer.Operator("test").Revoke(t.Context(), ended.Token.ID()); err != nil {
			t.Fatal(err)
		}
		secret := caller.Secret.Reveal()
		text := strings.NewReplacer("CALLER", secret, "TARGET", target.Secret.Reveal(), "FOREIGN", foreign.Secret.Reveal(),
			"ENDED", ended.Secret.Reveal(), "OWN", target.Token.ID().String()).Replace(string(body))

		r := httptest.NewRequest(method, strings.Replace(path, "{id}", target.Token.ID().String(), 1), strings.NewReader(text))
		r.Header = http.Header{"Authorization": {"Bearer " + secret}, "Content-Type": {contentType}}
		before := s.snapshot()
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		a, changed := answer{t, w.Code, w.Header(), w.Body.String()}, s.snapshot() != before

		if strings.Contains(a.body, secret[len(secret)-49:]) && !strings.Contains(text, secret[len(secret)-49:]) {
			t.Errorf("the credential is in %s", a.body)
		}
		if s.get(foreign.Token.ID()).State().Revision != was || !s.works(foreign.Secret.Reveal()) {
			t.Error("another owner's token has changed")
		}
		if list := s.faults.take(); list != nil {
			t.Errorf("reported %v", list)
		}
		if a.status >= 300 {
			if !slices.Contains([]int{400, 403, 409, 413, 422}, a.status) {
				t.Errorf("%d %s", a.status, a.body)
			}
			a.wantProblem(a.status, "")
			if changed {
				t.Errorf("%d, and something changed", a.status)
			}
			return
		}
		if !slices.Contains(statuses, a.status) {
			t.Errorf("%d %s", a.status, a.body)
		}
		switch path {
		case "/introspect":
			checkIntrospected(a, text, caller, target)
			if changed {
				t.Error("to look has changed something")
			}
		case "/revoke":
			v, _ := url.ParseQuery(text)
			for _, g := range []remint.Grant{caller, target} {
				tok := s.get(g.Token.ID())
				if named := v.Get("token") == g.Secret.Reveal(); named == tok.State().RevokedAt.IsZero() {
					t.Errorf("%q: revoked at %v", v.Get("token"), tok.State().RevokedAt)
				}
			}
		}
		var m struct {
			ID     remint.ID `json:"id"`
			Secret string    `json:"secret"`
		}
		if a.body == "" || json.Unmarshal(w.Body.Bytes(), &m) != nil || m.ID.IsZero() {
			return
		}
		tok := s.get(m.ID)
		spec := tok.Spec()
		if spec.Owner != "acme" || !remint.Allow("tokens", "x").Contains(spec.Capabilities) || spec.Attributes["a"] != "b" || len(spec.Attributes) != 1 {
			t.Errorf("more than the caller has: %s", a.body)
		}
		if len(spec.Networks) == 0 || slices.ContainsFunc(spec.Networks, func(p netip.Prefix) bool { return p.Bits() < 24 || !local.Contains(p.Addr()) }) {
			t.Errorf("it reaches further: %s", a.body)
		}
		if _, err := s.issuer.Verify(t.Context(), m.Secret, spec.Networks[0].Addr()); m.Secret != "" && err != nil {
			t.Errorf("what was handed out does not work: %v", err)
		}
	})
}

// checkIntrospected fails unless the answer says of a live token of the caller's owner, where it
// may be used from, that it is active, and of anything else nothing at all.
func checkIntrospected(a answer, form string, live ...remint.Grant) {
	a.t.Helper()
	v, err := url.ParseQuery(form)
	if err != nil {
		a.t.Errorf("%q is served", form)
	}
	from, err := netip.ParseAddr(v.Get("client_ip"))
	within := err == nil && netip.MustParsePrefix("192.0.2.0/24").Contains(from.Unmap())
	want := ""
	for _, g := range live {
		if v.Get("token") == g.Secret.Reveal() && within {
			want = g.Token.ID().String()
		}
	}
	if want == "" {
		a.wantBody(200, `{"active":false}`)
	} else if m := a.want(200); m["active"] != true || m["jti"] != want || m["sub"] != "acme" {
		a.t.Errorf("%q: %s", form, a.body)
	}
}

func FuzzANativeCreate(f *testing.F) {
	fuzzNative(f, "POST", "/tokens", "application/json", []int{201},
		`{}`,
		`{"name":"n","description":"d","capabilities":["x:y","tokens"],"networks":["192.0.2.1"],"expires_at":"2099-01-01T00:00:00Z","parent":null}`,
		`{"networks":["0.0.0.0/0"]}`, `{"capabilities":["*"]}`, `{"owner":"other"}`, `{"parent":"OWN"}`,
		`{"parent":"OWN","capabilities":["x"],"networks":["192.0.2.128/25"]}`,
		`{"name":"CALLER"}`, `{"attributes":{"a":"c"}}`, `{"networks":[]}`, `{"prefix":"pk_"}`, `{"expires_at":"0001-01-01T00:00:00Z"}`)
}

func FuzzANativePatch(f *testing.F) {
	fuzzNative(f, "PATCH", "/tokens/{id}", "application/merge-patch+json", []int{200},
		`{}`, `{"name":null}`, `{"capabilities":["x:y"],"networks":["192.0.2.0/25"],"expires_at":"2099-01-01T00:00:00+01:00"}`,
		`{"networks":null}`, `{"attributes":{}}`)
}

func FuzzANativeRotation(f *testing.F) {
	fuzzNative(f, "POST", "/tokens/{id}/rotate", "application/json", []int{200, 201},
		``, `{"retire":"now"}`, `{"retire":{"at":"2099-01-01T00:00:00Z"},"successor":true}`,
		`{"retire":{"after":60},"keep_sessions":true,"if_revision":1}`,
		`{"retire":{"after_first_use":0},"successor":{"expires_at":null}}`,
		`{"successor":{"name":"n","capabilities":["x"],"networks":["192.0.2.0/24"],"expires_at":null}}`)
}

func FuzzANativeSession(f *testing.F) {
	fuzzNative(f, "POST", "/tokens/{id}/sessions", "application/json", []int{201},
		``, `{}`, `{"lifetime":3153600000,"capabilities":["x:y"],"manages":true}`, `{"lifetime":0}`, `{"capabilities":[]}`)
}

func FuzzANativeIntrospection(f *testing.F) {
	fuzzNative(f, "POST", "/introspect", formType, []int{200},
		`token=TARGET&client_ip=192.0.2.9`, `token=TARGET`, `token=TARGET&client_ip=198.51.100.1`,
		`token=TARGET&client_ip=::ffff:192.0.2.9`, `token=CALLER&client_ip=192.0.2.9`,
		`token=FOREIGN&client_ip=192.0.2.9`, `token=ENDED&client_ip=192.0.2.9`, `token=TARGETx&client_ip=192.0.2.9`, `token=OWN`,
		`token=TARGET&client_ip=192.0.2.9%25eth0`, `token=x`, `token=x&client_ip=192.0.2.1&token_type_hint=y`,
		`token=x&client_ip=::ffff:1.2.3.4`, `token=%zz`, `token=a&token=b`)
}

func FuzzANativeRevocation(f *testing.F) {
	fuzzNative(f, "POST", "/revoke", formType, []int{200},
		`token=TARGET`, `token=CALLER`, `token=FOREIGN`, `token=ENDED`, `token=OWN`, `token=+TARGET`, `token=TARGET&token=FOREIGN`,
		`token=x`, `token=x&token_type_hint=y`, `=`, `&&`, `token`)
}
