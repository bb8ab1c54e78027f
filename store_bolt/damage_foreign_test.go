package storebolt

import (
	"bytes"
	"os"
	"testing"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// A wrong path, or a wrong Options.Bucket: to begin anew there would be to know no token any more.
func TestAFileOfSomethingElseIsRefused(t *testing.T) {
	path := tempFile(t)
	db := openDB(t, path)
	if err := db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("theirs"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	db.Close()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, nil)
	wantSaid(t, err, "open "+path, `it has a bucket "theirs", and none "remint"`, "Options.Bucket", "New")
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
	// Who has opened it by itself may share it.
	mustCommit(t, newStoreIn(t, openDB(t, path), nil), put(1, 1, 1))
}

func TestAFileWithNothingInItIsTaken(t *testing.T) {
	path := tempFile(t)
	openDB(t, path).Close()
	mustCommit(t, openStore(t, path, nil), put(1, 1, 1))
}

func TestAFileThatSomebodyReadsIsNotWritten(t *testing.T) {
	path := tempFile(t)
	s := openStore(t, path, nil)
	mustCommit(t, s, put(1, 1, 1))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	reader := openStore(t, path, &Options{ReadOnly: true})
	_, err := Open(path, nil)
	wantSaid(t, err, "open "+path, "another process has it open", berrors.ErrTimeout.Error())
	wantRevision(t, reader, 1, 1)
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	wantRevision(t, openStore(t, path, nil), 1, 1)
}
