package crash

import (
	"slices"

	"github.com/remint-go/remint"
)

// What follows when a secret is presented.

// verify is the first use of a secret, or the first reuse of a retired one.
func (a *act) verify() error {
	t := a.target()
	x := a.texts[a.Text]
	if x == nil || x.token != t.id {
		return errRefused
	}
	if a.judge(a.Text, max(a.now, t.changed)) == unconfirmed {
		a.now = max(a.now, t.changed)
		a.confirm(t)
		return nil
	}
	settled, k := t.reused(x.gen, a.now)
	if k < 0 {
		return nil
	}
	r := &settled.retired[k]
	r.reported = true
	d := a.change(t, remint.EventReuse, remint.ID{}, x.gen)
	d.token = settled
	d.ev.Age, d.ev.Reason = micros(a.now-r.at), remint.ReasonStale
	if a.now-r.at > retryWindow.Microseconds() {
		d.ev.Reason = remint.ReasonOld
	}
	return nil
}

// self is a rotation by the bearer of the token: it confirms the bearer's secret.
func (a *act) self() error {
	t := a.target()
	x := a.texts[a.Text]
	v := a.judge(a.Text, a.now)
	if x == nil || x.token != t.id || v == dead || t.usedUp || x.gen != t.newestGen() && t.used() {
		return errRefused // it has been replaced, and only authenticates
	}
	if v == unconfirmed {
		a.confirm(t)
	}
	return a.rotate()
}

// again is that rotation repeated: if it took effect, and nobody knows its secret, that is handed out.
func (a *act) again() error {
	made, t := a.lost[a.Of], a.target()
	switch {
	case made == nil:
		return a.self()
	case !a.waiting(made, a.now):
		return errRefused
	}
	a.minted = made
	a.log = append(a.log, remint.Event{
		Revision: t.revision, At: toTime(a.now), Kind: remint.EventReplay, Token: t.id, Other: t.parent, Owner: t.owner,
		Actor: t.id.String(), From: a.from(), Generation: made.gen, Reason: remint.ReasonRetry,
	})
	return nil
}

// waiting reports whether a secret is live, and waits for its first use.
func (w *world) waiting(x *secret, now int64) bool {
	t := w.tokens[x.token]
	if t == nil || !w.live(t, now) {
		return false
	}
	newest := t.liveSlots(now)[0]
	return newest != nil && newest.gen == x.gen && !newest.confirmed
}

// reused returns the token as it is at that time, and the place in it of a retired secret whose
// reuse has not been reported, or -1.
func (t *token) reused(gen uint64, now int64) (settled *token, k int) {
	c := t.clone()
	c.settle(now)
	if c.newestGen() == gen && (c.stopped != 0 || over(c.until, now)) {
		c.remember(c.newest, earliest(c.stopped, c.until))
	}
	k = slices.IndexFunc(c.retired, func(r retired) bool { return r.gen == gen })
	if k >= 0 && c.retired[k].reported {
		k = -1
	}
	return c, k
}

// isReuse reports whether whoever presents that secret at that time is found to reuse it, for the
// first time. (Between the two, the token may have been revoked: then it is reported, too.)
func (t *token) isReuse(gen uint64, now int64) bool {
	for k, s := range []*slot{t.newest, t.prev, t.older} {
		if s == nil || s.gen != gen {
			continue
		}
		// It is still in its place: it must have been replaced, and used before.
		switch reason := t.ended(now); {
		case reason == remint.ReasonRetired && (k > 0 || s.confirmed):
		case reason == "" && t.liveSlots(now)[k] == nil && (k > 0 || !t.lapsed(now)):
		default:
			return false
		}
	}
	settled, k := t.reused(gen, now)
	return k >= 0 && settled.retired[k].at <= now // it may have been denied for its parent, and stopped since
}

func (a *act) confirm(t *token) {
	d := a.change(t, remint.EventConfirm, t.predecessor, t.newestGen())
	firstUse, grace := d.firstUse, d.grace
	d.newest.confirmed = true
	if d.firstUse && d.prev != nil {
		d.prev.until = earliest(d.prev.until, a.now+d.grace)
	}
	d.retire(&d.older, a.now)
	d.firstUse, d.grace, d.lapseAt = false, 0, 0
	d.settle(a.now)
	p := a.tokens[t.predecessor]
	if p == nil || p.successor != t.id || p.revoked != 0 || p.usedUp {
		return
	}
	old := a.change(p, remint.EventConfirm, t.id, p.newestGen())
	old.usedUp = true
	if firstUse {
		old.retireWhole(a.now, a.now+grace)
	}
}
