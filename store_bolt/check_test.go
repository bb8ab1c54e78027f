package storebolt

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/remint-go/remint"
)

// check makes sure that a store is consistent: the pages of its file, the indexes with the
// records, the positions of events, and the cache with the file.
func check(t testing.TB, s *Store) {
	t.Helper()
	err := s.db.View(func(tx *bbolt.Tx) error {
		if s.owned {
			for err := range tx.Check() {
				t.Errorf("bbolt: %v", err)
			}
		}
		want := map[string]bool{}
		err := each(s, tx, bucketRecords, func(k, v []byte) error {
			r, err := parse(remint.ID(k), v)
			if err != nil {
				return err
			}
			id := r.ID()
			want[fmt.Sprintf("%s %x", listBucket(r.Parent()), append(appendListKey(nil, r.Owner(), r.Parent()), id[:]...))] = true
			if !r.SweepAt().IsZero() {
				want[fmt.Sprintf("%s %x", bucketSweeps, append(appendSweepKey(nil, r.SweepAt().UnixMicro()), id[:]...))] = true
			}
			if cached := s.cache.Get(id); cached != nil && !bytes.Equal(encode(cached), v) {
				t.Errorf("the cache has %v, the file %v", cached, r)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, name := range [][]byte{bucketOwners, bucketParents, bucketSweeps} {
			if err := each(s, tx, name, func(k, _ []byte) error {
				key := fmt.Sprintf("%s %x", name, k)
				if !want[key] {
					t.Errorf("an index has a key of no record: %s", key)
				}
				delete(want, key)
				return nil
			}); err != nil {
				return err
			}
		}
		for key := range want {
			t.Errorf("an index has no %s", key)
		}
		last := uint64(0)
		return each(s, tx, bucketEvents, func(k, v []byte) error {
			position := binary.BigEndian.Uint64(k)
			if last != 0 && position != last+1 {
				t.Errorf("event %d comes after %d", position, last)
			}
			last = position
			_, err := remint.ParseEvent(v)
			return err
		})
	})
	if err != nil {
		t.Error(err)
	}
	if s.cache != nil {
		checkCache(t, s)
	}
}

func each(s *Store, tx *bbolt.Tx, bucket []byte, f func(k, v []byte) error) error {
	b, err := s.sub(tx, bucket)
	if err != nil {
		return err
	}
	return b.ForEach(f)
}

// checkCache makes sure that what the cache has is there to be found, stored and within bounds.
func checkCache(t testing.TB, s *Store) {
	t.Helper()
	if err := s.cache.Check(func(r *remint.Record) {
		if err := s.view("check", func(v *view) error {
			_, err := v.get(r.ID())
			return err
		}); err != nil {
			t.Errorf("%v is in the cache only: %v", r, err)
		}
	}); err != nil {
		t.Error(err)
	}
}

func encode(r *remint.Record) []byte {
	b, _ := r.AppendBinary(nil)
	return b
}
