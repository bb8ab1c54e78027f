package httpadapter_test

import (
	"cmp"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

// ignoring are the routes that take any body.
func ignoring(id remint.ID) (list []mounted) {
	for _, r := range fuzzRoutes(id) {
		if r.ignoresBody && r.format != "" {
			list = append(list, r)
		}
	}
	return list
}

// FuzzABodyThatIsIgnored: where a route documents no body, whatever is sent changes nothing about
// the answer, but for one that is too large, which is refused, and changes nothing at all.
func FuzzABodyThatIsIgnored(f *testing.F) {
	n := len(ignoring(remint.ID{1}))
	for k := range n {
		f.Add("", "", byte(k), false)
		f.Add(`{"token":"x","scopes":["*"]}`, "application/json", byte(k), false)
		f.Add("\xff\x00{", "text/plain", byte(k), false)
		f.Add("", "", byte(k), true)
	}
	for k := range 4 {
		f.Add(strings.Repeat(" ", 64<<10), "", byte(k*5), true)
		f.Add(strings.Repeat(" ", 64<<10+1), "", byte(k*5), false)
	}
	f.Fuzz(func(t *testing.T, body, contentType string, route byte, large bool) {
		s := newService(t)
		g := s.master()
		target := s.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("x")})
		r := ignoring(target.Token.ID())[int(route)%n]
		if r.body = body; large {
			r.body += strings.Repeat("x", 64<<10)
		}
		h := http.Header{"Authorization": {"Bearer " + g.Secret.Reveal()}}
		if contentType != "" {
			h["Content-Type"] = []string{contentType}
		}
		before := s.snapshot()
		a, _ := s.ask(r, h, g.Secret.Reveal(), target.Secret.Reveal())
		if len(r.body) > 64<<10 && r.method != "GET" {
			if a.status != http.StatusRequestEntityTooLarge && a.status != http.StatusBadRequest || s.snapshot() != before {
				t.Errorf("%s %s with %d bytes: %d %s", r.method, r.path, len(r.body), a.status, a.body)
			}
			return
		}
		if want := cmp.Or(r.served, 200); a.status != want {
			t.Errorf("%s %s with %.100q as %q: %d %s", r.method, r.path, body, contentType, a.status, a.body)
		}
	})
}

// readHeaders are the headers of a request that this package documents. A server reads more of them
// itself.
var readHeaders = regexp.MustCompile(`^(?i:Authorization|Cookie|Content-Type|Content-Length|Transfer-Encoding|Host` +
	`|Idempotency-Key|If-Match|X-Axiom-Org-Id|Origin|Sec-Fetch-Site|Upgrade)$`)

// FuzzAHeaderThatIsNotDocumented: no other header changes any answer: neither what a client
// accepts, nor what a proxy says of itself, nor what would stand for the method, the owner or the
// credential elsewhere.
func FuzzAHeaderThatIsNotDocumented(f *testing.F) {
	for i, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Forwarded", "X-Forwarded-For", "X-Real-Ip", "X-Forwarded-Proto",
		"X-Forwarded-Host", "X-Http-Method-Override", "X-Original-Url", "X-Rewrite-Url", "Proxy-Authorization",
		"X-Api-Key", "X-Capabilities-Token", "If-None-Match", "If-Unmodified-Since", "Range", "Expect", "Te", "Content-Encoding",
		"X-Organization-Id", "X-Request-Id", "Sec-Fetch-Mode", "Referer", "User-Agent", "authorization2",
	} {
		values := []string{"application/xml", "gzip;q=0", "127.0.0.1", "DELETE", "SECRET", "Bearer SECRET", "*", "", "bytes=0-1"}
		for route := range 12 {
			f.Add(name, values[(i+route)%len(values)], byte(route))
		}
	}
	f.Fuzz(func(t *testing.T, name, value string, route byte) {
		if readHeaders.MatchString(name) || name == "" || strings.ContainsFunc(name, func(r rune) bool {
			return !strings.ContainsRune("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", r)
		}) {
			return
		}
		s := newService(t)
		g := s.master()
		target := s.issue(remint.Spec{Capabilities: remint.Allow("x")})
		var reads []mounted // whose answer is the same twice
		for _, r := range fuzzRoutes(target.Token.ID()) {
			if r.method == "GET" || r.path == "/introspect" {
				reads = append(reads, r)
			}
		}
		values, ok := lines(strings.ReplaceAll(value, "SECRET", g.Secret.Reveal()))
		if !ok {
			return
		}
		for _, credential := range []string{"Bearer " + g.Secret.Reveal(), ""} {
			r := reads[int(route)%len(reads)]
			ask := func(h http.Header) answer {
				if credential != "" {
					h.Set("Authorization", credential)
				}
				a, _ := s.ask(r, h)
				return a
			}
			want := ask(http.Header{})
			got := ask(http.Header{http.CanonicalHeaderKey(name): values})
			if got.status != want.status || got.body != want.body {
				t.Errorf("%s %s with %s: %q: %d %s\nand without: %d %s", r.method, r.path, name, value, got.status, got.body, want.status, want.body)
			}
		}
	})
}

var decimal = regexp.MustCompile(`^[+]?[0-9]+$`)

// FuzzARateLimit: a token's attribute is how many requests it may make, and nothing that is no such
// number is any number: it is this service's fault, and nobody is let in.
func FuzzARateLimit(f *testing.F) {
	for _, text := range []string{
		"", "1", "2", "3", "1000", "0", "-1", "+2", "02", " 2", "2 ", "2.0", "1e3", "0x2", "1_0", "٢", "9223372036854775807",
		"9223372036854775808", "18446744073709551617", "unlimited", "\x00", strings.Repeat("9", 400),
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := newService(t)
		g, err := s.issuer.Operator("test").Issue(t.Context(), remint.Spec{Owner: "acme", Attributes: map[string]string{httpadapter.RateLimitAttribute: text}})
		if err != nil {
			return // no attribute holds it
		}
		h := func() http.Header { return http.Header{"Authorization": {"Bearer " + g.Secret.Reveal()}} }
		n, whole := new(big.Int).SetString(strings.TrimPrefix(text, "+"), 10)
		if whole = whole && decimal.MatchString(text) && n.IsInt64() && n.Sign() > 0; !whole && text != "" {
			a := s.served(guarded, h())
			a.wantGuard(http.StatusInternalServerError)
			if faults := s.faults.take(); len(faults) != 1 || strings.Contains(faults[0].Error(), g.Secret.Reveal()) {
				t.Errorf("%q: reported %v", text, faults)
			}
			return
		}
		if text == "" {
			n = big.NewInt(1 << 40)
		}
		for k := range int64(4) {
			a, _ := s.ask(guarded, h(), g.Secret.Reveal())
			want := http.StatusOK
			if n.Cmp(big.NewInt(k)) <= 0 {
				want = http.StatusTooManyRequests
			}
			if a.status != want || (a.header.Get("Ratelimit-Policy") == `"minute";q=`+n.String()+`;w=60`) != (text != "") {
				t.Errorf("%q: request %d: %d %v", text, k+1, a.status, a.header)
			}
			if (a.header.Get("Retry-After") != "") != (want == http.StatusTooManyRequests) {
				t.Errorf("%q: request %d: Retry-After %q", text, k+1, a.header.Get("Retry-After"))
			}
		}
	})
}
