package remint

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// What one call of Sweep does at most.
const (
	sweepUses    = 4096 // times of use, and as many looked at once more
	sweepRecords = 2048 // records read for removal
	sweepEvents  = 4096 // events removed
	deleteBatch  = maxBatch / 2
)

// sweepState is what one Sweep leaves for the next.
type sweepState struct {
	turn    chan struct{}  // of one: whoever has put something in sweeps
	parent  ID             // whose children are being looked through, …
	after   ID             // … as far as this one
	written map[useKey]use // by the last one
}

// Sweep does a bounded amount of housekeeping: it writes down times of last use,
// makes digests anew under the first pepper where it can, and removes events and ended
// tokens that are older than [Options.Retention], with the children that an epoch or a
// removed parent ended.
// Call it every minute or so; nothing but LastUsedAt and disk space waits for it.
func (i *Issuer) Sweep(ctx context.Context) error {
	select {
	case i.sweep.turn <- struct{}{}:
		defer func() { <-i.sweep.turn }()
	case <-ctx.Done():
		return fmt.Errorf("remint: %w", ctx.Err())
	}
	s := sweeper{i: i, ctx: ctx, now: i.clock(), budget: sweepRecords}
	return errors.Join(s.uses(), s.removeDue(), s.trim())
}

type sweeper struct {
	i      *Issuer
	ctx    context.Context
	now    int64
	budget int
	batch  Batch
}

// uses writes times of use, and digests under the first pepper, to where they belong. They
// are touches: no change of the token, and none that could stand in another's way. So a change
// that had read its record before, and was stored after, has put the earlier times back:
// what the last Sweep wrote is looked at once more.
func (s *sweeper) uses() error {
	taken := s.i.uses.take(sweepUses)
	if taken == nil {
		taken = make(map[useKey]use)
	}
	for k, u := range s.i.sweep.written {
		if _, newer := taken[k]; !newer {
			u.again = true
			taken[k] = u
		}
	}
	s.i.sweep.written = make(map[useKey]use)
	flush := make(map[useKey]use, maxBatch)
	byID := map[ID]*Record{}
	write := func() error {
		var b Batch
		for _, r := range byID {
			b.Touch = append(b.Touch, r)
		}
		if len(b.Touch) == 0 {
			return nil
		}
		err := s.i.store.Commit(s.ctx, b)
		if err != nil {
			for k, u := range flush {
				s.i.uses.putBack(k, u)
			}
		} else {
			maps.Copy(s.i.sweep.written, flush)
		}
		clear(flush)
		clear(byID)
		return err
	}
	var failed error
	for k, u := range taken {
		if failed != nil {
			s.i.uses.putBack(k, u)
			continue
		}
		r := byID[k.id]
		if r == nil {
			var err error
			if r, err = s.i.load(s.ctx, k.id, true); errors.Is(err, ErrNotFound) {
				continue
			} else if err != nil {
				failed = unavailable(s.ctx, err)
				s.i.uses.putBack(k, u)
				continue
			}
		}
		if r = r.touched(k.generation, u); r == nil {
			continue // that secret has gone, or there is nothing new of it
		}
		byID[k.id], flush[k] = r, u
		if len(byID) == maxBatch {
			if err := write(); err != nil {
				failed = unavailable(s.ctx, err)
			}
		}
	}
	if failed != nil {
		for k, u := range flush {
			s.i.uses.putBack(k, u)
		}
		return failed
	}
	if err := write(); err != nil {
		return unavailable(s.ctx, err)
	}
	return nil
}

// removeDue removes what ended longer than Retention ago.
func (s *sweeper) removeDue() error {
	before := s.now - s.i.retention
	for s.budget > 0 {
		due, err := s.i.store.Due(s.ctx, time.UnixMicro(before+1).UTC(), deleteBatch)
		if err != nil {
			return unavailable(s.ctx, err)
		}
		progress := false
		for _, r := range due {
			s.budget--
			var done bool
			if end := r.endsAt(); end != 0 && end <= before {
				done, err = s.remove(r)
			} else {
				done, err = s.prune(r)
			}
			if err != nil {
				return err
			}
			progress = progress || done
		}
		if _, err := s.flush(); err != nil {
			return err
		}
		if !progress {
			return nil // nothing is due, or what is goes on in the next call
		}
	}
	return nil
}

