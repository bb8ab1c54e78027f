package histories

import (
	"fmt"
	"hash/maphash"

	"github.com/anishathalye/porcupine"
)

// An event is what porcupine puts into an order: a call, or a part of one.
type event struct {
	*call
	part part
}

type part string

const (
	whole part = ""
	looks part = "looks" // a rotation
	turns part = "turns"
	late  part = "late" // what a denial has yet to write down
)

// history returns the operations for porcupine. A rotation is two of them: it looks, when it first
// reads the token, and then it wins, if nobody else's rotation came in between, or loses,
// if one did.
func history(records []recorded) []porcupine.Operation {
	var ops []porcupine.Operation
	for _, r := range records {
		op := porcupine.Operation{
			ClientId: r.call.client, Input: event{r.call, whole}, Output: r.answer, Call: r.from, Return: r.to,
		}
		if r.call.kind == doRotate && (r.answer.class == conflict || r.answer.class == ok) {
			first := op
			first.Input = event{r.call, looks}
			if first.Call, first.Return = r.look[0], r.look[1]; r.call.session && r.call.actor == bearer {
				// What it was refused at first, it looked at in vain: when it looked again is not known.
				first.Return = r.to
			}
			op.Input = event{r.call, turns}
			ops = append(ops, first)
		}
		ops = append(ops, op)
		if r.answer.late && r.answer.class == denied {
			op.Input, op.Return = event{r.call, late}, r.end
			ops = append(ops, op)
		}
	}
	return ops
}

var hashSeed = maphash.MakeSeed()

// A step is what porcupine asks again and again, in one order after the other.
type step struct {
	from  *state
	event event
}

// most is how many steps are tried. Of a thousand histories that some order explains, one takes
// more than ten thousand; what nothing explains may take more than there is memory for.
const most = 1_000_000

// A search is one for an order that explains a history.
type search struct {
	w         *world
	known     map[string]*state
	done      map[step][]any
	steps     int
	exhausted bool // it was given up
}

func (w *world) search() *search {
	return &search{w: w, known: map[string]*state{w.start.key: w.start}, done: map[step][]any{}}
}

// model returns the model for porcupine.
func (s *search) model() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Init:  func() []any { return []any{s.w.start} },
		Step:  func(from, in, out any) []any { return s.step(step{from.(*state), in.(event)}, out.(*answer)) },
		Equal: func(a, b any) bool { return a == b },
		Hash:  func(a any) uint64 { return maphash.Comparable(hashSeed, a) },
		DescribeOperation: func(in, out any) string {
			e := in.(event)
			return fmt.Sprintf("%v %s → %v", e.call, e.part, out)
		},
		DescribeState: func(a any) string { return a.(*state).String() },
	}
	return m.ToModel()
}

func (s *search) step(at step, a *answer) []any {
	if s.steps++; s.steps > most {
		s.exhausted = true
		return nil
	}
	all, found := s.done[at]
	if found {
		return all
	}
	for _, after := range s.w.next(at.from, at.event, a) {
		if s.known[after.key] == nil {
			s.known[after.key] = after
		}
		all = append(all, s.known[after.key])
	}
	s.done[at] = all
	return all
}

// next returns the states after e, if it could be answered so.
func (w *world) next(s *state, e event, a *answer) (all []*state) {
	switch e.part {
	case late:
		// The reuse that it reported is written down later than it was denied, if at all.
		return append(s.after(e.call, a, nil), s)
	case looks:
		after := s.clone()
		r := s.record(e.target)
		after.looks = append(after.looks, look{e.id, r.newest.by, r.prev.by, r.cancels})
		after.seal()
		return []*state{after}
	case turns:
		before, saw := s.lookedAt(e.id)
		if before == nil {
			return nil
		}
		return before.after(e.call, a, saw)
	}
	if a.class == unavailable {
		all = append(all, s)
	}
	if s.keeps && e.kind == doVerify && a.class == ok && s.explainsStale(e.call, a, w.engine) {
		all = append(all, s)
	}
	return append(all, s.after(e.call, a, nil)...)
}

// lookedAt returns s without the look of a call, and that.
func (s *state) lookedAt(call int) (*state, *look) {
	for i := range s.looks {
		if l := s.looks[i]; l.by == call {
			without := s.clone()
			without.looks = append(without.looks[:i], without.looks[i+1:]...)
			without.seal()
			return without, &l
		}
	}
	return nil, nil
}

// after returns the states after c, at any of its times.
func (s *state) after(c *call, a *answer, saw *look) (all []*state) {
	for _, m := range s.movesTo(c, a, saw) {
		all = append(all, m.state)
	}
	return all
}

// movesTo returns the ways in which c may go, at any of its times, that a could answer.
func (s *state) movesTo(c *call, a *answer, saw *look) (all []*move) {
	for _, t := range c.times {
		for _, m := range s.moves(c, t, saw) {
			if a.class == unavailable || m.answers(a) {
				all = append(all, m)
			}
		}
	}
	return all
}

// answers reports whether a is what m would answer.
func (m *move) answers(a *answer) bool {
	if m.class != a.class || (m.shows == none) != (a.view == nil) {
		return false
	}
	if a.view == nil {
		return true
	}
	verified := none
	if m.c.kind == doVerify {
		verified = m.c.secret
	}
	return m.record(m.shows).looksLike(a.view, m.t, verified)
}
