package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"math/bits"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// A flatTable is a yardstick whose tokens lie in one array, so that finding one is one
// cache line to wait for. It is open addressing with linear probing, at most half full.
type flatTable struct {
	sync.RWMutex
	entries []flatEntry
	mask    uint64
	owners  []string
}

// A flatEntry has 64 bytes.
type flatEntry struct {
	id      ulid.ULID // zero: free
	digest  [32]byte
	expires int64 // µs
	owner   uint32
	_       uint32
}

func newFlatTable(n int, owners []string) *flatTable {
	size := uint64(1) << bits.Len(uint(2*n-1))
	return &flatTable{entries: make([]flatEntry, size), mask: size - 1, owners: owners}
}

// slot returns the entry of id, or the free one where it belongs. The last eight bytes of a ULID
// are random.
func (f *flatTable) slot(id ulid.ULID) *flatEntry {
	for i := binary.LittleEndian.Uint64(id[8:]); ; i++ {
		if e := &f.entries[i&f.mask]; e.id == id || e.id == (ulid.ULID{}) {
			return e
		}
	}
}

func (f *flatTable) add(text string, prefix int, owner uint32) {
	id, digest := digestOf(text, prefix)
	*f.slot(id) = flatEntry{id: id, digest: digest, expires: time.Now().Add(day).UnixMicro(), owner: owner}
}

func (f *flatTable) verify(text string, prefix int) (string, error) {
	id, secret, ok := parse(text, prefix)
	if !ok {
		return "", errRefused
	}
	now := time.Now().UnixMicro()
	f.RLock()
	e := f.slot(id)
	digest, expires, owner, found := &e.digest, e.expires, e.owner, e.id == id
	d := sha256.Sum256(secret[:])
	good := found && subtle.ConstantTimeCompare(d[:], digest[:]) == 1 && now < expires
	f.RUnlock()
	if !good {
		return "", errRefused
	}
	return f.owners[owner], nil
}
