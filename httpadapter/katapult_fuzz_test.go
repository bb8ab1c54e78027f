package httpadapter_test

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/remint-go/remint"
)

// fuzzKatapult makes a request with a service of its own, and fails unless it gets an answer of the
// format; and unless nothing changed, where that is no success. ID stands for that of a token
// which the caller may change.
func fuzzKatapult(t *testing.T, method, path, body string) {
	s := newService(t)
	g := s.issue(remint.Spec{Capabilities: remint.Allow("api_tokens", "dns"), Prefix: "kat_"})
	other := s.issue(remint.Spec{Name: "other", Capabilities: remint.Allow("dns"), Prefix: "kat_"})
	before := s.snapshot()
	text := strings.ReplaceAll(body, "ID", other.Token.ID().String())

	// A server parses the path, and what it cannot parse is no request.
	uri := strings.ReplaceAll(path, "ID", other.Token.ID().String())
	u, err := url.ParseRequestURI(uri)
	if err != nil {
		return
	}
	r := httptest.NewRequest(method, "/", strings.NewReader(text))
	r.URL, r.RequestURI = u, uri
	r.Header.Set("Content-Type", "application/json")
	r = r.WithContext(t.Context())
	r.Header.Set("Authorization", "Bearer "+g.Secret.Reveal())
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if w.Code/100 == 3 {
		return // the mux cleans the path
	}
	a := answer{t, w.Code, w.Header(), w.Body.String()}
	if a.status == 200 {
		a.want(200)
	} else {
		code, _ := a.want(a.status)["code"].(string)
		a.wantKatapult(a.status, code)
		if a.status < 400 || a.status > 422 || a.status == 401 || a.status == 405 {
			t.Errorf("status %d: %s", a.status, a.body)
		}
		if s.snapshot() != before {
			t.Errorf("%d, and something changed", a.status)
		}
	}
	a.wantKatapultHeaders()
	if list := s.faults.take(); list != nil {
		t.Errorf("reported %v", list)
	}
	for _, secret := range []string{g.Secret.Reveal(), other.Secret.Reveal()} {
		if strings.Contains(a.body, secret) {
			t.Error("the answer holds a secret that was there before")
		}
	}
	if method == "GET" && s.snapshot() != before {
		t.Error("a list changed something")
	}
	if !strings.Contains(text+uri, g.Token.ID().String()) && !s.works(g.Secret.Reveal()) {
		t.Error("the caller's token stopped")
	}
}

func FuzzKatapultCreate(f *testing.F) {
	for _, body := range []string{
		``, `{}`, `{"organization":{"id":"acme"},"properties":{}}`,
		`{"organization":{"sub_domain":"acme"},"properties":{"name":"x","scopes":["dns:read","*"],"expires_at":4102444800,"authorized_ip_addresses":["192.0.2.1","::/0"]}}`,
		`{"organization":{"id":"acme","sub_domain":null},"properties":{"name":"\ud800","scopes":["%41"],"expires_at":253402300799,"authorized_ip_addresses":["::ffff:1.2.3.4/100"]}}`,
		`{"organization":[],"properties":null}`, `{"properties":{"expires_at":1e99,"scopes":[[]]}}`,
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) { fuzzKatapult(t, "POST", katapultCreate, body) })
}

func FuzzKatapultUpdate(f *testing.F) {
	for _, body := range []string{
		``, `{}`, `{"properties":{}}`, `{"api_token":{"id":"ID"},"properties":{"name":"x"}}`,
		`{"properties":{"name":null,"scopes":null,"expires_at":null,"authorized_ip_addresses":null}}`,
		`{"properties":{"scopes":["dns:*"],"expires_at":4102444800,"authorized_ip_addresses":["192.0.2.1/8"]}}`,
		`{"properties":{"scopes":["api_tokens","x"],"expires_at":0}}`, `{"api_token":1,"properties":[]}`,
	} {
		f.Add(body, "ID")
	}
	f.Fuzz(func(t *testing.T, body, word string) {
		fuzzKatapult(t, "PATCH", katapultOne(url.PathEscape(word)), body)
	})
}

func FuzzKatapultDelete(f *testing.F) {
	fuzzKatapultNamed(f, "DELETE", katapultOne)
}

func FuzzKatapultRegenerate(f *testing.F) {
	fuzzKatapultNamed(f, "POST", katapultRegenerate)
}

func fuzzKatapultNamed(f *testing.F, method string, path func(string) string) {
	for _, body := range []string{``, `{}`, ` null `, `{"api_token":{"id":"ID"}}`, `{"api_token":{"id":null}}`, `{"api_token":{"id":1}}`, `{"api_token":{"id":"x"},"api_token":{}}`} {
		f.Add(body, "api_token")
		f.Add(body, "ID")
	}
	f.Add("", "%00/é?#")
	f.Fuzz(func(t *testing.T, body, word string) { fuzzKatapult(t, method, path(url.PathEscape(word)), body) })
}

func FuzzKatapultList(f *testing.F) {
	for _, query := range []string{
		"", "organization[id]=acme", "organization%5Bsub_domain%5D=acme&page=2&per_page=1", "organization[id]=acme&page=0",
		"organization[id]=acme&annotations[][key]=x", "organization[id]=acme&per_page=200&page=500", "organization[id]=%zz;&page=1&page=2",
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) { fuzzKatapult(t, "GET", katapultCreate+"?"+query, "") })
}
