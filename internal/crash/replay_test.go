package crash

import (
	"fmt"
	"slices"
	"strings"

	"github.com/remint-go/remint"
)

// A replay lets the events that a victim left have happened in the world, one commit after
// another, and compares each with the step that it is of.
type replay struct {
	*world
	*ledger
	problems *problems

	landed map[uint64]bool              // steps that have events
	claims map[remint.ID][]*claim       // by the token that they are about
	past   map[remint.ID][]remint.Event // for messages
	swept  bool                         // a sweep was begun
	gone   int                          // tokens that it removed
}

// A claim is what an ack said of a revision that another step had made: that there was nothing to
// do, or that a secret was accepted.
type claim struct {
	*step
	*ack
	met bool
}

// problems collects what does not hold.
type problems []string

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

func newReplay(w *world, l *ledger, p *problems) *replay {
	return &replay{
		world: w, ledger: l, problems: p,
		landed: map[uint64]bool{}, claims: map[remint.ID][]*claim{}, past: map[remint.ID][]remint.Event{},
	}
}

func isUnavailable(err string) bool { return strings.HasPrefix(err, remint.ErrUnavailable.Error()) }

// run replays the events, and then looks for what was acknowledged and is not among them.
func (r *replay) run(events []remint.Event) {
	for _, e := range events {
		if n, ok := tag(e); ok {
			r.landed[n] = true
		}
	}
	for _, n := range r.order {
		s := r.begun[n]
		r.swept = r.swept || s.Kind == kindSweep
		if a := r.succeeded(n); a != nil && !r.landed[n] && a.Revision != 0 {
			r.claims[a.ID] = append(r.claims[a.ID], &claim{step: s, ack: a})
		}
	}
	r.meet()
	for len(events) > 0 {
		k := 1
		if n, ok := tag(events[0]); ok {
			for k < len(events) && isOf(events[k], n) {
				k++
			}
			r.commit(n, events[:k])
		} else {
			r.remove(events[0])
		}
		for _, e := range events[:k] {
			r.past[e.Token] = append(r.past[e.Token], e)
		}
		r.meet()
		events = events[k:]
	}
	for _, n := range r.order {
		r.acknowledged(r.begun[n])
	}
}

func isOf(e remint.Event, n uint64) bool {
	m, ok := tag(e)
	return ok && m == n
}

// commit replays one step: its events must be exactly those that the rules have for it.
func (r *replay) commit(n uint64, got []remint.Event) {
	s := r.begun[n]
	switch a := r.acked[n]; {
	case s == nil:
		r.problems.add("there are events of step %d, which nobody began: %v", n, got)
		return
	case a != nil && a.Err != "" && !r.untold(n) && !s.presents(),
		a != nil && a.Err != "" && !r.untold(n) && slices.ContainsFunc(got, func(e remint.Event) bool { return e.Kind == remint.EventRotate }):
		r.problems.add("%s failed (%s), and has events: %v", describe(s), a.Err, got)
		return
	}
	if s.presents() && !slices.ContainsFunc(got, func(e remint.Event) bool {
		return e.Kind == remint.EventRotate || e.Kind == remint.EventReplay
	}) {
		c := *s
		c.Kind, s = kindVerify, &c // it was refused, and was a first use or a reuse all the same
	}
	at, made := got[0].At.UnixMicro(), remint.ID{}
	for _, e := range got {
		if e.Token == s.ID && s.Kind != kindIssue && s.Kind != kindSession {
			at = e.At.UnixMicro()
		}
		if e.Kind == remint.EventIssue {
			made = e.Token
		}
	}
	act, err := r.draft(s, at, made)
	if err != nil {
		r.problems.add("%s has events, but %v: %v%s", describe(s), err, got, r.history(s.ID))
		return
	}
	want := act.events()
	got = slices.Clone(got)
	sortEvents(got)
	if !slices.Equal(got, want) {
		r.problems.add("%s has the events\n\t%s, want\n\t%s%s", describe(s), list(got), list(want), r.history(s.ID))
		return
	}
	text := ""
	if a := r.succeeded(n); a != nil {
		text = a.Text
		delete(r.lost, s.first())
		if id := act.returned(); id != nil && (a.ID != id.id || a.Revision != id.revision) {
			r.problems.add("%s returned %v@%d, and made %v@%d", describe(s), a.ID, a.Revision, id.id, id.revision)
		}
	}
	act.land(text)
}

// returned returns the token that the operation returns, if it returns one.
func (a *act) returned() *token {
	id := a.step.ID
	switch {
	case a.Kind == kindRevoke, a.Kind == kindEnd, len(a.drafts) == 1 && a.drafts[0].ev.Kind == remint.EventReuse:
		return nil
	case a.minted != nil:
		id = a.minted.token
	}
	for _, d := range a.drafts {
		if d.id == id {
			return d.token
		}
	}
	return nil
}

