package chaos_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/internal/chaos"
)

// A tab is PocketPaw's browser client as far as this is about it: it has one token, sends it with
// every request, polls every few seconds, and drops the token that it has then at any 401 or 403,
// whichever request that answers.
type tab struct {
	w     *world
	token string
}

// send sends a request, and returns what is done with its answer. The token is the one that the tab
// has when the request is sent.
func (b *tab) send(method, path string) (receive func() int) {
	type reply struct {
		status int
		token  string
	}
	replies := make(chan reply, 1)
	request := b.w.request(method, path, b.token, "")
	go func() {
		defer close(replies)
		resp, err := chaos.NewClient().Do(request)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		var body struct {
			Token   string `json:"token"`
			Session string `json:"session_token"`
		}
		json.NewDecoder(resp.Body).Decode(&body) // a poll's answer is empty
		replies <- reply{resp.StatusCode, body.Token + body.Session}
	}()
	return func() int {
		r := <-replies
		switch {
		case r.status == http.StatusUnauthorized, r.status == http.StatusForbidden:
			b.token = ""
		case r.token != "":
			b.token = r.token
		}
		return r.status
	}
}

func TestALatePollCostsTheBrowserTheNewMasterUnlessTheOldOneHasAGrace(t *testing.T) {
	for _, c := range []struct {
		name    string
		retire  remint.Retirement
		session bool // the tab has exchanged the master for a session
		used    bool // the new master was used when the poll arrives
		status  int
	}{
		{"at once, with the master", remint.Retirement{}, false, false, 401},
		{"at once, with a session", remint.Retirement{}, true, false, 401},
		{"at once, with a session, after the first use", remint.Retirement{}, true, true, 401},
		{"overlap, with the master", remint.RetireAfter(grace), false, true, 200},
		{"overlap, with a session", remint.RetireAfter(grace), true, true, 200},
		{"first use, with the master", remint.RetireAfterFirstUse(grace), false, false, 200},
		{"first use, with a session", remint.RetireAfterFirstUse(grace), true, false, 200},
		{"first use, with the master, after it", remint.RetireAfterFirstUse(grace), false, true, 200},
		{"first use, with a session, after it", remint.RetireAfterFirstUse(grace), true, true, 200},
		{"first use without a grace, before it", remint.RetireAfterFirstUse(0), true, false, 200},
		{"first use without a grace, after it", remint.RetireAfterFirstUse(0), true, true, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, false, mountPocketPaw(retirement{option: c.retire}))
			defer w.end()
			b := &tab{w, w.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("*")}).Secret.Reveal()}
			if c.session {
				b.send("POST", "/api/auth/session")()
			}

			sent, arrives := make(chan struct{}), make(chan struct{})
			w.proxy.Next(chaos.Fault{Before: func() {
				close(sent)
				<-arrives
			}})
			poll := b.send("GET", "/me")
			<-sent
			if status := b.send("POST", "/api/token/regenerate")(); status != 200 {
				t.Fatalf("regenerate: %d", status)
			}
			master := b.token
			if c.used && b.send("GET", "/me")() != 200 {
				t.Fatal("the new master does not work")
			}
			w.clock.Advance(grace - time.Second)
			close(arrives)
			if status := poll(); status != c.status {
				t.Errorf("the poll is answered with %d, want %d", status, c.status)
			}
			if kept := b.token == master; kept != (c.status == 200) {
				t.Errorf("the tab has the new master: %t", kept)
			}
			// Nobody else has it: it was shown once.
			if !w.works(master) {
				t.Error("the master that was shown does not work")
			}
		})
	}
}
