package remint_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// It fails without the wait of a use for the next Sweep (internal/mutants).
func TestVerifyingWritesNothing(t *testing.T) {
	b := newBed(t, nil)
	root := b.issue(remint.Spec{})
	old := b.issue(remint.Spec{})
	next := b.rotate(old.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(100 * time.Hour)})
	b.accepted(next)
	session := b.session(root.Token.ID(), remint.Session{Lifetime: 1000 * time.Hour})
	commits := b.store.commits.Load()
	for range 50 {
		for _, g := range []remint.Grant{root, old, next, session} {
			b.accepted(g)
		}
		b.wait(time.Hour)
	}
	if n := b.store.commits.Load() - commits; n != 0 {
		t.Errorf("200 verifications made %d commits", n)
	}
}

func TestATimeOfUseAppearsAfterSweepForTheSecretThatWasUsed(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	id := g.Token.ID()
	b.wait(time.Minute)
	b.accepted(g)
	used := b.now()
	if !b.get(id).State().Current.LastUsedAt.IsZero() {
		t.Error("it is there before the Sweep")
	}
	b.wait(time.Second)
	b.sweep()
	if got := b.get(id).State(); !got.Current.LastUsedAt.Equal(used) || got.Revision != 1 {
		t.Errorf("after the Sweep: %+v, want a use at %v", got, used)
	}

	next := b.rotate(id, remint.Rotation{Retire: remint.RetireAfter(time.Hour)})
	confirmed := b.now()
	b.accepted(next)
	b.wait(2 * time.Minute)
	b.accepted(g)
	old := b.now()
	b.wait(time.Minute)
	b.accepted(next)
	b.sweep()
	if s := b.get(id).State(); !s.Retiring.LastUsedAt.Equal(old) || !s.Current.LastUsedAt.Equal(b.now()) {
		t.Errorf("the current was used at %v and the retiring at %v, want %v and %v (confirmed at %v)",
			s.Current.LastUsedAt, s.Retiring.LastUsedAt, b.now(), old, confirmed)
	}
	n := len(b.log())
	b.sweep()
	if len(b.log()) != n {
		t.Error("a use is an event")
	}
}

func TestUsesAreWrittenOncePerHourAndForOneOfSeveralSecretsPerMinute(t *testing.T) {
	b := newBed(t, nil)
	alone := b.issue(remint.Spec{})
	pair := b.issue(remint.Spec{})
	next := b.rotate(pair.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(1000 * time.Hour)})
	b.accepted(next)
	b.accepted(alone)
	b.sweep()
	start := b.now()
	var lag, lagOld, lagNext time.Duration
	writes := map[remint.ID]int{}
	last := map[remint.ID]string{}
	for b.now().Sub(start) < 3*time.Hour {
		b.wait(10 * time.Second)
		b.accepted(alone)
		b.accepted(pair)
		b.accepted(next)
		b.sweep()
		one, two := b.get(alone.Token.ID()).State(), b.get(pair.Token.ID()).State()
		lag = max(lag, b.now().Sub(one.Current.LastUsedAt))
		lagOld = max(lagOld, b.now().Sub(two.Retiring.LastUsedAt))
		lagNext = max(lagNext, b.now().Sub(two.Current.LastUsedAt))
		for id, s := range map[remint.ID]remint.State{alone.Token.ID(): one, pair.Token.ID(): two} {
			now := s.Current.LastUsedAt.String() + s.Retiring.LastUsedAt.String()
			if last[id] != now {
				writes[id]++
			}
			last[id] = now
		}
	}
	if lag >= time.Hour || lagOld >= time.Minute || lagNext >= time.Minute {
		t.Errorf("LastUsedAt lags by up to %v alone, %v retiring and %v with one that retires", lag, lagOld, lagNext)
	}
	if writes[alone.Token.ID()] > 5 || writes[pair.Token.ID()] > 2*180+5 {
		t.Errorf("in three hours %d and %d writes", writes[alone.Token.ID()], writes[pair.Token.ID()])
	}
}

func TestManyUsesOfOneSecretAreOneWrite(t *testing.T) {
	b := newBed(t, nil)
	var grants []remint.Grant
	for range 300 {
		grants = append(grants, b.issue(remint.Spec{}))
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				for _, g := range grants {
					b.accepted(g)
				}
			}
		})
	}
	wg.Wait()
	commits := b.store.commits.Load()
	b.sweep()
	if n := b.store.commits.Load() - commits; n > 6 {
		t.Errorf("24,000 uses of 300 tokens are %d commits", n)
	}
	for _, g := range grants {
		if b.get(g.Token.ID()).State().Current.LastUsedAt.IsZero() {
			t.Fatal("a use is missing")
		}
	}
}

