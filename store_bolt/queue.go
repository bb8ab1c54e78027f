package storebolt

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A queue puts commits into groups that share a transaction. Whoever finds nobody leading
// leads: it takes what is waiting, itself first, and writes it. Then it appoints the
// first of those that came meanwhile, and goes; so nobody works for others for longer
// than for one transaction, and there is no goroutine to stop.
type queue struct {
	mu      sync.Mutex
	waiting []*commit // in the order of their coming; the next leader is the first
	leading bool      // somebody is
	closed  bool
	idle    sync.Cond    // when leading ends
	joined  atomic.Int32 // len(waiting)

	// company is how many committers the last leader left: its group, and who was waiting. 0: it
	// was alone. Only who leads has it.
	company int32
}

// place is where a commit stands.
type place uint8

const (
	isWaiting place = iota
	isLeader
	isTaken // into a group
)

// A group is bounded, so that nobody waits long for a transaction and none is huge.
const (
	maxGroup      = 256
	maxGroupBytes = 4 << 20
)

// yields is for how long, in turns of other goroutines, a leader waits for another to join its
// group, until there are as many as there were last time. Those of the last group have just been
// woken, and prepare their next commit: without this they would miss the group, and one part of the
// writers would wait while the other is served. With 64 writers on two cores, who need 4 µs each,
// 4 turns got 41 into a group and 21.0 µs for each, 50 turns 52 and 19.8, and 200 turns 56 and 19.5
// (one store by itself; beside its yardsticks, in module bench, everything takes longer).
const yields = 200

// patience is how long a leader waits at most. A turn is as long as others want to run, and with
// some that do nothing but compute it takes tens of milliseconds, while nobody can commit.
const patience = 200 * time.Microsecond

// do waits for a place for c, and then for the outcome, leading if need be. Nobody has c
// any more when it returns.
func (q *queue) do(ctx context.Context, s *Store, c *commit) error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return s.fail("commit to", errClosed)
	}
	c.place = isWaiting
	q.waiting = append(q.waiting, c)
	q.joined.Store(int32(len(q.waiting)))
	if !q.leading {
		q.leading = true
		c.place = isLeader
		q.mu.Unlock()
		q.lead(s, c)
		return c.err
	}
	// Made anew, as one that was made in a bubble of testing/synctest is of no use outside.
	c.woken = make(chan struct{}, 1)
	q.mu.Unlock()

	select {
	case <-c.woken:
	case <-ctx.Done():
		if q.remove(c) {
			return ctx.Err()
		}
		<-c.woken
	}
	if c.place == isLeader {
		q.lead(s, c)
	}
	return c.err
}

// remove takes c out of the queue, unless it has a place in a group or is to lead one.
func (q *queue) remove(c *commit) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if c.place != isWaiting {
		return false
	}
	i := slices.Index(q.waiting, c)
	q.waiting = slices.Delete(q.waiting, i, i+1)
	q.joined.Store(int32(len(q.waiting)))
	return true
}

// lead writes a group with c, which is the first in the queue.
func (q *queue) lead(s *Store, c *commit) {
	if s.hooks.leading != nil {
		s.hooks.leading()
	}
	q.gather()
	group := q.take()
	s.commitGroup(group)

	q.mu.Lock()
	q.company = int32(len(group) + len(q.waiting))
	if q.company == 1 {
		q.company = 0
	}
	var next *commit
	if len(q.waiting) > 0 {
		next = q.waiting[0]
		next.place = isLeader
	} else {
		q.leading = false
		q.idle.Broadcast()
	}
	q.mu.Unlock()
	if next != nil {
		next.woken <- struct{}{}
	}
	for _, member := range group {
		if member != c {
			member.woken <- struct{}{}
		}
	}
}

// gather waits for those who are about to join.
func (q *queue) gather() {
	want := min(q.company, maxGroup)
	if want == 0 {
		return
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	for quiet, n := 0, int32(0); quiet < yields && n < want; quiet++ {
		if now := q.joined.Load(); now != n {
			n, quiet = now, 0
		}
		runtime.Gosched()
		select {
		case <-late.C:
			return
		default:
		}
	}
}

// take returns the next group.
func (q *queue) take() []*commit {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, bytes := 0, 0
	for n < len(q.waiting) && n < maxGroup && (n == 0 || bytes < maxGroupBytes) {
		q.waiting[n].place = isTaken
		bytes += q.waiting[n].size()
		n++
	}
	group := slices.Clone(q.waiting[:n])
	q.waiting = slices.Delete(q.waiting, 0, n)
	q.joined.Store(int32(len(q.waiting)))
	return group
}

// close lets nobody in any more, and waits for those that are.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for q.leading {
		q.idle.Wait()
	}
}
