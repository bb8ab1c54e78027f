package remint_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/remint-go/remint"
)

// Law 6, for everybody at once: in random trees, after each operation of whoever does it, what was
// made or changed reaches no further than whoever did it, what was rotated reaches as far as
// before, what stands below another stays within that, what has stopped stays so, and nobody else
// is touched.
func TestInRandomTreesNothingReachesFurtherThanWhoeverMadeIt(t *testing.T) {
	tried, done := map[string]int{}, map[string]int{}
	checkMore(t, 5, func(t *rapid.T) {
		g := newGrove(t)
		for range rapid.IntRange(4, 16).Draw(t, "steps") {
			if rapid.IntRange(0, 5).Draw(t, "wait") == 0 {
				g.clock.advance(rapid.SampledFrom([]time.Duration{time.Microsecond, 10 * time.Minute, time.Hour}).Draw(t, "for"))
			}
			seen, were := g.look(), g.snapshot()
			g.stayDead(seen)
			c := g.draw(seen)
			d := g.do(c)
			now, are := g.look(), g.snapshot()
			g.stayDead(now)
			tried[c.kind]++
			if d.err == nil && d.what != "get" && d.what != "list" {
				done[c.kind]++
			}
			g.checkMade(c, d, were, are)
			g.checkWithin(now, are)
			g.checkUntouched(c, d, seen, now, were, are)
		}
	})
	if t.Failed() {
		return
	}
	for _, kind := range []string{groveOperator, groveMember, groveBearer, groveManaging, grovePlain, groveRetiring, groveUnconfirmed, groveStopped} {
		may := kind != grovePlain && kind != groveRetiring && kind != groveStopped
		if tried[kind] == 0 || (done[kind] > 0) != may {
			t.Errorf("%s tried %d operations, and did %d", kind, tried[kind], done[kind])
		}
	}
}

// stayDead fails if a secret is accepted that was denied for what it is before.
func (g *grove) stayDead(seen []sight) {
	g.t.Helper()
	for n, l := range g.leaves {
		if l.dead && seen[n].lives() {
			g.fatalf("%v of %v was denied, and gets %v", l, l.id, seen[n].class)
		}
		l.dead = l.dead || !seen[n].lives()
	}
}

// checkMade looks at each token that an operation has made or changed.
func (g *grove) checkMade(c *caller, d *deed, were, are map[remint.ID]remint.Token) {
	g.t.Helper()
	for id, tok := range are {
		was, had := were[id]
		if had && was.State().Revision == tok.State().Revision {
			continue
		}
		same := had && sameSpec(was.Spec(), tok.Spec())
		if d.err != nil && !same {
			g.fatalf("%v failed with %v, and %v is now %+v", d, d.err, id, tok.Spec())
		}
		if c.bound != nil && !same && !c.bound.covers(g.forest, tok) {
			g.fatalf("%v made, or left, %v with %+v, and has %+v", c, id, tok.Spec(), *c.bound)
		}
		if c.bound != nil && had && was.Owner() != c.bound.owner {
			g.fatalf("%v changed %v, another owner's", c, id)
		}
	}
	if d.err != nil || d.grant.Token.IsZero() {
		return
	}
	tok := are[d.grant.Token.ID()]
	if c.bound != nil && !c.bound.covers(g.forest, tok) {
		g.fatalf("%v was given a secret of %v, which has %+v, and has %+v itself", c, tok, tok.Spec(), *c.bound)
	}
	if d.what == "rotate" && (d.how.Successor == nil || d.how.Successor.Spec == nil) && !sameSpec(tok.Spec(), were[d.target].Spec()) {
		g.fatalf("%v: %+v became %+v", d, were[d.target].Spec(), tok.Spec())
	}
	if parent := tok.Parent(); !parent.IsZero() && were[parent].State().Ended != "" {
		g.fatalf("%v: it was made under %v, which had ended", d, parent)
	}
}

// checkWithin holds every live token against its ancestors.
func (g *grove) checkWithin(now []sight, are map[remint.ID]remint.Token) {
	g.t.Helper()
	for n, l := range g.leaves {
		if !now[n].lives() || now[n].tok.IsZero() {
			continue
		}
		depth := 1
		for above := are[now[n].tok.Parent()]; !above.IsZero(); above = are[above.Parent()] {
			depth++
			tok, ended := now[n].tok, above.State().Ended
			within := mCapsWithin(slices.Collect(tok.Capabilities().All()), slices.Collect(above.Capabilities().All()))
			if !within || above.Owner() != tok.Owner() || ended != "" {
				g.fatalf("%v of %v lives with %v of %q, below %v with %v of %q, ended %q",
					l, l.id, tok.Capabilities(), tok.Owner(), above, above.Capabilities(), above.Owner(), ended)
			}
			for k, from := range mAddrs {
				if now[n].class[k] == mOK && !mInNets(from, above.Spec().Networks) {
					g.fatalf("%v of %v is accepted from %v, and %v above it is for %v", l, l.id, from, above, above.Spec().Networks)
				}
			}
		}
		if depth > 4 {
			g.fatalf("%v stands at level %d", l.id, depth)
		}
	}
}

