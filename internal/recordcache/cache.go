// Package recordcache keeps decoded records in memory, bounded in bytes: what storebolt has
// in front of its file, and store.Cache in front of another store.
package recordcache

import (
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/remint-go/remint"
)

// A Cache keeps records by their IDs. Reading takes no lock and writes nothing shared, except
// to mark, once in a while, what is in use. Its user decides what is let in; for what was
// read while somebody may have changed it, there is a fence.
//
// IDs that are not stored are not kept: whoever makes some up must not fill memory.
//
// A nil Cache keeps nothing.
type Cache struct {
	shards []shard
	shift  int   // of a hash, for the index of its shard
	limit  int64 // bytes in a shard
	seed   [2]uint64
}

// A shard is an open-addressing table with linear probing. Writers lock mu. Readers
// see a table that may be changing, and may miss what is in it.
type shard struct {
	table atomic.Pointer[table]
	_     [56]byte // what writers write is not on the line that readers read

	// changes counts Put and Remove. It is written with mu locked.
	changes atomic.Uint64

	mu      sync.Mutex
	bytes   int64
	count   int
	hand    int // the next slot to be considered for eviction
	evicted uint64

	_ [16]byte // nor on that of the next shard
}

type table struct {
	slots []slot // a power of two; at most 3/4 of them in use
}

// unknown is the time of a record that is just being put in.
const unknown = math.MinInt64

