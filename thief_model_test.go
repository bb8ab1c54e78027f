package remint_test

import (
	"slices"
	"time"
)

// What the owner and the thief may expect, written from Rotate's comment and docs/design.md: the
// secrets that were handed out for one token and its successors, in a line. At any time one of
// them is the best, the newest that was used; a candidate may wait for its first use; what came
// before the best has no power, and stops when that was planned.

const (
	thiefGrace  = time.Minute // and the overlap of a planned rotation
	thiefWindow = 5 * time.Minute
	thiefLapse  = time.Hour
	thiefLife   = 1000 * time.Hour
)

// Retirements.
const (
	thiefNow = iota
	thiefAfter
	thiefFirst
)

type thiefHow struct {
	mode       int
	succ, keep bool
}

// A tSecret is a secret of the line, or of a session: the index of one is that of its credential.
type tSecret struct {
	tok              int
	used, dead       bool
	stop             time.Duration // when it stops as planned; 0: with its token
	tag              int           // what sessions started with it bear
	session, manages bool
	epoch            int // of the session's parent, then
}

type tToken struct {
	pred, succ       int // -1: none
	until            time.Duration
	stopped, revoked bool
	epoch            int
	narrow           bool // a capability was taken away
}

// A thiefModel is immutable but for the methods that say so; its time is since the start.
type thiefModel struct {
	now        time.Duration
	secs       []tSecret
	toks       []tToken
	best, cand int // secrets; -1: none
	firstUse   bool
	lapse      time.Duration // of cand; 0: it does not lapse
	tags       int
}

func newThiefModel() thiefModel {
	return thiefModel{secs: []tSecret{{used: true}}, toks: []tToken{{pred: -1, succ: -1}}, cand: -1}
}

func (m thiefModel) clone() thiefModel {
	m.secs, m.toks = slices.Clone(m.secs), slices.Clone(m.toks)
	return m
}

func (m *thiefModel) over(t time.Duration) bool { return t != 0 && m.now >= t }

func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

func (m *thiefModel) tokenLives(t int) bool {
	return !m.toks[t].revoked && !m.toks[t].stopped && !m.over(m.toks[t].until)
}

// lives reports whether a secret is accepted.
func (m *thiefModel) lives(i int) bool {
	s := &m.secs[i]
	switch {
	case !m.tokenLives(s.tok):
		return false
	case s.session:
		return s.epoch == m.toks[s.tok].epoch && len(m.bearers(i)) > 0
	}
	return !s.dead && !m.over(s.stop) && !(i == m.cand && m.over(m.lapse))
}

// bearers returns the live secrets that a session stands on.
func (m *thiefModel) bearers(session int) (list []int) {
	z := &m.secs[session]
	for j := range m.secs {
		if s := &m.secs[j]; !s.session && s.tok == z.tok && s.tag == z.tag && m.lives(j) {
			list = append(list, j)
		}
	}
	return list
}

// power reports whether a secret does more than authenticate.
func (m *thiefModel) power(i int) bool {
	if !m.lives(i) {
		return false
	}
	if s := &m.secs[i]; s.session {
		return s.manages && !slices.ContainsFunc(m.bearers(i), func(j int) bool { return j != m.best && j != m.cand })
	}
	return i == m.best || i == m.cand
}

// use is what any accepted presentation of a secret does. It changes m.
func (m *thiefModel) use(i int) {
	if i != m.cand {
		return
	}
	grace := sooner(m.secs[m.best].stop, m.now+thiefGrace)
	m.stopRetiring(m.secs[m.best].tok)
	if old := m.secs[m.best].tok; m.firstUse && old != m.secs[i].tok {
		m.toks[old].until = sooner(m.toks[old].until, m.now+thiefGrace)
	} else if m.firstUse {
		m.secs[m.best].stop = grace
	}
	m.secs[i].used = true
	m.best, m.cand, m.firstUse, m.lapse = i, -1, false, 0
}

// retiring returns the used secrets of a token before the best that still live.
func (m *thiefModel) retiring(tok int) (list []int) {
	for j := range m.secs {
		if s := &m.secs[j]; !s.session && s.used && s.tok == tok && j != m.best && m.lives(j) {
			list = append(list, j)
		}
	}
	return list
}

func (m *thiefModel) stopRetiring(tok int) {
	for _, j := range m.retiring(tok) {
		m.secs[j].dead = true
	}
}

