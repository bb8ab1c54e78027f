package remint_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store/storetest"
)

// stored returns the IDs of those that are still in the store.
func (b *bed) stored(grants ...remint.Grant) (n int) {
	for _, g := range grants {
		if _, err := b.store.Store.Load(b.Context(), g.Token.ID()); err == nil {
			n++
		}
	}
	return n
}

// removedOnce checks that one event of each one's removal was stored.
func (b *bed) removedOnce(grants ...remint.Grant) {
	b.Helper()
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	for k, g := range grants {
		if n := b.store.removed[g.Token.ID()]; n != 1 {
			b.Errorf("token %d of %d has %d events of its removal", k, len(grants), n)
			return
		}
	}
}

func TestWithoutASweeperWhatHasExpiredIsDenied(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{ExpiresAt: b.in(time.Hour)})
	parent := b.issue(remint.Spec{ExpiresAt: b.in(time.Hour)})
	child := b.issue(remint.Spec{Parent: parent.Token.ID()})
	session := b.session(b.issue(remint.Spec{}).Token.ID(), remint.Session{Lifetime: time.Hour})
	retiring := b.issue(remint.Spec{})
	b.accepted(b.rotate(retiring.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)}))
	b.wait(time.Hour - time.Microsecond)
	for _, g := range []remint.Grant{g, parent, child, session, retiring} {
		b.accepted(g)
	}
	b.wait(time.Microsecond)
	for range 3 {
		b.denied(g, remint.ReasonExpired)
		b.denied(parent, remint.ReasonExpired)
		b.denied(child, remint.ReasonParent)
		b.denied(session, remint.ReasonExpired)
		b.denied(retiring, remint.ReasonRetired)
		b.wait(100 * 24 * time.Hour)
	}
}

func TestWhatHasEndedIsRemovedAfterRetentionAndNotBefore(t *testing.T) {
	const day = 24 * time.Hour
	for _, retention := range []time.Duration{0, time.Hour} {
		for _, tt := range []struct {
			name string
			end  func(b *bed) remint.Grant // it ends in an hour
		}{
			{"expired", func(b *bed) remint.Grant { return b.issue(remint.Spec{ExpiresAt: b.in(time.Hour)}) }},
			{"revoked", func(b *bed) remint.Grant {
				g := b.issue(remint.Spec{})
				b.wait(time.Hour)
				b.revoke(g.Token.ID())
				b.wait(-time.Hour)
				return g
			}},
			{"revoked before it expires", func(b *bed) remint.Grant {
				g := b.issue(remint.Spec{ExpiresAt: b.in(1000 * day)})
				b.wait(time.Hour)
				b.revoke(g.Token.ID())
				b.wait(-time.Hour)
				return g
			}},
			{"replaced", func(b *bed) remint.Grant {
				g := b.issue(remint.Spec{})
				b.accepted(b.rotate(g.Token.ID(), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(time.Hour)}))
				return g
			}},
			{"replaced at once", func(b *bed) remint.Grant {
				g := b.issue(remint.Spec{})
				b.wait(time.Hour)
				b.rotate(g.Token.ID(), remint.Rotation{Successor: &remint.Successor{}})
				b.wait(-time.Hour)
				return g
			}},
			{"a session", func(b *bed) remint.Grant {
				return b.session(b.issue(remint.Spec{}).Token.ID(), remint.Session{Lifetime: time.Hour})
			}},
			{"a successor that nobody used", func(b *bed) remint.Grant {
				b.wait(time.Hour - 7*day)
				g := b.rotate(b.issue(remint.Spec{}).Token.ID(), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfterFirstUse(0)})
				b.wait(7*day - time.Hour)
				return g
			}},
		} {
			t.Run(fmt.Sprintf("%s, %v", tt.name, retention), func(t *testing.T) {
				b := newBed(t, &remint.Options{Retention: retention})
				kept := 90 * day
				if retention != 0 {
					kept = retention
				}
				b.wait(30 * day)
				live := b.issue(remint.Spec{})
				g := tt.end(b)
				id := g.Token.ID()
				b.wait(time.Hour)
				if _, err := b.Verify(t.Context(), g.Secret.Reveal(), netip.Addr{}); !errors.Is(err, remint.ErrDenied) {
					t.Fatalf("it is not over: %v", err)
				}
				b.wait(kept - time.Microsecond)
				b.sweep()
				if b.stored(g) != 1 {
					t.Fatal("it is gone a microsecond too early")
				}
				b.get(id)
				b.wait(time.Microsecond)
				b.took()
				b.sweep()
				if b.stored(g) != 0 {
					t.Fatalf("it is still there: SweepAt %v, now %v", b.raw(id).SweepAt(), b.now())
				}
				b.removedOnce(g)
				n := 0
				for _, e := range b.took() {
					if e.Kind == remint.EventRemove && e.Token == id {
						n++
						if e.Owner != g.Token.Owner() || !e.At.Equal(b.now()) || e.Actor != "" {
							t.Errorf("the removal is %+v", e)
						}
					}
				}
				if n != 1 {
					t.Errorf("the removal was observed %d times", n)
				}
				b.denied(g, remint.ReasonUnknown)
				if _, err := b.op.Get(t.Context(), id); !errors.Is(err, remint.ErrNotFound) {
					t.Errorf("Get = %v", err)
				}
				b.accepted(live)
			})
		}
	}
}

