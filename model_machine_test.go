package remint_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
	storebolt "github.com/remint-go/remint/store_bolt"
)

var ctxBG = context.Background()

func (m *model) pickTok(label string) *mTok {
	now := m.now()
	live := slices.DeleteFunc(slices.Clone(m.toks), func(t *mTok) bool { return !t.live(now) })
	if len(live) > 0 && rapid.IntRange(0, 4).Draw(m.t, label+" live") > 0 {
		return rapid.SampledFrom(live).Draw(m.t, label)
	}
	return rapid.SampledFrom(m.toks).Draw(m.t, label)
}

func (m *model) pickSec(label string) *mSec {
	now := m.now()
	live := slices.DeleteFunc(slices.Clone(m.secs), func(s *mSec) bool { return !s.live(now) })
	if len(live) > 0 && rapid.IntRange(0, 9).Draw(m.t, label+" live") > 0 {
		return rapid.SampledFrom(live).Draw(m.t, label)
	}
	return rapid.SampledFrom(m.secs).Draw(m.t, label)
}

// pickActor prefers a bearer of t's own, one of its sessions, or any of its owner.
func (m *model) pickActor(t *mTok) mActor {
	switch k := rapid.IntRange(0, 9).Draw(m.t, "actor"); {
	case k < 3:
		return mActor{}
	case k == 3:
		return mActor{member: true, owner: rapid.SampledFrom([]string{"a", "a", "a", "b", ""}).Draw(m.t, "member of"), caps: mDrawCaps(m.t)}
	case k < 7 && t != nil:
		now := m.now()
		near := slices.DeleteFunc(slices.Clone(m.secs), func(s *mSec) bool {
			return !s.live(now) || s.tok != t && s.tok.parent != t && (t.parent == nil || s.tok.parent != t.parent)
		})
		if len(near) > 0 {
			s := rapid.SampledFrom(near).Draw(m.t, "near")
			return mActor{sec: s, from: m.pickAddr(s)}
		}
	}
	if len(m.secs) == 0 {
		return mActor{}
	}
	s := m.pickSec("bearer")
	return mActor{sec: s, from: m.pickAddr(s)}
}

func (m *model) pickAddr(s *mSec) netip.Addr {
	a := rapid.SampledFrom(mAddrs).Draw(m.t, "from")
	if s.verify(a, m.now()) == mNetwork && rapid.IntRange(0, 3).Draw(m.t, "wrong network") > 0 {
		for _, b := range mAddrs {
			if s.verify(b, m.now()) == mOK {
				return b
			}
		}
	}
	return a
}

func (m *model) drawExpiry() time.Time {
	switch rapid.IntRange(0, 7).Draw(m.t, "expiry") {
	case 0:
		return m.now().Add(time.Microsecond)
	case 1, 2:
		return m.now().Add(time.Duration(rapid.IntRange(1, 240).Draw(m.t, "minutes")) * time.Minute)
	case 3:
		return m.now().Add(200 * 24 * time.Hour)
	case 4:
		return m.now().Add(-time.Duration(rapid.IntRange(0, 1).Draw(m.t, "past")) * time.Microsecond)
	}
	return time.Time{}
}

func mDepth(t *mTok) int {
	n := 0
	for ; t != nil; t = t.parent {
		n++
	}
	return n
}

// judgeSpec is what any issued or updated spec must keep: to the parent and to the actor.
func (m *model) judgeSpec(a mActor, parent *mTok, caps []remint.Capability, nets []netip.Prefix, set *mSet) {
	if parent != nil {
		bad := !mCapsWithin(caps, parent.caps) || len(nets) > 0 && !mNetsWithin(nets, parent.nets)
		set.addIf(bad, mInput)
		set.addIf(bad, mForbidden)
	}
	set.addIf(!a.capsWithin(caps), mForbidden)
	set.addIf(a.sec != nil && !a.reaches(nets, parent), mForbidden)
}

// begin notes that an operation of a confirms its secret, whatever comes of it.
func (m *model) begin(a mActor) {
	m.wasLive = map[*mTok]bool{}
	if m.malformed || a.sec == nil {
		return
	}
	if _, ok := a.enter(m.now()); ok {
		for _, t := range m.toks {
			m.wasLive[t] = t.live(m.now())
		}
		a.sec.confirm(m.now())
	}
}

// endedBy adds ErrEnded if t is not live. What the bearer's own first use ends, in the same
// commit, may still be taken for live: what is done to it then is in vain.
func (m *model) endedBy(t *mTok, set *mSet) {
	now := m.now()
	if t.live(now) {
		return
	}
	for x := t; x != nil; x = x.parent {
		if m.wasLive[x] && !x.live(now) && len(*set) == 0 {
			set.add(mOK)
		}
	}
	set.add(mEnded)
	if t.parent != nil && !t.parent.live(now) {
		set.add(mForbidden) // what a dead tree reaches is nobody's question
	}
}

