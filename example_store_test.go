package remint_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store/storetest"
)

// mapStore is a whole Store. One over a database has a transaction for the mutex
// and AppendBinary's bytes for the pointer.
type mapStore struct {
	mu      sync.RWMutex
	recs    map[remint.ID]*remint.Record
	log     []remint.Event
	trimmed int // events that are gone
}

func (s *mapStore) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if r := s.recs[id]; r != nil {
		return r, ctx.Err()
	}
	return nil, cmp.Or(ctx.Err(), remint.ErrNotFound)
}

func (s *mapStore) Commit(ctx context.Context, b remint.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	trim, err := s.position(b.Trim)
	if err != nil {
		return err
	}
	for _, p := range b.Put {
		if s.revision(p.Record.ID()) != p.Replaces {
			return remint.ErrConflict
		}
	}
	for _, r := range slices.Concat(b.Guard, b.Delete) {
		if s.revision(r.ID()) != r.Revision() {
			return remint.ErrConflict
		}
	}
	for _, p := range b.Put {
		s.recs[p.Record.ID()] = p.Record
	}
	for _, r := range b.Delete {
		delete(s.recs, r.ID())
	}
	for _, r := range b.Touch {
		if s.revision(r.ID()) == r.Revision() {
			s.recs[r.ID()] = r
		}
	}
	s.log = append(s.log, b.Log...)
	if trim > s.trimmed {
		s.log, s.trimmed = s.log[trim-s.trimmed:], trim
	}
	return nil
}

func (s *mapStore) revision(id remint.ID) uint64 {
	if r := s.recs[id]; r != nil {
		return r.Revision()
	}
	return 0
}

func (s *mapStore) List(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error) {
	return s.page(ctx, after, limit, func(r *remint.Record) bool { return r.Owner() == owner && r.Parent() == parent })
}

func (s *mapStore) Scan(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
	return s.page(ctx, after, limit, func(*remint.Record) bool { return true })
}

func (s *mapStore) page(ctx context.Context, after remint.ID, limit int, want func(*remint.Record) bool) ([]*remint.Record, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var page []*remint.Record
	for id, r := range s.recs {
		if bytes.Compare(id[:], after[:]) > 0 && want(r) {
			page = append(page, r)
		}
	}
	slices.SortFunc(page, func(a, b *remint.Record) int {
		x, y := a.ID(), b.ID()
		return bytes.Compare(x[:], y[:])
	})
	return page[:max(0, min(limit, len(page)))], ctx.Err()
}

func (s *mapStore) Due(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
	page, err := s.page(ctx, remint.ID{}, math.MaxInt, func(r *remint.Record) bool {
		return !r.SweepAt().IsZero() && r.SweepAt().Before(before)
	})
	slices.SortStableFunc(page, func(a, b *remint.Record) int { return a.SweepAt().Compare(b.SweepAt()) })
	return page[:max(0, min(limit, len(page)))], err
}

func (s *mapStore) Events(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n, err := s.position(after)
	if err != nil {
		return nil, after, err
	}
	n = max(n, s.trimmed)
	page := s.log[n-s.trimmed:]
	page = page[:max(0, min(limit, len(page)))]
	if len(page) == 0 {
		return nil, after, ctx.Err()
	}
	return slices.Clone(page), remint.Cursor(strconv.Itoa(n + len(page))), ctx.Err()
}

// position is the number of events before the cursor, which is that number here:
// under one mutex, events are numbered in the order in which they appear.
func (s *mapStore) position(c remint.Cursor) (int, error) {
	if c == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(string(c))
	if err != nil || n < 0 || n > s.trimmed+len(s.log) {
		return 0, fmt.Errorf("no cursor of this store: %q", c)
	}
	return n, nil
}

func TestMapStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) remint.Store {
		return &mapStore{recs: map[remint.ID]*remint.Record{}}
	})
}

var _ remint.Store = (*mapStore)(nil)
