package httpadapter_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/remint-go/remint"
)

// fuzzNative sends bodies to a route as a token that has bounds of every kind. Each is
// served or refused with a problem; nothing is the service's fault, nothing of another owner
// changes, the credential is in no answer, and whoever holds a secret afterwards has no more than the
// caller has.
func fuzzNative(f *testing.F, method, path, contentType string, statuses []int, seeds ...string) {
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s := newService(t)
		local := netip.MustParsePrefix("192.0.2.0/24") // httptest's client
		caller := s.issue(remint.Spec{
			Capabilities: remint.Allow("tokens", "x"), Networks: []netip.Prefix{local}, Attributes: map[string]string{"a": "b"},
		})
		target := s.issue(remint.Spec{
			Capabilities: remint.Allow("x"), Networks: []netip.Prefix{local}, Attributes: map[string]string{"a": "b"},
		})
		foreign := s.issue(remint.Spec{Owner: "other"})
		was := s.get(foreign.Token.ID()).State().Revision
		secret := caller.Secret.Reveal()

		r := httptest.NewRequest(method, strings.Replace(path, "{id}", target.Token.ID().String(), 1), strings.NewReader(string(body)))
		r.Header = http.Header{"Authorization": {"Bearer " + secret}, "Content-Type": {contentType}}
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		a := answer{t, w.Code, w.Header(), w.Body.String()}

		if strings.Contains(a.body, secret[len(secret)-49:]) && !strings.Contains(string(body), secret[len(secret)-49:]) {
			t.Errorf("the credential is in %s", a.body)
		}
		if s.get(foreign.Token.ID()).State().Revision != was {
			t.Error("another owner's token has changed")
		}
		if a.status >= 300 {
			if !slices.Contains([]int{400, 403, 409, 413, 422}, a.status) {
				t.Errorf("%d %s", a.status, a.body)
			}
			a.wantProblem(a.status, "")
			return
		}
		if !slices.Contains(statuses, a.status) {
			t.Errorf("%d %s", a.status, a.body)
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

func FuzzANativeCreate(f *testing.F) {
	fuzzNative(f, "POST", "/tokens", "application/json", []int{201},
		`{}`, `{"name":"n","description":"d","capabilities":["x:y","tokens"],"networks":["192.0.2.1"],"expires_at":"2099-01-01T00:00:00Z","parent":null}`,
		`{"networks":["0.0.0.0/0"]}`, `{"capabilities":["*"]}`, `{"owner":"other"}`)
}

func FuzzANativePatch(f *testing.F) {
	fuzzNative(f, "PATCH", "/tokens/{id}", "application/merge-patch+json", []int{200},
		`{}`, `{"name":null}`, `{"capabilities":["x:y"],"networks":["192.0.2.0/25"],"expires_at":"2099-01-01T00:00:00+01:00"}`, `{"networks":null}`, `{"attributes":{}}`)
}

func FuzzANativeRotation(f *testing.F) {
	fuzzNative(f, "POST", "/tokens/{id}/rotate", "application/json", []int{200, 201},
		``, `{"retire":"now"}`, `{"retire":{"at":"2099-01-01T00:00:00Z"},"successor":true}`, `{"retire":{"after":60},"keep_sessions":true,"if_revision":1}`,
		`{"retire":{"after_first_use":0},"successor":{"expires_at":null}}`,
		`{"successor":{"name":"n","capabilities":["x"],"networks":["192.0.2.0/24"],"expires_at":null}}`)
}

func FuzzANativeSession(f *testing.F) {
	fuzzNative(f, "POST", "/tokens/{id}/sessions", "application/json", []int{201},
		``, `{}`, `{"lifetime":3153600000,"capabilities":["x:y"],"manages":true}`, `{"lifetime":0}`, `{"capabilities":[]}`)
}

func FuzzANativeIntrospection(f *testing.F) {
	fuzzNative(f, "POST", "/introspect", formType, []int{200},
		`token=x`, `token=x&client_ip=192.0.2.1&token_type_hint=y`, `token=x&client_ip=::ffff:1.2.3.4`, `token=%zz`, `token=a&token=b`)
}

func FuzzANativeRevocation(f *testing.F) {
	fuzzNative(f, "POST", "/revoke", formType, []int{200}, `token=x`, `token=x&token_type_hint=y`, `=`, `&&`, `token`)
}
