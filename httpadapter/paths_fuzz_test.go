package httpadapter_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// namedRoutes are the routes that name a token in their path, with that word for it.
func namedRoutes(word string) (list []mounted) {
	id := remint.ID{1}
	for _, r := range mountedRoutes(id) {
		if !strings.Contains(r.path, id.String()) && !strings.Contains(r.path, "/api_tokens/api_token") {
			continue
		}
		r.path = strings.NewReplacer(id.String(), word, "/api_tokens/api_token", "/api_tokens/"+word).Replace(r.path)
		if r.format == "katapult" { // where the body names none, the path does
			if r.body = ""; r.method == "PATCH" {
				r.body = `{"properties":{"name":"x"}}`
			}
		}
		list = append(list, r)
	}
	return list
}

// FuzzAnIDInAPath: on every route, a word that is not the ID of a token of the caller's owner has
// the same answer, to the byte, as the ID of no token at all, and changes nothing.
func FuzzAnIDInAPath(f *testing.F) {
	n := len(namedRoutes("x"))
	for i, word := range []string{
		"OWN", "FOREIGN", "SELF", "self", "self/", "Self", "x", "OWNx", "OWN OWN", "OWN/", "OWN\x00", "%4F", "..", ".", "/", "a/b",
		"//", "\xff", "é", "01kdyak348qzx25x3arxt3e28x",
		"00000000000000000000000000", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "80000000000000000000000000", "{id}", "api_token", "OWN?x=1",
		"OWN#", "OWN;", strings.Repeat("x", 4000),
	} {
		for k := range 3 {
			f.Add(word, byte((i*5+k*11)%n))
		}
	}
	for k := range n {
		f.Add("FOREIGN", byte(k))
		f.Add("OWN", byte(k))
	}
	f.Fuzz(func(t *testing.T, word string, route byte) {
		s := newService(t)
		caller := s.master()
		own := s.issue(remint.Spec{Prefix: "pp_", Capabilities: remint.Allow("x")})
		foreign := s.issue(remint.Spec{Owner: "other", Prefix: "pp_", Capabilities: remint.Allow("x")})
		unknown := newService(t).master().Token.ID()
		word = strings.NewReplacer("OWN", own.Token.ID().String(), "FOREIGN", foreign.Token.ID().String(), "SELF", caller.Token.ID().String()).Replace(word)
		if word == "" || word == "/" {
			return // that is another path, to net/http's mux even where it is encoded
		}
		k := int(route) % n
		r, other := namedRoutes(url.PathEscape(word))[k], namedRoutes(unknown.String())[k]
		before := s.snapshot()
		h := func() http.Header { return http.Header{"Authorization": {"Bearer " + caller.Secret.Reveal()}} }
		a, ok := s.ask(r, h(), caller.Secret.Reveal(), own.Secret.Reveal(), foreign.Secret.Reveal())
		if !ok {
			return
		}
		if word == own.Token.ID().String() || word == caller.Token.ID().String() || r.format == "native" && word == "self" {
			if word == own.Token.ID().String() && a.status == http.StatusNotFound {
				t.Errorf("%s %s: %d %s", r.method, r.path, a.status, a.body)
			}
			return
		}
		if s.snapshot() != before {
			t.Errorf("%s %s: %d, and something changed", r.method, r.path, a.status)
		}
		if r.format == "katapult" && r.method == "PATCH" && a.status == http.StatusBadRequest {
			return // a word that is no ID names nothing where the body has arguments: that one is missing
		}
		b, _ := s.ask(other, h())
		if a.status != http.StatusNotFound || a.body != b.body || b.status != a.status {
			t.Errorf("%s %s: %d %s\nand of no token: %d %s", r.method, r.path, a.status, a.body, b.status, b.body)
		}
	})
}

var limitText = regexp.MustCompile(`^[0-9]+$`)