func (m *model) issue() {
	var parent *mTok
	if len(m.toks) > 0 && rapid.IntRange(0, 2).Draw(m.t, "parent?") > 0 {
		parent = m.pickTok("parent")
	}
	a := m.pickActor(parent)
	m.begin(a)
	now := m.now()
	caps, nets, attrs := mDrawCaps(m.t), mDrawNets(m.t), mDrawAttrs(m.t)
	from := parent
	if a.sec != nil && rapid.Bool().Draw(m.t, "own") {
		from = a.sec.tok
	}
	if from != nil && rapid.IntRange(0, 3).Draw(m.t, "copy") > 0 {
		caps, nets = from.caps, from.nets
	}
	if a.sec != nil && rapid.IntRange(0, 3).Draw(m.t, "set attributes") > 0 {
		attrs = nil
	}
	owner := rapid.SampledFrom([]string{"", "", "a", "a", "b"}).Draw(m.t, "owner")
	expires := m.drawExpiry()

	var want mSet
	top := parent
	if a.sec != nil {
		top = a.acting().parent
		if parent == nil {
			parent = top
		} else {
			set := top == nil || parent == top || mIsAncestor(top, parent)
			want.addIf(!set, mForbidden)
		}
	}
	eff := owner
	if parent != nil {
		if !a.sees(parent) {
			want.add(mNotFound)
		}
		m.endedBy(parent, &want)
		if eff == "" {
			eff = parent.owner
		}
		if eff != parent.owner {
			want.add(mInput)
			want.addIf(!a.operator(), mForbidden)
		}
		want.addIf(mDepth(parent) >= 4, mInput)
	}
	if !a.operator() {
		if owner == "" {
			eff = a.ownerOf()
		}
		if eff != a.ownerOf() {
			want.add(mForbidden)
			want.add(mInput)
		}
	}
	want.addIf(!a.full(now), mForbidden)
	m.judgeSpec(a, parent, caps, nets, &want)
	if a.sec != nil {
		want.addIf(attrs != nil && !maps.Equal(attrs, a.sec.tok.attrs), mForbidden)
		if attrs != nil {
			set := !maps.Equal(attrs, a.sec.tok.attrs)
			want.addIf(set, mInput)
		}
	}
	want.addIf(!expires.IsZero() && !now.Before(expires), mInput)

	outs, got := m.run(fmt.Sprintf("Issue(owner %q, parent %v, %v, %v, %v, expires %v)", owner, parent, caps, nets, attrs, expires), a, want,
		func(w int, act remint.Actor) (any, error) {
			sp := remint.Spec{Owner: owner, Capabilities: remint.Allow(caps...), Networks: nets, Attributes: attrs, ExpiresAt: expires}
			if parent != nil && (a.sec == nil || parent != top || owner == "a") {
				sp.Parent = parent.ids[w]
			}
			g, err := act.Issue(ctxBG, sp)
			return g, err
		})
	var changed []*mTok
	if a.sec != nil {
		changed = append(changed, a.sec.tok)
		attrs = a.sec.tok.attrs
	}
	if got == mOK {
		t := &mTok{owner: eff, caps: caps, nets: nets, attrs: attrs, expires: expires, parent: parent}
		m.addTok(t, mGrants(outs), true)
		changed = append(changed, t)
	}
	m.after(a, changed...)
}

func (t *mTok) String() string {
	if t == nil {
		return "none"
	}
	return fmt.Sprintf("T%d", t.n)
}

func mGrants(outs []any) []remint.Grant {
	var gs []remint.Grant
	for _, o := range outs {
		gs = append(gs, o.(remint.Grant))
	}
	return gs
}

// after checks everything. A bearer's token, and the predecessor that its first use
// retires, may have changed, too.
func (m *model) after(a mActor, changed ...*mTok) {
	m.t.Helper()
	if a.sec != nil {
		changed = append(changed, a.sec.tok)
		if p := a.sec.tok.pred; p != nil {
			changed = append(changed, p)
		}
	}
	m.check(false, changed...)
}

