package storebolt

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/internal/recordcache"
)

// A Load that has read the file before a commit must not leave in the cache what it read.
// It fails without each of these (internal/mutants): the fence between a read of the file and what
// it leaves in the cache; the count of what a commit has put into the cache; the count of what a
// commit has taken out of the cache; the cache's part in a commit.
func TestALoadThatACommitOvertookLeavesNothing(t *testing.T) {
	for name, overtake := range map[string]struct {
		b    remint.Batch
		want uint64
	}{
		"put":    {put(2, 1, 1), 2},
		"touch":  {remint.Batch{Touch: []*remint.Record{bigRecord(1, 1)}}, 1},
		"delete": {remint.Batch{Delete: []*remint.Record{testRecord(1, 1)}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, tempFile(t), nil)
			mustCommit(t, s, put(1, 1, 1))
			s.cache.Clear()
			s.hooks.filling = func() {
				s.hooks.filling = nil
				mustCommit(t, s, overtake.b)
			}
			wantRevision(t, s, 1, 1) // as of its beginning
			wantRevision(t, s, 1, overtake.want)
			if name == "touch" {
				if r, _ := s.Load(t.Context(), testID(1)); string(encode(r)) != string(encode(bigRecord(1, 1))) {
					t.Error("the touch is gone")
				}
			}
		})
	}
	t.Run("and a second Load", func(t *testing.T) {
		s := openStore(t, tempFile(t), nil)
		mustCommit(t, s, put(1, 1, 1))
		s.cache.Clear()
		s.hooks.filling = func() {
			s.hooks.filling = nil
			mustCommit(t, s, put(2, 1, 1))
			for n := range 100 { // the new one may be evicted and read again
				mustCommit(t, s, put(1, 100+n, 100+n))
			}
			s.cache.Clear()
			wantRevision(t, s, 1, 2)
		}
		wantRevision(t, s, 1, 1)
		wantRevision(t, s, 1, 2)
	})
}

// Who has seen one record as it is after a batch sees all of them so.
func TestABatchIsSeenWhole(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	mustCommit(t, s, put(1, 1, 8))
	s.cache.Remove(testID(5)) // which is read from the file
	published := 0
	waiting := make(chan struct{})
	var readers sync.WaitGroup
	s.hooks.waiting = func() { waiting <- struct{}{} }
	s.hooks.publishing = func() {
		if published++; published != 4 {
			return
		}
		for n := 1; n <= 8; n++ {
			read := make(chan struct{})
			readers.Go(func() {
				wantRevision(t, s, n, 2)
				close(read)
			})
			select {
			case <-waiting:
			case <-read:
				t.Errorf("Load(%d) did not wait", n)
			}
		}
	}
	mustCommit(t, s, put(2, 1, 8))
	readers.Wait()
	if published != 8 {
		t.Errorf("%d records were published", published)
	}
}

func TestBatchesAreSeenWholeByAll(t *testing.T) {
	for name, bytes := range map[string]int64{"all cached": 1 << 20, "some cached": 8 * recordcache.Memory(100), "none cached": -1} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, tempFile(t), &Options{CacheBytes: bytes})
			mustCommit(t, s, put(1, 0, 15))
			var done atomic.Bool
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					last := uint64(0)
					for !done.Load() {
						r, err := s.Load(t.Context(), testID(rand.IntN(16)))
						if err != nil {
							t.Error(err)
							return
						}
						if r.Revision() < last {
							t.Errorf("%v was seen after revision %d of one that changes with it", r, last)
							return
						}
						last = r.Revision()
						runtime.Gosched()
					}
				})
			}
			for revision := uint64(2); revision < 100; revision++ {
				mustCommit(t, s, put(revision, 0, 15))
			}
			done.Store(true)
			all.Wait()
		})
	}
}

func TestUnknownIDsAreNotKept(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	for n := range 1000 {
		wantRevision(t, s, n, 0)
	}
	if n := s.cache.State().Records; n != 0 {
		t.Errorf("%d records are in the cache", n)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	const records = 1000
	one := recordcache.Memory(len(encode(testRecord(100, 1))))
	s := openStore(t, tempFile(t), &Options{CacheBytes: 50 * one})
	for n := 100; n < records; n += 50 {
		mustCommit(t, s, put(1, n, n+49))
	}
	if n := s.cache.State().Records; n != 50 {
		t.Errorf("there is room for 50 records, and %d are there", n)
	}
	checkCache(t, s)
	for n := 100; n < records; n++ {
		wantRevision(t, s, n, 1)
	}
	if n := s.cache.State().Records; n != 50 {
		t.Errorf("after loading, %d are there", n)
	}
	// One that takes all of it is not kept, and takes the place of none.
	mustCommit(t, s, remint.Batch{Put: []remint.Put{{Record: bigRecord(1, 1)}}})
	if n := s.cache.State().Records; n != 50 {
		t.Errorf("after a big record, %d are there", n)
	}
	// What is used stays.
	hot := testID(records - 1)
	for n := 100; n < records-1; n++ {
		if n > 100 && s.cache.Get(hot) == nil {
			t.Fatalf("a record in use was evicted for record %d", n)
		}
		wantRevision(t, s, records-1, 1)
		wantRevision(t, s, n, 1)
	}
}

func TestAHitAllocatesNothing(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	mustCommit(t, s, put(1, 1, 1))
	ctx, id := t.Context(), testID(1)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := s.Load(ctx, id); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
