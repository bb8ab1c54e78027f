package storebolt

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/remint-go/remint"
)

// A cache keeps decoded records. Reading takes no lock and writes nothing shared, except to
// mark, once in a while, what is in use. Only the leader of a group puts and removes; what a Load
// has read from the file is let in only if neither happened meanwhile (fence). So what
// is in the cache is what is stored.
//
// IDs that are not stored are not kept: whoever makes some up must not fill memory.
//
// A nil cache keeps nothing.
type cache struct {
	shards []shard
	shift  int   // of a hash, for the index of its shard
	limit  int64 // bytes in a shard
	seed   [2]uint64
}

// A shard is an open-addressing table with linear probing. Writers lock mu. Readers
// see a table that may be changing, and may miss what is in it: then they read the file.
type shard struct {
	table atomic.Pointer[table]
	_     [56]byte // what writers write is not on the line that readers read

	// changes counts put and remove. It is written with mu locked.
	changes atomic.Uint64

	mu    sync.Mutex
	bytes int64
	count int
	hand  int // the next slot to be considered for eviction

	_ [24]byte // nor on that of the next shard
}

type table struct {
	slots []slot // a power of two; at most 3/4 of them in use
}

// A slot is in use if it has a record. Its mark is the upper half of the ID's hash, and in
// its lowest bit whether the record was used since the hand came by.
type slot struct {
	record atomic.Pointer[remint.Record]
	mark   atomic.Uint32
	size   uint32 // guarded by shard.mu
}

const (
	usedBit   = 1
	minSlots  = 16
	maxShards = 64
	// shardBytes is what a shard has at least, if there are several: many more
	// than the largest record takes.
	shardBytes = 1 << 20
)

func newCache(limit int64) *cache {
	if limit < 0 {
		return nil
	}
	n := 1 << (bits.Len64(uint64(max(limit/shardBytes, 1))) - 1)
	n = min(n, maxShards)
	return &cache{
		shards: make([]shard, n),
		shift:  64 - bits.Len(uint(n-1)),
		limit:  limit / int64(n),
		seed:   [2]uint64{rand.Uint64() | 1, rand.Uint64() | 1},
	}
}

// hash mixes all of an ID: those of one millisecond differ at its end only, and those that
// somebody chose, anywhere.
func (c *cache) hash(id *remint.ID) uint64 {
	a, b := binary.LittleEndian.Uint64(id[:8]), binary.LittleEndian.Uint64(id[8:])
	hi, lo := bits.Mul64(a^c.seed[0], b^c.seed[1])
	hi, lo = bits.Mul64(hi^lo^c.seed[0], c.seed[1])
	return hi ^ lo
}

func (c *cache) shard(h uint64) *shard { return &c.shards[h>>c.shift] }

func mark(h uint64) uint32 { return uint32(h>>16) &^ usedBit }

// get returns the record of id, or nil.
func (c *cache) get(id remint.ID) *remint.Record {
	if c == nil {
		return nil
	}
	h := c.hash(&id)
	t := c.shard(h).table.Load()
	if t == nil {
		return nil
	}
	mask := uint64(len(t.slots) - 1)
	for i := range uint64(len(t.slots)) {
		slot := &t.slots[(h+i)&mask]
		r := slot.record.Load()
		if r == nil {
			return nil
		}
		if m := slot.mark.Load(); m&^usedBit == mark(h) && r.ID() == id {
			if m&usedBit == 0 {
				slot.mark.Or(usedBit)
			}
			return r
		}
	}
	return nil
}

// fence returns what fill wants to know: call it before reading the file.
func (c *cache) fence(id remint.ID) uint64 {
	if c == nil {
		return 0
	}
	return c.shard(c.hash(&id)).changes.Load()
}

// fill keeps a record that was read from the file after the fence was put up, unless a
// commit has changed the shard since.
func (c *cache) fill(r *remint.Record, size int, fence uint64) {
	if c == nil {
		return
	}
	id := r.ID()
	h := c.hash(&id)
	sh := c.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.changes.Load() == fence {
		sh.set(c, h, r, memory(size))
	}
}

// put keeps a record that was committed; size is that of its stored form.
func (c *cache) put(r *remint.Record, size int) {
	if c == nil {
		return
	}
	id := r.ID()
	h := c.hash(&id)
	sh := c.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.changes.Add(1)
	sh.set(c, h, r, memory(size))
}

