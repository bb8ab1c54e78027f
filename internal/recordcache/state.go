package recordcache

import (
	"fmt"

	"github.com/remint-go/remint"
)

// A State is what a Cache has at a moment, and has done.
type State struct {
	Records int
	Bytes   int64  // estimated: see Memory
	Evicted uint64 // records that were dropped for want of room, ever
}

// State adds up the shards, one after the other.
func (c *Cache) State() (s State) {
	if c == nil {
		return s
	}
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		s.Records += sh.count
		s.Bytes += sh.bytes
		s.Evicted += sh.evicted
		sh.mu.Unlock()
	}
	return s
}

// Clear forgets everything.
func (c *Cache) Clear() {
	if c == nil {
		return
	}
	for i := range c.shards {
		sh := &c.shards[i]
		sh.mu.Lock()
		sh.changes.Add(1)
		sh.table.Store(nil)
		sh.bytes, sh.count, sh.hand = 0, 0, 0
		sh.mu.Unlock()
	}
}

// Check calls each for all that is kept, while nobody changes anything, and returns an
// error if something is kept and not found, or the sums are wrong. It is for tests.
func (c *Cache) Check(each func(*remint.Record)) error {
	if c == nil {
		return nil
	}
	for i := range c.shards {
		sh := &c.shards[i]
		bytes, count := int64(0), 0
		if t := sh.table.Load(); t != nil {
			for i := range t.slots {
				r := t.slots[i].record.Load()
				if r == nil {
					continue
				}
				count++
				bytes += int64(t.slots[i].size)
				if c.Get(r.ID()) != r {
					return fmt.Errorf("%v is kept and not found", r)
				}
				each(r)
			}
		}
		if bytes != sh.bytes || count != sh.count || bytes > c.limit {
			return fmt.Errorf("shard %d counts %d bytes in %d records, has %d in %d, and may have %d", i, sh.bytes, sh.count, bytes, count, c.limit)
		}
	}
	return nil
}
