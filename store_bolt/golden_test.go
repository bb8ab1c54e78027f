package storebolt

import (
	"encoding/binary"
	"flag"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/internal/recordtest"
)

// testdata/format1.db was written by the first version of this package, and every later one
// must read it, and go on with it. It is not to be made anew; -golden is how it was made.
var makeGolden = flag.Bool("golden", false, "make testdata/format1.db, which must not be there")

const (
	goldenFile   = "testdata/format1.db"
	goldenCursor = "b1-676f6c64656e6c67-" // and a position
)

func goldenRecords() (records []*remint.Record) {
	for _, f := range []recordtest.Fields{
		{ID: testID(1), Revision: 1, Owner: "acme", Payload: "plain"},
		{ID: testID(2), Revision: 7, Owner: "acme", SweepAt: noon, Payload: "rotated"},
		{ID: testID(3), Revision: 1, Owner: "acme", Parent: testID(2), SweepAt: noon.Add(time.Hour)},
		{ID: testID(4), Revision: 2, Owner: "acme", Parent: testID(2), SweepAt: time.UnixMicro(-1)},
		{ID: testID(5), Revision: 1, Owner: "other", Parent: testID(2), SweepAt: noon},
		{ID: testID(6), Revision: 1, Owner: "acm\xff", Payload: strings.Repeat("long ", 300)},
		{ID: testID(7), Revision: 1 << 40},
	} {
		records = append(records, recordtest.New(f).(*remint.Record))
	}
	return records
}

// goldenEvents are those at the positions from 4 on; 1 to 3 were trimmed.
func goldenEvents() (events []remint.Event) {
	for i, r := range goldenRecords() {
		events = append(events, remint.Event{
			Kind: remint.EventIssue, Token: r.ID(), Revision: r.Revision(), Owner: r.Owner(),
			At: noon.Add(time.Duration(i) * time.Microsecond), Actor: "golden", Generation: 1,
		})
	}
	return events
}

func TestFormat1(t *testing.T) {
	if *makeGolden {
		writeGolden(t)
	}
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		return // bbolt's files are of the machine's byte order, and the golden one is of the other
	}
	path := tempFile(t)
	copyFile(t, path, goldenFile)
	r := goldenRecords()

	t.Run("read-only", func(t *testing.T) {
		s := openStore(t, path, &Options{ReadOnly: true})
		checkGolden(t, s)
	})
	t.Run("with an application's buckets", func(t *testing.T) {
		checkGolden(t, newStoreIn(t, openDB(t, path), nil))
	})
	t.Run("going on", func(t *testing.T) {
		s := openStore(t, path, nil)
		checkGolden(t, s)
		next := recordtest.New(recordtest.Fields{ID: testID(2), Revision: 8, Owner: "acme"}).(*remint.Record)
		mustCommit(t, s, remint.Batch{
			Guard: r[:1], Put: []remint.Put{{Record: next, Replaces: 7}}, Delete: r[2:4],
			Log: goldenEvents()[:1], Trim: goldenCursor + "9",
		})
		check(t, s)
		page, cursor, err := s.Events(t.Context(), "", 9)
		if err != nil || len(page) != 2 || cursor != goldenCursor+"11" {
			t.Errorf("Events: %d events, %q, %v", len(page), cursor, err)
		}
		due, err := s.Due(t.Context(), noon.Add(24*time.Hour), 9)
		same(t, "Due", due, err, r[4])
	})
}

func checkGolden(t *testing.T, s *Store) {
	t.Helper()
	r := goldenRecords()
	for _, want := range r {
		got, err := s.Load(t.Context(), want.ID())
		same(t, "Load", []*remint.Record{got}, err, want)
	}
	page, err := s.Scan(t.Context(), remint.ID{}, 9)
	same(t, "Scan", page, err, r...)
	page, err = s.List(t.Context(), "acme", remint.ID{}, remint.ID{}, 9)
	same(t, "List", page, err, r[0], r[1])
	page, err = s.List(t.Context(), "acme", testID(2), testID(3), 9)
	same(t, "List of a parent's", page, err, r[3])
	page, err = s.List(t.Context(), "other", testID(2), remint.ID{}, 9)
	same(t, "List of another's", page, err, r[4])
	page, err = s.Due(t.Context(), noon.Add(time.Minute), 9)
	same(t, "Due", page, err, r[3], r[1], r[4])
	events, cursor, err := s.Events(t.Context(), goldenCursor+"2", 99)
	if diff := cmp.Diff(goldenEvents(), events, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); err != nil || diff != "" || cursor != goldenCursor+"10" {
		t.Errorf("Events: %v, cursor %q\n%s", err, cursor, diff)
	}
}

func same(t *testing.T, what string, got []*remint.Record, err error, want ...*remint.Record) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if diff := cmp.Diff(encodeAll(want), encodeAll(got)); diff != "" {
		t.Errorf("%s gives %v, want %v\n%s", what, got, want, diff)
	}
}

func encodeAll(records []*remint.Record) (all []string) {
	for _, r := range records {
		all = append(all, string(encode(r)))
	}
	return all
}

func writeGolden(t *testing.T) {
	if _, err := os.Stat(goldenFile); !os.IsNotExist(err) {
		t.Fatalf("%s is there: %v", goldenFile, err)
	}
	path := tempFile(t)
	s := openStore(t, path, nil)
	copy(s.log[:], "goldenlg")
	if err := s.db.Update(func(tx *bbolt.Tx) error {
		meta, err := s.sub(tx, bucketMeta)
		if err != nil {
			return err
		}
		return meta.Put(metaLog, s.log[:])
	}); err != nil {
		t.Fatal(err)
	}
	b := remint.Batch{Log: append(goldenEvents()[:3], goldenEvents()...)}
	for _, r := range goldenRecords() {
		b.Put = append(b.Put, remint.Put{Record: r})
	}
	mustCommit(t, s, b)
	mustCommit(t, s, remint.Batch{Trim: goldenCursor + "3"})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// Small: without the pages that are free, and with small ones.
	from := openDB(t, path)
	to, err := bbolt.Open(filepath.Join(t.TempDir(), "compact.db"), 0o600, &bbolt.Options{PageSize: 1024})
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	if err := bbolt.Compact(to, from, 0); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(goldenFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fs.FileMode(0o644))
	if err != nil {
		t.Fatal(err)
	}
	if err := to.View(func(tx *bbolt.Tx) error {
		_, err := tx.WriteTo(f)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
