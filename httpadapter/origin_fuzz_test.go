package httpadapter_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

// FuzzOrigin: what a page makes its visitor's browser send with a cookie counts only where the
// browser says that it is of this origin or of a trusted one, or that no page is behind it. A
// browser that says nothing is none that knows of origins; where a bearer is presented, nobody
// asks.
func FuzzOrigin(f *testing.F) {
	const own, trusted, evil = "https://service.example", "https://app.example.com", "https://evil.example"
	for i, c := range [][4]string{
		{"", "", "service.example", ""}, {own, "", "service.example", ""}, {evil, "", "service.example", ""}, {trusted, "", "service.example", ""},
		{"", "same-origin", "service.example", ""}, {"", "none", "service.example", ""}, {"", "same-site", "service.example", ""},
		{"", "cross-site", "service.example", ""},
		{evil, "same-origin", "service.example", ""}, {own, "cross-site", "service.example", ""},
		{trusted, "cross-site", "service.example", ""}, {"null", "", "service.example", ""},
		{evil, "", "evil.example", ""}, {"http://service.example", "", "service.example", ""},
		{"https://service.example:443", "", "service.example", ""},
		{"https://service.example.evil.example", "", "service.example", ""}, {trusted + ".evil.example", "", "service.example", ""},
		{trusted + "/", "cross-site", "service.example", ""},
		{evil, "cross-site", "service.example", "websocket"}, {"", "", "service.example", "websocket"},
		{own, "", "service.example", "h2c"}, {"://", "", "", ""}, {own, "SAME-ORIGIN", "service.example", ""},
		{evil + "\n" + own, "", "service.example", ""}, {"", "same-origin\ncross-site", "service.example", ""},
	} {
		f.Add(c[0], c[1], c[2], c[3], byte(i))
		f.Add(c[0], c[1], c[2], c[3], byte(i+3))
	}
	for k := range fuzzRoutes(remint.ID{1}) {
		f.Add(evil, "cross-site", "service.example", "websocket", byte(k))
		f.Add(evil, "", "service.example", "", byte(k))
	}
	f.Fuzz(func(t *testing.T, origin, site, host, upgrade string, which byte) {
		s := newService(t, func(u *setup) {
			u.adapter.Cookie = &httpadapter.Cookie{Name: "sid", TrustedOrigins: []string{trusted}}
		})
		master := s.master()
		session := s.managing(master.Token.ID())
		routes := fuzzRoutes(s.issue(remint.Spec{Capabilities: remint.Allow("x")}).Token.ID())
		routes = append(routes, mounted{format: "pocketpaw", method: "POST", path: login, body: `{"token":"` + master.Secret.Reveal() + `"}`, noCredential: true})
		r := routes[int(which)%len(routes)]
		if r.format == "axiom" || r.format == "katapult" || strings.HasSuffix(r.path, "/auth/logout") || strings.HasSuffix(r.path, "/auth/session") {
			return // they take no cookie, or not as who calls
		}
		h := http.Header{}
		for name, text := range map[string]string{"Origin": origin, "Sec-Fetch-Site": site, "Upgrade": upgrade} {
			values, ok := lines(text)
			if !ok {
				return
			}
			if values != nil {
				h[name] = values
			}
		}
		if !r.noCredential {
			h.Set("Cookie", "sid="+session.Secret.Reveal())
		}

		// Where there are several, the first is what counts.
		first := func(name string) string { return h.Get(name) }
		safe := (r.method == "GET" || r.method == "HEAD" || r.method == "OPTIONS") && first("Upgrade") == ""
		refused := false
		switch site, origin := first("Sec-Fetch-Site"), first("Origin"); {
		case safe, origin == trusted:
		case site == "same-origin", site == "none":
		case site != "":
			refused = true
		case origin != "":
			u, err := url.Parse(origin)
			refused = err != nil || u.Host == "" || u.Host != host
		}
		before := s.snapshot()
		a, ok := s.askAt(host, r, h)
		if !ok {
			t.Fatalf("%s %s: %d", r.method, r.path, a.status)
		}
		if refused {
			if a.status != http.StatusForbidden || s.snapshot() != before || a.header.Get("Set-Cookie") != "" {
				t.Errorf("Origin %q, Sec-Fetch-Site %q, Host %q, Upgrade %q on %s %s: %d %s", origin, site, host, upgrade, r.method, r.path, a.status, a.body)
			}
		} else if a.refusedAsNobody(r) || strings.Contains(a.body, "another origin") || a.status == http.StatusForbidden && r.format == "pocketpaw" {
			t.Errorf("Origin %q, Sec-Fetch-Site %q, Host %q, Upgrade %q on %s %s is refused: %d %s", origin, site, host, upgrade, r.method, r.path, a.status, a.body)
		}
		if r.noCredential {
			return
		}
		// Nobody can make a browser present a bearer.
		h.Set("Authorization", "Bearer "+s.master().Secret.Reveal())
		if b, _ := s.askAt(host, r, h); b.status == http.StatusForbidden && strings.Contains(b.body, "origin") {
			t.Errorf("with a bearer: %d %s", b.status, b.body)
		}
	})
}

// askAt is ask of a request to that host.
func (s *service) askAt(host string, r mounted, h http.Header) (a answer, ok bool) {
	s.t.Helper()
	mux := s.handler
	defer func() { s.handler = mux }()
	s.handler = http.NewServeMux()
	s.handler.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		req.Host = host
		mux.ServeHTTP(w, req)
	})
	return s.ask(r, h)
}
