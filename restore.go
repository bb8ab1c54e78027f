package remint

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"
)

// A Restore says which restored backup [Actor.AfterRestore] is called for.
type Restore struct {
	// At is when the backup was put in the place of what was lost: after the last change that
	// was lost, and before anything was changed since. It tells one restore from another, so
	// that a second call with the same time finishes what the first has left. It counts in
	// milliseconds (two restores must be a second apart), cannot be in the future, and must be given.
	At time.Time

	// Log has the events since the backup, of [Issuer.Events] and no others, the last one
	// included; those from before it do no harm. The events of one token come in the order
	// of its revisions. An error of it ends the call before anything is changed.
	Log iter.Seq2[Event, error]

	// StopSecrets stops every secret that was made before At. Without a Log, or with one that
	// may not be complete, nothing less is safe.
	StopSecrets bool
}

// Restored counts what one call of [Actor.AfterRestore] has done.
type Restored struct {
	Tokens  int // that it has changed; each has an [EventRestore]
	Revoked int // of these: ReasonRevoked
	Stopped int // of these: ReasonStopped
}

// AfterRestore ends what a restored backup has brought back to life. Only an Operator may
// call it: [ErrForbidden]. Call it before the service takes requests, in one process, with the
// [Options] of the service: what a revived secret does until then, it has done.
//
//  1. What the log shows to be revoked or removed is revoked.
//  2. Where it shows that secrets may have stopped, or may do less, they stop: of what was
//     rotated or updated, and where events of a token are missing. The token lives on without
//     a secret that works, and Rotate gives it a new one; it ends if its successor goes on.
//  3. What it shows exactly is as it was then: first uses, and rotations that were cancelled
//     or finished.
//  4. All sessions end. Other descendants end where the log shows that they may have: below
//     what was updated, had its sessions ended, or was rotated to a successor, and where events
//     of it are missing; and below a successor whose secret stops before anybody has used it.
//  5. With StopSecrets, all secrets stop, and whatever the log shows beside that is done.
//  6. Nothing else stops: without a word in the log a token is as the backup has it.
//  7. Epochs and revisions go beyond all that were ever handed out, and no answer that was
//     kept for a retry is given again.
//  8. Presenting a secret that has stopped by this is denied as a wrong one is. It is no
//     reuse, and revokes nothing.
//  9. What was issued or rotated since At is left alone, but it ends with its token or ancestor,
//     where these end by 1 or 4.
//
// A token is changed together with its event, in a commit with a few others. A call that was
// interrupted, or failed, is repeated with the same At: what it has done already is left
// alone, and so is what happened to it since. The tokens that are left without
// a secret are those for which [Actor.List] finds a zero [State.Current].
//
// The log is kept in memory while the call lasts: 100 to 200 bytes for an event.
func (a Actor) AfterRestore(ctx context.Context, r Restore) (Restored, error) {
	var sum Restored
	if err := a.problem(); err != nil {
		return sum, err
	}
	if err := r.check(a.issuer.clock()); err != nil {
		return sum, err
	}
	if _, _, err := a.do(ctx, false, func(_ *attempt, c *caller) error {
		if c.kind != actorOperator {
			return ErrForbidden
		}
		return nil
	}); err != nil {
		return sum, err
	}
	log, err := readLost(ctx, r.Log)
	if err != nil {
		return sum, err
	}
	w := restoring{at: r.At.UnixMicro(), log: log, stop: r.StopSecrets}
	for after := (ID{}); ; {
		page, err := a.issuer.store.Scan(ctx, after, listPage)
		if err != nil {
			return sum, unavailable(ctx, err)
		}
		if len(page) == 0 {
			return sum, nil
		}
		after = page[len(page)-1].id
		page = slices.DeleteFunc(page, w.done)
		for some := range slices.Chunk(page, restoreBatch) {
			n, err := w.restore(ctx, a, some)
			if err != nil {
				return sum, err
			}
			sum.Tokens, sum.Revoked, sum.Stopped = sum.Tokens+n.Tokens, sum.Revoked+n.Revoked, sum.Stopped+n.Stopped
		}
	}
}

