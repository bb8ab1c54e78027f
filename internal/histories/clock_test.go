package histories

import (
	"sync"
	"time"
)

// A clock stands still until a client moves it, and keeps what it has shown.
type clock struct {
	mu    sync.Mutex
	shown []int64
}

func newClock() *clock { return &clock{shown: []int64{dawn}} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.UnixMicro(c.shown[len(c.shown)-1]).UTC()
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = append(c.shown, c.shown[len(c.shown)-1]+d.Microseconds())
}

// mark returns a mark for since.
func (c *clock) mark() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.shown) - 1
}

// since returns what the clock has shown from the mark on, in order.
func (c *clock) since(mark int) []int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shown[mark:len(c.shown):len(c.shown)]
}
