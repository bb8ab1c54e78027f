package remint_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// A replaced secret comes back: who presents it is a retry, a straggler, a deployment that has not
// heard of the rotation, or somebody who found something old.

// came does something, and returns what was told of the secret that came back, and how many
// events were stored.
func (w *lawWorld) came(do func()) (told []string, stored int) {
	w.Helper()
	w.seen, w.store.batches = nil, nil
	do()
	for _, e := range w.seen {
		if e.Kind != remint.EventDeny {
			told = append(told, fmt.Sprintf("%s %s #%d %v", e.Kind, e.Reason, e.Generation, e.Age))
		}
	}
	for _, b := range w.store.batches {
		stored += len(b.Log)
	}
	return told, stored
}

// reuseRotations are all after which the old secret stops a minute after the first use of the new
// one, which is at once.
var reuseRotations = map[string]remint.Rotation{
	"an overlap":                    {Retire: remint.RetireAfter(time.Minute)},
	"the first use":                 {Retire: remint.RetireAfterFirstUse(time.Minute)},
	"a successor, an overlap":       {Retire: remint.RetireAfter(time.Minute), Successor: &remint.Successor{}},
	"a successor and its first use": {Retire: remint.RetireAfterFirstUse(time.Minute), Successor: &remint.Successor{}},
}

// It fails without the time since when a secret does not work (internal/mutants).
func TestEachClassOfReuseIsOneEventWithItsGenerationAgeAndReason(t *testing.T) {
	for name, how := range reuseRotations {
		t.Run(name, func(t *testing.T) {
			w := newLawWorld(t, remint.Options{RetryWindow: 10 * time.Minute})
			ctx := t.Context()
			// Of the fourth generation, so that it is told from the first.
			old := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
			id := old.Token.ID()
			for range 3 {
				old = w.must(w.op.Rotate(ctx, id, remint.Rotation{}))
			}
			w.works(old, "the fourth")
			me := w.retrying(old, longKey)
			next := w.must(me.Rotate(ctx, id, how))
			fresh := 5
			if how.Successor != nil {
				fresh = 1
			}
			is := func(what string, stored int, do func(), want ...string) {
				t.Helper()
				if told, n := w.came(do); !slices.Equal(told, want) || n != stored {
					t.Errorf("%s: told %q and stored %d, want %q and %d", what, told, n, want, stored)
				}
			}
			again := func() { w.must(me.Rotate(ctx, id, how)) }
			works, fails := func() { w.works(old, "it") }, func() { w.fails(old, "it") }

			for range 2 {
				is("a retry", 1, again, fmt.Sprintf("replay retry #%d 0s", fresh))
			}
			w.works(next, "the new secret")
			for range 2 {
				is("a straggler", 0, works, "verify grace #4 0s")
			}
			w.now = w.now.Add(time.Minute + time.Second)
			is("a deployment that has not heard of it", 1, fails, "reuse stale #4 1s")
			is("and again", 0, fails, "reuse stale #4 1s")
			w.now = w.now.Add(10*time.Minute - time.Second)
			is("the last that is stale", 0, fails, "reuse stale #4 10m0s")
			w.now = w.now.Add(time.Microsecond)
			is("the first that is old", 0, fails, "reuse old #4 10m0.000001s")
			is("the same of a bearer", 0, func() {
				if _, err := me.Get(ctx, id); !errors.Is(err, remint.ErrDenied) {
					t.Error(err)
				}
			}, "reuse old #4 10m0.000001s")
			is("its rotation, repeated too late", 0, func() {
				if _, err := me.Rotate(ctx, id, how); !errors.Is(err, remint.ErrDenied) {
					t.Error(err)
				}
			}, "reuse old #4 10m0.000001s")
			w.works(next, "the new secret")
		})
	}
}

