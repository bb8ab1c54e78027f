package storetest

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/remint-go/remint"
)

// reference is a whole and simple store, under one mutex.
type reference struct {
	mu      sync.Mutex
	recs    map[remint.ID]*remint.Record
	log     []remint.Event
	trimmed int // events that are gone
}

func newReference() *reference { return &reference{recs: map[remint.ID]*remint.Record{}} }

func (s *reference) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.recs[id]; r != nil {
		return r, nil
	}
	return nil, remint.ErrNotFound
}

func (s *reference) Commit(ctx context.Context, b remint.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.conflict(b); err != nil {
		return err
	}
	trim, err := s.position(b.Trim)
	if err != nil {
		return err
	}
	s.apply(b)
	s.trim(trim)
	return nil
}

func (s *reference) conflict(b remint.Batch) error {
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
	return nil
}

func (s *reference) apply(b remint.Batch) {
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
}

func (s *reference) trim(n int) {
	if n > s.trimmed {
		s.log, s.trimmed = slices.Clone(s.log[n-s.trimmed:]), n
	}
}

func (s *reference) revision(id remint.ID) uint64 {
	if r := s.recs[id]; r != nil {
		return r.Revision()
	}
	return 0
}

func (s *reference) List(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error) {
	return s.page(ctx, after, limit, func(r *remint.Record) bool { return r.Owner() == owner && r.Parent() == parent })
}

func (s *reference) Scan(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
	return s.page(ctx, after, limit, func(*remint.Record) bool { return true })
}

func (s *reference) page(ctx context.Context, after remint.ID, limit int, want func(*remint.Record) bool) ([]*remint.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var page []*remint.Record
	for id, r := range s.recs {
		if id.Compare(after) > 0 && want(r) {
			page = append(page, r)
		}
	}
	slices.SortFunc(page, byID)
	return first(page, limit), nil
}

func byID(a, b *remint.Record) int { return a.ID().Compare(b.ID()) }

func bySweepAt(a, b *remint.Record) int {
	return cmp.Or(a.SweepAt().Compare(b.SweepAt()), byID(a, b))
}

func (s *reference) Due(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
	page, err := s.page(ctx, remint.ID{}, math.MaxInt, func(r *remint.Record) bool {
		return !r.SweepAt().IsZero() && r.SweepAt().Before(before)
	})
	slices.SortFunc(page, bySweepAt)
	return first(page, limit), err
}

func (s *reference) Events(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.position(after)
	if err != nil {
		return nil, "", err
	}
	n = max(n, s.trimmed)
	page := slices.Clone(first(s.log[n-s.trimmed:], limit))
	if len(page) == 0 {
		return nil, after, nil
	}
	return page, remint.Cursor(strconv.Itoa(n + len(page))), nil
}

// position is the number of events before the cursor, which is that number here:
// under one mutex, events are numbered in the order in which they appear.
func (s *reference) position(c remint.Cursor) (int, error) {
	if c == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(string(c))
	if err != nil || n < 1 || n > s.trimmed+len(s.log) || strconv.Itoa(n) != string(c) {
		return 0, errors.New("no cursor of this store")
	}
	return n, nil
}
