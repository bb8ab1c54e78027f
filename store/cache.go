package store

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/internal/recordcache"
)

// A Cache is a [remint.Store] that keeps decoded records of one that other processes also
// write.
//
// Load may answer from what is kept: with a record that was the store's at some moment
// within the bound, or later. So a token that was revoked elsewhere is accepted here for at
// most that long after Revoke has returned there. What this Cache itself commits is seen at
// once, and a store that is written through one Cache only is never behind: unless it does a commit
// after it has returned an error for it, which is seen within the bound, too.
//
// The bound is one of this process's monotonic clock, which some systems (Linux) stop while the machine
// sleeps: what was revoked meanwhile may be accepted until the bound has passed after it woke.
//
// A kept record never denies, and nothing is changed on the strength of one: remint calls
// Refresh for that. Reads of one record are one at a time, whatever their number: a
// flood of wrong secrets of one token is one reader.
//
// The other methods are the store's own, with its errors. A Cache starts no goroutine
// and needs no closing. It is made by [NewCache] only.
type Cache struct {
	s       remint.Store
	load    func(context.Context, remint.ID) (*remint.Record, error) // past any cache of s
	bound   time.Duration
	records *recordcache.Cache
	clock
	traffic [trafficShards]traffic

	feed      atomic.Pointer[feed]
	following atomic.Bool

	reads atomic.Uint64
}

var _ remint.Refresher = (*Cache)(nil)

// CacheOptions configure a [Cache]. The zero value and nil are ready for use.
type CacheOptions struct {
	// MaxBytes bounds the memory for decoded records, which is estimated: about twice what
	// they take encoded, and 290 bytes each, which is more than most do. Zero: 64 MiB, for 100,000 plain tokens. Negative: nothing is kept.
	MaxBytes int64
}

const defaultCacheBytes = 64 << 20

// NewCache returns a Cache in front of s, which must not be nil. No answer of Load is older
// than maxStaleness, whether or not a feed is followed: what cannot be confirmed in time is
// an error, which remint reports as [remint.ErrUnavailable]. With a maxStaleness of zero
// or less, nothing is kept, and every Load reads.
//
// If s is a [remint.Refresher], the Cache reads by its Refresh.
func NewCache(s remint.Store, maxStaleness time.Duration, opts *CacheOptions) *Cache {
	if s == nil {
		panic("store: NewCache of a nil Store")
	}
	var o CacheOptions
	if opts != nil {
		o = *opts
	}
	switch {
	case maxStaleness <= 0:
		o.MaxBytes, maxStaleness = -1, 0
	case o.MaxBytes == 0:
		o.MaxBytes = defaultCacheBytes
	}
	c := &Cache{s: s, load: s.Load, bound: maxStaleness, records: recordcache.New(o.MaxBytes), clock: startClock()}
	if r, ok := s.(remint.Refresher); ok {
		c.load = r.Refresh
	}
	return c
}

// MaxStaleness returns the bound that was given to [NewCache]; 0: nothing is kept.
func (c *Cache) MaxStaleness() time.Duration { return c.bound }

// CacheStats are figures of a [Cache], for a service's metrics.
type CacheStats struct {
	MaxStaleness time.Duration // the bound
	// FeedAge is how long ago the feed last vouched for what is kept, while [Cache.Follow]
	// runs or after it; negative: no feed ever did. When it exceeds MaxStaleness, records are
	// read again, each after MaxStaleness.
	FeedAge time.Duration
	Records int    // kept
	Bytes   int64  // that they take, estimated
	Evicted uint64 // dropped for want of room, ever
	Reads   uint64 // of single records from the store, ever
}

// Stats returns the figures as they are now.
func (c *Cache) Stats() CacheStats {
	kept := c.records.State()
	s := CacheStats{
		MaxStaleness: c.bound, FeedAge: -1,
		Records: kept.Records, Bytes: kept.Bytes, Evicted: kept.Evicted, Reads: c.reads.Load(),
	}
	if f := c.feed.Load(); f != nil {
		if asOf := f.asOf.Load(); asOf >= f.since.Load() {
			s.FeedAge = time.Duration(c.now() - asOf)
		}
	}
	return s
}

// Load implements [remint.Store].
func (c *Cache) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// What is still kept after the feed has vouched is as fresh as that. So the feed is
	// asked first, and the clock last.
	since, vouched := c.vouched()
	if r, asOf := c.records.GetAsOf(id); r != nil {
		if asOf >= since {
			asOf = max(asOf, vouched)
		}
		if asOf >= c.now()-int64(c.bound) {
			return r, nil
		}
	}
	return c.Refresh(ctx, id)
}

// Refresh implements [remint.Refresher]: it is Load, of a record that was read after the
// call began. It joins other calls in one read, unless that began before.
func (c *Cache) Refresh(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var took time.Duration
	for range 2 {
		r, asOf, err := c.read(ctx, id)
		if err != nil {
			return nil, err
		}
		if took = time.Duration(c.now() - asOf); took <= c.bound || c.bound == 0 {
			return r, nil
		}
	}
	return nil, fmt.Errorf("store: reading a record took %v, and no answer of this Cache may be older than %v: find out why the store is slow, or give NewCache more", took, c.bound)
}

// Commit implements [remint.Store]. While it runs, what it changes is not kept, so that
// nobody is given a record, and then an older one.
func (c *Cache) Commit(ctx context.Context, b remint.Batch) error {
	asOf := c.now()
	changes := make([]change, 0, len(b.Put)+len(b.Delete)+len(b.Touch))
	for i := range b.Put {
		changes = append(changes, change{id: b.Put[i].Record.ID(), put: b.Put[i].Record})
	}
	for _, list := range [2][]*remint.Record{b.Delete, b.Touch} {
		for _, r := range list {
			changes = append(changes, change{id: r.ID()})
		}
	}
	committed := false
	c.begin(changes)
	defer func() { c.end(changes, asOf, committed) }()
	err := c.s.Commit(ctx, b)
	committed = err == nil
	return err
}

// List implements [remint.Store].
func (c *Cache) List(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error) {
	return c.s.List(ctx, owner, parent, after, limit)
}

// Scan implements [remint.Store].
func (c *Cache) Scan(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
	return c.s.Scan(ctx, after, limit)
}

// Due implements [remint.Store].
func (c *Cache) Due(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
	return c.s.Due(ctx, before, limit)
}

// Events implements [remint.Store].
func (c *Cache) Events(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
	return c.s.Events(ctx, after, limit)
}