func TestDescendantsAreRemovedWithTheirAncestorAtEveryDepth(t *testing.T) {
	b := newBed(t, nil)
	root := b.issue(remint.Spec{ExpiresAt: b.in(time.Hour)})
	family := []remint.Grant{root}
	other := b.issue(remint.Spec{})
	otherChild := b.issue(remint.Spec{Parent: other.Token.ID()})
	for range 3 {
		two := b.issue(remint.Spec{Parent: root.Token.ID()})
		three := b.issue(remint.Spec{Parent: two.Token.ID()})
		four := b.issue(remint.Spec{Parent: three.Token.ID()})
		family = append(family, two, three, four, b.session(two.Token.ID(), remint.Session{Lifetime: 1000 * time.Hour}))
	}
	b.wait(time.Hour + 90*24*time.Hour)
	b.sweep()
	if n := b.stored(family...); n != 0 {
		t.Errorf("%d of %d are left", n, len(family))
	}
	b.removedOnce(family...)
	if b.stored(other, otherChild) != 2 {
		t.Error("others are gone")
	}
	b.accepted(otherChild)
}

func TestADescendantThatEndedBeforeItsAncestorIsRemovedOnce(t *testing.T) {
	for _, gap := range []time.Duration{0, time.Microsecond, time.Hour} {
		b := newBed(t, nil)
		root := b.issue(remint.Spec{})
		child := b.issue(remint.Spec{Parent: root.Token.ID()})
		grandchild := b.issue(remint.Spec{Parent: child.Token.ID()})
		b.revoke(grandchild.Token.ID())
		b.wait(gap)
		b.revoke(child.Token.ID())
		b.wait(gap)
		b.revoke(root.Token.ID())
		b.wait(91 * 24 * time.Hour)
		b.sweep()
		if n := b.stored(root, child, grandchild); n != 0 {
			t.Errorf("%d are left", n)
		}
		b.removedOnce(root, child, grandchild)
	}
}

func TestChildrenThatAnEpochEndedAreRemovedFromUnderALiveParent(t *testing.T) {
	ctx := t.Context()
	b := newBed(t, nil)
	root := b.issue(remint.Spec{Capabilities: remint.Allow("a", "b")})
	id := root.Token.ID()
	var first, second, third, alive []remint.Grant
	tree := func(list *[]remint.Grant) {
		for range 40 {
			child := b.issue(remint.Spec{Parent: id})
			*list = append(*list, child, b.issue(remint.Spec{Parent: child.Token.ID()}), b.session(id, remint.Session{Lifetime: 10000 * time.Hour}))
		}
	}
	tree(&first)
	if err := b.op.EndSessions(ctx, id); err != nil {
		t.Fatal(err)
	}
	b.wait(time.Hour)
	tree(&second)
	if err := b.op.EndSessions(ctx, id); err != nil {
		t.Fatal(err)
	}
	b.wait(time.Hour)
	tree(&third) // an update ends them
	if _, err := b.op.Update(ctx, id, func(s *remint.Spec) error { s.Capabilities = remint.Allow("a"); return nil }); err != nil {
		t.Fatal(err)
	}
	tree(&alive)
	b.wait(90*24*time.Hour - 2*time.Hour - time.Microsecond)
	b.sweep()
	if n := b.stored(first...); n != len(first) {
		t.Errorf("%d are gone a microsecond too early", len(first)-n)
	}
	b.wait(time.Microsecond)
	b.sweep()
	if n := b.stored(first...); n != 0 {
		t.Errorf("%d of the first are left", n)
	}
	if n := b.stored(second...); n != len(second) {
		t.Errorf("%d of the second are gone too early", len(second)-n)
	}
	// The later ones go later, and no later than one more Retention.
	for range 10 {
		b.wait(10 * 24 * time.Hour)
		b.sweep()
	}
	if n := b.stored(second...) + b.stored(third...); n != 0 {
		t.Errorf("%d of the second and third are left", n)
	}
	b.removedOnce(slices.Concat(first, second, third)...)
	if n := b.stored(alive...); n != len(alive) {
		t.Errorf("%d live ones are gone", len(alive)-n)
	}
	for _, g := range alive {
		b.accepted(g)
	}
	if s := b.get(id).State(); s.Revision != 4 || s.Epoch != 4 {
		t.Errorf("the parent is %+v: sweeping is no change", s)
	}
	if at := b.raw(id).SweepAt(); !at.IsZero() {
		t.Errorf("it is still due at %v", at)
	}
}

