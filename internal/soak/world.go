package soak

import (
	"slices"
	"strconv"
	"time"
)

// A world is what a client thinks there is of its own owner's. It is changed by runs, each of which has a copy.
type world struct{ tokens []*token }

// A token is one of the service's, as its client knows it. Its number is the client's own, so that
// one whose ID nobody was told has a name, too.
type token struct {
	n       int
	id      string // "": nobody was told
	name    string
	prefix  string
	caps    []string
	nets    []string
	limit   int // of requests in a minute; 0: any number
	expires bound

	parent      int
	parentEpoch int
	cut         bound // when its parent's descendants were ended, it among them
	session     bool
	manages     bool
	startedBy   int // what the secret bears that it was started with

	slots    [3]secret
	stopped  []int // numbers of secrets that were used and stopped, the newest 8
	firstUse bool  // the newest secret was made to retire the one before with its first use
	grace    time.Duration
	lapse    bound
	epoch    int

	succ, pred int
	usedUp     bool  // its successor was used
	until      bound // when it stops as a whole, by plan
	retired    bound // when it stopped as a whole
	revoked    bound

	made, rotated bound
	revision      int64 // 0: not known
	kept          []kept

	minute        int64 // of which the requests are counted
	least, atMost int   // of them
}

// Slots of secrets: the newest, the one that it replaced, and the one before, while they may work.
const (
	newest = iota
	previous
	older
)

// A secret's number is the client's own. The zero one is none.
type secret struct {
	n         int
	text      string // "": nobody was told
	confirmed bool
	made      bound
	until     bound
	bears     int // what sessions that are started with it bear
}

// kept is an answer that the service keeps for a repeated request.
type kept struct {
	by     secret // that the request came with
	key    string // "": the request itself is the key
	what   string // the request
	token  int
	secret int
	until  bound
}

func (w *world) clone() *world {
	c := &world{make([]*token, len(w.tokens))}
	all := make([]token, len(w.tokens))
	for k, t := range w.tokens {
		all[k] = *t // its slices are never written to
		c.tokens[k] = &all[k]
	}
	return c
}

func (w *world) add(t token) *token {
	w.tokens = append(slices.Clip(w.tokens), &t)
	return &t
}

// get returns the token of that number, or nil.
func (w *world) get(n int) *token {
	if n == 0 {
		return nil
	}
	for _, t := range w.tokens {
		if t.n == n {
			return t
		}
	}
	return nil
}

func (w *world) byID(id string) *token {
	if id == "" {
		return nil
	}
	for _, t := range w.tokens {
		if t.id == id {
			return t
		}
	}
	return nil
}

// remove forgets a token, and all that stands below it.
func (w *world) remove(t *token) {
	for _, child := range slices.Clone(w.tokens) {
		if child.parent == t.n {
			w.remove(child)
		}
	}
	w.tokens = slices.DeleteFunc(slices.Clone(w.tokens), func(x *token) bool { return x == t })
}

func (t *token) has(slot int) bool { return t.slots[slot].n != 0 }

// slotOf returns the slot of the secret with that text, or -1.
func (t *token) slotOf(text string) int {
	for k := range t.slots {
		if text != "" && t.slots[k].text == text {
			return k
		}
	}
	return -1
}

func (t *token) changed() { t.revision = 0 }

// shape is all of a world but its moments: of those, only whether there are any.
func (w *world) shape() string {
	b := make([]byte, 0, 64*len(w.tokens))
	num := func(list ...int) {
		for _, n := range list {
			b = strconv.AppendInt(b, int64(n), 36)
			b = append(b, ',')
		}
	}
	flag := func(list ...bool) {
		for _, x := range list {
			if x {
				b = append(b, '+')
			} else {
				b = append(b, '-')
			}
		}
	}
	for _, t := range w.tokens {
		b = append(b, '\n')
		num(t.n, t.parent, t.parentEpoch, t.startedBy, t.epoch, t.succ, t.pred, int(t.grace), int(t.revision),
			int(t.minute), len(t.nets), t.limit)
		b = append(append(b, t.id...), t.name...)
		for _, c := range t.caps {
			b = append(append(b, ' '), c...)
		}
		flag(t.session, t.manages, t.firstUse, t.usedUp, t.expires.set(), t.cut.set(), t.lapse.set(), t.until.set(),
			t.retired.set(), t.revoked.set(), t.rotated.set())
		for _, s := range t.slots {
			num(s.n, len(s.text), s.bears)
			flag(s.confirmed, s.until.set())
		}
		for _, k := range t.kept {
			num(k.by.n, k.token, k.secret)
			b = append(append(b, k.key...), k.what...)
		}
		num(t.stopped...)
	}
	return string(b)
}

// merge widens the moments of w to hold those of other, which has the same shape.
func (w *world) merge(other *world) {
	for k, t := range w.tokens {
		o := other.tokens[k]
		for i, b := range t.bounds() {
			*b = hull(*b, *o.bounds()[i])
		}
		t.kept = slices.Clone(t.kept)
		for i := range t.kept {
			t.kept[i].until = hull(t.kept[i].until, o.kept[i].until)
		}
		t.least, t.atMost = min(t.least, o.least), max(t.atMost, o.atMost)
	}
}

// bounds are the moments of a token.
func (t *token) bounds() []*bound {
	list := []*bound{&t.expires, &t.cut, &t.lapse, &t.until, &t.retired, &t.revoked, &t.made, &t.rotated}
	for k := range t.slots {
		list = append(list, &t.slots[k].until, &t.slots[k].made)
	}
	return list
}
