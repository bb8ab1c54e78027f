package storetest

import (
	"context"
	"time"

	"github.com/remint-go/remint"
)

var brokenTouches = []broken{
	{"a touch replaces a record of its revision", "ignores touches", committing(func(v *variant, b *remint.Batch) {
		b.Touch = nil
	})},
	{"a touch is no change of revision", "counts a touch as a change", committing(func(v *variant, b *remint.Batch) {
		for _, r := range b.Touch {
			if v.revision(r.ID()) == r.Revision() {
				b.Put = append(b.Put, remint.Put{Record: change(r, r.Revision()+1, ""), Replaces: r.Revision()})
			}
		}
		b.Touch = nil
	})},
	{"a touch is no change of revision", "compares guards by content", replacing(func(v *variant, b remint.Batch) error {
		for _, r := range b.Guard {
			if !equal(v.recs[r.ID()], r) {
				return remint.ErrConflict
			}
		}
		return cmpErr(v.conflict(b), func() error { return v.finish(b) })
	})},
	{"a touch of another revision is skipped", "touches any revision", replacing(func(v *variant, b remint.Batch) error {
		if err := v.conflict(b); err != nil {
			return err
		}
		for _, r := range b.Touch {
			if v.recs[r.ID()] != nil {
				v.recs[r.ID()] = r
			}
		}
		return v.finish(b)
	})},
	{"a touch of another revision is skipped", "touches lower revisions", replacing(func(v *variant, b remint.Batch) error {
		if err := v.conflict(b); err != nil {
			return err
		}
		for _, r := range b.Touch {
			if v.recs[r.ID()] != nil && v.revision(r.ID()) < r.Revision() {
				v.recs[r.ID()] = r
			}
		}
		return v.finish(b)
	})},
	{"a touch of a missing record is skipped", "creates what it touches", replacing(func(v *variant, b remint.Batch) error {
		if err := v.conflict(b); err != nil {
			return err
		}
		for _, r := range b.Touch {
			if v.recs[r.ID()] == nil {
				v.recs[r.ID()] = r
			}
		}
		return v.finish(b)
	})},
	{"a touch that is skipped does not stop its batch", "takes a late touch for a conflict", replacing(func(v *variant, b remint.Batch) error {
		return cmpErr(v.conflict(remint.Batch{Delete: b.Touch}), func() error {
			return cmpErr(v.conflict(b), func() error { return v.finish(b) })
		})
	})},
	{"a touch that is skipped does not stop its batch", "stops touching at the first that it skips", committing(func(v *variant, b *remint.Batch) {
		for i, r := range b.Touch {
			if v.revision(r.ID()) != r.Revision() {
				b.Touch = b.Touch[:i]
				break
			}
		}
	})},
	{"a touch may change the time to sweep", "does not move what it touches in the order of sweeping", but(sweepIndex(false, true, true))},
	{"a put may change the time to sweep", "does not move what it puts in the order of sweeping", but(sweepIndex(true, false, true))},
	{"a touched record is deleted from everywhere", "looks in the order of sweeping for the record that the delete names", but(sweepIndex(true, true, false))},
	{"a touched record is replaced everywhere", "looks in the order of sweeping for the record that was put last", but(func(v *variant) {
		last := map[remint.ID]*remint.Record{} // by put
		index := map[sweepKey]bool{}
		v.commit = func(ctx context.Context, b remint.Batch) error {
			if err := v.reference.Commit(ctx, b); err != nil {
				return err
			}
			for _, p := range b.Put {
				if r := last[p.Record.ID()]; r != nil {
					delete(index, sweepKeyOf(r))
				}
				last[p.Record.ID()] = p.Record
				index[sweepKeyOf(p.Record)] = true
			}
			for _, r := range b.Touch {
				index[sweepKeyOf(r)] = true
			}
			return nil
		}
		v.due = dueByIndex(v, index)
	})},
}

// A sweepKey is an entry of an index for Due.
type sweepKey struct {
	at int64
	id remint.ID
}

func sweepKeyOf(r *remint.Record) sweepKey { return sweepKey{r.SweepAt().UnixMicro(), r.ID()} }

// sweepIndex gives a variant an index for Due, and says which batches keep it well.
func sweepIndex(touches, puts, deletes bool) func(v *variant) {
	return func(v *variant) {
		index := map[sweepKey]bool{}
		v.commit = func(ctx context.Context, b remint.Batch) error {
			was := map[remint.ID]*remint.Record{}
			for id, r := range v.recs {
				was[id] = r
			}
			if err := v.reference.Commit(ctx, b); err != nil {
				return err
			}
			replace := func(r *remint.Record, well bool) {
				old := was[r.ID()]
				if old != nil && !well || old == nil && v.recs[r.ID()] != r {
					return
				}
				if old != nil {
					delete(index, sweepKeyOf(old))
				}
				index[sweepKeyOf(r)] = true
			}
			for _, p := range b.Put {
				replace(p.Record, puts)
			}
			for _, r := range b.Touch {
				replace(r, touches)
			}
			for _, r := range b.Delete {
				if deletes {
					r = was[r.ID()]
				}
				delete(index, sweepKeyOf(r))
			}
			return nil
		}
		v.due = dueByIndex(v, index)
	}
}

// dueByIndex returns a Due that has each record at the times of the index.
func dueByIndex(v *variant, index map[sweepKey]bool) func(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
	return func(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
		var keys []sweepKey
		for k := range index {
			if at := time.UnixMicro(k.at); !at.IsZero() && at.Before(before) {
				keys = append(keys, k)
			}
		}
		sortKeys(keys)
		var page []*remint.Record
		for _, k := range first(keys, limit) {
			page = append(page, v.recs[k.id])
		}
		return page, ctx.Err()
	}
}
