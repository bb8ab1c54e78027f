package storebolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"testing"

	"go.etcd.io/bbolt"
)

// What a disk may make of a page: nothing of what was in it is left.
var ruins = map[string]func(page, other []byte){
	"zeros":        func(page, _ []byte) { clear(page) },
	"ones":         func(page, _ []byte) { copy(page, bytes.Repeat([]byte{0xff}, len(page))) },
	"garbage":      func(page, _ []byte) { rand.NewChaCha8([32]byte{}).Read(page) },
	"another page": func(page, other []byte) { copy(page, other) },
}

func TestAPageThatIsRuinedIsAnErrorOrNotMissed(t *testing.T) {
	content := written(t)
	size := os.Getpagesize()
	path := tempFile(t)
	for page := range len(content) / size {
		for name, ruin := range ruins {
			ruined := bytes.Clone(content)
			other := (page + 1) % (len(content) / size)
			ruin(ruined[page*size:(page+1)*size], content[other*size:])
			if err := os.WriteFile(path, ruined, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(path, &Options{CacheBytes: -1})
			if err != nil {
				wantSaid(t, err, path, "damaged", "restore it")
				continue
			}
			if page < 2 && lastRevision(t, s) == 1 {
				// The newer of the two pages that say where everything is: see
				// TestATornTransactionIsNotThere. The last transaction is not there.
				s.Close()
				continue
			}
			found, errs := readAll(t, s)
			for _, err := range append(errs, s.Commit(t.Context(), put(1, 1000, 1000)), s.Close()) {
				if err != nil {
					wantSaid(t, err, path, "damaged", "restore it")
				}
			}
			if len(errs) == 0 && found != writtenRecords {
				t.Errorf("page %d with %s: %d records were found", page, name, found)
			}
		}
	}
}

// lastRevision is that of the record that was changed last.
func lastRevision(t *testing.T, s *Store) uint64 {
	r, err := s.Load(t.Context(), testID(writtenRecords-20))
	if err != nil {
		t.Fatal(err)
	}
	return r.Revision()
}

// A list of free pages that makes sense to bbolt, and is wrong, would let it write over what is in
// use.
func TestADamagedListOfFreePagesIsRefused(t *testing.T) {
	content := written(t)
	size := os.Getpagesize()
	newest := 0
	if txid(content) < txid(content[size:]) {
		newest = size
	}
	native := binary.NativeEndian
	meta := content[newest+16:]
	list := int(native.Uint64(meta[32:])) * size
	if n := native.Uint16(content[list+10:]); n < 2 {
		t.Fatalf("the list has only %d pages", n)
	}
	entry := func(c []byte, k int) []byte { return c[list+16+8*k:] }
	for name, damage := range map[string]func(c []byte){
		"another number":     func(c []byte) { native.PutUint64(c[list:], 3) },
		"another kind":       func(c []byte) { native.PutUint16(c[list+8:], 2) },
		"too many":           func(c []byte) { native.PutUint16(c[list+10:], 0xfff0) },
		"far too many":       func(c []byte) { native.PutUint16(c[list+10:], 0xffff); native.PutUint64(entry(c, 0), 1<<40) },
		"longer than all":    func(c []byte) { native.PutUint32(c[list+12:], 1<<20) },
		"a page twice":       func(c []byte) { copy(entry(c, 1)[:8], entry(c, 0)) },
		"a page of the head": func(c []byte) { native.PutUint64(entry(c, 0), 1) },
		"itself":             func(c []byte) { native.PutUint64(entry(c, 0), uint64(list/size)) },
		"a page beyond all":  func(c []byte) { native.PutUint64(entry(c, int(native.Uint16(c[list+10:]))-1), 1<<30) },
	} {
		t.Run(name, func(t *testing.T) {
			path := tempFile(t)
			damaged := bytes.Clone(content)
			damage(damaged)
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path, nil)
			wantSaid(t, err, path, "damaged", "restore it")
			// It can still be read, and so be copied to a file that is whole.
			wantWrittenTo(t, path)
		})
	}
}

// txid is the number of the transaction that wrote a page of the head.
func txid(page []byte) uint64 { return binary.NativeEndian.Uint64(page[16+48:]) }

func wantWrittenTo(t *testing.T, path string) {
	t.Helper()
	s, err := Open(path, &Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if found, errs := readAll(t, s); found != writtenRecords || len(errs) > 0 {
		t.Errorf("%d records were found, and %v", found, errs)
	}
}

// A file that was left without a list of its free pages is read as a whole when it is opened, by
// bbolt in a goroutine where nobody could catch its panic.
func TestARuinedPageOfAFileWithoutAListOfFreePagesIsAnErrorOrNotMissed(t *testing.T) {
	path := tempFile(t)
	if err := os.WriteFile(path, written(t), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: atOnce, NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(db.Update(func(*bbolt.Tx) error { return nil }), db.Close()); err != nil {
		t.Fatal(err)
	}
	if listed(t, path) {
		t.Fatal("the file has a list of its free pages")
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size := os.Getpagesize()
	refused := 0
	for page := 2; page < len(content)/size; page++ {
		for name, ruin := range ruins {
			ruined := bytes.Clone(content)
			ruin(ruined[page*size:(page+1)*size], content[3*size:])
			if err := os.WriteFile(path, ruined, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Open(path, nil)
			if err != nil {
				refused++
				wantSaid(t, err, path, "damaged", "restore it")
				continue
			}
			if found, errs := readAll(t, s); found != writtenRecords || len(errs) > 0 {
				t.Errorf("page %d with %s: it was opened, with %d records and %v", page, name, found, errs)
			}
			s.Close()
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
}