// remove replays what a sweep removed: nothing that could still have been of use.
func (r *replay) remove(e remint.Event) {
	t := r.tokens[e.Token]
	switch {
	case e.Kind != remint.EventRemove || !r.swept:
		r.problems.add("nobody did what this event tells: %v", e)
		return
	case t == nil || t.revision != e.Revision || t.owner != e.Owner || t.parent != e.Other || t.newestGen() != e.Generation:
		r.problems.add("what was removed is not what there was: %v%s", e, r.history(e.Token))
		return
	}
	if since := r.deadSince(t); since == 0 || since > e.At.Add(-retention).UnixMicro() {
		r.problems.add("%v was removed at %v, and is of no use since %v only%s", t.id, e.At, toTime(since), r.history(t.id))
	}
	for _, child := range r.tokens {
		if child.parent == t.id {
			r.problems.add("%v was removed before its child %v", t.id, child.id)
		}
	}
	delete(r.tokens, t.id)
	r.gone++
}

// meet checks the claims about what the tokens are now. What there is to do for one may depend on
// others, too.
func (r *replay) meet() {
	for id, list := range r.claims {
		t := r.tokens[id]
		for _, c := range list {
			if t != nil && !c.met && c.Revision == t.revision {
				c.met = r.holds(c, t, c.step.At) || r.holds(c, t, c.ack.At)
			}
		}
	}
}

// holds reports whether a claim was true at that time.
func (r *replay) holds(c *claim, t *token, now int64) bool {
	if c.Kind == kindVerify {
		x := r.texts[c.step.Text]
		for k, s := range t.liveSlots(now) {
			if x != nil && s != nil && s.gen == x.gen {
				return k > 0 || s.confirmed
			}
		}
		return false
	}
	act, err := r.draft(c.step, now, remint.ID{})
	return err == nil && len(act.drafts) == 0
}

// acknowledged checks that what was acknowledged has happened.
func (r *replay) acknowledged(s *step) {
	a := r.acked[s.N]
	switch {
	case r.untold(s.N):
		return
	case isUnavailable(a.Err):
		r.problems.add("%s failed, though nothing was in its way: %s", describe(s), a.Err)
		return
	case a.Err != "":
		r.denied(s, a)
		return
	case s.Kind == kindSweep:
		return
	case s.Kind == kindRevoke, s.Kind == kindEnd:
		if t := r.tokens[s.ID]; !r.landed[s.N] && t != nil && t.revoked == 0 {
			r.problems.add("%s was acknowledged, and has no event%s", describe(s), r.history(s.ID))
		}
		return
	}
	for _, c := range r.claims[a.ID] {
		if c.step == s && !c.met {
			r.problems.add("%s was acknowledged with revision %d, and has no event; or what was acknowledged was not so%s",
				describe(s), a.Revision, r.history(a.ID))
		}
	}
}

// denied checks what was refused: a secret must have been dead, and if it was a reuse, be
// reported. Whose answer was lost must not be locked out.
func (r *replay) denied(s *step, a *ack) {
	if made := r.lost[s.Of]; s.Kind == kindAgain && made != nil && r.waiting(made, a.At) {
		r.problems.add("%s was cut off and repeated, and is refused: %s%s", describe(s), a.Err, r.history(s.ID))
	}
	switch {
	case !s.presents():
		return
	case a.Err == remint.ErrDenied.Error():
	case s.Kind == kindVerify:
		r.problems.add("%s failed: %s", describe(s), a.Err)
		return
	default:
		return
	}
	x := r.texts[s.Text]
	t := r.tokens[s.ID]
	if t == nil || x == nil {
		return
	}
	// What has died is never live again.
	if v := r.judge(s.Text, a.At); v != dead {
		r.problems.add("%s was denied, and yet it was %s%s", describe(s), v, r.history(s.ID))
	}
	if s.Kind == kindAgain || r.late[s.N] || r.landed[s.N] || over(t.expires, s.At) || r.changedSince(s) {
		return // it is no reuse, or could not be stored, or is not to be told from what was so since
	}
	if t.isReuse(x.gen, s.At) && t.isReuse(x.gen, a.At) {
		r.problems.add("%s was denied, and the reuse is not in the log%s", describe(s), r.history(s.ID))
	}
}

// changedSince reports whether the token may have been another when the step was judged.
func (r *replay) changedSince(s *step) bool {
	return slices.ContainsFunc(r.past[s.ID], func(e remint.Event) bool {
		n, ok := tag(e)
		return !ok || !r.before(n, s.N)
	})
}

func describe(s *step) string {
	text := ""
	if s.Text != "" {
		text = " with a secret"
	}
	c := *s
	c.Text, c.Key = "", ""
	return fmt.Sprintf("step %d (%s%s of %v at %v: %+v)", s.N, s.Kind, text, s.ID, toTime(s.At).Format("15:04:05.000000"), c)
}

// history tells what is known of a token.
func (r *replay) history(id remint.ID) string {
	b := new(strings.Builder)
	fmt.Fprintf(b, "\n\tof %v there was, in this victim's life:\n\t%s", id, list(r.past[id]))
	if t := r.tokens[id]; t != nil {
		fmt.Fprintf(b, "\n\tit is %+v", *t)
		for _, s := range []*slot{t.newest, t.prev, t.older} {
			fmt.Fprintf(b, "\n\t\t%+v", s)
		}
	}
	return b.String()
}

func list(events []remint.Event) string {
	b := new(strings.Builder)
	for _, e := range events {
		fmt.Fprintf(b, "\n\t\t%+v", e)
	}
	return b.String()
}
