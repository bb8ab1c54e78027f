package storebolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/remint-go/remint"
)

func TestOpenMakesAFileForItsOwnerOnly(t *testing.T) {
	path := tempFile(t)
	openStore(t, path, nil)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestOpenLeavesTheModeOfAFile(t *testing.T) {
	path := tempFile(t)
	openStore(t, path, nil).Close()
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	openStore(t, path, nil)
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestASmallStoreIsASmallFile(t *testing.T) {
	path := tempFile(t)
	s := openStore(t, path, nil)
	mustCommit(t, s, put(1, 1, 10))
	if info, _ := os.Stat(path); info.Size() > 1<<20 {
		t.Errorf("%d bytes for 10 records", info.Size())
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, _ := os.Stat(path)
	openStore(t, path, nil).Close()
	if after, _ := os.Stat(path); after.Size() != before.Size() {
		t.Errorf("opening made %d of %d bytes", after.Size(), before.Size())
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole")
	s := openStore(t, whole, nil)
	for n := range 20 {
		mustCommit(t, s, put(1, 20*n, 20*n+19))
	}
	var used int64
	if err := s.db.View(func(tx *bbolt.Tx) error { used = tx.Size(); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// bolt makes a file with bbolt.
	bolt := func(name string, change func(tx *bbolt.Tx) error) string {
		path := filepath.Join(dir, name)
		db := openDB(t, path)
		if err := db.Update(change); err != nil {
			t.Fatal(err)
		}
		db.Close()
		return path
	}
	// format makes a Store's file with another mark.
	format := func(name, format string) string {
		path := file(name, content)
		db := openDB(t, path)
		if err := db.Update(func(tx *bbolt.Tx) error {
			return tx.Bucket([]byte("remint")).Bucket(bucketMeta).Put(metaFormat, []byte(format))
		}); err != nil {
			t.Fatal(err)
		}
		db.Close()
		return path
	}
	damaged := bytes.Clone(content)
	for page := range 2 {
		damaged[page*os.Getpagesize()+60] ^= 1
	}
	otherBolt := bytes.Clone(content)
	for page := range 2 {
		otherBolt[page*os.Getpagesize()+20] = 99 // meta.version
	}
	for name, c := range map[string]struct {
		path string
		want []string
		is   error
	}{
		"a directory":               {dir, []string{"is a directory"}, nil},
		"a directory that is not":   {filepath.Join(dir, "missing", "tokens.db"), []string{"no such file or directory"}, fs.ErrNotExist},
		"a device":                  {os.DevNull, []string{"not a regular file"}, nil},
		"an empty file":             {file("empty", nil), []string{"is empty", "restore it, or remove it"}, nil},
		"a short file":              {file("short", []byte("tokens")), []string{"not a bbolt file"}, berrors.ErrInvalid},
		"a text":                    {file("text", bytes.Repeat([]byte("tokens\n"), 10_000)), []string{"not a bbolt file"}, berrors.ErrInvalid},
		"a damaged file":            {file("both meta pages", damaged), []string{"damaged"}, berrors.ErrChecksum},
		"a file of another bbolt":   {file("other", otherBolt), []string{"another version of bbolt"}, berrors.ErrVersionMismatch},
		"a file with its head only": {file("head", content[:2*os.Getpagesize()]), []string{"truncated", "restore it"}, nil},
		"a truncated file":          {file("a part", content[:used-1]), []string{"truncated", fmt.Sprintf("%d of %d bytes", used-1, used), "restore it"}, nil},
		"a newer format":            {format("newer", "2"), []string{"format 2", "this one knows format 1", "upgrade this program"}, nil},
		"a much newer format":       {format("much newer", "17"), []string{"format 17", "this one knows format 1"}, nil},
		"a format that is none":     {format("none", "new"), []string{"damaged", `format "new"`}, nil},
		"somebody else's bucket": {bolt("else", func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket([]byte("remint"))
			return errors.Join(err, b.Put([]byte("theirs"), []byte("1")))
		}), []string{`bucket "remint"`, "not one of storebolt's", "Options.Bucket"}, nil},
		"somebody else's buckets": {bolt("elses", func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket([]byte("remint"))
			_, err2 := b.CreateBucket(bucketMeta)
			return errors.Join(err, err2)
		}), []string{`bucket "remint"`, "not one of storebolt's"}, nil},
	} {
		for _, readOnly := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, read-only %v", name, readOnly), func(t *testing.T) {
				before, _ := os.ReadFile(c.path)
				s, err := Open(c.path, &Options{ReadOnly: readOnly})
				if err == nil {
					s.Close()
					t.Fatal("it was opened")
				}
				for _, want := range append(c.want, c.path) {
					if strings.Count(err.Error(), want) != 1 {
						t.Errorf("%q does not say %q once", err, want)
					}
				}
				if c.is != nil && !errors.Is(err, c.is) {
					t.Errorf("%v is no %v", err, c.is)
				}
				if after, _ := os.ReadFile(c.path); !bytes.Equal(before, after) {
					t.Error("the file was changed")
				}
			})
		}
	}
	if os.Getuid() != 0 { // who may write everywhere
		t.Run("a directory that may not be written", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "tokens.db")
			os.Chmod(filepath.Dir(path), 0o500)
			if _, err := Open(path, nil); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

func TestAnEmptyBucketIsTaken(t *testing.T) {
	path := tempFile(t)
	db := openDB(t, path)
	if err := db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("remint"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, newStoreIn(t, db, nil), put(1, 1, 1))
}

func TestOneStoreAtATimeHasAFile(t *testing.T) {
	path := tempFile(t)
	s := openStore(t, path, nil)
	for _, opts := range []*Options{nil, {ReadOnly: true}, {Bucket: "other"}} {
		_, err := Open(path, opts)
		if !errors.Is(err, berrors.ErrTimeout) || !strings.Contains(err.Error(), path+": another process has it open") {
			t.Errorf("Open(%v) of an open file: %v", opts, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openStore(t, path, nil)
}

func TestOneStoreAtATimeHasABucket(t *testing.T) {
	db := openDB(t, tempFile(t))
	s := newStoreIn(t, db, nil)
	newStoreIn(t, db, &Options{Bucket: "other"})
	if _, err := New(db, nil); err == nil || !strings.Contains(err.Error(), `another Store of this process uses bucket "remint"`) {
		t.Errorf("New of a bucket in use: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = newStoreIn(t, db, nil)
	mustCommit(t, s, put(1, 1, 1))
}

// TestMain is also the other process of some tests.
func TestMain(m *testing.M) {
	for variable, hold := range map[string]func(path string){
		"STOREBOLT_TEST_OPEN":       holdOpen,
		"STOREBOLT_TEST_FRAGMENTED": holdFragmented,
	} {
		if path := os.Getenv(variable); path != "" {
			hold(path)
			return
		}
	}
	os.Exit(m.Run())
}

// holdOpen opens a Store, commits a record, says so, and waits to be killed.
func holdOpen(path string) {
	s, err := Open(path, nil)
	if err == nil {
		err = s.Commit(context.Background(), put(1, 1, 1))
	}
	fmt.Println("open:", err)
	io.Copy(io.Discard, os.Stdin) // or until the test has died
}

func TestOneProcessAtATimeHasAFile(t *testing.T) {
	path := tempFile(t)
	other := startOther(t, "STOREBOLT_TEST_OPEN="+path)
	if line, err := other.ReadString('\n'); line != "open: <nil>\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	for _, opts := range []*Options{nil, {ReadOnly: true}} {
		_, err := Open(path, opts)
		if !errors.Is(err, berrors.ErrTimeout) || !strings.Contains(err.Error(), "another process has it open") {
			t.Errorf("Open(%v) of a file that another process has: %v", opts, err)
		}
	}
	other.kill()
	s := openStore(t, path, nil)
	wantRevision(t, s, 1, 1)
	mustCommit(t, s, put(2, 1, 1))
}

func TestReadOnly(t *testing.T) {
	path := tempFile(t)
	if _, err := Open(path, &Options{ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open of no file: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("Open read-only made a file")
	}
	s := openStore(t, path, nil)
	mustCommit(t, s, put(1, 1, 9))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, _ := os.ReadFile(path)
	first := openStore(t, path, &Options{ReadOnly: true})
	second := openStore(t, path, &Options{ReadOnly: true}) // several may
	for _, s := range []*Store{first, second} {
		for range 2 {
			wantRevision(t, s, 1, 1)
			wantRevision(t, s, 10, 0)
		}
		if page, err := s.List(t.Context(), "o", remint.ID{}, remint.ID{}, 100); len(page) != 9 || err != nil {
			t.Errorf("List: %v, %v", page, err)
		}
		if page, _, err := s.Events(t.Context(), "", 100); len(page) != 9 || err != nil {
			t.Errorf("Events: %v, %v", page, err)
		}
		err := s.Commit(t.Context(), put(2, 1, 1))
		if !errors.Is(err, berrors.ErrDatabaseReadOnly) || !strings.Contains(err.Error(), path) {
			t.Errorf("Commit: %v", err)
		}
	}
	if err := errors.Join(first.Close(), second.Close()); err != nil {
		t.Error(err)
	}
	if _, err := Open(path, &Options{ReadOnly: true, Bucket: "other"}); err == nil || !strings.Contains(err.Error(), `no bucket "other"`) {
		t.Errorf("Open without its bucket: %v", err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
}

func TestNewOfAReadOnlyFile(t *testing.T) {
	path := tempFile(t)
	s := openStore(t, path, nil)
	mustCommit(t, s, put(1, 1, 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: atOnce, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := New(db, &Options{Bucket: "other"}); err == nil || !strings.Contains(err.Error(), `no bucket "other"`) {
		t.Errorf("New without its bucket: %v", err)
	}
	s, err = New(db, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	wantRevision(t, s, 1, 1)
	if err := s.Commit(t.Context(), put(2, 1, 1)); !errors.Is(err, berrors.ErrDatabaseReadOnly) {
		t.Errorf("Commit: %v", err)
	}
}

func TestTheApplicationsBucketsAreLeftAlone(t *testing.T) {
	db := openDB(t, tempFile(t))
	db.NoFreelistSync = true
	allocSize := db.AllocSize
	mine := []byte("application")
	if err := db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(mine)
		return errors.Join(err, b.Put([]byte("k"), []byte("v")))
	}); err != nil {
		t.Fatal(err)
	}
	s := newStoreIn(t, db, nil)
	for n := range 50 {
		mustCommit(t, s, put(1, n, n))
		if err := db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(mine).Put([]byte("k"), []byte{byte(n)}) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if !db.NoFreelistSync || db.AllocSize != allocSize {
		t.Error("the application's settings were changed")
	}
	names := ""
	if err := db.View(func(tx *bbolt.Tx) error {
		if got := tx.Bucket(mine).Get([]byte("k")); string(got) != "\x31" {
			t.Errorf("the application has %q", got)
		}
		return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			names += string(name) + " "
			return nil
		})
	}); err != nil {
		t.Fatal(err)
	}
	if names != "application remint " {
		t.Errorf("buckets: %s", names)
	}
}

func TestNewOfNoFileIsAnError(t *testing.T) {
	if s, err := New(nil, nil); err == nil || s != nil {
		t.Errorf("New(nil) = %v, %v", s, err)
	}
}
