package remint

import (
	"errors"
	"slices"
)

// A verdict is what the lost part of a token's history makes of its record. It is judged by
// doing again what the events tell exactly. From the first event on that tells less,
// every secret is one that may have stopped.
type verdict struct {
	w       *restoring
	t       *attempt
	*record // as it becomes
	was     *record

	stop    bool   // its secrets stop
	descend bool   // what descends from it ends
	revoked int64  // when it was
	highest uint64 // revision in the log

	caughtUp bool // there were events to do again
}

// doubt is for what may have ended anything of the token's but itself.
func (v *verdict) doubt() { v.stop, v.descend = true, true }

// judge does the lost events of the token again.
func (v *verdict) judge() error {
	p := v.w.log[v.id]
	events, exact := p.since(v.was, v.w)
	if p != nil && p.contradicts(v.was) {
		v.doubt()
	}
	last := v.revision
	v.caughtUp = len(events) > 0
	for k, e := range events {
		if e.kind == EventRestore && e.reason == ReasonCaughtUp && k == 0 {
			v.doubt() // what it caught up with is missing
		}
		if !exact && e.kind != EventIssue && e.kind != EventSeal || e.revision != last+1 && exact && e.kind != EventRestore {
			v.doubt() // one is missing, or there are two
		}
		last = e.revision
		v.highest = max(v.highest, e.revision)
		v.birth.last = max(v.birth.last, e.generation)
		if !v.stop {
			v.settle(e.at, v.t.i.retention)
		}
		if err := v.event(&e); err != nil {
			return err
		}
	}
	if p != nil && v.revoked == 0 {
		v.revoked = p.removed
	}
	return nil
}

// event does one event again, or says what may have come of it.
func (v *verdict) event(e *lost) error {
	switch e.kind {
	case EventIssue, EventSeal:
	case EventRevoke:
		v.revoked = max(1, e.at)
	case EventEndSessions:
		v.descend = true
		v.stop = v.stop || v.mayConfirm(e)
	case EventConfirm:
		return v.confirmed(e)
	case EventCancel:
		switch {
		case e.other == v.predecessor && !e.other.IsZero():
			v.revoked = max(1, e.at) // it was dropped itself
		case v.stop:
			v.dropSuccessor()
		case v.mayConfirm(e):
			v.doubt()
		default:
			v.cancelRotation(e.at)
		}
	case EventFinish:
		switch {
		case v.stop:
			v.descend = v.descend || !v.successor.IsZero()
		case !v.newest.confirmed, v.mayConfirm(e):
			v.doubt()
		default:
			v.finishRotation(e.at, v.t.i.retention)
		}
	case EventRotate:
		v.stop = true
		if e.other != v.parent { // to a successor, which is lost
			v.descend = true
		}
		v.dropSuccessor()
	case EventReuse:
		if e.reason == ReasonOld && v.t.i.revokeOnReuse {
			v.doubt() // the event stands for the revocation, too
		}
	case EventRestore:
		switch e.reason {
		case "", ReasonCaughtUp:
		case ReasonRevoked:
			v.revoked = max(1, e.at)
		default:
			v.doubt()
		}
	default: // EventUpdate, and what this version does not know
		v.doubt()
	}
	return nil
}

// mayConfirm reports whether an event may stand for the first use of a secret as well: it was the
// doing of the token itself, or of its successor.
func (v *verdict) mayConfirm(e *lost) bool {
	return e.actor == v.id && v.newest.generation != 0 && !v.newest.confirmed ||
		e.actor == v.successor && !e.actor.IsZero() && !v.usedUp
}

// confirmed does the first use of the newest secret again, or of the successor's.
func (v *verdict) confirmed(e *lost) error {
	retention := v.t.i.retention
	switch {
	case e.other == v.successor && !e.other.IsZero():
		if v.usedUp = true; v.stop {
			v.descend = true
			return nil
		}
		s, err := v.t.load(v.successor)
		switch {
		case errors.Is(err, ErrNotFound):
			v.doubt()
		case err != nil:
			return err
		case s.predecessor != v.id || s.newest.confirmed || s.revision >= v.w.mark() || v.w.since(s.changedAt):
			v.doubt() // what was planned is forgotten
		case s.firstUse:
			v.retireWhole(e.at, e.at+s.grace, retention)
		}
	case v.stop: // then nothing waits for a first use any more
		v.lapseAt, v.firstUse, v.grace = 0, false, 0
	case v.newest.generation != e.generation || v.newest.confirmed:
		v.doubt()
	default:
		v.record.confirm(e.at, retention)
	}
	return nil
}

// dropSuccessor forgets a successor that was dropped, or replaced by one that is lost, and what was
// planned for the token because of it: that may have come.
func (v *verdict) dropSuccessor() {
	if !v.usedUp && (!v.successor.IsZero() || v.until != 0) {
		v.successor, v.until, v.descend = ID{}, 0, true
	}
}

// carryOut makes the record what it is from now on, and returns the reason for the event.
func (v *verdict) carryOut(now int64) (reason string) {
	switch {
	case v.revoked != 0:
		v.revokedAt, reason = v.revoked, ReasonRevoked
	case (v.stop || v.w.stop) && v.stopSecrets(now):
		reason = ReasonStopped
	case v.caughtUp:
		reason = ReasonCaughtUp
	}
	v.settle(now, v.t.i.retention)
	if v.ended(now) == ReasonRetired && v.was.ended(now) == "" {
		v.newest, v.prev, v.older = slot{}, nil, nil
	}
	// What has stopped by this is forgotten, so that it is no reuse when it comes back.
	v.retired = slices.Clone(v.was.retired)
	v.sealed = slices.Clone(v.sealed)
	for k := range v.sealed {
		v.sealed[k] = sealed{name: v.sealed[k].name, until: v.sealed[k].until}
	}

	v.epoch += v.w.epochs()
	if v.descend {
		v.epoch += epochUnit
		if v.pruneAt == 0 {
			v.pruneAt, v.pruneEpoch = now, v.epoch
		}
	}
	if !v.parent.IsZero() { // which is no younger, and so is restored, too
		v.ownOrigin()
		v.parentEpoch += v.w.epochs()
	}
	return reason
}

// stopSecrets stops the secrets that were made before the restore, and reports whether there
// were any.
func (v *verdict) stopSecrets(now int64) (stopped bool) {
	stops := func(s *slot) bool { return s != nil && !v.w.since(s.createdAt) }
	if stops(v.older) {
		v.older, stopped = nil, true
	}
	waits := v.prev == nil && !v.newest.confirmed && !v.predecessor.IsZero()
	if stops(v.prev) { // and what was planned for it has come
		v.prev, stopped = nil, true
		v.firstUse, v.grace, v.lapseAt = false, 0, 0
	}
	if stops(v.slot(slotNewest)) {
		v.newest, stopped = slot{}, true
		if waits && v.lapseAt != 0 && !v.lapsed(now) {
			// A successor that nobody has used, and that can be rotated for as long as anybody
			// likes now. What was planned for its predecessor stays.
			v.lapseAt, v.descend = 0, true
		}
		if v.usedUp && v.stoppedAt == 0 {
			v.stoppedAt = now // it is its successor that goes on
		}
	}
	return stopped
}