func (m *model) startSession() {
	t := m.pickTok("token")
	a := m.pickActor(t)
	m.begin(a)
	now := m.now()
	var caps []remint.Capability
	if rapid.Bool().Draw(m.t, "narrow") {
		caps = mDrawCaps(m.t)
	}
	life := rapid.SampledFrom([]time.Duration{0, 0, time.Microsecond, 30 * time.Minute, 100 * 24 * time.Hour, -1}).Draw(m.t, "lifetime")
	manages := rapid.Bool().Draw(m.t, "manages")

	var want mSet
	if !a.sees(t) {
		want.add(mNotFound)
		want.addIf(!a.full(now), mForbidden)
		want.addIf(life < 0, mInput)
	} else {
		a.touch(t, now, false, &want)
		a.hold(t, &want)
		m.endedBy(t, &want)
		want.addIf(t.cur.gone || mPassed(t.cur.until, now), mEnded) // no secret to start it with
		if t.session {
			want.add(mForbidden)
			want.add(mInput)
		}
		want.addIf(life < 0, mInput)
		want.addIf(mDepth(t) >= 4, mInput)
		if len(caps) > 0 && !mCapsWithin(caps, t.caps) {
			want.add(mInput)
			want.add(mForbidden)
		}
		if a.member {
			c := caps
			if len(c) == 0 {
				c = t.caps
			}
			want.addIf(!a.capsWithin(c), mForbidden)
		}
	}
	outs, got := m.run(fmt.Sprintf("StartSession(%v, %v, %v, manages %v)", t, caps, life, manages), a, want,
		func(w int, act remint.Actor) (any, error) {
			g, err := act.StartSession(ctxBG, t.ids[w], remint.Session{Lifetime: life, Capabilities: remint.Allow(caps...), Manages: manages})
			return g, err
		})
	changed := []*mTok{}
	if got == mOK {
		from := t.cur
		epoch := 0
		switch {
		case a.sec != nil && a.sec.tok == t:
			from = a.sec
		case a.sec != nil && a.sec.tok.session && a.sec.tok.parent == t:
			epoch = a.sec.tok.sessEpoch // no more standing than the secret that it was started with
		}
		if epoch == 0 {
			epoch = from.epoch
		}
		if len(caps) == 0 {
			caps = t.caps
		}
		gs := mGrants(outs)
		exp := gs[0].Token.Spec().ExpiresAt
		if life == 0 {
			life = 24 * time.Hour
		}
		if limit := now.Add(life); exp.IsZero() || exp.After(limit) {
			m.fatalf("the session lives until %v, and should until %v", exp, limit)
		}
		s := &mTok{owner: t.owner, caps: caps, nets: t.nets, attrs: t.attrs, expires: exp, parent: t, session: true, manages: manages, sessEpoch: epoch}
		m.addTok(s, gs, true)
		changed = append(changed, s)
	}
	m.after(a, changed...)
}

func (m *model) settle() {
	for _, t := range m.toks {
		t.settle(m.now())
	}
}

func (m *model) endSessions() {
	t := m.pickTok("token")
	a := m.pickActor(t)
	m.begin(a)
	now := m.now()
	var want mSet
	if !a.sees(t) {
		want.add(mNotFound)
		want.addIf(!a.full(now), mForbidden)
	} else {
		a.touch(t, now, true, &want)
	}
	outs, got := m.run(fmt.Sprintf("EndSessions(%v)", t), a, want, func(w int, act remint.Actor) (any, error) {
		return nil, act.EndSessions(ctxBG, t.ids[w])
	})
	_ = outs
	if got == mOK {
		m.newTokEpoch(t, !t.live(now))
	}
	m.after(a, t)
}

// newTokEpoch notes that the children of t have ended.
func (m *model) newTokEpoch(t *mTok, maybe bool) {
	for w, world := range m.worlds {
		tok, err := world.iss.Operator("op").Get(ctxBG, t.ids[w])
		if err != nil {
			m.fatalf("Get(%v): %v", t, err)
		}
		e := tok.State().Epoch
		if e < t.epoch || e == t.epoch && !maybe && w == 0 {
			m.fatalf("%v's epoch went from %d to %d", t, t.epoch, e)
		}
		if w == len(m.worlds)-1 {
			t.epoch = e
		}
	}
}

func (m *model) revoke() {
	t := m.pickTok("token")
	a := m.pickActor(t)
	m.begin(a)
	now := m.now()
	var want mSet
	if !a.sees(t) {
		want.add(mNotFound)
		want.addIf(!a.full(now), mForbidden)
	} else if !(a.sec != nil && a.sec.tok == t && t.session) {
		a.touch(t, now, true, &want)
	}
	_, got := m.run(fmt.Sprintf("Revoke(%v)", t), a, want, func(w int, act remint.Actor) (any, error) {
		return nil, act.Revoke(ctxBG, t.ids[w])
	})
	if got == mOK {
		wasLive := t.live(now)
		tok, err := m.worlds[0].iss.Operator("op").Get(ctxBG, t.ids[0])
		if err != nil {
			m.fatalf("Get(%v): %v", t, err)
		}
		if wasLive && tok.State().RevokedAt.IsZero() {
			m.fatalf("Revoke(%v) of a live token did nothing", t)
		}
		t.revoked = t.revoked || !tok.State().RevokedAt.IsZero()
		if !t.revoked {
			m.logf("(Revoke left %v as it was)", t)
		}
		t.epoch = max(t.epoch, tok.State().Epoch)
	}
	m.after(a, t)
}

