package histories

import "time"

// explainsStale reports whether c, an accepted verification, may have been answered from what a
// cache kept: records that were current within the bound before the call, and that nobody has
// changed through the same cache since. No first use is: that is a change.
func (s *state) explainsStale(c *call, a *answer, e engine) bool {
	since := c.times[0] - e.staleness.Microseconds()
	var kept []record
	for id := c.owner; id != none; id = s.record(id).parent {
		for i := len(s.was) - 1; i >= 0; i-- {
			if v := s.was[i]; v.id == id {
				if v.until < since || e.cacheOf(v.by) == e.cacheOf(c.client) {
					break
				}
				kept = append(kept, v.record)
			}
		}
	}
	for _, mixed := range s.mixes(kept) {
		for _, m := range mixed.movesTo(c, a, nil) {
			if mixed != s && m.state == m.from {
				return true
			}
		}
	}
	return false
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

// bound is the maxStaleness of every Cache.
const bound = 3 * time.Second
