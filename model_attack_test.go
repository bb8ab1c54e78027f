package remint_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/remint-go/remint"
)

// A forest is random trees that an operator planted, and an attacker in it.
type forest struct {
	t     *rapid.T
	clock *modelClock
	w     *mWorld
	toks  []planted
	log   []string
}

type planted struct {
	id     remint.ID
	spec   remint.Spec
	secret string
	depth  int
}

func (f *forest) fatalf(format string, args ...any) {
	f.t.Helper()
	for _, p := range f.toks {
		f.log = append(f.log, fmt.Sprintf("%v: owner %q parent %v %v %v %v", p.id, p.spec.Owner, p.spec.Parent, p.spec.Capabilities, p.spec.Networks, p.spec.Attributes))
	}
	f.t.Fatalf("%s\nhistory:\n\t%s", fmt.Sprintf(format, args...), strings.Join(f.log, "\n\t"))
}

func (f *forest) logf(format string, args ...any) {
	f.log = append(f.log, fmt.Sprintf(format, args...))
}

// plant grows a tree with random, mostly narrowing children and a few sessions.
func plant(t *rapid.T) *forest {
	f := &forest{t: t, clock: newModelClock()}
	f.w = newMWorld("forest", newMapStore(), f.clock, remint.Options{Lapse: modelLapse})
	op := f.w.iss.Operator("op")
	for range rapid.IntRange(3, 12).Draw(t, "trees") {
		sp := remint.Spec{
			Owner:        rapid.SampledFrom([]string{"", "a", "a", "a", "b"}).Draw(t, "owner"),
			Capabilities: remint.Allow(mDrawCaps(t)...), Networks: mDrawNets(t), Attributes: mDrawAttrs(t),
		}
		depth := 1
		if len(f.toks) > 0 && rapid.IntRange(0, 2).Draw(t, "child") > 0 {
			p := rapid.SampledFrom(f.toks).Draw(t, "parent")
			if rapid.IntRange(0, 2).Draw(t, "session") == 0 {
				s := remint.Session{Manages: rapid.IntRange(0, 3).Draw(t, "manages") > 0}
				if rapid.Bool().Draw(t, "narrow") {
					s.Capabilities = remint.Allow(mDrawCaps(t)...)
				}
				if g, err := op.StartSession(ctxBG, p.id, s); err == nil {
					f.toks = append(f.toks, planted{g.Token.ID(), g.Token.Spec(), g.Secret.Reveal(), p.depth + 1})
				}
				continue
			}
			sp.Parent, sp.Owner, depth = p.id, p.spec.Owner, p.depth+1
			if rapid.Bool().Draw(t, "same caps") {
				sp.Capabilities = p.spec.Capabilities
			}
			if rapid.Bool().Draw(t, "same nets") {
				sp.Networks = p.spec.Networks
			}
			if rapid.Bool().Draw(t, "same attributes") {
				sp.Attributes = p.spec.Attributes
			}
		}
		if g, err := op.Issue(ctxBG, sp); err == nil {
			f.toks = append(f.toks, planted{g.Token.ID(), g.Token.Spec(), g.Secret.Reveal(), depth})
		}
	}
	return f
}

// bound is what somebody may hold at most.
type bound struct {
	owner  string
	caps   []remint.Capability
	nets   [][]netip.Prefix // every one must admit an address
	attrs  map[string]string
	member bool
}

func (f *forest) netsOf(id remint.ID) (nets [][]netip.Prefix) {
	for !id.IsZero() {
		tok, err := f.w.iss.Operator("op").Get(ctxBG, id)
		if err != nil {
			f.fatalf("Get: %v", err)
		}
		nets = append(nets, tok.Spec().Networks)
		id = tok.Parent()
	}
	return nets
}

func (b *bound) covers(f *forest, tok remint.Token) bool {
	sp := tok.Spec()
	if sp.Owner != b.owner || !mCapsWithin(slices.Collect(sp.Capabilities.All()), b.caps) {
		return false
	}
	if b.member {
		return true
	}
	theirs := f.netsOf(tok.ID())
	for _, a := range mAddrs {
		in := func(nets [][]netip.Prefix) bool {
			return !slices.ContainsFunc(nets, func(n []netip.Prefix) bool { return !mInNets(a, n) })
		}
		if in(theirs) && !in(b.nets) {
			return false
		}
	}
	return maps.Equal(sp.Attributes, b.attrs)
}