func (m *model) update() {
	t := m.pickTok("token")
	a := m.pickActor(t)
	m.begin(a)
	now := m.now()
	caps, nets, attrs, expires := t.caps, t.nets, t.attrs, t.expires
	switch rapid.IntRange(0, 4).Draw(m.t, "change") {
	case 0:
		caps = mDrawCaps(m.t)
	case 1:
		nets = mDrawNets(m.t)
	case 2:
		attrs = mDrawAttrs(m.t)
	case 3, 4:
		expires = m.drawExpiry()
	}
	later := !t.expires.IsZero() && (expires.IsZero() || expires.After(t.expires))
	var want mSet
	if !a.sees(t) {
		want.add(mNotFound)
		want.addIf(!a.full(now), mForbidden)
	} else {
		a.touch(t, now, false, &want)
		m.endedBy(t, &want)
		if len(want) == 0 || !slices.Contains(want, mEnded) {
			m.judgeSpec(a, t.parent, caps, nets, &want)
		}
		if a.sec != nil {
			set := !maps.Equal(attrs, t.attrs)
			want.addIf(set, mForbidden)
			self := t == a.sec.tok || t == a.acting()
			want.addIf(self && (later || !mNetsWithin(nets, t.nets)), mForbidden)
		}
		want.addIf(!expires.IsZero() && !now.Before(expires), mInput)
		if len(want) > 0 && !slices.Contains(want, mEnded) {
			m.judgeSpec(a, t.parent, caps, nets, &want)
		}
		if t.session && len(want) == 0 && later {
			want = append(want, mOK, mInput, mForbidden) // silent
		}
	}
	_, got := m.run(fmt.Sprintf("Update(%v, %v, %v, %v, expires %v)", t, caps, nets, attrs, expires), a, want,
		func(w int, act remint.Actor) (any, error) {
			tok, err := act.Update(ctxBG, t.ids[w], func(s *remint.Spec) error {
				s.Capabilities, s.Networks, s.Attributes, s.ExpiresAt = remint.Allow(caps...), nets, attrs, expires
				return nil
			})
			return tok, err
		})
	if got == mOK {
		if !mCapsWithin(t.caps, caps) || !mNetsWithin(t.nets, nets) {
			m.newTokEpoch(t, false)
		} else {
			before := t.epoch
			m.newTokEpoch(t, true)
			if t.epoch != before {
				m.fatalf("an Update of %v that took nothing away ended its descendants", t)
			}
			if !maps.Equal(t.attrs, attrs) { // its sessions end
				anew := map[int]int{}
				for _, s := range t.slots() {
					if anew[s.epoch] == 0 {
						anew[s.epoch] = m.newEpoch()
					}
					s.epoch = anew[s.epoch]
				}
			}
		}
		t.caps, t.nets, t.attrs, t.expires = caps, nets, attrs, expires
	}
	m.after(a, t)
}

func (m *model) get() {
	t := m.pickTok("token")
	a := m.pickActor(t)
	m.begin(a)
	var want mSet
	want.addIf(!a.sees(t), mNotFound)
	outs, got := m.run(fmt.Sprintf("Get(%v)", t), a, want, func(w int, act remint.Actor) (any, error) {
		tok, err := act.Get(ctxBG, t.ids[w])
		return tok, err
	})
	if got == mOK {
		for w, o := range outs {
			m.checkToken(w, o.(remint.Token), t)
		}
	}
	m.after(a)
}

func (m *model) list() {
	t := m.pickTok("token")
	a := m.pickActor(t)
	m.begin(a)
	q := rapid.SampledFrom([]string{"owner", "all", "children"}).Draw(m.t, "query")
	ended := rapid.Bool().Draw(m.t, "ended")
	var want mSet
	switch q {
	case "all":
		want.addIf(!a.operator(), mForbidden)
	case "children":
		if !a.sees(t) {
			want = append(want, mNotFound, mOK) // silent: what an unknown parent answers
		}
	case "owner":
		if !a.operator() && a.ownerOf() != t.owner && t.owner != "" {
			want = append(want, mNotFound, mForbidden, mOK)
		}
	}
	outs, got := m.run(fmt.Sprintf("List(%s of %v, ended %v)", q, t, ended), a, want, func(w int, act remint.Actor) (any, error) {
		query := remint.Query{Ended: ended}
		switch q {
		case "all":
			query.AllOwners = true
		case "owner":
			query.Owner = t.owner
		case "children":
			query.Parent = t.ids[w]
		}
		var ids []remint.ID
		for tok, err := range act.List(ctxBG, query) {
			if err != nil {
				return ids, err
			}
			ids = append(ids, tok.ID())
		}
		return ids, nil
	})
	now := m.now()
	if got == mOK {
		for w, o := range outs {
			ids := o.([]remint.ID)
			if !slices.IsSortedFunc(ids, remint.ID.Compare) {
				m.fatalf("the list is not in order")
			}
			for _, x := range m.toks {
				in := !x.removed
				switch q {
				case "owner":
					owner := t.owner
					if owner == "" && !a.operator() {
						owner = a.ownerOf()
					}
					in = in && x.owner == owner && x.parent == nil
				case "children":
					in = in && x.parent == t
				}
				in = in && a.sees(x)
				found := slices.Contains(ids, x.ids[w])
				if found && (!in || !ended && (x.revoked || mPassed(x.expires, now))) || !found && in && (ended || x.live(now)) {
					m.fatalf("%v in the list: %v", x, found)
				}
			}
		}
	}
	m.after(a)
}

