package chaos_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/internal/chaos"
)

// The tests of the tools themselves: a harness that loses nothing would find nothing.

func TestAnAnswerThatEndsAnywhereIsNone(t *testing.T) {
	for k, f := range formats {
		t.Run(f.name, func(t *testing.T) {
			w := newWorld(t, false, f.mount(firstUse))
			defer w.end()
			f.begin(w, firstUse)
			w.client.Tries = 1
			var size atomic.Int64
			cutAt := func(n int) {
				t.Helper()
				w.proxy.Next(chaos.Fault{Cut: func(answer []byte) int {
					size.Store(int64(len(answer)))
					return n
				}})
				if got, whole := w.client.Fetch(), n >= int(size.Load()); got != whole {
					t.Fatalf("after %d of %d bytes it has a secret: %t", n, size.Load(), got)
				}
			}
			cutAt(0)
			step := 1 // each byte of the shortest answer, and some of the others: each costs a port for a minute
			if k > 0 {
				step = 13
			}
			for n := 1; n < int(size.Load())-1; n += step {
				cutAt(n)
			}
			cutAt(int(size.Load()) - 1)
			cutAt(int(size.Load()) + 100)
			w.watch()
			if !w.client.GoOn() || w.most > 1 {
				t.Errorf("it is locked out, or there are %d strays", w.most)
			}
		})
	}
}

func TestTheProxyDoesToAnExchangeWhatItIsTold(t *testing.T) {
	var arrived atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, arrived.Add(1))
	}))
	defer server.Close()
	proxy, err := chaos.NewProxy()
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	proxy.Serve(server.Listener.Addr().String())
	for _, c := range []struct {
		name   string
		fault  chaos.Fault
		arrive int64  // requests, before Release
		late   int64  // and then
		answer string // or ""; "?" is any
	}{
		{"nothing", chaos.Fault{}, 1, 0, "1"},
		{"lose", chaos.Fault{Lose: true}, 0, 0, ""},
		{"late", chaos.Fault{Late: true}, 0, 1, ""},
		{"twice", chaos.Fault{Twice: true}, 2, 0, "1"},
		{"second", chaos.Fault{Second: true}, 2, 0, "2"},
		{"race", chaos.Fault{Race: true}, 2, 0, "?"},
		{"cut", chaos.Fault{Cut: chaos.Nothing}, 1, 0, ""},
		{"half", chaos.Fault{Cut: chaos.Half}, 1, 0, ""},
	} {
		arrived.Store(0)
		proxy.Next(c.fault)
		answer := ""
		if resp, err := chaos.NewClient().Get(proxy.URL()); err == nil {
			if body, err := io.ReadAll(resp.Body); err == nil {
				answer = string(body)
			}
			resp.Body.Close()
		}
		if answer != c.answer && (c.answer != "?" || answer == "") {
			t.Errorf("%s: it is answered with %q", c.name, answer)
		}
		if n := arrived.Load(); n != c.arrive {
			t.Errorf("%s: %d requests arrived, want %d", c.name, n, c.arrive)
		}
		proxy.Release()
		if n := arrived.Load(); n != c.arrive+c.late {
			t.Errorf("%s: %d requests arrived in the end", c.name, n)
		}
		if proxy.Calm() {
			t.Errorf("%s: it is still to happen", c.name)
		}
	}
	proxy.Again()
	if n := arrived.Load(); n != 2 {
		t.Errorf("again: %d requests arrived", n)
	}
}

func TestTheProxyRefusesAConnectionThatIsToStay(t *testing.T) {
	w := newWorld(t, false, mountNative(firstUse))
	defer w.end()
	resp, err := http.Get(w.proxy.URL())
	if err != nil || resp.StatusCode != http.StatusHTTPVersionNotSupported {
		t.Fatalf("%v, %v", resp, err)
	}
	resp.Body.Close()
}