func TestOneSweepDoesABoundedAmountOfWork(t *testing.T) {
	const n = 3000
	for name, end := range map[string]func(*bed, remint.ID) error{
		"under a parent that has ended": func(b *bed, id remint.ID) error { return b.op.Revoke(b.Context(), id) },
		"under a live parent":           func(b *bed, id remint.ID) error { return b.op.EndSessions(b.Context(), id) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, nil)
			root := b.issue(remint.Spec{})
			var children []remint.Grant
			for range n {
				children = append(children, b.session(root.Token.ID(), remint.Session{Lifetime: 10000 * time.Hour}))
			}
			if err := end(b, root.Token.ID()); err != nil {
				t.Fatal(err)
			}
			live := b.session(b.issue(remint.Spec{}).Token.ID(), remint.Session{Lifetime: 10000 * time.Hour})
			b.wait(90 * 24 * time.Hour)
			left, calls := n, 0
			for ; left > 0; calls++ {
				b.sweep()
				now := b.stored(children...)
				if gone := left - now; gone > 2048 || gone == 0 {
					t.Fatalf("call %d removed %d", calls+1, gone)
				}
				left = now
			}
			if calls < 2 {
				t.Errorf("%d were removed in one call", n)
			}
			b.removedOnce(children...)
			b.accepted(live)
			b.sweep()
			before := b.store.commits.Load()
			b.sweep()
			if got := b.store.commits.Load() - before; got != 0 {
				t.Errorf("with nothing to do it makes %d commits", got)
			}
		})
	}
}

func TestAParentWithManyLiveChildrenDoesNotKeepTheOthersFromBeingSwept(t *testing.T) {
	b := newBed(t, nil)
	root := b.issue(remint.Spec{})
	if err := b.op.EndSessions(t.Context(), root.Token.ID()); err != nil { // it has none
		t.Fatal(err)
	}
	for range 5000 {
		b.session(root.Token.ID(), remint.Session{Lifetime: 10000 * time.Hour})
	}
	b.wait(time.Second)
	gone := b.issue(remint.Spec{})
	b.revoke(gone.Token.ID())
	b.wait(90 * 24 * time.Hour)
	for k := 0; b.stored(gone) != 0; k++ {
		if k == 10 {
			t.Fatal("ten Sweeps did not get to it")
		}
		b.sweep()
	}
	if n := len(b.all()); n != 5001 {
		t.Errorf("%d records are left", n)
	}
}

