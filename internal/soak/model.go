package soak

import (
	"slices"
	"strings"
)

// What package remint documents, in other words: who is live, who may do what to whom. Rotations are in rotation.go.

// A class is what becomes of a request, in the words of no format.
type class string

const (
	ok         class = "ok"
	denied     class = "denied" // no live token
	elsewhere  class = "live, but not from here"
	lacking    class = "lacks the capability"
	beyond     class = "beyond what the token may do"
	limited    class = "one request too many"
	absent     class = "no such token"
	conflict   class = "conflict"
	over       class = "has ended"
	invalid    class = "values that cannot be used"
	badBody    class = "a body that cannot be read"
	badType    class = "a body of another type"
	tooLarge   class = "a body too large"
	badKey     class = "no Idempotency-Key"
	reusedKey  class = "an Idempotency-Key of another request"
	revised    class = "another revision"
	noRoute    class = "no route"
	noMethod   class = "no method"
	noOwner    class = "no such organization"
	noArgument class = "a missing argument"
	nothing    class = "no credential"
)

// Why a token as a whole does not live.
const (
	isRevoked = "revoked"
	isRetired = "retired"
	isExpired = "expired"
	isLapsed  = "lapsed"
)

func (r *run) ended(t *token) string {
	switch {
	case t.revoked.set():
		return isRevoked
	case t.retired.set():
		return isRetired
	case r.over(t.expires):
		return isExpired
	case r.over(t.until):
		return isRetired
	case !t.has(previous) && r.lapsed(t):
		return isLapsed
	}
	return ""
}

func (r *run) lapsed(t *token) bool { return !t.slots[newest].confirmed && r.over(t.lapse) }

// works reports whether the secret in a slot works, if its token lives.
func (r *run) works(t *token, slot int) bool {
	return t.has(slot) && !r.over(t.slots[slot].until) && !(slot == newest && r.lapsed(t))
}

// replaced reports whether a secret only authenticates: what came after it was used.
func (t *token) replaced(slot int) bool {
	return t.usedUp || slot == older || slot == previous && t.slots[newest].confirmed
}

// bearing returns the newest slot that works and bears what a session was started with, or -1.
func (r *run) bearing(t *token, bears int) int {
	for slot := range t.slots {
		if r.works(t, slot) && t.slots[slot].bears == bears {
			return slot
		}
	}
	return -1
}

// above returns the tokens that t stands below, and whether it lives under them.
func (r *run) above(t *token) (list []*token, live bool) {
	live = true
	for child := t; child.parent != 0; {
		p := r.w.get(child.parent)
		if p == nil {
			return list, false
		}
		if live && (r.ended(p) != "" || p.epoch != child.parentEpoch || child.session && r.bearing(p, child.startedBy) < 0) {
			live = false
		}
		list = append(list, p)
		child = p
	}
	return list, live
}

func (r *run) lives(t *token) bool {
	_, live := r.above(t)
	return live && r.ended(t) == ""
}

// What the parts of a token's text are.
const (
	idLen     = 26
	secretLen = 43
	sumLen    = 6
	textLen   = idLen + secretLen + sumLen
)

// idIn returns the ID in a token's text, or "".
func idIn(text string) string {
	if len(text) <= textLen {
		return ""
	}
	return text[len(text)-textLen:][:idLen]
}

// A caller is whoever presented a text.
type caller struct {
	text  string
	cred  *token // its own
	slot  int
	held  secret   // which it presented
	who   *token   // on whose authority it acts: its own token or, where that manages, its parent
	above []*token // of who
	below []*token // of cred: cred itself and all above it, whose networks bound it
	full  bool     // it may do more than read
	retry *retry   // of the request
}

// match finds the secret with that text, where it works and its token lives.
func (r *run) match(text, from string) (t *token, slot int, why class) {
	t = r.w.byID(idIn(text))
	if t == nil {
		return nil, 0, denied
	}
	if slot = t.slotOf(text); slot < 0 {
		t.changed() // it may be one that was retired: that it was presented is written down
		return t, slot, denied
	}
	above, live := r.above(t)
	if r.ended(t) != "" || !live || !r.works(t, slot) {
		t.changed()
		return t, slot, denied
	}
	if !admits(append([]*token{t}, above...), from) {
		return t, slot, elsewhere
	}
	return t, slot, ok
}

// admits reports whether the networks of all these hold that one.
func admits(list []*token, from string) bool {
	return !slices.ContainsFunc(list, func(t *token) bool { return len(t.nets) > 0 && !slices.Contains(t.nets, from) })
}

// here is the network that all clients are in.
const here, there = "127.0.0.0/8", "192.0.2.0/24"

