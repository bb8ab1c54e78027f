package histories

import "slices"

// torn reports whether c, which was answered so, may have read its records at different
// moments: it is a bearer's, and more than one record was judged.
func (c *call) torn(a *answer) bool {
	return c.kind != doVerify && c.actor == bearer && c.session && a.class != denied && a.class != unavailable
}

func (s *state) hasBegun(call int) bool {
	return slices.ContainsFunc(s.begun, func(b begun) bool { return b.by == call })
}

// afterTorn returns the states after c, which may have read each record as it was at any
// moment since it began. What it changes it has read as it is.
func (s *state) afterTorn(c *call, a *answer, saw *look) (all []*state) {
	i := slices.IndexFunc(s.begun, func(b begun) bool { return b.by == c.id })
	if i < 0 {
		return nil
	}
	now := s.clone()
	past := now.begun[i].past
	now.begun = slices.Delete(now.begun, i, i+1)
	now.seal()

	for _, mixed := range now.mixes(past) {
		for _, m := range mixed.movesTo(c, a, saw) {
			switch {
			case mixed == now:
				all = append(all, m.state)
			case m.state == m.from: // it changes nothing
				all = append(all, now)
			case m.confirms() && m.from.record(c.owner).revision == now.record(c.owner).revision:
				after := now.clone()
				*after.record(c.owner) = *m.record(c.owner)
				after.seal()
				all = append(all, after)
			}
		}
	}
	return all
}

// confirms reports whether all that m changes is that its secret has been used.
func (m *move) confirms() bool {
	return m.c.target != m.c.owner && slices.Equal(m.touched, []int{m.c.owner})
}

// mixes returns s, and s with one or more of its records as they were.
func (s *state) mixes(past []record) []*state {
	all := []*state{s}
	for _, r := range past {
		for _, other := range all {
			if other.record(r.id).revision == s.record(r.id).revision {
				mixed := other.clone()
				*mixed.record(r.id) = r
				mixed.seal()
				all = append(all, mixed)
			}
		}
	}
	return all
}
