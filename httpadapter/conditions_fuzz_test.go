package httpadapter_test

import (
	"context"
	"encoding/json"
	"math/big"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/remint-go/remint"
)

var entityTag = regexp.MustCompile(`^"([1-9][0-9]*)"$`)

// FuzzIfMatch: a change is made only where the header is absent, *, or the entity tag of what is
// there; any other tag that this service could have given is 412, and anything else 400.
func FuzzIfMatch(f *testing.F) {
	for _, text := range []string{
		`"3"`, `"2"`, `"4"`, `*`, ``, `"03"`, `"+3"`, `W/"3"`, `"3", "2"`, "\"3\"\n\"3\"", `3`, `"3`, `""`, `" 3"`,
		`"18446744073709551615"`, `"18446744073709551616"`, `"18446744073709551619"`, `"٣"`, `"-3"`, `"0"`, "*\n*", `"3";q=1`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		values, ok := lines(text)
		if !ok {
			return
		}
		s := newService(t)
		secret := s.master().Secret.Reveal()
		g := s.issue(remint.Spec{Name: "n", Capabilities: remint.Allow("x")})
		for range 2 { // up to revision 3
			if err := s.issuer.Operator("test").EndSessions(t.Context(), g.Token.ID()); err != nil {
				t.Fatal(err)
			}
		}
		h := http.Header{"Authorization": {"Bearer " + secret}}
		if values != nil {
			h["If-Match"] = values
		}
		want := 400
		switch m := entityTag.FindStringSubmatch(text); {
		case text == "", text == "*", text == `"3"`:
			want = 200
		case m != nil:
			n, _ := new(big.Int).SetString(m[1], 10)
			if n.IsUint64() {
				want = 412
			}
		}
		before := s.snapshot()
		a, _ := s.ask(mounted{format: "native", method: "PATCH", path: "/tokens/" + g.Token.ID().String(), body: `{"name":"changed"}`}, h, secret)
		if a.status != want {
			t.Errorf("If-Match: %q: %d, want %d; %s", text, a.status, want, a.body)
		}
		if changed := s.get(g.Token.ID()).Name() == "changed"; changed != (want == 200) || !changed && s.snapshot() != before {
			t.Errorf("If-Match: %q: %d, and it was changed: %v", text, a.status, changed)
		}
		if a.status == 200 && a.header.Get("ETag") != `"4"` {
			t.Errorf("ETag %q", a.header.Get("ETag"))
		}
		// Where a condition cannot be judged, it is refused and not ignored.
		if values == nil {
			return
		}
		for _, r := range []mounted{{method: "DELETE", path: "/tokens/" + g.Token.ID().String()}, {method: "POST", path: "/tokens", body: `{}`}} {
			r.format = "native"
			before := s.snapshot()
			if a, _ := s.ask(r, h, secret); a.status != 400 || s.snapshot() != before {
				t.Errorf("%s with If-Match %q: %d", r.method, text, a.status)
			}
		}
	})
}

// FuzzTheOrganizationOfAxiomsHeader: a request is served unless a line of the header names another
// owner than the caller's own, which is no "not found", and changes nothing.
func FuzzTheOrganizationOfAxiomsHeader(f *testing.F) {
	n := len(axiomRoutes(remint.ID{1}))
	for i, text := range []string{
		"", "acme", "other", "ACME", "Acme", "acme\nacme", "acme\nother", "acme ", "acme,other", "\"acme\"", "", "acme\n", "éacme", "*",
	} {
		for k := range n {
			f.Add(text, byte(i+k))
		}
	}
	f.Fuzz(func(t *testing.T, text string, route byte) {
		values, ok := lines(text)
		if !ok {
			return
		}
		s := newService(t)
		caller := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("*")})
		old := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org:users:read")})
		s.issue(remint.Spec{Prefix: "xaat-", Owner: "other", Capabilities: remint.Allow("*")})
		r := axiomRoutes(old.Token.ID())[int(route)%n]
		h := http.Header{"Authorization": {"Bearer " + caller.Secret.Reveal()}}
		if values != nil {
			h["X-Axiom-Org-Id"] = values
		}
		named := !slices.ContainsFunc(values, func(v string) bool { return v != "acme" })
		before := s.snapshot()
		a, _ := s.ask(r, h, caller.Secret.Reveal(), old.Secret.Reveal())
		if served := a.status == 200 || a.status == 204; served != named || !served && a.status != http.StatusForbidden {
			t.Errorf("%q on %s %s: %d %s", text, r.method, r.path, a.status, a.body)
		}
		if !named && s.snapshot() != before {
			t.Error("it was refused, and something changed")
		}
	})
}

