package storebolt

import (
	"context"
	"errors"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/remint-go/remint"
)

// What is wrong in the file is an error that says where, and never a record.
func TestDamageIsAnError(t *testing.T) {
	id1, id2 := testID(1), testID(2)
	for name, c := range map[string]struct {
		damage func(s *Store, tx *bbolt.Tx) error
		use    func(ctx context.Context, s *Store) error
		want   []string
	}{
		"a record": {
			func(s *Store, tx *bbolt.Tx) error { return set(s, tx, bucketRecords, id1[:], []byte{1, 2, 3, 4, 5, 6}) },
			func(ctx context.Context, s *Store) error { _, err := s.Load(ctx, id1); return err },
			[]string{"load from", id1.String(), "damaged: checksum"},
		},
		"a record that is judged": {
			func(s *Store, tx *bbolt.Tx) error { return set(s, tx, bucketRecords, id1[:], []byte{1, 2, 3, 4, 5, 6}) },
			func(ctx context.Context, s *Store) error { return s.Commit(ctx, put(2, 1, 1)) },
			[]string{"commit to", id1.String(), "damaged: checksum"},
		},
		"a record that is touched": {
			func(s *Store, tx *bbolt.Tx) error { return set(s, tx, bucketRecords, id1[:], []byte{1, 2, 3, 4, 5, 6}) },
			func(ctx context.Context, s *Store) error {
				return s.Commit(ctx, remint.Batch{Touch: []*remint.Record{testRecord(1, 1)}})
			},
			[]string{"commit to", id1.String(), "damaged: checksum"},
		},
		"a record in another's place": {
			func(s *Store, tx *bbolt.Tx) error { return set(s, tx, bucketRecords, id1[:], encode(testRecord(2, 1))) },
			func(ctx context.Context, s *Store) error { _, err := s.Load(ctx, id1); return err },
			[]string{"load from", id1.String(), "it is that of " + id2.String()},
		},
		"an index": {
			func(s *Store, tx *bbolt.Tx) error { return set(s, tx, bucketRecords, id1[:], nil) },
			func(ctx context.Context, s *Store) error {
				_, err := s.List(ctx, "o", remint.ID{}, remint.ID{}, 9)
				return err
			},
			[]string{"list", id1.String() + ", which is not there"},
		},
		"an event": {
			func(s *Store, tx *bbolt.Tx) error {
				return set(s, tx, bucketEvents, appendPosition(nil, 2), []byte("event"))
			},
			func(ctx context.Context, s *Store) error { _, _, err := s.Events(ctx, "", 9); return err },
			[]string{"read the events of", "event 2"},
		},
		"no bucket": {
			func(s *Store, tx *bbolt.Tx) error { return tx.DeleteBucket(s.bucket) },
			func(ctx context.Context, s *Store) error { _, err := s.Load(ctx, id1); return err },
			[]string{"load from", `bucket "remint"`, "is gone"},
		},
		"no bucket to commit to": {
			func(s *Store, tx *bbolt.Tx) error { return tx.DeleteBucket(s.bucket) },
			func(ctx context.Context, s *Store) error { return s.Commit(ctx, put(1, 5, 5)) },
			[]string{"commit to", `bucket "remint"`, "is gone"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(tempFile(t), &Options{CacheBytes: -1})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			mustCommit(t, s, put(1, 1, 3))
			if err := s.db.Update(func(tx *bbolt.Tx) error { return c.damage(s, tx) }); err != nil {
				t.Fatal(err)
			}
			err = c.use(t.Context(), s)
			if err == nil || errors.Is(err, remint.ErrNotFound) || errors.Is(err, remint.ErrConflict) {
				t.Fatalf("it gives %v", err)
			}
			for _, want := range append(c.want, "storebolt: ", s.path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

// set writes a key, or deletes it if the value is nil.
func set(s *Store, tx *bbolt.Tx, bucket, key, value []byte) error {
	b, err := s.sub(tx, bucket)
	if err != nil {
		return err
	}
	if value == nil {
		return b.Delete(key)
	}
	return b.Put(key, value)
}

// A page that bbolt cannot make sense of makes it panic. Neither that nor a lock that is left
// behind is for the application.
func TestADamagedPageIsAnError(t *testing.T) {
	path := tempFile(t)
	s := openStore(t, path, nil)
	for n := range 20 {
		mustCommit(t, s, put(1, 20*n, 20*n+19))
	}
	var root int64
	if err := s.db.View(func(tx *bbolt.Tx) error {
		b, err := s.sub(tx, bucketRecords)
		root = int64(b.Root())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	size := int64(s.db.Info().PageSize)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	overwrite(t, path, root*size, make([]byte, size))

	s, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		if _, err := s.Load(t.Context(), testID(1)); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("Load: %v", err)
		}
		if err := s.Commit(t.Context(), put(2, 1, 1)); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("Commit: %v", err)
		}
		if _, _, err := s.Events(t.Context(), "", 9); err != nil {
			t.Errorf("Events, which are on other pages: %v", err)
		}
	}
}
