package soak

import (
	"fmt"
	"slices"
	"strings"
)

// An outcome is how the service answers in one world.
type outcome struct {
	why    class
	or     class               // also right
	status int                 // of ok; 0: 200
	show   func(*reply) string // says what is wrong with the body of ok, and takes from it what the client learns
}

func refuse(why class) outcome { return outcome{why: why} }

// fits says what is wrong with an answer, if this is the outcome.
func (o *outcome) fits(f *format, s *reply) string {
	why := ""
	for _, c := range []class{o.why, o.or} {
		if c == "" {
			continue
		}
		if why = o.fitsAs(c, f, s); why == "" {
			return ""
		}
	}
	return why
}

func (o *outcome) fitsAs(c class, f *format, s *reply) string {
	if c == ok {
		want := max(o.status, 200)
		switch {
		case s.status != want:
			return fmt.Sprintf("should be %d", want)
		case o.show != nil:
			return o.show(s)
		}
		return ""
	}
	x, known := f.refusals[c]
	switch {
	case !known:
		panic("soak: the format has no word for " + string(c))
	case s.status != x.status:
		return fmt.Sprintf("should be %d: %s", x.status, c)
	case x.code != "" && f.code(s.object) != x.code:
		return fmt.Sprintf("should have the code %q: %s", x.code, c)
	}
	return ""
}

// A belief is the worlds that may be, of which one is.
type belief []*world

// A verdict is what became of an answer.
type verdict struct {
	wrong   []string // what it should have been; none: it was right
	margin  bool     // another answer would have been right, had it been judged a little earlier or later
	sweep   bool     // … had a sweep come earlier or later
	perhaps bool     // … had a request that was cut off been served, or not
}

// maxWorlds is how many worlds a client may have to believe in.
const maxWorlds = 4096

// judge takes what an answer tells; nil is one that was not received. Such a request was served, or was not, or
// came as far as its caller's being judged.
func (b *belief) judge(a *act, from, to int64, s *reply) (v verdict) {
	var left belief
	said := map[string]bool{}
	for _, w := range *b {
		before := len(said)
		timely, swept := false, false
		see := func(r *run) {
			said[string(r.outcome.why)] = true
			timely, swept = timely || r.timely, swept || r.swept
			v.margin = v.margin || r.vague
			if s == nil {
				left = append(left, r.w)
				return
			}
			why := r.outcome.fits(a.format, s)
			if why == "" {
				left = append(left, r.w)
			} else if len(v.wrong) < 8 && !slices.Contains(v.wrong, why) {
				v.wrong = append(v.wrong, why)
			}
		}
		a.ways(w, from, to, see)
		switch n := len(said) - before; {
		case before > 0 && n > 0:
			v.perhaps = true
		case n > 1 && timely:
			v.margin = true
		case n > 1 && swept:
			v.sweep = true
		}
		if s == nil {
			left = append(left, w)
			if a.presents() != "" {
				runs(w, from, to, a.serial, func(r *run) { a.present(r) }, func(r *run) { left = append(left, r.w) })
			}
		}
		if len(left) > maxWorlds {
			return verdict{wrong: []string{"nobody can believe in so many worlds: this is the harness's fault"}}
		}
	}
	if len(left) == 0 {
		return v
	}
	v.wrong = nil
	*b = left.merged(to)
	return v
}

// ways calls see with each way in which the request may be judged in a world.
func (a *act) ways(w *world, from, to int64, see func(*run)) {
	timely := false
	runs(w, from, to, a.serial, func(r *run) {
		r.ends = a.ends()
		r.outcome = a.expect(r)
	}, func(r *run) {
		timely = timely || r.timely
		see(r)
	})
	if !timely || a.presents() == "" {
		return
	}
	// What was live when the request began may not be when it is served: routes judge more than once.
	runs(w, from, to, a.serial, func(r *run) {
		r.ends = a.ends()
		if _, why := a.present(r); why != ok {
			r.outcome = refuse(why)
			return
		}
		r.later()
		r.outcome = a.expect(r)
	}, see)
}

// merged makes one of worlds that are alike.
func (b belief) merged(now int64) belief {
	if len(b) == 1 {
		return b
	}
	list := b[:0:0]
	shapes := map[string]*world{}
	for _, w := range b {
		w.tidy(now)
		shape := w.shape()
		if known := shapes[shape]; known != nil {
			known.merge(w)
			continue
		}
		shapes[shape] = w
		list = append(list, w)
	}
	return list
}

// tidy takes away what is over for certain, so that it does not tell worlds apart.
func (w *world) tidy(now int64) {
	r := &run{w: w, from: now, to: now}
	is := func(b bound) bool { return b.set() && now > b.hi+margin }
	for _, t := range w.tokens {
		if t.has(previous) && !t.slots[newest].confirmed && is(t.lapse) {
			r.dropNewest(t)
		}
		for _, slot := range []int{previous, older} {
			if t.has(slot) && is(t.slots[slot].until) {
				r.stop(t, slot)
			}
		}
		t.kept = slices.DeleteFunc(slices.Clone(t.kept), func(e kept) bool { return is(e.until) })
	}
}

// each does something in every world.
func (b *belief) each(from, to int64, serial int, do func(*run)) {
	var left belief
	for _, w := range *b {
		runs(w, from, to, serial, do, func(r *run) { left = append(left, r.w) })
	}
	*b = left.merged(to)
}

// String is for a report of what went wrong.
func (b belief) String() string {
	var s strings.Builder
	for k, w := range b {
		if k == 4 {
			fmt.Fprintf(&s, "… and %d worlds more\n", len(b)-k)
			break
		}
		fmt.Fprintf(&s, "world %d:\n", k)
		for _, t := range w.tokens {
			fmt.Fprintf(&s, "  %d %s %s%q caps %v expires %v parent %d", t.n, t.prefix, t.id, t.name, t.caps, t.expires, t.parent)
			for slot, x := range t.slots {
				if x.n != 0 {
					fmt.Fprintf(&s, " [slot %d: %d …%s confirmed %v until %v bears %d]", slot, x.n, tail(x.text), x.confirmed, x.until, x.bears)
				}
			}
			fmt.Fprintf(&s, " firstUse %v %v lapse %v succ %d pred %d usedUp %v until %v retired %v revoked %v epoch %d/%d session %v manages %v bears %d revision %d kept %d\n",
				t.firstUse, t.grace, t.lapse, t.succ, t.pred, t.usedUp, t.until, t.retired, t.revoked, t.epoch, t.parentEpoch,
				t.session, t.manages, t.startedBy, t.revision, len(t.kept))
		}
	}
	return s.String()
}

// tail is enough of a secret to tell it from others.
func tail(text string) string { return text[max(0, len(text)-sumLen):] }