func TestTheStoreFailsWhereItIsTold(t *testing.T) {
	w := newWorld(t, false, mountNative(firstUse))
	defer w.end()
	ctx := t.Context()
	id := w.issue(remint.Spec{}).Token.ID()
	for name, call := range map[string]func() error{
		"Load":   func() error { _, err := w.store.Load(ctx, id); return err },
		"Commit": func() error { return w.store.Commit(ctx, remint.Batch{}) },
		"List":   func() error { _, err := w.store.List(ctx, "acme", remint.ID{}, remint.ID{}, 1); return err },
		"Scan":   func() error { _, err := w.store.Scan(ctx, remint.ID{}, 1); return err },
		"Due":    func() error { _, err := w.store.Due(ctx, time.Time{}, 1); return err },
		"Events": func() error { _, _, err := w.store.Events(ctx, "", 1); return err },
	} {
		for n := range 3 {
			for _, stays := range []bool{false, true} {
				w.store.Fail(chaos.Failure{N: n, Stays: stays})
				for k := range 4 {
					if err := call(); errors.Is(err, chaos.ErrStore) != (k == n || stays && k > n) {
						t.Errorf("%s, call %d of which %d fails, and stays so %t: %v", name, k, n, stays, err)
					}
				}
				if !w.store.Recover() || w.store.Recover() {
					t.Errorf("%s: it does not know that it failed", name)
				}
				if err := call(); err != nil {
					t.Errorf("%s has not recovered: %v", name, err)
				}
			}
		}
	}
}

func TestAFailureAfterTheCommitTakesEffectAndOneBeforeDoesNot(t *testing.T) {
	for _, after := range []bool{false, true} {
		w := newWorld(t, false, mountNative(firstUse))
		records, err := w.inner.Scan(t.Context(), remint.ID{}, 1)
		w.must(err)
		w.store.Fail(chaos.Failure{After: after, Stays: true})
		g, err := w.issuer.Operator("test").Issue(t.Context(), remint.Spec{})
		if !errors.Is(err, remint.ErrUnavailable) || !g.Token.IsZero() {
			t.Errorf("%v", err)
		}
		stored, err := w.inner.Scan(t.Context(), remint.ID{}, 1)
		if w.must(err); len(stored)-len(records) != map[bool]int{true: 1}[after] {
			t.Errorf("after %t: %d records", after, len(stored))
		}
		w.end()
	}
}

func TestTheCensusCountsLiveSecretsAndConfirmsNone(t *testing.T) {
	w := newWorld(t, false, mountNative(firstUse))
	defer w.end()
	op, ctx := w.issuer.Operator("test"), t.Context()
	g := w.issue(remint.Spec{})
	live := func(want int, what string) {
		t.Helper()
		n, err := w.census().Live(ctx, w.inner, w.aside...)
		if w.must(err); n != want {
			t.Errorf("%s: %d are live, want %d", what, n, want)
		}
	}
	rotate := func(r remint.Rotation) remint.Grant {
		t.Helper()
		next, err := op.Rotate(ctx, g.Token.ID(), r)
		w.must(err)
		return next
	}
	live(1, "at rest")
	_, err := op.StartSession(ctx, g.Token.ID(), remint.Session{})
	w.must(err)
	live(1, "with a session")
	next := rotate(remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Minute)})
	live(2, "before the first use")
	for range 2 {
		if !w.works(next.Secret.Reveal()) || !w.works(g.Secret.Reveal()) {
			t.Error("one of the two does not work")
		}
	}
	live(2, "after looking")
	if _, err := w.issuer.Verify(ctx, next.Secret.Reveal(), w.census().From); err != nil {
		t.Error(err)
	}
	third := rotate(remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Minute)})
	live(3, "of three generations")
	w.clock.Advance(2 * time.Minute)
	live(2, "after the first grace")
	fourth := rotate(remint.Rotation{})
	live(1, "at once")
	if _, err := w.issuer.Verify(ctx, fourth.Secret.Reveal(), w.census().From); err != nil {
		t.Error(err)
	}
	if w.works(third.Secret.Reveal()) || w.works(strings.Repeat("x", 30)) {
		t.Error("what is replaced works, or garbage does")
	}
	rotate(remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(time.Hour)})
	live(2, "with a successor")
	w.aside = append(w.aside, g.Token.ID())
	live(1, "of the successor")
}
