package soak

import (
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/remint-go/remint"
)

// What a client does next. Its choices go by one of the worlds that it believes in; whether they were good does not
// matter to what is right.

func (c *client) world() *world { return c.belief[0] }

func (t *token) isMaster() bool {
	return t != nil && t.prefix == masterPrefix && !t.session && len(t.caps) == 1 && t.caps[0] == "*"
}

// some returns one of the tokens that are so, or nil.
func (c *client) some(so func(*token) bool) *token {
	var list []*token
	for _, t := range c.world().tokens {
		if so(t) {
			list = append(list, t)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return list[c.rng.IntN(len(list))]
}

// target is a token that can be named by its ID.
func (c *client) target() *token {
	named := func(t *token) bool { return t.id != "" }
	if c.rng.IntN(4) > 0 { // rather one that lives, and no master: those are few
		r := c.glance()
		if t := c.some(func(t *token) bool { return named(t) && !t.isMaster() && r.lives(t) }); t != nil {
			return t
		}
	}
	return c.some(named)
}

// aParent is a token with something that lives below it, more often than not.
func (c *client) aParent() *token {
	r := c.glance()
	t := c.some(func(p *token) bool {
		return p.id != "" && !p.isMaster() && c.some(func(t *token) bool { return t.parent == p.n && r.lives(t) }) != nil
	})
	if t == nil || c.rng.IntN(4) == 0 {
		return c.target()
	}
	return t
}

// glance is a run to look at the world with.
func (c *client) glance() *run {
	at := now()
	return &run{w: c.world(), from: at, to: at}
}

// textOf is a secret of a token that was told, the newest more often than not; or "".
func (c *client) textOf(t *token) string {
	if t == nil {
		return ""
	}
	var list []string
	for _, s := range t.slots {
		if s.text != "" {
			list = append(list, s.text)
		}
	}
	if len(list) == 0 {
		return ""
	}
	if c.rng.IntN(2) == 0 {
		return list[0]
	}
	return list[c.rng.IntN(len(list))]
}

// anyText is any secret that was ever told, of late.
func (c *client) anyText() string {
	told := func(t *token) bool { return t.slots[newest].text != "" || t.slots[previous].text != "" }
	r := c.glance()
	var t *token
	switch c.rng.IntN(8) {
	case 0:
		return c.had[c.rng.IntN(len(c.had))]
	case 1: // what has ended of late
		t = c.some(func(t *token) bool { return told(t) && !r.lives(t) })
	case 2: // what is being replaced
		if t = c.some(func(t *token) bool { return t.slots[previous].text != "" && r.lives(t) }); t != nil {
			return t.slots[previous].text
		}
	case 3:
		t = c.some(func(t *token) bool { return told(t) && (t.usedUp || t.until.set()) && r.lives(t) })
	default:
		t = c.some(func(t *token) bool { return told(t) && r.lives(t) })
	}
	if text := c.textOf(t); text != "" {
		return text
	}
	return c.had[c.rng.IntN(len(c.had))]
}

// notice finds the secrets that have stopped since it looked last: what ends something should have ended it, and so
// should time.
func (c *client) notice() {
	r := c.glance()
	var works []string
	for _, t := range c.world().tokens {
		if !r.lives(t) {
			continue
		}
		for slot, s := range t.slots {
			if s.text != "" && r.works(t, slot) {
				works = append(works, s.text)
			}
		}
	}
	for _, text := range c.works {
		if !slices.Contains(works, text) {
			c.stopped = append(c.stopped, text)
		}
	}
	c.stopped = c.stopped[max(0, len(c.stopped)-12):]
	c.works = works
}

// useStopped presents a secret that has stopped of late.
func (c *client) useStopped() *act {
	if len(c.stopped) == 0 {
		return nil
	}
	last := len(c.stopped) - 1
	text := c.stopped[last]
	c.stopped = c.stopped[:last]
	if c.rng.IntN(4) == 0 {
		return c.introspect(c.boss(), text, here)
	}
	return c.use(text, "/app/any", "")
}

// aSession is a session's secret, of one that lives if there is one.
func (c *client) aSession() string {
	r := c.glance()
	if t := c.some(func(t *token) bool { return t.session && t.slots[newest].text != "" && r.lives(t) }); t != nil && c.rng.IntN(6) > 0 {
		return c.textOf(t)
	}
	return c.anyText()
}

// boss is a secret that may manage tokens, as a rule a master's.
func (c *client) boss() string {
	if c.rng.IntN(3) == 0 {
		if t := c.some(func(t *token) bool { return t.session && t.manages || allows(t.caps, "tokens:create") }); t != nil {
			if text := c.textOf(t); text != "" {
				return text
			}
		}
	}
	return c.master()
}

// bossOrNot is a boss or, now and then, anybody.
func (c *client) bossOrNot() string {
	if c.rng.IntN(10) == 0 {
		return c.anyText()
	}
	return c.boss()
}

// master is a master's secret that works, as far as is known; or "".
func (c *client) master() string {
	for _, w := range c.belief {
		at := now()
		r := &run{w: w, from: at, to: at}
		for _, t := range w.tokens {
			if !t.isMaster() || !r.lives(t) || t.usedUp {
				continue
			}
			for slot, s := range t.slots {
				if s.text != "" && r.works(t, slot) && !t.replaced(slot) {
					return s.text
				}
			}
		}
	}
	return ""
}

const keyLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

// someKey is none, a short one, or one that nobody guesses.
func (c *client) someKey() string {
	n := []int{0, 0, 0, 8, 26, 26}[c.rng.IntN(6)]
	key := make([]byte, n)
	for k := range key {
		key[k] = keyLetters[c.rng.IntN(len(keyLetters))]
	}
	return string(key)
}

// An activity is a kind of request and how often it is made.
type activity struct {
	weight int
	make   func(*client) *act
}

var activities = []activity{
	{14, (*client).useSome},
	{10, (*client).useStopped},
	{3, (*client).forge},
	{1, (*client).nobody},
	{4, (*client).blunder},
	{3, (*client).trespass},
	{6, (*client).repeat},
	{5, (*client).nativeCreateSome},
	{4, (*client).look},
	{4, (*client).nativePatchSome},
	{3, (*client).nativeDeleteSome},
	{11, (*client).nativeRotateSome},
	{6, (*client).nativeRotationSome},
	{5, (*client).nativeSessionSome},
	{2, (*client).nativeEndSessions},
	{4, (*client).nativeListSome},
	{5, (*client).introspectSome},
	{1, (*client).nativeRevokeSome},
	{5, (*client).regenerateSome},
	{4, (*client).pawSessionSome},
	{2, (*client).logoutSome},
	{3, (*client).createKeySome},
	{6, (*client).keySome},
	{3, (*client).axiomCreateSome},
	{6, (*client).axiomSome},
	{3, (*client).katapultCreateSome},
	{6, (*client).katapultSome},
}

var activityWeights = func() (sum int) {
	for _, a := range activities {
		sum += a.weight
	}
	return sum
}()

// A client has at most so many tokens that it knows of, about: it looks after them before it makes others.
const (
	manyTokens = 28
	manyWorlds = 6
	// Some of the requests that it can repeat are older than the window in which they are repetitions.
	manyRepeats = 24
)

// step does the next thing.
func (c *client) step() {
	if c.master() == "" {
		c.enroll()
	}
	c.publish()
	c.notice()
	switch {
	case c.lost != nil && c.rng.IntN(2) == 0:
		a := c.lost
		c.lost = nil
		c.perform(a, true)
		return
	case len(c.belief) > manyWorlds || len(c.belief) > 1 && c.rng.IntN(3) == 0:
		if a := c.investigate(); a != nil {
			c.perform(a, false)
			return
		}
	case len(c.world().tokens) > manyTokens:
		if a := c.tidyUp(); a != nil {
			c.perform(a, c.rng.IntN(4) == 0)
			return
		}
	case c.rng.IntN(250) == 0:
		c.burst()
		return
	case c.rng.IntN(60) == 0:
		c.race()
		return
	}
	a := c.next()
	c.perform(a, true)
	if a.key != "" || a.repeats {
		c.repeats = append(c.repeats, a)
		c.repeats = c.repeats[max(0, len(c.repeats)-manyRepeats):]
	}
}

// next is one of the activities, of those that there is something for.
func (c *client) next() *act {
	for {
		n := c.rng.IntN(activityWeights)
		k := 0
		for n -= activities[0].weight; n >= 0; n -= activities[k].weight {
			k++
		}
		if a := activities[k].make(c); a != nil {
			return a
		}
	}
}

// someOf returns a token with that prefix, now and then another one, or nil.
func (c *client) someOf(prefix string) *token {
	t := c.some(func(t *token) bool { return t.id != "" && t.prefix == prefix })
	if t == nil || c.rng.IntN(6) == 0 {
		return c.target()
	}
	return t
}

// repeat makes a request with a key once more, or another with its key.
func (c *client) repeat() *act {
	if len(c.repeats) == 0 {
		return nil
	}
	a := c.repeats[len(c.repeats)-1]
	if c.rng.IntN(3) == 0 {
		a = c.repeats[c.rng.IntN(len(c.repeats))]
	}
	if a.vary != nil && c.rng.IntN(4) == 0 {
		return a.vary()
	}
	return a
}

// look looks at a token.
func (c *client) look() *act {
	t := c.target()
	if t == nil {
		return nil
	}
	return c.nativeGet(c.bossOrNot(), t.id)
}

// investigate finds out which of the worlds is the real one.
func (c *client) investigate() *act {
	text := c.master()
	if text == "" {
		return nil
	}
	if c.rng.IntN(3) > 0 {
		a, b := c.belief[0], c.belief[1+c.rng.IntN(len(c.belief)-1)]
		var differ []*token
		for _, t := range append(slices.Clone(a.tokens), b.tokens...) {
			x, y := a.get(t.n), b.get(t.n)
			if t.id != "" && (x == nil || y == nil || (&world{[]*token{x}}).shape() != (&world{[]*token{y}}).shape()) {
				differ = append(differ, t)
			}
		}
		if len(differ) > 0 {
			t := differ[c.rng.IntN(len(differ))]
			if t.session && c.rng.IntN(2) == 0 {
				if p := a.get(t.parent); p != nil && p.id != "" {
					return c.nativeList(text, p.id, true, true, 256, "")
				}
			}
			return c.nativeGet(text, t.id)
		}
	}
	switch c.rng.IntN(4) {
	case 0:
		if t := c.target(); t != nil {
			return c.nativeList(text, t.id, true, false, 256, "")
		}
	case 1:
		return c.use(text, "/app/any", "")
	}
	return c.nativeList(text, "", true, false, 256, "")
}

// tidyUp finds out what was swept, or ends something.
func (c *client) tidyUp() *act {
	text := c.master()
	if text == "" {
		return nil
	}
	r := c.glance()
	if c.rng.IntN(2) == 0 {
		if p := c.some(func(p *token) bool {
			return p.id != "" && c.some(func(t *token) bool { return t.parent == p.n && r.removable(t) }) != nil
		}); p != nil {
			return c.nativeList(text, p.id, true, false, 256, "")
		}
		if c.some(func(t *token) bool { return t.parent == 0 && r.removable(t) }) != nil {
			return c.nativeList(text, "", true, false, 256, "")
		}
	}
	t := c.some(func(t *token) bool { return t.id != "" && !t.isMaster() && r.lives(t) })
	if t == nil {
		if t = c.some(func(t *token) bool { return t.id != "" && idIn(text) != t.id }); t == nil {
			return nil
		}
	}
	switch c.rng.IntN(4) {
	case 0:
		if t.prefix == axiomPrefix {
			return c.axiomDelete(text, t.id)
		}
	case 1:
		return c.katapultDelete(text, t.id)
	case 2:
		if about := c.textOf(t); about != "" {
			return c.nativeRevoke(text, about)
		}
	}
	return c.nativeDelete(text, t.id)
}

// limit is how many requests a minute a token may make that is used in bursts.
const limit = 8

// burst makes more requests than a token may.
func (c *client) burst() {
	limitedOne := func(t *token) bool { return t.limit > 0 && t.slots[newest].text != "" && !t.revoked.set() }
	t := c.some(limitedOne)
	if t == nil {
		c.issue(remint.Spec{Name: c.named(), Capabilities: remint.Allow("app:read"), Prefix: nativePrefix}, []string{"app:read"}, limit)
		if t = c.some(limitedOne); t == nil {
			return
		}
	}
	text := t.slots[newest].text
	for range limit + 2 {
		a := c.use(text, []string{"/app/any", "/app/read", "/app/write"}[c.rng.IntN(3)], "")
		if a.path != "/app/any" {
			a = c.use(text, a.path, "app:"+a.path[len("/app/"):])
		}
		a.kind = "app, in bursts"
		if c.perform(a, false) == nil {
			return
		}
	}
}

// A board has what clients tell others of their tokens.
type board struct {
	mu    sync.Mutex
	shown map[int]posted
}

type posted struct{ id, text string }

func (b *board) pick(not int, rng *rand.Rand) posted {
	b.mu.Lock()
	defer b.mu.Unlock()
	k := rng.IntN(len(b.shown) + 1)
	if k == not {
		return posted{}
	}
	return b.shown[k]
}

func (b *board) post(k int, p posted) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.shown == nil {
		b.shown = map[int]posted{}
	}
	b.shown[k] = p
}

// publish shows one of the client's tokens to all others.
func (c *client) publish() {
	if t := c.target(); t != nil {
		c.board.post(c.k, posted{t.id, c.textOf(t)})
	}
}
