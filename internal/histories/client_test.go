package histories

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/remint-go/remint"
)

// A client does one operation after the other.
type client struct {
	w      *world
	number int // 0 is who prepares and ends the history
	rng    *rand.Rand
	seen   uint64 // the last revision of the token that it was shown

	// Of the operation that it does:
	hit  bool // the store has failed it
	late bool // and may yet do what it was told
	// target is what it rotates, and looked when that was first read.
	target remint.ID
	looked [2]int64
	// committed is what the clock showed when it last began to commit.
	committed int64
	// sweeps: it does so in an order that no seed repeats.
	sweeps bool
}

func (w *world) client(number int) *client {
	return &client{w: w, number: number, rng: rand.New(rand.NewPCG(w.seed, 100+uint64(number)))}
}

func (c *client) pause() {
	if c.number != 0 {
		c.w.sched.pause(c.number, c.rng)
	}
}

// fails reports whether the store shall fail c now, of n operations of the kind as often as
// of one commit.
func (c *client) fails(n float64) bool {
	if c.number == 0 || c.w.faults == 0 || c.sweeps || c.rng.Float64() >= c.w.faults/n {
		return false
	}
	c.hit = true
	return true
}

// next does something.
func (c *client) next() {
	switch n := c.rng.IntN(100); {
	case n < 10:
		d := time.Duration(1+c.rng.IntN(4)) * time.Second
		if c.rng.IntN(5) == 0 {
			d = lapseAfter
		}
		c.w.clock.advance(d)
		c.w.sched.elapse(d)
	case n < 44:
		c.verify(c.someSecret())
	default:
		c.change()
	}
}

// someSecret is mostly one that works.
func (c *client) someSecret() handed {
	if c.w.managed && c.rng.IntN(3) == 0 {
		if h, found := c.w.anyOfASession(c.rng); found {
			return h
		}
	}
	if c.rng.IntN(2) == 0 {
		return c.w.newestHanded()
	}
	return c.w.anyHanded(c.rng)
}

func (c *client) verify(h handed) {
	c.do(call{kind: doVerify, secret: h.by, owner: h.owner, target: h.owner}, h.text, remint.ID{})
}

