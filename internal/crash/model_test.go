package crash

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/remint-go/remint"
)

// What should be stored, by the rules in the comment of Actor.Rotate. This file is what a token
// is at a time; act_test.go, what an operation makes of it.

// A world is all tokens of a file.
type world struct {
	tokens map[remint.ID]*token
	texts  map[string]*secret // every one that was ever handed out
	lost   map[uint64]*secret // by the step that made it: one that nobody was told
}

func newWorld() *world {
	return &world{tokens: map[remint.ID]*token{}, texts: map[string]*secret{}, lost: map[uint64]*secret{}}
}

// A secret is one as its bearer has it.
type secret struct {
	token remint.ID
	gen   uint64
}

type token struct {
	id, parent, predecessor, successor remint.ID
	owner, name, caps, note, issuedBy  string

	revision, lastGen         uint64
	created, changed, rotated int64
	expires, until            int64
	revoked, stopped          int64
	epoch, parentEpoch        uint64
	startedBy                 uint64  // a session: the session epoch of the secret it was started with
	endings                   []int64 // when its descendants were ended: each raised the epoch by one
	usedUp                    bool    // the successor has been used

	newest, prev, older *slot
	firstUse            bool
	grace, lapseAt      int64
	retired             []retired
}

type slot struct {
	gen, sessions  uint64
	created, until int64
	confirmed      bool
}

type retired struct {
	gen      uint64
	at       int64
	reported bool
}

func (t *token) clone() *token {
	c := *t
	for _, s := range []**slot{&c.newest, &c.prev, &c.older} {
		if *s != nil {
			*s = new(**s)
		}
	}
	c.retired, c.endings = slices.Clone(t.retired), slices.Clone(t.endings)
	return &c
}

func over(end, now int64) bool { return end != 0 && now >= end }

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

// used reports whether the newest secret has been.
func (t *token) used() bool { return t.newest != nil && t.newest.confirmed }

// lapsed reports whether the newest secret was not used in the time it had.
func (t *token) lapsed(now int64) bool {
	return !t.used() && over(t.lapseAt, now)
}

// ended returns why the token as a whole has ended, or "".
func (t *token) ended(now int64) string {
	switch {
	case t.revoked != 0:
		return remint.ReasonRevoked
	case t.stopped != 0:
		return remint.ReasonRetired
	case over(t.expires, now):
		return remint.ReasonExpired
	case over(t.until, now):
		return remint.ReasonRetired
	case t.prev == nil && t.lapsed(now):
		return remint.ReasonLapsed
	}
	return ""
}

// liveSlots are those whose secrets work while the token does: the newest first, nil where
// there is none.
func (t *token) liveSlots(now int64) (list [3]*slot) {
	for k, s := range []*slot{t.newest, t.prev, t.older} {
		if s != nil && !over(s.until, now) && (k > 0 || !t.lapsed(now)) {
			list[k] = s
		}
	}
	return list
}

// roles returns which secret is which.
func (t *token) roles(now int64) (current, unconfirmed, retiring *slot) {
	live := t.liveSlots(now)
	switch newest := live[0]; {
	case newest == nil:
		return live[1], nil, live[2]
	case newest.confirmed:
		return newest, nil, live[1]
	case t.lapseAt != 0 && t.prev != nil: // RetireAfterFirstUse
		return live[1], newest, live[2]
	default:
		return newest, newest, live[1]
	}
}

// bears reports whether a live secret has that session epoch.
func (t *token) bears(sessions uint64, now int64) bool {
	live := t.liveSlots(now)
	return slices.ContainsFunc(live[:], func(s *slot) bool { return s != nil && s.sessions == sessions })
}

// live reports whether the token lives, its ancestors included.
func (w *world) live(t *token, now int64) bool {
	for ; t != nil; t = w.tokens[t.parent] {
		if t.ended(now) != "" {
			return false
		}
		if t.parent.IsZero() {
			return true
		}
		p := w.tokens[t.parent]
		if p == nil || p.epoch != t.parentEpoch || t.startedBy != 0 && !p.bears(t.startedBy, now) {
			return false
		}
	}
	return false
}

// A verdict is what becomes of a secret that is presented.
type verdict string

const (
	dead        verdict = "denied"
	unconfirmed verdict = "accepted for the first time"
	confirmed   verdict = "accepted"
)

func (w *world) judge(text string, now int64) verdict {
	x := w.texts[text]
	if x == nil {
		return dead
	}
	t := w.tokens[x.token]
	if t == nil || !w.live(t, now) {
		return dead
	}
	for k, s := range t.liveSlots(now) {
		switch {
		case s == nil || s.gen != x.gen:
		case k == 0 && !s.confirmed:
			return unconfirmed
		default:
			return confirmed
		}
	}
	return dead
}

// state is Token.State without the times of use, which are not kept with every change.
func (t *token) state(now int64) remint.State {
	of := func(s *slot) (x remint.SecretState) {
		if s != nil {
			x.CreatedAt, x.Until = toTime(s.created), toTime(s.until)
		}
		return x
	}
	current, unconfirmed, retiring := t.roles(now)
	s := remint.State{
		CreatedAt: toTime(t.created), RotatedAt: toTime(t.rotated), RevokedAt: toTime(t.revoked),
		Predecessor: t.predecessor, Successor: t.successor, IssuedBy: t.issuedBy,
		Epoch: t.epoch, Revision: t.revision, Ended: t.ended(now),
		Current: of(current), Unconfirmed: of(unconfirmed), Retiring: of(retiring),
	}
	if unconfirmed != nil {
		s.Unconfirmed.Until = toTime(t.lapseAt)
	}
	return s
}

// endsAt returns when the token as a whole ends or has ended; 0 is not known.
func (t *token) endsAt() int64 {
	end := earliest(t.revoked, t.stopped, t.expires, t.until)
	if t.prev == nil && !t.used() {
		end = earliest(end, t.lapseAt)
	}
	return end
}

// deadSince returns since when at the latest the token is of no use; 0: it is not known to be.
func (w *world) deadSince(t *token) int64 {
	since := int64(0)
	for ; t != nil; t = w.tokens[t.parent] {
		since = earliest(since, t.endsAt())
		// For what was ended while it ran, Sweep counts from when it began.
		if p := w.tokens[t.parent]; p != nil && t.parentEpoch != p.epoch {
			since = earliest(since, p.endings[t.parentEpoch-1]-clockSpan)
		}
	}
	return since
}

// ids returns the IDs of all tokens, in order.
func (w *world) ids() []remint.ID {
	return slices.SortedFunc(maps.Keys(w.tokens), remint.ID.Compare)
}

// within reports whether all capabilities of a are among those of b.
func within(a, b string) bool {
	for c := range strings.FieldsSeq(a) {
		if !slices.Contains(strings.Fields(b), c) {
			return false
		}
	}
	return true
}
