package remint

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"time"
)

// An attempt is one judging of one operation: the records that were read for it, all
// past any cache, and the changes that follow from them. What was read and is not
// changed guards the commit; if any of it was changed meanwhile, the operation is
// judged again in a new attempt.
type attempt struct {
	i      *Issuer
	ctx    context.Context
	judged int64 // the time by which its caller was judged
	now    int64 // the later of that and the last change of its target
	anew   bool  // what was drafted before now was known has another time

	noEarlier int64 // the time that an earlier attempt has come to
	actor     string
	from      netip.Addr
	seen      []*Record
	drafts    []*draft
	log       []Event // of what changes no record
}

// A draft is a record as it shall become. Until its commit begins, nobody else has the Record.
type draft struct {
	*Record
	was    *Record // nil: it is new
	minted bool    // it has a new secret
	kind   EventKind
	ev     Event  // Other, Generation and Reason
	least  uint64 // its revision is at least this
}

func (i *Issuer) begin(ctx context.Context, actor string, from netip.Addr) *attempt {
	now := i.clock()
	return &attempt{i: i, ctx: ctx, judged: now, now: now, actor: actor, from: from}
}

// load returns the record of id as this attempt has read it.
func (t *attempt) load(id ID) (*Record, error) {
	for _, r := range t.seen {
		if r.id == id {
			return r, nil
		}
	}
	r, err := t.i.load(t.ctx, id, true)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			return nil, ErrNotFound
		}
		return nil, unavailable(t.ctx, err)
	}
	t.seen = append(t.seen, r)
	return r, nil
}

// ancestors returns the records from the parent of r to the root, and the reason for which
// r is not live under them, or "".
func (t *attempt) ancestors(r *Record) (list []*Record, reason string, err error) {
	for child := r; !child.parent.IsZero(); {
		p, err := t.load(child.parent)
		if errors.Is(err, ErrNotFound) || len(list) == maxDepth-1 {
			return list, ReasonParent, nil
		}
		if err != nil {
			return nil, "", err
		}
		if reason == "" {
			reason = t.current(child).isChildOf(t.current(p), t.now)
		}
		list = append(list, p)
		child = p
	}
	return list, reason, nil
}

// change returns the draft of r, which this attempt has read, and says what happens to it.
// The event of an operation stands for the confirmation that it implies, if it
// changes the same record.
func (t *attempt) change(r *Record, kind EventKind, other ID, generation uint64) *draft {
	if d := t.drafted(r); d != nil {
		d.kind, d.ev.Other, d.ev.Generation = kind, other, generation
		return d
	}
	d := &draft{Record: &Record{record: r.clone()}, was: r, kind: kind}
	d.ev.Other, d.ev.Generation = other, generation
	d.settle(t.now, t.i.retention)
	t.drafts = append(t.drafts, d)
	return d
}

// drafted returns the draft of r, or nil.
func (t *attempt) drafted(r *Record) *draft {
	for _, d := range t.drafts {
		if d.was == r {
			return d
		}
	}
	return nil
}

// create adds the draft of a new record.
func (t *attempt) create(r record, other ID) *draft {
	d := &draft{Record: &Record{record: r}, kind: EventIssue}
	d.ev.Other, d.ev.Generation = other, r.newest.generation
	t.drafts = append(t.drafts, d)
	return d
}

// current returns r as it is after the changes so far.
func (t *attempt) current(r *Record) *record {
	if d := t.drafted(r); d != nil {
		return &d.record
	}
	return &r.record
}

