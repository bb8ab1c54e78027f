package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/remint-go/remint"
)

// operations has one call of each method of a Store.
var operations = []struct {
	name string
	call func(ctx context.Context, s remint.Store) error
}{
	{"Commit", func(ctx context.Context, s remint.Store) error {
		return s.Commit(ctx, remint.Batch{Put: puts(0, plain(1, 1)...)})
	}},
	{"Load", func(ctx context.Context, s remint.Store) error {
		r, err := s.Load(ctx, id(1))
		return lost(err, r != nil)
	}},
	{"List", func(ctx context.Context, s remint.Store) error {
		page, err := s.List(ctx, "o", remint.ID{}, remint.ID{}, 1)
		return lost(err, page != nil)
	}},
	{"Scan", func(ctx context.Context, s remint.Store) error {
		page, err := s.Scan(ctx, remint.ID{}, 1)
		return lost(err, page != nil)
	}},
	{"Due", func(ctx context.Context, s remint.Store) error {
		page, err := s.Due(ctx, end, 1)
		return lost(err, page != nil)
	}},
	{"Events", func(ctx context.Context, s remint.Store) error {
		page, next, err := s.Events(ctx, "", 1)
		return lost(err, page != nil || next != "")
	}},
}

var errAnswered = errors.New("an error with an answer")

func lost(err error, answered bool) error {
	if err != nil && answered {
		return errAnswered
	}
	return err
}

func TestFaultyFailsTheNthOperation(t *testing.T) {
	for _, when := range []When{Before, After} {
		for n := range operations {
			s := Faulty(newReference(), n, when)
			for i, op := range operations {
				if fired := s.(interface{ Fired() bool }).Fired(); fired != (i > n) {
					t.Errorf("Fired() = %t before operation %d, of which %d fails", fired, i, n)
				}
				err := op.call(t.Context(), s)
				switch {
				case i == n && !errors.Is(err, ErrFault):
					t.Errorf("%s: %v, want ErrFault", op.name, err)
				case n == 0 && when == Before && op.name == "Load":
					if !errors.Is(err, remint.ErrNotFound) {
						t.Errorf("Load of what was not committed: %v", err)
					}
				case i != n && err != nil:
					t.Errorf("%s: %v, though operation %d fails", op.name, err, n)
				}
			}
		}
	}
}

func TestFaultyAfterTakesEffect(t *testing.T) {
	for _, when := range []When{Before, After} {
		s := newReference()
		f := Faulty(s, 0, when)
		if err := f.Commit(t.Context(), remint.Batch{Put: puts(0, plain(1, 1)...)}); !errors.Is(err, ErrFault) {
			t.Errorf("Commit = %v", err)
		}
		if _, err := s.Load(t.Context(), id(1)); (err == nil) != bool(when) {
			t.Errorf("When(%t): Load = %v", when, err)
		}
	}
}

func TestFaultyBeyondTheLastOperationPasses(t *testing.T) {
	Run(t, func(*testing.T) remint.Store { return Faulty(newReference(), 1<<40, Before) })
	Run(t, func(*testing.T) remint.Store { return Faulty(newReference(), -1, After) })
}

type refresher struct{ *reference }

func (r refresher) Refresh(ctx context.Context, id remint.ID) (*remint.Record, error) {
	return r.Load(ctx, id)
}

func TestFaultyIsARefresherIfItsStoreIs(t *testing.T) {
	if _, ok := Faulty(newReference(), 0, Before).(remint.Refresher); ok {
		t.Error("it is one, and its store is not")
	}
	r, ok := Faulty(refresher{newReference()}, 1, Before).(remint.Refresher)
	if !ok {
		t.Fatal("it is none, and its store is")
	}
	for i, want := range []error{remint.ErrNotFound, ErrFault, remint.ErrNotFound} {
		if _, err := r.Refresh(t.Context(), id(1)); !errors.Is(err, want) {
			t.Errorf("Refresh %d = %v, want %v", i, err, want)
		}
	}
}

func TestFaultyFailsOnce(t *testing.T) {
	s := Faulty(newReference(), 10, Before)
	var mu sync.Mutex
	failed := 0
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := s.Scan(t.Context(), remint.ID{}, 1); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed++
			}
		})
	}
	all.Wait()
	if failed != 1 {
		t.Errorf("%d failed", failed)
	}
}
