package remint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
	"github.com/remint-go/remint/store/storetest"
)

// A key that is long enough for whoever was retired.
const longKey = "8f2c1d7e-0b6a-4c7e-9d3f-2a1b0c9d8e7f"

// retrying is the bearer of g with a key.
func (w *lawWorld) retrying(g remint.Grant, key string) remint.Actor {
	return w.bearer(g).WithRetryKey(key, 0)
}

// A granting is an operation that hands out a secret; each is tried with the same tests.
var grantings = []struct {
	name string
	do   func(ctx context.Context, a remint.Actor, target remint.ID) (remint.Grant, error)
}{
	{"Issue", func(ctx context.Context, a remint.Actor, _ remint.ID) (remint.Grant, error) {
		return a.Issue(ctx, remint.Spec{Name: "made", Capabilities: remint.Allow("a")})
	}},
	{"StartSession", func(ctx context.Context, a remint.Actor, id remint.ID) (remint.Grant, error) {
		return a.StartSession(ctx, id, remint.Session{Lifetime: time.Hour})
	}},
	{"Rotate at once", func(ctx context.Context, a remint.Actor, id remint.ID) (remint.Grant, error) {
		return a.Rotate(ctx, id, remint.Rotation{})
	}},
	{"Rotate after a time", func(ctx context.Context, a remint.Actor, id remint.ID) (remint.Grant, error) {
		return a.Rotate(ctx, id, remint.Rotation{Retire: remint.RetireAfter(time.Minute)})
	}},
	{"Rotate after first use", func(ctx context.Context, a remint.Actor, id remint.ID) (remint.Grant, error) {
		return a.Rotate(ctx, id, remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
	}},
	{"Rotate to a successor", func(ctx context.Context, a remint.Actor, id remint.ID) (remint.Grant, error) {
		return a.Rotate(ctx, id, remint.Rotation{Successor: &remint.Successor{}})
	}},
	{"Rotate to a successor later", func(ctx context.Context, a remint.Actor, id remint.ID) (remint.Grant, error) {
		return a.Rotate(ctx, id, remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(time.Hour)})
	}},
}

// It fails without the answer to a bearer whose own rotation stopped it, and without the grant that
// is sealed in the bearer's record (internal/mutants).
func TestARetryIsAnsweredWithTheSameGrant(t *testing.T) {
	for _, g := range grantings {
		for _, self := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, self %v", g.name, self), func(t *testing.T) {
				w := newLawWorld(t, remint.Options{Peppers: [][]byte{bytes.Repeat([]byte("p"), 32)}})
				ctx := t.Context()
				caller := w.issue(remint.Spec{Capabilities: remint.Allow("a", "b")})
				target := caller
				if !self {
					target = w.issue(remint.Spec{Capabilities: remint.Allow("a")})
				}
				first := w.must(g.do(ctx, w.retrying(caller, longKey), target.Token.ID()))
				for n := range 3 {
					w.now = w.now.Add(time.Minute)
					again, err := g.do(ctx, w.retrying(caller, longKey), target.Token.ID())
					if err != nil || !again.Secret.Equal(first.Secret) || again.Token.ID() != first.Token.ID() {
						t.Fatalf("retry %d: %v, %v and %v", n, err, again.Token, first.Token)
					}
					a, _ := again.Token.MarshalJSON()
					if b, _ := first.Token.MarshalJSON(); !bytes.Equal(a, b) && g.name != "Rotate after a time" {
						t.Errorf("retry %d: %s, and at first %s", n, a, b)
					}
					if e := w.seen[len(w.seen)-1]; e.Kind != remint.EventReplay || e.Token != first.Token.ID() || e.Actor != caller.Token.ID().String() || e.From != lawAddr {
						t.Errorf("retry %d: the event %+v", n, e)
					}
				}
				for _, e := range w.seen {
					if e.Kind == remint.EventReuse {
						t.Errorf("a retry of one's own was taken for a reuse: %+v", e)
					}
				}
				w.works(first, "what was handed out again")
				_, err := g.do(ctx, w.retrying(caller, longKey), target.Token.ID())
				if !errors.Is(err, remint.ErrConflict) && !errors.Is(err, remint.ErrDenied) {
					t.Errorf("after its first use: %v", err)
				}
			})
		}
	}
}

