// Package pocketpaw_test drives PocketPaw's format over loopback, as its browser client does.
package pocketpaw_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/interop/internal/host"
)

// onEachStore runs test with a service that has PocketPaw's routes, and one of its own that
// pages poll, on memory and on bbolt.
func onEachStore(t *testing.T, p httpadapter.PocketPaw, test func(t *testing.T, w *world)) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		web := httpadapter.New(h.Issuer, &httpadapter.Options{
			Cookie: new(httpadapter.Cookie), Limiter: &httpadapter.MemoryLimiter{Now: h.Now},
		})
		mux := http.NewServeMux()
		mux.Handle("GET /api/channels/status", web.Authenticate(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{}`)
		})))
		web.MountPocketPaw(mux, &p)
		server := httptest.NewServer(mux)
		t.Cleanup(server.Close)
		test(t, &world{h, server.URL})
	})
}

// A world is a service and its windows.
type world struct {
	*host.Host
	url string
}

func (w *world) window() *browser { return &browser{TB: w.TB, url: w.url} }

func (w *world) works(secret string) bool {
	_, err := w.Issuer.Verify(w.Context(), secret, netip.MustParseAddr("127.0.0.1"))
	return err == nil
}

func TestTheBrowserOpensRegeneratesAndGoesOnWithTheNewMaster(t *testing.T) {
	onEachStore(t, httpadapter.PocketPaw{}, func(t *testing.T, w *world) {
		master := w.Master().Secret.Reveal()
		b := w.window()
		b.open(master)
		if b.token == master || b.poll() != 200 {
			t.Fatalf("it has no session: %.4s, %d", b.token, b.refused)
		}
		session := b.token
		fresh := b.regenerate()
		if fresh == "" || b.isOut || b.poll() != 200 {
			t.Fatalf("%.4q, out: %v, %d", fresh, b.isOut, b.refused)
		}
		if w.works(master) || w.works(session) {
			t.Error("the old master or its session works")
		}
	})
}

func TestTheBrowserLogsInWithTheFormAndOut(t *testing.T) {
	onEachStore(t, httpadapter.PocketPaw{}, func(t *testing.T, w *world) {
		g := w.Master()
		b := w.window()
		if b.poll() != 401 || !b.isOut {
			t.Error("it is in before it logged in")
		}
		for _, wrong := range []string{"x", "pp_x", g.Token.ID().String()} {
			if b.submit(wrong) || b.cookie != "" {
				t.Errorf("%s is accepted", wrong)
			}
		}
		if !b.submit(" "+g.Secret.Reveal()+"\n") || b.poll() != 200 {
			t.Fatalf("it cannot log in: %d", b.refused)
		}
		session := b.cookie
		if status, data := b.fetch("POST", "/api/auth/logout", ""); status != 200 || data["ok"] != true || b.cookie != "" {
			t.Errorf("%d %v", status, data)
		}
		b.cookie = session // somebody has copied it
		if b.poll() != 401 {
			t.Error("the session outlives the logout")
		}
		if !w.works(g.Secret.Reveal()) {
			t.Error("the master did not outlive it")
		}
	})
}

func TestTheBearerCountsBesideTheCookieThatTheBrowserSendsToo(t *testing.T) {
	onEachStore(t, httpadapter.PocketPaw{}, func(t *testing.T, w *world) {
		one, two := w.Master().Secret.Reveal(), w.Master().Secret.Reveal()
		b := w.window()
		b.submit(two)
		b.open(one)
		if fresh := b.regenerate(); fresh == "" || w.works(one) || !w.works(two) || b.poll() != 200 {
			t.Errorf("%.4q %d", fresh, b.refused)
		}
	})
}

func TestRegeneratingWithTheCookieAloneKeepsTheBrowserIn(t *testing.T) {
	onEachStore(t, httpadapter.PocketPaw{}, func(t *testing.T, w *world) {
		b := w.window()
		b.submit(w.Master().Secret.Reveal())
		fresh := b.regenerate()
		// The cookie's session is dead, as all are; the token that the page stored counts.
		if fresh == "" || w.works(b.cookie) || b.poll() != 200 || b.isOut {
			t.Errorf("%.4q, out: %v", fresh, b.isOut)
		}
		if !b.submit(fresh) || b.poll() != 200 {
			t.Error("it cannot log in with the new master")
		}
	})
}

func TestALatePollWithTheOldTokenDropsTheNewOneAsDocumented(t *testing.T) {
	onEachStore(t, httpadapter.PocketPaw{}, func(t *testing.T, w *world) {
		b := w.window()
		b.open(w.Master().Secret.Reveal())
		late := &browser{TB: t, url: w.url, token: b.token} // sent before, answered after
		b.regenerate()
		if late.poll() != 401 {
			t.Fatal("the old session works")
		}
		b.token, b.isOut = late.token, late.isOut // one localStorage
		if b.token != "" || !b.isOut {
			t.Error("nothing was dropped")
		}
	})
}

func TestWithAGraceALatePollDropsNothing(t *testing.T) {
	for name, retire := range map[string]remint.Retirement{
		"after a while": remint.RetireAfter(time.Minute), "after the first use": remint.RetireAfterFirstUse(time.Minute),
	} {
		t.Run(name, func(t *testing.T) {
			onEachStore(t, httpadapter.PocketPaw{Retire: retire}, func(t *testing.T, w *world) {
				master := w.Master().Secret.Reveal()
				b, other := w.window(), w.window()
				b.open(master)
				other.submit(master)
				late := &browser{TB: t, url: w.url, token: b.token, cookie: b.cookie}
				if b.regenerate() == "" || late.poll() != 200 || other.poll() != 200 {
					t.Error("refused before the new master was used")
				}
				if b.poll() != 200 || late.poll() != 200 || late.token == "" || other.poll() != 200 {
					t.Error("refused in the grace")
				}
				w.Advance(time.Minute)
				if late.poll() != 401 || other.poll() != 401 || b.poll() != 200 {
					t.Error("the grace does not end")
				}
			})
		})
	}
}

func TestOfManyWindowsThatRegenerateAtOnceOneGetsTheMaster(t *testing.T) {
	onEachStore(t, httpadapter.PocketPaw{}, func(t *testing.T, w *world) {
		master := w.Master().Secret.Reveal()
		windows := make([]*browser, 8)
		done := make(chan *browser)
		for i := range windows {
			windows[i] = w.window()
			windows[i].open(master)
		}
		for _, b := range windows {
			go func() { defer func() { done <- b }(); b.regenerate() }()
		}
		won := 0
		for range windows {
			b := <-done
			if strings.HasPrefix(b.token, "pk_") {
				won++
				if !w.works(b.token) {
					t.Error("the winner's token does not work")
				}
			}
		}
		if won != 1 {
			t.Errorf("%d won", won)
		}
	})
}

// The client for the desktop (client/src/lib/api/client.ts) sends a Content-Type with
// everything, a body of {} with the exchange, and reads detail as a text.
func TestTheDesktopClientsRequestsAreServed(t *testing.T) {
	onEachStore(t, httpadapter.PocketPaw{}, func(t *testing.T, w *world) {
		g := w.Master()
		call := func(method, path, token, body string, want int) map[string]any {
			t.Helper()
			b := &browser{TB: t, url: w.url, token: token}
			if body == "" && method == http.MethodPost {
				body = " " // so that there is a Content-Type
			}
			status, data := b.fetch(method, "/api/v1"+path, body)
			if status != want {
				t.Fatalf("%s %s: %d %v", method, path, status, data)
			}
			return data
		}
		master := g.Secret.Reveal()
		call("POST", "/auth/login", master, fmt.Sprintf(`{"token":%q}`, master), 200)
		session, _ := call("POST", "/auth/session", master, `{}`, 200)["session_token"].(string)
		key := call("POST", "/auth/api-keys", session, `{"name":"my-script","scopes":["chat","sessions"]}`, 200)
		call("POST", "/auth/api-keys", session, `{"name":"my-script","scopes":["root"]}`, 400)
		call("POST", "/auth/api-keys", session, `{"name":""}`, 422)
		call("GET", "/auth/api-keys", session, "", 200)
		call("GET", "/auth/api-keys", key["key"].(string), "", 403)
		fresh := call("POST", fmt.Sprintf("/auth/api-keys/%s/rotate", key["id"]), session, "", 200)
		if w.works(key["key"].(string)) || !w.works(fresh["key"].(string)) {
			t.Error("the wrong key works")
		}
		call("DELETE", fmt.Sprintf("/auth/api-keys/%s", fresh["id"]), session, "", 200)
		call("DELETE", fmt.Sprintf("/auth/api-keys/%s", fresh["id"]), session, "", 404)
		call("POST", "/auth/logout", session, "", 200)
		call("POST", "/auth/logout", session, "", 401)
		master, _ = call("POST", "/token/regenerate", master, "", 200)["token"].(string)
		if !w.works(master) {
			t.Error("the new master does not work")
		}
	})
}
