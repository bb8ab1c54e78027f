package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// A broken store breaks one rule of the contract, which the check that is meant for it
// must notice.
type broken struct {
	caught string // by the check of this name
	flaw   string
	make   func() remint.Store
}

func TestBrokenStoresAreCaught(t *testing.T) {
	caught := map[string]bool{}
	for _, b := range slices.Concat(brokenCommits, brokenTouches, brokenReads, brokenEvents, brokenContexts, brokenAliases, brokenRaces) {
		t.Run(b.flaw, func(t *testing.T) {
			i := slices.IndexFunc(checks(), func(c check) bool { return c.name == b.caught })
			if i < 0 {
				t.Fatalf("there is no check %q", b.caught)
			}
			for range 1000 { // what breaks only in a race may get away, but not for ever
				failures := failuresOf(t, func(tb testing.TB) { newSuite(tb, b.make()).do(checks()[i]) })
				if len(failures) > 0 {
					t.Log(failures[0])
					return
				}
			}
			t.Errorf("it passes %q", b.caught)
		})
		caught[b.caught] = true
	}
	for _, c := range checks() {
		if !caught[c.name] {
			t.Errorf("there is no broken store to be caught by %q", c.name)
		}
	}
}

// A variant is a reference store of which some methods are others.
type variant struct {
	*reference
	load   func(ctx context.Context, id remint.ID) (*remint.Record, error)
	commit func(ctx context.Context, b remint.Batch) error
	list   func(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error)
	scan   func(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error)
	due    func(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error)
	events func(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error)
}

// but returns a maker of stores that change what they are made of.
func but(changes ...func(v *variant)) func() remint.Store {
	return func() remint.Store {
		s := newReference()
		v := &variant{reference: s, load: s.Load, commit: s.Commit, list: s.List, scan: s.Scan, due: s.Due, events: s.Events}
		for _, change := range changes {
			change(v)
		}
		return v
	}
}

func (v *variant) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	return v.load(ctx, id)
}

func (v *variant) Commit(ctx context.Context, b remint.Batch) error { return v.commit(ctx, b) }

func (v *variant) List(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error) {
	return v.list(ctx, owner, parent, after, limit)
}

func (v *variant) Scan(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
	return v.scan(ctx, after, limit)
}

func (v *variant) Due(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
	return v.due(ctx, before, limit)
}

func (v *variant) Events(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
	return v.events(ctx, after, limit)
}

// committing makes a variant whose Commit is preceded by a change of the batch.
func committing(change func(v *variant, b *remint.Batch)) func() remint.Store {
	return but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			v.mu.Lock()
			b = copyOf(b)
			change(v, &b)
			v.mu.Unlock()
			return v.reference.Commit(ctx, b)
		}
	})
}

// replacing makes a variant with another Commit, which holds the mutex.
func replacing(commit func(v *variant, b remint.Batch) error) func() remint.Store {
	return but(func(v *variant) {
		v.commit = func(ctx context.Context, b remint.Batch) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			v.mu.Lock()
			defer v.mu.Unlock()
			return commit(v, b)
		}
	})
}

// finish is what a Commit does after it has found no conflict.
func (s *reference) finish(b remint.Batch) error {
	n, err := s.position(b.Trim)
	if err != nil {
		return err
	}
	s.apply(b)
	s.trim(n)
	return nil
}

// stored returns those of the records that are stored, at any revision.
func (s *reference) stored(records []*remint.Record) []*remint.Record {
	return slices.DeleteFunc(slices.Clone(records), func(r *remint.Record) bool { return s.recs[r.ID()] == nil })
}

// current returns the records as they are stored, where they are.
func (s *reference) current(records []*remint.Record) []*remint.Record {
	records = slices.Clone(records)
	for i, r := range records {
		if stored := s.recs[r.ID()]; stored != nil {
			records[i] = stored
		}
	}
	return records
}

func copyOf(b remint.Batch) remint.Batch {
	b.Guard, b.Put, b.Delete = slices.Clone(b.Guard), slices.Clone(b.Put), slices.Clone(b.Delete)
	b.Touch, b.Log = slices.Clone(b.Touch), slices.Clone(b.Log)
	return b
}
