package storebolt

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// errNothing rolls back a transaction that would write nothing.
var errNothing = errors.New("nothing to write")

// commitGroup writes a group, and sets the outcome of each of its members. Only a leader
// calls it.
func (s *Store) commitGroup(group []*commit) {
	f := &s.effects
	defer f.end()
	number, err := s.write(f, group)
	if number != 0 {
		// From here on it is durable, or it is known to have failed.
		defer s.settle.Unlock()
		if err == nil {
			s.freelist.written()
			s.publish(f)
			s.unsettled.Store(0)
		} else {
			s.giveUp(number, err)
		}
	}
	if err == nil || err == errNothing {
		return
	}
	// Also those that conflict: it may be with what has just failed.
	for _, c := range group {
		c.err = s.fail("commit to", err)
	}
}

// write writes a group in one transaction, and returns its number if it came as far as
// being committed; then settle is locked.
func (s *Store) write(f *effects, group []*commit) (number int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = s.damaged(p)
		}
		if h := s.hooks.written; h != nil && number != 0 {
			err = h(err)
		}
	}()
	if err := s.usable(); err != nil {
		return 0, err
	}
	if err := s.intact(); err != nil {
		return 0, err
	}
	err = s.update(func(tx *bbolt.Tx) error {
		if err := f.begin(s, tx); err != nil {
			return err
		}
		if s.hooks.judging != nil {
			s.hooks.judging()
		}
		for _, c := range group {
			c.err = f.judge(c)
		}
		if f.none() {
			return errNothing
		}
		if err := f.write(); err != nil {
			return err
		}
		if s.owned {
			s.freelist.tune(s)
			s.db.AllocSize = growth(tx.Size())
		}
		// bbolt shows a transaction to readers as soon as its last page is written, and
		// only then syncs it: whoever reads it must wait here.
		s.settle.Lock()
		number = int64(tx.ID())
		s.unsettled.Store(number)
		return nil
	})
	return number, err
}

// publish makes the effects visible in the cache. Load waits meanwhile, so that nobody sees
// one record of a batch as it is after it, and then another as it was before.
func (s *Store) publish(f *effects) {
	if s.cache == nil {
		return
	}
	s.state.Or(statePublishing)
	for i := range f.changes {
		c := &f.changes[i]
		if !c.changed() {
			continue
		}
		if s.hooks.publishing != nil {
			s.hooks.publishing()
		}
		if c.new != nil {
			s.cache.Put(c.new, len(c.data), 0)
		} else {
			s.cache.Remove(c.id)
		}
	}
	s.state.And(^uint32(statePublishing))
}

// giveUp decides what a failed transaction leaves. bbolt takes everything back, as after
// a full disk; but if what failed is the sync of the last page, then readers see the
// transaction, and a crash may or may not undo it. What was judged by it, or written
// behind it, could be lost or do damage: so nothing more is done with this file before it has
// been opened again. (Beside an application, it may be a transaction of that one that is
// seen. There is no telling.)
func (s *Store) giveUp(number int64, err error) {
	seen, viewErr := s.lastTransaction()
	if viewErr == nil && seen < number {
		s.unsettled.Store(0)
		return
	}
	s.abandon(fmt.Errorf("an earlier commit may or may not have reached the disk; check the disk, and open the file again: %w", err))
}

func (s *Store) lastTransaction() (number int64, err error) {
	tx, err := s.beginRead()
	if err != nil {
		return 0, err
	}
	defer tx.Rollback()
	return int64(tx.ID()), nil
}
