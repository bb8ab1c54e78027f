package soak

import (
	"slices"
	"time"
)

// A retirement is when what a rotation replaces shall stop. The zero value: at once.
type retirement struct {
	after    time.Duration
	at       int64
	firstUse bool
	grace    time.Duration
	past     *retirement // instead of at once, where at has passed
}

// A rotation is how a request replaces a secret.
type rotation struct {
	retire   retirement
	succ     *successor
	keep     bool // of its sessions
	revision int64
}

// A successor is what a rotation makes instead of a secret of the same token.
type successor struct {
	spec    *spec  // nil: as the old token is
	inherit bool   // what the spec has none of
	expires *bound // instead
}

// A session is what a request says of one that it starts.
type session struct {
	lifetime time.Duration
	caps     []string
	manages  bool
}

// confirm is the first use of the newest secret of a token.
func (r *run) confirm(t *token) {
	r.settle(t)
	t.changed()
	firstUse, grace := t.firstUse, t.grace
	t.slots[newest].confirmed = true
	if t.firstUse && t.has(previous) {
		t.lapse = bound{}
		if grace == 0 {
			r.stop(t, previous)
		} else {
			u := &t.slots[previous].until
			*u = first(*u, r.now().plus(grace))
		}
	}
	r.stop(t, older)
	t.firstUse, t.grace, t.lapse = false, 0, bound{}
	r.settle(t)
	p := r.w.get(t.pred)
	if p == nil || p.succ != t.n || p.revoked.set() || p.usedUp {
		return
	}
	r.settle(p)
	p.changed()
	p.usedUp = true
	if firstUse {
		r.retireWhole(p, grace)
	}
}

// retireWhole ends a token in favour of its successor after a while.
func (r *run) retireWhole(t *token, after time.Duration) {
	if after == 0 {
		r.retireBy(t, bound{})
		return
	}
	r.retireBy(t, r.now().plus(after))
}

// retireBy ends it by a moment; the zero bound is now.
func (r *run) retireBy(t *token, by bound) {
	r.stop(t, previous)
	r.stop(t, older)
	switch {
	case by.set():
		t.until = first(t.until, by)
	case !t.retired.set() && !r.over(t.until):
		t.retired = r.now()
	}
}

// settle brings a token to what it is by now.
func (r *run) settle(t *token) {
	if t.has(previous) && r.lapsed(t) {
		r.dropNewest(t)
	}
	for _, slot := range []int{previous, older, newest} {
		if t.has(slot) && r.over(t.slots[slot].until) {
			r.stop(t, slot)
		}
	}
}

// stop takes a secret out of its slot.
func (r *run) stop(t *token, slot int) {
	if s := t.slots[slot]; s.confirmed {
		t.stopped = append(slices.Clone(t.stopped), s.n)
		t.stopped = t.stopped[max(0, len(t.stopped)-8):]
	}
	t.slots[slot] = secret{}
}

// dropNewest undoes a rotation whose secret nobody has used.
func (r *run) dropNewest(t *token) {
	t.slots = [3]secret{t.slots[previous], t.slots[older], {}}
	t.firstUse, t.grace, t.lapse = false, 0, bound{}
}

// unused returns the successor of a token if nobody has used it, or revoked it.
func (r *run) unused(t *token) *token {
	if t.succ == 0 || t.usedUp {
		return nil
	}
	s := r.find(t.succ)
	if s == nil || s.revoked.set() || s.pred != t.n {
		return nil
	}
	return s
}

// rotate returns the token that has a new secret: the same, or its successor.
func (r *run) rotate(c *caller, id string, how rotation) (*token, class) {
	t := r.target(id)
	if t == nil {
		return nil, absent
	}
	if why := r.mayHold(c, t); why != ok {
		return nil, why
	}
	if how.revision != 0 && !r.hasRevision(t, how.revision) {
		return nil, revised
	}
	if _, live := r.above(t); !live || t.revoked.set() || !t.has(previous) && r.lapsed(t) {
		return nil, over
	}
	if t.usedUp {
		return nil, conflict
	}
	unused := r.unused(t)
	if unused != nil {
		if why := c.mayEnd(unused); why != ok {
			return nil, why
		}
	}
	switch why := r.ended(t); {
	case why == "":
	case how.succ != nil && (why == isExpired || unused != nil):
	default:
		return nil, over
	}
	if how.succ != nil {
		if t.session {
			return nil, invalid
		}
		return r.succeed(c, t, unused, how)
	}
	r.rotateInPlace(t, unused, how)
	return t, ok
}

