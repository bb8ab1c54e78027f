package remint

import (
	"context"
	"errors"
	"net/netip"
	"slices"
)

// Reuse: somebody presents a secret that a rotation replaced. It is denied like any other;
// what follows here is what the owner learns of it.

// maxChain is how many successors of a token are looked at to end them.
const maxChain = 32

// reportReuse reports that the secret of that generation was presented after it had
// stopped. The first time it is stored, later ones are only observed. A store that fails
// changes nothing of the denial, and is asked again the next time.
func (i *Issuer) reportReuse(ctx context.Context, id ID, generation uint64, from netip.Addr) {
	for n := range attempts {
		if n > 0 && again(ctx, n) != nil {
			return
		}
		t := i.begin(ctx, "", from)
		e, err := t.reuse(id, generation)
		if err != nil {
			return
		}
		switch _, err := t.commit(); {
		case errors.Is(err, ErrConflict):
			continue
		case err != nil:
			return
		}
		if len(t.drafts) == 0 && i.observe != nil {
			i.observe(ctx, e)
		}
		return
	}
}

// reuse drafts what follows from the reuse of a secret, if that is not stored yet, and
// returns the event for when it is.
func (t *attempt) reuse(id ID, generation uint64) (Event, error) {
	r, err := t.load(id)
	if err != nil {
		return Event{}, err
	}
	settled := r.clone()
	settled.settle(t.now, t.i.retention)
	if settled.newest.generation == generation && (settled.stoppedAt != 0 || over(settled.until, t.now)) {
		settled.remember(&settled.newest, earliest(settled.stoppedAt, settled.until), t.i.retention)
	}
	k := slices.IndexFunc(settled.retired, func(x retired) bool { return x.generation == generation })
	if k < 0 {
		return Event{}, ErrNotFound // forgotten meanwhile
	}
	x := &settled.retired[k]
	e := Event{
		Revision: r.revision, At: toTime(t.now), Kind: EventReuse, Token: r.id, Other: r.parent, Owner: r.owner,
		From: t.from, Generation: generation, Age: micros(t.now - x.at),
	}
	revoke := t.i.revokeOnReuse && t.now-x.at > t.i.retryWindow
	if !x.reported {
		x.reported = true
		d := t.change(r, EventReuse, ID{}, generation)
		d.record = settled
		d.ev.Age = e.Age
	}
	if revoke {
		return e, t.revokeChain(r)
	}
	return e, nil
}

// revokeChain revokes a token and its successors, as far as they live.
func (t *attempt) revokeChain(r *Record) error {
	for range maxChain {
		if t.current(r).ended(t.now) == "" {
			t.revokeForReuse(r)
		}
		if r.successor.IsZero() {
			return nil
		}
		next, err := t.load(r.successor)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		r = next
	}
	return nil
}

// revokeForReuse revokes a token. Where the reuse itself is an event of the same
// record, that stands for both: State.RevokedAt says the rest.
func (t *attempt) revokeForReuse(r *Record) {
	for _, d := range t.drafts {
		if d.was == r {
			d.revokedAt = t.now
			return
		}
	}
	t.change(r, EventRevoke, ID{}, r.newest.generation).revokedAt = t.now
}