func TestARetryEndsWithItsWindow(t *testing.T) {
	for _, c := range []struct {
		within, retryWindow, want time.Duration
	}{{0, 0, 10 * time.Minute}, {time.Minute, 0, time.Minute}, {time.Hour, 0, 10 * time.Minute}, {0, time.Hour, time.Hour}} {
		w := newLawWorld(t, remint.Options{RetryWindow: c.retryWindow})
		ctx := t.Context()
		caller := w.issue(remint.Spec{Capabilities: remint.Allow("a")})
		me := w.bearer(caller).WithRetryKey(longKey, c.within)
		first := w.must(me.Rotate(ctx, caller.Token.ID(), remint.Rotation{}))
		w.now = w.now.Add(c.want - time.Microsecond)
		if again := w.must(me.Rotate(ctx, caller.Token.ID(), remint.Rotation{})); !again.Secret.Equal(first.Secret) {
			t.Error("another secret")
		}
		w.now = w.now.Add(time.Microsecond)
		_, err := me.Rotate(ctx, caller.Token.ID(), remint.Rotation{})
		w.is(err, remint.ErrDenied, fmt.Sprintf("after %v", c.want))
		w.works(first, "the new secret")

		// A live bearer's key is a new one then.
		caller = w.issue(remint.Spec{Capabilities: remint.Allow("a")})
		me = w.bearer(caller).WithRetryKey(longKey, c.within)
		one := w.must(me.Issue(ctx, remint.Spec{}))
		w.now = w.now.Add(c.want)
		if two := w.must(me.Issue(ctx, remint.Spec{})); two.Token.ID() == one.Token.ID() {
			t.Error("the window did not end")
		}
	}
}

