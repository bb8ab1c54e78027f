package storebolt

import (
	"context"
	"sync"

	"github.com/remint-go/remint"
)

// Commit implements [remint.Store]. If ctx ends before the batch has a place in a
// transaction, nothing was done and the error is ctx's; later, the outcome is waited for,
// and is the outcome.
func (s *Store) Commit(ctx context.Context, b remint.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.readOnly {
		return s.fail("commit to", errReadOnly)
	}
	if err := s.usable(); err != nil {
		return s.fail("commit to", err)
	}
	// Encoding is done here, by each committer for itself, and so is the panic over a nil
	// record: what the leader does for all should take little time and break on nobody.
	c := newCommit(b)
	defer c.free()
	if c.size() == 0 {
		return nil
	}
	return s.queue.do(ctx, s, c)
}

// A commit is a batch on its way into a transaction.
type commit struct {
	expects []expect
	writes  []write
	deletes []remint.ID
	events  [][]byte
	trim    remint.Cursor
	buf     []byte // what writes and events are slices of

	place place         // guarded by queue.mu
	err   error         // the outcome
	woken chan struct{} // of one that waits: gets one value, when it leads or is done
}

// An expect is what a batch needs to find: a revision, or no record.
type expect struct {
	id       remint.ID
	revision uint64
	none     bool
}

// A write is a Put whose expect has been met, or a Touch, which is skipped if the revision
// is another.
type write struct {
	record *remint.Record
	data   []byte
	touch  bool
}

var commits = sync.Pool{New: func() any { return new(commit) }}

func newCommit(b remint.Batch) *commit {
	c := commits.Get().(*commit)
	for _, r := range b.Guard {
		c.expects = append(c.expects, expect{id: r.ID(), revision: r.Revision()})
	}
	for _, p := range b.Put {
		c.expects = append(c.expects, expect{id: p.Record.ID(), revision: p.Replaces, none: p.Replaces == 0})
		c.write(p.Record, false)
	}
	for _, r := range b.Delete {
		c.expects = append(c.expects, expect{id: r.ID(), revision: r.Revision()})
		c.deletes = append(c.deletes, r.ID())
	}
	for _, r := range b.Touch {
		c.write(r, true)
	}
	for _, e := range b.Log {
		c.events = append(c.events, c.encoded(e))
	}
	c.trim = b.Trim
	return c
}

func (c *commit) write(r *remint.Record, touch bool) {
	c.writes = append(c.writes, write{record: r, data: c.encoded(r), touch: touch})
}

// encoded returns what e appends to buf. As buf grows, earlier slices keep the old one.
func (c *commit) encoded(e interface {
	AppendBinary([]byte) ([]byte, error)
}) []byte {
	start := len(c.buf)
	c.buf, _ = e.AppendBinary(c.buf) // its error is always nil
	return c.buf[start:len(c.buf):len(c.buf)]
}

// size returns roughly how many bytes a commit adds to a transaction; 0 if nothing is to be done
// or known for it.
func (c *commit) size() int {
	return len(c.buf) + len(c.trim) + idLen*(len(c.expects)+len(c.deletes))
}

// free makes c available to other commits. Nobody else may have it any more.
func (c *commit) free() {
	clear(c.writes) // a commit that is not in use keeps nothing alive
	clear(c.events)
	*c = commit{
		expects: c.expects[:0], writes: c.writes[:0], deletes: c.deletes[:0], events: c.events[:0],
		buf: c.buf[:0],
	}
	if cap(c.buf) > 64<<10 {
		c.buf = nil
	}
	commits.Put(c)
}