// A slot is in use if it has a record. Its mark is the upper half of the ID's hash, and in
// its lowest bit whether the record was used since the hand came by.
type slot struct {
	record atomic.Pointer[remint.Record]
	asOf   atomic.Int64 // see set
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

// New returns a Cache of that many bytes; nil, which keeps nothing, if they are negative.
func New(limit int64) *Cache {
	if limit < 0 {
		return nil
	}
	n := 1 << (bits.Len64(uint64(max(limit/shardBytes, 1))) - 1)
	n = min(n, maxShards)
	return &Cache{
		shards: make([]shard, n),
		shift:  64 - bits.Len(uint(n-1)),
		limit:  limit / int64(n),
		seed:   [2]uint64{rand.Uint64() | 1, rand.Uint64() | 1},
	}
}

// hash mixes all of an ID: those of one millisecond differ at its end only, and those that
// somebody chose, anywhere.
func (c *Cache) hash(id *remint.ID) uint64 {
	a, b := binary.LittleEndian.Uint64(id[:8]), binary.LittleEndian.Uint64(id[8:])
	hi, lo := bits.Mul64(a^c.seed[0], b^c.seed[1])
	hi, lo = bits.Mul64(hi^lo^c.seed[0], c.seed[1])
	return hi ^ lo
}

func (c *Cache) shard(h uint64) *shard { return &c.shards[h>>c.shift] }

func mark(h uint64) uint32 { return uint32(h>>16) &^ usedBit }

// Get returns the record of id, or nil.
func (c *Cache) Get(id remint.ID) *remint.Record {
	r, _ := c.GetAsOf(id)
	return r
}

// GetAsOf returns the record of id, or nil, and the time that it was put in with.
func (c *Cache) GetAsOf(id remint.ID) (*remint.Record, int64) {
	if c == nil {
		return nil, 0
	}
	h := c.hash(&id)
	t := c.shard(h).table.Load()
	if t == nil {
		return nil, 0
	}
	mask := uint64(len(t.slots) - 1)
	for i := range uint64(len(t.slots)) {
		slot := &t.slots[(h+i)&mask]
		r := slot.record.Load()
		if r == nil {
			return nil, 0
		}
		if m := slot.mark.Load(); m&^usedBit == mark(h) && r.ID() == id {
			asOf := slot.asOf.Load()
			if asOf == unknown || slot.record.Load() != r {
				return nil, 0 // it is being replaced: the time may be another's
			}
			if m&usedBit == 0 {
				slot.mark.Or(usedBit)
			}
			return r, asOf
		}
	}
	return nil, 0
}

// Fence returns what Fill wants to know: call it before reading what is to be kept.
func (c *Cache) Fence(id remint.ID) uint64 {
	if c == nil {
		return 0
	}
	return c.shard(c.hash(&id)).changes.Load()
}

// Fill keeps a record that was read after the fence was put up, unless Put or Remove have
// changed the shard since.
func (c *Cache) Fill(r *remint.Record, size int, fence uint64) {
	if c == nil {
		return
	}
	id := r.ID()
	h := c.hash(&id)
	sh := c.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.changes.Load() == fence {
		sh.set(c, h, r, Memory(size), 0)
	}
}

// Put keeps a record; size is that of its stored form, and asOf what GetAsOf is to return.
func (c *Cache) Put(r *remint.Record, size int, asOf int64) {
	if c == nil {
		return
	}
	id := r.ID()
	h := c.hash(&id)
	sh := c.shard(h)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.changes.Add(1)
	sh.set(c, h, r, Memory(size), asOf)
}

// Remove forgets a record.
func (c *Cache) Remove(id remint.ID) {
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

// Memory estimates what a record of that stored size takes when decoded: its struct, the
// strings and slices that it points to, which are larger than stored ones, and a slot.
func Memory(size int) int64 {
	return recordBytes + 2*int64(size) + 48
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
//
// GetAsOf takes no lock, so a slot never has a time that is later than that of its record:
// a time is taken away before the record is written, and written after it.
func (sh *shard) set(c *Cache, h uint64, r *remint.Record, size, asOf int64) {
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
		slot.store(r, asOf)
	} else {
		sh.bytes += size
		sh.insert(c, h, r, size, asOf)
	}
	for sh.bytes > c.limit {
		sh.evict(c, r)
	}
}

func (s *slot) store(r *remint.Record, asOf int64) {
	s.asOf.Store(unknown)
	s.record.Store(r)
	s.asOf.Store(asOf)
}

func (sh *shard) insert(c *Cache, h uint64, r *remint.Record, size, asOf int64) {
	t := sh.table.Load()
	if t == nil {
		t = &table{slots: make([]slot, minSlots)}
		sh.table.Store(t)
	} else if 4*(sh.count+1) > 3*len(t.slots) {
		t = sh.grow(c, t)
	}
	sh.count++
	t.insert(h, r, mark(h), uint32(size), asOf)
}

func (t *table) insert(h uint64, r *remint.Record, mark, size uint32, asOf int64) {
	mask := uint64(len(t.slots) - 1)
	i := h & mask
	for t.slots[i].record.Load() != nil {
		i = (i + 1) & mask
	}
	t.slots[i].size = size
	t.slots[i].mark.Store(mark)
	t.slots[i].store(r, asOf)
}

// grow makes a table of twice the size that of the shard. Readers of the old one see what was
// in it when they began.
func (sh *shard) grow(c *Cache, old *table) *table {
	t := &table{slots: make([]slot, 2*len(old.slots))}
	for i := range old.slots {
		if r := old.slots[i].record.Load(); r != nil {
			t.insert(c.hashOf(r), r, old.slots[i].mark.Load(), old.slots[i].size, old.slots[i].asOf.Load())
		}
	}
	sh.table.Store(t)
	return t
}

// evict drops a record other than keep: the next that was not used since the hand last came by.
func (sh *shard) evict(c *Cache, keep *remint.Record) {
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
			sh.evicted++
			return
		}
		sh.hand++
	}
}

// drop empties a slot, and moves what follows so that probing does not end at it too early.
func (sh *shard) drop(c *Cache, hole int) {
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
		to.store(r, from.asOf.Load())
		hole = i
	}
	t.slots[hole].record.Store(nil)
}

func (c *Cache) hashOf(r *remint.Record) uint64 {
	id := r.ID()
	return c.hash(&id)
}
