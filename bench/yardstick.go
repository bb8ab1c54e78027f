package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"hash/crc32"
	"hash/maphash"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
)

// A yardstick is what a hand-written check of remint's tokens does without any feature, and
// without an allocation.
type yardstick struct {
	shards []shard // 1, or a power of 2
	seed   maphash.Seed
	owners []string
}

type shard struct {
	sync.RWMutex
	m map[ulid.ULID]*yardToken
	_ [32]byte
}

// A yardToken fits in one cache line.
type yardToken struct {
	digest  [32]byte
	expires int64 // µs
	parent  ulid.ULID
	owner   uint32
}

var (
	errRefused = errors.New("refused")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func newYardstick(shards int, owners []string) *yardstick {
	y := &yardstick{shards: make([]shard, shards), seed: maphash.MakeSeed(), owners: owners}
	for i := range y.shards {
		y.shards[i].m = map[ulid.ULID]*yardToken{}
	}
	return y
}

func (y *yardstick) shard(id ulid.ULID) *shard {
	if len(y.shards) == 1 {
		return &y.shards[0]
	}
	return &y.shards[maphash.Comparable(y.seed, id)&uint64(len(y.shards)-1)]
}

// add adds a token that lives for a day; parent is the zero ID if it has none.
func (y *yardstick) add(text string, prefix int, parent ulid.ULID, owner uint32) ulid.ULID {
	id, digest := digestOf(text, prefix)
	y.shard(id).m[id] = &yardToken{digest, time.Now().Add(day).UnixMicro(), parent, owner}
	return id
}

func (y *yardstick) load(id ulid.ULID) *yardToken {
	s := y.shard(id)
	s.RLock()
	t := s.m[id]
	s.RUnlock()
	return t
}

// verify returns whose token text is, whose prefix is that long.
func (y *yardstick) verify(text string, prefix int) (string, error) {
	id, secret, ok := parse(text, prefix)
	if !ok {
		return "", errRefused
	}
	now := time.Now().UnixMicro()
	t := y.load(id)
	if t == nil {
		return "", errRefused
	}
	d := sha256.Sum256(secret[:])
	if subtle.ConstantTimeCompare(d[:], t.digest[:]) != 1 || now >= t.expires {
		return "", errRefused
	}
	if t.parent != (ulid.ULID{}) {
		p := y.load(t.parent)
		if p == nil || now >= p.expires {
			return "", errRefused
		}
	}
	return y.owners[t.owner], nil
}

const (
	day    = 24 * time.Hour
	base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

// texts are buffers: a checksum by table lets its argument escape, and a copy of each text would be
// an allocation.
var texts = sync.Pool{New: func() any { return new([128]byte) }}

// parse checks the form and the checksum of a token's text, and returns its parts.
func parse(text string, prefix int) (id ulid.ULID, secret [43]byte, ok bool) {
	if len(text) != prefix+75 || len(text) > 128 {
		return id, secret, false
	}
	buf := texts.Get().(*[128]byte)
	defer texts.Put(buf)
	b := buf[:copy(buf[:], text)]
	sum := crc32.Checksum(b[:len(b)-6], castagnoli)
	for i := len(b) - 1; i >= len(b)-6; i-- {
		if b[i] != base62[sum%62] {
			return id, secret, false
		}
		sum /= 62
	}
	if id.UnmarshalText(b[prefix:prefix+26]) != nil {
		return id, secret, false
	}
	copy(secret[:], b[prefix+26:])
	return id, secret, true
}

func digestOf(text string, prefix int) (ulid.ULID, [32]byte) {
	return ulid.MustParseStrict(text[prefix : prefix+26]), sha256.Sum256([]byte(text[prefix+26 : len(text)-6]))
}

// remove is a revocation.
func (y *yardstick) remove(text string, prefix int) {
	id, _ := digestOf(text, prefix)
	delete(y.shard(id).m, id)
}
