package remint

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
)

// Reuse: somebody presents a secret that a rotation replaced. It is denied like any other;
// what follows here is what the owner learns of it.

// chainBatch is how many successors of a token one commit revokes.
const chainBatch = maxBatch/2 - 2

// reportReuse reports that the secret of that generation was presented after it had
// stopped. The first time it is stored, later ones are only observed. A store that fails
// changes nothing of the denial, and is asked again the next time.
func (i *Issuer) reportReuse(ctx context.Context, id ID, generation uint64, from netip.Addr) {
	observed := false
	for conflicts := 0; conflicts < attempts; {
		t := i.begin(ctx, "", from)
		e, more, err := t.reuse(id, generation)
		if err != nil {
			return
		}
		chain := i.revokeOnReuse && e.Reason == ReasonOld
		stored := slices.ContainsFunc(t.drafts, func(d *draft) bool { return d.kind == EventReuse })
		switch _, err := t.commit(); {
		case errors.Is(err, ErrConflict):
			if conflicts++; again(ctx, conflicts) != nil {
				return
			}
			continue
		case err != nil:
			return
		}
		if !stored && !observed {
			i.tell(ctx, func() Event { return e })
		}
		if observed = true; !more {
			if chain {
				i.ended.add(id)
			}
			return
		}
	}
}

// reuse drafts what follows from the reuse of a secret, if that is not stored yet, and
// returns the event for when it is, and whether there is more to revoke than one commit can.
func (t *attempt) reuse(id ID, generation uint64) (e Event, more bool, err error) {
	r, err := t.load(id)
	if err != nil {
		return e, false, err
	}
	settled := r.clone()
	settled.settle(t.now, t.i.retention)
	if settled.newest.generation == generation && (settled.stoppedAt != 0 || over(settled.until, t.now)) {
		settled.remember(&settled.newest, earliest(settled.stoppedAt, settled.until), t.i.retention)
	}
	k := slices.IndexFunc(settled.retired, func(x retired) bool { return x.generation == generation })
	if k < 0 {
		return e, false, ErrNotFound // it was forgotten meanwhile
	}
	settled.retired = slices.Clone(settled.retired)
	x := &settled.retired[k]
	e = Event{
		Revision: r.revision, At: toTime(t.now), Kind: EventReuse, Token: r.id, Other: r.parent, Owner: r.owner(),
		From: t.from, Generation: generation, Age: micros(t.now - x.at), Reason: ReasonStale,
	}
	old := t.now-x.at > t.i.retryWindow
	if old {
		e.Reason = ReasonOld
	}
	if !x.reported {
		x.reported = true
		d := t.change(r, EventReuse, ID{}, generation)
		d.record = settled
		d.ev.Age, d.ev.Reason = e.Age, e.Reason
	}
	if t.i.revokeOnReuse && old && !t.i.ended.has(id) {
		more, err = t.revokeChain(r)
	}
	return e, more, err
}

// revokeChain revokes a token and its successors, as far as they live and one commit can
// hold, and reports whether there are more.
func (t *attempt) revokeChain(r *Record) (more bool, err error) {
	for revoked := 0; ; {
		if t.current(r).ended(t.now) == "" {
			if revoked == chainBatch {
				return true, nil
			}
			revoked++
			t.revokeForReuse(r)
		}
		if r.successor.IsZero() {
			return false, nil
		}
		// Read without becoming a guard: what is revoked is guarded by its own revision.
		next, err := t.i.load(t.ctx, r.successor, true)
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		if err != nil {
			return false, unavailable(t.ctx, err)
		}
		r = next
	}
}

// chains are tokens that were revoked with all that succeeded them, so that whoever presents an old
// secret again and again does not have the whole chain read each time. They are this process's own.
type chains struct {
	mu  sync.Mutex
	all map[ID]struct{}
}

const maxChains = 1 << 12

func (c *chains) has(id ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, has := c.all[id]
	return has
}

func (c *chains) add(id ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all == nil || len(c.all) >= maxChains {
		c.all = make(map[ID]struct{})
	}
	c.all[id] = struct{}{}
}

// revokeForReuse revokes a token. Where the reuse itself is an event of the same
// record, that stands for both: State.RevokedAt says the rest.
func (t *attempt) revokeForReuse(r *Record) {
	if d := t.drafted(r); d != nil {
		d.revokedAt = t.now
		return
	}
	t.change(r, EventRevoke, ID{}, r.newest.generation).revokedAt = t.now
}