func TestOnlyTheSameRequestIsAnsweredAgain(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	caller := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	var a, b remint.Grant
	at := w.now.Add(time.Hour)
	never := time.Time{}
	requests := map[string]func(remint.Actor) (remint.Grant, error){
		"issue":             func(x remint.Actor) (remint.Grant, error) { return x.Issue(ctx, remint.Spec{}) },
		"issue a name":      func(x remint.Actor) (remint.Grant, error) { return x.Issue(ctx, remint.Spec{Name: "n"}) },
		"issue a text":      func(x remint.Actor) (remint.Grant, error) { return x.Issue(ctx, remint.Spec{Description: "n"}) },
		"issue an end":      func(x remint.Actor) (remint.Grant, error) { return x.Issue(ctx, remint.Spec{ExpiresAt: at}) },
		"issue another end": func(x remint.Actor) (remint.Grant, error) { return x.Issue(ctx, remint.Spec{ExpiresAt: at.Add(1)}) },
		"issue a capability": func(x remint.Actor) (remint.Grant, error) {
			return x.Issue(ctx, remint.Spec{Capabilities: remint.Allow("a")})
		},
		"issue two": func(x remint.Actor) (remint.Grant, error) {
			return x.Issue(ctx, remint.Spec{Capabilities: remint.Allow("a", "b")})
		},
		"issue networks": func(x remint.Actor) (remint.Grant, error) {
			return x.Issue(ctx, remint.Spec{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
		},
		"issue below":    func(x remint.Actor) (remint.Grant, error) { return x.Issue(ctx, remint.Spec{Parent: a.Token.ID()}) },
		"issue a prefix": func(x remint.Actor) (remint.Grant, error) { return x.Issue(ctx, remint.Spec{Prefix: "rmt_"}) },
		"session":        func(x remint.Actor) (remint.Grant, error) { return x.StartSession(ctx, a.Token.ID(), remint.Session{}) },
		"session of b":   func(x remint.Actor) (remint.Grant, error) { return x.StartSession(ctx, b.Token.ID(), remint.Session{}) },
		"session that may": func(x remint.Actor) (remint.Grant, error) {
			return x.StartSession(ctx, a.Token.ID(), remint.Session{Manages: true})
		},
		"short session": func(x remint.Actor) (remint.Grant, error) {
			return x.StartSession(ctx, a.Token.ID(), remint.Session{Lifetime: time.Hour})
		},
		"rotate":   func(x remint.Actor) (remint.Grant, error) { return x.Rotate(ctx, a.Token.ID(), remint.Rotation{}) },
		"rotate b": func(x remint.Actor) (remint.Grant, error) { return x.Rotate(ctx, b.Token.ID(), remint.Rotation{}) },
		"keep sessions": func(x remint.Actor) (remint.Grant, error) {
			return x.Rotate(ctx, a.Token.ID(), remint.Rotation{KeepSessions: true})
		},
		"after a minute": func(x remint.Actor) (remint.Grant, error) {
			return x.Rotate(ctx, a.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Minute)})
		},
		"after two": func(x remint.Actor) (remint.Grant, error) {
			return x.Rotate(ctx, a.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(2 * time.Minute)})
		},
		"after a first use": func(x remint.Actor) (remint.Grant, error) {
			return x.Rotate(ctx, a.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Minute)})
		},
		"at": func(x remint.Actor) (remint.Grant, error) {
			return x.Rotate(ctx, a.Token.ID(), remint.Rotation{Retire: remint.RetireAt(at)})
		},
		"a successor": func(x remint.Actor) (remint.Grant, error) {
			return x.Rotate(ctx, a.Token.ID(), remint.Rotation{Successor: &remint.Successor{}})
		},
		"a successor that never ends": func(x remint.Actor) (remint.Grant, error) {
			return x.Rotate(ctx, a.Token.ID(), remint.Rotation{Successor: &remint.Successor{ExpiresAt: &never}})
		},
		"another": func(x remint.Actor) (remint.Grant, error) {
			return x.Rotate(ctx, a.Token.ID(), remint.Rotation{Successor: &remint.Successor{Spec: &remint.Spec{}}})
		},
		"another that inherits": func(x remint.Actor) (remint.Grant, error) {
			return x.Rotate(ctx, a.Token.ID(), remint.Rotation{Successor: &remint.Successor{Spec: &remint.Spec{}, Inherit: true}})
		},
	}
	for name, do := range requests {
		a, b = w.issue(remint.Spec{Capabilities: remint.Allow("a")}), w.issue(remint.Spec{Capabilities: remint.Allow("a")})
		me := w.retrying(caller, "key for "+name)
		w.must(do(me))
		before := len(w.store.batches)
		for other, again := range requests {
			if other == name {
				continue
			}
			var input *remint.InputError
			if _, err := again(me); !errors.As(err, &input) || input.Field != "WithRetryKey.key" {
				t.Errorf("%s with the key of %s: %v", other, name, err)
			}
		}
		if len(w.store.batches) != before {
			t.Errorf("what was refused after %s was stored", name)
		}
		if _, err := do(me); err != nil {
			t.Errorf("%s again: %v", name, err)
		}
	}
	// Another key, and another bearer with the same one, are other requests.
	one := w.must(w.retrying(caller, "one").Issue(ctx, remint.Spec{}))
	if two := w.must(w.retrying(caller, "two").Issue(ctx, remint.Spec{})); two.Token.ID() == one.Token.ID() {
		t.Error("another key was answered with the same grant")
	}
	other := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	if two := w.must(w.retrying(other, "one").Issue(ctx, remint.Spec{})); two.Token.ID() == one.Token.ID() {
		t.Error("another bearer was answered with the same grant")
	}
	if two := w.must(w.bearer(caller).Issue(ctx, remint.Spec{})); two.Token.ID() == one.Token.ID() {
		t.Error("without a key it was answered with the same grant")
	}
}

