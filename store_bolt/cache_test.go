package storebolt

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/remint-go/remint"
)

// clear forgets everything. It changes nothing of what is stored, so it is no fence.
func (c *cache) clear() {
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		sh.table.Store(nil)
		sh.bytes, sh.count, sh.hand = 0, 0, 0
		sh.mu.Unlock()
	}
}

func (c *cache) len() (n int) {
	for i := range c.shards {
		n += c.shards[i].count
	}
	return n
}

// A Load that has read the file before a commit must not leave in the cache what it read.
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
			s.cache.clear()
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
		s.cache.clear()
		s.hooks.filling = func() {
			s.hooks.filling = nil
			mustCommit(t, s, put(2, 1, 1))
			for n := range 100 { // the new one may be evicted and read again
				mustCommit(t, s, put(1, 100+n, 100+n))
			}
			s.cache.clear()
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
	s.cache.remove(testID(5)) // which is read from the file
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
	for name, bytes := range map[string]int64{"all cached": 1 << 20, "some cached": 8 * memory(100), "none cached": -1} {
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
	if n := s.cache.len(); n != 0 {
		t.Errorf("%d records are in the cache", n)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	const records = 1000
	one := memory(len(encode(testRecord(100, 1))))
	s := openStore(t, tempFile(t), &Options{CacheBytes: 50 * one})
	for n := 100; n < records; n += 50 {
		mustCommit(t, s, put(1, n, n+49))
	}
	if n := s.cache.len(); n != 50 {
		t.Errorf("there is room for 50 records, and %d are there", n)
	}
	checkCache(t, s)
	for n := 100; n < records; n++ {
		wantRevision(t, s, n, 1)
	}
	if n := s.cache.len(); n != 50 {
		t.Errorf("after loading, %d are there", n)
	}
	// One that takes all of it is not kept, and takes the place of none.
	mustCommit(t, s, remint.Batch{Put: []remint.Put{{Record: bigRecord(1, 1)}}})
	if n := s.cache.len(); n != 50 {
		t.Errorf("after a big record, %d are there", n)
	}
	// What is used stays.
	hot := testID(records - 1)
	for n := 100; n < records-1; n++ {
		if n > 100 && s.cache.get(hot) == nil {
			t.Fatalf("a record in use was evicted for record %d", n)
		}
		wantRevision(t, s, records-1, 1)
		wantRevision(t, s, n, 1)
	}
}

// The table against a map, with fills, hits and evictions in any order.
func TestCacheIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.IntRange(1, 60).Draw(t, "records")
		c := newCache(int64(rapid.IntRange(0, records).Draw(t, "room")) * memory(100))
		stored := map[int]*remint.Record{}
		id := rapid.IntRange(0, records-1)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				n := id.Draw(t, "n")
				stored[n] = testRecord(n, rapid.Uint64Range(1, 100).Draw(t, "revision"))
				size := rapid.SampledFrom([]int{100, 300}).Draw(t, "size")
				c.put(stored[n], size)
				if got := c.get(testID(n)); memory(size) <= c.limit && got != stored[n] {
					t.Fatalf("got %v, put was %v", got, stored[n])
				}
			},
			"remove": func(t *rapid.T) {
				n := id.Draw(t, "n")
				delete(stored, n)
				c.remove(testID(n))
			},
			"load": func(t *rapid.T) {
				n := id.Draw(t, "n")
				if r := stored[n]; r != nil && c.get(testID(n)) == nil {
					c.fill(r, 100, c.fence(testID(n)))
				}
			},
			"load too late": func(t *rapid.T) {
				n := id.Draw(t, "n")
				fence := c.fence(testID(n))
				c.remove(testID(n))
				if r := stored[n]; r != nil {
					c.fill(r, 100, fence)
				}
				if c.get(testID(n)) != nil {
					t.Fatal("it was let in")
				}
			},
			"": func(t *rapid.T) {
				count, bytes := 0, int64(0)
				for i := range c.shards {
					count += c.shards[i].count
					bytes += c.shards[i].bytes
				}
				for n := range records {
					got := c.get(testID(n))
					if got == nil {
						continue
					}
					count--
					if got != stored[n] {
						t.Fatalf("got %v, stored is %v", got, stored[n])
					}
				}
				if count != 0 || bytes > c.limit*int64(len(c.shards)) {
					t.Fatalf("%d records that are not found, %d bytes", count, bytes)
				}
			},
		})
	})
}

func TestCacheSizes(t *testing.T) {
	for limit, shards := range map[int64]int{0: 1, 1: 1, shardBytes: 1, 2 * shardBytes: 2, 3 * shardBytes: 2, 64 << 20: 64, 1 << 40: 64} {
		if c := newCache(limit); len(c.shards) != shards {
			t.Errorf("%d bytes make %d shards, want %d", limit, len(c.shards), shards)
		}
	}
	c := newCache(64 << 20)
	for n := range 10_000 {
		c.put(testRecord(n, 1), 100)
	}
	for i := range c.shards {
		if n := c.shards[i].count; n < 50 || n > 400 {
			t.Errorf("shard %d has %d of 10,000 records", i, n)
		}
	}
	for n := range 10_000 {
		if c.get(testID(n)) == nil {
			t.Fatalf("record %d is not there", n)
		}
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

// Readers of a table that changes see records of the right ID, and none that was replaced
// before they began.
func TestCacheUnderFire(t *testing.T) {
	const records = 200
	c := newCache(records / 2 * memory(100))
	var floor [records]atomic.Uint64
	var done atomic.Bool
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for i := 0; !done.Load(); i++ {
				n := i % records
				least := floor[n].Load()
				if r := c.get(testID(n)); r != nil && (r.ID() != testID(n) || r.Revision() < least) {
					t.Errorf("got %v of revision %d or later", r, least)
					return
				}
			}
		})
	}
	for revision := uint64(1); revision < 200; revision++ {
		for n := range records {
			if n%3 == int(revision%3) {
				c.remove(testID(n))
			}
			c.put(testRecord(n, revision), 100)
			floor[n].Store(revision)
		}
	}
	done.Store(true)
	all.Wait()
}
