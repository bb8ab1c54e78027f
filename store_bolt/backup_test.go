package storebolt

import (
	"bytes"
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/remint-go/remint"
)

// backUp returns the path of a copy of s.
func backUp(t testing.TB, s *Store) string {
	t.Helper()
	path := tempFile(t)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), f); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// Every batch changes all the records, so that a copy of more than one moment shows.
func TestABackupUnderLoadIsTheStateOfOneMoment(t *testing.T) {
	const last = 31
	s := openStore(t, tempFile(t), nil)
	mustCommit(t, s, put(1, 0, last))
	var returned atomic.Uint64
	returned.Store(1)
	var done atomic.Bool
	var writers sync.WaitGroup
	writers.Go(func() {
		for revision := uint64(2); !done.Load(); revision++ {
			if err := s.Commit(t.Context(), put(revision, 0, last)); err != nil {
				t.Error(err)
				return
			}
			returned.Store(revision)
		}
	})
	for n := 100; n < 103; n++ { // others, so that pages split and are freed while it is copied
		writers.Go(func() {
			for revision := uint64(1); !done.Load(); revision++ {
				b := remint.Batch{Put: []remint.Put{{Record: longRecord(n, revision, 1+int(revision%20)<<10), Replaces: revision - 1}}}
				if err := s.Commit(t.Context(), b); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for n := range 8 {
		mustCommit(t, s, remint.Batch{Put: []remint.Put{{Record: testRecord(300+n, 1)}}}) // so that there are several states
		before := returned.Load()
		path := backUp(t, s)
		after := returned.Load() + 1      // one may have happened that has not returned
		copied := openStore(t, path, nil) // whose pages, indexes and events are checked at the end
		first, err := copied.Load(t.Context(), testID(0))
		if err != nil {
			t.Fatal(err)
		}
		revision := first.Revision()
		if revision < before || revision > after {
			t.Errorf("the copy has revision %d, and was made between %d and %d", revision, before, after)
		}
		for n := range last + 1 {
			wantRevision(t, copied, n, revision)
		}
		events := uint64(0)
		for at := remint.Cursor(""); ; {
			page, next, err := copied.Events(t.Context(), at, 1000)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			events, at = events+uint64(len(page)), next
		}
		if events != revision*(last+1) {
			t.Errorf("at revision %d the copy has %d events", revision, events)
		}
		mustCommit(t, copied, put(revision+1, 0, last)) // it goes on by itself
	}
	done.Store(true)
	writers.Wait()
}

// A commit in the midst of it would wait for ever if the file could not grow meanwhile.
func TestCommitsGoOnWhileABackupIsWrittenAndItHasNoneOfThem(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	mustCommit(t, s, put(1, 0, 9))
	path := tempFile(t)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	revision, size := uint64(1), 0
	if err := s.Backup(t.Context(), writeFunc(func(b []byte) (int, error) {
		for n := range 20 {
			mustCommit(t, s, remint.Batch{Put: []remint.Put{{Record: bigRecord(1000*int(revision)+n, 1)}}})
		}
		revision++
		mustCommit(t, s, put(revision, 0, 9))
		size += len(b)
		return f.Write(b)
	})); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(s.path); err != nil || info.Size() < 4*int64(size) || revision < 3 {
		t.Errorf("the file has %d bytes, the copy %d, and revision %d was written meanwhile; %v", info.Size(), size, revision, err)
	}
	copied := openStore(t, path, nil)
	for n := range 10 {
		wantRevision(t, copied, n, 1)
		wantRevision(t, s, n, revision)
	}
	if page, err := copied.Scan(t.Context(), remint.ID{}, 100); len(page) != 10 || err != nil {
		t.Errorf("the copy has %d records; %v", len(page), err)
	}
}

func TestABackupHasTheApplicationsBuckets(t *testing.T) {
	db := openDB(t, tempFile(t))
	if err := db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket([]byte("application"))
		return errors.Join(err, b.Put([]byte("k"), []byte("v")))
	}); err != nil {
		t.Fatal(err)
	}
	s := newStoreIn(t, db, nil)
	mustCommit(t, s, put(1, 1, 3))
	copied := openDB(t, backUp(t, s))
	wantRevision(t, newStoreIn(t, copied, nil), 2, 1)
	if err := copied.View(func(tx *bbolt.Tx) error {
		if got := tx.Bucket([]byte("application")).Get([]byte("k")); string(got) != "v" {
			t.Errorf("the application has %q", got)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestABackupOfAReadOnlyStoreIsTheSameFile(t *testing.T) {
	path := tempFile(t)
	s := openStore(t, path, nil)
	mustCommit(t, s, put(1, 1, 20))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := openStore(t, path, &Options{ReadOnly: true}).Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pages := 2 * os.Getpagesize() // the first two say which of them counts
	if b.Len() > len(whole) || !bytes.Equal(b.Bytes()[pages:], whole[pages:b.Len()]) {
		t.Error("the copy has other pages than the file")
	}
}

// A writeFunc is an io.Writer.
type writeFunc func([]byte) (int, error)

func (f writeFunc) Write(b []byte) (int, error) { return f(b) }

// free makes sure that no transaction is left open: it would keep pages from being used again for
// as long as the process lives.
func free(t *testing.T, s *Store) {
	t.Helper()
	if n := s.db.Stats().OpenTxN; n != 0 {
		t.Errorf("%d transactions are open", n)
	}
}

func TestABackupEndsWithItsContext(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	for n := range 40 {
		mustCommit(t, s, remint.Batch{Put: []remint.Put{{Record: bigRecord(n, 1)}}})
	}
	for _, after := range []int{0, 1, 2, 10} {
		ctx, cancel := context.WithCancel(t.Context())
		writes := 0
		if after == 0 {
			cancel()
		}
		err := s.Backup(ctx, writeFunc(func(b []byte) (int, error) {
			if writes++; writes == after {
				cancel()
			}
			return len(b), nil
		}))
		if !errors.Is(err, context.Canceled) || writes != after {
			t.Errorf("canceled after %d writes: %v after %d", after, err, writes)
		}
		cancel()
		free(t, s)
	}
}

func TestABackupThatCannotBeWrittenIsAnError(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	for n := range 20 {
		mustCommit(t, s, remint.Batch{Put: []remint.Put{{Record: bigRecord(n, 1)}}})
	}
	full := errors.New("no space left")
	for fails := 1; fails <= 4; fails++ {
		writes := 0
		err := s.Backup(t.Context(), writeFunc(func(b []byte) (int, error) {
			if writes++; writes == fails {
				return len(b) / 2, full
			}
			return len(b), nil
		}))
		if !errors.Is(err, full) || writes != fails {
			t.Errorf("the write no. %d fails: %v after %d", fails, err, writes)
		}
		free(t, s)
	}
	mustCommit(t, s, put(1, 100, 100))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), new(bytes.Buffer)); !errors.Is(err, berrors.ErrDatabaseNotOpen) {
		t.Errorf("of a closed store: %v", err)
	}
}