// attack does something random on somebody's authority, and returns what was granted.
func (f *forest) attack(act remint.Actor, ids []remint.ID) (grants []remint.Grant, what string) {
	t := f.t
	id := rapid.SampledFrom(ids).Draw(t, "target")
	var err error
	var g remint.Grant
	switch what = rapid.SampledFrom([]string{"issue", "issue", "session", "update", "update", "rotate", "rotate", "rotate", "cancel", "finish", "get"}).Draw(t, "attack"); what {
	case "issue":
		sp := remint.Spec{
			Owner:        rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "owner"),
			Capabilities: remint.Allow(mDrawCaps(t)...), Networks: mDrawNets(t), Attributes: mDrawAttrs(t),
		}
		if rapid.Bool().Draw(t, "child") {
			sp.Parent = id
		}
		g, err = act.Issue(ctxBG, sp)
	case "session":
		s := remint.Session{Manages: rapid.Bool().Draw(t, "manages"), Lifetime: 240 * time.Hour}
		if rapid.Bool().Draw(t, "caps") {
			s.Capabilities = remint.Allow(mDrawCaps(t)...)
		}
		g, err = act.StartSession(ctxBG, id, s)
	case "update":
		caps, nets, attrs := mDrawCaps(t), mDrawNets(t), mDrawAttrs(t)
		what := rapid.IntRange(0, 6).Draw(t, "what")
		_, err = act.Update(ctxBG, id, func(s *remint.Spec) error {
			if what%3 == 0 {
				s.Capabilities = remint.Allow(caps...)
			}
			if what%2 == 0 {
				s.Networks = nets
			}
			if what == 5 {
				s.Attributes = attrs
			}
			if what > 3 {
				s.ExpiresAt = time.Time{}
			}
			return nil
		})
	case "rotate":
		r := remint.Rotation{Retire: rapid.SampledFrom([]remint.Retirement{{}, remint.RetireAfter(time.Hour), remint.RetireAfterFirstUse(0), remint.RetireAfterFirstUse(time.Hour)}).Draw(t, "retire")}
		switch rapid.IntRange(0, 3).Draw(t, "successor") {
		case 0:
			r.Successor = &remint.Successor{}
		case 1:
			r.Successor = &remint.Successor{Spec: &remint.Spec{Capabilities: remint.Allow(mDrawCaps(t)...), Networks: mDrawNets(t), Attributes: mDrawAttrs(t)}}
		default:
			r.KeepSessions = rapid.Bool().Draw(t, "keep")
		}
		g, err = act.Rotate(ctxBG, id, r)
	case "cancel":
		_, err = act.CancelRotation(ctxBG, id)
	case "finish":
		_, err = act.FinishRotation(ctxBG, id)
	case "get":
		_, err = act.Get(ctxBG, id)
	}
	what = fmt.Sprintf("%s %v -> %v", what, id, mClassOf(err))
	if err == nil && !g.Token.IsZero() {
		grants = append(grants, g)
		what += fmt.Sprintf(": %v %v %v under %v", g.Token.ID(), g.Token.Capabilities(), g.Token.Spec().Networks, g.Token.Parent())
	}
	return grants, what
}

// snapshot is every token, as an operator sees it.
func (f *forest) snapshot() map[remint.ID]remint.Token {
	out := map[remint.ID]remint.Token{}
	for tok, err := range f.w.iss.Operator("op").List(ctxBG, remint.Query{AllOwners: true, Ended: true}) {
		if err != nil {
			f.fatalf("List: %v", err)
		}
		out[tok.ID()] = tok
	}
	return out
}

