package remint_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/remint-go/remint"
)

// A thiefWorld is one state of a token that its owner and a thief fight for, in the store and
// in the model. What anybody does makes another one of it.
type thiefWorld struct {
	recs    map[remint.ID]*remint.Record
	model   thiefModel
	creds   []tCred // as model.secs
	ids     []remint.ID
	entries []tEntry

	knowsKey bool           // the thief sees the owner's retry keys
	newest   int            // the newest secret of the line that the owner has used
	kept     bool           // sessions were handed on
	end      time.Time      // of the token
	up       *thiefWorld    // what this was made of,
	did      tMove          // by this
	events   []remint.Event // which stored these
}

const (
	tOwner = 1 << iota
	tThief
)

// A tCred is a secret, and who has it.
type tCred struct {
	text string
	sum  [32]byte
	know int
}

// A tEntry is a rotation with a retry key.
type tEntry struct {
	by, target int // the credential that asked, and what it asked for
	how        thiefHow
	key        string
	know       int // who has the key
	made       int // the secret
	until      time.Duration
}

type tOp int

const (
	tUse tOp = iota
	tRotate
	tRepeat
	tWait
	tCancel
	tFinish
	tSession
	tRevoke
	tEnd
	tNarrow
	tIssue
)

var tOpNames = []string{"uses", "rotates", "repeats", "waits", "cancels", "finishes", "starts a session of", "revokes", "ends the sessions of", "narrows", "issues with"}

// A tMove is what somebody does with a credential that it has.
type tMove struct {
	op     tOp
	who    int
	cred   int
	target int // a token
	how    thiefHow
	key    string // "": none
	lost   bool   // the answer does not reach the owner,
	seen   bool   // and it does reach the thief
	entry  int    // to repeat
	wrong  bool   // … with another key
	does   bool   // a session that manages
	wait   time.Duration
}

func (m tMove) String() string {
	if m.op == tWait {
		return fmt.Sprintf("%v pass", m.wait)
	}
	s := fmt.Sprintf("%s, with #%d, %s", []string{"", "the owner", "the thief"}[m.who], m.cred, tOpNames[m.op])
	switch m.op {
	case tRepeat:
		s += fmt.Sprintf(" rotation %d", m.entry)
		if m.wrong {
			s += " with a key of its own"
		}
	case tSession:
		s += fmt.Sprintf(" token %d, managing: %v", m.target, m.does)
	case tRotate:
		s += fmt.Sprintf(" token %d %s", m.target, []string{"at once", "with an overlap", "until the first use"}[m.how.mode])
		if m.how.succ {
			s += " to a successor"
		}
		if m.how.keep {
			s += ", keeping sessions"
		}
		if m.key != "" {
			s += fmt.Sprintf(" with a key of %d", len(m.key))
		}
	default:
		s += fmt.Sprintf(" token %d", m.target)
	}
	if m.lost {
		s += ", and does not get the answer"
	}
	if m.seen {
		s += ", and the thief does"
	}
	return s
}

func (w *thiefWorld) history() string {
	if w.up == nil {
		return ""
	}
	return w.up.history() + "\n\t" + w.did.String()
}

// A thiefLab runs worlds: one Issuer over whatever world it is shown.
type thiefLab struct {
	fatalf func(string, ...any)
	store  *thiefStore
	now    time.Time
	iss    *remint.Issuer
	seen   []remint.Event
	seed   maphash.Seed

	edges, outclasses, repeated, raced int // how often there was something to look at
}

// thiefStore is a mapStore that can run something before a commit.
type thiefStore struct {
	*mapStore
	before func()
}

func (s *thiefStore) Commit(ctx context.Context, b remint.Batch) error {
	if f := s.before; f != nil {
		s.before = nil
		f()
	}
	return s.mapStore.Commit(ctx, b)
}

var (
	thiefStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	thiefFrom  = map[int]netip.Addr{tOwner: netip.MustParseAddr("192.0.2.1"), tThief: netip.MustParseAddr("192.0.2.66")}
	thiefNets  = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	thiefCaps  = remint.Allow("a", "b")
)