func (m *model) verifyAny() {
	s := m.pickSec("secret")
	from := m.pickAddr(s)
	m.logf("Verify(%v, %v): want %v", s, from, s.verify(from, m.now()))
	m.verify(s, from)
	m.after(mActor{sec: s})
}

func (m *model) instants() []time.Time {
	var out []time.Time
	for _, t := range m.toks {
		out = append(out, t.expires, t.retireAt, t.lapse, t.uncLapse)
		for _, s := range t.slots() {
			out = append(out, s.until)
		}
	}
	now := m.now()
	return slices.DeleteFunc(out, func(x time.Time) bool { return !x.After(now) })
}

func (m *model) tick() {
	switch k := rapid.IntRange(0, 9).Draw(m.t, "tick"); {
	case k < 3:
		m.clock.advance(time.Microsecond)
	case k < 8:
		if in := m.instants(); len(in) > 0 {
			to := rapid.SampledFrom(in).Draw(m.t, "edge").Add(time.Duration(rapid.IntRange(-1, 1).Draw(m.t, "off")) * time.Microsecond)
			if to.After(m.now()) {
				m.clock.set(to)
			}
		}
	case k == 8:
		m.clock.advance(10 * time.Minute)
	default:
		m.clock.advance(time.Duration(rapid.IntRange(1, 40).Draw(m.t, "days")) * 24 * time.Hour)
	}
	m.logf("the time has come")
	m.settle()
	m.check(false)
}

func (m *model) sweep() {
	m.logf("Sweep")
	for _, w := range m.worlds {
		if err := w.iss.Sweep(ctxBG); err != nil {
			m.fatalf("Sweep: %v", err)
		}
	}
	m.checkLog(true)
	m.check(false)
}

func (m *model) cancel() {
	t := m.pickTok("token")
	a := m.pickActor(t)
	m.begin(a)
	now := m.now()
	t.settle(now)
	var want mSet
	if !a.sees(t) {
		want.add(mNotFound)
		want.addIf(!a.full(now), mForbidden)
	} else {
		a.touch(t, now, false, &want)
		a.replaces(t, &want)
		m.endedBy(t, &want)
	}
	_, got := m.run(fmt.Sprintf("CancelRotation(%v)", t), a, want, func(w int, act remint.Actor) (any, error) {
		tok, err := act.CancelRotation(ctxBG, t.ids[w])
		return tok, err
	})
	changed := []*mTok{t}
	if got == mOK {
		t.settle(now)
		dropped := true
		switch {
		case t.unc != nil:
			t.unc.gone, t.unc, t.uncLapse = true, nil, time.Time{}
			t.cur.until = time.Time{}
		case !t.cur.confirmed && t.ret != nil:
			t.cur.gone = true
			t.cur, t.ret = t.ret, nil
			t.cur.until = time.Time{}
		default:
			dropped = false
		}
		if dropped && t.succ != nil && !t.succ.used && !t.replaceable() {
			t.succ, t.retireAt = nil, time.Time{}
		}
		if t.succ != nil && !t.succ.used && (t.replaceable() && !mPassed(t.succ.lapse, now) || !t.retireAt.IsZero()) {
			changed = append(changed, t.succ)
			t.succ.dropped = t.succ.dropped || t.replaceable()
			t.succ = nil
			t.retireAt = time.Time{} // and what was planned for that
			if !mPassed(t.cur.until, now) {
				t.cur.until = time.Time{} // what has stopped stays so
			}
		}
	}
	m.after(a, changed...)
}

func (m *model) finish() {
	t := m.pickTok("token")
	a := m.pickActor(t)
	m.begin(a)
	now := m.now()
	t.settle(now)
	var want mSet
	if !a.sees(t) {
		want.add(mNotFound)
		want.addIf(!a.full(now), mForbidden)
	} else {
		a.touch(t, now, false, &want)
		a.replaces(t, &want)
		m.endedBy(t, &want)
		want.addIf(t.unc != nil || t.ret != nil && !t.cur.confirmed, mConflict)
		want.addIf(t.succ != nil && !t.succ.used && !t.succ.ended(now), mConflict)
		want.addIf(!t.used && !t.lapse.IsZero(), mConflict) // silent: a successor that waits itself
	}
	_, got := m.run(fmt.Sprintf("FinishRotation(%v)", t), a, want, func(w int, act remint.Actor) (any, error) {
		tok, err := act.FinishRotation(ctxBG, t.ids[w])
		return tok, err
	})
	changed := []*mTok{t}
	if t.succ != nil {
		changed = append(changed, t.succ)
	}
	if got == mOK {
		t.settle(now)
		if t.ret != nil {
			t.ret.gone, t.ret = true, nil
		}
		if t.succ != nil && t.succ.used {
			t.retired = true
		}
	}
	m.after(a, changed...)
}

