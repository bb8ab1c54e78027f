package histories

import "time"

// act does what m.c says, for somebody who may.
func (m *move) act() []*move {
	r := m.record(m.c.target)
	switch m.c.kind {
	case doGet:
		return m.shown(r.id)
	case doRotate:
		return m.rotate(r)
	case doCancel:
		return m.cancel(r)
	case doFinish:
		return m.finish(r)
	case doUpdate:
		return m.update(r)
	case doRevoke:
		return m.revoke(r)
	case doEndSessions:
		return m.endSessions(r)
	case doStartSession:
		return m.startSession(r)
	}
	panic("no such operation: " + m.c.kind)
}

func (m *move) update(r *record) []*move {
	if !r.lives(m.t) {
		return m.done(ended)
	}
	switch m.c.change {
	case changeName:
		r.name = m.c.name
	case changeCaps:
		if r.caps == 1 {
			return m.shown(r.id) // there is nothing to take away
		}
		r.caps = 1
		r.epoch++
	case changeAttributes:
		m.endOwnSessions(r)
	case changeExpiry:
		if m.c.expires <= m.t {
			return m.done(input)
		}
		if r.expires == m.c.expires {
			return m.shown(r.id)
		}
		r.expires = m.c.expires
	}
	m.touch(r)
	return m.shown(r.id)
}

// endOwnSessions ends the sessions of r, and no other children.
func (m *move) endOwnSessions(r *record) {
	fresh := map[int]int{none: none} // secrets that share sessions go on to share them
	for _, s := range []*secret{&r.newest, &r.prev, &r.older} {
		if _, found := fresh[s.sessions]; !found {
			fresh[s.sessions] = -(3*m.c.id + len(fresh))
		}
		s.sessions = fresh[s.sessions]
	}
}

// Revoke ends for ever, also what could still be revived.
func (m *move) revoke(r *record) []*move {
	if r.revoked != none {
		return m.done(ok)
	}
	r.revoked = m.t
	m.touch(r)
	return m.done(ok)
}

func (m *move) endSessions(r *record) []*move {
	var all []*move
	if !r.lives(m.t) {
		// Either: "A token that has ended has none."
		all = m.or().done(ok)
	}
	r.epoch++
	m.touch(r)
	return append(all, m.done(ok)...)
}

func (m *move) startSession(r *record) []*move {
	if !r.lives(m.t) {
		return m.done(ended)
	}
	with := r.current()
	if m.c.actor == bearer {
		for _, s := range []secret{r.newest, r.prev, r.older} {
			if s.by == m.c.secret {
				with = s
			}
		}
	}
	m.add(record{
		id: m.c.id, parent: r.id, parentEpoch: r.epoch, startedWith: with.sessions, manages: m.c.manages,
		caps: r.caps, created: m.t, changed: m.t, epoch: 1, revision: 1,
		expires: earlier(r.expires, m.t+m.c.lifetime.Microseconds()),
		newest:  secret{by: m.c.id, created: m.t, used: true, sessions: m.c.id},
	})
	return m.shown(m.c.id)
}

// lapseAfter is Options.Lapse in all histories.
const lapseAfter = 12 * time.Second