// FuzzASecondCredential: what is in the header comes to the function that judges it as it is, once
// a request, and only after the token has passed; of two of them none counts.
func FuzzASecondCredential(f *testing.F) {
	for _, text := range []string{"", "lends", "refused", "lends\nlends", "lends\n", " ", "é", "a.b.c", strings.Repeat("x", 9000), "lends,lends"} {
		f.Add(text, true)
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, live bool) {
		values, ok := lines(text)
		if !ok {
			return
		}
		var asked []string
		s := newService(t, func(u *setup) {
			u.adapter.CapabilitiesToken = func(_ context.Context, text string, _ remint.Token, _ netip.Addr) (remint.Capabilities, error) {
				asked = append(asked, text)
				if strings.HasPrefix(text, "refused") {
					return remint.Capabilities{}, context.Canceled
				}
				return remint.Allow("reports"), nil
			}
		})
		g := s.issue(remint.Spec{Capabilities: remint.Allow("x")})
		if !live {
			if err := s.issuer.Operator("test").Revoke(t.Context(), g.Token.ID()); err != nil {
				t.Fatal(err)
			}
		}
		h := http.Header{"Authorization": {"Bearer " + g.Secret.Reveal()}}
		if values != nil {
			h["X-Capabilities-Token"] = values
		}
		a, _ := s.ask(mounted{method: "GET", path: "/reports"}, h, g.Secret.Reveal())
		want := http.StatusForbidden
		switch {
		case !live:
			want = http.StatusUnauthorized
		case len(values) == 1 && !strings.HasPrefix(values[0], "refused"):
			want = http.StatusOK
		}
		if a.status != want {
			t.Errorf("%q: %d, want %d; %s", text, a.status, want, a.body)
		}
		heard := live && len(values) == 1
		if heard && !slices.Equal(asked, values) || !heard && asked != nil {
			t.Errorf("%q: asked of %q", text, asked)
		}
	})
}

// FuzzARepeatedRequest: the same key and the same request have the same answer, byte for byte, and
// make one token; the same key and another request are refused, and make none.
func FuzzARepeatedRequest(f *testing.F) {
	f.Add("8e03978e-40d5-43e8-bc93-6894a57f9324", "ci", "ci")
	f.Add("8e03978e-40d5-43e8-bc93-6894a57f9324", "ci", "CI")
	f.Add(`a"b\c`, "", "")
	f.Add(" ", "a", "a ")
	f.Add("x", "é", "e\u0301")
	f.Add(strings.Repeat("k", 255), strings.Repeat("n", 256), strings.Repeat("n", 255))
	f.Fuzz(func(t *testing.T, key, one, two string) {
		if key == "" || len(key) > 255 || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			return // FuzzIdempotencyKey looks at these
		}
		s := newService(t)
		secret := s.master().Secret.Reveal()
		post := func(name string) answer {
			text, err := json.Marshal(map[string]string{"name": name})
			if err != nil {
				t.Fatal(err)
			}
			quoted := `"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(key) + `"`
			a, _ := s.ask(mounted{format: "native", method: "POST", path: "/tokens", body: string(text)},
				http.Header{"Authorization": {"Bearer " + secret}, "Idempotency-Key": {quoted}}, secret)
			return a
		}
		first := post(one)
		if first.status != http.StatusCreated {
			return // the name is none
		}
		after := s.snapshot()
		records := s.count()
		second := post(two)
		if jsonText(t, one) == jsonText(t, two) {
			if second.status != first.status || second.body != first.body {
				t.Errorf("%q: %d %s\nand then %d %s", key, first.status, first.body, second.status, second.body)
			}
			if s.count() != records {
				t.Error("a repeat made a token")
			}
			return
		}
		if second.status != http.StatusUnprocessableEntity {
			t.Errorf("%q for %q, and then for %q: %d %s", key, one, two, second.status, second.body)
		}
		if s.snapshot() != after {
			t.Error("it was refused, and something changed")
		}
	})
}

func jsonText(t *testing.T, text string) string {
	t.Helper()
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// count is how many tokens there are.
func (s *service) count() int {
	s.t.Helper()
	records, err := s.store.Store.Scan(s.t.Context(), remint.ID{}, 1<<20)
	if err != nil {
		s.t.Fatal(err)
	}
	return len(records)
}
