package store

import (
	"context"
	"time"
)

// The only clock of a store: by it a Cache knows how long ago it read something. It is
// monotonic, and nothing of a token is judged by it.

// A clock counts nanoseconds from its start.
type clock struct{ started time.Time }

func startClock() clock { return clock{time.Now()} }

func (c clock) now() int64 { return int64(time.Since(c.started)) }

// at returns what now was at a time; never later than it is.
func (c clock) at(t time.Time) int64 { return min(int64(t.Sub(c.started)), c.now()) }

// pause waits, unless ctx ends first.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
