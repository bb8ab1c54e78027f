package storebolt

import "go.etcd.io/bbolt"

// maxListed is how many free pages a file may have that lists them.
//
// bbolt can write the list of free pages with every transaction: with 100,000 pages, that
// made commits six times slower (BenchmarkCommitWithFreePages). Or it never writes it, and
// makes it anew on opening, by reading the whole file. So the list is written while it is
// short, and by Close; and only who was killed while it was long pays for it on opening.
const maxListed = 4096

// freelist switches DB.NoFreelistSync of a file that Open opened; that of another is the
// application's to set. The field may change between transactions: each one frees the pages
// of the list that the last one wrote, if it did, and a file says of itself whether
// it has one. Only who writes a transaction may set it, since that is who reads it.
type freelist struct {
	leftOut  bool // by the transaction that is being written
	unlisted bool // the file has no list
}

// tune decides whether the transaction that is being written writes the list.
func (l *freelist) tune(s *Store) {
	stats := s.db.Stats() // as of the last transaction
	l.leftOut = stats.FreePageN+stats.PendingPageN > maxListed
	s.db.NoFreelistSync = l.leftOut
}

// written takes note of a transaction that succeeded.
func (l *freelist) written() { l.unlisted = l.leftOut }

// save writes the list, for the next to open the file.
func (l *freelist) save(s *Store) error {
	if !l.unlisted || s.state.Load()&stateFailed != 0 {
		return nil
	}
	return s.update(func(*bbolt.Tx) error {
		s.db.NoFreelistSync = false
		return nil
	})
}
