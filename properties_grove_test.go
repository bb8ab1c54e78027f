package remint_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/remint-go/remint"
)

// checkMore is rapid.Check with that many times its number of runs, all of them different: to check
// several times from one seed would be to check the same.
func checkMore(t *testing.T, times int, property func(*rapid.T)) {
	t.Helper()
	const name = "rapid.checks"
	was := flag.Lookup(name).Value.String()
	n, err := strconv.Atoi(was)
	if err != nil {
		t.Fatal(err)
	}
	set := func(value string) {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	set(strconv.Itoa(n * times))
	defer set(was)
	rapid.Check(t, property)
}

// A grove is random trees of tokens, in any state, and everybody who holds a secret of them. It
// knows no rule of rotation: what it is judged by is what is seen of it before and after, on copies
// of its store, so that looking confirms nothing.
type grove struct {
	*forest
	leaves []*leaf
}

// A leaf is a secret that somebody was given.
type leaf struct {
	n       int
	id      remint.ID
	text    string
	manages bool // a session that was started to manage
	session bool
	used    bool
	dead    bool // it was denied, once
}

func (l *leaf) String() string { return fmt.Sprintf("#%d", l.n) }

// Who acts.
const (
	groveOperator    = "an operator"
	groveMember      = "a member"
	groveBearer      = "a bearer"
	groveManaging    = "a managing session"
	grovePlain       = "a plain session"
	groveRetiring    = "a retiring secret"
	groveUnconfirmed = "an unconfirmed secret"
	groveStopped     = "a secret that has stopped"
)

// newGrove plants trees of up to four levels, gives some of them an end, and rotates some, with
// first uses and without.
func newGrove(t *rapid.T) *grove {
	g := &grove{forest: plant(t)}
	op := g.w.iss.Operator("op")
	for _, p := range g.toks {
		tok := must(op.Get(ctxBG, p.id))(t)
		g.leaves = append(g.leaves, &leaf{n: len(g.leaves), id: p.id, text: p.secret, session: tok.IsSession(), manages: tok.IsSession() && managesIn(g, p), used: true})
	}
	for _, p := range g.toks {
		if rapid.IntRange(0, 3).Draw(t, "ends") == 0 {
			end := g.clock.now().Add(time.Duration(rapid.IntRange(1, 300).Draw(t, "minutes")) * time.Minute)
			_, err := op.Update(ctxBG, p.id, func(s *remint.Spec) error { s.ExpiresAt = end; return nil })
			g.logf("%v ends at %v: %v", p.id, end, err)
		}
	}
	for range rapid.IntRange(0, 5).Draw(t, "rotations") {
		if len(g.toks) == 0 {
			break
		}
		id := rapid.SampledFrom(g.toks).Draw(t, "rotated").id
		_, _, retire := drawRetirement(t, g.clock.now())
		r := remint.Rotation{Retire: retire}
		if rapid.IntRange(0, 2).Draw(t, "successor") == 0 {
			r.Successor = &remint.Successor{}
		}
		grant, err := op.Rotate(ctxBG, id, r)
		g.logf("operator: rotate %v, %+v, successor %v: %v", id, r.Retire, r.Successor != nil, mClassOf(err))
		if err != nil {
			continue
		}
		l := g.keep(grant, id)
		if rapid.Bool().Draw(t, "used") {
			_, err := g.w.iss.Verify(ctxBG, l.text, mAddrs[0])
			l.used = err == nil
			g.logf("%v is used: %v", l, mClassOf(err))
		}
	}
	return g
}

// managesIn finds out whether a planted session manages: on a copy, one that does may change its
// own name.
func managesIn(g *grove, p planted) bool {
	for _, from := range mAddrs {
		_, err := copyOf(g.w, g.clock).Bearer(p.secret, from).Update(ctxBG, p.id, func(s *remint.Spec) error { s.Name = "x"; return nil })
		if err == nil {
			return true
		}
	}
	return false
}

// keep notes a grant, which came of an operation on a token.
func (g *grove) keep(grant remint.Grant, of remint.ID) *leaf {
	l := &leaf{n: len(g.leaves), id: grant.Token.ID(), text: grant.Secret.Reveal(), session: grant.Token.IsSession()}
	for _, x := range g.leaves {
		if x.id == of && l.id == of {
			l.manages = x.manages
		}
	}
	g.leaves = append(g.leaves, l)
	return l
}

// A sight is what is seen of a secret: what it gets at each of mAddrs, and what for.
type sight struct {
	class [8]mClass
	tok   remint.Token
}

func (s *sight) lives() bool { return s.class[0] != mDenied } // a network is judged after the rest

// look returns what is seen of every secret now.
func (g *grove) look() []sight {
	out := make([]sight, len(g.leaves))
	for n, l := range g.leaves {
		copied := copyOf(g.w, g.clock)
		for k, from := range mAddrs {
			tok, err := copied.Verify(ctxBG, l.text, from)
			if out[n].class[k] = mClassOf(err); err == nil && out[n].tok.IsZero() {
				out[n].tok = tok
			}
		}
	}
	return out
}

// place returns an address that a secret is accepted from, if there is one.
func (s *sight) place() (netip.Addr, bool) {
	k := slices.Index(s.class[:], mOK)
	return mAddrs[max(k, 0)], k >= 0
}

// kind is what a leaf would act as.
func (g *grove) kind(l *leaf, s *sight) string {
	switch {
	case !s.lives():
		return groveStopped
	case l.session && l.manages:
		return groveManaging
	case l.session:
		return grovePlain
	case !l.used:
		return groveUnconfirmed
	case s.tok.Retiring() && s.tok.State().Unconfirmed == remint.SecretState{} && s.tok.State().Successor.IsZero():
		return groveRetiring
	}
	return groveBearer
}

// A caller is somebody who acts, with what it has at that moment.
type caller struct {
	kind string
	leaf *leaf
	remint.Actor
	bound *bound // nil: none
}

func (c *caller) String() string {
	if c.leaf != nil {
		return fmt.Sprintf("%s, %v of %v", c.kind, c.leaf, c.leaf.id)
	}
	return c.kind
}

// draw chooses somebody: each kind that there is, as often as any other.
func (g *grove) draw(seen []sight) *caller {
	kinds := map[string][]*leaf{groveOperator: nil, groveMember: nil}
	for n, l := range g.leaves {
		k := g.kind(l, &seen[n])
		kinds[k] = append(kinds[k], l)
	}
	c := &caller{kind: rapid.SampledFrom(sortedKeys(kinds)).Draw(g.t, "caller")}
	switch c.kind {
	case groveOperator:
		c.Actor = g.w.iss.Operator("op")
	case groveMember:
		caps := mDrawCaps(g.t)
		c.bound = &bound{owner: "a", caps: caps, member: true}
		c.Actor = g.w.iss.Member("a", "mem", remint.Allow(caps...))
	default:
		c.leaf = rapid.SampledFrom(kinds[c.kind]).Draw(g.t, "leaf")
		s := &seen[c.leaf.n]
		from, _ := s.place()
		if rapid.IntRange(0, 7).Draw(g.t, "elsewhere") == 0 {
			from = rapid.SampledFrom(mAddrs).Draw(g.t, "from")
		}
		spec := s.tok.Spec() // nothing, of one that is accepted from nowhere
		c.bound = &bound{owner: must(g.w.iss.Operator("op").Get(ctxBG, c.leaf.id))(g.t).Owner(), caps: slices.Collect(spec.Capabilities.All()), attrs: spec.Attributes}
		if !s.tok.IsZero() {
			c.bound.nets = g.netsOf(s.tok.ID())
		}
		c.Actor = g.w.iss.Bearer(c.leaf.text, from)
	}
	return c
}

func drawSpec(t *rapid.T) remint.Spec {
	return remint.Spec{Capabilities: remint.Allow(mDrawCaps(t)...), Networks: mDrawNets(t), Attributes: mDrawAttrs(t)}
}

// A deed is what somebody did, or tried to.
type deed struct {
	what   string
	target remint.ID
	how    remint.Rotation
	grant  remint.Grant
	err    error
}

func (d *deed) String() string { return fmt.Sprintf("%s %v: %v", d.what, d.target, mClassOf(d.err)) }

// do lets the caller do something random. For an ending, see TestEndingIsCompleteAndExact.
func (g *grove) do(c *caller) *deed {
	t := g.t
	d := &deed{what: rapid.SampledFrom([]string{
		"issue", "issue", "session", "update", "update", "rotate", "rotate", "rotate", "cancel", "finish", "get", "list",
	}).Draw(t, "deed")}
	ids := []remint.ID{{1}}
	for _, l := range g.leaves {
		ids = append(ids, l.id)
	}
	d.target = rapid.SampledFrom(ids).Draw(t, "target")
	if c.leaf != nil && rapid.IntRange(0, 2).Draw(t, "itself") == 0 {
		d.target = c.leaf.id
	}
	switch d.what {
	case "issue":
		s := drawSpec(t)
		s.Owner = rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(t, "owner")
		if c.bound != nil && rapid.Bool().Draw(t, "its own") {
			s.Capabilities, s.Attributes = remint.Allow(c.bound.caps...), nil
			if len(c.bound.nets) > 0 {
				s.Networks = c.bound.nets[0]
			}
		}
		if rapid.Bool().Draw(t, "child") {
			s.Parent = d.target
		}
		if m := rapid.IntRange(0, 300).Draw(t, "minutes"); m > 200 {
			s.ExpiresAt = g.clock.now().Add(time.Duration(m) * time.Minute)
		}
		d.grant, d.err = c.Issue(ctxBG, s)
		d.target = s.Parent
	case "session":
		s := remint.Session{Manages: rapid.Bool().Draw(t, "manages"), Lifetime: rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "lifetime")}
		if rapid.Bool().Draw(t, "narrow") {
			s.Capabilities = remint.Allow(mDrawCaps(t)...)
		}
		if d.grant, d.err = c.StartSession(ctxBG, d.target, s); d.err == nil {
			g.keep(d.grant, d.target).manages = s.Manages
		}
	case "update":
		caps, nets, attrs, change := mDrawCaps(t), mDrawNets(t), mDrawAttrs(t), rapid.IntRange(0, 4).Draw(t, "change")
		_, d.err = c.Update(ctxBG, d.target, func(s *remint.Spec) error {
			switch change {
			case 0:
				s.Capabilities = remint.Allow(caps...)
			case 1:
				s.Networks = nets
			case 2:
				s.Attributes = attrs
			case 3:
				s.ExpiresAt = g.clock.now().Add(2 * time.Hour)
			case 4:
				s.ExpiresAt = time.Time{}
			}
			return nil
		})
	case "rotate":
		_, _, d.how.Retire = drawRetirement(t, g.clock.now())
		switch rapid.IntRange(0, 3).Draw(t, "successor") {
		case 0:
			d.how.Successor = &remint.Successor{}
		case 1:
			d.how.Successor = &remint.Successor{Spec: new(drawSpec(t)), Inherit: rapid.Bool().Draw(t, "inherit")}
		default:
			d.how.KeepSessions = rapid.Bool().Draw(t, "keep")
		}
		d.grant, d.err = c.Rotate(ctxBG, d.target, d.how)
	case "cancel":
		_, d.err = c.CancelRotation(ctxBG, d.target)
	case "finish":
		_, d.err = c.FinishRotation(ctxBG, d.target)
	case "get":
		_, d.err = c.Get(ctxBG, d.target)
	case "list":
		for _, err := range c.List(context.Background(), remint.Query{Parent: d.target, Ended: true}) {
			d.err = err
		}
	}
	if d.err == nil && !d.grant.Token.IsZero() && d.what != "session" {
		l := g.keep(d.grant, d.target)
		l.used = d.what == "issue"
	} else if d.err == nil && d.what == "session" {
		g.leaves[len(g.leaves)-1].used = true
	}
	g.logf("%v: %v -> %v", g.clock.now().Format("15:04:05.000000"), c, d)
	return d
}

// below reports whether a token stands below another, at any depth.
func (g *grove) below(id, above remint.ID, tokens map[remint.ID]remint.Token) bool {
	for range 8 {
		if id = tokens[id].Parent(); id == above {
			return true
		} else if id.IsZero() {
			return false
		}
	}
	g.fatalf("%v stands too deep", id)
	return false
}

// family reports whether a token is one of these, or stands below one.
func (g *grove) family(id remint.ID, of []remint.ID, tokens map[remint.ID]remint.Token) bool {
	return slices.ContainsFunc(of, func(x remint.ID) bool { return !x.IsZero() && (id == x || g.below(id, x, tokens)) })
}

// linked returns a token, and those that its rotations have to do with.
func linked(tokens map[remint.ID]remint.Token, ids ...remint.ID) (list []remint.ID) {
	for _, id := range ids {
		s := tokens[id].State()
		list = append(list, id, s.Successor, s.Predecessor)
		for _, x := range slices.Collect(maps.Keys(tokens)) { // one that was replaced is nobody's successor any more
			if tokens[x].State().Predecessor == id {
				list = append(list, x)
			}
		}
	}
	return list
}
