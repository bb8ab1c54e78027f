package recordcache

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/internal/recordtest"
)

func testID(n int) (id remint.ID) {
	id[0] = 1
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

func testRecord(n int, revision uint64) *remint.Record {
	return recordtest.New(recordtest.Fields{
		ID: testID(n), Revision: revision, Owner: "o", Payload: fmt.Sprintf("record %d", n),
	}).(*remint.Record)
}

// The table against a map, with fills, hits and evictions in any order.
func TestCacheIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.IntRange(1, 60).Draw(t, "records")
		c := New(int64(rapid.IntRange(0, records).Draw(t, "room")) * Memory(100))
		stored := map[int]*remint.Record{}
		id := rapid.IntRange(0, records-1)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				n := id.Draw(t, "n")
				stored[n] = testRecord(n, rapid.Uint64Range(1, 100).Draw(t, "revision"))
				size := rapid.SampledFrom([]int{100, 300}).Draw(t, "size")
				c.Put(stored[n], size, 0)
				if got := c.Get(testID(n)); Memory(size) <= c.limit && got != stored[n] {
					t.Fatalf("got %v, put was %v", got, stored[n])
				}
			},
			"remove": func(t *rapid.T) {
				n := id.Draw(t, "n")
				delete(stored, n)
				c.Remove(testID(n))
			},
			"load": func(t *rapid.T) {
				n := id.Draw(t, "n")
				if r := stored[n]; r != nil && c.Get(testID(n)) == nil {
					c.Fill(r, 100, c.Fence(testID(n)))
				}
			},
			"load too late": func(t *rapid.T) {
				n := id.Draw(t, "n")
				fence := c.Fence(testID(n))
				c.Remove(testID(n))
				if r := stored[n]; r != nil {
					c.Fill(r, 100, fence)
				}
				if c.Get(testID(n)) != nil {
					t.Fatal("it was let in")
				}
			},
			"": func(t *rapid.T) {
				kept := 0
				if err := c.Check(func(r *remint.Record) {
					kept++
					id := r.ID()
					if n := int(binary.BigEndian.Uint64(id[8:])); r != stored[n] {
						t.Fatalf("kept is %v, stored is %v", r, stored[n])
					}
				}); err != nil {
					t.Fatal(err)
				}
				if s := c.State(); s.Records != kept || s.Bytes > c.limit*int64(len(c.shards)) {
					t.Fatalf("%+v, and %d records are kept", s, kept)
				}
			},
		})
	})
}

func TestCacheSizes(t *testing.T) {
	for limit, shards := range map[int64]int{0: 1, 1: 1, shardBytes: 1, 2 * shardBytes: 2, 3 * shardBytes: 2, 64 << 20: 64, 1 << 40: 64} {
		if c := New(limit); len(c.shards) != shards {
			t.Errorf("%d bytes make %d shards, want %d", limit, len(c.shards), shards)
		}
	}
	c := New(64 << 20)
	for n := range 10_000 {
		c.Put(testRecord(n, 1), 100, 0)
	}
	for i := range c.shards {
		if n := c.shards[i].count; n < 50 || n > 400 {
			t.Errorf("shard %d has %d of 10,000 records", i, n)
		}
	}
	for n := range 10_000 {
		if c.Get(testID(n)) == nil {
			t.Fatalf("record %d is not there", n)
		}
	}
}

// Readers of a table that changes see records of the right ID, none that was replaced
// before they began, and none with the time of a later one.
func TestCacheUnderFire(t *testing.T) {
	const records = 200
	c := New(records / 2 * Memory(100))
	var floor [records]atomic.Uint64
	var done atomic.Bool
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for i := 0; !done.Load(); i++ {
				n := i % records
				least := floor[n].Load()
				r, asOf := c.GetAsOf(testID(n))
				if r == nil {
					continue
				}
				if r.ID() != testID(n) || r.Revision() < least {
					t.Errorf("got %v of revision %d or later", r, least)
					return
				}
				if asOf > int64(r.Revision()) {
					t.Errorf("got %v with the time of revision %d", r, asOf)
					return
				}
			}
		})
	}
	for revision := uint64(1); revision < 200; revision++ {
		for n := range records {
			if n%3 == int(revision%3) {
				c.Remove(testID(n))
			}
			c.Put(testRecord(n, revision), 100, int64(revision))
			floor[n].Store(revision)
		}
	}
	done.Store(true)
	all.Wait()
}

// Whoever compares a time that nobody has said takes an old record for a young one.
func TestARecordThatIsBeingReplacedIsNotThere(t *testing.T) {
	c := New(1 << 20)
	old := testRecord(1, 1)
	c.Put(old, 100, 12345)
	slots := c.shards[0].table.Load().slots
	for i := range slots {
		if slots[i].record.Load() == old {
			slots[i].asOf.Store(unknown) // as store begins
		}
	}
	if r, asOf := c.GetAsOf(testID(1)); r != nil {
		t.Errorf("it is %v as of %d", r, asOf)
	}
}
