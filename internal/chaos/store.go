package chaos

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/remint-go/remint"
)

// ErrStore is the error of an operation that a [Store] lets fail.
var ErrStore = errors.New("chaos: the store failed")

// A Failure is one operation of a store that fails, as with storetest.Faulty, which cannot wait
// until a test has come to what it is about.
type Failure struct {
	N     int  // which one, counted from 0
	After bool // it takes effect, and nobody hears of it
	Stays bool // and so does everything after it, without effect
}

// A Store fails when it is told to.
type Store struct {
	inner remint.Store

	mu        sync.Mutex
	failure   *Failure
	done      int
	meanwhile func()
}

// NewStore returns a Store over inner that does not fail.
func NewStore(inner remint.Store) *Store { return &Store{inner: inner} }

// Fail lets operations fail from now on.
func (s *Store) Fail(f Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure, s.done = &f, 0
}

// Recover lets none fail, and returns whether one has.
func (s *Store) Recover() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	failed := s.failure != nil && s.done > s.failure.N
	s.failure = nil
	return failed
}

// Meanwhile calls do before the next commit, when all that it rests on has been read.
func (s *Store) Meanwhile(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meanwhile = do
}

// next says how the operation that begins ends.
func (s *Store) next() (fails, happens bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.failure
	if f == nil {
		return false, true
	}
	s.done++
	switch n := s.done - 1; {
	case n == f.N:
		return true, f.After
	case n > f.N && f.Stays:
		return true, false
	}
	return false, true
}

func (s *Store) do(op func() error) error {
	fails, happens := s.next()
	var err error
	if happens {
		err = op()
	}
	if fails {
		return ErrStore
	}
	return err
}

// Load implements [remint.Store], as do the methods below.
func (s *Store) Load(ctx context.Context, id remint.ID) (r *remint.Record, err error) {
	if fails := s.do(func() error { r, err = s.inner.Load(ctx, id); return err }); fails != nil {
		return nil, fails
	}
	return r, nil
}

// Commit is one operation.
func (s *Store) Commit(ctx context.Context, b remint.Batch) error {
	s.mu.Lock()
	do := s.meanwhile
	s.meanwhile = nil
	s.mu.Unlock()
	if do != nil {
		do()
	}
	return s.do(func() error { return s.inner.Commit(ctx, b) })
}

// List is one operation.
func (s *Store) List(ctx context.Context, owner string, parent, after remint.ID, limit int) (page []*remint.Record, err error) {
	if fails := s.do(func() error { page, err = s.inner.List(ctx, owner, parent, after, limit); return err }); fails != nil {
		return nil, fails
	}
	return page, nil
}

// Scan is one operation.
func (s *Store) Scan(ctx context.Context, after remint.ID, limit int) (page []*remint.Record, err error) {
	if fails := s.do(func() error { page, err = s.inner.Scan(ctx, after, limit); return err }); fails != nil {
		return nil, fails
	}
	return page, nil
}

// Due is one operation.
func (s *Store) Due(ctx context.Context, before time.Time, limit int) (page []*remint.Record, err error) {
	if fails := s.do(func() error { page, err = s.inner.Due(ctx, before, limit); return err }); fails != nil {
		return nil, fails
	}
	return page, nil
}

// Events is one operation.
func (s *Store) Events(ctx context.Context, after remint.Cursor, limit int) (page []remint.Event, next remint.Cursor, err error) {
	if fails := s.do(func() error { page, next, err = s.inner.Events(ctx, after, limit); return err }); fails != nil {
		return nil, "", fails
	}
	return page, next, nil
}