// hasRevision reports whether a token has that revision; where it is not known, it may.
func (r *run) hasRevision(t *token, revision int64) bool {
	if t.revision == 0 {
		return r.choose()
	}
	return t.revision == revision
}

// discard drops what an earlier rotation made and nobody has used.
func (r *run) discard(t, unused *token) {
	if unused != nil {
		r.revoke(unused)
		t.succ = 0
	}
	if !t.slots[newest].confirmed {
		r.dropNewest(t)
	}
}

// by returns when the outgoing secret stops, which is never where that is planned otherwise: with the first use of
// the new one. later is false where it stops at once.
func (r *run) by(x retirement) (b bound, later, firstUse bool, grace time.Duration) {
	switch {
	case x.firstUse:
		return bound{}, true, true, x.grace
	case x.after > 0:
		return r.now().plus(x.after), true, false, 0
	case x.at != 0 && !r.over(exactly(x.at)):
		return exactly(x.at), true, false, 0
	case x.past != nil:
		return r.by(*x.past)
	}
	return bound{}, false, false, 0
}

func (r *run) rotateInPlace(t, unused *token, how rotation) {
	r.settle(t)
	t.changed()
	bears := t.slots[newest].bears
	// A successor that nobody has used stays one.
	waits := t.pred != 0 && !t.has(previous) && !t.slots[newest].confirmed
	planned, was, lapses := waits && t.firstUse, t.grace, t.lapse.set()
	r.discard(t, unused)
	if unused != nil && t.until.set() {
		for _, slot := range []int{newest, previous} {
			if t.has(slot) {
				t.slots[slot].until = first(t.slots[slot].until, t.until)
			}
		}
		t.until = bound{}
	}
	out, before := t.slots[newest], t.slots[previous]
	if out.n != 0 {
		bears = out.bears
	}
	t.slots[newest], t.slots[previous] = secret{}, secret{}
	by, later, firstUse, grace := r.by(how.retire)
	switch {
	case firstUse && out.n != 0:
		t.slots[previous], t.slots[older], before = out, before, secret{}
		t.firstUse, t.grace, t.lapse = true, grace, bound{}
		if !out.until.set() {
			t.lapse = r.now().plus(lapse)
		}
	case later && !firstUse && out.n != 0:
		out.until = first(out.until, by, t.expires)
		t.slots[previous] = out
	}
	for _, s := range []secret{before, out} {
		if s.n != 0 && s.n != t.slots[previous].n && s.confirmed {
			t.stopped = append(slices.Clone(t.stopped), s.n)
		}
	}
	t.stopped = t.stopped[max(0, len(t.stopped)-8):]
	r.secretFor(t, false)
	if how.keep && bears != 0 {
		t.slots[newest].bears = bears
	}
	if planned {
		t.firstUse, t.grace = true, was
		if lapses {
			t.lapse = r.now().plus(lapse)
		}
	}
	t.rotated = r.now()
}