// It fails without the repeat by whom the rotation has retired, and without the length of a key
// with which somebody retired may repeat (internal/mutants).
func TestWhoeverARotationRetiredMayRepeatItAndNothingElse(t *testing.T) {
	type world struct {
		*lawWorld
		caller, target remint.Grant // the presented, and what it rotates
	}
	for _, c := range []struct {
		name string
		make func(w *lawWorld) (caller, target remint.Grant)
		how  remint.Rotation
	}{
		{"its own secret", func(w *lawWorld) (a, b remint.Grant) {
			a = w.issue(remint.Spec{Capabilities: remint.Allow("*")})
			return a, a
		}, remint.Rotation{}},
		{"its own token", func(w *lawWorld) (a, b remint.Grant) {
			a = w.issue(remint.Spec{Capabilities: remint.Allow("*")})
			return a, a
		}, remint.Rotation{Successor: &remint.Successor{}}},
		{"a session that manages", func(w *lawWorld) (a, b remint.Grant) {
			b = w.issue(remint.Spec{Capabilities: remint.Allow("*")})
			return w.must(w.op.StartSession(w.Context(), b.Token.ID(), remint.Session{Manages: true})), b
		}, remint.Rotation{}},
		{"a session whose parent has a successor", func(w *lawWorld) (a, b remint.Grant) {
			b = w.issue(remint.Spec{Capabilities: remint.Allow("*")})
			return w.must(w.op.StartSession(w.Context(), b.Token.ID(), remint.Session{Manages: true})), b
		}, remint.Rotation{Successor: &remint.Successor{}}},
	} {
		rotated := func(t *testing.T, key string) (world, remint.Actor, remint.Grant) {
			w := newLawWorld(t, remint.Options{})
			caller, target := c.make(w)
			me := w.retrying(caller, key)
			g := w.must(me.Rotate(t.Context(), target.Token.ID(), c.how))
			w.fails(caller, "what was retired")
			return world{w, caller, target}, me, g
		}
		again := func(w world, me remint.Actor) (remint.Grant, error) {
			return me.Rotate(w.Context(), w.target.Token.ID(), c.how)
		}
		t.Run(c.name, func(t *testing.T) {
			w, me, first := rotated(t, longKey)
			ctx := t.Context()
			got, err := again(w, me)
			if err != nil || !got.Secret.Equal(first.Secret) {
				t.Fatalf("the repeat: %v", err)
			}
			before := len(w.store.batches)
			for name, do := range map[string]func() error{
				"without the key":  func() error { _, err := again(w, w.bearer(w.caller)); return err },
				"with another key": func() error { _, err := again(w, w.retrying(w.caller, longKey+"x")); return err },
				"another rotation": func() error {
					_, err := me.Rotate(ctx, w.target.Token.ID(), remint.Rotation{KeepSessions: c.how.Successor == nil, Retire: remint.RetireAfter(1)})
					return err
				},
				"the new token": func() error {
					_, err := me.Rotate(ctx, first.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(1)})
					return err
				},
				"issuing":            func() error { _, err := me.Issue(ctx, remint.Spec{}); return err },
				"starting a session": func() error { _, err := me.StartSession(ctx, first.Token.ID(), remint.Session{}); return err },
				"getting":            func() error { _, err := me.Get(ctx, first.Token.ID()); return err },
				"revoking":           func() error { return me.Revoke(ctx, first.Token.ID()) },
				"ending sessions":    func() error { return me.EndSessions(ctx, first.Token.ID()) },
				"updating": func() error {
					_, err := me.Update(ctx, first.Token.ID(), func(*remint.Spec) error { return nil })
					return err
				},
				"cancelling": func() error { _, err := me.CancelRotation(ctx, w.target.Token.ID()); return err },
				"finishing":  func() error { _, err := me.FinishRotation(ctx, w.target.Token.ID()); return err },
				"verifying": func() error {
					_, err := w.issuer.Verify(ctx, w.caller.Secret.Reveal(), lawAddr)
					return err
				},
			} {
				if err := do(); !errors.Is(err, remint.ErrDenied) {
					t.Errorf("%s: %v", name, err)
				}
			}
			for _, b := range w.store.batches[before:] {
				for _, e := range b.Log {
					if e.Kind != remint.EventReuse {
						t.Errorf("%s changed something", e.Kind)
					}
				}
			}
			got, err = again(w, me)
			if err != nil || !got.Secret.Equal(first.Secret) {
				t.Errorf("the repeat, after all that: %v", err)
			}
		})
		for name, spoil := range map[string]func(w world, g remint.Grant){
			"the new secret was used":      func(w world, g remint.Grant) { w.works(g, "it") },
			"it was rotated again":         func(w world, g remint.Grant) { w.must(w.op.Rotate(w.Context(), g.Token.ID(), remint.Rotation{})) },
			"it was revoked":               func(w world, g remint.Grant) { w.revoke(g) },
			"what was rotated was revoked": func(w world, g remint.Grant) { w.revoke(w.target) },
			"the caller was revoked":       func(w world, g remint.Grant) { w.revoke(w.caller) },
			"the sessions were ended":      func(w world, g remint.Grant) { w.end(w.target); w.end(w.caller) },
			"the window is over":           func(w world, g remint.Grant) { w.now = w.now.Add(10 * time.Minute) },
		} {
			if name == "the sessions were ended" && !strings.HasPrefix(c.name, "a session") {
				continue // there is none
			}
			t.Run(c.name+", but "+name, func(t *testing.T) {
				w, me, g := rotated(t, longKey)
				spoil(w, g)
				_, err := again(w, me)
				w.is(err, remint.ErrDenied, "the repeat")
			})
		}
		t.Run(c.name+", with a short key", func(t *testing.T) {
			w, me, _ := rotated(t, strings.Repeat("k", 21))
			_, err := again(w, me)
			w.is(err, remint.ErrDenied, "the repeat")
		})
		t.Run(c.name+", from elsewhere", func(t *testing.T) {
			w := newLawWorld(t, remint.Options{})
			caller, target := c.make(w)
			if _, err := w.op.Update(t.Context(), target.Token.ID(), func(s *remint.Spec) error {
				s.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if caller.Token.IsSession() {
				caller = w.must(w.op.StartSession(t.Context(), target.Token.ID(), remint.Session{Manages: true}))
			}
			me := w.retrying(caller, longKey)
			first := w.must(me.Rotate(t.Context(), target.Token.ID(), c.how))
			_, err := w.issuer.Bearer(caller.Secret.Reveal(), netip.MustParseAddr("198.51.100.1")).WithRetryKey(longKey, 0).Rotate(t.Context(), target.Token.ID(), c.how)
			w.is(err, remint.ErrDenied, "the repeat from another network")
			if again := w.must(me.Rotate(t.Context(), target.Token.ID(), c.how)); !again.Secret.Equal(first.Secret) {
				t.Error("another secret")
			}
		})
	}
}

func (w *lawWorld) revoke(g remint.Grant) {
	w.Helper()
	if err := w.op.Revoke(w.Context(), g.Token.ID()); err != nil {
		w.Fatal(err)
	}
}

func (w *lawWorld) end(g remint.Grant) {
	w.Helper()
	if err := w.op.EndSessions(w.Context(), g.Token.ID()); err != nil {
		w.Fatal(err)
	}
}

func TestAReplayIsJudgedByWhatItsBearerMayNow(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	caller := w.issue(remint.Spec{Capabilities: remint.Allow("a", "b")})
	me := w.retrying(caller, longKey)
	spec := remint.Spec{Capabilities: remint.Allow("b")}
	w.must(me.Issue(ctx, spec))
	if _, err := w.op.Update(ctx, caller.Token.ID(), func(s *remint.Spec) error { s.Capabilities = remint.Allow("a"); return nil }); err != nil {
		t.Fatal(err)
	}
	_, err := me.Issue(ctx, spec)
	w.is(err, remint.ErrForbidden, "what the bearer lost since")
	_, err = w.retrying(caller, longKey).Needing("b").Issue(ctx, spec)
	w.is(err, remint.ErrMissingCapability, "a need that it lost since")

	// In its retirement, after the new secret was used, it only authenticates.
	old := w.issue(remint.Spec{Capabilities: remint.Allow("a")})
	retrying := w.retrying(old, longKey)
	w.must(retrying.Issue(ctx, remint.Spec{}))
	next := w.must(w.op.Rotate(ctx, old.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)}))
	w.works(next, "the new secret")
	_, err = retrying.Issue(ctx, remint.Spec{})
	w.is(err, remint.ErrForbidden, "a secret that only authenticates")
}

