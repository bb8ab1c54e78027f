package remint

import (
	"context"
	"errors"
	"net/netip"
)

// Confirmation: the first use of a secret that a rotation handed out.

// confirm stores the first use of c's secret, which was judged at that time, and returns
// its token as it is then. ErrConflict means that something which was read to judge c has
// changed, or stopped.
func (i *Issuer) confirm(ctx context.Context, c *credential, from netip.Addr, now int64) (Token, error) {
	t := i.begin(ctx, c.rec.id.String(), from)
	t.judged, t.now = now, now
	t.seen = append(t.seen, c.rec)
	t.seen = append(t.seen, c.ancestors[:c.n]...)
	if err := t.confirm(c.rec); err != nil {
		return Token{}, err
	}
	records, err := t.commit()
	if err != nil {
		return Token{}, err
	}
	return newToken(records[0], slotNewest, t.now), nil
}

// confirm marks the newest secret of r as used: with RetireAfterFirstUse the one before it
// has its grace from now on, and with a predecessor, that only authenticates from now on.
func (t *attempt) confirm(r *Record) error {
	d := t.change(r, EventConfirm, r.predecessor, r.newest.generation)
	firstUse, grace := d.firstUse, d.grace
	d.confirm(t.now, t.i.retention)
	if r.predecessor.IsZero() {
		return nil
	}
	p, err := t.load(r.predecessor)
	if errors.Is(err, ErrNotFound) {
		return nil // it was swept
	}
	if err != nil {
		return err
	}
	if p.successor != r.id || p.revokedAt != 0 || p.usedUp {
		return nil
	}
	old := t.change(p, EventConfirm, r.id, p.newest.generation)
	old.usedUp = true
	old.dropSealedOf(r.id)
	if firstUse {
		old.retireWhole(t.now, t.now+grace, t.i.retention)
	}
	return nil
}

// confirm changes the record for the first use of its newest secret.
func (r *record) confirm(now, retention int64) {
	r.newest.confirmed = true
	r.newest.usedAt = now
	if r.firstUse && r.prev != nil {
		r.prev.until = earliest(r.prev.until, now+r.grace)
		r.lapseAt = 0
	}
	r.retire(&r.older, now, retention)
	r.firstUse, r.grace, r.lapseAt = false, 0, 0
	r.settle(now, retention)
}

// settle brings a record to what it is at that time: what has lapsed or stopped leaves its slot.
func (r *record) settle(now, retention int64) {
	if r.lapsed(now) && r.prev != nil {
		r.dropNewest()
	}
	if r.prev != nil && over(r.prev.until, now) {
		r.retire(&r.prev, r.prev.until, retention)
	}
	if r.older != nil && over(r.older.until, now) {
		r.retire(&r.older, r.older.until, retention)
	}
	if over(r.newest.until, now) {
		r.remember(&r.newest, r.newest.until, retention)
		r.newest = slot{}
	}
	r.dropSealed(now)
}

// dropNewest removes a newest secret that nobody has used, as if its rotation had not been.
func (r *record) dropNewest() {
	r.newest = slot{}
	if r.prev != nil {
		r.newest, r.prev, r.older = *r.prev, r.older, nil
	}
	r.firstUse, r.grace, r.lapseAt = false, 0, 0
}

// retire takes the secret out of its slot and remembers it.
func (r *record) retire(s **slot, at, retention int64) {
	if x := *s; x != nil {
		*s = nil
		r.remember(x, at, retention)
	}
}

// remember keeps the digest of a secret that has stopped, so that its reuse is noticed.
// One that nobody has used is not reused: it is forgotten.
func (r *record) remember(s *slot, at, retention int64) {
	if !s.confirmed {
		return
	}
	// The newest maxRetired, of those that the retention still covers.
	from := max(0, len(r.retired)+1-maxRetired)
	for from < len(r.retired) && r.retired[from].at < at-retention {
		from++
	}
	keep := append(make([]retired, 0, len(r.retired)-from+1), r.retired[from:]...)
	r.retired = append(keep, retired{digest: s.digest, pepper: s.pepper, generation: s.generation, at: at})
}

// retireWhole plans the end of a token that has a successor, never later than it would
// have ended; not after now, it ends at once.
func (r *record) retireWhole(now, at, retention int64) {
	r.retire(&r.prev, now, retention)
	r.retire(&r.older, now, retention)
	if at <= now {
		if r.stoppedAt == 0 && !over(r.until, now) {
			r.stoppedAt = now
		}
		return
	}
	r.until = earliest(r.until, at)
}