func (m *model) rotate() {
	t := m.pickTok("token")
	a := m.pickActor(t)
	now := m.now()
	t.settle(now)

	keep := rapid.IntRange(0, 2).Draw(m.t, "keep") == 0
	mode := rapid.SampledFrom([]string{"once", "after", "after", "afu", "afu"}).Draw(m.t, "retire")
	var ret remint.Retirement
	var d time.Duration
	switch mode {
	case "after":
		d = rapid.SampledFrom([]time.Duration{0, time.Microsecond, 10 * time.Minute, 2 * time.Hour, -1}).Draw(m.t, "d")
		if rapid.Bool().Draw(m.t, "at") {
			ret = remint.RetireAt(now.Add(d.Truncate(time.Microsecond)))
			if d < 0 {
				d = 0
			}
		} else {
			ret = remint.RetireAfter(d)
		}
	case "afu":
		d = rapid.SampledFrom([]time.Duration{0, time.Microsecond, 10 * time.Minute, 2 * time.Hour, -1}).Draw(m.t, "grace")
		ret = remint.RetireAfterFirstUse(d)
	}
	var want mSet
	want.addIf(d < 0, mInput)
	m.malformed = d < 0
	var ifRev uint64
	cur := m.worlds[0].scan()[t.ids[0]].revision
	switch rapid.IntRange(0, 4).Draw(m.t, "if") {
	case 0:
		ifRev = cur
	case 1:
		if cur > 1 {
			ifRev = cur - 1
		}
	}
	var succ *remint.Successor
	caps, nets, attrs, expires := t.caps, t.nets, t.attrs, t.expires
	said := false
	if rapid.IntRange(0, 2).Draw(m.t, "successor") == 0 {
		succ = &remint.Successor{}
		if rapid.Bool().Draw(m.t, "spec") {
			if rapid.Bool().Draw(m.t, "other") {
				caps, nets = mDrawCaps(m.t), mDrawNets(m.t)
			}
			attrs = mDrawAttrs(m.t)
			expires = m.drawExpiry()
			said = true
			succ.Spec = &remint.Spec{Capabilities: remint.Allow(caps...), Networks: nets, Attributes: attrs, ExpiresAt: expires}
			if rapid.IntRange(0, 4).Draw(m.t, "owner") == 0 {
				succ.Spec.Owner = rapid.SampledFrom([]string{"a", "b"}).Draw(m.t, "owner")
			}
		}
		if rapid.Bool().Draw(m.t, "expires") {
			e := m.drawExpiry()
			succ.ExpiresAt, expires, said = &e, e, true
		}
	}
	m.malformed = m.malformed || succ != nil && keep
	m.begin(a)
	if !a.sees(t) {
		want.add(mNotFound)
		want.addIf(!a.full(now), mForbidden)
	} else {
		a.touch(t, now, false, &want)
		a.hold(t, &want)
		a.replaces(t, &want)
		if p := t.pred; p != nil && a.sec != nil && mIsAncestor(p, a.acting()) {
			want = append(want, mForbidden, mOK)
		}
		want.addIf(ifRev != 0 && ifRev != cur, mConflict)
		want.addIf(t.succ != nil && t.succ.used, mConflict)
		ancestorsDead := t.parent != nil && (t.parent.epoch != t.parentEpoch || !t.parent.live(now))
		if t.session && !t.live(now) {
			ancestorsDead = true
		}
		unusedRetired := t.replaceable() && (t.retired || mPassed(t.retireAt, now))
		lapsed := !t.used && mPassed(t.lapse, now)
		switch {
		case t.revoked || t.dropped || lapsed || ancestorsDead:
			m.endedBy(t, &want)
		case t.retired && !unusedRetired: // expired, too, or not
			want.add(mEnded)
		case mPassed(t.expires, now):
			want.addIf(succ == nil || !said, mEnded)
			want.addIf(succ != nil && !said, mInput)
		case t.ended(now):
			want.addIf(succ == nil || !unusedRetired, mEnded)
		}
		if succ != nil {
			want.addIf(keep, mInput)
			if t.session {
				want.add(mInput)
				want.add(mForbidden)
			}
			m.judgeSpec(a, t.parent, caps, nets, &want)
			if succ.Spec != nil && succ.Spec.Owner != "" && succ.Spec.Owner != t.owner {
				want.add(mInput)
				want.addIf(!a.operator(), mForbidden)
				want.addIf(!a.operator(), mNotFound)
			}
			want.addIf(!expires.IsZero() && !now.Before(expires), mInput)
			if a.sec != nil {
				if succ.Spec != nil {
					set := attrs != nil && !maps.Equal(attrs, a.sec.tok.attrs)
					want.addIf(set, mForbidden)
					want.addIf(set, mInput)
					if !set {
						attrs = a.sec.tok.attrs
					}
				}
			}
		}
	}
	what := fmt.Sprintf("Rotate(%v, %s %v, keep %v, ifrev %d of %d", t, mode, d, keep, ifRev, cur)
	if succ != nil {
		what += fmt.Sprintf(", successor %v %v %v spec %v expires %v", caps, nets, attrs, succ.Spec != nil, expires)
	}
	outs, got := m.run(what+")", a, want, func(w int, act remint.Actor) (any, error) {
		g, err := act.Rotate(ctxBG, t.ids[w], remint.Rotation{Retire: ret, Successor: succ, KeepSessions: keep, IfRevision: ifRev})
		return g, err
	})
	changed := []*mTok{t}
	if t.succ != nil {
		changed = append(changed, t.succ)
	}
	if t.pred != nil {
		changed = append(changed, t.pred)
	}
	if got == mOK {
		if succ != nil {
			changed = append(changed, m.rotatedTo(t, mode, d, mGrants(outs), caps, nets, attrs, expires))
		} else {
			m.rotated(t, mode, d, keep, mGrants(outs))
		}
	}
	m.after(a, changed...)
}

