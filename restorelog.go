package remint

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
)

// A past is what a lost store's log says of one token, in the order of its revisions. A nil one
// says nothing.
type past struct {
	events  []lost
	removed int64 // when the record was removed; 0: it was not
}

// A lost is what counts of an Event.
type lost struct {
	kind         EventKind
	reason       string
	revision     uint64
	generation   uint64
	at           int64
	other, actor ID // an actor that is not a bearer is zero
}

// readLost reads a log. What it may have more than once, as a part that was shipped again, counts
// once.
func readLost(ctx context.Context, log iter.Seq2[Event, error]) (map[ID]*past, error) {
	all := map[ID]*past{}
	if log == nil {
		return all, nil
	}
	for e, err := range log {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("remint: the log since the backup: %w", err)
		}
		switch e.Kind {
		case EventVerify, EventDeny, EventReplay:
			continue // changes no record
		}
		p := all[e.Token]
		if p == nil {
			p = new(past)
			all[e.Token] = p
		}
		p.add(e)
	}
	return all, nil
}

func (p *past) add(e Event) {
	if e.Kind == EventRemove { // it has the revision of the record that it removed
		p.removed = max(1, fromTime(e.At))
		return
	}
	x := lost{
		kind: e.Kind, reason: e.Reason, revision: e.Revision, generation: e.Generation, at: fromTime(e.At), other: e.Other,
	}
	parseID(&x.actor, e.Actor) // the zero ID if it is none
	k := p.from(e.Revision)
	for ; k < len(p.events) && p.events[k].revision == x.revision; k++ {
		// A reuse that was only observed has the revision of what came before it. Other events of
		// one revision are of several histories.
		if p.events[k] == x || x.kind == EventReuse {
			return
		}
	}
	p.events = slices.Insert(p.events, k, x)
}

// from returns the index of the first event with that revision or a later one.
func (p *past) from(revision uint64) int {
	k, _ := slices.BinarySearchFunc(p.events, revision, func(e lost, r uint64) int { return cmp.Compare(e.revision, r) })
	return k
}

// beyond reports whether there is anything that a record of that revision does not have.
func (p *past) beyond(revision uint64) bool {
	return p != nil && (p.removed != 0 || len(p.events) > 0 && p.events[len(p.events)-1].revision > revision)
}

// contradicts reports whether the record is none that the log leads to: a clock may be behind the one
// that told when the restore was, and a change that was made since then has the revision of one
// that was lost, and another time.
func (p *past) contradicts(r *record) bool {
	of := p.events[p.from(r.revision):p.from(r.revision+1)]
	return slices.ContainsFunc(of, func(e lost) bool { return e.at != r.changedAt })
}

// since returns the events that the record does not have, and whether they are known to be all of
// these and no others.
func (p *past) since(r *record, w *restoring) (events []lost, exact bool) {
	if p == nil {
		return nil, true
	}
	k := p.from(r.revision + 1)
	if !w.since(r.changedAt) && !p.contradicts(r) {
		return p.events[k:], true
	}
	// It was changed since the restore, and which of its revisions the backup had is forgotten:
	// any of the lost ones may be missing. Those that are younger than the restore it has.
	for _, e := range p.events[:k] {
		if !w.since(e.at) {
			events = append(events, e)
		}
	}
	return append(events, p.events[k:]...), false
}
