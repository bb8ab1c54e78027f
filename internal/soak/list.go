package soak

import (
	"fmt"
	"slices"
)

// An entry is a token in a list, by what tells it from others.
type entry struct {
	id, name, prefix string
	made             int64  // 0: it is not shown
	pred             string // the ID of its predecessor, where that is shown
	check            func(*run, *token) string
}

func entries(v any, read func(map[string]any) entry) []entry {
	list, _ := v.([]any)
	out := make([]entry, 0, len(list))
	for _, x := range list {
		m, _ := x.(map[string]any)
		out = append(out, read(m))
	}
	return out
}

// A listing is a page of one.
type listing struct {
	limit int    // 0: it is all there is
	after string // an ID
	next  string
	shown []entry
}

// list holds a page against a world: belongs says which tokens are in the list.
func (r *run) list(l listing, belongs func(*run, *token) bool) string {
	last := l.after
	seen := map[int]bool{}
	for _, e := range l.shown {
		if e.id <= last {
			return "the list is not in the order of IDs: " + e.id
		}
		last = e.id
		t := r.w.byID(e.id)
		if t == nil {
			t = r.unnamed(e, seen, belongs)
		}
		if t == nil {
			return fmt.Sprintf("there is no token %s %q", e.id, e.name)
		}
		yes, no := r.either(func(x *run) bool { return belongs(x, t) })
		if !yes {
			return "it should not list " + e.id
		}
		r.vague = r.vague || no
		if why := firstOf(t.known(e.id), is("a name", e.name, t.name), is("a prefix", e.prefix, t.prefix)); why != "" {
			return why
		}
		if e.check != nil {
			if why := e.check(r, t); why != "" {
				return e.id + ": " + why
			}
		}
		seen[t.n] = true
	}
	full := l.limit > 0 && len(l.shown) == l.limit
	if l.next != "" && (!full || l.next != last) {
		return "it should not go on after " + l.next
	}
	for _, t := range slices.Clone(r.w.tokens) {
		if seen[t.n] || r.w.get(t.n) == nil {
			continue
		}
		if t.id != "" && (t.id <= l.after || l.next != "" && t.id > last) || t.id == "" && (l.after != "" || l.next != "") {
			continue // on another page
		}
		yes, no := r.either(func(x *run) bool { return belongs(x, t) })
		switch {
		case yes && r.removable(t):
			r.w.remove(t) // it was swept
		case yes && !no:
			return fmt.Sprintf("it should list %s %q", t.id, t.name)
		case yes:
			r.vague = true
		}
	}
	return ""
}

// unnamed returns the token that an entry may be of those whose IDs nobody was told. Where it may be several, such as
// sessions that were started one right after the other, it is one of them in one run, and another in another.
func (r *run) unnamed(e entry, seen map[int]bool, belongs func(*run, *token) bool) *token {
	var list []*token
	for _, t := range r.w.tokens {
		if t.id != "" || seen[t.n] || t.name != e.name || t.prefix != e.prefix {
			continue
		}
		if e.made != 0 && !(t.made.holds(e.made) && r.mayHave(t.pred, e.pred)) {
			continue
		}
		if yes, _ := r.either(func(x *run) bool { return belongs(x, t) }); yes {
			list = append(list, t)
		}
	}
	for len(list) > 1 && r.choose() {
		list = list[1:]
	}
	if len(list) == 0 {
		return nil
	}
	if e.pred != "" {
		r.idOf("", list[0].pred, e.pred)
	}
	return list[0]
}

// mayHave reports whether a token, zero being none, may have that ID.
func (r *run) mayHave(n int, id string) bool {
	t := r.w.get(n)
	switch {
	case n == 0:
		return id == ""
	case t == nil || t.id == "":
		return len(id) == idLen
	}
	return t.id == id
}

// beside is for the formats that list no parent, nor what others made: with a prefix, beside the caller.
func (r *run) beside(who *caller, prefix string) func(*run, *token) bool {
	under := place(who)
	return func(x *run, t *token) bool {
		return t.parent == under && t.prefix == prefix && !t.session && x.isListed(t)
	}
}

// isListed reports whether a token lives, or has expired and was not replaced.
func (r *run) isListed(t *token) bool {
	_, live := r.above(t)
	why := r.ended(t)
	return live && (why == "" || why == isExpired && t.succ == 0)
}
