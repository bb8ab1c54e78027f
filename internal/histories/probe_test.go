package histories

import (
	"context"
	"errors"
	"time"

	"github.com/remint-go/remint"
)

var errStore = errors.New("histories: the store failed")

// A probe is a store at which clients pause.
type probe struct {
	remint.Store
	w *world
	// fails: it also fails, as often as the world's plan has it. late: and then perhaps does
	// later what it was told.
	fails, late bool
	// asked: it is what an Issuer asks.
	asked bool
}

// over returns p over s, which is a Refresher if s is one.
func (p probe) over(s remint.Store) remint.Store {
	p.Store = s
	return p.refresher(s)
}

func (p *probe) refresher(s remint.Store) remint.Store {
	if r, ok := s.(remint.Refresher); ok {
		return &refresherProbe{p, r}
	}
	return p
}

func (p *probe) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	return p.load(ctx, id, p.Store.Load)
}

func (p *probe) load(ctx context.Context, id remint.ID, load func(context.Context, remint.ID) (*remint.Record, error)) (*remint.Record, error) {
	c := clientOf(ctx)
	if c == nil {
		return load(ctx, id)
	}
	c.pause()
	defer c.pause()
	if p.fails && c.fails(3) {
		return nil, errStore
	}
	first := p.asked && id == c.target && c.looked[0] == 0
	if first {
		c.looked[0] = p.w.stamps.Add(1)
	}
	r, err := load(ctx, id)
	if first {
		if _, cached := p.Store.(remint.Refresher); cached {
			c.pause() // several may have waited for one read, and go on at once
		}
		c.looked[1] = p.w.stamps.Add(1)
	}
	if err != nil && !errors.Is(err, remint.ErrNotFound) {
		c.hit = true // a Cache does not wait for ever
	}
	return r, err
}

func (p *probe) Commit(ctx context.Context, b remint.Batch) error {
	c := clientOf(ctx)
	if c == nil {
		return p.Store.Commit(ctx, b)
	}
	if p.asked {
		c.committed = p.w.clock.now().UnixMicro()
	}
	c.pause()
	defer c.pause()
	if !p.fails || !c.fails(1) {
		return p.Store.Commit(ctx, b)
	}
	switch n := c.rng.IntN(5); {
	case n < 2:
		// It does nothing.
	case n < 4 || !p.late:
		p.Store.Commit(ctx, b)
	default:
		c.late = true
		p.w.later(func() { p.Store.Commit(context.Background(), b) }, c.rng.Uint64())
	}
	return errStore
}

func (p *probe) Due(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
	if c := clientOf(ctx); c != nil {
		c.pause()
		defer c.pause()
	}
	return p.Store.Due(ctx, before, limit)
}

type refresherProbe struct {
	*probe
	r remint.Refresher
}

func (p *refresherProbe) Refresh(ctx context.Context, id remint.ID) (*remint.Record, error) {
	return p.load(ctx, id, p.r.Refresh)
}