// drop drops the candidate, with its token if that is another.
func (m *thiefModel) drop() {
	if m.cand < 0 {
		return
	}
	if c, b := m.secs[m.cand].tok, m.secs[m.best].tok; c != b {
		m.toks[c].revoked = true
	}
	m.secs[m.cand].dead = true
	m.cand, m.firstUse, m.lapse = -1, false, 0
}

// rotates reports whether a token can be rotated by somebody with power: the best's, and the
// candidate's.
func (m *thiefModel) rotates(target int) bool {
	return target == m.secs[m.best].tok && m.tokenLives(target) ||
		m.cand >= 0 && target == m.secs[m.cand].tok && m.lives(m.cand)
}

// rotate adds the secret that a rotation of target hands out, as the candidate. It changes m.
func (m *thiefModel) rotate(target int, how thiefHow) {
	best := &m.secs[m.best]
	if m.cand >= 0 && target != best.tok {
		m.replaceSuccessor(target, how)
		return
	}
	lived := m.lives(m.best)
	tag := best.tag
	if !lived && m.cand >= 0 {
		tag = m.secs[m.cand].tag
	}
	t := &m.toks[best.tok]
	if m.cand >= 0 && m.secs[m.cand].tok != best.tok && !m.toks[m.secs[m.cand].tok].revoked && !how.succ {
		// What was planned for the token is now planned for its secrets.
		best.stop = sooner(best.stop, t.until)
		for _, j := range m.retiring(best.tok) {
			m.secs[j].stop = sooner(m.secs[j].stop, t.until)
		}
		t.until = 0
	}
	m.drop()
	switch {
	case how.mode == thiefFirst && lived:
		m.firstUse = true
		if planned := best.stop; planned == 0 && (!how.succ || t.until == 0) {
			m.lapse = m.now + thiefLapse
		}
	case how.mode == thiefAfter && lived:
		m.stopRetiring(best.tok)
		if how.succ {
			t.until = sooner(t.until, sooner(best.stop, m.now+thiefGrace))
		} else {
			best.stop = sooner(best.stop, m.now+thiefGrace)
		}
	default:
		m.stopRetiring(best.tok)
		best.dead = true
		t.stopped = t.stopped || how.succ
	}
	tok := best.tok
	if how.succ {
		tok = len(m.toks)
		t.succ = tok
		m.toks = append(m.toks, tToken{pred: best.tok, succ: -1, narrow: t.narrow})
	}
	m.add(tok, how.keep, tag)
}

// replaceSuccessor rotates a successor that nobody has used: what was planned stays.
func (m *thiefModel) replaceSuccessor(target int, how thiefHow) {
	tag, firstUse, lapse := m.secs[m.cand].tag, m.firstUse, m.lapse
	m.secs[m.cand].dead = true
	if how.succ {
		m.toks[target].revoked = true
		pred := m.toks[target].pred
		m.toks[pred].succ = len(m.toks)
		m.toks = append(m.toks, tToken{pred: pred, succ: -1, narrow: m.toks[target].narrow})
		target = len(m.toks) - 1
	}
	m.add(target, how.keep, tag)
	if m.firstUse = firstUse; lapse != 0 {
		m.lapse = m.now + thiefLapse
	}
}

func (m *thiefModel) add(tok int, keep bool, tag int) {
	if !keep {
		m.tags++
		tag = m.tags
	}
	m.cand = len(m.secs)
	m.secs = append(m.secs, tSecret{tok: tok, tag: tag})
}

// cancel cancels what waits of the rotation of target, which is the best's token. It changes m.
func (m *thiefModel) cancel() {
	best := &m.secs[m.best]
	t := &m.toks[best.tok]
	waits := m.cand >= 0 && m.lives(m.cand) && m.lives(m.best)
	if !waits && t.until == 0 {
		return
	}
	if waits {
		m.drop()
	}
	best.stop, t.until = 0, 0
}

// finish ends what is retiring, and reports whether it may. It changes m.
func (m *thiefModel) finish(target int) bool {
	if target != m.secs[m.best].tok { // the predecessor
		m.toks[target].stopped = true
		return true
	}
	if m.cand >= 0 && m.lives(m.cand) && m.lives(m.best) {
		return false
	}
	m.stopRetiring(target)
	return true
}

// endSessions changes m.
func (m *thiefModel) endSessions(tok int) { m.toks[tok].epoch++ }
