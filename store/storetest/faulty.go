package storetest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/remint-go/remint"
)

// When says whether a failing operation took effect.
type When bool

const (
	Before When = false // it did not
	After  When = true  // it did, and its answer was lost
)

// ErrFault is the error of the operation that [Faulty] makes fail.
var ErrFault = errors.New("storetest: fault")

// Faulty returns a Store like s whose n-th operation, counted from 0, fails with
// [ErrFault]. Any method counts. The result is a [remint.Refresher] if s is one.
//
// A test of a store's user makes each operation fail in turn, until n is beyond the
// last. The method Fired of the result says whether the n-th was reached:
//
//	for n := 0; ; n++ {
//		s := storetest.Faulty(new(store.Memory), n, storetest.After)
//		use(s)
//		if !s.(interface{ Fired() bool }).Fired() {
//			break
//		}
//	}
func Faulty(s remint.Store, n int, w When) remint.Store {
	f := &faulty{s: s, fails: int64(n), when: w}
	if r, ok := s.(remint.Refresher); ok {
		return &faultyRefresher{faulty: f, r: r}
	}
	return f
}

type faulty struct {
	s     remint.Store
	fails int64
	when  When
	done  atomic.Int64 // operations that have begun
}

// Fired reports whether the operation that is to fail has begun.
func (f *faulty) Fired() bool { return f.done.Load() > f.fails && f.fails >= 0 }

// do does one operation, unless it is the one to fail.
func (f *faulty) do(op func() error) error {
	if f.done.Add(1)-1 != f.fails {
		return op()
	}
	if f.when == After {
		op() // and nobody hears of it
	}
	return ErrFault
}

func (f *faulty) Load(ctx context.Context, id remint.ID) (r *remint.Record, err error) {
	return answer(f, func() (*remint.Record, error) { return f.s.Load(ctx, id) })
}

func (f *faulty) Commit(ctx context.Context, b remint.Batch) error {
	return f.do(func() error { return f.s.Commit(ctx, b) })
}

func (f *faulty) List(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error) {
	return answer(f, func() ([]*remint.Record, error) { return f.s.List(ctx, owner, parent, after, limit) })
}

func (f *faulty) Scan(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
	return answer(f, func() ([]*remint.Record, error) { return f.s.Scan(ctx, after, limit) })
}

func (f *faulty) Due(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
	return answer(f, func() ([]*remint.Record, error) { return f.s.Due(ctx, before, limit) })
}

func (f *faulty) Events(ctx context.Context, after remint.Cursor, limit int) (page []remint.Event, next remint.Cursor, err error) {
	page, err = answer(f, func() (page []remint.Event, err error) {
		page, next, err = f.s.Events(ctx, after, limit)
		return page, err
	})
	if errors.Is(err, ErrFault) {
		next = ""
	}
	return page, next, err
}

// answer does an operation that has an answer, and loses that of the one to fail.
func answer[T any](f *faulty, op func() (T, error)) (T, error) {
	var a T
	err := f.do(func() (err error) {
		a, err = op()
		return err
	})
	if errors.Is(err, ErrFault) {
		var none T
		return none, err
	}
	return a, err
}

type faultyRefresher struct {
	*faulty
	r remint.Refresher
}

func (f *faultyRefresher) Refresh(ctx context.Context, id remint.ID) (*remint.Record, error) {
	return answer(f.faulty, func() (*remint.Record, error) { return f.r.Refresh(ctx, id) })
}
