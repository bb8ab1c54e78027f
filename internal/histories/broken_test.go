package histories

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/remint-go/remint"
)

// unguarded is a store that looks at no guard.
type unguarded struct{ remint.Store }

func (s unguarded) Commit(ctx context.Context, b remint.Batch) error {
	b.Guard = nil
	return s.Store.Commit(ctx, b)
}

// overwriting is a store for which every revision is the right one.
type overwriting struct{ remint.Store }

func (s overwriting) Commit(ctx context.Context, b remint.Batch) error {
	b.Put = slices.Clone(b.Put)
	for i := range b.Put {
		if r, err := s.Store.Load(ctx, b.Put[i].Record.ID()); err == nil {
			b.Put[i].Replaces = r.Revision()
		}
	}
	return s.Store.Commit(ctx, b)
}

// outdated is a store that sometimes loads what a record was before its last change.
type outdated struct {
	remint.Store
	w *world

	mu     sync.Mutex
	before map[remint.ID]*remint.Record
}

func (s *outdated) Commit(ctx context.Context, b remint.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range b.Put {
		if r, err := s.Store.Load(ctx, b.Put[i].Record.ID()); err == nil {
			s.before[r.ID()] = r
		}
	}
	return s.Store.Commit(ctx, b)
}

func (s *outdated) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := clientOf(ctx); s.before[id] != nil && c != nil && c.rng.IntN(10) == 0 {
		return s.before[id], nil
	}
	return s.Store.Load(ctx, id)
}

// forgetful is a store that now and then does not do what it acknowledges.
type forgetful struct{ remint.Store }

func (s forgetful) Commit(ctx context.Context, b remint.Batch) error {
	if c := clientOf(ctx); c != nil && c.rng.IntN(10) == 0 {
		return nil
	}
	return s.Store.Commit(ctx, b)
}

// eager is a store that acknowledges before it is done.
type eager struct {
	remint.Store
	w *world
}

func (s eager) Commit(ctx context.Context, b remint.Batch) error {
	c := clientOf(ctx)
	if c == nil || c.number == 0 || c.rng.IntN(4) > 0 {
		return s.Store.Commit(ctx, b)
	}
	s.w.later(func() { s.Store.Commit(context.Background(), b) }, c.rng.Uint64())
	return nil
}

// piecemeal is a store that does one half of a batch after the other.
type piecemeal struct{ remint.Store }

func (s piecemeal) Commit(ctx context.Context, b remint.Batch) error {
	if len(b.Put) < 2 {
		return s.Store.Commit(ctx, b)
	}
	first, second := b, b
	first.Put, second.Put = b.Put[:1], b.Put[1:]
	second.Guard, second.Log, second.Touch, second.Delete = nil, nil, nil, nil
	if err := s.Store.Commit(ctx, first); err != nil {
		return err
	}
	clientOf(ctx).pause()
	return s.Store.Commit(ctx, second)
}

// behind is a clock that has not heard of the last seconds.
func behind(c *clock, by time.Duration) func() time.Time {
	return func() time.Time { return c.now().Add(-by) }
}