func newThiefLab(fatalf func(string, ...any)) *thiefLab {
	l := &thiefLab{fatalf: fatalf, store: &thiefStore{}, seed: maphash.MakeSeed()}
	iss, err := remint.New(l.store, &remint.Options{
		Lapse: thiefLapse, RetryWindow: thiefWindow, Now: func() time.Time { return l.now },
		Observe: func(_ context.Context, e remint.Event) { l.seen = append(l.seen, e) },
	})
	if err != nil {
		panic(err)
	}
	l.iss = iss
	return l
}

// start returns a world with one token. Who knows its secret is know.
func (l *thiefLab) start(know int) *thiefWorld {
	w := &thiefWorld{recs: map[remint.ID]*remint.Record{}, model: newThiefModel(), end: thiefStart.Add(thiefLife)}
	l.show(w)
	g, err := l.iss.Operator("op").Issue(ctxBG, remint.Spec{
		Owner: "o", Capabilities: thiefCaps, Networks: thiefNets, ExpiresAt: w.end, Attributes: map[string]string{"plan": "free"},
	})
	if err != nil {
		panic(err)
	}
	w.recs = l.store.recs
	w.learn(g, know)
	w.ids = []remint.ID{g.Token.ID()}
	return w
}

// show puts a copy of the world into the Issuer's store.
func (l *thiefLab) show(w *thiefWorld) {
	l.store.mapStore = &mapStore{recs: maps.Clone(w.recs)}
	l.now = thiefStart.Add(w.model.now)
	l.seen = l.seen[:0]
}

func (w *thiefWorld) learn(g remint.Grant, know int) {
	text := g.Secret.Reveal()
	w.creds = append(w.creds, tCred{text, sha256.Sum256([]byte(text[len(text)-49 : len(text)-6])), know})
}

func (l *thiefLab) bearer(w *thiefWorld, who, cred int) remint.Actor {
	return l.iss.Bearer(w.creds[cred].text, thiefFrom[who])
}

func (h thiefHow) rotation() remint.Rotation {
	r := remint.Rotation{KeepSessions: h.keep}
	switch h.mode {
	case thiefAfter:
		r.Retire = remint.RetireAfter(thiefGrace)
	case thiefFirst:
		r.Retire = remint.RetireAfterFirstUse(thiefGrace)
	}
	if h.succ {
		r.Successor = &remint.Successor{}
	}
	return r
}

