package storebolt

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/internal/recordtest"
)

func tempFile(t testing.TB) string { return filepath.Join(t.TempDir(), "tokens.db") }

// openStore opens a Store that is checked and closed at the end of the test.
func openStore(t testing.TB, path string, opts *Options) *Store {
	t.Helper()
	s, err := Open(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, s)
	return s
}

func newStoreIn(t testing.TB, db *bbolt.DB, opts *Options) *Store {
	t.Helper()
	s, err := New(db, opts)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, s)
	return s
}

func closeLater(t testing.TB, s *Store) {
	t.Cleanup(func() {
		if s.usable() == nil {
			check(t, s)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func openDB(t testing.TB, path string) *bbolt.DB {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: atOnce})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func testID(n int) (id remint.ID) {
	id[0] = 1
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

func testRecord(n int, revision uint64) *remint.Record {
	return recordtest.New(recordtest.Fields{
		ID: testID(n), Revision: revision, Owner: "o", SweepAt: noon, Payload: fmt.Sprintf("record %d", n),
	}).(*remint.Record)
}

// bigRecord is about as long as a record may be.
func bigRecord(n int, revision uint64) *remint.Record { return longRecord(n, revision, 60<<10) }

func longRecord(n int, revision uint64, length int) *remint.Record {
	return recordtest.New(recordtest.Fields{
		ID: testID(n), Revision: revision, Owner: "o", SweepAt: noon, Payload: strings.Repeat("x", length),
	}).(*remint.Record)
}

// put is the batch that makes each of the records from..to of a revision from the one before,
// with its event.
func put(revision uint64, from, to int) (b remint.Batch) {
	for n := from; n <= to; n++ {
		r := testRecord(n, revision)
		b.Put = append(b.Put, remint.Put{Record: r, Replaces: revision - 1})
		b.Log = append(b.Log, remint.Event{Kind: remint.EventUpdate, Token: r.ID(), Revision: revision, At: noon})
	}
	return b
}

func mustCommit(t testing.TB, s remint.Store, b remint.Batch) {
	t.Helper()
	if err := s.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

// wantRevision loads a record; 0: there must be none.
func wantRevision(t testing.TB, s remint.Store, n int, want uint64) {
	t.Helper()
	r, err := s.Load(t.Context(), testID(n))
	switch {
	case want == 0 && !errors.Is(err, remint.ErrNotFound):
		t.Errorf("Load(%d) = %v, %v, want ErrNotFound", n, r, err)
	case want != 0 && err != nil:
		t.Errorf("Load(%d) = %v, want revision %d", n, err, want)
	case want != 0 && r.Revision() != want:
		t.Errorf("Load(%d) = %v, want revision %d", n, r, want)
	}
}

// transactions returns the number of transactions that were ever committed to the file.
func transactions(t testing.TB, s *Store) int64 {
	t.Helper()
	n, err := s.lastTransaction()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// An other is another process of this test, which does what its environment says.
type other struct {
	*bufio.Reader
	cmd *exec.Cmd
}

func startOther(t *testing.T, env string) *other {
	t.Helper()
	o := &other{cmd: exec.Command(os.Args[0])}
	o.cmd.Env = append(os.Environ(), env)
	stdin, err := o.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := o.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	o.Reader = bufio.NewReader(stdout)
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		o.kill()
		stdin.Close()
	})
	return o
}

func (o *other) kill() {
	o.cmd.Process.Kill()
	o.cmd.Wait()
}

func copyFile(t testing.TB, to, from string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func overwrite(t testing.TB, path string, at int64, data []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(data, at); err != nil {
		t.Fatal(err)
	}
}
