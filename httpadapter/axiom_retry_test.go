package httpadapter_test

import (
	"strings"
	"testing"
	"time"
)

// What the published client does by itself when an answer is lost: the same request again,
// with nothing that says so.

func TestARepeatedAxiomCreateMakesASecondToken(t *testing.T) {
	s := start(t)
	master := s.master().Secret.Reveal()
	lost, _ := s.axiomToken(master, `{`+onlyUsers+`}`)
	fresh, _ := s.axiomToken(master, `{`+onlyUsers+`}`)
	s.wantListed(master, lost, fresh)
}

func TestARepeatedAxiomRegenerateOfAnotherTokenHasTheSameAnswerForHalfAMinute(t *testing.T) {
	for _, until := range []time.Duration{-time.Second, time.Hour} {
		s := start(t)
		master := s.master().Secret.Reveal()
		id, _ := s.axiomToken(master, `{`+onlyUsers+`}`)
		path, body := "/v2/tokens/"+id+"/regenerate", `{"existingTokenExpiresAt":"`+s.clock.now().Add(until).Format(time.RFC3339Nano)+`"}`
		first := s.call("POST", path, master, body)
		secret, _ := first.want(200)["token"].(string)
		s.clock.advance(30*time.Second - time.Microsecond)
		if again := s.call("POST", path, master, body); again.status != 200 || again.body != first.body {
			t.Errorf("%d %s, first %s", again.status, again.body, first.body)
		}
		other := strings.TrimSuffix(body, "}") + `,"newToken":{` + onlyUsers + `}}`
		m := s.call("POST", path, master, other).want(200)
		if s.works(secret) || m["id"] == first.want(200)["id"] {
			t.Error("another request was taken for a repeat")
		}
		s.clock.advance(time.Minute)
		if last := s.call("POST", path, master, other).want(200); last["id"] == m["id"] {
			t.Error("it is repeated for ever")
		}
	}
}

func TestARepeatedAxiomRegenerateLeavesOneSuccessor(t *testing.T) {
	for _, c := range []struct {
		name  string
		self  bool          // the token regenerates itself
		until time.Duration // when it stops
		used  bool          // somebody used the secret of the first answer
		want  int
	}{
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
