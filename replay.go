package remint

import (
	"context"
	"errors"
)

// A replay answers a repeated request with the grant that it was answered with before.

// grant does an operation that hands out a secret, or finds what it has handed out.
func (a Actor) grant(ctx context.Context, q func() request, op func(*attempt, *caller) (Secret, ID, error)) (Grant, error) {
	if a.retry != nil {
		a.repeats = new(q())
	}
	var secret Secret
	var made ID
	repeated := false
	t, records, err := a.do(ctx, false, func(t *attempt, c *caller) (err error) {
		if c.replayed == nil && a.retry != nil {
			if c.replayed, err = t.replay(c); err != nil {
				return err
			}
		}
		if c.replayed == nil && repeated {
			// It was a repeat when it was judged first, and somebody was faster: it must not
			// be another request now, which would undo what that one did.
			return ErrConflict
		}
		if repeated = c.replayed != nil; repeated {
			secret, made = c.replayed.secret, c.replayed.token.id
			t.log = append(t.log, c.replayed.event())
			return nil
		}
		if secret, made, err = op(t, c); err == nil && a.retry != nil {
			t.keep(c, secret, made)
		}
		return err
	})
	if err != nil {
		return Grant{}, err
	}
	return Grant{t.token(records, made), secret}, nil
}

// A replayed is a grant that was found again.
type replayed struct {
	secret Secret
	token  *Record
}

func (r *replayed) event() Event {
	return Event{
		Revision: r.token.revision, Kind: EventReplay, Token: r.token.id, Other: r.token.parent, Owner: r.token.owner(),
		Generation: r.token.newest.generation, Reason: ReasonRetry,
	}
}

func (c *caller) sealer() sealer {
	return sealer{c.presented.secret, c.cred.rec.id, c.retry.key.Reveal(), c.repeats}
}

// keep seals the secret that the attempt has made for the caller.
func (t *attempt) keep(c *caller, secret Secret, made ID) {
	if c.retry.implicit && c.beingRetired(t) {
		return
	}
	var sum digest
	for _, d := range t.drafts {
		if d.id == made {
			sum = d.newest.digest
		}
	}
	text := secret.Reveal()
	text = text[len(text)-sumLen-secretLen : len(text)-sumLen]
	e := c.sealer().seal(c.retryName, c.repeats, made, text, sum, t.now+c.retry.window(t.i))
	d := t.drafted(c.cred.rec)
	if d == nil {
		d = t.change(c.cred.rec, EventSeal, made, c.cred.rec.slot(c.cred.which).generation)
	}
	d.keepSealed(e)
}

// beingRetired reports whether the caller's secret, or token, has been replaced, and lives on
// for a while at most. A rotation that has lapsed has replaced nothing, whether or not that was
// written down since.
func (c *caller) beingRetired(t *attempt) bool {
	rec := t.current(c.cred.rec)
	if rec.startedBy != 0 {
		// A session has no more standing than the secret that it was started with.
		p := t.current(c.cred.ancestors[0])
		last := p.lastSlot(t.now)
		if p.sessionSlot(rec.startedBy, t.now) != last || p.slot(last).until != 0 || p.until != 0 || !p.successor.IsZero() {
			return true
		}
	}
	mine, last := c.cred.rec.slot(c.cred.which), rec.slot(rec.lastSlot(t.now))
	return last == nil || last.digest != mine.digest || last.until != 0 || rec.until != 0 || rec.stoppedAt != 0 || !rec.successor.IsZero()
}

// lastSlot returns the slot of the last secret whose rotation has not lapsed.
func (r *record) lastSlot(now int64) int {
	if r.prev != nil && r.lapsed(now) {
		return slotPrev
	}
	return slotNewest
}

// replay returns the grant that the caller's request was answered with before, or nil if
// there was none within the window.
func (t *attempt) replay(c *caller) (*replayed, error) {
	if c.retry.implicit && c.beingRetired(t) {
		return nil, nil
	}
	found, err := t.find(c)
	if err != nil && c.retry.implicit && !errors.Is(err, ErrUnavailable) && t.ctx.Err() == nil {
		return nil, nil // then it is a request like any other
	}
	return found, err
}