func TestTheFirstPresentationIsStoredOfWhateverClassItIs(t *testing.T) {
	for _, age := range []time.Duration{0, 10 * time.Minute, 10*time.Minute + 1000, 24 * time.Hour} {
		w := newLawWorld(t, remint.Options{})
		old := w.issue(remint.Spec{})
		w.works(w.must(w.op.Rotate(t.Context(), old.Token.ID(), remint.Rotation{})), "the new secret")
		w.now = w.now.Add(age)
		reason := remint.ReasonStale
		if age > 10*time.Minute {
			reason = remint.ReasonOld
		}
		want := fmt.Sprintf("reuse %s #1 %v", reason, age)
		for n := range 3 {
			told, stored := w.came(func() { w.fails(old, "it") })
			if len(told) != 1 || told[0] != want || (stored == 1) != (n == 0) {
				t.Errorf("presentation %d after %v: told %q, stored %d", n+1, age, told, stored)
			}
		}
	}
}

func TestWhatASecondRotationCutOffInItsGraceIsAReuseFromThen(t *testing.T) {
	for _, how := range []remint.Rotation{{}, {Retire: remint.RetireAfter(time.Hour)}, {Retire: remint.RetireAfterFirstUse(time.Hour)}} {
		w := newLawWorld(t, remint.Options{})
		ctx := t.Context()
		old := w.issue(remint.Spec{})
		id := old.Token.ID()
		w.works(w.must(w.op.Rotate(ctx, id, remint.Rotation{Retire: remint.RetireAfter(time.Hour)})), "the second")
		w.works(old, "the first, in its grace")
		w.works(w.must(w.op.Rotate(ctx, id, how)), "the third")
		w.now = w.now.Add(time.Minute)
		told, stored := w.came(func() { w.fails(old, "the first") })
		if !slices.Equal(told, []string{"reuse stale #1 1m0s"}) || stored != 1 {
			t.Errorf("%+v: told %q, stored %d", how, told, stored)
		}
	}
}

func TestARetryWithAnotherKeyIsAReuse(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	old := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	rotate := func(key string) error {
		_, err := w.retrying(old, key).Rotate(t.Context(), old.Token.ID(), remint.Rotation{})
		return err
	}
	w.is(rotate(longKey), nil, "the rotation")
	told, stored := w.came(func() { w.is(rotate(longKey+"x"), remint.ErrDenied, "another key") })
	if !slices.Equal(told, []string{"reuse stale #1 0s"}) || stored != 1 {
		t.Errorf("told %q, stored %d", told, stored)
	}
	told, stored = w.came(func() { w.is(rotate(longKey), nil, "the repeat, after that") })
	if !slices.Equal(told, []string{"replay retry #2 0s"}) || stored != 1 {
		t.Errorf("told %q, stored %d", told, stored)
	}
}

func TestOnlyAnOldOneRevokesAndOnlyIfTheOptionSaysSo(t *testing.T) {
	for name, how := range reuseRotations {
		for _, revoke := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, RevokeOnReuse %v", name, revoke), func(t *testing.T) {
				w := newLawWorld(t, remint.Options{RevokeOnReuse: revoke})
				ctx := t.Context()
				old := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
				me := w.retrying(old, longKey)
				next := w.must(me.Rotate(ctx, old.Token.ID(), how))
				w.must(me.Rotate(ctx, old.Token.ID(), how)) // a retry
				w.works(next, "after a retry")
				w.works(old, "in its grace")
				w.works(next, "after a straggler")
				w.now = w.now.Add(time.Minute + 10*time.Minute)
				w.fails(old, "stale")
				w.works(next, "after a stale one, although that is in the log")
				w.now = w.now.Add(time.Microsecond)
				w.fails(old, "old")
				if !revoke {
					w.works(next, "the default reports")
					return
				}
				w.fails(next, "the option revokes")
				w.fails(old, "old again")
			})
		}
	}
}

