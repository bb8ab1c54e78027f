package histories

import "slices"

// A move is one way in which an operation goes, worked out on a copy of the state.
type move struct {
	*state
	from *state
	c    *call
	t    int64
	saw  *look // of a rotation
	// touched are the records that it changes: once each, whatever it does to them.
	touched []int
	class   class
	shows   int // the record whose view is the answer, or none
}

// moves returns all the ways in which c may go at t.
func (s *state) moves(c *call, t int64, saw *look) []*move {
	m := &move{state: s.clone(), from: s, c: c, t: t, saw: saw}
	if c.kind == doSweep {
		return m.done(ok)
	}
	for _, id := range []int{c.owner, c.target} {
		// An operation's time is the later of now and the record's last change.
		if r := m.record(id); r != nil && t < r.changed {
			return nil
		}
		for r := m.record(id); r != nil; r = m.record(r.parent) {
			r.settle(t)
		}
	}
	switch {
	case c.kind == doVerify:
		return m.verify()
	case c.actor == stranger:
		return m.done(notFound)
	case c.actor == bearer:
		return m.asBearer()
	}
	return m.act()
}

// done ends m with an answer that shows nothing.
func (m *move) done(answer class) []*move {
	m.class = answer
	if len(m.touched) == 0 && len(m.records) == len(m.from.records) {
		m.state = m.from
		return []*move{m}
	}
	if answer != denied && !m.stands() {
		return nil
	}
	for i := range m.records {
		r := &m.records[i]
		switch before := m.from.record(r.id); {
		case slices.Contains(m.touched, r.id):
			r.revision++
			r.changed = max(m.t, r.changed)
			if m.keeps {
				m.was = append(m.was, version{*before, m.c.times[len(m.c.times)-1], m.c.client})
			}
		case before != nil:
			*r = *before // to look at the time changes nothing
		}
	}
	m.seal()
	return []*move{m}
}

// stands reports whether nothing that m rests on had stopped when its commit began.
func (m *move) stands() bool {
	if m.c.committed <= m.t {
		return true
	}
	for _, id := range []int{m.c.owner, m.c.target} {
		for was := m.from.record(id); was != nil; was = m.from.record(was.parent) {
			if id != m.c.owner && !m.restsOn(was) {
				continue
			}
			is, then := *was, *was
			is.settle(m.t)
			then.settle(m.c.committed)
			if is.lives(m.t) != then.lives(m.c.committed) || is.newest != then.newest || is.prev != then.prev || is.older != then.older {
				return false
			}
		}
	}
	return true
}

// restsOn reports whether what m changes depends on r, its target or what is above that. Of what
// is refused no more is stored than that the bearer's secret was used; and what ends something
// does so wherever that stands.
func (m *move) restsOn(r *record) bool {
	ends := m.c.kind == doRevoke || m.c.kind == doEndSessions
	return m.class == ok && !(ends && r.id != m.c.target)
}

// shown ends m with the token id as it is then.
func (m *move) shown(id int) []*move {
	m.shows = id
	return m.done(ok)
}

// or returns a copy of m, for the other way in which it may go.
func (m *move) or() *move {
	other := *m
	other.state = m.clone()
	other.touched = slices.Clone(m.touched)
	return &other
}

func (m *move) touch(r *record) {
	if !slices.Contains(m.touched, r.id) {
		m.touched = append(m.touched, r.id)
	}
}

// judge returns what the presented secret is good for at t.
func (s *state) judge(c *call, t int64) standing {
	r := *s.record(c.owner)
	r.settle(t)
	if !r.lives(t) {
		return dead
	}
	got := r.standing(c.secret)
	if got != dead && r.parent != none && s.lent(&r, t) == dead {
		return dead
	}
	return got
}

// lent returns the standing that a session has from its parent.
func (s *state) lent(r *record, t int64) standing {
	p := *s.record(r.parent)
	p.settle(t)
	if !p.lives(t) || p.epoch != r.parentEpoch {
		return dead
	}
	return p.lent(r.startedWith)
}

// verify is Issuer.Verify.
func (m *move) verify() []*move {
	if m.from.judge(m.c, m.t) == dead {
		return m.deny()
	}
	m.use()
	return m.shown(m.c.owner)
}

// use confirms the presented secret if this is its first use.
func (m *move) use() {
	r := m.record(m.c.owner)
	if m.c.secret == r.newest.by && !r.newest.used {
		r.confirm(m.t)
		m.touch(r)
	}
}

// deny refuses the presented secret, and writes the first reuse of a retired one down.
func (m *move) deny() []*move {
	silent := m.or().done(denied)
	r := m.record(m.c.owner)
	i := slices.IndexFunc(r.stopped, func(s stopped) bool { return s.by == m.c.secret })
	if i < 0 || r.stopped[i].reported {
		return silent
	}
	of := r.stopped[i]
	r.stopped = slices.Clone(r.stopped)
	r.stopped[i].reported = true
	m.touch(r)
	was := m.from.record(r.id)
	told := m.done(denied)
	switch {
	case slices.Contains([]int{was.newest.by, was.prev.by, was.older.by}, m.c.secret):
		// It is written down by a commit of its own, and what has stopped by the clock alone
		// may meanwhile be what a cancellation has brought back that began before.
	case m.c.faulty:
		// "Its failure leaves the denial as it is."
	case of.unused:
		return silent // it was never handed on, so it is not retired
	case len(r.stopped)-i > keptDigests:
	case !r.lives(m.t), r.parent != none && m.lent(r, m.t) == dead:
		// Either: so it is of a token that has ended.
	default:
		return told
	}
	return append(silent, told...)
}

// asBearer does what m.c says, if the bearer may.
func (m *move) asBearer() []*move {
	got := m.from.judge(m.c, m.t)
	if got == dead {
		return m.deny()
	}
	m.use()
	if r := m.record(m.c.owner); r.parent != none {
		got = m.asSession(r, got)
	}
	if got != full && m.c.kind != doGet {
		return m.done(forbidden)
	}
	return m.act()
}

// asSession returns what a session may do that has this standing by itself.
func (m *move) asSession(r *record, got standing) standing {
	switch {
	case m.c.kind == doRevoke && m.c.target == r.id:
		return full
	case !r.manages:
		return retired
	}
	return min(got, m.from.lent(r, m.t))
}
