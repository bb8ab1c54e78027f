package storetest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remint-go/remint"
)

const (
	canceledCheck = "a canceled context is its own error and changes nothing"
	deadlineCheck = "a context past its deadline is its own error and changes nothing"
)

var brokenContexts = []broken{
	{canceledCheck, "loads with a canceled context", but(func(v *variant) {
		v.load = func(ctx context.Context, id remint.ID) (*remint.Record, error) {
			return v.reference.Load(context.WithoutCancel(ctx), id)
		}
	})},
	{canceledCheck, "loads what is missing with a canceled context", but(func(v *variant) {
		v.load = func(ctx context.Context, id remint.ID) (*remint.Record, error) {
			if v.recs[id] == nil {
				return nil, remint.ErrNotFound
			}
			return v.reference.Load(ctx, id)
		}
	})},
	{canceledCheck, "scans with a canceled context", but(func(v *variant) {
		v.scan = func(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
			return v.reference.Scan(context.WithoutCancel(ctx), after, limit)
		}
	})},
	{canceledCheck, "lists with a canceled context", but(func(v *variant) {
		v.list = func(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error) {
			return v.reference.List(context.WithoutCancel(ctx), owner, parent, after, limit)
		}
	})},
	{canceledCheck, "looks for what is due with a canceled context", but(func(v *variant) {
		v.due = func(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
			return v.reference.Due(context.WithoutCancel(ctx), before, limit)
		}
	})},
	{canceledCheck, "reads events with a canceled context", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			return v.reference.Events(context.WithoutCancel(ctx), after, limit)
		}
	})},
	{canceledCheck, "commits with a canceled context", but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			return v.reference.Commit(context.WithoutCancel(ctx), b)
		}
	})},
	{canceledCheck, "commits before it looks at the context", but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			return cmp.Or(v.reference.Commit(context.WithoutCancel(ctx), b), ctx.Err())
		}
	})},
	{canceledCheck, "finds a conflict before it looks at the context", but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			return cmp.Or(v.conflict(b), v.reference.Commit(ctx, b))
		}
	})},
	{deadlineCheck, "takes a deadline for a cancellation", but(func(v *variant) {
		v.load = func(ctx context.Context, id remint.ID) (*remint.Record, error) {
			r, err := v.reference.Load(ctx, id)
			if ctx.Err() != nil {
				err = context.Canceled
			}
			return r, err
		}
	})},
	{deadlineCheck, "hides the context's error", but(func(v *variant) {
		v.scan = func(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
			page, err := v.reference.Scan(ctx, after, limit)
			if err != nil {
				err = errors.New(err.Error())
			}
			return page, err
		}
	})},
	{"a context that is canceled after a commit undoes nothing", "keeps what it commits only as long as the context", but(func(v *variant) {
		var last context.Context
		var was map[remint.ID]*remint.Record
		v.commit = func(ctx context.Context, b remint.Batch) error {
			last, was = ctx, maps.Clone(v.recs)
			return v.reference.Commit(ctx, b)
		}
		v.load = func(ctx context.Context, id remint.ID) (*remint.Record, error) {
			if last != nil && last.Err() != nil {
				v.recs, last = was, nil
			}
			return v.reference.Load(ctx, id)
		}
	})},
}

