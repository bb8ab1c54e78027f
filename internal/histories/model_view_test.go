package histories

import "slices"

// looksLike reports whether v is what a Token shows of r at t, of which a secret was verified.
func (r *record) looksLike(v *view, t int64, verified int) bool {
	if v.id != r.id || v.revision != r.revision || v.name != r.name || v.caps != r.caps ||
		v.session != (r.parent != none) || v.created != r.created || v.revoked != r.revoked {
		return false
	}
	if v.expires != r.expires {
		return false
	}
	at := *r
	at.settle(t)
	if at.rotated != unknown && v.rotated != at.rotated {
		return false
	}
	reasons := r.ended(t)
	if len(reasons) > 0 {
		// Either: nothing is said of an ended token's epoch and secrets.
		return slices.Contains(reasons, v.ended)
	}
	if v.ended != "" || v.epoch != r.epoch {
		return false
	}

	current, unconfirmed, retiring := at.current(), secret{}, at.prev
	if !at.newest.used {
		unconfirmed = at.newest
		unconfirmed.until = at.lapse
	}
	if current.by != at.newest.by {
		retiring = at.older
	}
	if !r.same(v.unconfirmed, unconfirmed) || !r.same(v.current, current) || !r.same(v.retiring, retiring) {
		return false
	}
	for _, s := range []secret{at.newest, at.prev, at.older} {
		if verified != none && s.by == verified && !r.same(secretView{s.created, v.retiresAt}, s) {
			return false
		}
	}
	return true
}

// same reports whether v is what a State has of s. An end that is not before the
// token's is none.
func (r *record) same(v secretView, s secret) bool {
	if s.by == none {
		return v == secretView{}
	}
	return v.created == s.created && r.effective(v.until) == r.effective(s.until)
}

func (r *record) effective(until int64) int64 {
	if r.expires != none && until >= r.expires {
		return none
	}
	return until
}