// replaceable says whether t has a successor that another rotation replaces: nobody has
// used it, and nobody revoked it.
func (t *mTok) replaceable() bool {
	return t.succ != nil && !t.succ.used && !t.succ.revoked && !t.succ.removed
}

// rotated notes a new secret of t.
func (m *model) rotated(t *mTok, mode string, d time.Duration, keep bool, gs []remint.Grant) {
	now := m.now()
	if !t.used && !t.lapse.IsZero() {
		t.lapse = now.Add(modelLapse)
	}
	t.settle(now)
	out, older, sessions := t.cur, t.ret, t.cur.epoch
	switch {
	case t.unc != nil:
		t.unc.gone, t.unc = true, nil
	case !t.cur.confirmed:
		t.cur.gone = true
		out, older = t.ret, nil
		if out != nil {
			sessions = out.epoch
		}
	}
	if t.replaceable() {
		t.succ.dropped, t.succ = true, nil
		if out != nil {
			out.until = mMin(out.until, t.retireAt)
		}
		t.retireAt = time.Time{}
	}
	if out != nil && mPassed(out.until, now) {
		sessions = m.newEpoch() // they have stopped with it, and nothing brings them back
	}
	wasUsed := t.used
	s := m.addSec(t, gs, false)
	t.used = wasUsed
	if keep {
		s.epoch = sessions
	}
	t.uncLapse, t.uncGrace, t.uncAFU = time.Time{}, d, mode == "afu"
	if mode == "afu" && out != nil && out.until.IsZero() {
		t.cur, t.unc, t.ret = out, s, older
		t.uncLapse = now.Add(modelLapse)
		return
	}
	if mode == "afu" && out != nil { // it does not live on: the new one is what counts
		t.cur, t.ret = s, out
		return
	}
	if older != nil {
		older.gone = true
	}
	t.cur, t.ret = s, nil
	if out != nil {
		if mode == "after" && d > 0 {
			out.until = mMin(mMin(out.until, now.Add(d)), t.expires)
			t.ret = out
		} else {
			out.gone = true
		}
	}
	t.settle(now)
}

// rotatedTo notes a successor of t.
func (m *model) rotatedTo(t *mTok, mode string, d time.Duration, gs []remint.Grant, caps []remint.Capability, nets []netip.Prefix, attrs map[string]string, expires time.Time) *mTok {
	now := m.now()
	if p := t.pred; p != nil && p.succ == t && !t.used && !p.revoked && !p.removed {
		// Nobody has used t: n takes its place, with what was planned for that.
		n := &mTok{owner: t.owner, caps: caps, nets: nets, attrs: attrs, expires: expires, parent: t.parent, pred: p}
		if !t.lapse.IsZero() {
			n.lapse = now.Add(modelLapse)
		}
		m.addTok(n, gs, false)
		p.succ, t.dropped = n, true
		return n
	}
	if t.succ != nil {
		t.succ.dropped = true
	}
	n := &mTok{owner: t.owner, caps: caps, nets: nets, attrs: attrs, expires: expires, parent: t.parent, pred: t}
	m.addTok(n, gs, false)
	t.succ, t.succAFU = n, false
	t.settle(now)
	out := t.cur
	switch {
	case t.unc != nil:
		t.unc.gone, t.unc = true, nil
	case !t.cur.confirmed:
		t.cur.gone = true
		out = t.ret
		if out != nil {
			t.cur, t.ret = out, nil
		}
	}
	if mode != "afu" && t.ret != nil {
		t.ret.gone, t.ret = true, nil
	}
	if out != nil && mPassed(out.until, now) {
		out = nil // it has stopped
	}
	alive := !t.ended(now) && out != nil && out.until.IsZero()
	switch {
	case out == nil: // nothing is left that could go on
		t.retired = true
	case mode == "afu":
		t.succAFU, t.succGrace = true, d
		if lapse := now.Add(modelLapse); alive && t.retireAt.IsZero() && (t.expires.IsZero() || t.expires.After(lapse)) {
			n.lapse = now.Add(modelLapse)
		}
	case mode == "after" && d > 0:
		t.retireAt = mMin(mMin(t.retireAt, out.until), mMin(now.Add(d), t.expires))
	default:
		t.retired = true
	}
	return n
}

