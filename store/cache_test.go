package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remint-go/remint"
)

// shared is a store that other processes also write, each through a Cache of its own. Its
// Load can be held up after it has read, and counts.
type shared struct {
	*Memory
	loads, atOnce, most atomic.Int64
	paused              func(id remint.ID) // if any: between reading and returning
}

func (s *shared) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	s.loads.Add(1)
	n := s.atOnce.Add(1)
	defer s.atOnce.Add(-1)
	for old := s.most.Load(); n > old && !s.most.CompareAndSwap(old, n); old = s.most.Load() {
	}
	r, err := s.Memory.Load(ctx, id)
	if s.paused != nil {
		s.paused(id)
	}
	return r, err
}

func newShared() *shared { return &shared{Memory: new(Memory)} }

// becomes commits a revision of a record; 0 deletes it.
func becomes(t testing.TB, s remint.Store, n int, from, to uint64) {
	t.Helper()
	b := remint.Batch{Put: []remint.Put{{Record: newRecord(sequential(n), to), Replaces: from}}}
	if to == 0 {
		b = remint.Batch{Delete: []*remint.Record{newRecord(sequential(n), from)}}
	}
	if err := s.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// has loads a record; 0: there must be none.
func has(t testing.TB, s remint.Store, n int, want uint64) {
	t.Helper()
	switch r, err := s.Load(t.Context(), sequential(n)); {
	case errors.Is(err, remint.ErrNotFound) && want == 0:
	case err != nil:
		t.Errorf("Load(%d): %v, want revision %d", n, err, want)
	case r.Revision() != want:
		t.Errorf("Load(%d) = %v, want revision %d", n, r, want)
	}
}

func TestWhatAnotherProcessChangedIsSeenWithinTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		c := NewCache(s, time.Minute, nil)
		becomes(t, s, 1, 0, 1)
		becomes(t, s, 2, 0, 1)
		has(t, c, 1, 1)
		has(t, c, 2, 1)
		becomes(t, s, 1, 1, 2) // past the cache, as another process does
		becomes(t, s, 2, 1, 0)
		time.Sleep(time.Minute)
		has(t, c, 1, 1)
		has(t, c, 2, 1)
		time.Sleep(time.Nanosecond)
		has(t, c, 1, 2)
		has(t, c, 2, 0)
	})
}

// The age counts from before the read: a reader that is held up after it has read has
// read something old.
// It fails without the time from before a read, as of which its record is kept (internal/mutants).
func TestAnEntryIsAsOldAsTheBeginningOfItsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		c := NewCache(s, time.Minute, nil)
		becomes(t, s, 1, 0, 1)
		s.paused = func(remint.ID) {
			s.paused = nil
			becomes(t, s, 1, 1, 2)
			time.Sleep(40 * time.Second)
		}
		has(t, c, 1, 1)
		time.Sleep(20 * time.Second)
		has(t, c, 1, 1)
		time.Sleep(time.Nanosecond)
		has(t, c, 1, 2)
	})
}

// It fails without the second look at the clock when a slow read has ended (internal/mutants).
func TestWhatCannotBeReadInTimeIsReadAgainAndThenAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		c := NewCache(s, time.Minute, nil)
		becomes(t, s, 1, 0, 1)
		slow := 1
		s.paused = func(remint.ID) {
			if slow--; slow >= 0 {
				time.Sleep(time.Minute + 1)
			}
		}
		has(t, c, 1, 1)
		if n := s.loads.Load(); n != 2 {
			t.Errorf("%d reads", n)
		}
		slow = 10
		time.Sleep(time.Minute + 1)
		if r, err := c.Load(t.Context(), sequential(1)); err == nil || errors.Is(err, remint.ErrNotFound) {
			t.Errorf("Load = %v, %v", r, err)
		}
	})
}

// A read that a commit overtook must not bring back what was there before, whoever
// committed: THREATS.md, line 5.
// It fails without the mark on a read that a change has overtaken, and without the count of commits
// under way, during which nothing is kept (internal/mutants).
func TestAReadThatACommitOvertookIsNotKept(t *testing.T) {
	for name, commit := range map[string]func(t *testing.T, c *Cache, s *shared, to uint64){
		"one's own": func(t *testing.T, c *Cache, s *shared, to uint64) { becomes(t, c, 1, 1, to) },
		"another's, of which the feed tells": func(t *testing.T, c *Cache, s *shared, to uint64) {
			becomes(t, s, 1, 1, to)
			c.forget(sequential(1))
		},
	} {
		for _, to := range []uint64{2, 0} {
			t.Run(fmt.Sprint(name, to), func(t *testing.T) {
				s := newShared()
				c := NewCache(s, time.Hour, nil)
				becomes(t, s, 1, 0, 1)
				s.paused = func(remint.ID) {
					s.paused = nil
					commit(t, c, s, to)
				}
				has(t, c, 1, 1) // as of its beginning
				has(t, c, 1, to)
			})
		}
	}
	t.Run("one's own that is under way when the read ends", func(t *testing.T) {
		s := newShared()
		c := NewCache(s, time.Hour, nil)
		becomes(t, s, 1, 0, 1)
		change := []change{{id: sequential(1), put: newRecord(sequential(1), 2)}}
		c.begin(change)
		has(t, c, 1, 1) // which is not kept,
		becomes(t, s, 1, 1, 2)
		s.paused = func(remint.ID) { // nor what was read before the end, and ends after it
			s.paused = nil
			c.end(change, c.now(), false)
		}
		has(t, c, 1, 2)
		reads := s.loads.Load()
		has(t, c, 1, 2)
		if s.loads.Load() == reads {
			t.Error("a read that a commit may have overtaken is kept")
		}
	})
}