func (r *Restore) check(now int64) error {
	var p problems
	switch {
	case r.At.UnixMicro() < 1: // the zero time included
		p.add("Restore.At", "is not given: it is when the backup was put in place")
	case r.At.UnixMicro() > now:
		p.add("Restore.At", fmt.Sprintf("is %s, in the future", r.At.UTC().Format(time.RFC3339Nano)))
	}
	if r.Log == nil && !r.StopSecrets {
		p.add("Restore.Log", "is not given: without it, only StopSecrets is safe")
	}
	return p.err()
}

// restoreBatch is how many tokens one commit restores. Each has a record, an event, and at
// most one other record that it was judged by.
const restoreBatch = maxBatch / 3

// restoring is one call of AfterRestore.
type restoring struct {
	at   int64
	log  map[ID]*past
	stop bool
}

// mark is the revision from which on a record has been restored, or was changed since that. No
// token was ever changed as often as that, nor is one more often than once in a microsecond.
func (w *restoring) mark() uint64 { return uint64(w.at) }

// since reports whether a time, and sinceID whether a token's issue, is after the restore.
func (w *restoring) since(at int64) bool { return at/1000 > w.at/1000 }
func (w *restoring) sinceID(id ID) bool  { return id.millis() > w.at/1000 }

// done reports whether there is nothing to do for a record. A session from before the restore
// ends with its parent's epoch, and needs no change of its own.
func (w *restoring) done(r *Record) bool {
	return r.revision >= w.mark() || r.revokedAt != 0 || r.startedBy != 0 && !w.sinceID(r.id) ||
		r.parent.IsZero() && w.sinceID(r.id) && !w.log[r.id].beyond(r.revision)
}

// restore restores a few records in one commit.
func (w *restoring) restore(ctx context.Context, a Actor, some []*Record) (n Restored, err error) {
	_, _, err = a.do(ctx, true, func(t *attempt, _ *caller) error {
		n = Restored{}
		for _, found := range some {
			r, err := t.load(found.id)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if w.done(r) {
				continue
			}
			d, err := w.draft(t, r)
			if err != nil {
				return err
			}
			if d == nil {
				continue
			}
			t.drafts = append(t.drafts, d)
			n.Tokens++
			switch d.ev.Reason {
			case ReasonRevoked:
				n.Revoked++
			case ReasonStopped:
				n.Stopped++
			}
		}
		return nil
	})
	return n, err
}

// draft returns what becomes of a record, or nil if it stays.
func (w *restoring) draft(t *attempt, r *Record) (*draft, error) {
	d := &draft{Record: &Record{record: r.clone()}, was: r, kind: EventRestore, least: w.mark()}
	d.ev.Generation = r.newest.generation
	if w.sinceID(r.id) {
		if w.log[r.id].beyond(r.revision) {
			return nil, &InputError{"Restore.At", fmt.Sprintf("is before token %s was issued, and that is one that was restored", r.id)}
		}
		follows, err := w.follow(t, &d.record)
		if !follows {
			return nil, err
		}
		return d, nil
	}
	v := verdict{w: w, t: t, was: &r.record, record: &d.record}
	if err := v.judge(); err != nil {
		return nil, err
	}
	d.least = max(d.least, v.highest+1)
	d.ev.Reason = v.carryOut(max(t.now, r.changedAt))
	return d, nil
}

// An epoch's lower bits count what ended the token's descendants, and go on counting, so that what was ended
// stays so. With each restore the upper ones rise by a number that no other restore has, so that no epoch is
// given again of those between two restores of one backup; its children's move with them, or
// fall behind by one where they end.
const (
	epochUnit = 1 << 24
	epochZero = 1735689600 // 2025-01-01, in seconds since 1970
)

// epochs is by how much epochs rise.
func (w *restoring) epochs() uint64 { return 2 * uint64(max(1, w.at/1e6-epochZero)) * epochUnit }

// follow lets what was issued since the restore follow its parent, if that was restored only
// then, and reports whether there was anything to do.
func (w *restoring) follow(t *attempt, r *record) (bool, error) {
	if r.parent.IsZero() || w.sinceID(r.parent) {
		return false, nil
	}
	p, err := t.load(r.parent)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	epoch := t.current(p).epoch
	if r.parentEpoch/epochUnit >= epoch/epochUnit {
		return false, nil
	}
	r.ownOrigin()
	r.parentEpoch = epoch/epochUnit*epochUnit + r.parentEpoch%epochUnit
	return true, nil
}