// It fails without the touch, which changes no revision (internal/mutants).
func TestATimeOfUseNeverConflictsWithARotation(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	id := g.Token.ID()
	b.accepted(g)
	// A rotation between what Sweep reads and what it writes.
	var next remint.Grant
	b.store.before = func(batch remint.Batch) {
		if len(batch.Touch) > 0 {
			b.store.before = nil
			next = b.rotate(id, remint.Rotation{Retire: remint.RetireAfter(time.Hour)})
		}
	}
	b.sweep()
	if b.store.before != nil {
		t.Fatal("Sweep wrote nothing")
	}
	b.accepted(next)
	b.accepted(g)
	if s := b.get(id).State(); s.Revision != 3 {
		t.Errorf("the revision is %d", s.Revision)
	}
	// A Sweep between what a rotation reads and what it writes.
	b.wait(2 * time.Hour)
	b.accepted(next)
	b.store.before = func(batch remint.Batch) {
		if len(batch.Put) > 0 {
			b.store.before = nil
			b.sweep()
		}
	}
	last, err := b.op.Rotate(t.Context(), id, remint.Rotation{IfRevision: b.get(id).State().Revision})
	if err != nil {
		t.Fatalf("a Sweep made a rotation fail: %v", err)
	}
	b.accepted(last)
	b.denied(next, remint.ReasonRetired)
}

func TestAUseThatCouldNotBeWrittenIsWrittenByTheNextSweep(t *testing.T) {
	b := newBed(t, nil)
	var grants []remint.Grant
	for range 200 {
		g := b.issue(remint.Spec{})
		b.accepted(g)
		grants = append(grants, g)
	}
	n := 0
	b.store.fails = func(batch remint.Batch) error {
		if n++; n == 2 {
			return errors.New("disk full")
		}
		return nil
	}
	if err := b.Sweep(t.Context()); !errors.Is(err, remint.ErrUnavailable) {
		t.Errorf("Sweep = %v", err)
	}
	b.store.fails = nil
	b.wait(time.Minute)
	b.sweep()
	for _, g := range grants {
		if at := b.get(g.Token.ID()).State().Current.LastUsedAt; !at.Equal(bedStart) {
			t.Fatalf("a use is at %v", at)
		}
	}
}

func TestAUseOfWhatHasGoneIsForgotten(t *testing.T) {
	b := newBed(t, &remint.Options{Retention: time.Second})
	swept, rotated := b.issue(remint.Spec{}), b.issue(remint.Spec{})
	b.accepted(swept)
	b.accepted(rotated)
	b.revoke(swept.Token.ID())
	b.rotate(rotated.Token.ID(), remint.Rotation{})
	b.wait(time.Minute)
	other := bedOver(t, b.store, b.clock, &remint.Options{Retention: time.Second})
	other.sweep() // it removes one of them
	b.sweep()
	if s := b.get(rotated.Token.ID()).State(); !s.Current.LastUsedAt.IsZero() {
		t.Errorf("the new secret has the old one's use: %+v", s)
	}
	if len(b.all()) != 1 {
		t.Errorf("%d records: what was removed is back", len(b.all()))
	}
}

func TestABearersMethodsAreUses(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	b.wait(time.Minute)
	if _, err := b.Bearer(g.Secret.Reveal(), b.log()[0].From).Get(t.Context(), g.Token.ID()); err != nil {
		t.Fatal(err)
	}
	b.sweep()
	if at := b.get(g.Token.ID()).State().Current.LastUsedAt; !at.Equal(b.now()) {
		t.Errorf("the use is at %v", at)
	}
}

// It fails without the judgement before a use is noted (internal/mutants).
func TestADeniedPresentationIsNoUse(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	b.revoke(g.Token.ID())
	b.denied(g, remint.ReasonRevoked)
	commits := b.store.commits.Load()
	b.sweep()
	if b.store.commits.Load() != commits || !b.get(g.Token.ID()).State().Current.LastUsedAt.IsZero() {
		t.Error("it was written down")
	}
}

// A retiring secret that is in use would else look idle, and somebody stop it.
func TestATimeOfUseThatAChangeHasOverwrittenIsWrittenAgain(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	id := g.Token.ID()
	next := b.rotate(id, remint.Rotation{Retire: remint.RetireAfter(1000 * time.Hour)})
	b.accepted(next)
	b.wait(time.Hour)
	b.accepted(g)
	used := b.now()
	b.wait(time.Minute)
	// The Sweep lands between what an update reads and what it stores.
	b.store.before = func(batch remint.Batch) {
		if len(batch.Put) > 0 {
			b.store.before = nil
			b.sweep()
			if got := b.get(id).State().Retiring.LastUsedAt; !got.Equal(used) {
				t.Errorf("the Sweep wrote %v, want %v", got, used)
			}
		}
	}
	if _, err := b.op.Update(t.Context(), id, func(s *remint.Spec) error { s.Name = "other"; return nil }); err != nil {
		t.Fatal(err)
	}
	if b.store.before != nil || b.get(id).State().Retiring.LastUsedAt.Equal(used) {
		t.Fatal("nothing was overwritten: this tests nothing")
	}
	b.wait(time.Minute)
	b.sweep()
	if s := b.get(id).State(); !s.Retiring.LastUsedAt.Equal(used) || s.RetiringIdle(b.now()) > 2*time.Minute {
		t.Errorf("used at %v, idle for %v; want %v and at most two minutes", s.Retiring.LastUsedAt, s.RetiringIdle(b.now()), used)
	}
	// Once it is there, nothing is written any more.
	b.sweep()
	commits := b.store.commits.Load()
	for range 3 {
		b.sweep()
	}
	if n := b.store.commits.Load() - commits; n != 0 {
		t.Errorf("three idle Sweeps made %d commits", n)
	}
}