func TestWhatOneCommitsIsSeenAtOnceAndKept(t *testing.T) {
	s := newShared()
	c := NewCache(s, time.Hour, nil)
	becomes(t, c, 1, 0, 1)
	has(t, c, 1, 1)
	becomes(t, c, 1, 1, 2)
	has(t, c, 1, 2)
	if n := s.loads.Load(); n != 0 {
		t.Errorf("%d reads of what was just written", n)
	}
	becomes(t, c, 1, 2, 0)
	has(t, c, 1, 0)
}

// A commit whose answer was lost may have happened.
// It fails without the removal from the cache of what is being changed (internal/mutants).
func TestAfterACommitThatFailedItIsReadAgain(t *testing.T) {
	s := newShared()
	c := NewCache(s, time.Hour, nil)
	becomes(t, c, 1, 0, 1)
	lost := errors.New("the answer was lost")
	c.s = &failing{Store: s, err: lost}
	b := remint.Batch{Put: []remint.Put{{Record: newRecord(sequential(1), 2), Replaces: 1}}}
	if err := c.Commit(t.Context(), b); err != lost {
		t.Errorf("Commit = %v", err)
	}
	has(t, c, 1, 2)
}

// failing commits, and loses the answer.
type failing struct {
	remint.Store
	err error
}

func (f *failing) Commit(ctx context.Context, b remint.Batch) error {
	f.Store.Commit(ctx, b)
	return f.err
}

func TestOneChangeEvictsOneRecord(t *testing.T) {
	s := newShared()
	c := NewCache(s, time.Hour, nil)
	const records = 1000
	for n := range records {
		becomes(t, c, n, 0, 1)
	}
	before := c.Stats()
	c.forget(sequential(7))
	becomes(t, c, 8, 1, 0)
	for n := range records {
		if n != 7 && n != 8 {
			has(t, c, n, 1)
		}
	}
	if after := c.Stats(); before.Records != records || after.Records != records-2 || after.Reads != 0 {
		t.Errorf("%+v, and then %+v", before, after)
	}
}

func TestUnknownIDsAreNotKept(t *testing.T) {
	c := NewCache(newShared(), time.Hour, nil)
	for n := range 1000 {
		has(t, c, n, 0)
	}
	if s := c.Stats(); s.Records != 0 || s.Bytes != 0 {
		t.Errorf("%+v", s)
	}
	for i := range c.traffic {
		if n := len(c.traffic[i].ids); n != 0 {
			t.Errorf("%d lanes are left", n)
		}
	}
}

func TestACacheIsBounded(t *testing.T) {
	s := newShared()
	c := NewCache(s, time.Hour, &CacheOptions{MaxBytes: 100_000})
	for n := range 1000 {
		becomes(t, c, n, 0, 1)
	}
	if s := c.Stats(); s.Bytes > 100_000 || s.Records < 50 || s.Evicted != uint64(1000-s.Records) {
		t.Errorf("%+v", s)
	}
	for n := range 1000 {
		has(t, c, n, 1)
	}
	if s := c.Stats(); s.Bytes > 100_000 {
		t.Errorf("%+v", s)
	}
}

func TestWithoutABoundNothingIsKept(t *testing.T) {
	for _, bound := range []time.Duration{0, -1} {
		s := newShared()
		c := NewCache(s, bound, nil)
		becomes(t, c, 1, 0, 1)
		for range 3 {
			has(t, c, 1, 1)
		}
		if s := c.Stats(); s.Reads != 3 || s.Records != 0 || s.MaxStaleness != 0 || c.MaxStaleness() != 0 {
			t.Errorf("%+v", s)
		}
	}
}

func TestANilStoreIsRefusedAtOnce(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it was not")
		}
	}()
	NewCache(nil, time.Minute, nil)
}