// do does the move in a copy of w, holds the answer against the model, and returns the copy, or
// nil if nothing has changed.
func (l *thiefLab) do(w *thiefWorld, m tMove) *thiefWorld {
	l.edges++
	n := *w
	n.model, n.creds, n.entries, n.ids = w.model.clone(), slices.Clone(w.creds), slices.Clone(w.entries), slices.Clip(w.ids)
	n.up, n.did = w, m
	if m.op == tWait {
		n.model.now += m.wait
		n.events = nil
		return &n
	}
	l.show(w)
	lived := n.model.lives(m.cred)
	if lived {
		n.model.use(m.cred)
	}
	power := n.model.power(m.cred)
	mine, target := n.model.secs[m.cred].tok, m.target
	if m.op == tRepeat {
		target = w.entries[m.entry].target
	}
	want, or := error(nil), error(nil)
	switch {
	case !lived:
		want = remint.ErrDenied
	case m.op == tUse:
	case !power, n.model.toks[mine].narrow && !n.model.toks[target].narrow && !slices.Contains([]tOp{tUse, tRevoke, tEnd, tIssue}, m.op):
		want, power = remint.ErrForbidden, false
	}

	act := l.bearer(w, m.who, m.cred)
	id := n.ids[m.target]
	var g remint.Grant
	var err error
	grants := false
	key := fmt.Sprint(m.key, len(w.creds)) // one for each request
	switch m.op {
	case tUse:
		_, err = l.iss.Verify(ctxBG, w.creds[m.cred].text, thiefFrom[m.who])
	case tRotate:
		if m.key != "" {
			act = act.WithRetryKey(key, 0)
		}
		g, err = act.Rotate(ctxBG, id, m.how.rotation())
		if want == nil {
			if n.model.rotates(m.target) {
				grants = true
				n.model.rotate(m.target, m.how)
				n.kept = n.kept || m.how.keep
			} else {
				want, or = remint.ErrEnded, remint.ErrConflict
			}
		}
	case tRepeat:
		e := &n.entries[m.entry]
		if !m.wrong {
			key = e.key
		} else {
			key = "another key, as long as any" + key
		}
		g, err = act.WithRetryKey(key, 0).Rotate(ctxBG, n.ids[e.target], e.how.rotation())
		switch n.repeats(e, m, lived, power) {
		case tRefused:
			if want == nil {
				want = remint.ErrForbidden
			}
			if lived {
				or = remint.ErrConflict // it was used, and is not to be had any more
			}
		case tSame:
			l.repeated++
			want = nil
			if err == nil && g.Secret.Reveal() != w.creds[e.made].text {
				l.failf(&n, "the repeat was answered with another secret")
			}
		case tNew:
			m.how = e.how
			switch kept := !m.wrong && n.model.now < e.until; {
			case !n.model.rotates(e.target):
				want, or = remint.ErrEnded, remint.ErrConflict
			case kept && errors.Is(err, remint.ErrConflict):
				want = remint.ErrConflict // the answer is kept still, and not to be had any more
			default:
				grants = true
				n.model.rotate(e.target, e.how)
				n.kept = n.kept || m.how.keep
				if !m.wrong {
					e.made, e.until, e.know = len(n.creds), n.model.now+thiefWindow, e.know|m.who
				}
			}
		}
		if err == nil && !grants {
			n.creds[e.made].know |= n.hears(m)
		}
	case tCancel:
		_, err = act.CancelRotation(ctxBG, id)
		if want == nil {
			n.model.cancel()
		}
	case tFinish:
		_, err = act.FinishRotation(ctxBG, id)
		if want == nil {
			switch {
			case !n.model.tokenLives(m.target):
				want = remint.ErrEnded
			case !n.model.finish(m.target):
				want = remint.ErrConflict
			}
		}
	case tSession:
		g, err = act.StartSession(ctxBG, id, remint.Session{Manages: m.does, Lifetime: thiefLife})
		if want == nil {
			grants = true
			s := n.model.secs[m.cred]
			n.model.secs = append(n.model.secs, tSecret{tok: mine, used: true, tag: s.tag, session: true, manages: m.does, epoch: n.model.toks[mine].epoch})
		}
	case tRevoke:
		err = act.Revoke(ctxBG, id)
		if want == nil {
			n.model.toks[m.target].revoked = true
		}
	case tEnd:
		err = act.EndSessions(ctxBG, id)
		if want == nil {
			n.model.endSessions(m.target)
		}
	case tNarrow:
		_, err = act.Update(ctxBG, id, func(s *remint.Spec) error { s.Capabilities = remint.Allow("a"); return nil })
		if want == nil && !n.model.toks[m.target].narrow {
			n.model.toks[m.target].narrow = true
			n.model.endSessions(m.target)
		}
	case tIssue: // tried, and not followed
		_, err = act.Issue(ctxBG, remint.Spec{Capabilities: remint.Allow("a"), Networks: thiefNets})
	}
	if !(errors.Is(err, want) || or != nil && errors.Is(err, or)) || (err == nil) != (want == nil) {
		l.failf(&n, "the answer is %v, and should be %v", err, want)
	}
	if grants && err == nil {
		if slices.ContainsFunc(w.creds, func(c tCred) bool { return c.text == g.Secret.Reveal() }) {
			l.failf(&n, "what should be a new secret is one that was handed out before")
		}
		n.learn(g, n.hears(m))
		if m.op != tSession && m.how.succ {
			n.ids = append(n.ids, g.Token.ID())
		}
		if m.op == tRotate && m.key != "" {
			know := m.who
			if w.knowsKey {
				know |= tThief
			}
			n.entries = append(n.entries, tEntry{m.cred, m.target, m.how, key, know, len(n.creds) - 1, n.model.now + thiefWindow})
		}
	}
	if err == nil && m.who == tOwner && !n.model.secs[m.cred].session {
		n.newest = max(n.newest, m.cred)
	}
	n.recs, n.events = l.store.recs, l.store.log
	changed := l.changed(w.recs, n.recs)
	if changed && !slices.ContainsFunc(n.events, func(e remint.Event) bool { return e.From == thiefFrom[m.who] && e.Kind != remint.EventReuse }) {
		l.failf(&n, "something has changed, and the log does not say from where: %+v", n.events)
	}
	if err != nil && lived && power { // it may have confirmed
		return &n
	}
	l.outclassed(w, &n, m, err, changed)
	if m.op == tIssue || !changed && err != nil && len(n.events) == 0 {
		return nil
	}
	return &n
}