func (t *attempt) find(c *caller) (*replayed, error) {
	s := c.sealer()
	c.retryName = s.name()
	e := c.cred.rec.sealedAs(c.retryName, t.now)
	if e == nil {
		return nil, nil
	}
	if e.token.IsZero() {
		return nil, ErrConflict // it was used, and is forgotten
	}
	secret, ok := s.open(e, c.repeats)
	if !ok {
		return nil, &InputError{"WithRetryKey.key", "was used for another request: take a new key for each"}
	}
	c.own = true
	r, err := t.load(e.token)
	if errors.Is(err, ErrNotFound) {
		return nil, ErrConflict // it was handed out, and ended, and was swept
	}
	if err != nil {
		return nil, err
	}
	t.now = max(t.now, r.changedAt)
	if _, err := t.live(r); err != nil {
		if errors.Is(err, ErrEnded) {
			return nil, ErrConflict
		}
		return nil, err
	}
	// What opens must be the secret that works now, and that nobody has used.
	sum, err := t.i.recordDigest(r, secret, r.newest.pepper)
	if err != nil {
		return nil, err
	}
	if !sum.equal(&r.newest.digest) || r.newest.confirmed || !r.slotLive(slotNewest, t.now) {
		return nil, ErrConflict
	}
	if err := c.mayReplay(t, r); err != nil {
		return nil, err
	}
	return &replayed{newSecret(textOf(r.prefix.Value(), r.id, secret)), r}, nil
}

// mayReplay judges whether the caller may hold a secret of r still. It was judged when the
// secret was made; what the caller has lost since, it has lost.
func (c *caller) mayReplay(t *attempt, r *Record) error {
	if err := c.sees(r); err != nil {
		return err
	}
	if !c.full && c.stoppedBy == nil {
		return ErrForbidden
	}
	above, _, err := t.ancestors(r)
	if err != nil {
		return err
	}
	if !c.below(above) {
		return ErrForbidden
	}
	return c.covers(r.caps, r.attributes, r.networks, above)
}

// replayStopped judges a caller whose credential has stopped. If a rotation stopped it, and it is
// this very rotation that the caller repeats, with a key that nobody guesses, then the caller gets its
// grant; whatever else it is, it stays denied, and nothing is said of why.
func (t *attempt) replayStopped(c *caller) (*replayed, error) {
	if c.repeats == nil || c.repeats.operation != requestRotate || len(c.retry.key.Reveal()) < safeRetryKey || c.cred.rec == nil {
		return nil, nil
	}
	switch c.cred.reason {
	case ReasonRetired, ReasonSession, ReasonParent:
	default:
		return nil, nil
	}
	t.seen = append(t.seen, c.cred.rec)
	rotated, err := t.stoppedBy(c)
	if rotated == nil || err != nil || rotated.id != c.repeats.target {
		return nil, err
	}
	c.stoppedBy = rotated
	found, err := t.replay(c)
	switch {
	case err != nil && errors.Is(err, ErrUnavailable), t.ctx.Err() != nil:
		return nil, err
	case err != nil || found == nil:
		return nil, nil
	case found.token.id != rotated.id && found.token.id != rotated.successor:
		return nil, nil
	}
	return found, nil
}

// stoppedBy returns the token whose rotation stopped the caller's credential, if that is all
// that is wrong with it, and fills in who the caller is.
func (t *attempt) stoppedBy(c *caller) (rotated *Record, err error) {
	rec := c.cred.rec
	above, reason, err := t.ancestors(rec)
	if err != nil {
		return nil, err
	}
	c.who, c.ancestors = rec, above
	rotated = rec
	switch {
	case rec.startedBy != 0:
		if c.cred.retired || rec.ended(t.now) != "" || !rec.slotLive(c.cred.which, t.now) || rec.superseded(c.cred.which) ||
			len(above) == 0 || above[0].epoch != rec.parentEpoch {
			return nil, nil
		}
		rotated = above[0]
		if rotated.ended(t.now) == "" && (rotated.slotLive(slotPrev, t.now) || rotated.slotLive(slotOlder, t.now) || !rotated.successor.IsZero()) {
			return nil, nil // the rotation has stopped nothing yet: something else ended the session
		}
		c.who, c.ancestors = rotated, above[1:]
		if _, reason, err = t.ancestors(rotated); err != nil {
			return nil, err
		}
	case !c.cred.retired:
		return nil, nil // nobody has used that secret
	}
	ended := rotated.ended(t.now)
	if over(rec.expires, t.now) || over(rotated.expires, t.now) {
		return nil, nil
	}
	if reason != "" || ended != "" && (ended != ReasonRetired || rotated.successor.IsZero()) {
		return nil, nil
	}
	c.cred.n = copy(c.cred.ancestors[:], above)
	c.cred.judgeNetworks(t.from)
	if c.cred.reason == ReasonNetwork {
		return nil, nil
	}
	return rotated, nil
}