func TestOldEventsAreTrimmedAndLaterOnesKept(t *testing.T) {
	b := newBed(t, &remint.Options{Retention: time.Hour})
	g := b.issue(remint.Spec{})
	for range 600 {
		b.rotate(g.Token.ID(), remint.Rotation{})
	}
	b.wait(time.Minute)
	for range 10 {
		b.rotate(g.Token.ID(), remint.Rotation{})
	}
	b.wait(time.Hour - time.Minute)
	b.sweep()
	if n := len(b.log()); n != 611 {
		t.Errorf("%d events are left: they were trimmed too early", n)
	}
	b.wait(time.Microsecond)
	_, cursor, err := b.Events(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	b.sweep()
	b.sweep()
	if n := len(b.log()); n != 10 {
		t.Errorf("%d events are left, want 10", n)
	}
	if page, _, err := b.Events(t.Context(), cursor); err != nil || len(page) != 10 || page[0].Revision != 602 {
		t.Errorf("resuming from before what was trimmed: %d events, %v", len(page), err)
	}
	b.wait(time.Minute)
	b.sweep()
	if n := len(b.log()); n != 0 {
		t.Errorf("%d events are left", n)
	}
	commits := b.store.commits.Load()
	b.sweep()
	if b.store.commits.Load() != commits {
		t.Error("an empty log was trimmed")
	}
}

func TestManyOldEventsAreTrimmedInSeveralCalls(t *testing.T) {
	b := newBed(t, &remint.Options{Retention: time.Hour})
	g := b.issue(remint.Spec{})
	for range 9000 {
		b.rotate(g.Token.ID(), remint.Rotation{})
	}
	b.wait(2 * time.Hour)
	last := 9001
	for calls := 1; last > 0; calls++ {
		b.sweep()
		n := len(b.log())
		if last-n > 5000 || last == n {
			t.Fatalf("call %d trimmed %d", calls, last-n)
		}
		last = n
	}
}

func TestSweepNeverRemovesWhatLives(t *testing.T) {
	b := newBed(t, &remint.Options{Retention: time.Microsecond})
	root := b.issue(remint.Spec{})
	live := []remint.Grant{root}
	live = append(live, b.issue(remint.Spec{Parent: root.Token.ID()}))
	live = append(live, b.issue(remint.Spec{ExpiresAt: b.in(10000 * time.Hour)}))
	live = append(live, b.session(root.Token.ID(), remint.Session{Lifetime: 10000 * time.Hour}))
	old := b.issue(remint.Spec{})
	next := b.rotate(old.Token.ID(), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(5000 * time.Hour)})
	lapsed := b.issue(remint.Spec{})
	b.rotate(lapsed.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
	outlived := b.issue(remint.Spec{})
	b.rotate(outlived.Token.ID(), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfterFirstUse(0)})
	patient := b.rotate(b.issue(remint.Spec{}).Token.ID(), remint.Rotation{})
	live = append(live, old, next, lapsed, outlived, patient)
	for range 20 {
		b.wait(200 * time.Hour)
		b.sweep()
		if n := b.stored(live...); n != len(live) {
			t.Fatalf("%d live tokens are gone", len(live)-n)
		}
	}
	for _, g := range live {
		b.accepted(g)
	}
}