// An attacker has every secret that the token ever had but the newest, and presents them in all
// ways and at the worst moments. With the default it is one stored event for each of the
// newest eight, and nothing else.
func TestAnAncientSecretIsNoDenialOfService(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	first := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	id := first.Token.ID()
	ancient := []remint.Grant{first}
	for range 11 {
		g := w.must(w.op.Rotate(ctx, id, remint.Rotation{}))
		w.works(g, "each in its turn")
		ancient = append(ancient, g)
		w.now = w.now.Add(time.Hour)
	}
	mine := ancient[11]
	ancient = ancient[:11]
	session := w.must(w.bearer(mine).StartSession(ctx, id, remint.Session{Manages: true}))
	child := w.must(w.bearer(mine).Issue(ctx, remint.Spec{Parent: id, Capabilities: remint.Allow("a")}))
	me := w.retrying(mine, longKey)
	how := remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Minute), KeepSessions: true}
	next := w.must(me.Rotate(ctx, id, how)) // in the middle of a rotation, whose answer was lost
	seen, err := w.op.Get(ctx, id)
	if err != nil {
		t.Fatal(err)
	}

	attack := func(g remint.Grant) {
		w.fails(g, "an old secret")
		them := w.bearer(g)
		for _, op := range operations {
			if err := op.do(ctx, them, id); op.name != "Rotate to a Spec" && !errors.Is(err, remint.ErrDenied) {
				t.Errorf("%s with an old secret: %v", op.name, err)
			}
		}
		if _, err := them.WithRetryKey(longKey, 0).Rotate(ctx, id, how); !errors.Is(err, remint.ErrDenied) {
			t.Errorf("a repeat with an old secret: %v", err)
		}
	}
	w.store.batches = nil
	for range 50 {
		for _, g := range ancient {
			attack(g)
		}
	}
	var stored []remint.Event
	puts := 0
	for _, b := range w.store.batches {
		stored = append(stored, b.Log...)
		puts += len(b.Put) + len(b.Delete) + len(b.Touch)
	}
	if len(w.store.batches) != 8 || len(stored) != 8 || puts != 8 {
		t.Errorf("the attacks are %d commits of %d events and %d records, want 8 of each", len(w.store.batches), len(stored), puts)
	}
	for _, e := range stored {
		if e.Kind != remint.EventReuse || e.Reason != remint.ReasonOld || e.Token != id {
			t.Errorf("the attack stored %+v", e)
		}
	}

	// Nothing but the revision is another.
	got, err := w.op.Get(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	was, is := seen.State(), got.State()
	if is.Revision != was.Revision+8 {
		t.Errorf("revision %d became %d", was.Revision, is.Revision)
	}
	was.Revision = is.Revision
	a, b := fmt.Sprintf("%+v %+v", was, seen.Spec()), fmt.Sprintf("%+v %+v", is, got.Spec())
	if a != b {
		t.Errorf("it was %s,\nand is %s", a, b)
	}
	// And nothing of the owner's has stopped: not the repeat of its rotation either.
	w.works(mine, "the owner's secret")
	w.works(session, "its session")
	w.works(child, "what it issued")
	if again := w.must(me.Rotate(ctx, id, how)); !again.Secret.Equal(next.Secret) {
		t.Error("the repeat is another secret")
	}
	w.works(next, "the new secret")
	if _, err := w.bearer(next).FinishRotation(ctx, id); err != nil {
		t.Error(err)
	}
	w.must(w.bearer(next).Rotate(ctx, id, remint.Rotation{}))
}

