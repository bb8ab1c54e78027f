package httpadapter_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/remint-go/remint"
)

// FuzzAuthorization: on every route of every format, a request is served as somebody if and only if
// it has one Authorization header, which has the word Bearer, spaces, and a live secret; any other
// gets the format's answer to nobody, and changes nothing.
func FuzzAuthorization(f *testing.F) {
	n := len(fuzzRoutes(remint.ID{1}))
	for i, text := range []string{
		"Bearer SECRET", "bearer SECRET", "BEARER   SECRET", "Bearer\tSECRET", "Bearer SECRETx", "Bearer xSECRET",
		"Bearer SECRET SECRET", "Bearer SECRET,",
		"Bearer", "Bearer ", "", "SECRET", "Basic SECRET", "Token SECRET", "Bearer Bearer SECRET", "Bearer \"SECRET\"",
		"Bearer SECRET\nBearer SECRET",
		"Bearer SECRET\nBasic x", "Basic x\nBearer SECRET", "\nBearer SECRET", "Bearer OTHER", "Bearer ENDED", "Bearer ID",
		"Bearer pk_x", "ſearer SECRET", "Bearer é",
		"Bearer =SECRET", "Bearer token=SECRET", "Bearer " + strings.Repeat("x", 8000),
	} {
		f.Add(text, byte(i%n))
		f.Add(text, byte((i*7+3)%n))
	}
	f.Fuzz(func(t *testing.T, text string, route byte) {
		s := newService(t)
		g := s.master()
		ended := s.master()
		if err := s.issuer.Operator("test").Revoke(t.Context(), ended.Token.ID()); err != nil {
			t.Fatal(err)
		}
		secret := g.Secret.Reveal()
		text = strings.NewReplacer("SECRET", secret, "OTHER", otherSecret(secret), "ENDED", ended.Secret.Reveal(), "ID", g.Token.ID().String()).Replace(text)
		values, ok := lines(text)
		if !ok {
			return
		}
		routes := fuzzRoutes(g.Token.ID())
		r := routes[int(route)%len(routes)]
		h := http.Header{}
		if values != nil {
			h["Authorization"] = values
		}
		live := false
		if len(values) == 1 && len(values[0]) > len("Bearer ") && strings.ToLower(values[0][:len("Bearer ")]) == "bearer " {
			live = strings.TrimLeft(values[0][len("Bearer "):], " ") == secret
		}
		before := s.snapshot()
		a, ok := s.ask(r, h, ended.Secret.Reveal())
		if !ok {
			t.Fatalf("%s %s: %d", r.method, r.path, a.status)
		}
		if a.refusedAsNobody(r) == live {
			t.Errorf("%q on %s %s: %d %s", text, r.method, r.path, a.status, a.body)
		}
		if !live && s.snapshot() != before {
			t.Errorf("%q on %s %s changed something", text, r.method, r.path)
		}
		if !live && strings.Contains(a.body, secret) {
			t.Errorf("the secret is in %s", a.body)
		}
	})
}
