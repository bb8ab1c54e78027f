package crash

import (
	"github.com/remint-go/remint"
)

// The numbers are those of the rules in the comment of Actor.Rotate.

// unused returns the successor of t while nobody has used it.
func (a *act) unused(t *token) *token {
	s := a.tokens[t.successor]
	if s == nil || t.usedUp || s.revoked != 0 || s.predecessor != t.id {
		return nil
	}
	return s
}

func (a *act) plan() (at int64, firstUse bool, grace int64) {
	switch a.Retire {
	case retireAfter:
		return a.now + a.Span, false, 0
	case retireAt:
		return max(a.Span, a.now), false, 0
	case retireFirstUse:
		return 0, true, a.Span
	}
	return a.now, false, 0
}

func (a *act) rotate() error {
	was := a.target()
	t := was
	for _, d := range a.drafts { // the bearer's first use
		if d.was == t {
			t = d.token
		}
	}
	unused := a.unused(t)
	switch {
	case t.revoked != 0, t.prev == nil && t.lapsed(a.now), !a.liveAbove(t), // 2
		t.usedUp: // 3
		return errRefused
	}
	switch reason := t.ended(a.now); { // 4
	case reason == "", reason == remint.ReasonExpired && a.Successor, a.Successor && unused != nil:
	default:
		return errRefused
	}
	if a.Successor {
		return a.rotateToSuccessor(t, unused)
	}
	a.rotateInPlace(was, unused)
	return nil
}

// liveAbove reports whether the ancestors of a token live, and let it live.
func (a *act) liveAbove(t *token) bool {
	c := *t
	c.revoked, c.stopped, c.expires, c.until, c.lapseAt = 0, 0, 0, 0, 0
	return a.live(&c, a.now)
}

// discard drops what an earlier rotation made and nobody has used: 5.
func (a *act) discard(d *draft, unused *token) {
	if unused != nil {
		a.change(unused, remint.EventCancel, d.id, unused.newestGen()).revoked = a.now
		d.successor = remint.ID{}
	}
	if !d.used() {
		d.dropNewest()
	}
}

func (a *act) rotateInPlace(t, unused *token) {
	d := a.change(t, remint.EventRotate, remint.ID{}, t.lastGen+1)
	sessions := uint64(0)
	if d.newest != nil {
		sessions = d.newest.sessions
	}
	waits := d.prev == nil && !d.used() && !d.predecessor.IsZero() // 9
	planned, was, lapses := waits && d.firstUse, d.grace, d.lapseAt != 0
	a.discard(d, unused)
	if unused != nil && d.until != 0 { // 6
		for _, s := range []*slot{d.newest, d.prev} {
			if s != nil {
				s.until = earliest(s.until, d.until)
			}
		}
		d.until = 0
	}
	out, before := d.newest, d.prev
	if out != nil {
		sessions = out.sessions
	}
	d.prev = nil
	at, firstUse, grace := a.plan()
	switch {
	case firstUse && out != nil:
		d.prev, d.older, before = out, before, nil // 7
		d.firstUse, d.grace = true, grace
		if out.until == 0 { // 8
			d.lapseAt = a.now + lapse.Microseconds()
		}
	case at > a.now && out != nil:
		out.until = earliest(out.until, at, d.expires) // 6
		d.prev = out
	}
	d.retire(&before, a.now) // 7
	if d.prev == nil && out != nil {
		d.remember(out, a.now)
	}
	a.mint(d.token, false) // 5
	if a.Keep && sessions != 0 {
		d.newest.sessions = sessions // 10
	}
	if planned {
		d.firstUse, d.grace = true, was
		if lapses {
			d.lapseAt = a.now + lapse.Microseconds()
		}
	}
	d.rotated = a.now
}

func (a *act) rotateToSuccessor(t, unused *token) error {
	p := a.tokens[t.parent]
	next := a.fresh(p)
	next.owner, next.name, next.caps, next.note, next.expires = t.owner, t.name, t.caps, t.note, t.expires
	if a.Expires != 0 {
		next.expires = a.Expires
	}
	if over(next.expires, a.now) || p != nil && !within(next.caps, p.caps) || t.startedBy != 0 {
		return errRefused
	}
	// 9: it takes the place of a successor that nobody has used.
	if q := a.tokens[t.predecessor]; q != nil && !t.used() && t.prev == nil &&
		q.successor == t.id && !q.usedUp && q.revoked == 0 {
		a.change(q, remint.EventRotate, next.id, q.newestGen()).successor = next.id
		a.change(t, remint.EventRotate, next.id, t.newestGen()).revoked = a.now
		next.predecessor, next.firstUse, next.grace = q.id, t.firstUse, t.grace
		if t.lapseAt != 0 {
			next.lapseAt = a.now + lapse.Microseconds()
		}
		a.mint(next, false)
		a.create(next, q.id)
		return nil
	}
	d := a.change(t, remint.EventRotate, next.id, t.newestGen())
	ended := d.ended(a.now) != ""
	a.discard(d, unused)
	at, firstUse, grace := a.plan()
	switch {
	case ended: // 4
	case d.newest == nil:
		d.retireWhole(a.now, a.now)
	case firstUse:
		next.firstUse, next.grace = true, grace
		until := a.now + lapse.Microseconds()
		if end := earliest(d.newest.until, d.until); end == 0 && (d.expires == 0 || d.expires > until) { // 8
			next.lapseAt = until
		}
	default:
		d.retireWhole(a.now, earliest(at, d.newest.until, d.expires)) // 6, 7
	}
	next.predecessor = d.id
	d.successor, d.rotated = next.id, a.now
	a.mint(next, false)
	a.create(next, d.id)
	return nil
}

func (a *act) cancel() error {
	t := a.target()
	if !a.live(t, a.now) {
		return errRefused
	}
	unused := a.unused(t)
	inPlace := t.newest != nil && !t.newest.confirmed && !t.lapsed(a.now) && t.liveSlots(a.now)[1] != nil
	lapsed := unused == nil || unused.lapsed(a.now)
	if lapsed && !inPlace && (t.until == 0 || t.usedUp) {
		return nil
	}
	d := a.change(t, remint.EventCancel, remint.ID{}, t.newestGen())
	if unused != nil {
		d.ev.Other = unused.id
		a.change(unused, remint.EventCancel, d.id, unused.newestGen()).revoked = a.now
	}
	if !d.usedUp {
		d.successor, d.until = remint.ID{}, 0
	}
	if inPlace {
		d.dropNewest()
	}
	if d.newest != nil {
		d.newest.until = 0
	}
	return nil
}

func (a *act) finish() error {
	t := a.target()
	if !a.live(t, a.now) {
		return errRefused
	}
	unused := a.unused(t)
	_, _, retiring := t.roles(a.now)
	fresh := t.newest != nil && !t.newest.confirmed && !t.lapsed(a.now)
	switch {
	case unused != nil && unused.ended(a.now) == "", fresh && (t.lapseAt != 0 || retiring != nil):
		return errRefused
	case !t.usedUp && retiring == nil:
		return nil
	}
	d := a.change(t, remint.EventFinish, t.successor, t.newestGen())
	if d.usedUp {
		d.retireWhole(a.now, a.now)
		return nil
	}
	d.retire(&d.prev, a.now)
	return nil
}
