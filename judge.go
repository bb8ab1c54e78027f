package remint

import (
	"math"
	"net/netip"
	"slices"
)

// What is judged of one record, as pure functions of it and the time. A thing is
// live while now is before its end: at that microsecond it is over.

// earliest returns the first of the times that are not 0, or 0.
func earliest(times ...int64) int64 {
	first := int64(math.MaxInt64)
	for _, t := range times {
		if t != 0 {
			first = min(first, t)
		}
	}
	if first == math.MaxInt64 {
		return 0
	}
	return first
}

// judgedAs reports whether o, another state of the same record, is judged as r is at any time:
// whether they differ, if at all, in what nothing depends on.
func (r *record) judgedAs(o *record) bool {
	return r.revision == o.revision ||
		r.revokedAt == o.revokedAt && r.stoppedAt == o.stoppedAt && r.expires == o.expires &&
			r.until == o.until && r.lapseAt == o.lapseAt && r.usedUp == o.usedUp && r.successor == o.successor &&
			r.epoch == o.epoch && r.newest.judgedAs(&o.newest) && r.prev.judgedAs(o.prev) && r.older.judgedAs(o.older) &&
			r.caps.Equal(o.caps) && slices.Equal(r.networks, o.networks) && slices.Equal(r.attributes, o.attributes)
}

// judgedAs is that of a slot, which may be nil.
func (s *slot) judgedAs(o *slot) bool {
	if s == nil || o == nil {
		return s == o
	}
	return s.generation == o.generation && s.confirmed == o.confirmed && s.until == o.until && s.sessions == o.sessions
}

func over(end, now int64) bool { return end != 0 && now >= end }

// ended returns the reason for which the token as a whole is not live, or "".
func (r *record) ended(now int64) string {
	switch {
	case r.revokedAt != 0:
		return ReasonRevoked
	case r.stoppedAt != 0:
		return ReasonRetired
	case over(r.expires, now):
		return ReasonExpired
	case over(r.until, now):
		return ReasonRetired
	case r.prev == nil && r.lapsed(now):
		return ReasonLapsed
	}
	return ""
}

// endsAt returns when the token as a whole stops or has stopped, as far as that is
// known by now; 0 is never.
func (r *record) endsAt() int64 {
	end := earliest(r.revokedAt, r.stoppedAt, r.expires, r.until)
	if r.prev == nil && !r.newest.confirmed {
		end = earliest(end, r.lapseAt)
	}
	return end
}

// nextEnd returns the first planned end, of the token or of one of its secrets, that is
// after now; 0 if there is none.
func (r *record) nextEnd(now int64) (next int64) {
	ends := [...]int64{r.expires, r.until, r.lapseAt, r.newest.until, 0, 0}
	if r.prev != nil {
		ends[4] = r.prev.until
	}
	if r.older != nil {
		ends[5] = r.older.until
	}
	for _, end := range ends {
		if end > now {
			next = earliest(next, end)
		}
	}
	return next
}

// lapsed reports whether the newest secret was not used in the time it had.
func (r *record) lapsed(now int64) bool { return !r.newest.confirmed && over(r.lapseAt, now) }

// slot returns the slot that which names, or nil.
func (r *record) slot(which int) *slot {
	switch which {
	case slotPrev:
		return r.prev
	case slotOlder:
		return r.older
	}
	if r.newest.generation == 0 {
		return nil
	}
	return &r.newest
}

// slotLive reports whether the secret in a slot works, if its token does.
func (r *record) slotLive(which int, now int64) bool {
	s := r.slot(which)
	if s == nil || over(s.until, now) {
		return false
	}
	return which != slotNewest || !r.lapsed(now)
}

// superseded reports whether the secret in a slot only authenticates: one that came
// after it has been used, or its token's successor has.
func (r *record) superseded(which int) bool {
	return r.usedUp || which == slotOlder || which == slotPrev && r.newest.confirmed
}

// sessionSlot returns the newest live slot whose secret bears the session epoch, or -1.
func (r *record) sessionSlot(epoch uint64, now int64) int {
	for which := slotNewest; which <= slotOlder; which++ {
		if r.slotLive(which, now) && r.slot(which).sessions == epoch {
			return which
		}
	}
	return -1
}

// sessionSuperseded reports whether a session with that epoch only authenticates: one of the
// live secrets that bear it does. With KeepSessions there may be two, and a session has no
// more standing than the one that it was started with.
func (r *record) sessionSuperseded(epoch uint64, now int64) bool {
	for which := slotNewest; which <= slotOlder; which++ {
		if r.slotLive(which, now) && r.slot(which).sessions == epoch && r.superseded(which) {
			return true
		}
	}
	return false
}

// A view is which secret plays which part at some time.
type view struct{ current, unconfirmed, retiring *slot }

func (r *record) view(now int64) (v view) {
	live := func(which int) *slot {
		if !r.slotLive(which, now) {
			return nil
		}
		return r.slot(which)
	}
	switch newest := live(slotNewest); {
	case newest == nil: // lapsed, or none
		v.current, v.retiring = live(slotPrev), live(slotOlder)
	case !newest.confirmed && r.lapseAt != 0 && r.prev != nil:
		v.current, v.unconfirmed, v.retiring = live(slotPrev), newest, live(slotOlder)
	case !newest.confirmed:
		v.current, v.unconfirmed, v.retiring = newest, newest, live(slotPrev)
	default:
		v.current, v.retiring = newest, live(slotPrev)
	}
	return v
}

// currentSlot returns the slot of the secret that is meant to be used, or -1.
func (r *record) currentSlot(now int64) int {
	switch c := r.view(now).current; {
	case c == nil:
		return -1
	case c == &r.newest:
		return slotNewest
	default:
		return slotPrev
	}
}

// isChildOf returns the reason for which r, whose parent is p, is not live, or "".
func (r *record) isChildOf(p *record, now int64) string {
	switch {
	case p.ended(now) != "" || p.epoch != r.parentEpoch:
		return ReasonParent
	case r.startedBy != 0 && p.sessionSlot(r.startedBy, now) < 0:
		return ReasonSession
	}
	return ""
}

// admits reports whether the record's networks hold the address. The zero address is in
// no network, and neither is one with a zone.
func (r *record) admits(from netip.Addr) bool {
	if len(r.networks) == 0 {
		return true
	}
	for _, n := range r.networks {
		if n.Contains(from) {
			return true
		}
	}
	return false
}

// networksWithin reports whether every address that inner admits, outer does too. A
// list without elements admits all.
func networksWithin(inner, outer []netip.Prefix) bool {
	if len(outer) == 0 {
		return true
	}
	if len(inner) == 0 {
		return false
	}
	for _, in := range inner {
		found := false
		for _, out := range outer {
			found = found || out.Bits() <= in.Bits() && out.Contains(in.Addr())
		}
		if !found {
			return false
		}
	}
	return true
}
