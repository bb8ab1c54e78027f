package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/remint-go/remint"
)

// A Watcher is a [remint.Store] that hears of other processes' commits.
type Watcher interface {
	remint.Store
	// Watch reports the commits that take effect after the first time that it calls fresh with,
	// and perhaps others, until ctx is done or the feed is lost, which is an error.
	//
	// It calls changed with the ID of each record put or deleted, once Load gives what it
	// has become; records that were touched may be left out. It calls fresh whenever every
	// such commit that had taken effect by asOf has been reported: the first time, as soon as
	// none can be missed any more. asOf is a time of this process's monotonic clock, from
	// before the store was asked: not another machine's, nor one that has lost its monotonic
	// reading. Both calls return at once.
	Watch(ctx context.Context, fresh func(asOf time.Time), changed func(remint.ID)) error
}

// A feed is what one Watch has vouched for.
type feed struct {
	since atomic.Int64 // what was read before that may have changed unheard
	asOf  atomic.Int64 // up to when it has missed nothing; before since: it has not said
}

func newFeed() *feed {
	f := new(feed)
	f.since.Store(math.MaxInt64)
	f.asOf.Store(-1)
	return f
}

// vouches takes down that the feed has missed nothing up to at. The first time tells since
// when it does not.
func (f *feed) vouches(at int64) {
	f.since.CompareAndSwap(math.MaxInt64, at)
	if at > f.asOf.Load() {
		f.asOf.Store(at)
	}
}

// vouched returns up to when the feed has missed nothing, for what was read since since.
func (c *Cache) vouched() (since, asOf int64) {
	if f := c.feed.Load(); f != nil {
		return f.since.Load(), f.asOf.Load()
	}
	return 0, -1
}

// Follow follows the feed of a store that is a [Watcher], again after it was lost, until
// ctx is done, and returns its error. It makes a Cache faster, which then need not read
// again what has not changed; the bound holds without it.
//
// It returns another error at once if the store is no Watcher, or is being followed.
func (c *Cache) Follow(ctx context.Context) error {
	w, ok := c.s.(Watcher)
	if !ok {
		return fmt.Errorf("store: %T is no Watcher: it has no feed to follow", c.s)
	}
	if !c.following.CompareAndSwap(false, true) {
		return errors.New("store: the feed is being followed already: call Follow once for a Cache")
	}
	defer c.following.Store(false)
	const first, most = 10 * time.Millisecond, 10 * time.Second
	for wait := first; ctx.Err() == nil; wait = min(2*wait, most) {
		if c.watch(ctx, w) {
			wait = first
		}
		pause(ctx, wait)
	}
	return ctx.Err()
}

// watch follows one Watch to its end, and says whether it ever vouched.
func (c *Cache) watch(ctx context.Context, w Watcher) bool {
	f := newFeed()
	c.feed.Store(f)
	var over atomic.Bool
	defer over.Store(true)
	_ = w.Watch(ctx, func(asOf time.Time) {
		if !over.Load() {
			f.vouches(c.at(asOf)) // nobody vouches for what is yet to come
		}
	}, c.forget)
	return f.asOf.Load() >= f.since.Load()
}
