package main

import (
	"errors"
	"sync/atomic"
	"testing"
)

func TestParallelDoesAsMuchAsItWasAskedTo(t *testing.T) {
	for _, goroutines := range []int{1, 3, 64} {
		for _, n := range []int{1, 2, 64, 100} {
			var done atomic.Int64
			if err := parallel(goroutines, n, func(int, int) error { done.Add(1); return nil }); err != nil {
				t.Fatal(err)
			}
			if int(done.Load()) != n {
				t.Errorf("%d goroutines did %d operations instead of %d", goroutines, done.Load(), n)
			}
		}
		bad := errors.New("bad")
		if err := parallel(goroutines, 100, func(int, int) error { return bad }); !errors.Is(err, bad) {
			t.Errorf("%d goroutines: %v", goroutines, err)
		}
	}
}

func TestNoTwoWorkersTurnToTheSameThing(t *testing.T) {
	const n, workers = 103, 8
	at, whose := make([]int, workers), map[int]int{}
	for worker := range workers {
		for range 3 * n {
			i := next(at, worker, workers, n)
			if i < 0 || i >= n {
				t.Fatalf("there is no %d", i)
			}
			if w, taken := whose[i]; taken && w != worker {
				t.Fatalf("%d is both %d's and %d's", i, w, worker)
			}
			whose[i] = worker
		}
	}
	if len(whose) != n/workers*workers {
		t.Errorf("only %d of %d are anybody's", len(whose), n)
	}
}