// What a Cache stands in front of may be one itself: then its bound is not added.
func TestACacheInFrontOfACacheReadsPastIt(t *testing.T) {
	s := newShared()
	inner := NewCache(s, time.Hour, nil)
	c := NewCache(inner, time.Nanosecond, nil)
	becomes(t, inner, 1, 0, 1)
	has(t, inner, 1, 1)
	becomes(t, s, 1, 1, 2)
	if r, err := c.Refresh(t.Context(), sequential(1)); err == nil && r.Revision() != 2 {
		t.Errorf("Refresh = %v", r)
	}
	if s.loads.Load() == 0 {
		t.Error("the store was not asked")
	}
}

func TestAHitOfACacheAllocatesNothing(t *testing.T) {
	c := NewCache(newShared(), time.Hour, nil)
	becomes(t, c, 1, 0, 1)
	ctx, id := t.Context(), sequential(1)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := c.Load(ctx, id); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// However many ask for one record at once, the store has one reader, and none of them is
// given what was read before it asked.
// It fails without the refusal to join a read that began before (internal/mutants).
func TestOneRecordHasOneReaderAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		c := NewCache(s, time.Hour, nil)
		becomes(t, s, 1, 0, 1)
		s.paused = func(remint.ID) { time.Sleep(time.Second) }
		var all sync.WaitGroup
		refresh := func(want uint64) {
			all.Go(func() {
				if r, err := c.Refresh(t.Context(), sequential(1)); err != nil || r.Revision() != want {
					t.Errorf("Refresh = %v, %v, want revision %d", r, err, want)
				}
			})
		}
		refresh(1)
		synctest.Wait() // it has read, and not returned
		becomes(t, s, 1, 1, 2)
		for range 1000 {
			refresh(2)
		}
		all.Wait()
		if n := s.loads.Load(); n != 2 || s.most.Load() != 1 {
			t.Errorf("%d reads, %d of them at once", n, s.most.Load())
		}
	})
}

func TestWhoGivesUpDoesNotGiveUpForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShared()
		c := NewCache(&patient{s}, time.Hour, nil)
		becomes(t, s, 1, 0, 1)
		var all sync.WaitGroup
		ask := func(ctx context.Context, want error) {
			all.Go(func() {
				if _, err := c.Refresh(ctx, sequential(1)); !errors.Is(err, want) {
					t.Errorf("Refresh: %v, want %v", err, want)
				}
			})
			synctest.Wait() // so that each is where it is to be when the next asks
		}
		soon := func(d time.Duration) context.Context {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			t.Cleanup(cancel)
			return ctx
		}
		ask(soon(time.Second/2), context.DeadlineExceeded) // reads
		ask(soon(time.Second/4), context.DeadlineExceeded) // would read next
		ask(t.Context(), nil)                              // joins it
		ask(soon(time.Second/4), context.DeadlineExceeded)
		ask(t.Context(), nil)
		all.Wait()
		for i := range c.traffic {
			if n := len(c.traffic[i].ids); n != 0 {
				t.Errorf("%d lanes are left", n)
			}
		}
	})
}

// patient takes a second for a Load, or as long as its context.
type patient struct{ remint.Store }

func (p *patient) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	select {
	case <-time.After(time.Second):
		return p.Store.Load(ctx, id)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestAStoreThatPanicsHoldsNobodyUp(t *testing.T) {
	s := newShared()
	c := NewCache(s, time.Hour, nil)
	becomes(t, s, 1, 0, 1)
	s.paused = func(remint.ID) { panic("store") }
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic is gone")
			}
		}()
		c.Load(t.Context(), sequential(1))
	}()
	s.paused = nil
	has(t, c, 1, 1)
}

// With one Cache in front of a store that nobody else writes, nobody is given an older
// record than one that somebody was given before.
func TestACacheThatOwnsItsStoreIsNeverBehind(t *testing.T) {
	const records, rounds = 20, 300
	s := newShared()
	c := NewCache(s, time.Hour, &CacheOptions{MaxBytes: 15 * 600}) // not all at once
	var floor [records]atomic.Uint64
	for n := range records {
		becomes(t, c, n, 0, 1)
	}
	var done atomic.Bool
	var readers, writers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for i := 0; !done.Load(); i++ {
				n := i % records
				load := c.Load
				if i%7 == 0 {
					load = c.Refresh
				}
				least := floor[n].Load()
				r, err := load(t.Context(), sequential(n))
				if err != nil || r.Revision() < least {
					t.Errorf("got %v, %v, and revision %d was there before", r, err, least)
					return
				}
				for old := floor[n].Load(); r.Revision() > old && !floor[n].CompareAndSwap(old, r.Revision()); old = floor[n].Load() {
				}
			}
		})
	}
	for w := range 2 {
		writers.Go(func() {
			for revision := uint64(1); revision < rounds; revision++ {
				for n := w; n < records; n += 2 {
					becomes(t, c, n, revision, revision+1)
				}
			}
		})
	}
	writers.Wait()
	done.Store(true)
	readers.Wait()
	if err := c.records.Check(func(*remint.Record) {}); err != nil {
		t.Error(err)
	}
}