// remove forgets a record that was deleted.
func (c *cache) remove(id remint.ID) {
	if c == nil {
		return
	}
	h := c.hash(&id)
	sh := c.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.changes.Add(1)
	if i := sh.find(h, id); i >= 0 {
		sh.drop(c, i)
	}
}

var recordBytes = int64(reflect.TypeFor[remint.Record]().Size())

// memory estimates what a record of that stored size takes when decoded: its struct, the
// strings and slices that it points to, which are larger than stored ones, and a slot.
func memory(size int) int64 {
	return recordBytes + 2*int64(size) + 32
}

// find returns the slot of id, or -1.
func (sh *shard) find(h uint64, id remint.ID) int {
	t := sh.table.Load()
	if t == nil {
		return -1
	}
	mask := uint64(len(t.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch r := t.slots[i].record.Load(); {
		case r == nil:
			return -1
		case r.ID() == id:
			return int(i)
		}
	}
}

// set puts a record in the place of another of its ID, or in a new one.
func (sh *shard) set(c *cache, h uint64, r *remint.Record, size int64) {
	i := sh.find(h, r.ID())
	if size > c.limit {
		if i >= 0 {
			sh.drop(c, i)
		}
		return
	}
	if i >= 0 {
		slot := &sh.table.Load().slots[i]
		sh.bytes += size - int64(slot.size)
		slot.size = uint32(size)
		slot.record.Store(r)
	} else {
		sh.bytes += size
		sh.insert(c, h, r, size)
	}
	for sh.bytes > c.limit {
		sh.evict(c, r)
	}
}

func (sh *shard) insert(c *cache, h uint64, r *remint.Record, size int64) {
	t := sh.table.Load()
	if t == nil {
		t = &table{slots: make([]slot, minSlots)}
		sh.table.Store(t)
	} else if 4*(sh.count+1) > 3*len(t.slots) {
		t = sh.grow(c, t)
	}
	sh.count++
	t.insert(h, r, mark(h), uint32(size))
}

func (t *table) insert(h uint64, r *remint.Record, mark, size uint32) {
	mask := uint64(len(t.slots) - 1)
	i := h & mask
	for t.slots[i].record.Load() != nil {
		i = (i + 1) & mask
	}
	t.slots[i].size = size
	t.slots[i].mark.Store(mark)
	t.slots[i].record.Store(r)
}

// grow makes a table of twice the size that of the shard. Readers of the old one see what was
// in it when they began.
func (sh *shard) grow(c *cache, old *table) *table {
	t := &table{slots: make([]slot, 2*len(old.slots))}
	for i := range old.slots {
		if r := old.slots[i].record.Load(); r != nil {
			t.insert(c.hashOf(r), r, old.slots[i].mark.Load(), old.slots[i].size)
		}
	}
	sh.table.Store(t)
	return t
}

// evict drops a record other than keep: the next that was not used since the hand last came by.
func (sh *shard) evict(c *cache, keep *remint.Record) {
	t := sh.table.Load()
	for tries := 0; ; tries++ {
		i := sh.hand & (len(t.slots) - 1)
		slot := &t.slots[i]
		switch r := slot.record.Load(); {
		case r == nil || r == keep:
		case slot.mark.Load()&usedBit != 0 && tries < 2*len(t.slots):
			slot.mark.And(^uint32(usedBit))
		default:
			sh.drop(c, i) // and look at the slot again: another may have moved there
			return
		}
		sh.hand++
	}
}

// drop empties a slot, and moves what follows so that probing does not end at it too early.
func (sh *shard) drop(c *cache, hole int) {
	t := sh.table.Load()
	mask := len(t.slots) - 1
	sh.count--
	sh.bytes -= int64(t.slots[hole].size)
	for i := (hole + 1) & mask; ; i = (i + 1) & mask {
		from := &t.slots[i]
		r := from.record.Load()
		if r == nil {
			break
		}
		home := int(c.hashOf(r)) & mask
		if (i-home)&mask < (i-hole)&mask {
			continue // it would stand before its home
		}
		to := &t.slots[hole]
		to.size = from.size
		to.mark.Store(from.mark.Load())
		to.record.Store(r)
		hole = i
	}
	t.slots[hole].record.Store(nil)
}

func (c *cache) hashOf(r *remint.Record) uint64 {
	id := r.ID()
	return c.hash(&id)
}
