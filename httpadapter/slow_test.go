package httpadapter_test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remint-go/remint"
)

// What waits is tested in bubbles, where time passes only when everybody waits.

// pipes are connections within a bubble: TCP's would stop its clock.
type pipes struct{ dial, closed chan net.Conn }

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan net.Conn)} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dial:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// startBubble returns a service behind pipes.
func startBubble(t *testing.T) *service {
	s := newService(t)
	web := s.serve(new(http.Server))
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		web.dial <- server
		return client, nil
	}}
	t.Cleanup(transport.CloseIdleConnections)
	s.url, s.client = "http://service", transport
	return s
}

// bubble runs a test in a bubble.
func bubble(t *testing.T, name string, f func(*testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// exchange sends the request text on a connection of its own, and then nothing. It returns
// the answer, and how long that took.
func (p *pipes) exchange(t *testing.T, request string) (status int, body string, took time.Duration) {
	t.Helper()
	client, server := net.Pipe()
	defer client.Close()
	p.dial <- server
	begun := time.Now()
	if _, err := io.WriteString(client, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(client), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), time.Since(begun)
}

// serve answers on pipes until the test ends.
func (s *service) serve(server *http.Server) *pipes {
	p := newPipes()
	server.Handler = s.handler
	done := make(chan error)
	go func() { done <- server.Serve(p) }()
	s.t.Cleanup(func() {
		server.Close()
		if err := <-done; err != http.ErrServerClosed {
			s.t.Error(err)
		}
		time.Sleep(time.Second) // connections linger for half of one
	})
	return p
}

// stuck is a request whose body begins and does not go on.
func stuck(r mounted, secret string) string {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: x\r\n", r.method, r.path)
	if secret != "" {
		head += "Authorization: Bearer " + secret + "\r\n"
	}
	return head + "Content-Length: 100\r\n\r\n{"
}

// waits returns how long a good request is waited for whose body never comes.
func (r mounted) waits(limit time.Duration) time.Duration {
	if r.served >= 400 {
		return 250 * time.Millisecond // it is refused
	}
	return limit
}

func TestABodyThatNeverComesHoldsNoRequestPastItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		web := s.serve(new(http.Server))
		for _, r := range mountedRoutes(remint.ID{1}) {
			g := s.master()
			r.path = strings.Replace(r.path, (remint.ID{1}).String(), g.Token.ID().String(), 1)
			status, body, took := web.exchange(t, stuck(r, g.Secret.Reveal()))
			want := http.StatusBadRequest
			if r.ignoresBody {
				want = cmp.Or(r.served, http.StatusOK)
			}
			if status != want || want == http.StatusBadRequest && !strings.Contains(body, "the request body could not be read") {
				t.Errorf("%s: %d %s", r.path, status, body)
			}
			if took != r.waits(10*time.Second) {
				t.Errorf("%s: %v", r.path, took)
			}
		}
	})
}

func TestAServersOwnReadTimeoutIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		web := s.serve(&http.Server{ReadTimeout: time.Minute})
		for k := range mountedRoutes(remint.ID{1}) {
			r := mountedRoutes(s.master().Token.ID())[k]
			if _, _, took := web.exchange(t, stuck(r, s.master().Secret.Reveal())); took != r.waits(time.Minute) {
				t.Errorf("%s: %v", r.path, took)
			}
		}
	})
}

func TestWhoIsRefusedIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		web := s.serve(new(http.Server))
		forged := newService(t).master().Secret.Reveal()
		weak := s.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("reports:write")}).Secret.Reveal()
		routes := append(mountedRoutes(s.master().Token.ID()),
			mounted{method: "POST", path: "/v2/tokens/x/y"}, mounted{method: "BREW", path: regenerate})
		for _, r := range routes {
			if r.noCredential {
				continue
			}
			for _, secret := range []string{"", "garbage", forged, weak} {
				if secret == weak && strings.HasSuffix(r.path, "/logout") {
					continue // every live token may log out
				}
				status, _, took := web.exchange(t, stuck(r, secret))
				if status == http.StatusOK {
					t.Errorf("%s with %q was answered", r.path, secret)
				}
				// A regeneration is judged once, with its body.
				reads := (secret == forged || secret == weak) && r.body != "" && strings.Contains(r.path, "regenerate") ||
					secret == weak && r.path == "/revoke" // any token may revoke itself
				if want := 250 * time.Millisecond; took != want && !reads {
					t.Errorf("%s with %.7q: %v", r.path, secret, took)
				}
			}
		}
		for _, r := range []mounted{{method: "GET", path: "/me"}, {method: "GET", path: "/reports"}} {
			for _, secret := range []string{"", "garbage", forged} {
				if _, _, took := web.exchange(t, stuck(r, secret)); took != 250*time.Millisecond {
					t.Errorf("%s with %.7q: %v", r.path, secret, took)
				}
			}
		}
	})
}

func TestASlowBodyDoesNotHideADenial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		web := s.serve(new(http.Server))
		g := s.master()
		secret := g.Secret.Reveal()
		if err := s.issuer.Operator("test").Revoke(context.Background(), g.Token.ID()); err != nil {
			t.Fatal(err)
		}
		for _, r := range mountedRoutes(g.Token.ID()) {
			if r.noCredential {
				continue
			}
			status, body, _ := web.exchange(t, stuck(r, secret))
			if status != http.StatusUnauthorized && !strings.Contains(body, "invalid_api_token") {
				t.Errorf("%s: %d %s", r.path, status, body)
			}
		}
		if f := s.faults.take(); f != nil {
			t.Errorf("reported %v", f)
		}
	})
}

// With a key, a route looks tokens up before anything is proved. Whether a stranger's body is
// waited for tells nothing of what it found.
func TestAKeyedRequestOfAStrangerIsWaitedForWhateverItNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t)
		web := s.serve(&http.Server{})
		g := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("*")})
		unknown := newService(t).issue(remint.Spec{Prefix: "xaat-"}).Secret.Reveal()
		for _, path := range []string{regenerate, "/v2/tokens/" + g.Token.ID().String() + "/regenerate", "/tokens/self/rotate"} {
			for _, owner := range []string{"acme", "other"} {
				type outcome struct {
					status int
					body   string
					took   time.Duration
				}
				var first outcome
				for k, secret := range []string{otherSecret(g.Secret.Reveal()), unknown} {
					request := strings.Replace(stuck(mounted{method: "POST", path: path}, secret), "\r\n",
						"\r\nIdempotency-Key: \"key\"\r\nX-Axiom-Org-Id: "+owner+"\r\n", 1)
					status, body, took := web.exchange(t, request)
					if o := (outcome{status, body, took}); k == 0 {
						first = o
					} else if o != first {
						t.Errorf("%s: %+v where the ID is unknown, %+v where the secret is wrong", path, o, first)
					}
				}
				if first.status != 401 {
					t.Errorf("%s: %+v", path, first)
				}
			}
		}
	})
}