// The one thing that it can do: who names the revision that it saw has to look again, at most once
// for each of the eight secrets that are remembered.
func TestAnOldSecretCostsWhoNamesARevisionOneMoreLook(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	old := w.issue(remint.Spec{})
	id := old.Token.ID()
	w.works(w.must(w.op.Rotate(ctx, id, remint.Rotation{})), "the new secret")
	look := func() remint.Rotation {
		tok, err := w.op.Get(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		return remint.Rotation{IfRevision: tok.State().Revision}
	}
	how := look()
	w.fails(old, "the old secret")
	_, err := w.op.Rotate(ctx, id, how)
	w.is(err, remint.ErrConflict, "a rotation of the revision before the reuse")
	how = look()
	w.fails(old, "the old secret")
	w.must(w.op.Rotate(ctx, id, how))
}

// It is no winner either: what meets the storing of a reuse is judged again.
func TestAReuseThatIsStoredMeanwhileIsNoConflict(t *testing.T) {
	type doing func(w *lawWorld, mine remint.Grant) error
	does := map[string]doing{
		"the first use": func(w *lawWorld, mine remint.Grant) error {
			_, err := w.issuer.Verify(w.Context(), mine.Secret.Reveal(), lawAddr)
			return err
		},
		"a session": func(w *lawWorld, mine remint.Grant) error {
			_, err := w.bearer(mine).StartSession(w.Context(), mine.Token.ID(), remint.Session{})
			return err
		},
	}
	for name, how := range reuseRotations {
		does["a rotation with "+name] = func(w *lawWorld, mine remint.Grant) error {
			_, err := w.retrying(mine, longKey).Rotate(w.Context(), mine.Token.ID(), how)
			return err
		}
	}
	for name, do := range does {
		w := newLawWorld(t, remint.Options{})
		old := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
		mine := w.must(w.op.Rotate(t.Context(), old.Token.ID(), remint.Rotation{}))
		n := len(w.store.batches)
		w.store.before = func() { w.fails(old, "the old secret") }
		if err := do(w, mine); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if made := len(w.store.batches) - n; made != 3 { // the reuse, the attempt that it beat, and the next
			t.Errorf("%s: %d commits", name, made)
		}
	}
}

// With the option an old secret does end the token: that is its price, and who chooses it is told.
// What has been forgotten does not: beyond the newest eight, and after Options.Retention.
func TestWithTheOptionOnlyWhatIsRememberedRevokes(t *testing.T) {
	const retention = 24 * time.Hour
	for _, c := range []struct {
		name    string
		rotated int           // how often, after the secret
		age     time.Duration // at the last rotation, which is when what is too old is forgotten
		revokes bool
	}{
		{"the newest", 1, 0, true},
		{"the eighth", 8, 0, true},
		{"the ninth", 9, 0, false},
		{"at the end of the retention", 2, retention, true},
		{"after it", 2, retention + time.Microsecond, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newLawWorld(t, remint.Options{RevokeOnReuse: true, Retention: retention})
			old := w.issue(remint.Spec{})
			g := old
			for n := range c.rotated {
				if n == c.rotated-1 {
					w.now = w.now.Add(c.age)
				}
				g = w.must(w.op.Rotate(t.Context(), g.Token.ID(), remint.Rotation{}))
				w.works(g, "each in its turn")
			}
			w.now = w.now.Add(11 * time.Minute)
			told, stored := w.came(func() { w.fails(old, "it") })
			if c.revokes {
				w.fails(g, "the newest")
				if stored != 1 || !strings.HasPrefix(strings.Join(told, ""), "reuse old #1 ") {
					t.Errorf("told %q, stored %d", told, stored)
				}
				return
			}
			w.works(g, "the newest")
			if len(told) != 0 || stored != 0 {
				t.Errorf("told %q, stored %d", told, stored)
			}
		})
	}
}

// A dead secret must not cost a read for each token that has succeeded it, each time.
func TestAnAncientSecretOfALongChainIsSoonCheap(t *testing.T) {
	b := newBed(t, &remint.Options{RevokeOnReuse: true})
	m := &meddler{Store: b.store.Store}
	b.store.Store = m
	g := b.issue(remint.Spec{Owner: "o", Capabilities: remint.Allow("*")})
	first, last := g, g
	for range 300 {
		last = b.rotate(last.Token.ID(), remint.Rotation{Successor: &remint.Successor{}})
		b.accepted(last)
	}
	b.wait(time.Hour)
	b.denied(first, remint.ReasonRetired)
	b.denied(last, remint.ReasonRevoked)
	m.loads = 0
	b.denied(first, remint.ReasonRetired)
	if m.loads > 5 {
		t.Errorf("the second presentation made %d loads", m.loads)
	}
}
