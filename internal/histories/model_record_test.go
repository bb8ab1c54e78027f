package histories

import "slices"

// none is an end that is not planned, a time that has not come, or no secret.
const none = 0

// unknown is a time of which the documentation says nothing.
const unknown = -1

// A secret is one of a record's secrets that may still work.
type secret struct {
	by       int   // the operation that made it, which is its name
	created  int64 // times are in microseconds
	until    int64 // when it stops by plan; none: with its token
	used     bool  // confirmed
	sessions int   // what the sessions bear that were started with it
}

// A stopped secret does not work any more; to present it may be a reuse.
type stopped struct {
	by       int
	unused   bool // it was replaced before anybody had used it
	reported bool
}

// A record is what the model knows of one token, or session.
type record struct {
	id     int // the operation that made it
	parent int
	// Of a session: what of its parent it depends on.
	parentEpoch uint64
	startedWith int
	manages     bool

	name    string
	caps    int // bits
	created int64
	rotated int64
	revoked int64
	expires int64
	changed int64

	epoch, revision uint64
	// cancels counts what may, beside rotations, be a rotation's conflict.
	cancels int

	newest secret
	prev   secret // its direct predecessor, while that works
	older  secret // prev's, only while newest waits for its first use

	firstUse bool  // prev's end is counted from the first use of newest
	grace    int64 // and comes that much later
	lapse    int64 // when newest lapses without it

	stopped []stopped // in that order
}

// keptDigests is how many retired secrets are told from guesses.
const keptDigests = 8

// settle brings r to what it is at t: what has stopped by the clock is gone.
func (r *record) settle(t int64) {
	if r.lapse != none && t >= r.lapse {
		r.restore()
	}
	if r.prev.by != none && r.prev.until != none && t >= r.prev.until {
		r.stop(&r.prev)
	}
	if r.older.by != none && r.older.until != none && t >= r.older.until {
		r.stop(&r.older)
	}
}

// stop takes s, a slot of r, out of use.
func (r *record) stop(s *secret) {
	if s.by == none {
		return
	}
	r.stopped = append(slices.Clip(r.stopped), stopped{by: s.by, unused: !s.used})
	*s = secret{}
}

// restore undoes the rotation that made newest: what lapsed, or was cancelled, is not reuse.
func (r *record) restore() {
	r.newest, r.prev, r.older = r.prev, r.older, secret{}
	r.newest.until = none
	r.firstUse, r.grace, r.lapse = false, 0, none
	r.rotated = unknown
}

// confirm makes newest a secret that has been used, at t.
func (r *record) confirm(t int64) {
	r.newest.used = true
	r.lapse = none
	if !r.firstUse {
		return
	}
	r.firstUse = false
	r.stop(&r.older)
	if r.prev.by != none {
		r.prev.until = earlier(r.prev.until, t+r.grace)
	}
	if r.prev.by != none && r.prev.until <= t {
		r.stop(&r.prev)
	}
}

// ended says why the token itself does not live at t. It may be for two reasons.
func (r *record) ended(t int64) (reasons []string) {
	if r.revoked != none {
		reasons = append(reasons, "revoked")
	}
	if r.expires != none && t >= r.expires {
		reasons = append(reasons, "expired")
	}
	return reasons
}

func (r *record) lives(t int64) bool { return len(r.ended(t)) == 0 }

// A standing is what a secret is good for.
type standing int

const (
	dead    standing = iota
	retired          // it authenticates, and changes nothing
	full
)

// standing returns what the secret by is good for in a settled record that lives.
func (r *record) standing(by int) standing {
	switch {
	case by == none:
	case by == r.newest.by:
		return full
	case by == r.prev.by && !r.newest.used:
		return full
	case by == r.prev.by, by == r.older.by:
		return retired
	}
	return dead
}

// lent returns the standing of sessions that bear e: that of the weakest secret that
// bears it, of those that work.
func (r *record) lent(e int) standing {
	least := dead
	for _, s := range []secret{r.newest, r.prev, r.older} {
		if s.by == none || s.sessions != e {
			continue
		}
		if got := r.standing(s.by); least == dead || got < least {
			least = got
		}
	}
	return least
}

// current is the secret that is meant to be used, in a settled record: before the first use of
// newest the one before, unless that has an end already.
func (r *record) current() secret {
	if r.firstUse && r.prev.by != none && r.prev.until == none {
		return r.prev
	}
	return r.newest
}

// earlier is the earlier of two ends, of which one may not be planned.
func earlier(a, b int64) int64 {
	if a == none || b != none && b < a {
		return b
	}
	return a
}
