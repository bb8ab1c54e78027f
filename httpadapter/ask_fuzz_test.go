package httpadapter_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/remint-go/remint"
)

// ask serves a request without a server, and fails unless its answer is one of the format's, is no
// fault of the service's, and holds none of the secrets. It is not ok where no server would have
// parsed the request, or the mux has sent its client to another path.
func (s *service) ask(r mounted, h http.Header, secrets ...string) (a answer, ok bool) {
	s.t.Helper()
	if _, err := url.ParseRequestURI(r.path); err != nil {
		return a, false
	}
	a = s.served(r, h)
	if a.status/100 == 3 {
		return a, false
	}
	switch {
	case a.status >= 500:
		s.t.Errorf("%s %s: %d %s", r.method, r.path, a.status, a.body)
	case a.status == http.StatusNoContent, a.status == http.StatusOK && a.body == "":
	case a.status == http.StatusOK, a.status == http.StatusCreated:
		if r.format != "" {
			a.wantSuccessOf(r)
		}
	case r.format == "":
		a.wantGuard(a.status)
	case r.format == "katapult":
		code, _ := a.want(a.status)["code"].(string)
		a.wantError(r, a.status, code)
	default:
		a.wantError(r, a.status, "")
	}
	if f := s.faults.take(); f != nil {
		s.t.Errorf("%s %s: reported %v", r.method, r.path, f)
	}
	for _, secret := range secrets {
		tail := secret[len(secret)-49:] // what yields it, and its checksum
		for name, values := range a.header {
			if strings.Contains(strings.Join(values, ""), tail) {
				s.t.Errorf("%s %s: a secret is in the header %s", r.method, r.path, name)
			}
		}
		if strings.Contains(a.body, tail) {
			s.t.Errorf("%s %s: a secret is in %s", r.method, r.path, a.body)
		}
	}
	return a, true
}

// served serves a request without a server, whatever comes of it. A body is of the type that its
// route documents, unless h says another.
func (s *service) served(r mounted, h http.Header) answer {
	s.t.Helper()
	u, err := url.ParseRequestURI(r.path)
	if err != nil {
		s.t.Fatal(err)
	}
	req := httptest.NewRequest(r.method, "/", strings.NewReader(r.body)).WithContext(s.t.Context())
	req.URL, req.RequestURI, req.Header = u, r.path, h
	if h["Content-Type"] == nil && r.body != "" {
		h.Set("Content-Type", "application/json")
		if r.isForm() {
			h.Set("Content-Type", formType)
		}
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, req)
	return answer{s.t, w.Code, w.Header(), w.Body.String()}
}

// wantSuccessOf fails unless the answer has a body of the format's, which nobody keeps.
func (a answer) wantSuccessOf(r mounted) {
	a.t.Helper()
	if a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" || a.body == "" {
		a.t.Errorf("%s %s: %v %q", r.method, r.path, a.header, a.body)
	}
}

// wantGuard fails unless the answer is a guard's refusal.
func (a answer) wantGuard(status int) {
	a.t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" || a.header.Get("Cache-Control") != "no-store" {
		a.t.Errorf("%d, want %d: %v %s", a.status, status, a.header, a.body)
	}
}

// guarded is the service's own handler behind the adapter's guard, as a route: of no format.
var guarded = mounted{method: "GET", path: "/me", ignoresBody: true}

// refusedAsNobody reports whether an answer is what a format says to a request without a live token.
func (a answer) refusedAsNobody(r mounted) bool {
	if r.format != "katapult" {
		return a.status == http.StatusUnauthorized
	}
	return strings.Contains(a.body, `"code":"missing_api_token"`) || strings.Contains(a.body, `"code":"invalid_api_token"`)
}

// fuzzRoutes are the routes that a fuzzer chooses from: all that find their caller in the request's
// header, for a token with that ID.
func fuzzRoutes(id remint.ID) []mounted {
	list := []mounted{guarded}
	for _, r := range mountedRoutes(id) {
		if !r.noCredential {
			list = append(list, r)
		}
	}
	return list
}

// lines splits what the fuzzer has for a header into its lines, which have no other control
// characters: a server refuses those. No text is no header.
func lines(text string) (list []string, ok bool) {
	if text == "" {
		return nil, true
	}
	list = strings.Split(text, "\n")
	for _, line := range list {
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) || strings.Trim(line, " \t") != line {
			return nil, false
		}
	}
	return list, true
}
