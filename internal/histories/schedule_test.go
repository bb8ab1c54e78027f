package histories

import (
	"context"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing/synctest"
	"time"
)

// A schedule says who goes on, at every point where a client pauses: before and after
// each operation of the store. One goes on at a time, and which one follows from the seed, so that
// a history can be repeated. It works in a bubble of testing/synctest, which tells when
// all that was let go has paused, or waits for somebody who has.
//
// A loose schedule lets all go on at once, as the machine has it.
type schedule struct {
	loose bool

	mu      sync.Mutex
	paused  []*pause
	step    int
	elapsed time.Duration
	running sync.WaitGroup
	left    int
}

type pause struct {
	who  int
	due  int
	done chan struct{}
}

// start runs f, which may pause.
func (s *schedule) start(f func()) {
	s.mu.Lock()
	s.left++
	s.mu.Unlock()
	s.running.Go(func() {
		f()
		s.mu.Lock()
		s.left--
		s.mu.Unlock()
	})
}

// pause lets others go on. Most pauses are short; some are as long as several operations.
func (s *schedule) pause(who int, rng *rand.Rand) {
	if s.loose {
		for range rng.IntN(4) {
			runtime.Gosched()
		}
		return
	}
	long := 4
	if rng.IntN(6) == 0 {
		long = 40
	}
	s.mu.Lock()
	p := &pause{who, s.step + rng.IntN(long), make(chan struct{})}
	s.paused = append(s.paused, p)
	s.mu.Unlock()
	<-p.done
}

// elapse lets the bubble's own time pass, too, before anybody goes on.
func (s *schedule) elapse(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.elapsed += d
}

// run lets one after the other go on until all are done.
func (s *schedule) run() {
	if s.loose {
		s.running.Wait()
		return
	}
	for {
		synctest.Wait()
		p, elapsed, left := s.next()
		time.Sleep(elapsed)
		synctest.Wait() // for who has waited for that
		switch {
		case p != nil:
			close(p.done)
		case left == 0:
			s.running.Wait()
			return
		default:
			time.Sleep(time.Second) // who is left waits to try again: longer than anybody does
		}
	}
}

func (s *schedule) next() (p *pause, elapsed time.Duration, left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	elapsed, s.elapsed = s.elapsed, 0
	if len(s.paused) == 0 {
		return nil, elapsed, s.left
	}
	p = slices.MinFunc(s.paused, func(a, b *pause) int {
		if a.due != b.due {
			return a.due - b.due
		}
		return a.who - b.who
	})
	s.paused = slices.DeleteFunc(s.paused, func(q *pause) bool { return q == p })
	s.step++
	return p, elapsed, s.left
}

// whoKey is where a context has the client that it belongs to.
type whoKey struct{}

func (c *client) context() context.Context {
	return context.WithValue(context.Background(), whoKey{}, c)
}

func clientOf(ctx context.Context) *client {
	c, _ := ctx.Value(whoKey{}).(*client)
	return c
}
