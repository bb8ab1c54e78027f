package storebolt

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/remint-go/remint"
)

// listed reports whether a file lists its free pages: whether its newer meta page names one
// that does. (Layout: bbolt's internal/common, Page and Meta.)
func listed(t testing.TB, path string) bool {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var list, newest uint64
	for page := range int64(2) {
		var meta [64]byte
		if _, err := f.ReadAt(meta[:], page*int64(os.Getpagesize())+16); err != nil {
			t.Fatal(err)
		}
		if number := binary.NativeEndian.Uint64(meta[48:]); number >= newest {
			newest, list = number, binary.NativeEndian.Uint64(meta[32:])
		}
	}
	return list != 1<<64-1
}

// fragment makes many free pages: it holds a transaction open, as an application might,
// while records are rewritten.
func fragment(ctx context.Context, s *Store, pages int, from uint64) (revision uint64, err error) {
	tx, err := s.db.Begin(false)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	s.db.NoSync = true // for speed
	defer func() { s.db.NoSync = false }()
	for revision = from; s.db.Stats().PendingPageN < pages; revision++ {
		for n := 0; n < 2000; n += 50 {
			if err := s.Commit(ctx, put(revision, n, n+49)); err != nil {
				return 0, err
			}
		}
	}
	return revision - 1, nil
}

func TestAShortListOfFreePagesIsKept(t *testing.T) {
	path := tempFile(t)
	s := openStore(t, path, nil)
	for n := range 20 {
		mustCommit(t, s, put(1, n, n))
		if !listed(t, path) {
			t.Fatal("it is not there")
		}
	}
}

func TestALongListOfFreePagesIsWrittenByClose(t *testing.T) {
	path := tempFile(t)
	s := openStore(t, path, nil)
	revision, err := fragment(t.Context(), s, maxListed+1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s, put(revision+1, 0, 0))
	if listed(t, path) {
		t.Fatal("it was written by a commit")
	}

	// As after a crash: the file as it is now, opened by another Store.
	crashed := tempFile(t)
	copyFile(t, crashed, path)
	c := openStore(t, crashed, &Options{ReadOnly: true})
	wantRevision(t, c, 0, revision+1)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if listed(t, crashed) {
		t.Error("reading has written it")
	}
	c = openStore(t, crashed, nil)
	wantRevision(t, c, 0, revision+1)
	wantRevision(t, c, 1, revision)
	mustCommit(t, c, put(revision+2, 0, 0))
	check(t, c)

	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !listed(t, path) {
		t.Error("it was not written by Close")
	}
	s = openStore(t, path, nil)
	wantRevision(t, s, 0, revision+1)
	mustCommit(t, s, put(revision+2, 0, 0))
	check(t, s)
}

// The list goes back and forth as it becomes long and short.
func TestTheListOfFreePagesMayComeAndGo(t *testing.T) {
	path := tempFile(t)
	s := openStore(t, path, nil)
	var last uint64
	for round := range 2 {
		revision, err := fragment(t.Context(), s, maxListed+1000, last+1)
		if err != nil {
			t.Fatal(err)
		}
		last = revision
		if listed(t, path) {
			t.Fatalf("round %d: a long one was written", round)
		}
		check(t, s)
		// New records use them up.
		s.db.NoSync = true
		var added []remint.Batch
		for n := 10_000; !listed(t, path); n += 60 {
			if n > 40_000 {
				t.Fatal("the free pages are not used")
			}
			b := put(1, n, n+59)
			for i := range b.Put {
				b.Put[i].Record = longRecord(n+i, 1, 1500)
			}
			b.Log = nil
			added = append(added, b)
			mustCommit(t, s, b)
		}
		check(t, s)
		for _, b := range added {
			var gone remint.Batch
			for _, p := range b.Put {
				gone.Delete = append(gone.Delete, p.Record)
			}
			mustCommit(t, s, gone)
		}
		s.db.NoSync = false
		check(t, s)
		if round == 0 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			s = openStore(t, path, nil)
		}
	}
}

func TestATransactionThatFailsWithALongListIsTakenBack(t *testing.T) {
	s := openStore(t, tempFile(t), nil)
	revision, err := fragment(t.Context(), s, maxListed+1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s, put(revision+1, 0, 0))
	s.db.MaxSize = 1
	b := remint.Batch{}
	for n := 20_000; n < 20_060; n++ { // more than all free pages
		b.Put = append(b.Put, remint.Put{Record: bigRecord(n, 1)})
	}
	failed := false
	for i := 0; i < 20 && !failed; i++ {
		failed = s.Commit(t.Context(), b) != nil
		for j := range b.Put {
			b.Put[j].Record = bigRecord(20_060+60*i+j, 1)
		}
	}
	if !failed {
		t.Fatal("no transaction failed")
	}
	s.db.MaxSize = 0
	wantRevision(t, s, 0, revision+1)
	mustCommit(t, s, put(revision+2, 0, 0))
}

// holdFragmented makes a long list of free pages, says so, and commits until it is killed.
func holdFragmented(path string) {
	ctx := context.Background()
	s, err := Open(path, nil)
	if err == nil {
		var revision uint64
		revision, err = fragment(ctx, s, maxListed+1000, 1)
		for ; err == nil; revision++ {
			err = s.Commit(ctx, put(revision+1, 0, 0))
			fmt.Println(revision + 1)
		}
	}
	fmt.Println("error:", err)
	io.Copy(io.Discard, os.Stdin)
}

// It fails without the bound of the list of free pages (internal/mutants).
func TestAKillWithALongListOfFreePages(t *testing.T) {
	path := tempFile(t)
	other := startOther(t, "STOREBOLT_TEST_FRAGMENTED="+path)
	var acknowledged uint64
	for range 20 {
		line, err := other.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Sscan(line, &acknowledged); err != nil {
			t.Fatalf("the other process says %q", line)
		}
	}
	other.kill()
	if listed(t, path) {
		t.Error("the list was written")
	}
	s := openStore(t, path, nil)
	r, err := s.Load(t.Context(), testID(0))
	if err != nil || r.Revision() < acknowledged {
		t.Fatalf("revision %d was acknowledged, %v is there, %v", acknowledged, r, err)
	}
	check(t, s)
	mustCommit(t, s, put(r.Revision()+1, 0, 0))
	if !listed(t, path) && s.db.Stats().FreePageN < maxListed {
		t.Error("the list is not written again")
	}
}