var brokenAliases = []broken{
	{"a store does not change the slices of a batch", "sorts guards in place", but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			slices.SortFunc(b.Guard, byID)
			return v.reference.Commit(ctx, b)
		}
	})},
	{"a store does not change the slices of a batch", "appends to guards in place", but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			all := append(b.Guard, b.Delete...)
			return v.reference.Commit(ctx, remint.Batch{Guard: all, Put: b.Put, Delete: b.Delete, Touch: b.Touch, Log: b.Log, Trim: b.Trim})
		}
	})},
	{"a store does not change the slices of a batch", "removes touches in place", but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			kept := slices.Clone(b.Touch)
			slices.Reverse(b.Touch)
			b.Touch = kept
			return v.reference.Commit(ctx, b)
		}
	})},
	{"a store does not change a page that it returned", "fills one page again and again", but(func(v *variant) {
		buffer := make([]*remint.Record, 0, 1000)
		v.scan = func(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
			page, err := v.reference.Scan(ctx, after, limit)
			return append(buffer, page...), err
		}
	})},
	{"a store does not change a page that it returned", "fills one page of events again and again", but(func(v *variant) {
		buffer := make([]remint.Event, 0, 1000)
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			page, next, err := v.reference.Events(ctx, after, limit)
			return append(buffer, page...), next, err
		}
	})},
	{"the slices of a batch are the caller's again after it", "keeps the caller's slice of events", but(func(v *variant) {
		var kept [][]remint.Event
		v.commit = func(ctx context.Context, b remint.Batch) error {
			err := v.reference.Commit(ctx, b)
			if err == nil && len(b.Log) > 0 {
				kept = append(kept, b.Log)
			}
			return err
		}
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			v.log = slices.Concat(kept...)
			return v.reference.Events(ctx, after, limit)
		}
	})},
	{"the slices of a batch are the caller's again after it", "applies a batch when something is read", but(func(v *variant) {
		var late []remint.Put
		v.commit = func(ctx context.Context, b remint.Batch) error {
			v.apply(remint.Batch{Put: late})
			late = nil
			if err := v.conflict(b); err != nil {
				return err
			}
			late = b.Put
			b.Put = nil
			return v.reference.Commit(ctx, b)
		}
		v.load = func(ctx context.Context, id remint.ID) (*remint.Record, error) {
			v.apply(remint.Batch{Put: late})
			late = nil
			return v.reference.Load(ctx, id)
		}
	})},
	{"a page is the caller's", "gives its own slice of events", but(func(v *variant) {
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			page, next, err := v.reference.Events(ctx, after, limit)
			if n, _ := v.position(next); len(page) > 0 {
				page = v.log[n-len(page)-v.trimmed : n-v.trimmed]
			}
			return page, next, err
		}
	})},
	{"a page is the caller's", "gives its own slice of records", but(func(v *variant) {
		var sorted []*remint.Record
		v.commit = func(ctx context.Context, b remint.Batch) error {
			err := v.reference.Commit(ctx, b)
			sorted, _ = v.reference.Scan(context.Background(), remint.ID{}, 1000)
			return err
		}
		v.scan = func(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
			from := slices.IndexFunc(sorted, func(r *remint.Record) bool { return r == nil || r.ID().Compare(after) > 0 })
			if from < 0 {
				return nil, ctx.Err()
			}
			return first(sorted[from:], limit), ctx.Err()
		}
	})},
	{"a page is the caller's", "gives a page with its own records behind it", but(func(v *variant) {
		var shared []remint.Event
		v.commit = func(ctx context.Context, b remint.Batch) error {
			err := v.reference.Commit(ctx, b)
			shared = slices.Clone(v.log)
			return err
		}
		v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
			v.log = shared
			page, next, err := v.reference.Events(ctx, after, limit)
			if n, _ := v.position(next); len(page) > 0 && n > 0 {
				copied := slices.Clone(v.log)
				shared, page = copied, copied[n-len(page)-v.trimmed:n-v.trimmed]
			}
			return page, next, err
		}
	})},
}

// unlocked makes a variant that looks for conflicts, and writes later. What makes it
// look may be a part of the batch.
func unlocked(looks func(b remint.Batch) remint.Batch) func() remint.Store {
	return but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			v.mu.Lock()
			err := v.conflict(b)
			v.mu.Unlock()
			if err != nil {
				return err
			}
			dawdle()
			v.mu.Lock()
			defer v.mu.Unlock()
			return cmpErr(v.conflict(looks(b)), func() error { return v.finish(b) })
		}
	})
}

// dawdle lets others go first.
func dawdle() {
	for range 50 {
		runtime.Gosched()
	}
}

