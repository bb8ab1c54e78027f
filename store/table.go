package store

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"

	"github.com/remint-go/remint"
)

// A table is a hash table of records by ID, for one writer at a time and any number of
// readers, which take no lock. The zero table is empty.
//
// The slots are one array, probed linearly. A reader that finds its record has touched,
// in most cases, one cache line of slots and then the record: a slot has the hash beside
// the pointer, so that no other record is looked into on the way.
//
// Readers need no lock because a slot belongs to one ID for ever: its tag is written
// once, before its pointer, and a deleted record leaves a tombstone that nobody takes up
// again. When too many slots are taken, the writer builds another array without the
// tombstones and publishes that. A reader that is still in the old one finds what was
// there when it began.
type table struct {
	slots atomic.Pointer[slots]

	// The writer's own.
	roster roster
	live   int // slots with a record
	taken  int // slots with a record or a tombstone
}

type slots struct {
	seed [2]uint64
	mask uint64
	at   []slot // a power of two of them, of which at least 3/8 are free
}

type slot struct {
	tag    uint32 // of the hash of the ID; to be read after record
	number uint32 // in the roster
	record atomic.Pointer[remint.Record]
}

// tombstone stands in for a deleted record.
var tombstone = new(remint.Record)

const minSlots = 16

// get returns the record of id, or nil.
func (t *table) get(id remint.ID) *remint.Record {
	s := t.slots.Load()
	if s == nil {
		return nil
	}
	_, r := s.find(id)
	return r
}

// find returns the slot of id and its record. If there is none, it returns the free slot
// where the search ended, and nil.
func (s *slots) find(id remint.ID) (*slot, *remint.Record) {
	hash := s.hash(id)
	for i := hash; ; i++ {
		slot := &s.at[i&s.mask]
		r := slot.record.Load()
		if r == nil || slot.tag == tag(hash) && r.ID() == id && r != tombstone {
			return slot, r
		}
	}
}

// put makes r the record of its ID, and returns the number of that.
func (t *table) put(r *remint.Record) uint32 {
	s := t.slots.Load()
	if s == nil || (t.taken+1)*8 > len(s.at)*5 {
		s = t.rebuild(t.live + 1)
	}
	slot, old := s.find(r.ID())
	if old == nil {
		slot.tag, slot.number = tag(s.hash(r.ID())), t.roster.add(r)
		t.live++
		t.taken++
	} else {
		t.roster.set(slot.number, r)
	}
	slot.record.Store(r)
	return slot.number
}

// remove removes the record of id, if there is one.
func (t *table) remove(id remint.ID) {
	s := t.slots.Load()
	if s == nil {
		return
	}
	slot, old := s.find(id)
	if old == nil {
		return
	}
	slot.record.Store(tombstone)
	t.roster.remove(slot.number)
	t.live--
	if len(s.at) > minSlots && t.live*16 < len(s.at) {
		t.rebuild(t.live)
	}
}

// rebuild publishes new slots with the present records, in which n take at most a third
// of the room.
func (t *table) rebuild(n int) *slots {
	size := minSlots
	for size < n*3 {
		size *= 2
	}
	s := &slots{
		seed: [2]uint64{rand.Uint64(), rand.Uint64()}, // so that nobody can choose IDs that collide
		mask: uint64(size - 1),
		at:   make([]slot, size),
	}
	if old := t.slots.Load(); old != nil {
		for i := range old.at {
			if r := old.at[i].record.Load(); r != nil && r != tombstone {
				slot, _ := s.find(r.ID())
				slot.tag, slot.number = tag(s.hash(r.ID())), old.at[i].number
				slot.record.Store(r)
			}
		}
	}
	t.taken = t.live
	t.slots.Store(s)
	return s
}

// tag returns the half of a hash that says least about where its slot is.
func tag(hash uint64) uint32 { return uint32(hash >> 32) }

// hash mixes both halves of an ID: those of tests may differ in a few bits only, and
// those of one millisecond in their second half only.
func (s *slots) hash(id remint.ID) uint64 {
	a, b := bits.Mul64(binary.LittleEndian.Uint64(id[:8])^s.seed[0], binary.LittleEndian.Uint64(id[8:])^s.seed[1])
	a, b = bits.Mul64(a^b, 0x9e3779b97f4a7c15) // an odd number without pattern: 2^64 / the golden ratio
	return a ^ b
}
