package soak

import (
	"slices"
	"time"
)

// A retry is what tells a repeated request from a new one.
type retry struct {
	key      string
	what     string // the request
	implicit bool   // there is no key: the request is known by itself
	window   time.Duration
}

// A granted is what becomes of a request for a secret.
type granted struct {
	t      *token
	secret int // its number
	why    class
	or     class // also right
}

// longKey is how many characters a key has with which a bearer repeats what has stopped it.
const longKey = 22

// maxKept is how many answers are kept for a bearer.
const maxKept = 8

// A demand is a request for a secret.
type demand struct {
	text    string // of whoever asks
	needs   []string
	retry   *retry
	rotates string // the ID of the token that it rotates, or ""
	do      func(*caller) (*token, class)
}

func (r *run) grant(d demand) granted {
	c, why := r.present(d.text, d.needs...)
	if why == denied && d.retry != nil && !d.retry.implicit && d.rotates != "" && len(d.retry.key) >= longKey {
		return r.repeatStopped(&c, d)
	}
	if why != ok {
		return granted{why: why}
	}
	c.retry = d.retry
	if d.retry != nil {
		if k := r.keptFor(&c); k != nil {
			g := r.repeat(&c, k)
			if g.why == ok || !d.retry.implicit {
				return g
			}
		}
	}
	t, why := d.do(&c)
	if why != ok {
		return granted{why: why}
	}
	if d.retry != nil {
		r.keep(&c, t)
	}
	return granted{t: t, secret: t.slots[newest].n, why: ok}
}

// keptFor returns the answer that was kept for the caller's request, or nil.
func (r *run) keptFor(c *caller) *kept {
	if c.retry.implicit && r.beingRetired(c) {
		return nil
	}
	for k := range c.cred.kept {
		e := &c.cred.kept[k]
		if e.by.text == c.text && e.key == c.retry.key && (e.key != "" || e.what == c.retry.what) && !r.over(e.until) {
			return e
		}
	}
	return nil
}

// repeat answers as before, or says why not.
func (r *run) repeat(c *caller, k *kept) granted {
	t := r.find(k.token)
	intact := t != nil && t.slots[newest].n == k.secret && !t.slots[newest].confirmed
	if k.what != c.retry.what {
		if intact {
			return granted{why: reusedKey}
		}
		return granted{why: conflict, or: reusedKey} // of what was used, the request may be forgotten
	}
	if !intact || !r.lives(t) || !r.works(t, newest) {
		return granted{why: conflict}
	}
	above, _ := r.above(t)
	if !c.full || !c.stands(above) {
		return granted{why: beyond}
	}
	if why := c.covers(t.caps, t.nets, t.limit, above); why != ok {
		return granted{why: why}
	}
	return granted{t: t, secret: k.secret, why: ok}
}

// keep keeps the answer to a request.
func (r *run) keep(c *caller, t *token) {
	if c.retry.implicit && r.beingRetired(c) {
		return
	}
	to := c.cred
	list := slices.DeleteFunc(slices.Clone(to.kept), func(e kept) bool {
		return e.by.text == c.text && e.key == c.retry.key && (e.key != "" || e.what == c.retry.what)
	})
	// The oldest go first, and those are the first whose window ends, as all have the same.
	list = append(list, kept{
		by: c.held, key: c.retry.key, what: c.retry.what, token: t.n, secret: t.slots[newest].n, until: r.now().plus(c.retry.window),
	})
	to.kept = list[max(0, len(list)-maxKept):]
	to.changed()
}

// beingRetired reports whether the caller's secret, or token, has been replaced. A rotation that has lapsed replaces nothing.
func (r *run) beingRetired(c *caller) bool {
	t := c.cred
	if t.session {
		p := r.w.get(t.parent)
		if p == nil {
			return true
		}
		last := r.last(p)
		if r.bearing(p, t.startedBy) != last || p.slots[last].until.set() || p.until.set() || p.succ != 0 {
			return true
		}
	}
	last := t.slots[r.last(t)]
	return last.n != c.held.n || last.until.set() || t.until.set() || t.retired.set() || t.succ != 0
}

// last returns the slot of the newest secret, but for one that has lapsed.
func (r *run) last(t *token) int {
	if t.has(previous) && r.lapsed(t) {
		return previous
	}
	return newest
}

// repeatStopped answers a caller that has stopped: if the very rotation that stopped it is repeated, as before.
func (r *run) repeatStopped(c *caller, d demand) granted {
	no := granted{why: denied}
	t := c.cred
	if t == nil {
		return no
	}
	at := slices.IndexFunc(t.kept, func(e kept) bool { return e.by.text == d.text && e.key == d.retry.key })
	if at < 0 || r.over(t.kept[at].until) {
		return no
	}
	k := &t.kept[at]
	rotated := t
	switch {
	case t.session:
		p := r.w.get(t.parent)
		if c.slot < 0 || p == nil || r.ended(t) != "" || !r.works(t, c.slot) || t.replaced(c.slot) || p.epoch != t.parentEpoch {
			return no
		}
		if r.ended(p) == "" && (r.works(p, previous) || r.works(p, older) || p.succ != 0) {
			return no
		}
		rotated = p
	case c.slot < 0:
		if !slices.Contains(t.stopped, k.by.n) {
			return no
		}
	case r.ended(t) == isRetired:
		if c.slot == newest && !t.slots[newest].confirmed {
			return no
		}
	case r.ended(t) != "" || !r.over(t.slots[c.slot].until):
		return no
	}
	above, live := r.above(rotated)
	why := r.ended(rotated)
	if !live || r.over(rotated.expires) || r.over(t.expires) || why != "" && (why != isRetired || rotated.succ == 0) {
		return no
	}
	if rotated.id != d.rotates {
		return no
	}
	c.who, c.above, c.full, c.retry = rotated, above, true, d.retry
	mine, _ := r.above(t)
	c.below = append([]*token{t}, mine...)
	if !admits(c.below, here) {
		return no
	}
	g := r.repeat(c, k)
	if g.why != ok || g.t != rotated && g.t.n != rotated.succ {
		return no
	}
	if !r.count(t) {
		return granted{why: limited}
	}
	if why := c.needs(d.needs); why != ok {
		return granted{why: why}
	}
	return g
}
