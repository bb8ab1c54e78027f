package storebolt

import (
	"errors"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// create makes the file at path, all of it or nothing: who is killed meanwhile, or runs out of
// disk, must not leave a part of a file there. The next to open that could not tell it from one
// that has lost its tokens. So it is made under another name, which a kill may leave behind, and
// linked to its own when it is on the disk. If another process is faster, its file stays. On
// a file system without links there is no file afterwards, and no error.
func create(path string, opts Options) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "storebolt-new-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := f.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(f.Name(), 0o600, &bbolt.Options{Timeout: atOnce, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return err
	}
	if err := errors.Join(newStore(db, opts).prepare(), db.Close()); err != nil {
		return err
	}
	if os.Link(f.Name(), path) != nil {
		return nil
	}
	return syncDir(dir)
}