// change does one of the operations of an Actor.
func (c *client) change() {
	do := call{target: c.w.start.records[0].id}
	id := c.w.token
	switch n := c.rng.IntN(100); {
	case n < 40:
		do.kind = doRotate
		do.keep = c.rng.IntN(3) == 0
		switch c.rng.IntN(3) {
		case 0:
			do.retire = atOnce
		case 1:
			do.retire, do.after = afterWhile, time.Duration(1+c.rng.IntN(6))*time.Second
		default:
			do.retire, do.after = afterFirstUse, time.Duration(c.rng.IntN(5))*time.Second
		}
		if c.rng.IntN(4) == 0 {
			do.ifRevision = c.seen
		}
	case n < 48:
		do.kind = doCancel
	case n < 56:
		do.kind = doFinish
	case n < 68:
		do.kind = doUpdate
		do.change = changeName
	case n < 74:
		do.kind = doEndSessions
	case n < 86:
		do.kind = doStartSession
		do.manages = c.rng.IntN(2) == 0
		do.lifetime = time.Duration(3+c.rng.IntN(20)) * time.Second
	case n < 91:
		do.kind = doRevoke
	case n < 93:
		do.kind = doSweep
	default:
		do.kind = doGet
	}

	// What is done to a session.
	switch do.kind {
	case doRotate, doGet, doRevoke:
		often := 1 // of 10
		if c.w.managed {
			often = 4
		}
		if do.kind == doRevoke {
			often = 8
		}
		if s, found := c.w.anySession(c.rng); found && c.rng.IntN(10) < often {
			do.target, id = s.by, s.id
		} else if do.kind == doRevoke && c.rng.IntN(3) > 0 {
			do.kind = doGet // a history goes on for longer without
		}
		do.ifRevision *= b2u(do.target == c.w.start.records[0].id)
	}

	// By whom.
	var text string
	do.actor = operator
	switch n := c.rng.IntN(20); {
	case n < 11 && do.kind != doSweep:
		h := c.someSecret()
		if do.kind == doStartSession && h.owner != do.target {
			h = c.w.newestHanded() // a session starts none
		}
		do.actor, do.secret, do.owner, text = bearer, h.by, h.owner, h.text
	case n < 14:
		do.actor = member
	case n < 15 && do.kind != doSweep:
		do.actor = stranger
	}

	if do.kind == doUpdate && do.actor != bearer {
		switch c.rng.IntN(5) {
		case 0:
			do.change = changeAttributes
		case 1:
			do.change = changeExpiry
			do.expires = c.w.clock.now().Add(time.Duration(3+c.rng.IntN(20)) * time.Second).UnixMicro()
		}
	}
	if do.kind == doUpdate && c.rng.IntN(8) == 0 {
		do.change = changeCaps
	}
	c.do(do, text, id)
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// show does what tells the state at the end.
func (c *client) show() {
	do := call{kind: doGet, actor: operator, target: c.w.start.records[0].id}
	c.do(do, "", c.w.token)
	for _, h := range c.w.allHanded() {
		c.verify(h)
	}
	c.do(do, "", c.w.token)
}

// do does one operation, and writes it down.
func (c *client) do(do call, text string, id remint.ID) {
	w := c.w
	do.id, do.client = int(w.ids.Add(1)), c.number
	do.session = do.owner != do.target || do.owner != w.start.records[0].id
	do.name = fmt.Sprint("name ", do.id)
	c.hit, c.late, c.target, c.looked, c.committed = false, false, remint.ID{}, [2]int64{}, none
	if do.kind == doRotate {
		c.target = id
	}
	c.sweeps = do.kind == doSweep
	mark := w.clock.mark()
	from := w.stamps.Add(1)
	a, g := c.ask(&do, text, id)
	to := w.stamps.Add(1)
	do.times, do.faulty, do.lost = w.clock.since(mark), c.hit, a.class == conflict
	if a.late = c.late; !w.loose {
		do.committed = c.committed
	}

	w.mu.Lock()
	if do.kind == doStartSession && a.class == ok {
		w.names[g.Token.ID()] = do.id
		w.sessions = append(w.sessions, session{do.id, g.Token.ID(), do.manages})
	}
	if (do.kind == doStartSession || do.kind == doRotate) && a.class == ok {
		w.handed = append(w.handed, handed{do.id, w.names[g.Token.ID()], g.Secret.Reveal()})
	}
	w.mu.Unlock()
	if !g.Token.IsZero() {
		if a.view = w.view(g.Token); g.Token.ID() == w.token {
			c.seen = a.view.revision
		}
		if do.kind != doVerify {
			a.view.retiresAt = none
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, recorded{call: &do, answer: a, from: from, to: to, look: c.looked})
}

func (c *client) ask(do *call, text string, id remint.ID) (*answer, remint.Grant) {
	ctx, iss := c.context(), c.w.issuers[c.number]
	var actor remint.Actor
	switch do.actor {
	case operator:
		actor = iss.Operator("op")
	case member:
		actor = iss.Member(owner, "member", remint.Allow("*"))
	case stranger:
		actor = iss.Member("other", "stranger", remint.Allow("*"))
	case bearer:
		actor = iss.Bearer(text, netip.Addr{})
	}
	var g remint.Grant
	var err error
	switch do.kind {
	case doVerify:
		g.Token, err = iss.Verify(ctx, text, netip.Addr{})
	case doGet:
		g.Token, err = actor.Get(ctx, id)
	case doRotate:
		g, err = actor.Rotate(ctx, id, do.rotation())
	case doCancel:
		g.Token, err = actor.CancelRotation(ctx, id)
	case doFinish:
		g.Token, err = actor.FinishRotation(ctx, id)
	case doUpdate:
		g.Token, err = actor.Update(ctx, id, do.edit)
	case doRevoke:
		err = actor.Revoke(ctx, id)
	case doEndSessions:
		err = actor.EndSessions(ctx, id)
	case doStartSession:
		g, err = actor.StartSession(ctx, id, remint.Session{Lifetime: do.lifetime, Manages: do.manages})
	case doSweep:
		err = iss.Sweep(ctx)
	}
	return &answer{class: classOf(err), err: err}, g
}

func (c *call) rotation() remint.Rotation {
	r := remint.Rotation{KeepSessions: c.keep, IfRevision: c.ifRevision}
	switch c.retire {
	case afterWhile:
		r.Retire = remint.RetireAfter(c.after)
	case afterFirstUse:
		r.Retire = remint.RetireAfterFirstUse(c.after)
	}
	return r
}

func (c *call) edit(spec *remint.Spec) error {
	switch c.change {
	case changeName:
		spec.Name = c.name
	case changeCaps:
		spec.Capabilities = remint.Allow(caps[0])
	case changeAttributes:
		spec.Attributes = map[string]string{"set by": c.name}
	case changeExpiry:
		spec.ExpiresAt = time.UnixMicro(c.expires)
	}
	return nil
}

func classOf(err error) class {
	var in *remint.InputError
	switch {
	case err == nil:
		return ok
	case errors.As(err, &in):
		return input
	}
	for _, c := range []struct {
		is    error
		class class
	}{
		{remint.ErrUnavailable, unavailable},
		{remint.ErrDenied, denied},
		{remint.ErrForbidden, forbidden},
		{remint.ErrNotFound, notFound},
		{remint.ErrConflict, conflict},
		{remint.ErrEnded, ended},
	} {
		if errors.Is(err, c.is) {
			return c.class
		}
	}
	if errors.Is(err, context.Canceled) {
		return "canceled"
	}
	return class("another error: " + err.Error())
}