func TestOfManyEqualRequestsWithOneKeyOneIsDone(t *testing.T) {
	for _, g := range grantings {
		t.Run(g.name, func(t *testing.T) {
			issuer, err := remint.New(new(store.Memory), nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx := t.Context()
			caller, err := issuer.Operator("op").Issue(ctx, remint.Spec{Capabilities: remint.Allow("a", "b")})
			if err != nil {
				t.Fatal(err)
			}
			me := issuer.Bearer(caller.Secret.Reveal(), lawAddr).WithRetryKey(longKey, 0)
			var wg sync.WaitGroup
			got := make([]remint.Grant, 32)
			for n := range got {
				wg.Go(func() {
					var err error
					if got[n], err = g.do(ctx, me, caller.Token.ID()); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			for _, x := range got {
				if !x.Secret.Equal(got[0].Secret) {
					t.Fatal("two secrets")
				}
			}
		})
	}
}

func TestAStoreThatFailsInARetryIsUnavailableAndNeverADenial(t *testing.T) {
	for _, g := range grantings {
		for _, when := range []storetest.When{storetest.Before, storetest.After} {
			for n := 0; ; n++ {
				w := newLawWorld(t, remint.Options{})
				caller := w.issue(remint.Spec{Capabilities: remint.Allow("a", "b")})
				first := w.must(g.do(t.Context(), w.retrying(caller, longKey), caller.Token.ID()))
				faulty := storetest.Faulty(w.store, n, when)
				issuer, err := remint.New(faulty, &remint.Options{Now: func() time.Time { return w.now }})
				if err != nil {
					t.Fatal(err)
				}
				again, err := g.do(t.Context(), issuer.Bearer(caller.Secret.Reveal(), lawAddr).WithRetryKey(longKey, 0), caller.Token.ID())
				if err == nil {
					if !again.Secret.Equal(first.Secret) {
						t.Errorf("%s, fault %d: another secret", g.name, n)
					}
					if n > 20 {
						t.Fatal("it never fails")
					}
					if n > 6 {
						break
					}
					continue
				}
				if !errors.Is(err, remint.ErrUnavailable) {
					t.Errorf("%s, fault %d: %v", g.name, n, err)
				}
				if again := w.must(g.do(t.Context(), w.retrying(caller, longKey), caller.Token.ID())); !again.Secret.Equal(first.Secret) {
					t.Errorf("%s, after fault %d: another secret", g.name, n)
				}
			}
		}
	}
}

func TestWhatIsSealedIsNoCredentialAndNoSecretAtRest(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	caller := w.issue(remint.Spec{Capabilities: remint.Allow("a")})
	grant := w.must(w.retrying(caller, longKey).Rotate(ctx, caller.Token.ID(), remint.Rotation{}))
	var stored []byte
	records, err := w.store.Scan(ctx, remint.ID{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		stored, _ = r.AppendBinary(stored)
	}
	secret := grant.Secret.Reveal()
	for name, text := range map[string]string{"the secret": secret[30 : len(secret)-6], "the old one": caller.Secret.Reveal()[30:73], "the key": longKey} {
		if bytes.Contains(stored, []byte(text)) {
			t.Errorf("the store has %s", name)
		}
	}
	if text := fmt.Sprintf("%+v %#v", w.retrying(caller, longKey), w.retrying(caller, longKey)); strings.Contains(text, longKey) {
		t.Error("an Actor prints its key")
	}
}

func TestOnlyTheNewestEightGrantsAreKept(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	caller := w.issue(remint.Spec{Capabilities: remint.Allow("a")})
	var made []remint.Grant
	for n := range 9 {
		made = append(made, w.must(w.retrying(caller, fmt.Sprint("key ", n)).Issue(ctx, remint.Spec{})))
	}
	for n := 8; n > 0; n-- {
		if again := w.must(w.retrying(caller, fmt.Sprint("key ", n)).Issue(ctx, remint.Spec{})); again.Token.ID() != made[n].Token.ID() {
			t.Errorf("the grant of key %d is gone", n)
		}
	}
	if again := w.must(w.retrying(caller, "key 0").Issue(ctx, remint.Spec{})); again.Token.ID() == made[0].Token.ID() {
		t.Error("the oldest is kept")
	}
}

func TestARetryKeyThatCannotBeUsedIsAnInputError(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	caller := w.issue(remint.Spec{})
	for name, a := range map[string]remint.Actor{
		"WithRetryKey of an operator":              w.op.WithRetryKey(longKey, 0),
		"WithRetryKey of a member":                 w.issuer.Member("o", "m", remint.Allow("*")).WithRetryKey(longKey, 0),
		"WithRetryKey.key that is empty":           w.retrying(caller, ""),
		"WithRetryKey.key that is long":            w.retrying(caller, strings.Repeat("k", 256)),
		"WithRetryKey.within that is negative":     w.bearer(caller).WithRetryKey(longKey, -1),
		"WithRetryKey.within that is a nanosecond": w.bearer(caller).WithRetryKey(longKey, 1),
	} {
		for _, op := range operations {
			var input *remint.InputError
			if err := op.do(t.Context(), a, caller.Token.ID()); op.name != "Rotate to a Spec" && (!errors.As(err, &input) || !strings.HasPrefix(name, input.Field)) {
				t.Errorf("%s, %s: %v", name, op.name, err)
			}
		}
	}
}

func TestASuccessorInheritsTheBoundsThatItsSpecDoesNotName(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	networks := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	old := w.issue(remint.Spec{Capabilities: remint.Allow("a"), Networks: networks, Attributes: map[string]string{"plan": "free"}})
	for _, inherit := range []bool{false, true} {
		g := w.must(w.op.Rotate(ctx, old.Token.ID(), remint.Rotation{
			Successor: &remint.Successor{Spec: &remint.Spec{Name: "next"}, Inherit: inherit}, Retire: remint.RetireAfter(time.Hour),
		}))
		spec := g.Token.Spec()
		if got := len(spec.Networks) == 1 && spec.Attributes["plan"] == "free"; got != inherit || spec.Name != "next" || spec.Capabilities.Len() != 0 {
			t.Errorf("Inherit %v: %+v", inherit, spec)
		}
	}
	narrower := []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}
	g := w.must(w.op.Rotate(ctx, old.Token.ID(), remint.Rotation{
		Successor: &remint.Successor{Spec: &remint.Spec{Networks: narrower, Attributes: map[string]string{"plan": "paid"}}, Inherit: true},
	}))
	if spec := g.Token.Spec(); spec.Networks[0] != narrower[0] || spec.Attributes["plan"] != "paid" {
		t.Errorf("what the Spec names: %+v", spec)
	}
}

func TestAReplacedSecretThatComesBackIsClassified(t *testing.T) {
	w := newLawWorld(t, remint.Options{RetryWindow: 10 * time.Minute})
	ctx := t.Context()
	g := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	me := w.retrying(g, longKey)
	how := remint.Rotation{Retire: remint.RetireAfter(time.Minute)}
	next := w.must(me.Rotate(ctx, g.Token.ID(), how))
	last := func() remint.Event {
		for k := len(w.seen) - 1; k >= 0; k-- {
			if e := w.seen[k]; e.Kind == remint.EventVerify || e.Kind == remint.EventReplay || e.Kind == remint.EventReuse {
				return e
			}
		}
		return remint.Event{}
	}
	is := func(kind remint.EventKind, reason string, generation uint64, age time.Duration, what string) {
		t.Helper()
		if e := last(); e.Kind != kind || e.Reason != reason || e.Generation != generation || e.Age != age {
			t.Errorf("%s: %+v", what, e)
		}
	}
	w.must(me.Rotate(ctx, g.Token.ID(), how))
	is(remint.EventReplay, remint.ReasonRetry, 2, 0, "a retry")
	w.works(g, "the old secret")
	is(remint.EventVerify, remint.ReasonGrace, 1, 0, "a straggler, before the new secret was used")
	w.works(next, "the new secret")
	is(remint.EventVerify, "", 2, 0, "the new secret")
	w.works(g, "the old secret")
	is(remint.EventVerify, remint.ReasonGrace, 1, 0, "a straggler")
	w.now = w.now.Add(11 * time.Minute)
	w.fails(g, "the old secret")
	is(remint.EventReuse, remint.ReasonStale, 1, 10*time.Minute, "a deployment that has not heard of it")
	w.now = w.now.Add(time.Microsecond)
	w.fails(g, "the old secret")
	is(remint.EventReuse, remint.ReasonOld, 1, 10*time.Minute+time.Microsecond, "something old")
}

func TestARepeatWithoutAKeyIsOneWhileItIsHarmless(t *testing.T) {
	ctx := t.Context()
	for _, g := range grantings {
		t.Run(g.name, func(t *testing.T) {
			w := newLawWorld(t, remint.Options{})
			caller := w.issue(remint.Spec{Capabilities: remint.Allow("a", "b")})
			target := w.issue(remint.Spec{Capabilities: remint.Allow("a")})
			do := func() remint.Grant {
				t.Helper()
				return w.must(g.do(ctx, w.bearer(caller).Repeatable(30*time.Second), target.Token.ID()))
			}
			first := do()
			w.now = w.now.Add(30*time.Second - time.Microsecond)
			if again := do(); !again.Secret.Equal(first.Secret) {
				t.Error("within the time: another secret")
			}
			w.now = w.now.Add(time.Microsecond)
			later := do()
			if later.Secret.Equal(first.Secret) {
				t.Error("after the time: the same secret")
			}
			w.works(later, "it")
			// It was used: what follows is a request like any other.
			again, err := g.do(ctx, w.bearer(caller).Repeatable(30*time.Second), target.Token.ID())
			if err != nil {
				w.is(err, remint.ErrConflict, "after its use")
			} else if again.Secret.Equal(later.Secret) {
				t.Error("after its use: the same secret")
			}
		})
	}
}

func TestARepeatWithoutAKeyServesNobodyWhoIsBeingRetired(t *testing.T) {
	ctx := t.Context()
	for _, g := range grantings[2:] { // the rotations
		t.Run(g.name, func(t *testing.T) {
			w := newLawWorld(t, remint.Options{})
			caller := w.issue(remint.Spec{Capabilities: remint.Allow("a")})
			me := w.bearer(caller).Repeatable(30 * time.Second)
			first := w.must(g.do(ctx, me, caller.Token.ID()))
			again, err := g.do(ctx, me, caller.Token.ID())
			if err == nil && again.Secret.Equal(first.Secret) {
				t.Error("whoever has the old secret gets the new one")
			}
			if err != nil {
				w.is(err, remint.ErrDenied, "the repeat")
			}
		})
	}
	// And what it did before it was.
	w := newLawWorld(t, remint.Options{})
	caller := w.issue(remint.Spec{Capabilities: remint.Allow("a")})
	me := w.bearer(caller).Repeatable(30 * time.Second)
	first := w.must(me.Issue(ctx, remint.Spec{}))
	w.must(w.op.Rotate(ctx, caller.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)}))
	if again := w.must(me.Issue(ctx, remint.Spec{})); again.Secret.Equal(first.Secret) {
		t.Error("a secret that is being retired is handed what was issued before")
	}
}

func TestARepeatWithoutAKeyIsNotAnotherRequest(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	me := w.bearer(w.issue(remint.Spec{Capabilities: remint.Allow("*")})).Repeatable(time.Minute)
	a, b := w.must(me.Issue(ctx, remint.Spec{Name: "a"})), w.must(me.Issue(ctx, remint.Spec{Name: "b"}))
	if a.Token.ID() == b.Token.ID() || b.Token.Name() != "b" {
		t.Error("another request was taken for a repeat")
	}
	if again := w.must(me.Issue(ctx, remint.Spec{Name: "a"})); !again.Secret.Equal(a.Secret) {
		t.Error("the first is forgotten")
	}
}

// A rotation that has lapsed has replaced nothing, whether or not that was written down since.
func TestABearerWhoseRotationHasLapsedIsRepeatedAsBefore(t *testing.T) {
	for _, written := range []bool{false, true} {
		for _, session := range []bool{false, true} {
			ctx := t.Context()
			w := newLawWorld(t, remint.Options{})
			boss := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
			text := boss.Secret.Reveal()
			w.works(boss, "boss")
			if session {
				s := w.must(w.issuer.Bearer(text, lawAddr).StartSession(ctx, boss.Token.ID(), remint.Session{Manages: true, Lifetime: 100 * 24 * time.Hour}))
				text = s.Secret.Reveal()
				w.works(s, "session")
			}
			target := w.issue(remint.Spec{})
			w.must(w.op.Rotate(ctx, boss.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0), KeepSessions: true}))
			w.now = w.now.AddDate(0, 1, 0)
			if written { // any change of its record
				if _, err := w.op.Update(ctx, boss.Token.ID(), func(s *remint.Spec) error { s.Name = "boss"; return nil }); err != nil {
					t.Fatal(err)
				}
			}
			again := w.issuer.Bearer(text, lawAddr).Repeatable(time.Minute)
			how := remint.Rotation{Successor: &remint.Successor{}}
			first := w.must(again.Rotate(ctx, target.Token.ID(), how))
			second := w.must(again.Rotate(ctx, target.Token.ID(), how))
			if first.Secret.Reveal() != second.Secret.Reveal() {
				t.Errorf("written %v, session %v: the repeat made another secret", written, session)
			}
		}
	}
}
