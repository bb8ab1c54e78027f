package storebolt

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/bbolt"
)

// checkFree makes sure that bbolt can tell which pages of the file are free, as it does when it
// opens one for writing. Of a list that makes no sense it panics, or else writes over what is in use;
// and where there is no list it reads every page, and panics where nobody can catch it.
func (s *Store) checkFree(tx *bbolt.Tx) error {
	size := int64(s.db.Info().PageSize)
	pages := uint64(tx.Size() / size)
	list, err := s.listOfFree(tx, size)
	switch {
	case err != nil:
		return err
	case list == noList:
		return walk(tx)
	case list < 2 || list >= pages:
		return fmt.Errorf("the file is damaged; restore it: its list of free pages would be page %d of %d", list, pages)
	}
	// Page: its number, its kind (2 bytes), how many entries (2), and how many more pages it
	// has (4). If there are too many for that, the first entry says how many.
	page, err := s.readAt(int64(list)*size, size)
	if err != nil {
		return err
	}
	n := uint64(native.Uint16(page[10:]))
	more := uint64(native.Uint32(page[12:]))
	if native.Uint64(page) != list || native.Uint16(page[8:]) != kindFreelist || list+more >= pages {
		return fmt.Errorf("the file is damaged; restore it: page %d is no list of free pages", list)
	}
	page, err = s.readAt(int64(list)*size+16, int64(more+1)*size-16)
	if err != nil {
		return err
	}
	if n == 0xffff {
		n, page = native.Uint64(page), page[8:]
	}
	if n > uint64(len(page)/8) {
		return fmt.Errorf("the file is damaged; restore it: its list of %d free pages has room for %d", n, len(page)/8)
	}
	last := uint64(1) // the first two are never free
	for k := range n {
		free := native.Uint64(page[8*k:])
		if free <= last || free >= pages || free >= list && free <= list+more {
			return fmt.Errorf("the file is damaged; restore it: page %d cannot be free", free)
		}
		last = free
	}
	return nil
}

// What checkFree knows of a bbolt file (go.etcd.io/bbolt/internal/common: Page, Meta).
const (
	noList       = 1<<64 - 1
	kindFreelist = 0x10
	metaSize     = 64
)

var native = binary.NativeEndian

// listOfFree returns the page with the list of free pages, or noList: as the one of
// the first two pages has it that the transaction read.
func (s *Store) listOfFree(tx *bbolt.Tx, size int64) (uint64, error) {
	for page := range int64(2) {
		meta, err := s.readAt(page*size+16, metaSize)
		if err != nil {
			return 0, err
		}
		if native.Uint64(meta[48:]) == uint64(tx.ID()) {
			return native.Uint64(meta[32:]), nil
		}
	}
	return 0, fmt.Errorf("the file was changed while it was opened")
}

func (s *Store) readAt(at, n int64) ([]byte, error) {
	b := make([]byte, n)
	_, err := s.file.ReadAt(b, at)
	return b, err
}

// walk reads all that is in the file.
func walk(tx *bbolt.Tx) error {
	return tx.ForEach(func(name []byte, b *bbolt.Bucket) error { return walkBucket(name, b) })
}

func walkBucket(name []byte, b *bbolt.Bucket) error {
	var last []byte
	return b.ForEach(func(k, v []byte) error {
		if last != nil && bytes.Compare(last, k) >= 0 {
			return fmt.Errorf("the file is damaged; restore it: bucket %q is not in order", name)
		}
		last = k
		if v != nil {
			return nil
		}
		return walkBucket(k, b.Bucket(k))
	})
}