// present judges who is calling: the secret, its first use, the limit of requests, what is needed (any one).
func (r *run) present(text string, needs ...string) (caller, class) {
	t, slot, why := r.match(text, here)
	if why != ok {
		return caller{text: text, cred: t, slot: slot}, why
	}
	c := caller{text: text, cred: t, slot: slot, held: t.slots[slot], who: t, full: !t.replaced(slot)}
	c.above, _ = r.above(t)
	c.below = append([]*token{t}, c.above...)
	if t.session {
		p := c.above[0]
		full := c.full && t.manages && !r.replacedSession(p, t.startedBy)
		c.who, c.above, c.full = p, c.above[1:], full
	}
	if slot == newest && !t.slots[newest].confirmed {
		r.confirm(t)
	}
	if !r.count(t) && !r.ends {
		return c, limited
	}
	return c, c.needs(needs)
}

// presentInCookie is present of what may be a session's only. Others are not counted.
func (r *run) presentInCookie(text string, needs ...string) (caller, class) {
	t := r.w.byID(idIn(text))
	is := t != nil && t.session
	r.counted = r.counted || !is
	c, why := r.present(text, needs...)
	if why == ok && !is {
		why = denied
	}
	return c, why
}

func (c *caller) needs(needs []string) class {
	if len(needs) > 0 && !slices.ContainsFunc(needs, func(x string) bool { return allows(c.cred.caps, x) }) {
		return lacking
	}
	return ok
}

// replacedSession reports whether one of the secrets that a session may be of only authenticates.
func (r *run) replacedSession(p *token, bears int) bool {
	for slot := range p.slots {
		if r.works(p, slot) && p.slots[slot].bears == bears && p.replaced(slot) {
			return true
		}
	}
	return false
}

// count counts a request against the limit of a token that has one.
func (r *run) count(t *token) bool {
	if t.limit == 0 || r.counted {
		return true
	}
	r.counted = true
	minute := r.from / 60e6
	if r.to/60e6 != minute {
		r.timely = true
		if r.choose() {
			minute++
		}
	}
	if minute > t.minute {
		t.minute, t.least, t.atMost = minute, 0, 0
	}
	switch {
	case t.least >= t.limit:
		return false
	case t.atMost >= t.limit:
		r.timely = true
		if r.choose() {
			t.least = t.limit
			return false
		}
	}
	t.least, t.atMost = t.least+1, min(t.atMost+1, t.limit)
	return true
}

// allows reports whether one of the capabilities covers x.
func allows(caps []string, x string) bool {
	return slices.ContainsFunc(caps, func(c string) bool {
		return c == "*" || c == x || strings.HasPrefix(x, c+":")
	})
}

func containsAll(caps, within []string) bool {
	return !slices.ContainsFunc(within, func(x string) bool { return !allows(caps, x) })
}

// narrower reports whether all networks of inner are in outer. None is any.
func narrower(inner, outer []string) bool {
	switch {
	case len(outer) == 0:
		return true
	case len(inner) == 0:
		return false
	}
	return !slices.ContainsFunc(inner, func(n string) bool { return !slices.Contains(outer, n) })
}

// mayEnd judges whether the caller may revoke a token, or end what is below it.
func (c *caller) mayEnd(t *token) class {
	if !c.full || slices.Contains(c.above, t) {
		return beyond
	}
	return ok
}

// mayChange judges whether it may change one.
func (r *run) mayChange(c *caller, t *token) class {
	if why := c.mayEnd(t); why != ok {
		return why
	}
	if t.manages && slices.ContainsFunc(c.above, func(a *token) bool { return a.n == t.parent }) {
		return beyond
	}
	above, _ := r.above(t)
	return c.covers(t.caps, t.nets, t.limit, above)
}

// mayHold judges whether it may get a secret of one.
func (r *run) mayHold(c *caller, t *token) class {
	if why := r.mayChange(c, t); why != ok {
		return why
	}
	if above, _ := r.above(t); !c.stands(above) {
		return beyond
	}
	return ok
}

// stands reports whether what has these above it stands where the caller's own do.
func (c *caller) stands(above []*token) bool {
	return c.who.parent == 0 || slices.ContainsFunc(above, func(t *token) bool { return t.n == c.who.parent })
}

// covers judges whether a token with these is within what the caller has. The limit is the one attribute here.
func (c *caller) covers(caps, nets []string, limit int, above []*token) class {
	if !containsAll(c.cred.caps, caps) || c.cred.limit != limit {
		return beyond
	}
	for _, outer := range c.below {
		if !narrower(nets, outer.nets) && !slices.Contains(above, outer) {
			return beyond
		}
	}
	return ok
}

// A spec is what a request says of a token that it makes. Like all requests, it names others by their IDs: the same token may
// have another number in another world.
type spec struct {
	prefix, name string
	caps, nets   []string
	expires      bound
	parent       string // "": that of whoever asks
}

// depth is how many levels of tokens there are at most.
const depth = 4