var brokenRaces = []broken{
	{"of many who put one new record one wins", "looks for what is there before it locks", unlocked(func(b remint.Batch) remint.Batch {
		b.Put = slices.DeleteFunc(slices.Clone(b.Put), func(p remint.Put) bool { return p.Replaces == 0 })
		return b
	})},
	{"of many who replace one revision one wins", "looks for the revision before it locks", unlocked(func(b remint.Batch) remint.Batch {
		b.Put = slices.DeleteFunc(slices.Clone(b.Put), func(p remint.Put) bool { return p.Replaces != 0 })
		return b
	})},
	{"of many who guard and change one record one wins", "looks for everything before it locks", unlocked(func(b remint.Batch) remint.Batch {
		return remint.Batch{}
	})},
	{"of many who delete one record one wins", "looks for what it deletes before it locks", unlocked(func(b remint.Batch) remint.Batch {
		b.Delete = nil
		return b
	})},
	{"who begins after a guard was changed loses", "judges guards as they were two commits ago", but(func(v *variant) {
		var mu sync.Mutex
		old := map[remint.ID]*remint.Record{}
		v.commit = func(ctx context.Context, b remint.Batch) error {
			mu.Lock()
			defer mu.Unlock()
			if err := (&reference{recs: old}).conflict(remint.Batch{Guard: b.Guard}); err != nil {
				return err
			}
			b.Guard = nil
			was := maps.Clone(v.recs)
			err := v.reference.Commit(ctx, b)
			if v.recs[id(1)].Revision() == 1 {
				was = maps.Clone(v.recs)
			}
			old = was
			return err
		}
	})},
	{"a conflict fails no other commit", "fails all who commit together", but(func(v *variant) {
		type request struct {
			b    remint.Batch
			done chan error
		}
		var mu sync.Mutex
		var waiting []request
		v.commit = func(ctx context.Context, b remint.Batch) error {
			own := request{b, make(chan error, 1)}
			mu.Lock()
			waiting = append(waiting, own)
			mu.Unlock()
			dawdle()
			mu.Lock()
			group := waiting
			waiting = nil
			mu.Unlock()
			var err error
			v.mu.Lock()
			for _, r := range group {
				err = cmp.Or(err, v.conflict(r.b))
			}
			for _, r := range group {
				if err == nil {
					v.finish(r.b)
				}
				r.done <- err
			}
			v.mu.Unlock()
			return <-own.done
		}
	})},
	{"a commit that has returned is seen by all", "loads what it loaded before, every other time", but(func(v *variant) {
		var calls atomic.Int64
		var cache sync.Map
		v.load = func(ctx context.Context, id remint.ID) (*remint.Record, error) {
			if r, ok := cache.Load(id); ok && calls.Add(1)%2 == 0 {
				return r.(*remint.Record), nil
			}
			r, err := v.reference.Load(ctx, id)
			if err == nil {
				cache.Store(id, r)
			}
			return r, err
		}
	})},
	{"pages that are read between commits miss and double nothing", "goes on at the place in the order and not at the ID", but(byPlace)},
	{"pages that are read while others commit miss and double nothing", "goes on in the order at the place where the ID was", but(byPlace)},
	{"events that are read while others commit come once and in order", "draws the number of an event before it commits", but(sequenced)},
	{"events that are read while others commit and trim come once and in order", "trims what has come since", but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			err := v.reference.Commit(ctx, b)
			if b.Trim != "" && err == nil {
				dawdle()
				v.mu.Lock()
				defer v.mu.Unlock()
				v.trim(v.trimmed + len(v.log))
			}
			return err
		}
	})},
	{"random operations do what the model does", "forgets the seventh commit", but(func(v *variant) {
		commits := 0
		v.commit = func(ctx context.Context, b remint.Batch) error {
			if commits++; commits == 7 {
				return v.conflict(b)
			}
			return v.reference.Commit(ctx, b)
		}
	})},
}

// sequenced gives a variant the mistake that STORAGE.md tells of: sequence numbers are
// drawn in one order, and transactions commit in another.
func sequenced(v *variant) {
	type numbered struct {
		number int
		e      remint.Event
	}
	var numbers atomic.Int64
	var log []numbered
	v.commit = func(ctx context.Context, b remint.Batch) error {
		from := int(numbers.Add(int64(len(b.Log)))) - len(b.Log)
		if from%3 == 0 {
			dawdle()
		}
		events := b.Log
		b.Log = nil
		v.mu.Lock()
		defer v.mu.Unlock()
		if err := v.conflict(b); err != nil {
			return err
		}
		v.finish(b)
		for i, e := range events {
			log = append(log, numbered{from + i + 1, e})
		}
		slices.SortFunc(log, func(a, b numbered) int { return a.number - b.number })
		return nil
	}
	v.events = func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
		v.mu.Lock()
		defer v.mu.Unlock()
		last, _ := strconv.Atoi(string(after))
		var page []remint.Event
		for _, n := range log {
			if n.number > last && len(page) < limit {
				page = append(page, n.e)
				last, after = n.number, remint.Cursor(strconv.Itoa(n.number))
			}
		}
		return page, after, ctx.Err()
	}
}

// byPlace gives a variant a Scan that goes on behind as many records as it has given.
func byPlace(v *variant) {
	var places sync.Map // by the last ID of a page
	v.scan = func(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
		all, err := v.reference.Scan(ctx, remint.ID{}, 1000)
		at, _ := places.LoadOrStore(after, 0)
		page := first(all[min(at.(int), len(all)):], limit)
		if len(page) > 0 {
			places.Store(page[len(page)-1].ID(), at.(int)+len(page))
		}
		runtime.Gosched()
		return page, err
	}
}