// commit stores the drafts, and returns their records in the order in which they were
// begun. ErrConflict means that something that was read has changed, or stopped.
func (t *attempt) commit() ([]*Record, error) {
	if t.empty() {
		return nil, nil
	}
	if t.stopped(t.i.clock()) {
		return nil, ErrConflict
	}
	var b Batch
	stamp := rand.Uint64() | 1
	records := make([]*Record, 0, len(t.drafts))
	b.Put, b.Log = make([]Put, 0, len(t.drafts)), make([]Event, 0, len(t.drafts))
	for _, d := range t.drafts {
		put := Put{}
		if d.was != nil {
			put.Replaces = d.was.revision
		}
		d.revision = max(put.Replaces+1, d.least)
		d.changedAt, d.stamp = max(t.now, d.changedAt), stamp
		put.Record = d.finish()
		records = append(records, put.Record)
		b.Put = append(b.Put, put)
		b.Log = append(b.Log, t.event(d))
	}
	for _, e := range t.log {
		e.At, e.Actor, e.From = toTime(t.now), t.actor, t.from
		b.Log = append(b.Log, e)
	}
	for _, r := range t.seen {
		if t.drafted(r) == nil {
			b.Guard = append(b.Guard, r)
		}
	}
	if err := t.i.store.Commit(t.ctx, b); err != nil && !t.landed(records) {
		if errors.Is(err, ErrConflict) {
			return nil, ErrConflict
		}
		return nil, unavailable(t.ctx, err)
	}
	if t.i.observe != nil {
		for _, e := range b.Log {
			t.i.observe(t.ctx, e)
		}
	}
	return records, nil
}

// stopped reports whether something that was read has stopped since it was judged, until now
// or the attempt's own time. No revision tells of that: it stops by the clock.
func (t *attempt) stopped(now int64) bool {
	now = max(now, t.now)
	return t.anew || slices.ContainsFunc(t.seen, func(r *Record) bool { return over(r.nextEnd(t.judged), now) })
}

func (t *attempt) event(d *draft) Event {
	e := d.ev
	e.Revision, e.At, e.Kind, e.Token, e.Owner = d.revision, toTime(d.changedAt), d.kind, d.id, d.owner()
	e.Actor, e.From = t.actor, t.from
	if e.Other.IsZero() {
		e.Other = d.parent
	}
	return e
}

// empty reports whether there is nothing to store.
func (t *attempt) empty() bool { return len(t.drafts) == 0 && len(t.log) == 0 }

// holds returns ErrConflict if what records was judged by has changed since, or stopped: no
// commit has guarded it. They must be some that were read.
func (t *attempt) holds(records []*Record) error {
	if t.stopped(t.now) {
		return ErrConflict
	}
	for _, r := range records {
		switch now, err := t.i.load(t.ctx, r.id, true); {
		case errors.Is(err, ErrNotFound):
			return ErrConflict
		case err != nil:
			return unavailable(t.ctx, err)
		case !now.judgedAs(&r.record):
			return ErrConflict
		}
	}
	return nil
}

// landing is how long a commit whose outcome is not known is looked for, after the
// caller's context has ended.
const landing = 5 * time.Second

// landed reports whether a commit that returned an error took effect all the same: the
// answer may have been lost, or a store may have repeated it and met its own effect. All
// of it is one commit, so one record tells: the one with a new secret, if there is one.
func (t *attempt) landed(records []*Record) bool {
	if len(records) == 0 {
		return false
	}
	k := max(0, slices.IndexFunc(t.drafts, func(d *draft) bool { return d.minted }))
	mine, minted := records[k], t.drafts[k].minted
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), landing)
	defer cancel()
	stored, err := t.i.load(ctx, mine.id, true)
	switch {
	case err != nil || stored.revision < mine.revision:
		return false
	case stored.revision == mine.revision:
		return stored.stamp == mine.stamp
	}
	// Somebody has built on it, if the secret that it made is there.
	return minted && stored.knows(mine.newest.digest)
}

// knows reports whether a digest is one of the record's, past or present.
func (r *record) knows(d digest) bool {
	for which := slotNewest; which <= slotOlder; which++ {
		if s := r.slot(which); s != nil && s.digest == d {
			return true
		}
	}
	return slices.ContainsFunc(r.retired, func(x retired) bool { return x.digest == d })
}

// again waits before an operation is judged for the n-th time.
func again(ctx context.Context, n int) error {
	if n < 4 {
		runtime.Gosched()
		return ctx.Err()
	}
	most := time.Millisecond << min(n-4, 5)
	timer := time.NewTimer(rand.N(most))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
