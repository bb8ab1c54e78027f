package storebolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"

	"github.com/remint-go/remint"
)

// Load implements [remint.Store].
func (s *Store) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.state.Load() != 0 {
		s.await()
		s.settle.RUnlock()
		if err := s.usable(); err != nil {
			return nil, s.fail("load from", err)
		}
	}
	if r := s.cache.Get(id); r != nil {
		return r, nil
	}
	return s.loadFile(id)
}

// await waits for a transaction that is being written, and keeps the next one from being
// settled until settle is unlocked.
func (s *Store) await() {
	if s.hooks.waiting != nil {
		s.hooks.waiting()
	}
	s.settle.RLock()
}

// loadFile loads a record that is not in the cache, and puts it there.
func (s *Store) loadFile(id remint.ID) (*remint.Record, error) {
	fence := s.cache.Fence(id)
	var r *remint.Record
	var size int
	err := s.view("load from", func(v *view) error {
		data, err := v.get(id)
		if err != nil {
			return err
		}
		size = len(data)
		r, err = parse(id, data)
		return err
	})
	if err != nil {
		return nil, err
	}
	if s.hooks.filling != nil {
		s.hooks.filling()
	}
	s.cache.Fill(r, size, fence)
	return r, nil
}

// List implements [remint.Store].
func (s *Store) List(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error) {
	prefix := appendListKey(nil, owner, parent)
	return s.page(ctx, "list", listBucket(parent), limit, span{
		from: append(prefix[:len(prefix):len(prefix)], after[:]...), open: true, prefix: prefix,
	})
}

// Scan implements [remint.Store].
func (s *Store) Scan(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
	return s.page(ctx, "scan", bucketRecords, limit, span{from: after[:], open: true})
}

// Due implements [remint.Store].
func (s *Store) Due(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
	end := appendSweepKey(nil, microsBefore(before))
	return s.page(ctx, "list what is due in", bucketSweeps, limit, span{
		from: appendSweepKey(nil, math.MinInt64), end: end,
	})
}

// A span is a part of a bucket.
type span struct {
	from   []byte // the first key
	open   bool   // or the one after it
	prefix []byte // of all keys
	end    []byte // is after the last key; nil: there is none
}

func (p *span) has(key []byte) bool {
	return key != nil && bytes.HasPrefix(key, p.prefix) && (p.end == nil || bytes.Compare(key, p.end) < 0)
}

// page returns the records that the first keys of a span name by their last bytes.
func (s *Store) page(ctx context.Context, op string, bucket []byte, limit int, span span) ([]*remint.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var page []*remint.Record
	err := s.view(op, func(v *view) error {
		b, err := s.sub(v.tx, bucket)
		if err != nil {
			return err
		}
		c := b.Cursor()
		key, data := c.Seek(span.from)
		if span.open && bytes.Equal(key, span.from) {
			key, data = c.Next()
		}
		for ; len(page) < limit && span.has(key); key, data = c.Next() {
			id := remint.ID(key[len(key)-idLen:])
			if len(key) != idLen { // it is an index
				if data, err = v.get(id); err != nil {
					return fmt.Errorf("bucket %q is damaged: %q has %v, which is not there", s.bucket, bucket, id)
				}
			}
			r, err := parse(id, data)
			if err != nil {
				return err
			}
			page = append(page, r)
		}
		return s.intact()
	})
	if err != nil {
		return nil, err
	}
	return page, nil
}

// parse reads what is stored for id. It keeps nothing of data.
func parse(id remint.ID, data []byte) (*remint.Record, error) {
	r, err := remint.ParseRecord(data)
	switch {
	case err != nil:
		return nil, fmt.Errorf("record %v: %w", id, err)
	case r.ID() != id:
		return nil, fmt.Errorf("record %v is damaged: it is that of %v", id, r.ID())
	}
	return r, nil
}

// Events implements [remint.Store]. They come in the order of their commits.
func (s *Store) Events(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	var page []remint.Event
	var last uint64
	err := s.view("read the events of", func(v *view) error {
		b, err := s.sub(v.tx, bucketEvents)
		if err != nil {
			return err
		}
		position, err := s.position(after, b.Sequence())
		if err != nil {
			return err
		}
		c := b.Cursor()
		for key, data := c.Seek(appendPosition(nil, position+1)); len(page) < limit && key != nil; key, data = c.Next() {
			last = binary.BigEndian.Uint64(key)
			e, err := remint.ParseEvent(data)
			if err != nil {
				return fmt.Errorf("event %d: %w", last, err)
			}
			page = append(page, e)
		}
		return s.intact()
	})
	if err != nil {
		return nil, "", err
	}
	if len(page) == 0 {
		return nil, after, nil
	}
	return page, s.cursor(last), nil
}

// A view is a transaction that reads.
type view struct {
	s       *Store
	tx      *bbolt.Tx
	records *bbolt.Bucket // once it was used
}

// view calls read with a transaction, whose bytes are not to be used afterwards.
// What it sees is durable.
func (s *Store) view(op string, read func(*view) error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = s.damaged(p)
		}
		if err != nil && err != remint.ErrNotFound {
			err = s.fail(op, err)
		}
	}()
	if err := s.usable(); err != nil {
		return err
	}
	tx, err := s.begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return read(&view{s: s, tx: tx})
}

// begin begins a transaction that reads, and sees nothing that may yet fail: bbolt shows what
// a transaction wrote before it has synced the last page of it. Nor does it see what the
// cache has not, so that no record is newer by one way than it is, later, by the other.
func (s *Store) begin() (*bbolt.Tx, error) {
	tx, err := s.beginRead()
	if err != nil {
		return nil, err
	}
	if n := s.unsettled.Load(); n == 0 || int64(tx.ID()) < n {
		return tx, nil
	}
	tx.Rollback()
	s.await()
	defer s.settle.RUnlock()
	if err := s.usable(); err != nil {
		return nil, err
	}
	return s.beginRead()
}

// get returns the bytes of a record, or ErrNotFound.
func (v *view) get(id remint.ID) ([]byte, error) {
	if v.records == nil {
		var err error
		if v.records, err = v.s.sub(v.tx, bucketRecords); err != nil {
			return nil, err
		}
	}
	if data := v.records.Get(id[:]); data != nil {
		return data, nil
	}
	if err := v.s.intact(); err != nil {
		return nil, err
	}
	return nil, remint.ErrNotFound
}
