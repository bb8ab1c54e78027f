package remint

import (
	"sync"
	"sync/atomic"
	"time"
)

// Times of use: verifying writes nothing. What is worth writing down waits here for Sweep,
// and is lost if the process ends before.

const (
	usedEvery = int64(time.Hour / time.Microsecond)   // of a secret that is alone
	usedSoon  = int64(time.Minute / time.Microsecond) // of one of several
	maxUses   = 1 << 16                               // secrets that wait at a time; further ones are not noted
)

type uses struct {
	mu      sync.Mutex
	pending map[useKey]use
	full    atomic.Bool // pending has maxUses: a look at it saves the lock
}

type useKey struct {
	id         ID
	generation uint64
}

type use struct {
	at     int64
	digest digest // anew, under pepper, if that is another than the record has
	pepper uint64
	again  bool // it has been written, and is to be written again if that is lost
}

// noteUse remembers that a live secret was used.
func (i *Issuer) noteUse(p *parsed, c *credential, now int64) {
	if c.which == slotNewest {
		// The usual case by far: a load of what is cached already.
		if now < c.rec.noteAt.Load() {
			return
		}
		every := usedEvery
		if c.rec.prev != nil || c.rec.lapseAt != 0 || !c.rec.successor.IsZero() {
			every = usedSoon
		}
		if now < c.rec.newest.usedAt+every && c.rec.newest.pepper == i.firstPepper() {
			c.rec.noteAt.Store(c.rec.newest.usedAt + every)
			return
		}
		if i.uses.full.Load() {
			return // at its next use, if there is room then
		}
		c.rec.noteAt.Store(now + every)
	} else if s := c.rec.slot(c.which); now < s.usedAt+usedSoon && s.pepper == i.firstPepper() {
		return
	}
	s := c.rec.slot(c.which)
	u := use{at: now}
	if first := i.firstPepper(); s.pepper != first {
		u.digest, _ = i.digest(p.secret, first)
		u.pepper = first
	} else {
		u.digest, u.pepper = s.digest, s.pepper
	}
	i.uses.mu.Lock()
	defer i.uses.mu.Unlock()
	key := useKey{c.rec.id, s.generation}
	if _, known := i.uses.pending[key]; !known && len(i.uses.pending) >= maxUses {
		return
	}
	if i.uses.pending == nil {
		i.uses.pending = make(map[useKey]use)
	}
	i.uses.pending[key] = u
	i.uses.full.Store(len(i.uses.pending) >= maxUses)
}

// take returns up to n of the uses that wait.
func (u *uses) take(n int) map[useKey]use {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.full.Store(false)
	if len(u.pending) <= n {
		all := u.pending
		u.pending = nil
		return all
	}
	some := make(map[useKey]use, n)
	for k, v := range u.pending {
		if len(some) == n {
			break
		}
		some[k] = v
		delete(u.pending, k)
	}
	return some
}

// putBack keeps what could not be written for the next time, unless something newer waits.
func (u *uses) putBack(k useKey, v use) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, newer := u.pending[k]; newer || len(u.pending) >= maxUses {
		return
	}
	if u.pending == nil {
		u.pending = make(map[useKey]use)
	}
	u.pending[k] = v
}

// touched returns the record with a use written down, or nil if it has no such secret, or has
// that already.
func (r *record) touched(generation uint64, u use) *Record {
	c := r.clone()
	for which := slotNewest; which <= slotOlder; which++ {
		if s := c.slot(which); s != nil && s.generation == generation {
			if s.usedAt >= u.at && (u.again || s.pepper == u.pepper) {
				return nil
			}
			s.usedAt = max(s.usedAt, u.at)
			s.digest, s.pepper = u.digest, u.pepper
			return c.seal()
		}
	}
	return nil
}
