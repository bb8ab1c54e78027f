package crash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	storebolt "github.com/remint-go/remint/store_bolt"
)

// checkPages makes sure that every page of the file is used once or free, and that the trees are in
// order, as the kill left it.
func checkPages(path string) error {
	db, err := bbolt.Open(path, 0, &bbolt.Options{ReadOnly: true, Timeout: 1})
	if err != nil {
		return err
	}
	err = db.View(func(tx *bbolt.Tx) (err error) {
		for e := range tx.Check() {
			err = errors.Join(err, e)
		}
		return err
	})
	return errors.Join(err, db.Close())
}

// isListed reports whether a file lists its free pages: whether the newer of its first two pages names
// one that does. (Layout: bbolt's internal/common, Page and Meta.)
func isListed(path string) (bool, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	var list, newest uint64
	for page := range 2 {
		meta := content[page*os.Getpagesize()+16:]
		if n := binary.NativeEndian.Uint64(meta[48:]); n >= newest {
			newest, list = n, binary.NativeEndian.Uint64(meta[32:])
		}
	}
	return list != 1<<64-1, nil
}

// pagesFreed is more than a storebolt file lists in each transaction: its list of free pages is
// left out, and written by Close.
const pagesFreed = 4600

// fragment makes an empty file with many free pages.
func fragment(path string) error {
	s, err := storebolt.Open(path, nil)
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true, Timeout: 1})
	if err != nil {
		return err
	}
	filler := []byte("filler")
	err = errors.Join(
		db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucket(filler)
			if err != nil {
				return err
			}
			for n := range pagesFreed {
				if err := b.Put(fmt.Appendf(nil, "%08d", n), make([]byte, os.Getpagesize()/2+1)); err != nil {
					return err
				}
			}
			return nil
		}),
		db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(filler) }),
		db.Sync(),
	)
	return errors.Join(err, db.Close())
}

// strays returns what there is in the directory of a file beside it.
func strays(path string) (names []string, err error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			names = append(names, e.Name())
		}
	}
	return names, err
}
