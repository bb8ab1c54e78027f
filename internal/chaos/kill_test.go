package chaos_test

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/internal/chaos"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// victimVariable is the path of the file for which this process is to be the service.
const victimVariable = "REMINT_CHAOS_VICTIM"

func TestMain(m *testing.M) {
	if path := os.Getenv(victimVariable); path != "" {
		fmt.Fprintln(os.Stderr, serveUntilKilled(path))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// serveUntilKilled is a service of the native routes, on a file. It prints its address.
func serveUntilKilled(path string) error {
	go func() {
		io.Copy(io.Discard, os.Stdin) // until the test that started it has ended
		os.Exit(1)
	}()
	db, err := storebolt.Open(path, nil)
	if err != nil {
		return err
	}
	issuer, err := remint.New(db, nil)
	if err != nil {
		return err
	}
	web := httpadapter.New(issuer, nil)
	mux := http.NewServeMux()
	mux.Handle("GET /me", web.Authenticate(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	web.MountNative(mux, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return http.Serve(l, mux)
}

// A victim is a service in a process of its own.
type victim struct {
	*testing.T
	path  string
	proxy *chaos.Proxy
	cmd   *exec.Cmd
}

// newVictim starts a service, and returns a client of it with a token that may do nothing.
func newVictim(t *testing.T, body string, key func() string) (*victim, *chaos.Client) {
	v := &victim{T: t, path: filepath.Join(t.TempDir(), "tokens.db")}
	db, err := storebolt.Open(v.path, nil)
	v.must(err)
	issuer, err := remint.New(db, nil)
	v.must(err)
	own, err := issuer.Operator("test").Issue(t.Context(), remint.Spec{})
	v.must(err)
	v.must(db.Close())
	v.proxy, err = chaos.NewProxy()
	v.must(err)
	v.start()
	t.Cleanup(func() {
		v.kill()
		v.proxy.Close()
	})
	w := &world{TB: t, proxy: v.proxy, issuer: issuer}
	w.newClient(own, "", "/tokens/self/rotate", body, member("secret"))
	w.client.Key = key
	return v, w.client
}

func (v *victim) must(err error) {
	v.Helper()
	if err != nil {
		v.Fatal(err)
	}
}

func (v *victim) start() {
	v.Helper()
	v.cmd = exec.Command(os.Args[0])
	v.cmd.Env = append(os.Environ(), victimVariable+"="+v.path)
	v.cmd.Stderr = os.Stderr
	_, err := v.cmd.StdinPipe()
	v.must(err)
	stdout, err := v.cmd.StdoutPipe()
	v.must(err)
	v.must(v.cmd.Start())
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	v.must(err)
	v.proxy.Serve(strings.TrimSpace(addr))
}

func (v *victim) kill() {
	v.cmd.Process.Kill()
	v.cmd.Wait() // "signal: killed"
}

// TestAServiceThatIsKilledAfterTheCommitIsWhatTheTableSays kills the process, where the
// tables take a copy of its file.
func TestAServiceThatIsKilledAfterTheCommitIsWhatTheTableSays(t *testing.T) {
	for _, c := range []struct {
		column
		ok bool
	}{
		{column{atOnce, noKey}, false}, {column{atOnce, shortKey}, false}, {column{atOnce, longKey}, true},
		{column{firstUse, noKey}, true}, {column{firstUse, longKey}, true},
	} {
		t.Run(c.retirement.name+", "+c.keying.name, func(t *testing.T) {
			v, client := newVictim(t, fmt.Sprintf(`{"retire":%s}`, c.native), c.key)
			dead := make(chan struct{})
			v.proxy.Next(chaos.Fault{Cut: chaos.Nothing, Then: func() {
				v.kill()
				close(dead)
			}})
			client.Unanswered = func() {
				client.Unanswered = nil
				<-dead
				v.start()
			}
			if ok := client.GoOn(); ok != c.ok || client.WentBack {
				t.Errorf("it ends well: %t, want %t; it went back: %t", ok, c.ok, client.WentBack)
			}
			if c.ok && client.Works(client.Old) != (c.retirement.name == firstUse.name) {
				t.Error("the old secret works, or does not in its grace")
			}
		})
	}
}

// At whatever moment it is killed: the promise is not about moments.
func TestAServiceThatIsKilledAtAnyMomentLocksNobodyOut(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	struck := 0
	for _, c := range []column{{atOnce, longKey}, {firstUse, noKey}, {firstUse, longKey}} {
		v, client := newVictim(t, fmt.Sprintf(`{"retire":%s}`, c.native), c.key)
		for round := range 40 {
			wait := time.Duration(random.Int64N(int64(1500 * time.Microsecond)))
			dead := make(chan struct{})
			go func() {
				time.Sleep(wait) // not for anything to happen: it is the moment that is random
				v.cmd.Process.Kill()
				close(dead)
			}()
			client.Unanswered = func() {
				client.Unanswered = nil
				<-dead
				v.kill()
				v.start()
				struck++
			}
			got := client.Fetch()
			<-dead
			if client.Unanswered != nil { // it was too late
				client.Unanswered = nil
				v.kill()
				v.start()
			}
			if !got || !client.GoOn() || client.WentBack {
				t.Fatalf("%s, %s: killed after %v in round %d: locked out, or back %t", c.retirement.name, c.keying.name, wait, round, client.WentBack)
			}
			client.Next()
		}
	}
	t.Logf("%d requests were struck", struck)
}