// issue makes a token. at is where it stands if it is a successor.
func (r *run) issue(c *caller, s spec, at *token) (*token, class) {
	if s.expires.set() && r.over(s.expires) {
		return nil, invalid
	}
	if !c.full {
		return nil, beyond
	}
	var above []*token
	under := c.who.parent
	switch {
	case at != nil:
		under = at.parent
		above, _ = r.above(at)
	case s.parent != "" || under != 0:
		var p *token
		if s.parent != "" {
			p = r.target(s.parent)
		} else {
			p = r.find(under)
		}
		if p == nil {
			return nil, absent
		}
		under = p.n
		list, live := r.above(p)
		if !live || r.ended(p) != "" {
			return nil, over
		}
		above = append([]*token{p}, list...)
	}
	if !c.stands(above) {
		return nil, beyond
	}
	if why := c.covers(s.caps, s.nets, c.cred.limit, above); why != ok {
		return nil, why
	}
	if len(above) > 0 && (len(above) == depth || !containsAll(above[0].caps, s.caps) || len(s.nets) > 0 && !narrower(s.nets, above[0].nets)) {
		return nil, invalid
	}
	t := token{
		n: r.serial, name: s.name, prefix: s.prefix, caps: s.caps, nets: s.nets, limit: c.cred.limit, expires: s.expires,
		parent: under, epoch: 1, made: r.now(),
	}
	if under != 0 {
		t.parentEpoch = above[0].epoch
	}
	return r.w.add(t), ok
}

// secretFor gives a token a new secret, which nobody was told yet.
func (r *run) secretFor(t *token, confirmed bool) {
	t.slots[newest] = secret{n: r.serial, bears: r.serial, confirmed: confirmed, made: r.now()}
	t.changed()
}

// startSession makes a session of a token.
func (r *run) startSession(c *caller, id string, s session) (*token, class) {
	p := r.target(id)
	if p == nil {
		return nil, absent
	}
	if why := r.mayHold(c, p); why != ok {
		return nil, why
	}
	above, live := r.above(p)
	if !live || r.ended(p) != "" {
		return nil, over
	}
	if p.session || len(above)+1 == depth || !containsAll(p.caps, s.caps) {
		return nil, invalid
	}
	caps := s.caps
	if len(caps) == 0 {
		caps = p.caps
	}
	with := r.current(p)
	switch p {
	case c.cred:
		with = c.slot
	case c.who:
		with = r.bearing(p, c.cred.startedBy)
	}
	if with < 0 || !r.works(p, with) {
		return nil, over
	}
	t := r.w.add(token{
		n: r.serial, prefix: sessionPrefix, caps: caps, nets: p.nets, limit: p.limit,
		expires: first(r.now().plus(s.lifetime), p.expires),
		parent:  p.n, parentEpoch: p.epoch, epoch: 1, session: true, manages: s.manages, startedBy: p.slots[with].bears,
		made: r.now(),
	})
	r.secretFor(t, c.retry == nil)
	return t, ok
}

// current returns the slot of the secret that is meant to be used, or -1.
func (r *run) current(t *token) int {
	slot := newest
	if !r.works(t, newest) || !t.slots[newest].confirmed && t.lapse.set() && t.has(previous) {
		slot = previous
	}
	if !r.works(t, slot) {
		return -1
	}
	return slot
}

// target returns the token that a request names by its ID, or nil.
func (r *run) target(id string) *token {
	t := r.w.byID(id)
	if t == nil {
		return nil
	}
	return r.find(t.n)
}

// endBelow ends all that stands below a token.
func (r *run) endBelow(t *token) {
	for _, child := range r.w.tokens {
		if child.parent == t.n && child.parentEpoch == t.epoch && !child.cut.set() {
			child.cut = r.now()
		}
	}
	t.epoch++
	t.changed()
}

func (r *run) revoke(t *token) {
	if !t.revoked.set() {
		t.revoked = r.now()
		t.changed()
	}
}

// mayRevoke is mayEnd, and any session may revoke itself.
func (c *caller) mayRevoke(t *token) class {
	if t == c.cred && t.session {
		return ok
	}
	return c.mayEnd(t)
}

// update changes a token's name and, unless they are nil, its capabilities. A revision may be demanded.
func (r *run) update(c *caller, id, name string, caps []string, revision int64) (*token, class) {
	t := r.target(id)
	if t == nil {
		return nil, absent
	}
	if why := r.mayChange(c, t); why != ok {
		return nil, why
	}
	above, live := r.above(t)
	if !live || r.ended(t) != "" {
		return nil, over
	}
	if revision != 0 && !r.hasRevision(t, revision) {
		return nil, revised
	}
	if caps == nil {
		caps = t.caps
	}
	if why := c.covers(caps, t.nets, t.limit, above); why != ok {
		return nil, why
	}
	if len(above) > 0 && !containsAll(above[0].caps, caps) {
		return nil, invalid
	}
	if !containsAll(caps, t.caps) {
		r.endBelow(t)
	}
	t.name, t.caps = name, caps
	t.changed()
	return t, ok
}
