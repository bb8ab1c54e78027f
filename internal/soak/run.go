package soak

import "slices"

// A run is one way in which the service may have judged a request: at some moment between two. Where that can
// go either way, the run takes one of them, and another run the other.
type run struct {
	w        *world
	from, to int64 // microseconds: when the request was sent, and when its answer had arrived
	serial   int   // the number of what the request makes

	path  []bool // what was chosen, where there was a choice
	taken int
	said  []saying
	stay  []int // numbers of tokens that have not been swept

	timely  bool // there was a choice of time
	swept   bool // there was a choice of whether something had been swept
	counted bool // the request was counted against a limit
	ends    bool // it ends something: it is counted, and not refused

	outcome outcome
	vague   bool // of one of the tokens in a list, either answer was right
}

type saying struct {
	b    bound
	over bool
}

// runs calls do with a run for each way, and then yield.
func runs(w *world, from, to int64, serial int, do, yield func(*run)) {
	var path []bool
	for n := 0; ; n++ {
		r := &run{w: w.clone(), from: from, to: to, serial: serial, path: path}
		do(r)
		r.learn()
		yield(r)
		last := len(r.path) - 1
		for last >= 0 && r.path[last] {
			last--
		}
		if last < 0 {
			return
		}
		if n == 1<<14 {
			panic("soak: a request has too many ways to be judged")
		}
		path = append(append([]bool(nil), r.path[:last]...), true)
	}
}

// either reports whether something may be so, and whether it may not. do must change nothing.
func (r *run) either(do func(*run) bool) (yes, no bool) {
	var path []bool
	for {
		x := &run{w: r.w, from: r.from, to: r.to, path: path, said: slices.Clone(r.said)}
		if do(x) {
			yes = true
		} else {
			no = true
		}
		last := len(x.path) - 1
		for last >= 0 && x.path[last] {
			last--
		}
		if last < 0 || yes && no {
			return yes, no
		}
		path = append(slices.Clone(x.path[:last]), true)
	}
}

func (r *run) choose() bool {
	if r.taken == len(r.path) {
		r.path = append(r.path, false)
	}
	r.taken++
	return r.path[r.taken-1]
}

// now is the moment at which the request is judged.
func (r *run) now() bound { return bound{r.from, r.to} }

// over reports whether a moment has come.
func (r *run) over(b bound) bool {
	switch {
	case !b.set() || r.to < b.lo-margin:
		return false
	case r.from > b.hi+margin:
		return true
	}
	for _, s := range r.said {
		if s.b == b {
			return s.over
		}
	}
	r.timely = true
	o := r.choose()
	r.said = append(r.said, saying{b, o})
	return o
}

// later begins another judgement of the same request: what was not over may be over by now.
func (r *run) later() {
	r.stay = nil
	kept := r.said[:0:0]
	for _, s := range r.said {
		if s.over {
			kept = append(kept, s)
		} else {
			r.narrow(s)
		}
	}
	r.said = kept
}

// learn narrows the moments of which something was said.
func (r *run) learn() {
	for _, s := range r.said {
		r.narrow(s)
	}
}

func (r *run) narrow(s saying) {
	if s.b.lo == s.b.hi {
		return
	}
	n := s.b
	if s.over {
		n.hi = max(n.lo, min(n.hi, r.to))
	} else {
		n.lo = min(n.hi, max(n.lo, r.from))
	}
	for _, t := range r.w.tokens {
		for _, b := range t.bounds() {
			if *b == s.b {
				*b = n
			}
		}
	}
}

// find returns the token with a number, or nil if there is none, or none any more.
func (r *run) find(n int) *token {
	t := r.w.get(n)
	if t == nil || slices.Contains(r.stay, n) || !r.removable(t) {
		return t
	}
	r.swept = true
	if r.choose() {
		r.w.remove(t)
		return nil
	}
	r.stay = append(r.stay, n)
	return t
}

// removable reports whether a sweep may have removed the token.
func (r *run) removable(t *token) bool {
	ends := first(t.retired, t.revoked, t.expires, t.until, t.cut)
	if !t.has(previous) && !t.slots[newest].confirmed {
		ends = first(ends, t.lapse)
	}
	if ends.set() && r.to >= ends.plus(retention).lo-margin {
		return true
	}
	p := r.w.get(t.parent)
	return t.parent != 0 && (p == nil || r.removable(p))
}