func (r *run) succeed(c *caller, t, unused *token, how rotation) (*token, class) {
	s := spec{prefix: t.prefix, name: t.name, caps: t.caps, nets: t.nets, expires: t.expires}
	if x := how.succ.spec; x != nil {
		s = *x
		if s.prefix == "" {
			s.prefix = t.prefix
		}
		if how.succ.inherit && len(s.nets) == 0 {
			s.nets = t.nets
		}
		if how.succ.inherit && !s.expires.set() {
			s.expires = t.expires
		}
	}
	if how.succ.expires != nil {
		s.expires = *how.succ.expires
	}
	next, why := r.issue(c, s, t)
	if why != ok {
		return nil, why
	}
	if t.pred != 0 && !t.slots[newest].confirmed && !t.has(previous) {
		p := r.w.get(t.pred)
		if p != nil && p.succ == t.n && !p.usedUp && !p.revoked.set() && r.find(p.n) != nil {
			if why := c.mayEnd(p); why != ok {
				r.w.remove(next)
				return nil, why
			}
			return r.takePlace(p, t, next), ok
		}
	}
	r.settle(t)
	t.changed()
	ended := r.ended(t) != ""
	r.discard(t, unused)
	out := t.slots[newest]
	by, later, firstUse, grace := r.by(how.retire)
	switch {
	case ended:
	case out.n == 0:
		r.retireBy(t, bound{})
	case firstUse:
		next.firstUse, next.grace = true, grace
		if !out.until.set() && !t.until.set() && !r.within(t.expires, lapse) {
			next.lapse = r.now().plus(lapse)
		}
	case later:
		r.retireBy(t, first(by, out.until, t.expires))
	default:
		r.retireBy(t, bound{})
	}
	next.pred = t.n
	t.succ, t.rotated = next.n, r.now()
	r.secretFor(next, false)
	return next, ok
}

// within reports whether a moment is at most d from now.
func (r *run) within(b bound, d time.Duration) bool {
	switch by := r.now().plus(d); {
	case !b.set() || b.lo > by.hi+margin:
		return false
	case b.hi < by.lo-margin:
		return true
	}
	r.timely = true
	return r.choose()
}

// takePlace lets next be the successor of p in the place of t, which nobody has used.
func (r *run) takePlace(p, t, next *token) *token {
	r.settle(p)
	p.changed()
	p.succ = next.n
	r.revoke(t)
	next.pred = p.n
	next.firstUse, next.grace = t.firstUse, t.grace
	if t.lapse.set() {
		next.lapse = r.now().plus(lapse)
	}
	r.secretFor(next, false)
	return next
}

// cancel drops what a rotation made and nobody has used.
func (r *run) cancel(c *caller, id string) (*token, class) {
	t, unused, why := r.settling(c, id)
	if why != ok {
		return nil, why
	}
	inPlace := t.has(newest) && !t.slots[newest].confirmed && !r.lapsed(t) && r.works(t, previous)
	waits := unused != nil && !r.lapsed(unused)
	if planned := t.until.set() && !t.usedUp; !waits && !inPlace && !planned {
		return t, ok
	}
	r.settle(t)
	t.changed()
	if unused != nil {
		r.revoke(unused)
	}
	if !t.usedUp {
		t.succ, t.until = 0, bound{}
	}
	if inPlace {
		r.dropNewest(t)
	}
	t.slots[newest].until = bound{}
	return t, ok
}

// finish stops what a rotation has replaced.
func (r *run) finish(c *caller, id string) (*token, class) {
	t, unused, why := r.settling(c, id)
	if why != ok {
		return nil, why
	}
	retiring := r.retiring(t)
	switch {
	case unused != nil && r.ended(unused) == "",
		!t.slots[newest].confirmed && !r.lapsed(t) && (t.lapse.set() || retiring):
		return nil, conflict
	case !t.usedUp && !retiring:
		return t, ok
	}
	r.settle(t)
	t.changed()
	if t.usedUp {
		r.retireBy(t, bound{})
		return t, ok
	}
	r.stop(t, previous)
	return t, ok
}

// retiring reports whether a secret before the current one works.
func (r *run) retiring(t *token) bool {
	switch {
	case !r.works(t, newest):
		return r.works(t, older)
	case !t.slots[newest].confirmed && t.lapse.set() && t.has(previous):
		return r.works(t, older)
	}
	return r.works(t, previous)
}

func (r *run) settling(c *caller, id string) (t, unused *token, why class) {
	if t = r.target(id); t == nil {
		return nil, nil, absent
	}
	if why := r.mayChange(c, t); why != ok {
		return nil, nil, why
	}
	if !r.lives(t) {
		return nil, nil, over
	}
	if unused = r.unused(t); unused != nil {
		if why := c.mayEnd(unused); why != ok {
			return nil, nil, why
		}
	}
	return t, unused, ok
}