func (m *model) run1(op string) {
	switch op {
	case "issue":
		m.issue()
	case "session":
		m.startSession()
	case "end":
		m.endSessions()
	case "revoke":
		m.revoke()
	case "update":
		m.update()
	case "rotate":
		m.rotate()
	case "cancel":
		m.cancel()
	case "finish":
		m.finish()
	case "verify":
		m.verifyAny()
	case "tick":
		m.tick()
	case "get":
		m.get()
	case "list":
		m.list()
	case "sweep":
		m.sweep()
	}
}

var mOps = []string{
	"rotate", "rotate", "rotate", "rotate", "rotate", "rotate", "verify", "verify", "verify", "verify", "tick", "tick", "tick", "tick",
	"issue", "issue", "session", "session", "session", "end", "revoke", "update", "update", "cancel", "finish", "get", "list", "sweep",
}

func (m *model) drive(steps int) {
	m.seed()
	// Each run leaves some operations out, so that the others meet more often.
	ops := slices.DeleteFunc(slices.Clone(mOps), func(op string) bool {
		return op != "tick" && op != "verify" && op != "rotate" && rapid.IntRange(0, 2).Draw(m.t, "without "+op) == 0
	})
	for range rapid.IntRange(steps/2, steps).Draw(m.t, "steps") {
		m.run1(rapid.SampledFrom(ops).Draw(m.t, "op"))
	}
}

// seed issues the first tokens: two owners' roots, and often a child and its session.
func (m *model) seed() {
	plant := func(t *mTok) *mTok {
		outs, _ := m.run("Issue", mActor{}, nil, func(w int, act remint.Actor) (any, error) {
			sp := remint.Spec{Owner: t.owner, Capabilities: remint.Allow(t.caps...), ExpiresAt: t.expires}
			if t.parent != nil {
				sp.Parent = t.parent.ids[w]
			}
			g, err := act.Issue(ctxBG, sp)
			return g, err
		})
		m.addTok(t, mGrants(outs), true)
		m.check(false, t)
		return t
	}
	all := []remint.Capability{"*"}
	root := plant(&mTok{owner: "a", caps: all})
	plant(&mTok{owner: "b", caps: []remint.Capability{"r"}})
	if rapid.Bool().Draw(m.t, "family") {
		user := plant(&mTok{owner: "a", caps: all, parent: root, expires: m.now().Add(3 * time.Hour)})
		outs, _ := m.run("StartSession", mActor{}, nil, func(w int, act remint.Actor) (any, error) {
			g, err := act.StartSession(ctxBG, user.ids[w], remint.Session{Manages: true, Lifetime: time.Hour})
			return g, err
		})
		s := &mTok{owner: "a", caps: all, parent: user, session: true, manages: true, sessEpoch: user.cur.epoch, expires: m.now().Add(time.Hour)}
		m.addTok(s, mGrants(outs), true)
		m.check(false, s)
		plant(&mTok{owner: "a", caps: all})
	}
}

func newMapStore() remint.Store { return &mapStore{recs: map[remint.ID]*remint.Record{}} }

func newModel(t *rapid.T, stores ...remint.Store) *model {
	m := &model{t: t, clock: newModelClock()}
	for i, s := range stores {
		m.worlds = append(m.worlds, newMWorld(fmt.Sprintf("world %d", i), s, m.clock, remint.Options{Lapse: modelLapse, Retention: modelRetention}))
	}
	return m
}

// It fails without each of these (internal/mutants): the rise of an epoch; the refusal to update
// what has ended; rule 6 for its own ancestors; the end of the sessions with the secret that they
// came from; the end of what descends from a token that loses a capability; the end of what
// descends from a token that loses a network; rule 7, that an older secret stops when the next one
// is used; rule 7, that what was retiring before stops at once; the grace of the predecessor, which
// the next rotation does not lengthen; the grace that is counted from the first use.
func TestEveryAnswerIsWhatTheLawsPredict(t *testing.T) {
	checkMany(t, 30, func(t *rapid.T) {
		newModel(t, newMapStore()).drive(40)
	})
}

// Memory is the store that this repository gives, and a mapStore the one that its example
// shows: driven with the same operations, they agree on every answer.
func TestMemoryAndMapAgreeOnEveryAnswer(t *testing.T) {
	checkMany(t, 15, func(t *rapid.T) {
		newModel(t, new(store.Memory), newMapStore()).drive(30)
	})
}

func TestBoltAndMemoryAgreeOnEveryAnswer(t *testing.T) {
	dir := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprintf("%d.db", n))
		bolt, err := storebolt.Open(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := bolt.Close(); err != nil {
				t.Error(err)
			}
			_ = os.Remove(path)
		}()
		newModel(t, bolt, new(store.Memory)).drive(8)
	})
}