// FuzzAListsQuery: a native list is what its parameters say, each of which is given at most once
// and means one thing; any other query is refused.
func FuzzAListsQuery(f *testing.F) {
	for _, query := range []string{
		"", "limit=2", "limit=0", "limit=256", "limit=257", "limit=+2", "limit=02", "limit=2&limit=2", "limit=", "after=ID2",
		"after=ID2&limit=1", "after=x", "after=", "after=7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
		"ended=true", "ended=false", "ended=1", "expired=true", "expired=true&ended=true&limit=3", "parent=ID0", "parent=FOREIGN",
		"parent=x", "parent=", "parent=ID0&ended=true", "Limit=2", "x=1", "limit=2;ended=true",
		"limit=%32", "limit=%zz", "limit", "=", "&&", "ended=true&ended=true", "%61fter=ID1", "a%00=b", strings.Repeat("a=b&", 500),
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		s := newService(t)
		caller := s.master()
		var ids []remint.ID
		for n := range 6 {
			s.clock.advance(time.Millisecond) // so that the IDs are in this order
			spec := remint.Spec{Capabilities: remint.Allow("x")}
			switch n {
			case 1:
				spec.ExpiresAt = s.clock.now().Add(time.Hour)
			case 4, 5:
				spec.Parent = ids[0]
			}
			ids = append(ids, s.issue(spec).Token.ID())
		}
		foreign := s.issue(remint.Spec{Owner: "other"}).Token.ID()
		op := s.issuer.Operator("test")
		for _, id := range []remint.ID{ids[2], ids[5]} {
			if err := op.Revoke(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		s.clock.advance(2 * time.Hour)
		names := []string{"FOREIGN", foreign.String()}
		for n, id := range ids {
			names = append(names, "ID"+strconv.Itoa(n), id.String())
		}
		query = strings.NewReplacer(names...).Replace(query)

		v, err := url.ParseQuery(query)
		good := err == nil
		for name, values := range v {
			good = good && len(values) == 1 && slices.Contains([]string{"limit", "after", "parent", "ended", "expired"}, name)
		}
		limit := 64
		if v.Has("limit") {
			limit, err = strconv.Atoi(v.Get("limit"))
			good = good && err == nil && limitText.MatchString(v.Get("limit")) && limit >= 1 && limit <= 256
		}
		var after, parent remint.ID
		if v.Has("after") {
			after, err = remint.ParseID(v.Get("after"))
			good = good && err == nil
		}
		for _, flag := range []string{"ended", "expired"} {
			good = good && (!v.Has(flag) || v.Get(flag) == "true" || v.Get(flag) == "false")
		}
		known := true
		if v.Has("parent") {
			parent, err = remint.ParseID(v.Get("parent"))
			known = err == nil && (parent == caller.Token.ID() || slices.Contains(ids, parent))
		}

		before := s.snapshot()
		secret := caller.Secret.Reveal()
		r := mounted{format: "native", method: "GET", path: "/tokens?" + query}
		a, ok := s.ask(r, http.Header{"Authorization": {"Bearer " + secret}}, secret)
		if !ok {
			return
		}
		if s.snapshot() != before {
			t.Error("a list changed something")
		}
		switch {
		case !good:
			if a.status != 422 && a.status != 400 {
				t.Errorf("%q: %d %s", query, a.status, a.body)
			}
			return
		case !known:
			a.wantProblem(404, "not_found")
			return
		}
		var want []any
		more := false
		for _, id := range append([]remint.ID{caller.Token.ID()}, ids...) {
			tok := s.get(id)
			ended := tok.State().Ended
			if id.Compare(after) <= 0 || tok.Parent() != parent {
				continue
			}
			if ended != "" && v.Get("ended") != "true" && !(ended == remint.ReasonExpired && v.Get("expired") == "true") {
				continue
			}
			if more = len(want) == limit; more {
				break
			}
			want = append(want, id.String())
		}
		m := a.want(200)
		var got []any
		for _, tok := range m["tokens"].([]any) {
			got = append(got, tok.(map[string]any)["id"])
		}
		if !slices.Equal(got, want) || (m["next"] != nil) != more || more && m["next"] != want[len(want)-1] {
			t.Errorf("%q: %v, next %v; want %v, and more: %v", query, got, m["next"], want, more)
		}
	})
}

// FuzzATokenInAQuery: where it is allowed, one token in the URL is a credential, and only where no
// header has one.
func FuzzATokenInAQuery(f *testing.F) {
	for _, query := range []string{
		"", "token=SECRET", "token=SECRET&token=SECRET", "token=&token=SECRET", "Token=SECRET", "token=SECRETx", "a=b&token=SECRET",
		"token=SECRET;a=b", "t%6Fken=SECRET", "token=%zz&token=SECRET", "token=SECRET%20", "token[]=SECRET", "token",
	} {
		f.Add(query, false, true)
		f.Add(query, true, true)
		f.Add(query, false, false)
	}
	f.Fuzz(func(t *testing.T, query string, bearer, allowed bool) {
		s := newService(t, func(u *setup) { u.pocketPaw.InsecureQueryToken = allowed })
		secret, other := s.master().Secret.Reveal(), s.master().Secret.Reveal()
		query = strings.ReplaceAll(query, "SECRET", secret)
		h := http.Header{}
		if bearer {
			h.Set("Authorization", "Bearer "+other)
		}
		before := s.snapshot()
		r := mounted{format: "pocketpaw", method: "POST", path: exchange + "?" + query, ignoresBody: true}
		a, ok := s.ask(r, h, secret, other)
		if !ok {
			return
		}
		// As net/url reads it, and net/http's clients write it: what is malformed is not there.
		values, _ := url.ParseQuery(query)
		live := bearer
		if !bearer && allowed && strings.Contains(query, "token") {
			live = len(values["token"]) == 1 && values.Get("token") == secret
		}
		if (a.status == http.StatusOK) != live || !live && (!a.refusedAsNobody(r) || s.snapshot() != before) {
			t.Errorf("%q, a bearer: %v, allowed: %v: %d %s", query, bearer, allowed, a.status, a.body)
		}
	})
}
