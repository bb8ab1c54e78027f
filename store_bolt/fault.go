package storebolt

import (
	"fmt"
	"runtime/debug"

	"go.etcd.io/bbolt"
)

// bbolt reads the file as memory. So what goes wrong there is no error: over a page that makes no
// sense bbolt panics, and a page that cannot be read, as its disk fails or the file was truncated,
// is a fault, which would end the process. Here both become errors.

// damaged makes an error of a panic: of bbolt's, over a page that makes no sense to it, or of a
// fault. Call it behind
//
//	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
func (s *Store) damaged(p any) error {
	if err := s.truncated(); err != nil {
		return s.abandon(err)
	}
	return fmt.Errorf("the file may be damaged; restore it: panic: %v", p)
}

// peek calls read with a transaction of bbolt's.
func (s *Store) peek(read func(*bbolt.Tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = s.damaged(p)
		}
	}()
	tx, err := s.beginRead()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return read(tx)
}

// beginRead is bbolt's Begin for reading.
func (s *Store) beginRead() (tx *bbolt.Tx, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = s.stuck(s.damaged(p))
		}
	}()
	return s.db.Begin(false)
}

// update is bbolt's Update.
func (s *Store) update(f func(*bbolt.Tx) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	var tx *bbolt.Tx
	defer func() {
		if p := recover(); p != nil {
			err = s.damaged(p)
			if tx == nil || tx.DB() != nil {
				err = s.stuck(err)
			}
		}
	}()
	return s.db.Update(func(t *bbolt.Tx) error {
		tx = t
		return f(t)
	})
}

// stuck abandons a file of which bbolt has left locks behind: whoever waits for one waits for ever.
func (s *Store) stuck(err error) error {
	s.state.Or(stateStuck)
	return s.abandon(err)
}

// abandon lets nothing more be done with the file, and returns why.
func (s *Store) abandon(err error) error {
	s.abandoned.Do(func() {
		s.failure = err
		s.state.Or(stateFailed)
	})
	return s.failure
}

// closeFile is bbolt's Close, which waits for its locks.
func (s *Store) closeFile() error {
	if s.state.Load()&stateStuck != 0 {
		return fmt.Errorf("this process can neither use nor close it any more; restart it: %w", s.failure)
	}
	return s.db.Close()
}

// intact makes sure that the file has not become shorter. Then what is behind its end is a fault, or
// zeros where a page ended: what is not found there may have been there. (A record that is found
// has a checksum.)
func (s *Store) intact() error {
	if err := s.truncated(); err != nil {
		return s.abandon(err)
	}
	return nil
}

// truncated says so of a file that is. One that the application has opened is that one's to look after.
func (s *Store) truncated() error {
	if s.file == nil {
		return nil
	}
	size := s.size.Load() // it only grows
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	switch {
	case info.Size() < size:
		return fmt.Errorf("the file was truncated while it was open, to %d of %d bytes; restore it, and open it again", info.Size(), size)
	case info.Size() > size:
		s.size.Store(info.Size())
	}
	return nil
}
