package storebolt

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"github.com/remint-go/remint"
)

// Format 1. Everything is in one top-level bucket, which has these:
//
//	t  ID → record                                           every record
//	o  owner, 0, ID → ""                                     those without a parent
//	p  parent, owner, 0, ID → ""                             those with one
//	x  SweepAt (int64 µs, sign flipped, big-endian), ID → "" those that have one
//	e  position (uint64 from 1, big-endian) → event          what was logged and not trimmed
//	m  "format" → "1"; "log" → 8 random bytes, which tell cursors of one log from another's
//
// Records and events are as their AppendBinary wrote them. An owner has no 0. The sequence of
// bucket e is the last position ever given, also when all events are trimmed.
const format = 1

var (
	bucketRecords = []byte("t")
	bucketOwners  = []byte("o")
	bucketParents = []byte("p")
	bucketSweeps  = []byte("x")
	bucketEvents  = []byte("e")
	bucketMeta    = []byte("m")

	metaFormat = []byte("format")
	metaLog    = []byte("log")
)

type logID [8]byte

const idLen = len(remint.ID{})

// appendListKey appends the key by which List finds r, or the start of such keys if
// id is zero.
func appendListKey(b []byte, owner string, parent remint.ID) []byte {
	if !parent.IsZero() {
		b = append(b, parent[:]...)
	}
	return append(append(b, owner...), 0)
}

func listBucket(parent remint.ID) []byte {
	if parent.IsZero() {
		return bucketOwners
	}
	return bucketParents
}

// appendSweepKey appends the start of the key by which Due finds a time.
func appendSweepKey(b []byte, micros int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(micros)^1<<63)
}

// microsBefore returns the least number of microseconds that is not before t.
func microsBefore(t time.Time) int64 {
	switch {
	case t.Before(time.UnixMicro(math.MinInt64)):
		return math.MinInt64
	case t.After(time.UnixMicro(math.MaxInt64)):
		return math.MaxInt64
	}
	micros := t.UnixMicro()
	if time.UnixMicro(micros).Before(t) {
		micros++
	}
	return micros
}

func appendPosition(b []byte, position uint64) []byte {
	return binary.BigEndian.AppendUint64(b, position)
}

// prepare checks the bucket, makes it if it is not there, and reads what it says of itself.
func (s *Store) prepare() error {
	found := false
	err := s.peek(func(tx *bbolt.Tx) (err error) {
		found, err = s.inspect(tx)
		return err
	})
	if err != nil || found {
		return err
	}
	if s.readOnly {
		return fmt.Errorf("there is no bucket %q", s.bucket)
	}
	return s.update(func(tx *bbolt.Tx) error {
		if err := s.create(tx); err != nil {
			return err
		}
		_, err := s.inspect(tx)
		return err
	})
}

// inspect reports whether the bucket is there and of this format.
func (s *Store) inspect(tx *bbolt.Tx) (bool, error) {
	top := tx.Bucket(s.bucket)
	if top == nil {
		return false, nil
	}
	meta := top.Bucket(bucketMeta)
	if meta == nil || meta.Get(metaFormat) == nil {
		if k, _ := top.Cursor().First(); k == nil {
			return false, nil
		}
		return false, fmt.Errorf("bucket %q is not one of storebolt's: choose another by Options.Bucket", s.bucket)
	}
	version, err := strconv.ParseUint(string(meta.Get(metaFormat)), 10, 32)
	switch {
	case err != nil || version == 0:
		return false, fmt.Errorf("bucket %q is damaged: format %q", s.bucket, meta.Get(metaFormat))
	case version > format:
		return false, fmt.Errorf("bucket %q has format %d, written by a newer version of remint; this one knows format %d: upgrade this program, or go back to a copy from before", s.bucket, version, format)
	}
	for _, name := range [][]byte{bucketRecords, bucketOwners, bucketParents, bucketSweeps, bucketEvents} {
		if top.Bucket(name) == nil {
			return false, fmt.Errorf("bucket %q is damaged: it has no %q", s.bucket, name)
		}
	}
	if copy(s.log[:], meta.Get(metaLog)) != len(s.log) {
		return false, fmt.Errorf("bucket %q is damaged: its log has no name", s.bucket)
	}
	return true, nil
}

func (s *Store) create(tx *bbolt.Tx) error {
	top, err := tx.CreateBucketIfNotExists(s.bucket)
	if err != nil {
		return fmt.Errorf("bucket %q: %w", s.bucket, err)
	}
	for _, name := range [][]byte{bucketRecords, bucketOwners, bucketParents, bucketSweeps, bucketEvents, bucketMeta} {
		if _, err := top.CreateBucket(name); err != nil {
			return err
		}
	}
	log := make([]byte, len(s.log))
	rand.Read(log) // never fails: crypto/rand
	meta := top.Bucket(bucketMeta)
	return errors.Join(meta.Put(metaFormat, strconv.AppendUint(nil, format, 10)), meta.Put(metaLog, log))
}

// sub returns one of the buckets of the layout.
func (s *Store) sub(tx *bbolt.Tx, name []byte) (*bbolt.Bucket, error) {
	if top := tx.Bucket(s.bucket); top != nil {
		if b := top.Bucket(name); b != nil {
			return b, nil
		}
	}
	return nil, fmt.Errorf("bucket %q, or %q in it, is gone", s.bucket, name)
}