func TestConcurrentSweepsRemoveEachTokenOnce(t *testing.T) {
	b := newBed(t, nil)
	issuers := []*bed{b, bedOver(t, b.store, b.clock, nil), bedOver(t, b.store, b.clock, nil)}
	var gone []remint.Grant
	for range 20 {
		root := b.issue(remint.Spec{ExpiresAt: b.in(time.Hour)})
		gone = append(gone, root)
		for range 10 {
			gone = append(gone, b.issue(remint.Spec{Parent: root.Token.ID()}))
		}
	}
	live := b.issue(remint.Spec{})
	b.wait(91 * 24 * time.Hour)
	var wg sync.WaitGroup
	for _, i := range slices.Concat(issuers, issuers) {
		wg.Go(func() {
			if err := i.Sweep(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	b.sweep()
	if n := b.stored(gone...); n != 0 {
		t.Errorf("%d are left", n)
	}
	b.removedOnce(gone...)
	b.accepted(live)
}

// A parent that is removed before its child leaves an orphan that nobody finds again.
func TestASweepThatLosesAChildToAnotherChangeKeepsItsParentForTheNext(t *testing.T) {
	ctx := t.Context()
	for name, change := range map[string]func(b *bed, child, grandchild remint.Grant) error{
		"its sessions are ended": func(b *bed, child, _ remint.Grant) error { return b.op.EndSessions(ctx, child.Token.ID()) },
		"it is revoked":          func(b *bed, child, _ remint.Grant) error { return b.op.Revoke(ctx, child.Token.ID()) },
		"its own child's sessions are ended": func(b *bed, _, grandchild remint.Grant) error {
			return b.op.EndSessions(ctx, grandchild.Token.ID())
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, nil)
			root := b.issue(remint.Spec{ExpiresAt: b.in(time.Hour)})
			child := b.issue(remint.Spec{Parent: root.Token.ID()})
			grandchild := b.issue(remint.Spec{Parent: child.Token.ID()})
			b.wait(91 * 24 * time.Hour)
			b.store.before = func(batch remint.Batch) {
				if len(batch.Delete) > 0 {
					b.store.before = nil
					if err := change(b, child, grandchild); err != nil {
						t.Error(err)
					}
				}
			}
			b.sweep()
			if b.stored(root) == 0 && b.stored(child, grandchild) > 0 {
				t.Error("the root is gone, and a descendant is not")
			}
			if b.stored(child) == 0 && b.stored(grandchild) > 0 {
				t.Error("the child is gone, and its own is not")
			}
			for range 3 {
				b.wait(91 * 24 * time.Hour)
				b.sweep()
			}
			if n := b.stored(root, child, grandchild); n != 0 {
				t.Errorf("%d are left for ever", n)
			}
		})
	}
}

func TestASweepThatFailsAnywhereLosesNothing(t *testing.T) {
	for _, when := range []storetest.When{storetest.Before, storetest.After} {
		fired := true
		for n := 0; fired; n++ {
			if n == 1000 {
				t.Fatal("it does not come to an end")
			}
			b := newBed(t, nil)
			var gone, live, used []remint.Grant
			for range 3 {
				root := b.issue(remint.Spec{ExpiresAt: b.in(time.Hour)})
				child := b.issue(remint.Spec{Parent: root.Token.ID()})
				gone = append(gone, root, child, b.issue(remint.Spec{Parent: child.Token.ID()}))
			}
			parent := b.issue(remint.Spec{})
			gone = append(gone, b.session(parent.Token.ID(), remint.Session{Lifetime: 10000 * time.Hour}))
			b.op.EndSessions(t.Context(), parent.Token.ID())
			live = append(live, parent, b.issue(remint.Spec{Parent: parent.Token.ID()}))
			for range 40 {
				used = append(used, b.issue(remint.Spec{}))
			}
			b.wait(91 * 24 * time.Hour)
			for _, g := range used {
				b.accepted(g)
			}
			at := b.now()
			real := b.store.Store
			faulty := storetest.Faulty(real, n, when)
			b.store.Store = faulty
			err := b.Sweep(t.Context())
			b.store.Store = real
			fired = faulty.(interface{ Fired() bool }).Fired()
			if fired != (err != nil) || err != nil && (!errors.Is(err, remint.ErrUnavailable) || !errors.Is(err, storetest.ErrFault)) {
				t.Fatalf("operation %d, after %v: Sweep = %v, fault reached: %v", n, when, err, fired)
			}
			wellSaid(t, "Sweep", err)
			if k := b.stored(slices.Concat(live, used)...); k != len(live)+len(used) {
				t.Fatalf("operation %d: %d live tokens are gone", n, len(live)+len(used)-k)
			}
			b.sweep()
			if k := b.stored(gone...); k != 0 {
				t.Fatalf("operation %d, after %v: after another Sweep %d are left", n, when, k)
			}
			b.removedOnce(gone...)
			for _, g := range used {
				if got := b.get(g.Token.ID()).State().Current.LastUsedAt; !got.Equal(at) {
					t.Fatalf("operation %d, after %v: a use is at %v, want %v", n, when, got, at)
				}
			}
			for _, g := range live {
				b.accepted(g)
			}
		}
	}
}

// What ends while a Sweep looks through the children is kept for as long as anything else.
func TestChildrenThatEndWhileASweepRunsAreKeptForRetention(t *testing.T) {
	ctx := t.Context()
	b := newBed(t, nil)
	id := b.issue(remint.Spec{}).Token.ID()
	end := func() {
		if err := b.op.EndSessions(ctx, id); err != nil {
			t.Error(err)
		}
	}
	b.issue(remint.Spec{Parent: id})
	end()
	b.wait(90 * 24 * time.Hour)
	late := b.issue(remint.Spec{Parent: id})
	b.store.before = func(batch remint.Batch) {
		if len(batch.Delete) > 0 { // an hour after the Sweep began
			b.store.before = nil
			b.wait(time.Hour)
			end()
		}
	}
	b.sweep()
	if b.store.before != nil {
		t.Fatal("the Sweep removed nothing")
	}
	b.sweep()
	b.wait(90*24*time.Hour - time.Microsecond)
	for range 3 {
		b.sweep()
	}
	if b.stored(late) == 0 {
		t.Error("it is gone a microsecond too early")
	}
	b.wait(time.Microsecond)
	for range 3 {
		b.sweep()
	}
	if b.stored(late) != 0 {
		t.Error("it is left")
	}
}