// hears returns who learns what the move was answered with.
func (w *thiefWorld) hears(m tMove) (who int) {
	switch {
	case m.who == tThief:
		return tThief
	case !m.lost:
		who = tOwner
	}
	if m.seen {
		who |= tThief
	}
	return who
}

type tRepeats int

const (
	tRefused tRepeats = iota // as what its caller may says
	tSame
	tNew // it is a request like any other
)

// repeats says what a repeat is: the model of WithRetryKey's comment.
func (w *thiefWorld) repeats(e *tEntry, m tMove, lived, power bool) tRepeats {
	mo := &w.model
	by := &mo.secs[m.cred]
	waits := e.made == mo.cand && mo.lives(e.made)
	kept := !m.wrong && m.cred == e.by && mo.now < e.until
	switch {
	case kept && waits && mo.toks[by.tok].narrow && !mo.toks[mo.secs[e.made].tok].narrow:
		return tRefused // it was lost since
	case kept && waits && lived && power:
		return tSame
	case kept && waits && !lived && len(e.key) >= 22 && e.target == by.tok && !mo.toks[by.tok].revoked &&
		(!by.session || by.epoch == mo.toks[by.tok].epoch && by.manages):
		return tSame
	case !lived || !power:
		return tRefused
	}
	return tNew
}

// changed reports whether anything but a memory of reuse is another.
func (l *thiefLab) changed(before, after map[remint.ID]*remint.Record) bool {
	for id, r := range after {
		if b := before[id]; b == nil || b.Revision() != r.Revision() && !l.onlyReuse(id) {
			return true
		}
	}
	return false
}

func (l *thiefLab) onlyReuse(id remint.ID) bool {
	return !slices.ContainsFunc(l.store.log, func(e remint.Event) bool { return e.Token == id && e.Kind != remint.EventReuse })
}

func (l *thiefLab) failf(w *thiefWorld, format string, args ...any) {
	l.fatalf("%s:%s", fmt.Sprintf(format, args...), w.history())
}

// outclassed holds the first claim: once the owner has used a secret that is newer than all that
// the thief has, the thief changes nothing and gets nothing, and the owner's secret works on.
// It knows of no rule but which secret was handed out after which.
func (l *thiefLab) outclassed(w, n *thiefWorld, m tMove, err error, changed bool) {
	if m.who != tThief || w.kept {
		return
	}
	for k, c := range w.creds {
		if c.know&tThief != 0 && !w.model.secs[k].session && k >= w.newest {
			return
		}
		if c.know&tThief != 0 && w.model.secs[k].session && w.sessionFrom(k) >= w.newest {
			return
		}
	}
	l.outclasses++
	if m.op == tUse && !changed {
		return
	}
	if err == nil || changed {
		l.failf(n, "the thief, who has older secrets only, has changed something: %v", err)
	}
	for k := range n.creds {
		if n.creds[k].know&tThief != w.creds[k].know&tThief {
			l.failf(n, "the thief, who has older secrets only, has got a newer one")
		}
	}
}

// sessionFrom returns the secret that the history says a session was started with, through other sessions.
func (w *thiefWorld) sessionFrom(k int) int {
	for x := w; x.up != nil; x = x.up {
		if len(x.creds) == k+1 && len(x.up.creds) == k {
			if by := x.did.cred; x.model.secs[by].session {
				return x.sessionFrom(by)
			}
			return x.did.cred
		}
	}
	return len(w.creds)
}

// check holds everything that can be seen of w against the model.
func (l *thiefLab) check(w *thiefWorld) {
	l.show(w)
	order := make([]int, 0, len(w.creds)) // a candidate last: that confirms it
	for k := range w.creds {
		if k != w.model.cand {
			order = append(order, k)
		}
	}
	if w.model.cand >= 0 {
		order = append(order, w.model.cand)
	}
	retiring := map[int]int{}
	for _, k := range order {
		_, err := l.iss.Verify(ctxBG, w.creds[k].text, thiefFrom[tOwner])
		if (err == nil) != w.model.lives(k) {
			l.failf(w, "secret %d: %v, and the model says %v", k, err, w.model.lives(k))
		}
		if s := w.model.secs[k]; err == nil && !s.session && k != w.model.best && k != w.model.cand {
			if retiring[s.tok]++; retiring[s.tok] > 1 {
				l.failf(w, "two secrets of token %d are being retired", s.tok)
			}
		}
	}
	l.show(w)
	for k, id := range w.ids {
		tok, err := l.iss.Operator("op").Get(ctxBG, id)
		if err != nil {
			l.failf(w, "%v", err)
		}
		s, caps := tok.Spec(), thiefCaps
		if w.model.toks[k].narrow {
			caps = remint.Allow("a")
		}
		if !s.Capabilities.Equal(caps) ||
			!slices.Equal(s.Networks, thiefNets) || !s.ExpiresAt.Equal(w.end) || s.Attributes["plan"] != "free" || s.Owner != "o" {
			l.failf(w, "token %d became %+v", k, s)
		}
	}
}

