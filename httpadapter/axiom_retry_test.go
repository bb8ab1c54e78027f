package httpadapter_test

import (
	"testing"
	"time"
)

// What the published client does by itself when an answer is lost: the same request again.
// There are no retry keys yet, so that each repetition is a request of its own.

func TestARepeatedAxiomCreateMakesASecondToken(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	lost, _ := s.axiomToken(master, `{`+onlyUsers+`}`)
	fresh, _ := s.axiomToken(master, `{`+onlyUsers+`}`)
	s.wantListed(master, lost, fresh)
}

func TestARepeatedAxiomRegenerateLeavesOneSuccessor(t *testing.T) {
	for _, c := range []struct {
		name  string
		self  bool          // the token regenerates itself
		until time.Duration // when it stops
		used  bool          // somebody used the secret of the first answer
		want  int
	}{
		{"of another token, at once", false, -time.Second, false, 200},
		{"of another token, with an overlap", false, time.Hour, false, 200},
		{"of itself, with an overlap", true, time.Hour, false, 200},
		{"of another token, when the first answer was used", false, time.Hour, true, 409},
		{"of itself, when the first answer was used", true, time.Hour, true, 403}, // it only authenticates
		{"of itself, at once: its bearer has locked itself out", true, -time.Second, false, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t)
			master := s.master().Secret.Reveal()
			id, caller := s.axiomToken(master, `{"orgCapabilities":{"apiTokens":["update"]}}`)
			if !c.self {
				caller = master
			}
			body := `{"existingTokenExpiresAt":"` + s.clock.now().Add(c.until).Format(time.RFC3339Nano) + `"}`
			first := s.call("POST", "/v2/tokens/"+id+"/regenerate", caller, body).want(200)
			if c.used && !s.works(first["token"].(string)) {
				t.Fatal("the successor does not work")
			}
			m := s.call("POST", "/v2/tokens/"+id+"/regenerate", caller, body).want(c.want)
			successor := first["id"].(string)
			if c.want == 200 {
				if s.works(first["token"].(string)) || !s.works(m["token"].(string)) {
					t.Error("the lost secret works, or the new one does not")
				}
				successor = m["id"].(string)
			} else if !s.works(first["token"].(string)) {
				t.Error("a refused repetition stopped the successor")
			}
			if c.until < 0 {
				s.wantListed(master, successor)
			} else {
				s.wantListed(master, id, successor)
			}
		})
	}
}