// Law 6. The attacker uses every secret that it ever receives, for everything.
// It fails without each of these (internal/mutants): the bound of a bearer's own capabilities; the
// bound of a bearer's own attributes; the bound of a bearer's own networks; the bound of a member;
// rule 4 of Actor for a rotation; rule 4 for a session; rule 5 for an update to more than the
// caller has; rule 5 for what is issued.
func TestNoAttackerEverHoldsOrHandsOutMoreThanItHad(t *testing.T) {
	checkMany(t, 25, func(t *rapid.T) {
		f := plant(t)
		if len(f.toks) == 0 {
			return
		}
		var b bound
		var held []string
		member := rapid.IntRange(0, 4).Draw(t, "member") == 0
		var mem remint.Actor
		if member {
			b = bound{owner: "a", caps: mDrawCaps(t), member: true}
			mem = f.w.iss.Member("a", "mem", remint.Allow(b.caps...))
		} else {
			p := rapid.SampledFrom(f.toks).Draw(t, "attacker")
			b = bound{owner: p.spec.Owner, caps: slices.Collect(p.spec.Capabilities.All()), nets: f.netsOf(p.id), attrs: p.spec.Attributes}
			held = []string{p.secret}
			f.logf("attacker: %v", p.id)
		}
		ids := make([]remint.ID, 0, len(f.toks))
		for _, p := range f.toks {
			ids = append(ids, p.id)
		}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			if rapid.IntRange(0, 15).Draw(t, "wait") == 0 {
				f.clock.advance(90 * time.Minute)
			}
			act := mem
			name := "member"
			if len(held) > 0 && (!member || rapid.Bool().Draw(t, "bearer")) {
				n := rapid.IntRange(0, len(held)-1).Draw(t, "secret")
				from := mAddrs[0]
				if rapid.IntRange(0, 2).Draw(t, "elsewhere") == 0 {
					from = rapid.SampledFrom(mAddrs).Draw(t, "from")
				}
				who, _ := f.w.iss.Identify(held[n])
				act, name = f.w.iss.Bearer(held[n], from), fmt.Sprintf("secret %d of %v", n, who)
			}
			now := f.snapshot()
			grants, what := f.attack(act, ids)
			f.logf("%s: %s", name, what)
			for _, g := range grants {
				held = append(held, g.Secret.Reveal())
				if !slices.Contains(ids, g.Token.ID()) {
					ids = append(ids, g.Token.ID())
				}
			}
			// What it has changed, it could have handed out.
			for id, tok := range f.snapshot() {
				was, had := now[id]
				if had && was.State().Revision == tok.State().Revision {
					continue
				}
				same := had && was.Capabilities().Equal(tok.Capabilities()) && slices.Equal(was.Spec().Networks, tok.Spec().Networks) &&
					maps.Equal(was.Spec().Attributes, tok.Spec().Attributes) && was.Spec().ExpiresAt.Equal(tok.Spec().ExpiresAt)
				if !same && !b.covers(f, tok) {
					f.fatalf("%s handed out %v: %v %v %v", name, id, tok.Capabilities(), tok.Spec().Networks, tok.Spec().Attributes)
				}
				if had && was.Owner() != b.owner {
					f.fatalf("%s changed another owner's %v", name, id)
				}
			}
			// What it holds.
			for n, s := range held {
				for _, from := range mAddrs {
					tok, err := f.w.iss.Verify(ctxBG, s, from)
					if err != nil {
						continue
					}
					inBound := !slices.ContainsFunc(b.nets, func(n []netip.Prefix) bool { return !mInNets(from, n) })
					if !b.covers(f, tok) || !inBound {
						f.fatalf("the attacker holds secret %d of %v: %v from %v, attributes %v", n, tok.ID(), tok.Capabilities(), from, tok.Spec().Attributes)
					}
				}
			}
		}
	})
}

// Law 6's last sentence.
// It fails without rule 7, that a session manages nothing unless it was started to
// (internal/mutants).
func TestAPlainSessionChangesNothingButItself(t *testing.T) {
	checkMany(t, 5, func(t *rapid.T) {
		f := plant(t)
		if len(f.toks) == 0 {
			return
		}
		p := rapid.SampledFrom(f.toks).Draw(t, "parent")
		g, err := f.w.iss.Operator("op").StartSession(ctxBG, p.id, remint.Session{})
		if err != nil {
			return
		}
		ids := []remint.ID{g.Token.ID()}
		for _, p := range f.toks {
			ids = append(ids, p.id)
		}
		before := f.w.scan()
		from := rapid.SampledFrom(mAddrs).Draw(t, "from")
		act := f.w.iss.Bearer(g.Secret.Reveal(), from)
		for range 20 {
			grants, what := f.attack(act, ids)
			f.logf("%s", what)
			if len(grants) > 0 {
				f.fatalf("a plain session was granted something")
			}
			id := rapid.SampledFrom(ids).Draw(t, "end")
			err := act.EndSessions(ctxBG, id)
			if err == nil {
				f.fatalf("a plain session ended the sessions of %v", id)
			}
			if id != g.Token.ID() {
				if err := act.Revoke(ctxBG, id); err == nil {
					f.fatalf("a plain session revoked %v", id)
				}
			}
		}
		if after := f.w.scan(); !maps.EqualFunc(before, after, func(a, b mStored) bool { return a.revision == b.revision && string(a.bytes) == string(b.bytes) }) {
			f.fatalf("a plain session changed something")
		}
		if _, err := f.w.iss.Verify(ctxBG, g.Secret.Reveal(), from); err == nil {
			if err := act.Revoke(ctxBG, g.Token.ID()); err != nil {
				f.fatalf("a session could not revoke itself: %v", err)
			}
			if _, err := f.w.iss.Verify(ctxBG, g.Secret.Reveal(), from); err == nil {
				f.fatalf("a session lives on after it revoked itself")
			}
		}
	})
}