// remove removes a record after all that descends from it: one of which a descendant
// could not be removed is left, so that it can be found again. It is done if the record
// is gone or gathered to go.
func (s *sweeper) remove(r *Record) (done bool, err error) {
	for {
		children, err := s.i.store.List(s.ctx, r.owner(), r.id, ID{}, deleteBatch)
		if err != nil {
			return false, unavailable(s.ctx, err)
		}
		if len(children) == 0 {
			break
		}
		for _, child := range children {
			if s.budget--; s.budget < 0 {
				_, err := s.flush()
				return false, err
			}
			if done, err := s.remove(child); err != nil || !done {
				return false, err
			}
		}
		if all, err := s.flush(); err != nil || !all {
			return false, err
		}
	}
	if slices.ContainsFunc(s.batch.Delete, func(x *Record) bool { return x.id == r.id }) {
		return true, nil // it is due itself, and its ancestor is, too
	}
	s.batch.Delete = append(s.batch.Delete, r)
	s.batch.Log = append(s.batch.Log, Event{
		Revision: r.revision, At: toTime(max(s.now, r.changedAt)), Kind: EventRemove,
		Token: r.id, Other: r.parent, Owner: r.owner(), Generation: r.newest.generation,
	})
	if len(s.batch.Delete) == deleteBatch {
		return s.flush()
	}
	return true, nil
}

// flush removes what has been gathered, and reports whether all of it is gone. Where
// somebody has changed one of them, each is tried by itself.
func (s *sweeper) flush() (all bool, err error) {
	b := s.batch
	s.batch = Batch{}
	if len(b.Delete) == 0 {
		return true, nil
	}
	if err = s.commit(b); !errors.Is(err, ErrConflict) {
		return err == nil, err
	}
	all, err = true, nil
	for k := range b.Delete {
		e := s.commit(Batch{Delete: b.Delete[k : k+1], Log: b.Log[k : k+1]})
		all = all && e == nil
		if !errors.Is(e, ErrConflict) { // that one is looked at again when it is due
			err = errors.Join(err, e)
		}
	}
	return all, err
}

func (s *sweeper) commit(b Batch) error {
	err := s.i.store.Commit(s.ctx, b)
	if err != nil && !errors.Is(err, ErrConflict) {
		return unavailable(s.ctx, err)
	}
	if err == nil && s.i.observe != nil {
		for _, e := range b.Log {
			s.i.observe(s.ctx, e)
		}
	}
	return err
}

// prune removes the children that a live token ended longer than Retention ago. It is
// done when all have been looked at.
func (s *sweeper) prune(r *Record) (done bool, err error) {
	after := ID{}
	if s.i.sweep.parent == r.id {
		after = s.i.sweep.after
	}
	s.i.sweep.parent, s.i.sweep.after = ID{}, ID{}
	for {
		children, err := s.i.store.List(s.ctx, r.owner(), r.id, after, deleteBatch)
		if err != nil {
			return false, unavailable(s.ctx, err)
		}
		if len(children) == 0 {
			break
		}
		for _, child := range children {
			if s.budget--; s.budget < 0 {
				s.i.sweep.parent, s.i.sweep.after = r.id, after
				_, err := s.flush()
				return false, err
			}
			if child.parentEpoch < r.pruneEpoch {
				if done, err := s.remove(child); err != nil || !done {
					s.i.sweep.parent, s.i.sweep.after = r.id, after
					return false, err
				}
			}
		}
		if all, err := s.flush(); err != nil || !all {
			return false, err // from the beginning, the next time
		}
		after = children[len(children)-1].id
	}
	// Those that were ended since wait for their own time. Past any cache, because a touch
	// must not bring an older time of use back.
	fresh, err := s.i.load(s.ctx, r.id, true)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, unavailable(s.ctx, err)
	}
	if err != nil || fresh.revision != r.revision {
		return true, nil // it is due again as it is now
	}
	next := fresh.clone()
	next.pruneAt, next.pruneEpoch = 0, 0
	if r.epoch > r.pruneEpoch {
		next.pruneAt, next.pruneEpoch = max(s.now, r.changedAt), r.epoch
	}
	if err := s.i.store.Commit(s.ctx, Batch{Touch: []*Record{next.seal()}}); err != nil {
		return false, unavailable(s.ctx, err)
	}
	return true, nil
}

// trim removes events that are older than Retention, page by page, with those among them
// that a clock which was ahead dated later than now.
func (s *sweeper) trim() error {
	before, now := toTime(s.now-s.i.retention), toTime(s.now)
	var at, upTo Cursor
	for n := 0; n < sweepEvents; {
		page, next, err := s.i.store.Events(s.ctx, at, eventPage)
		if err != nil {
			return unavailable(s.ctx, err)
		}
		old, young := 0, false
		for k, e := range page {
			if e.At.Before(before) {
				old = k + 1
			} else if young = !e.At.After(now); young {
				break
			}
		}
		switch {
		case len(page) > 0 && old == len(page):
			upTo = next
		case old > 0:
			// The cursor between two events is had by asking for as many as come before it.
			if _, upTo, err = s.i.store.Events(s.ctx, at, old); err != nil {
				return unavailable(s.ctx, err)
			}
		}
		if at, n = next, n+len(page); young || len(page) == 0 {
			break
		}
	}
	if upTo == "" {
		return nil
	}
	if err := s.i.store.Commit(s.ctx, Batch{Trim: upTo}); err != nil {
		return unavailable(s.ctx, err)
	}
	return nil
}
