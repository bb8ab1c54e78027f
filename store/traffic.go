package store

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"

	"github.com/remint-go/remint"
)

// What a Cache has going on with the store, by the ID that it is about. A record is let into
// the cache only if nothing that may have changed it happened since its reading began.

// trafficShards is a power of two. IDs that are chosen to meet in one shard share a lock
// for a moment, and no more.
const trafficShards = 64

type traffic struct {
	mu  sync.Mutex
	ids map[remint.ID]*lane
}

// A lane is what goes on with one ID. Its fields are guarded by traffic.mu.
type lane struct {
	reading *read  // is being read, or about to be
	waiting *read  // begins when reading is done
	commits int    // that are under way
	changes uint64 // how often the record was, or may have been, changed
}

// A read is one Load of the store, for all that ask before it begins.
type read struct {
	done      chan struct{} // closed when what follows is set
	record    *remint.Record
	asOf      int64 // before it began
	err       error
	abandoned bool // the context of whoever was to do it ended

	overtaken bool // guarded by traffic.mu: what it reads may be old
}

// A change is what a batch does to one record.
type change struct {
	id      remint.ID
	put     *remint.Record // nil: it is removed, or touched
	changes uint64         // lane.changes at the beginning
}

func (c *Cache) shard(id remint.ID) *traffic {
	// The end of an ID is random, the beginning a time.
	return &c.traffic[binary.LittleEndian.Uint64(id[8:])>>32%trafficShards]
}

// lane returns the lane of an ID, with t locked.
func (t *traffic) lane(id remint.ID) *lane {
	l := t.ids[id]
	if l == nil {
		if t.ids == nil {
			t.ids = make(map[remint.ID]*lane)
		}
		l = new(lane)
		t.ids[id] = l
	}
	return l
}

// leave forgets a lane that nobody uses, with t locked.
func (t *traffic) leave(id remint.ID, l *lane) {
	if l.reading == nil && l.commits == 0 {
		delete(t.ids, id)
	}
}

// changed notes that the record has, or may have, changed.
func (l *lane) changed() {
	l.changes++
	if l.reading != nil {
		l.reading.overtaken = true
	}
}

// read returns the record of id as read after the call began, and when that read began.
func (c *Cache) read(ctx context.Context, id remint.ID) (*remint.Record, int64, error) {
	t := c.shard(id)
	for {
		t.mu.Lock()
		l := t.lane(id)
		var r, before *read
		mine := true
		switch {
		case l.reading == nil:
			r = &read{done: make(chan struct{})}
			l.reading = r
		case l.waiting == nil:
			before = l.reading
			r = &read{done: make(chan struct{})}
			l.waiting = r
		default:
			r, mine = l.waiting, false
		}
		t.mu.Unlock()

		if mine {
			if before != nil {
				select {
				case <-before.done:
				case <-ctx.Done():
					c.abandon(t, id, r)
					return nil, 0, ctx.Err()
				}
			}
			c.do(ctx, t, id, r)
			return r.record, r.asOf, r.err
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		}
		if !r.abandoned {
			return r.record, r.asOf, r.err
		}
	}
}

var errPanicked = errors.New("store: the store that a Cache reads panicked")

// do reads, for all that wait for r, and keeps what it has read.
func (c *Cache) do(ctx context.Context, t *traffic, id remint.ID, r *read) {
	r.err = errPanicked
	defer func() {
		r.abandoned = r.err != nil && ctx.Err() != nil
		size := 0
		if r.err == nil {
			size = encodedSize(r.record)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		l := t.ids[id]
		if !r.overtaken && l.commits == 0 {
			switch {
			case r.err == nil:
				c.records.Put(r.record, size, r.asOf)
			case errors.Is(r.err, remint.ErrNotFound):
				c.records.Remove(id)
			}
		}
		t.next(id, l, r)
	}()
	c.reads.Add(1)
	r.asOf = c.now()
	r.record, r.err = c.load(ctx, id)
}

// next ends r, and lets the read that waits begin, with t locked.
func (t *traffic) next(id remint.ID, l *lane, r *read) {
	l.reading, l.waiting = l.waiting, nil
	t.leave(id, l)
	close(r.done)
}

// abandon gives up a read that has not begun. Who else waits for it asks again.
func (c *Cache) abandon(t *traffic, id remint.ID, r *read) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.abandoned = true
	if l := t.ids[id]; l.reading == r { // its turn has come
		t.next(id, l, r)
	} else {
		l.waiting = nil
		close(r.done)
	}
}

// begin takes what a commit is about to change out of the cache, until end.
func (c *Cache) begin(changes []change) {
	for i := range changes {
		id := changes[i].id
		t := c.shard(id)
		t.mu.Lock()
		l := t.lane(id)
		l.commits++
		l.changed()
		changes[i].changes = l.changes
		c.records.Remove(id)
		t.mu.Unlock()
	}
}

// end lets in again what a commit has changed: at once what it has put, as of its
// beginning, unless anything else may have changed that, too.
func (c *Cache) end(changes []change, asOf int64, committed bool) {
	for i := range changes {
		id, put := changes[i].id, changes[i].put
		size := 0
		if put != nil && committed {
			size = encodedSize(put)
		}
		t := c.shard(id)
		t.mu.Lock()
		l := t.ids[id]
		l.commits--
		if put != nil && committed && l.commits == 0 && l.changes == changes[i].changes {
			c.records.Put(put, size, asOf)
		}
		l.changed()
		t.leave(id, l)
		t.mu.Unlock()
	}
}

// forget drops one record that another process has changed.
func (c *Cache) forget(id remint.ID) {
	t := c.shard(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	c.records.Remove(id)
	if l := t.ids[id]; l != nil {
		l.changed()
	}
}

// buffers are for encodedSize.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// encodedSize is what the cache estimates by how much memory a record takes.
func encodedSize(r *remint.Record) int {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	encoded, err := r.AppendBinary((*b)[:0])
	if err != nil {
		return 0
	}
	*b = encoded
	return len(encoded)
}
