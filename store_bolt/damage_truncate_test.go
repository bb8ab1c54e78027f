package storebolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/remint-go/remint"
)

// writtenRecords is how many records written makes.
const writtenRecords = 300

// written returns a file with every kind of page: records, half of them changed, their indexes,
// and an event for each revision. Each record has the revision that writtenRevision says.
func written(t testing.TB) (content []byte) {
	t.Helper()
	path := tempFile(t)
	s, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < writtenRecords; n += 20 {
		mustCommit(t, s, put(1, n, n+19))
	}
	for n := 0; n < writtenRecords; n += 20 {
		mustCommit(t, s, put(2, n, n+9))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if content, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return content
}

func writtenRevision(n int) uint64 {
	if n%20 < 10 {
		return 2
	}
	return 1
}

// wantWritten checks that all is there.
func wantWritten(t testing.TB, s *Store) {
	t.Helper()
	if found, missed := readAll(t, s); found != writtenRecords || len(missed) > 0 {
		t.Errorf("%d records were found, and of the others: %v", found, missed)
	}
	check(t, s)
}

// readAll reads everything in every way. What it gets must be right, and otherwise an error: it
// returns how many records it found, and the errors.
func readAll(t testing.TB, s *Store) (found int, errs []error) {
	t.Helper()
	ctx := context.Background()
	failed := func(err error) {
		if errors.Is(err, remint.ErrNotFound) || errors.Is(err, remint.ErrConflict) {
			t.Errorf("what cannot be read is taken for something else: %v", err)
		}
		errs = append(errs, err)
	}
	for n := range writtenRecords {
		switch r, err := s.Load(ctx, testID(n)); {
		case err != nil:
			failed(err)
		case r.ID() != testID(n) || r.Revision() != writtenRevision(n):
			t.Errorf("Load(%v) = %v, want revision %d", testID(n), r, writtenRevision(n))
		default:
			found++
		}
	}
	page := func(name string, got int, err error, want int) {
		if err != nil {
			failed(err)
		} else if got != want {
			t.Errorf("%s has %d of %d, and no error", name, got, want)
		}
	}
	list, err := s.List(ctx, "o", remint.ID{}, remint.ID{}, 1e6)
	page("List", len(list), err, writtenRecords)
	scan, err := s.Scan(ctx, remint.ID{}, 1e6)
	page("Scan", len(scan), err, writtenRecords)
	due, err := s.Due(ctx, noon.Add(1), 1e6)
	page("Due", len(due), err, writtenRecords)
	events, _, err := s.Events(ctx, "", 1e6)
	page("Events", len(events), err, writtenRecords*3/2)
	return found, errs
}

// lengths are those to which a file is cut: around each page of the first and the last, and some between.
func lengths(content []byte) (list []int64) {
	size := int64(os.Getpagesize())
	pages := int64(len(content)) / size
	for page := range pages {
		if page < 6 || page > pages-3 || page%11 == 0 {
			list = append(list, page*size, page*size+1, page*size+size/2, (page+1)*size-1)
		}
	}
	return list
}

// used returns how many bytes of a file bbolt uses: the rest is room to grow.
func used(t testing.TB, content []byte) int64 {
	t.Helper()
	path := tempFile(t)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	db := openDB(t, path)
	tx, err := db.Begin(false)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	return tx.Size()
}

func TestAFileThatWasTruncatedIsRefusedUnlessNothingIsMissing(t *testing.T) {
	content := written(t)
	needed := used(t, content)
	path := tempFile(t)
	for _, length := range append(lengths(content), needed-1, needed) {
		if err := os.WriteFile(path, content[:length], 0o600); err != nil {
			t.Fatal(err)
		}
		for _, readOnly := range []bool{true, false} {
			s, err := Open(path, &Options{ReadOnly: readOnly})
			switch {
			case length >= needed && err != nil:
				t.Errorf("%d of %d bytes: %v", length, needed, err)
			case length >= needed:
				wantWritten(t, s)
				s.Close()
			case err == nil:
				s.Close()
				t.Errorf("%d of %d bytes were opened", length, needed)
			default:
				wantSaid(t, err, path, "restore it")
				if got, _ := os.ReadFile(path); !bytes.Equal(got, content[:length]) {
					t.Errorf("a file of %d bytes was changed", length)
				}
			}
		}
	}
}

// wantSaid checks that an error says all that.
func wantSaid(t testing.TB, err error, said ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("there is no error; want one with %q", said)
		return
	}
	for _, want := range append(said, "storebolt: ") {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
}

// The file is read as memory: what is behind its new end would be the end of the process.
func TestAFileThatIsTruncatedWhileItIsOpenIsAnError(t *testing.T) {
	content := written(t)
	needed := used(t, content)
	for _, length := range lengths(content) {
		if length >= needed {
			continue
		}
		for _, first := range []string{"read", "commit"} {
			t.Run(fmt.Sprintf("to %d bytes, and then a %s", length, first), func(t *testing.T) {
				path := tempFile(t)
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
				s, err := Open(path, &Options{CacheBytes: -1})
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Truncate(path, length); err != nil {
					t.Fatal(err)
				}
				if first == "read" {
					if _, errs := readAll(t, s); len(errs) == 0 {
						t.Error("all was read")
					}
				}
				for range 2 {
					err := s.Commit(t.Context(), put(1, 1000, 1000))
					wantSaid(t, err, path, fmt.Sprintf("truncated while it was open, to %d of %d bytes", length, len(content)), "restore it")
				}
				if found, errs := readAll(t, s); found > 0 || len(errs) != writtenRecords+4 {
					t.Errorf("%d records were read after that, and there were %d errors", found, len(errs))
				}
				if err := os.WriteFile(path, content, 0o600); err != nil { // it is restored
					t.Fatal(err)
				}
				switch err := s.Close(); {
				case err == nil:
					wantWritten(t, openStore(t, path, nil))
				case first == "read" && length < 2*int64(os.Getpagesize()): // what every transaction reads
					wantSaid(t, err, path, "restart")
				default:
					t.Errorf("Close: %v", err)
				}
			})
		}
	}
}