// checkUntouched fails if an operation made a difference to a secret that it has nothing to do
// with: such as are neither of its target, nor below it, nor linked with it by a rotation, and the
// same of the caller, whose first use it may have been.
func (g *grove) checkUntouched(c *caller, d *deed, seen, now []sight, were, are map[remint.ID]remint.Token) {
	g.t.Helper()
	touched := linked(were, d.target)
	if d.what == "get" || d.what == "list" || d.what == "issue" || d.err != nil {
		touched = nil
	}
	if c.leaf != nil {
		touched = append(touched, linked(were, c.leaf.id)...)
		c.leaf.used = c.leaf.used || now[c.leaf.n].lives() && are[c.leaf.id].State().Revision != were[c.leaf.id].State().Revision
	}
	for n := range seen {
		if seen[n].class != now[n].class && !g.family(g.leaves[n].id, touched, were) {
			g.fatalf("%v, %v: %v of %v got %v, and gets %v", c, d, g.leaves[n], g.leaves[n].id, seen[n].class, now[n].class)
		}
	}
}

// Law 7: what ends a token, or what descends from it, ends every secret below, at any depth, in any
// state, at once, in one write; and no other.
func TestEndingIsCompleteAndExact(t *testing.T) {
	below, beside := 0, 0
	checkMore(t, 5, func(t *rapid.T) {
		g := newGrove(t)
		if len(g.leaves) == 0 {
			return
		}
		for range rapid.IntRange(0, 6).Draw(t, "steps") {
			g.do(g.draw(g.look()))
		}
		for range rapid.IntRange(1, 3).Draw(t, "endings") {
			c := g.draw(g.look())
			if c.leaf != nil { // so that this is no first use: it ends what it ends
				for _, from := range mAddrs {
					_, _ = g.w.iss.Verify(ctxBG, c.leaf.text, from)
				}
			}
			top := rapid.SampledFrom(g.leaves).Draw(t, "top").id
			revoke := rapid.Bool().Draw(t, "revoke")
			before, tokens := g.look(), g.snapshot()
			g.w.drain()
			var err error
			if revoke {
				err = c.Revoke(ctxBG, top)
			} else {
				err = c.EndSessions(ctxBG, top)
			}
			g.logf("%v ends %v, revoke %v: %v", c, top, revoke, mClassOf(err))
			events := g.w.drain()
			if err == nil && len(events) > 1 || err != nil && slices.ContainsFunc(events, func(e remint.Event) bool { return e.Kind != remint.EventReuse }) {
				g.fatalf("%v: %+v", err, events)
			}
			if err != nil && !errors.Is(err, remint.ErrDenied) && !errors.Is(err, remint.ErrForbidden) && !errors.Is(err, remint.ErrNotFound) {
				g.fatalf("%v", err)
			}
			for n, s := range g.look() {
				l := g.leaves[n]
				ends := err == nil && (g.below(l.id, top, tokens) || revoke && l.id == top)
				switch {
				case ends && s.lives():
					g.fatalf("%v of %v lives, and %v has ended", l, l.id, top)
				case !ends && s.class != before[n].class:
					g.fatalf("%v of %v got %v, and gets %v", l, l.id, before[n].class, s.class)
				}
				if before[n].lives() && err == nil {
					if ends {
						below++
					} else {
						beside++
					}
				}
			}
			// The clock goes back, or on: it makes no difference to what ended at once.
			for _, off := range []time.Duration{-time.Hour, time.Hour} {
				g.clock.advance(off)
				for n, s := range g.look() {
					if err == nil && s.lives() && (g.below(g.leaves[n].id, top, tokens) || revoke && g.leaves[n].id == top) {
						g.fatalf("%v of %v lives again, %v later", g.leaves[n], g.leaves[n].id, off)
					}
				}
				g.clock.advance(-off)
			}
		}
	})
	if !t.Failed() && (below == 0 || beside == 0) {
		t.Errorf("%d live secrets were ended, and %d lived on", below, beside)
	}
}