// What stands under a parent cannot escape what ends the parent: the attacker's first token
// is a child, and what it issues ends with the parent.
// It fails without rule 3, by which nothing escapes what ends its issuer (internal/mutants).
func TestWhatABearerIssuesEndsWithTheBearersParent(t *testing.T) {
	checkMany(t, 15, func(t *rapid.T) {
		clock := newModelClock()
		w := newMWorld("w", newMapStore(), clock, remint.Options{Lapse: modelLapse})
		f := &forest{t: t, clock: clock, w: w}
		op := w.iss.Operator("op")
		all := remint.Allow("*")
		root, _ := op.Issue(ctxBG, remint.Spec{Owner: "a", Capabilities: all})
		user, _ := op.Issue(ctxBG, remint.Spec{Parent: root.Token.ID(), Capabilities: all})
		// Nothing can be done to this one, except to issue below it.
		other, _ := op.Issue(ctxBG, remint.Spec{Owner: "a", Capabilities: all, Attributes: map[string]string{"not": "its own"}})
		held := []string{user.Secret.Reveal()}
		ids := []remint.ID{root.Token.ID(), user.Token.ID(), other.Token.ID()}
		if rapid.Bool().Draw(t, "session") {
			s, err := op.StartSession(ctxBG, user.Token.ID(), remint.Session{Manages: true})
			if err != nil {
				f.fatalf("StartSession: %v", err)
			}
			held, ids = []string{s.Secret.Reveal()}, append(ids, s.Token.ID())
		}
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			grants, what := f.attack(w.iss.Bearer(rapid.SampledFrom(held).Draw(t, "secret"), mAddrs[0]), ids)
			f.logf("%s", what)
			for _, g := range grants {
				held, ids = append(held, g.Secret.Reveal()), append(ids, g.Token.ID())
			}
		}
		var err error
		if rapid.Bool().Draw(t, "revoke") {
			err = op.Revoke(ctxBG, root.Token.ID())
		} else {
			err = op.EndSessions(ctxBG, root.Token.ID())
		}
		if err != nil {
			f.fatalf("%v", err)
		}
		for n, s := range held {
			if _, err := w.iss.Verify(ctxBG, s, mAddrs[0]); err == nil {
				f.fatalf("secret %d works on", n)
			}
		}
	})
}

// Rule 5: a managing session acts as its parent, and so loosens neither itself nor that.
// It fails without rule 5 for an update by which the caller loosens itself (internal/mutants).
func TestAManagingSessionMakesNeitherItselfNorItsParentLastLonger(t *testing.T) {
	clock := newModelClock()
	w := newMWorld("w", newMapStore(), clock, remint.Options{})
	op := w.iss.Operator("op")
	p := must(op.Issue(ctxBG, remint.Spec{Owner: "a", Capabilities: remint.Allow("*"), ExpiresAt: clock.now().Add(time.Hour)}))(t)
	s := must(op.StartSession(ctxBG, p.Token.ID(), remint.Session{Manages: true, Lifetime: time.Minute}))(t)
	for _, id := range []remint.ID{p.Token.ID(), s.Token.ID()} {
		for _, to := range []time.Time{{}, clock.now().Add(2 * time.Hour)} {
			_, err := w.iss.Bearer(s.Secret.Reveal(), mAddrs[0]).Update(ctxBG, id, func(sp *remint.Spec) error { sp.ExpiresAt = to; return nil })
			if mClassOf(err) != mForbidden {
				t.Errorf("%v, parent %v: to %v: %v", id, id == p.Token.ID(), to, err)
			}
		}
	}
	if _, err := w.iss.Bearer(p.Secret.Reveal(), mAddrs[0]).Update(ctxBG, p.Token.ID(), func(sp *remint.Spec) error { sp.ExpiresAt = time.Time{}; return nil }); mClassOf(err) != mForbidden {
		t.Errorf("a bearer loosens itself: %v", err)
	}
}
