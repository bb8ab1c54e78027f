package histories

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// A plan is what a history is made of.
type plan struct {
	seed    uint64
	loose   bool // as the machine has it, rather than the seed
	clients int
	calls   int     // of each client
	faults  float64 // of commits, one in how many fails
	issuers bool    // each client has an Issuer of its own
	// managed: there is a session that manages from the start, and a secret that nobody has
	// used; sessions are used, changed and ended more often than otherwise.
	managed bool
}

// newPlan returns the plan of a seed.
func newPlan(seed uint64, loose bool) plan {
	rng := rand.New(rand.NewPCG(seed, 0))
	p := plan{seed: seed, loose: loose, clients: 4 + rng.IntN(3), calls: 6 + rng.IntN(5), issuers: rng.IntN(3) == 0, managed: rng.IntN(3) == 0}
	if rng.IntN(3) == 0 {
		p.faults = 0.02 + 0.1*rng.Float64()
	}
	return p
}

// A handed secret is one that a call has returned.
type handed struct {
	by    int // the call
	owner int // the call that made its token
	text  string
}

// A session is a token that a call has returned.
type session struct {
	by      int
	id      remint.ID
	manages bool
}

// A world is one history while it happens.
type world struct {
	plan
	engine engine
	clock  *clock
	sched  *schedule

	issuers []*remint.Issuer // of the clients
	token   remint.ID
	start   *state

	stamps atomic.Int64 // the order of calls and returns
	ids    atomic.Int64 // of calls
	ghosts atomic.Int64 // commits that are done later than they were answered
	calm   atomic.Bool  // the store does not fail any more

	mu       sync.Mutex
	handed   []handed
	sessions []session
	names    map[remint.ID]int
	records  []recorded
}

// recorded is a call, and its answer.
type recorded struct {
	call     *call
	answer   *answer
	from, to int64
	end      int64 // of what all clients did
	// look is when it first read its target.
	look [2]int64
}

const (
	owner     = "acme"
	firstName = "first"
)

// caps are what the token has, as bits from the lowest: it never loses the first.
var caps = []remint.Capability{"reports", "admin"}

// newWorld issues the token.
func newWorld(t testing.TB, p plan, e engine) (*world, error) {
	w := &world{plan: p, engine: e, clock: newClock(), sched: &schedule{loose: p.loose}, names: map[remint.ID]int{}}
	stores := e.open(t, w)
	for i := range p.clients + 1 {
		if i > 0 && !p.issuers {
			w.issuers = append(w.issuers, w.issuers[0])
			continue
		}
		now := w.clock.now
		if i%2 == 1 && e.lag > 0 {
			now = behind(w.clock, e.lag)
		}
		iss, err := remint.New(stores(i), &remint.Options{Now: now, Lapse: lapseAfter})
		if err != nil {
			return nil, err
		}
		w.issuers = append(w.issuers, iss)
	}

	rng := rand.New(rand.NewPCG(p.seed, 1))
	spec := remint.Spec{Name: firstName, Owner: owner, Capabilities: remint.Allow(caps...)}
	if rng.IntN(2) == 0 {
		spec.ExpiresAt = w.clock.now().Add(time.Duration(10+rng.IntN(30)) * time.Second)
	}
	c := w.client(0)
	g, err := w.issuers[0].Operator("op").Issue(c.context(), spec)
	if err != nil {
		return nil, fmt.Errorf("issue: %w", err)
	}
	id := int(w.ids.Add(1))
	w.token = g.Token.ID()
	w.names[w.token] = id
	w.handed = append(w.handed, handed{id, id, g.Secret.Reveal()})
	v := w.view(g.Token)
	w.start = newState(e.staleness > 0, record{
		id: id, name: v.name, caps: v.caps, created: v.created, expires: v.expires, changed: v.created,
		epoch: v.epoch, revision: v.revision,
		newest: secret{by: id, created: v.created, used: true, sessions: id},
	})
	if p.managed {
		c.do(call{
			kind: doStartSession, actor: operator, target: id, manages: true, lifetime: time.Minute,
		}, "", w.token)
		c.do(call{
			kind: doRotate, actor: operator, target: id, keep: true, retire: afterFirstUse, after: time.Second,
		}, "", w.token)
	}
	return w, nil
}

// run lets the clients do what they do, and then one what shows the outcome.
func (w *world) run() []recorded {
	for i := 1; i <= w.clients; i++ {
		c := w.client(i)
		w.sched.start(func() {
			for range w.calls {
				c.pause()
				c.next()
			}
		})
	}
	w.sched.run()
	end := w.stamps.Add(1)
	for i := range w.records {
		r := &w.records[i]
		if r.end = end; r.answer.late && r.answer.class == unavailable {
			r.to = end
		}
	}
	w.calm.Store(true)
	c := w.client(0)
	c.show()
	slices.SortFunc(w.records, func(a, b recorded) int { return int(a.from - b.from) })
	return w.records
}

// later does what nobody waits for.
func (w *world) later(commit func(), seed uint64) {
	who := 100 + int(w.ghosts.Add(1))
	w.sched.start(func() {
		rng := rand.New(rand.NewPCG(seed, 0))
		w.sched.pause(who, rng)
		commit()
	})
}

// newestHanded returns the newest secret of the token itself.
func (w *world) newestHanded() handed {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range slices.Backward(w.handed) {
		if h.owner == w.start.records[0].id {
			return h
		}
	}
	panic("the token has no secret")
}

func (w *world) anyHanded(rng *rand.Rand) handed {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.handed[rng.IntN(len(w.handed))]
}

// anyOfASession returns a secret of a session, if there is one.
func (w *world) anyOfASession(rng *rand.Rand) (handed, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var of []handed
	for _, h := range w.handed {
		if h.owner != w.start.records[0].id {
			of = append(of, h)
		}
	}
	if len(of) == 0 {
		return handed{}, false
	}
	return of[rng.IntN(len(of))], true
}

func (w *world) allHanded() []handed {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.handed)
}

func (w *world) anySession(rng *rand.Rand) (session, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.sessions) == 0 {
		return session{}, false
	}
	return w.sessions[rng.IntN(len(w.sessions))], true
}

// view returns what tok shows.
func (w *world) view(tok remint.Token) *view {
	s, spec := tok.State(), tok.Spec()
	v := &view{
		name: spec.Name, session: tok.IsSession(), created: micros(s.CreatedAt), rotated: micros(s.RotatedAt),
		revoked: micros(s.RevokedAt), expires: micros(spec.ExpiresAt), ended: s.Ended, epoch: s.Epoch, revision: s.Revision,
		current: viewOf(s.Current), unconfirmed: viewOf(s.Unconfirmed), retiring: viewOf(s.Retiring),
		retiresAt: micros(tok.RetiresAt()),
	}
	for i, c := range caps {
		if tok.Allows(c) {
			v.caps |= 1 << i
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	v.id = w.names[tok.ID()]
	return v
}

func viewOf(s remint.SecretState) secretView {
	return secretView{micros(s.CreatedAt), micros(s.Until)}
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return none
	}
	return t.UnixMicro()
}
