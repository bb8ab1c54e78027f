package histories

// The numbers are those of the rules in Rotate's comment. Of the rules on successors there
// is nothing here: a history is one of one token.

func (m *move) rotate(r *record) []*move {
	// 11.
	if m.saw != nil {
		was := m.from.record(r.id)
		switch {
		case m.c.lost && (m.saw.misses(was) || m.saw.misses(r) || r.cancels != m.saw.cancels):
			// Either: that a cancellation is a conflict, too, is not said.
			return m.done(conflict)
		case m.saw.misses(r):
			return nil
		}
	}
	// 1.
	if m.c.ifRevision != 0 && m.c.ifRevision != r.revision {
		return m.done(conflict)
	}
	// 2, and 4 without a Successor.
	if !r.lives(m.t) || r.parent != none && m.lent(r, m.t) == dead {
		all := m.or().done(ended)
		if m.c.actor == bearer && r.parent != none {
			// Either: a session that has ended may have more than its parent has now.
			all = append(all, m.done(forbidden)...)
		}
		return all
	}

	// 5. What nobody has used dies. The outgoing secret is the one before.
	out, before := r.newest, r.prev
	if !r.newest.used {
		out, before = r.prev, r.older
	}
	sessions := m.c.id
	if m.c.keep {
		// 10. They are handed on: the outgoing secret's, or else those of the one that dies.
		if sessions = out.sessions; out.by == none {
			sessions = r.newest.sessions
		}
	}
	if !r.newest.used {
		r.stop(&r.newest)
	}
	r.newest = secret{by: m.c.id, created: m.t, sessions: sessions}
	r.firstUse, r.grace, r.lapse = false, 0, none
	r.prev, r.older = secret{}, secret{}

	if out.by != none {
		switch m.c.retire {
		case afterWhile:
			// 6. Never longer than was planned.
			out.until = earlier(earlier(out.until, r.expires), m.t+m.c.after.Microseconds())
			r.prev = out
		case afterFirstUse:
			r.prev, r.older, before = out, before, secret{}
			r.firstUse, r.grace = true, m.c.after.Microseconds()
			// 8. It lapses where what was there would live on.
			if out.until == none {
				r.lapse = m.t + lapseAfter.Microseconds()
			}
		default:
			r.stop(&out)
		}
	}
	r.stop(&before) // 7.

	r.rotated = m.t
	m.touch(r)
	return m.shown(r.id)
}

func (m *move) cancel(r *record) []*move {
	if !r.lives(m.t) {
		return m.done(ended)
	}
	if !r.newest.used && r.prev.by != none {
		r.restore()
		r.cancels++
		m.touch(r)
	}
	return m.shown(r.id)
}

func (m *move) finish(r *record) []*move {
	if !r.lives(m.t) {
		return m.done(ended)
	}
	if r.prev.by == none {
		return m.shown(r.id)
	}
	if r.newest.used {
		r.stop(&r.prev)
		m.touch(r)
		return m.shown(r.id)
	}
	return m.done(conflict)
}
