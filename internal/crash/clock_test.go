package crash

import (
	"sync/atomic"
	"time"
)

// A clock goes much faster than time does, so that graces, lapses and expiries come and go
// within the life of a victim. After clockSpan it hardly moves: what a victim writes is not
// older than its Retention while it lives, and so its parent misses no event. No two looks at it
// are at the same time.
type clock struct {
	start int64 // microseconds
	began time.Time
	last  atomic.Int64
}

const (
	clockSpeed = 600 // 0.1 s are a minute
	clockSpan  = 10 * minute
)

// Durations in microseconds, as everything that the victim and the parent tell each other.
const (
	second = int64(time.Second / time.Microsecond)
	minute = 60 * second
)

var dawn = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC).UnixMicro()

func startClock(at int64) *clock { return &clock{start: at, began: time.Now()} }

func (c *clock) micros() int64 {
	for {
		last := c.last.Load()
		now := c.start + min(time.Since(c.began).Nanoseconds()*clockSpeed/1000, clockSpan)
		if now = max(now, last+1); c.last.CompareAndSwap(last, now) {
			return now
		}
	}
}

func (c *clock) now() time.Time { return time.UnixMicro(c.micros()) }

func toTime(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
