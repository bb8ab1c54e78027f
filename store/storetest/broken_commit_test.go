package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/remint-go/remint"
)

var errBroken = errors.New("broken")

var brokenCommits = []broken{
	{"an empty store is empty", "is not empty at first", but(func(v *variant) {
		v.recs[id(1)] = plain(1, 1)[0]
	})},
	{"a missing record is not found", "gives nil and no error", but(func(v *variant) {
		v.load = func(ctx context.Context, id remint.ID) (*remint.Record, error) {
			r, err := v.reference.Load(ctx, id)
			if errors.Is(err, remint.ErrNotFound) {
				err = nil
			}
			return r, err
		}
	})},
	{"a missing record is not found", "has its own error for what is missing", but(func(v *variant) {
		v.load = func(ctx context.Context, id remint.ID) (*remint.Record, error) {
			r, err := v.reference.Load(ctx, id)
			if errors.Is(err, remint.ErrNotFound) {
				err = errors.New(err.Error())
			}
			return r, err
		}
	})},
	{"a record that was put is found", "puts the first record of a batch only", committing(func(v *variant, b *remint.Batch) {
		b.Put = first(b.Put, 1)
	})},
	{"a put replaces a record", "keeps the first content", committing(func(v *variant, b *remint.Batch) {
		for i, p := range b.Put {
			if old := v.recs[p.Record.ID()]; old != nil {
				b.Put[i].Record = change(old, p.Record.Revision(), "p")
			}
		}
	})},
	{"a put of a new record conflicts with one that is there", "overwrites with new records", committing(func(v *variant, b *remint.Batch) {
		for i, p := range b.Put {
			if p.Replaces == 0 {
				b.Put[i].Replaces = v.revision(p.Record.ID())
			}
		}
	})},
	{"a put of a new record conflicts with one that is there", "is content if a new record is there already", committing(func(v *variant, b *remint.Batch) {
		b.Put = slices.DeleteFunc(b.Put, func(p remint.Put) bool { return p.Replaces == 0 && v.recs[p.Record.ID()] == p.Record })
	})},
	{"a put conflicts with another revision", "lets the last write win", committing(func(v *variant, b *remint.Batch) {
		for i, p := range b.Put {
			b.Put[i].Replaces = v.revision(p.Record.ID())
		}
	})},
	{"a put conflicts with another revision", "lets the higher revision win", committing(func(v *variant, b *remint.Batch) {
		for i, p := range b.Put {
			if stored := v.revision(p.Record.ID()); p.Replaces > stored {
				b.Put[i].Replaces = stored
			}
		}
	})},
	{"a put conflicts with another revision", "has its own error for a conflict", but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			err := v.reference.Commit(ctx, b)
			if errors.Is(err, remint.ErrConflict) {
				err = errBroken
			}
			return err
		}
	})},
	{"a put of a missing record conflicts unless it is new", "puts what was to replace a missing record", committing(func(v *variant, b *remint.Batch) {
		for i, p := range b.Put {
			if v.recs[p.Record.ID()] == nil {
				b.Put[i].Replaces = 0
			}
		}
	})},
	{"a copied record keeps its revision", "takes no revision but the next", replacing(func(v *variant, b remint.Batch) error {
		for _, p := range b.Put {
			if p.Record.Revision() != p.Replaces+1 {
				return remint.ErrConflict
			}
		}
		return cmpErr(v.conflict(b), func() error { return v.finish(b) })
	})},
	{"a copied record keeps its revision", "counts revisions itself", committing(func(v *variant, b *remint.Batch) {
		for i, p := range b.Put {
			b.Put[i].Record = resweep(p.Record, p.Replaces+1, "p", p.Record.SweepAt())
		}
	})},
	{"a guard that is missing conflicts", "ignores guards that are missing", committing(func(v *variant, b *remint.Batch) {
		b.Guard = v.stored(b.Guard)
	})},
	{"a guard of another revision conflicts", "ignores guards", committing(func(v *variant, b *remint.Batch) {
		b.Guard = nil
	})},
	{"a guard of another revision conflicts", "ignores the revisions of guards", committing(func(v *variant, b *remint.Batch) {
		b.Guard = v.current(b.Guard)
	})},
	{"a guard of another revision conflicts", "ignores guards of a batch that writes no record", committing(func(v *variant, b *remint.Batch) {
		if len(b.Put)+len(b.Delete) == 0 {
			b.Guard = nil
		}
	})},
	{"a guard of a deleted record conflicts", "remembers the revisions of deleted records for guards", but(func(v *variant) {
		ever := map[remint.ID]uint64{}
		v.commit = func(ctx context.Context, b remint.Batch) error {
			guards := b.Guard
			b.Guard = slices.DeleteFunc(slices.Clone(guards), func(r *remint.Record) bool {
				return v.recs[r.ID()] == nil && ever[r.ID()] == r.Revision()
			})
			for _, p := range b.Put {
				ever[p.Record.ID()] = p.Record.Revision()
			}
			return v.reference.Commit(ctx, b)
		}
	})},
	{"a guard of the stored revision lets a batch pass", "locks a guard so that it cannot be one twice", replacing(func(v *variant, b remint.Batch) error {
		locked := map[remint.ID]bool{}
		for _, r := range b.Guard {
			if locked[r.ID()] {
				return remint.ErrConflict
			}
			locked[r.ID()] = true
		}
		return cmpErr(v.conflict(b), func() error { return v.finish(b) })
	})},
	{"a guard changes nothing", "writes its guards", committing(func(v *variant, b *remint.Batch) {
		for _, r := range b.Guard {
			if v.revision(r.ID()) == r.Revision() {
				v.recs[r.ID()] = r
			}
		}
	})},
	{"a guard is judged before the batch's own changes", "puts before it judges guards", replacing(func(v *variant, b remint.Batch) error {
		was := maps.Clone(v.recs)
		if err := v.conflict(remint.Batch{Put: b.Put, Delete: b.Delete}); err != nil {
			return err
		}
		v.apply(remint.Batch{Put: b.Put, Delete: b.Delete})
		if err := v.conflict(remint.Batch{Guard: b.Guard}); err != nil {
			v.recs = was
			return err
		}
		return v.finish(remint.Batch{Touch: b.Touch, Log: b.Log, Trim: b.Trim})
	})},
	{"a guard is judged before the batch's own changes", "does not judge guards that the batch puts", committing(func(v *variant, b *remint.Batch) {
		b.Guard = slices.DeleteFunc(b.Guard, func(r *remint.Record) bool {
			return slices.ContainsFunc(b.Put, func(p remint.Put) bool { return p.Record.ID() == r.ID() })
		})
	})},
	{"a delete removes a record from everywhere", "leaves deleted records in the lists of their parents", but(func(v *variant) {
		var deleted []*remint.Record
		v.commit = func(ctx context.Context, b remint.Batch) error {
			deleted = append(deleted, b.Delete...)
			return v.reference.Commit(ctx, b)
		}
		v.list = func(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error) {
			page, err := v.reference.List(ctx, owner, parent, after, limit)
			for _, r := range deleted {
				if r.Parent() == parent && !parent.IsZero() && r.ID().Compare(after) > 0 {
					page = append(page, r)
				}
			}
			slices.SortFunc(page, byID)
			return first(page, limit), err
		}
	})},
	{"a delete removes a record from everywhere", "leaves deleted records in the order of sweeping", but(func(v *variant) {
		due := map[remint.ID]*remint.Record{}
		v.commit = func(ctx context.Context, b remint.Batch) error {
			for _, p := range b.Put {
				due[p.Record.ID()] = p.Record
			}
			return v.reference.Commit(ctx, b)
		}
		v.due = func(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
			return (&reference{recs: due}).Due(ctx, before, limit)
		}
	})},
	{"a delete of another revision conflicts", "deletes at any revision", committing(func(v *variant, b *remint.Batch) {
		b.Delete = v.current(b.Delete)
	})},
	{"a delete of a missing record conflicts", "is content if what it deletes is not there", committing(func(v *variant, b *remint.Batch) {
		b.Delete = v.stored(b.Delete)
	})},
	{"a deleted record can be put again", "remembers what was deleted", but(func(v *variant) {
		deleted := map[remint.ID]bool{}
		v.commit = func(ctx context.Context, b remint.Batch) error {
			for _, p := range b.Put {
				if deleted[p.Record.ID()] {
					return remint.ErrConflict
				}
			}
			for _, r := range b.Delete {
				deleted[r.ID()] = true
			}
			return v.reference.Commit(ctx, b)
		}
	})},
	{"an empty batch does nothing", "refuses an empty batch", replacing(func(v *variant, b remint.Batch) error {
		if len(b.Guard)+len(b.Put)+len(b.Delete)+len(b.Touch)+len(b.Log)+len(b.Trim) == 0 {
			return errBroken
		}
		return cmpErr(v.conflict(b), func() error { return v.finish(b) })
	})},
	{"a batch may hold 64 records", "refuses more than 63 records", replacing(func(v *variant, b remint.Batch) error {
		if len(b.Guard)+len(b.Put)+len(b.Delete)+len(b.Touch)+len(b.Log) > 63 {
			return errBroken
		}
		return cmpErr(v.conflict(b), func() error { return v.finish(b) })
	})},
	{"a conflict leaves nothing of its batch, whichever element it is of", "leaves the puts before the one that conflicts", replacing(func(v *variant, b remint.Batch) error {
		if err := v.conflict(remint.Batch{Guard: b.Guard, Delete: b.Delete}); err != nil {
			return err
		}
		for _, p := range b.Put {
			if v.revision(p.Record.ID()) != p.Replaces {
				return remint.ErrConflict
			}
			v.recs[p.Record.ID()] = p.Record
		}
		b.Put = nil
		return v.finish(b)
	})},
	{"a conflict leaves nothing of its batch, whichever element it is of", "leaves the puts when a delete conflicts", replacing(func(v *variant, b remint.Batch) error {
		if err := v.conflict(remint.Batch{Guard: b.Guard, Put: b.Put}); err != nil {
			return err
		}
		v.apply(remint.Batch{Put: b.Put})
		b.Put = nil
		return cmpErr(v.conflict(remint.Batch{Delete: b.Delete}), func() error { return v.finish(b) })
	})},
	{"a conflict leaves nothing of its batch, whichever element it is of", "judges guards last", replacing(func(v *variant, b remint.Batch) error {
		judged := v.conflict(remint.Batch{Guard: b.Guard})
		if err := v.conflict(remint.Batch{Put: b.Put, Delete: b.Delete}); err != nil {
			return err
		}
		return cmpErr(v.finish(b), func() error { return judged })
	})},
	{"a conflict logs nothing", "logs on a conflict", replacing(func(v *variant, b remint.Batch) error {
		if err := v.conflict(b); err != nil {
			v.log = append(v.log, b.Log...)
			return err
		}
		return v.finish(b)
	})},
	{"a conflict trims nothing", "trims on a conflict", replacing(func(v *variant, b remint.Batch) error {
		n, err := v.position(b.Trim)
		if err != nil {
			return err
		}
		v.trim(n)
		b.Trim = ""
		return cmpErr(v.conflict(b), func() error { return v.finish(b) })
	})},
	{"a conflict touches nothing", "touches on a conflict", replacing(func(v *variant, b remint.Batch) error {
		v.apply(remint.Batch{Touch: b.Touch})
		b.Touch = nil
		return cmpErr(v.conflict(b), func() error { return v.finish(b) })
	})},
	{"an owner is any bytes but NUL", "repairs UTF-8", ownedAs(func(owner string) string { return string([]rune(owner)) })},
	{"an owner is any bytes but NUL", "cuts long owners", ownedAs(func(owner string) string { return first254(owner) })},
	{"an owner is any bytes but NUL", "does not tell upper case from lower", ownedAs(foldASCII)},
	{"a record may be 64 KiB long", "refuses long records", replacing(func(v *variant, b remint.Batch) error {
		for _, p := range b.Put {
			if len(encode(p.Record)) > 65535 {
				return errBroken
			}
		}
		return cmpErr(v.conflict(b), func() error { return v.finish(b) })
	})},
	{"a record keeps its bytes", "keeps 200 bytes", committing(func(v *variant, b *remint.Batch) {
		for i, p := range b.Put {
			if len(encode(p.Record)) > 200 {
				b.Put[i].Record = change(p.Record, p.Record.Revision(), "")
			}
		}
	})},
}

// cmpErr returns the first error.
func cmpErr(err error, next func() error) error {
	if err != nil {
		return err
	}
	return next()
}
