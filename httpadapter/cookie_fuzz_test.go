package httpadapter_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
)

// pair is a cookie as RFC 6265 section 4.1.1 has it, with what we call it.
var pair = regexp.MustCompile(`^([a-z]{1,8})=([\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*)$`)

// FuzzCookie: a request is served as the session in its cookie where the header holds that, whole,
// under the cookie's name, and nothing else under the name; a master there is nobody.
func FuzzCookie(f *testing.F) {
	for _, text := range []string{
		"", "sid=SESSION", "a=b; sid=SESSION; c=d", "sid=SESSION; sid=SESSION", "sid=SESSION; sid=OTHER", "sid=; sid=SESSION",
		"SID=SESSION", "xsid=SESSION",
		"sid=\"SESSION\"", "sid=SESSION\nsid=SESSION", "a=b\nsid=SESSION", "sid=MASTER", "sid=MASTER; sid=SESSION", "sid = SESSION",
		"sid=SESSION;", ";sid=SESSION", "sid=SESSION,a=b",
		"sid=SESSION a", "sid=aSESSION", "sid==SESSION", "sid", "=SESSION", "sid=é; a=SESSION", "sid=SESSION; $Path=/",
		strings.Repeat("a=b; ", 4000) + "sid=SESSION",
		strings.Repeat("sid=x; ", 10) + "sid=SESSION", "a=\"; sid=SESSION\"",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := newService(t, withSid)
		master := s.master()
		session, other := s.managing(master.Token.ID()), s.managing(master.Token.ID())
		text = strings.NewReplacer("SESSION", session.Secret.Reveal(), "OTHER", other.Secret.Reveal(), "MASTER", master.Secret.Reveal()).Replace(text)
		values, ok := lines(text)
		if !ok {
			return
		}
		h := http.Header{}
		if values != nil {
			h["Cookie"] = values
		}
		a, ok := s.ask(guarded, h)
		if !ok {
			t.Fatal(a)
		}
		// What every reader of RFC 6265 finds, where every pair is one that it may send.
		wellFormed, found, size := true, map[string]bool{}, 0
		for _, line := range values {
			size += len(line)
			for part := range strings.SplitSeq(line, "; ") {
				m := pair.FindStringSubmatch(part)
				if m == nil {
					wellFormed = false
				} else if m[1] == "sid" && m[2] != "" {
					found[m[2]] = true
				}
			}
		}
		live := len(found) == 1 && (found[session.Secret.Reveal()] || found[other.Secret.Reveal()]) && size <= 16<<10
		if wellFormed && (a.status == http.StatusOK) != live {
			t.Errorf("%q: %d", text, a.status)
		}
		if a.status == http.StatusOK {
			held := regexp.MustCompile(`(^|[;\n])[ \t]*sid[ \t]*=[ \t]*"?(` + session.Secret.Reveal() + `|` + other.Secret.Reveal() + `)"?[ \t]*($|[;\n])`)
			if !held.MatchString(text) {
				t.Errorf("%q: it is served", text)
			}
			if a.body != session.Token.ID().String() && a.body != other.Token.ID().String() {
				t.Errorf("%q: it is served as %s", text, a.body)
			}
		} else {
			a.wantGuard(http.StatusUnauthorized)
		}
		// Where a bearer is presented, no cookie counts.
		h.Set("Authorization", "Bearer "+master.Secret.Reveal())
		if b, _ := s.ask(guarded, h); b.status != http.StatusOK || b.body != master.Token.ID().String() {
			t.Errorf("%q, with a bearer: %d %s", text, b.status, b.body)
		}
	})
}

func withSid(u *setup) { u.adapter.Cookie = &httpadapter.Cookie{Name: "sid"} }

// managing starts a session that manages, as the operator.
func (s *service) managing(id remint.ID) remint.Grant {
	s.t.Helper()
	g, err := s.issuer.Operator("test").StartSession(s.t.Context(), id, remint.Session{Manages: true})
	if err != nil {
		s.t.Fatal(err)
	}
	return g
}