// race lets the thief rotate while the owner does, from the same state, and holds law 8.
func (l *thiefLab) race(w *thiefWorld) {
	for k, c := range w.creds {
		for j, d := range w.creds {
			if c.know&tOwner == 0 || d.know&tThief == 0 || !w.model.power(k) || !w.model.power(j) {
				continue
			}
			rotate := func(who, cred int, how thiefHow) error {
				tok := w.model.secs[cred].tok
				_, err := l.bearer(w, who, cred).Rotate(ctxBG, w.ids[tok], how.rotation())
				return err
			}
			if !w.model.rotates(w.model.secs[k].tok) || !w.model.rotates(w.model.secs[j].tok) {
				continue
			}
			for _, how := range []thiefHow{{mode: thiefNow}, {mode: thiefFirst}} {
				l.raced++
				l.show(w)
				var after map[remint.ID]*remint.Record
				var thief error
				l.store.before = func() {
					thief = rotate(tThief, j, how)
					after, l.store.log = maps.Clone(l.store.recs), nil
				}
				owner := rotate(tOwner, k, thiefHow{mode: thiefAfter})
				lost := errors.Is(owner, remint.ErrConflict) || errors.Is(owner, remint.ErrDenied) ||
					errors.Is(owner, remint.ErrForbidden) && j == w.model.cand // it was used, and so outclassed the owner's
				if thief != nil || !lost || l.changed(after, l.store.recs) {
					l.failf(w, "of two rotations, the thief's with #%d says %v, and the owner's with #%d %v", j, thief, k, owner)
				}
			}
		}
	}
}

// future returns a name for all that can still happen in w.
func (l *thiefLab) future(w *thiefWorld) [2]uint64 {
	now := thiefStart.Add(w.model.now).UnixMicro()
	index := func(id remint.ID) string {
		if id.IsZero() {
			return "-"
		}
		if k := slices.Index(w.ids, id); k >= 0 {
			return fmt.Sprint("t", k)
		}
		return "session"
	}
	know := func(sum [32]byte) string {
		if k := slices.IndexFunc(w.creds, func(c tCred) bool { return c.sum == sum }); k >= 0 {
			return fmt.Sprint("k", w.creds[k].know)
		}
		return "?"
	}
	place := func(k int) string {
		id, _ := l.iss.Identify(w.creds[k].text)
		if p := remint.PlaceForTest(w.recs[id], w.creds[k].sum); p != "" {
			return index(id) + p
		}
		return ""
	}
	var parts []string
	epochs := map[string]int{}
	for _, id := range w.ids {
		parts = append(parts, remint.FutureForTest(w.recs[id], now, index, know, nil, epochs))
	}
	var sessions []string
	for k, s := range w.model.secs {
		if s.session && w.model.secs[k].epoch == w.model.toks[s.tok].epoch {
			id, _ := l.iss.Identify(w.creds[k].text)
			sessions = append(sessions, remint.FutureForTest(w.recs[id], now, index, know, w.recs[w.ids[s.tok]], epochs))
		}
	}
	slices.Sort(sessions)
	parts = append(parts, sessions...)
	for _, e := range w.entries {
		if by, made := place(e.by), place(e.made); by != "" && made != "" && w.model.now < e.until {
			parts = append(parts, fmt.Sprint(by, e.target, e.how, len(e.key), e.know, made, e.until-w.model.now))
		}
	}
	// Whether the owner's newest is above all of the thief's, for the claim that knows no more.
	parts = append(parts, fmt.Sprint(w.kept, w.newest == w.model.best, w.newest == w.model.cand))
	s := strings.Join(parts, "\n")
	return [2]uint64{maphash.String(l.seed, s), maphash.String(l.seed, s+"!")}
}
