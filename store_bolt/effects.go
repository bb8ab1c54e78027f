package storebolt

import (
	"go.etcd.io/bbolt"

	"github.com/remint-go/remint"
)

// effects is what a group's batches do together: it judges each by the state that those
// before it leave, and is written when all have been judged. So one that
// conflicts leaves no trace, and a record that several change is written once.
type effects struct {
	s  *Store
	tx *bbolt.Tx

	changes []change
	index   map[remint.ID]int // of changes
	events  [][]byte
	trim    uint64 // events up to here go

	records *bbolt.Bucket
	key     []byte
}

// A change is what a group makes of a record. Where old and new are the same, it was only
// read. nil is none.
type change struct {
	id       remint.ID
	old, new *remint.Record
	data     []byte // of new
}

// begin makes f ready for a group that is written by tx.
func (f *effects) begin(s *Store, tx *bbolt.Tx) error {
	records, err := s.sub(tx, bucketRecords)
	if err != nil {
		return err
	}
	// New IDs come at the end, and their pages would stay as full as a split leaves them; but
	// records grow as they are rotated. With 0.7, a file is a quarter smaller than
	// with bbolt's 0.5 when issued, and a fifth after rotations; with 0.9, larger after them.
	records.FillPercent = 0.7
	f.s, f.tx, f.records = s, tx, records
	if f.index == nil {
		f.index = map[remint.ID]int{}
	}
	return nil
}

// end forgets a group, whose records and transaction it would keep alive.
func (f *effects) end() {
	if len(f.changes) > maxGroup { // a large map is slow to clear, also for the small groups after
		*f = effects{}
		return
	}
	clear(f.changes)
	clear(f.events)
	clear(f.index)
	*f = effects{changes: f.changes[:0], index: f.index, events: f.events[:0], key: f.key}
}

// judge adds a batch to the effects, or returns why it has none.
func (f *effects) judge(c *commit) error {
	for _, e := range c.expects {
		i, err := f.find(e.id)
		if err != nil {
			return f.s.fail("commit to", err)
		}
		now := f.changes[i].new
		if (now == nil) != e.none || now != nil && now.Revision() != e.revision {
			return remint.ErrConflict
		}
	}
	trim := f.trim
	if c.trim != "" {
		events, err := f.s.sub(f.tx, bucketEvents)
		if err != nil {
			return f.s.fail("commit to", err)
		}
		position, err := f.s.position(c.trim, events.Sequence())
		if err != nil {
			return f.s.fail("trim the events of", err)
		}
		trim = max(trim, position)
	}
	for _, w := range c.writes {
		if _, err := f.find(w.record.ID()); err != nil { // of a touch
			return f.s.fail("commit to", err)
		}
	}

	// Nothing fails from here on.
	for _, w := range c.writes {
		i, _ := f.find(w.record.ID())
		change := &f.changes[i]
		if w.touch && (change.new == nil || change.new.Revision() != w.record.Revision()) {
			continue
		}
		change.new, change.data = w.record, w.data
	}
	for _, id := range c.deletes {
		f.changes[f.index[id]].new = nil
	}
	f.events = append(f.events, c.events...)
	f.trim = trim
	return nil
}

// find returns the index of the change of a record, having looked up what is stored.
func (f *effects) find(id remint.ID) (int, error) {
	if i, ok := f.index[id]; ok {
		return i, nil
	}
	// What is in the cache is what is stored: only a leader changes either.
	r := f.s.cache.Get(id)
	if r == nil {
		if data := f.records.Get(id[:]); data != nil {
			var err error
			if r, err = parse(id, data); err != nil {
				return 0, err
			}
		}
	}
	i := len(f.changes)
	f.changes = append(f.changes, change{id: id, old: r, new: r})
	f.index[id] = i
	return i, nil
}

// none reports whether there is nothing to write.
func (f *effects) none() bool {
	for i := range f.changes {
		if f.changes[i].changed() {
			return false
		}
	}
	return len(f.events) == 0 && f.trim == 0
}

func (c *change) changed() bool { return c.new != c.old }

// write writes everything to the transaction.
func (f *effects) write() error {
	for i := range f.changes {
		c := &f.changes[i]
		if !c.changed() {
			continue
		}
		if err := f.writeRecord(c); err != nil {
			return err
		}
		if err := f.writeList(c); err != nil {
			return err
		}
		if err := f.writeSweep(c); err != nil {
			return err
		}
	}
	return f.writeEvents()
}

func (f *effects) writeRecord(c *change) error {
	if c.new == nil {
		return f.records.Delete(c.id[:])
	}
	return f.records.Put(c.id[:], c.data)
}

func (f *effects) writeList(c *change) error {
	if c.old != nil && c.new != nil && c.old.Owner() == c.new.Owner() && c.old.Parent() == c.new.Parent() {
		return nil // as always, unless one was deleted and another put in the same group
	}
	if c.old != nil {
		f.key = append(appendListKey(f.key[:0], c.old.Owner(), c.old.Parent()), c.id[:]...)
		if err := f.unset(listBucket(c.old.Parent())); err != nil {
			return err
		}
	}
	if c.new != nil {
		f.key = append(appendListKey(f.key[:0], c.new.Owner(), c.new.Parent()), c.id[:]...)
		return f.set(listBucket(c.new.Parent()))
	}
	return nil
}

func (f *effects) writeSweep(c *change) error {
	var before, after []byte
	var keys [2][8 + idLen]byte
	if c.old != nil && !c.old.SweepAt().IsZero() {
		before = append(appendSweepKey(keys[0][:0], c.old.SweepAt().UnixMicro()), c.id[:]...)
	}
	if c.new != nil && !c.new.SweepAt().IsZero() {
		after = append(appendSweepKey(keys[1][:0], c.new.SweepAt().UnixMicro()), c.id[:]...)
	}
	if string(before) == string(after) {
		return nil
	}
	if before != nil {
		f.key = append(f.key[:0], before...)
		if err := f.unset(bucketSweeps); err != nil {
			return err
		}
	}
	if after != nil {
		f.key = append(f.key[:0], after...)
		return f.set(bucketSweeps)
	}
	return nil
}

// set and unset write the key of an index.
func (f *effects) set(bucket []byte) error {
	b, err := f.s.sub(f.tx, bucket)
	if err != nil {
		return err
	}
	return b.Put(f.key, nil)
}

func (f *effects) unset(bucket []byte) error {
	b, err := f.s.sub(f.tx, bucket)
	if err != nil {
		return err
	}
	return b.Delete(f.key)
}
