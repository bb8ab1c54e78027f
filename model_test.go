package remint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/remint-go/remint"
)

// The model is written from the laws and the doc comments, and knows nothing of how
// package remint does it. It drives any number of worlds (an Issuer over a store) with the
// same operations; each must answer as it predicts.

// modelClock is a clock that stands still until it is moved.
type modelClock struct{ micros atomic.Int64 }

func newModelClock() *modelClock {
	c := &modelClock{}
	c.set(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	return c
}

func (c *modelClock) now() time.Time          { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *modelClock) set(t time.Time)         { c.micros.Store(t.UnixMicro()) }
func (c *modelClock) advance(d time.Duration) { c.set(c.now().Add(d)) }

// checkMany is rapid.Check for properties that need more than its hundred runs.
func checkMany(t *testing.T, n int, property func(*rapid.T)) {
	t.Helper()
	if testing.Short() {
		n = 1
	}
	for range n {
		rapid.Check(t, property)
		if t.Failed() {
			return
		}
	}
}

const (
	modelLapse     = time.Hour
	modelRetention = 30 * 24 * time.Hour
)

type mWorld struct {
	name   string
	store  remint.Store
	iss    *remint.Issuer
	cursor remint.Cursor
	last   map[remint.ID]mStored
}

type mStored struct {
	revision uint64
	bytes    []byte
}

func newMWorld(name string, store remint.Store, clock *modelClock, opts remint.Options) *mWorld {
	opts.Now = clock.now
	iss, err := remint.New(store, &opts)
	if err != nil {
		panic(err)
	}
	return &mWorld{name: name, store: store, iss: iss, last: map[remint.ID]mStored{}}
}

// scan returns everything that w stores.
func (w *mWorld) scan() map[remint.ID]mStored {
	out := map[remint.ID]mStored{}
	var after remint.ID
	for {
		page, err := w.store.Scan(context.Background(), after, 100)
		if err != nil {
			panic(err)
		}
		for _, r := range page {
			b, _ := r.AppendBinary(nil)
			out[r.ID()] = mStored{r.Revision(), b}
			after = r.ID()
		}
		if len(page) < 100 {
			return out
		}
	}
}

// drain returns the events since the last call.
func (w *mWorld) drain() []remint.Event {
	var out []remint.Event
	for {
		page, next, err := w.iss.Events(context.Background(), w.cursor)
		if err != nil {
			panic(err)
		}
		if len(page) == 0 {
			return out
		}
		out, w.cursor = append(out, page...), next
	}
}

// An mClass is what a caller can tell of an outcome.
type mClass string

const (
	mOK          mClass = "ok"
	mDenied      mClass = "ErrDenied"
	mNetwork     mClass = "ErrNetwork"
	mForbidden   mClass = "ErrForbidden"
	mNotFound    mClass = "ErrNotFound"
	mConflict    mClass = "ErrConflict"
	mEnded       mClass = "ErrEnded"
	mUnavailable mClass = "ErrUnavailable"
	mInput       mClass = "InputError"
)

func mClassOf(err error) mClass {
	var in *remint.InputError
	switch {
	case err == nil:
		return mOK
	case errors.Is(err, remint.ErrNetwork):
		return mNetwork
	case errors.Is(err, remint.ErrDenied):
		return mDenied
	case errors.Is(err, remint.ErrForbidden):
		return mForbidden
	case errors.Is(err, remint.ErrNotFound):
		return mNotFound
	case errors.Is(err, remint.ErrConflict):
		return mConflict
	case errors.Is(err, remint.ErrEnded):
		return mEnded
	case errors.Is(err, remint.ErrUnavailable):
		return mUnavailable
	case errors.As(err, &in):
		return mInput
	}
	return mClass("unknown: " + err.Error())
}

// mSet is a set of outcomes. Where several rules are broken at once, any of theirs will do.
type mSet []mClass

func (s *mSet) add(c mClass) {
	if !slices.Contains(*s, c) {
		*s = append(*s, c)
	}
}

func (s *mSet) addIf(cond bool, c mClass) {
	if cond {
		s.add(c)
	}
}

func (s mSet) admits(c mClass) bool {
	if len(s) == 0 {
		return c == mOK
	}
	return slices.Contains(s, c)
}

// mCovers says whether the capability c covers x.
func mCovers(c, x remint.Capability) bool {
	if c == "*" {
		return true
	}
	cs, xs := strings.Split(string(c), ":"), strings.Split(string(x), ":")
	if len(cs) > len(xs) {
		return false
	}
	for i, seg := range cs {
		if seg != "*" && seg != xs[i] {
			return false
		}
	}
	return true
}

func mCapsWithin(inner, outer []remint.Capability) bool {
	for _, x := range inner {
		if !slices.ContainsFunc(outer, func(c remint.Capability) bool { return mCovers(c, x) }) {
			return false
		}
	}
	return true
}

func mNetsWithin(inner, outer []netip.Prefix) bool {
	if len(outer) == 0 {
		return true
	}
	if len(inner) == 0 {
		return false
	}
	for _, x := range inner {
		if !slices.ContainsFunc(outer, func(p netip.Prefix) bool { return p.Bits() <= x.Bits() && p.Contains(x.Addr()) }) {
			return false
		}
	}
	return true
}

func mInNets(a netip.Addr, nets []netip.Prefix) bool {
	if len(nets) == 0 {
		return true
	}
	return a.IsValid() && slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// mMin returns the earlier of two times of which the zero one is never.
func mMin(a, b time.Time) time.Time {
	switch {
	case a.IsZero():
		return b
	case b.IsZero() || a.Before(b):
		return a
	}
	return b
}

func mPassed(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// mSec is a secret that was handed out, once per world.
type mSec struct {
	n         int
	tok       *mTok
	texts     []string
	until     time.Time // when it stops by plan
	epoch     int       // of the sessions that were started with it
	confirmed bool
	gone      bool // out of its token's slots
	denied    bool // has been refused for what it is, once
}

func (s *mSec) GoString() string { return s.String() }
func (t *mTok) GoString() string { return t.String() }

func (s *mSec) String() string {
	if s == nil {
		return "none"
	}
	return fmt.Sprintf("#%d(of T%d)", s.n, s.tok.n)
}

type mTok struct {
	n   int
	ids []remint.ID

	owner   string
	caps    []remint.Capability
	nets    []netip.Prefix
	attrs   map[string]string
	expires time.Time
	parent  *mTok

	session, manages bool
	sessEpoch        int
	parentEpoch      uint64
	epoch            uint64

	revoked  bool
	retired  bool      // as a whole, at once
	retireAt time.Time // as a whole, by plan
	dropped  bool      // an undelivered successor that was cancelled or replaced
	lapse    time.Time // an undelivered successor's
	used     bool      // some secret of it was used, or it needed no confirmation
	removed  bool      // swept

	pred, succ *mTok
	succAFU    bool
	succGrace  time.Duration

	cur, unc, ret *mSec // cur is the newest, except while unc waits for its first use
	uncAFU        bool
	uncGrace      time.Duration
	uncLapse      time.Time

	lastLive time.Time
}

// settle takes what the clock has ended out of its slot.
func (t *mTok) settle(now time.Time) {
	if t.unc != nil && mPassed(t.uncLapse, now) {
		t.unc.gone, t.unc = true, nil
	}
	if t.ret != nil && mPassed(t.ret.until, now) {
		t.ret.gone, t.ret = true, nil
	}
}

func (t *mTok) slots() []*mSec {
	return slices.DeleteFunc([]*mSec{t.cur, t.unc, t.ret}, func(s *mSec) bool { return s == nil })
}

func (t *mTok) ended(now time.Time) bool {
	return t.revoked || t.retired || t.dropped || t.removed ||
		mPassed(t.expires, now) || mPassed(t.retireAt, now) || !t.used && mPassed(t.lapse, now)
}

// live says whether t and its ancestors are.
func (t *mTok) live(now time.Time) bool {
	if t.ended(now) {
		return false
	}
	if t.parent == nil {
		return true
	}
	if t.parent.epoch != t.parentEpoch || !t.parent.live(now) {
		return false
	}
	if t.session {
		t.parent.settle(now)
		return slices.ContainsFunc(t.parent.slots(), func(s *mSec) bool { return s.epoch == t.sessEpoch && !mPassed(s.until, now) })
	}
	return true
}

func (s *mSec) live(now time.Time) bool {
	s.tok.settle(now)
	return !s.gone && !mPassed(s.until, now) && s.tok.live(now)
}

func (s *mSec) verify(from netip.Addr, now time.Time) mClass {
	if !s.live(now) {
		return mDenied
	}
	for t := s.tok; t != nil; t = t.parent {
		if !mInNets(from, t.nets) {
			return mNetwork
		}
	}
	return mOK
}

// standing says whether the secret may do more than read.
func (s *mSec) standing(now time.Time) bool {
	t := s.tok
	t.settle(now)
	if t.succ != nil && t.succ.used {
		return false
	}
	return !(t.ret == s && t.cur.confirmed)
}

func (t *mTok) newest() *mSec {
	if t.unc != nil {
		return t.unc
	}
	return t.cur
}

// confirm is the first use of s.
func (s *mSec) confirm(now time.Time) {
	t := s.tok
	t.settle(now)
	if s.confirmed || t.newest() != s {
		return
	}
	s.confirmed = true
	if t.unc == s {
		if t.ret != nil {
			t.ret.gone = true
		}
		t.ret, t.cur, t.unc, t.uncLapse = t.cur, s, nil, time.Time{}
	}
	if t.uncAFU && t.ret != nil {
		t.ret.until = mMin(t.ret.until, now.Add(t.uncGrace))
	}
	t.uncAFU = false
	t.settle(now)
	if !t.used {
		t.used = true
		if p := t.pred; p != nil && p.succ == t && p.succAFU {
			if p.ret != nil {
				p.ret.gone, p.ret = true, nil
			}
			if p.succGrace == 0 {
				p.retired = true
			} else {
				p.retireAt = mMin(p.retireAt, now.Add(p.succGrace))
			}
		}
	}
}

// model is all tokens and secrets ever made.
type model struct {
	t      *rapid.T
	clock  *modelClock
	worlds []*mWorld
	toks   []*mTok
	secs   []*mSec
	epochs int
	// malformed says that the next operation's arguments cannot be used by anybody: that is
	// said before a bearer is judged.
	malformed bool
	wasLive   map[*mTok]bool // before the bearer's first use
	log       []string
}

func (m *model) now() time.Time { return m.clock.now() }

func (m *model) newEpoch() int { m.epochs++; return m.epochs }

func (m *model) logf(format string, args ...any) {
	m.log = append(m.log, fmt.Sprintf("%s  ", m.now().Format("01-02 15:04:05.000000"))+fmt.Sprintf(format, args...))
}

func (m *model) fatalf(format string, args ...any) {
	m.t.Helper()
	for _, t := range m.toks {
		m.log = append(m.log, fmt.Sprintf("%v: owner %q parent %v expires %v retireAt %v lapse %v used %v retired %v dropped %v cur %v unc %v ret %v", t, t.owner, t.parent, t.expires, t.retireAt, t.lapse, t.used, t.retired, t.dropped, t.cur, t.unc, t.ret))
	}
	m.t.Fatalf("%s\nhistory:\n\t%s", fmt.Sprintf(format, args...), strings.Join(m.log, "\n\t"))
}

func (m *model) addSec(t *mTok, grants []remint.Grant, confirmed bool) *mSec {
	s := &mSec{n: len(m.secs), tok: t, epoch: m.newEpoch(), confirmed: confirmed}
	for _, g := range grants {
		s.texts = append(s.texts, g.Secret.Reveal())
	}
	m.secs = append(m.secs, s)
	return s
}

func (m *model) addTok(t *mTok, grants []remint.Grant, confirmed bool) {
	t.n = len(m.toks)
	for _, g := range grants {
		t.ids = append(t.ids, g.Token.ID())
	}
	if t.parent != nil {
		t.parentEpoch = t.parent.epoch
	}
	t.used = confirmed
	t.lastLive = m.now()
	// What the specification leaves open is taken from the token.
	sp := grants[0].Token.Spec()
	t.epoch = grants[0].Token.State().Epoch
	t.nets = sp.Networks
	m.toks = append(m.toks, t)
	t.cur = m.addSec(t, grants, confirmed)
}

// mActor is somebody who acts.
type mActor struct {
	sec    *mSec // a bearer's
	from   netip.Addr
	member bool
	owner  string
	caps   []remint.Capability
}

func (a mActor) operator() bool { return a.sec == nil && !a.member }

func (a mActor) String() string {
	switch {
	case a.sec != nil:
		return fmt.Sprintf("bearer %v from %v", a.sec, a.from)
	case a.member:
		return fmt.Sprintf("member of %q with %v", a.owner, a.caps)
	}
	return "operator"
}

func (a mActor) on(w int, m *model) remint.Actor {
	iss := m.worlds[w].iss
	switch {
	case a.sec != nil:
		return iss.Bearer(a.sec.texts[w], a.from)
	case a.member:
		return iss.Member(a.owner, "mem", remint.Allow(a.caps...))
	}
	return iss.Operator("op")
}

// enter is what is judged before any operation. It says whether to go on.
func (a mActor) enter(now time.Time) (mClass, bool) {
	switch {
	case a.member && a.owner == "":
		return mInput, false
	case a.sec != nil:
		c := a.sec.verify(a.from, now)
		return c, c == mOK
	}
	return mOK, true
}

func (a mActor) ownerOf() string {
	if a.sec != nil {
		return a.sec.tok.owner
	}
	return a.owner
}

func (a mActor) sees(t *mTok) bool {
	return !t.removed && (a.operator() || a.ownerOf() == t.owner)
}

func (a mActor) capsWithin(c []remint.Capability) bool {
	switch {
	case a.sec != nil:
		return mCapsWithin(c, a.sec.tok.caps)
	case a.member:
		return mCapsWithin(c, a.caps)
	}
	return true
}

// reaches says whether a token with these networks under parent works only where the bearer
// does, whatever becomes of other tokens' networks.
func (a mActor) reaches(nets []netip.Prefix, parent *mTok) bool {
	for o := a.sec.tok; o != nil; o = o.parent {
		below := parent == o || parent != nil && mIsAncestor(o, parent)
		if !below && !mNetsWithin(nets, o.nets) {
			return false
		}
	}
	return true
}

// within is rule 4's test.
func (a mActor) within(t *mTok) bool {
	if !a.capsWithin(t.caps) {
		return false
	}
	return a.sec == nil || a.reaches(t.nets, t.parent) && maps.Equal(t.attrs, a.sec.tok.attrs)
}

// acting is the token as which a bearer acts: a managing session's parent.
func (a mActor) acting() *mTok {
	if a.sec == nil {
		return nil
	}
	if t := a.sec.tok; t.session {
		return t.parent
	}
	return a.sec.tok
}

func (a mActor) full(now time.Time) bool {
	if a.sec == nil {
		return true
	}
	if !a.sec.standing(now) {
		return false
	}
	t := a.sec.tok
	if !t.session {
		return true
	}
	if !t.manages {
		return false
	}
	p := t.parent
	p.settle(now)
	bears := func(s *mSec) bool { return s.epoch == t.sessEpoch && !mPassed(s.until, now) }
	return slices.ContainsFunc(p.slots(), bears) &&
		!slices.ContainsFunc(p.slots(), func(s *mSec) bool { return bears(s) && !s.standing(now) })
}

func mIsAncestor(anc, t *mTok) bool {
	for p := t.parent; p != nil; p = p.parent {
		if p == anc {
			return true
		}
	}
	return false
}

// touch is what is judged of a bounded actor before it changes t.
func (a mActor) touch(t *mTok, now time.Time, ends bool, set *mSet) {
	if a.operator() {
		return
	}
	set.addIf(!a.full(now), mForbidden)
	if a.sec != nil {
		set.addIf(mIsAncestor(t, a.acting()), mForbidden)
	}
	set.addIf(!ends && !a.within(t), mForbidden)
	set.addIf(!ends && a.sec != nil && t.session && t.manages && mIsAncestor(t.parent, a.acting()), mForbidden)
}

// hold is what is judged, beyond touch, of whoever gets a secret of t.
func (a mActor) hold(t *mTok, set *mSet) {
	if a.sec != nil && a.acting().parent != nil {
		set.addIf(!mIsAncestor(a.acting().parent, t), mForbidden)
	}
}

// replaces is what is judged of whoever drops t's unused successor.
func (a mActor) replaces(t *mTok, set *mSet) {
	if a.sec != nil && t.replaceable() {
		set.addIf(mIsAncestor(t.succ, a.acting()), mForbidden)
	}
}

// run does one operation in all worlds, which must agree with each other and with want.
func (m *model) run(what string, a mActor, want mSet, op func(w int, act remint.Actor) (any, error)) ([]any, mClass) {
	m.t.Helper()
	now := m.now()
	outs := make([]any, len(m.worlds))
	var got mClass
	if c, ok := a.enter(now); !ok {
		want = mSet{c}
	}
	if m.malformed {
		want, m.malformed = mSet{mInput}, false
	}
	for w := range m.worlds {
		out, err := op(w, a.on(w, m))
		c := mClassOf(err)
		if w == 0 {
			m.logf("%v: %s -> %v", a, what, c)
			if err != nil && c != mDenied {
				m.log[len(m.log)-1] += fmt.Sprintf(" (%v)", err)
			}
		} else if c != got {
			m.fatalf("%v: %s: %s says %v, %s says %v (%v)", a, what, m.worlds[0].name, got, m.worlds[w].name, c, err)
		}
		got, outs[w] = c, out
		if !want.admits(c) {
			m.fatalf("%s: %v: %s: got %v (%v), want %v", m.worlds[w].name, a, what, c, err, want)
		}
	}
	return outs, got
}

// check compares the audit log with the records, and Verify, List and State with the model.
// changed are the tokens that may have another revision now.
func (m *model) check(sweep bool, changed ...*mTok) {
	m.t.Helper()
	m.checkLog(sweep, changed...)
	m.checkVerify()
	m.checkLog(false, m.toks...) // first reuses
	m.checkList()
}

// checkList looks at every token: what is live, and what each one says of itself. It
// confirms nothing.
func (m *model) checkList() {
	m.t.Helper()
	now := m.now()
	for w, world := range m.worlds {
		live := map[remint.ID]bool{}
		for tok, err := range world.iss.Operator("op").List(context.Background(), remint.Query{AllOwners: true}) {
			if err != nil {
				m.fatalf("List: %v", err)
			}
			live[tok.ID()] = true
		}
		for tok, err := range world.iss.Operator("op").List(context.Background(), remint.Query{AllOwners: true, Ended: true}) {
			if err != nil {
				m.fatalf("List: %v", err)
			}
			i := slices.IndexFunc(m.toks, func(t *mTok) bool { return t.ids[w] == tok.ID() })
			t := m.toks[i]
			t.settle(now)
			if live[tok.ID()] != t.live(now) {
				m.fatalf("%s: %v is live: %v", world.name, t, live[tok.ID()])
			}
			m.checkToken(w, tok, t)
		}
	}
}

func (m *model) checkLog(sweep bool, changed ...*mTok) {
	m.t.Helper()
	for wi, w := range m.worlds {
		events := w.drain()
		next := w.scan()
		logged := map[remint.ID][]remint.Event{}
		for _, e := range events {
			logged[e.Token] = append(logged[e.Token], e)
			if !e.At.Equal(m.now()) {
				m.fatalf("%s: an event of another time: %+v", w.name, e)
			}
		}
		for id, r := range next {
			old, had := w.last[id]
			evs := logged[id]
			delete(logged, id)
			i := slices.IndexFunc(m.toks, func(t *mTok) bool { return t.ids[wi] == id })
			if i < 0 {
				m.fatalf("%s: stores %v, which nobody was given", w.name, id)
			}
			t := m.toks[i]
			if had && r.revision == old.revision {
				if !sweep && !bytes.Equal(r.bytes, old.bytes) {
					m.fatalf("%s: T%d was changed and has no other revision", w.name, t.n)
				}
				if len(evs) != 0 {
					m.fatalf("%s: events of T%d, which did not change: %+v", w.name, t.n, evs)
				}
				continue
			}
			reuses := 0
			for i, e := range evs {
				if e.Revision != old.revision+uint64(i)+1 || e.Owner != t.owner {
					m.fatalf("%s: events of T%d after revision %d: %+v", w.name, t.n, old.revision, evs)
				}
				if e.Kind == remint.EventReuse {
					reuses++
				}
			}
			if uint64(len(evs)) != r.revision-old.revision || len(evs) != 1 && len(evs) != reuses {
				m.fatalf("%s: T%d went from revision %d to %d: %+v", w.name, t.n, old.revision, r.revision, evs)
			}
			if !slices.Contains(changed, t) {
				m.fatalf("%s: T%d was changed: %+v", w.name, t.n, evs)
			}
		}
		for id := range w.last {
			if _, ok := next[id]; ok {
				continue
			}
			i := slices.IndexFunc(m.toks, func(t *mTok) bool { return t.ids[wi] == id })
			t := m.toks[i]
			evs := logged[id]
			delete(logged, id)
			if !sweep || len(evs) != 1 || evs[0].Kind != remint.EventRemove {
				m.fatalf("%s: T%d was removed: %+v", w.name, t.n, evs)
			}
			if m.now().Sub(t.lastLive) < modelRetention {
				m.fatalf("%s: T%d was removed, and was live %v ago", w.name, t.n, m.now().Sub(t.lastLive))
			}
			t.removed = true
		}
		if len(logged) > 0 {
			m.fatalf("%s: events of nothing stored: %+v", w.name, logged)
		}
		w.last = next
	}
}

func (m *model) checkVerify() {
	m.t.Helper()
	now := m.now()
	for _, t := range m.toks {
		if t.live(now) {
			t.lastLive = now
		}
		n := 0
		for _, s := range t.slots() {
			if s.live(now) {
				n++
			}
		}
		if n > 3 || t.unc == nil && n > 2 {
			m.fatalf("%v has %d live secrets", t, n)
		}
	}
	for _, s := range m.secs {
		s.tok.settle(now)
		if !s.confirmed && s.live(now) {
			continue
		}
		m.verify(s, mAddrs[s.n%len(mAddrs)])
		m.verify(s, mAddrs[0])
	}
}

// verify presents s everywhere, and confirms it in the model.
func (m *model) verify(s *mSec, from netip.Addr) {
	m.t.Helper()
	now := m.now()
	want := s.verify(from, now)
	if want == mOK {
		s.confirm(now)
	}
	for w, world := range m.worlds {
		tok, err := world.iss.Verify(context.Background(), s.texts[w], from)
		got := mClassOf(err)
		if got != want {
			m.fatalf("%s: Verify(%v, %v): got %v, want %v", world.name, s, from, got, want)
		}
		if s.denied && got != mDenied {
			m.fatalf("%s: Verify(%v, %v): was denied, and gets %v", world.name, s, from, got)
		}
		s.denied = s.denied || w == len(m.worlds)-1 && got == mDenied
		if err == nil {
			m.checkToken(w, tok, s.tok)
			if !tok.RetiresAt().Equal(s.until) && !tok.RetiresAt().Equal(mMin(s.until, s.tok.expires)) {
				m.fatalf("%s: Verify(%v): RetiresAt %v, want %v", world.name, s, tok.RetiresAt(), s.until)
			}
		}
	}
}

func (m *model) checkToken(w int, got remint.Token, t *mTok) {
	m.t.Helper()
	sp, st := got.Spec(), got.State()
	name := m.worlds[w].name
	fail := func(what string, got, want any) {
		m.t.Helper()
		m.fatalf("%s: T%d: %s is %v, want %v", name, t.n, what, got, want)
	}
	idOf := func(x *mTok) remint.ID {
		if x == nil {
			return remint.ID{}
		}
		return x.ids[w]
	}
	if got.ID() != t.ids[w] {
		fail("ID", got.ID(), t.ids[w])
	}
	if sp.Owner != t.owner {
		fail("Owner", sp.Owner, t.owner)
	}
	if c := slices.Collect(sp.Capabilities.All()); !slices.Equal(slices.Sorted(slices.Values(c)), slices.Sorted(slices.Values(t.caps))) {
		fail("Capabilities", c, t.caps)
	}
	if !mNetsWithin(sp.Networks, t.nets) || !mNetsWithin(t.nets, sp.Networks) {
		fail("Networks", sp.Networks, t.nets)
	}
	if !maps.Equal(sp.Attributes, t.attrs) {
		fail("Attributes", sp.Attributes, t.attrs)
	}
	if !sp.ExpiresAt.Equal(t.expires) {
		fail("Spec.ExpiresAt", sp.ExpiresAt, t.expires)
	}
	if x := mMin(t.expires, t.retireAt); !t.ended(m.now()) && !got.ExpiresAt().Equal(x) {
		fail("ExpiresAt", got.ExpiresAt(), x)
	}
	if sp.Parent != idOf(t.parent) {
		fail("Parent", sp.Parent, idOf(t.parent))
	}
	if got.IsSession() != t.session {
		fail("IsSession", got.IsSession(), t.session)
	}
	if st.Epoch != t.epoch {
		fail("Epoch", st.Epoch, t.epoch)
	}
	if r, err := m.worlds[w].store.Load(context.Background(), t.ids[w]); err != nil || st.Revision != r.Revision() {
		fail("Revision", st.Revision, r)
	}
	if t.revoked == st.RevokedAt.IsZero() && !t.dropped {
		fail("RevokedAt", st.RevokedAt, t.revoked)
	}
	if t.succ != nil && !t.succ.dropped && st.Successor != idOf(t.succ) || t.succ == nil && !st.Successor.IsZero() {
		fail("Successor", st.Successor, idOf(t.succ))
	}
	if st.Predecessor != idOf(t.pred) && !t.dropped {
		fail("Predecessor", st.Predecessor, idOf(t.pred))
	}
	if !t.live(m.now()) || !t.cur.live(m.now()) {
		return
	}
	unconfirmed := !t.newest().confirmed
	if unconfirmed == (st.Unconfirmed == remint.SecretState{}) {
		fail("State.Unconfirmed", st.Unconfirmed, unconfirmed)
	}
	if (t.ret != nil) == (st.Retiring == remint.SecretState{}) {
		fail("State.Retiring", st.Retiring, t.ret)
	}
	if t.ret != nil && !st.Retiring.Until.Equal(t.ret.until) && !st.Retiring.Until.Equal(mMin(t.ret.until, t.expires)) {
		fail("State.Retiring.Until", st.Retiring.Until, t.ret.until)
	}
	if st.Current.CreatedAt.IsZero() {
		fail("State.Current", st.Current, "set")
	}
	if !st.Current.Until.Equal(t.cur.until) && !st.Current.Until.Equal(mMin(t.cur.until, t.expires)) && !(t.retireAt.Equal(st.Current.Until)) {
		fail("State.Current.Until", st.Current.Until, t.cur.until)
	}
	if t.unc != nil && !st.Unconfirmed.Until.Equal(t.uncLapse) {
		fail("State.Unconfirmed.Until", st.Unconfirmed.Until, t.uncLapse)
	}
}

var (
	mCaps = []remint.Capability{"*", "r", "r:a", "r:b", "w:*", "w:x", "w:x:y", "*:a"}
	mNets = []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.1.2.0/24"),
		netip.MustParsePrefix("192.168.0.0/16"), netip.MustParsePrefix("2001:db8::/32"),
	}
	mAddrs = []netip.Addr{
		netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("10.1.9.9"), netip.MustParseAddr("10.9.9.9"),
		netip.MustParseAddr("192.168.1.1"), netip.MustParseAddr("172.16.0.1"), netip.MustParseAddr("2001:db8::1"), {},
		netip.MustParseAddr("::ffff:10.1.2.3"),
	}
	mAttrs = []map[string]string{nil, {"plan": "x"}, {"plan": "y"}}
)

func mDrawCaps(t *rapid.T) []remint.Capability {
	if rapid.IntRange(0, 2).Draw(t, "allcaps") == 0 {
		return []remint.Capability{"*"}
	}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(mCaps), 0, 3, rapid.ID).Draw(t, "caps")
}

func mDrawNets(t *rapid.T) []netip.Prefix {
	if rapid.IntRange(0, 2).Draw(t, "nonets") > 0 {
		return nil
	}
	return rapid.SliceOfNDistinct(rapid.SampledFrom(mNets), 1, 2, rapid.ID).Draw(t, "nets")
}

func mDrawAttrs(t *rapid.T) map[string]string {
	if rapid.IntRange(0, 1).Draw(t, "noattrs") > 0 {
		return nil
	}
	return rapid.SampledFrom(mAttrs).Draw(t, "attrs")
}
