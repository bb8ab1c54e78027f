package soak

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// That something has lapsed or stopped is written down late, if ever: by a service with the next change, by a client when it
// has several worlds to compare. Nothing may depend on when.

// ends are all that may become of a request in a world.
func ends(a *act, w *world, at int64) map[string]bool {
	list := map[string]bool{}
	a.ways(w, at, at, func(r *run) {
		after := r.w.clone()
		after.tidy(at)
		list[fmt.Sprintf("%s %s\n%s", r.outcome.why, r.outcome.or, after.shape())] = true
	})
	return list
}

// reveal names all that nobody was told of.
func (w *world) reveal() {
	for _, t := range w.tokens {
		if t.id == "" {
			t.id = fmt.Sprintf("%0*d", idLen, t.n)
		}
		for k := range t.slots {
			if s := &t.slots[k]; s.n != 0 && s.text == "" {
				text := t.prefix + t.id + fmt.Sprintf("%0*d", secretLen, s.n)
				s.text = text + checksum(text)
			}
		}
	}
}

// alone is a client without a service: of what may become of its requests, it takes any.
func alone(seed uint64) *client {
	return &client{Soak: new(Soak), owner: "client-0", rng: rand.New(rand.NewPCG(seed, 1)), belief: belief{new(world)}}
}

// begin gives it a world with a master and nothing else.
func (c *client) begin() {
	c.serial++
	w := new(world)
	w.add(token{
		n: c.serial, prefix: masterPrefix, caps: []string{"*"}, epoch: 1, made: exactly(now()),
		slots: [3]secret{{n: c.serial, bears: c.serial, confirmed: true}},
	})
	w.reveal()
	c.belief, c.repeats, c.had = belief{w}, nil, []string{w.tokens[0].slots[newest].text}
}

// any is a request, more often than else one that depends on what was before.
func (c *client) any() *act {
	text := c.anyText()
	switch c.rng.IntN(4) {
	case 0:
		if a := c.repeat(); a != nil {
			return a
		}
	case 1:
		if t := c.target(); t != nil {
			return c.axiomRegenerate(text, t.id, 1e15, -1, nil, false, "")
		}
	case 2:
		if t := c.world().byID(idIn(text)); t != nil {
			how := rotation{retire: retirement{firstUse: true}, keep: c.rng.IntN(2) == 0}
			return c.nativeRotate(text, t.id, how, false, c.someKey())
		}
	}
	return c.next()
}

// take lets one of the ways be the one.
func (c *client) take(a *act, at int64) {
	w, n := c.world(), 0
	a.ways(w, at, at, func(r *run) {
		if n++; c.rng.IntN(n) == 0 {
			c.belief = belief{r.w}
		}
	})
	c.world().reveal()
	if a.key != "" || a.repeats {
		c.repeats = append(c.repeats, a)
		c.repeats = c.repeats[max(0, len(c.repeats)-manyRepeats):]
	}
}

func TestNothingDependsOnWhenAWorldIsTidied(t *testing.T) {
	randomRequests(t, func(t *testing.T, c *client, a *act, w *world, at int64) {
		tidy := w.clone()
		tidy.tidy(at)
		is, should := ends(a, w, at), ends(a, tidy, at)
		for end := range is {
			if !should[end] {
				t.Fatalf("%s\nends only as long as nothing is tidied as %s\nat %s in %s", a, end, formatTime(at), c.belief)
			}
		}
		for end := range should {
			if !is[end] {
				t.Fatalf("%s\nends only where all is tidy as %s\nat %s in %s", a, end, formatTime(at), c.belief)
			}
		}
	})
}

// randomRequests lets a client without a service make requests in one world after the other, and
// calls see with each before it is taken to be answered.
func randomRequests(t *testing.T, see func(t *testing.T, c *client, a *act, w *world, at int64)) {
	seed := rand.Uint64N(1 << 32)
	if os.Getenv("REMINT_SOAK_SEED") != "" {
		seed = uint64(variable(t, "REMINT_SOAK_SEED", 0))
	}
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) { // for its clock
		time.Sleep(10 * 365 * 24 * time.Hour) // to when what clients call long ago is
		c := alone(seed)
		for range 8000 {
			time.Sleep(time.Duration(c.rng.IntN(250)) * time.Millisecond)
			if c.master() == "" || len(c.world().tokens) > manyTokens {
				c.begin()
			}
			w, at, a := c.world(), now(), c.any()
			c.serial++
			a.serial = c.serial
			see(t, c, a, w, at)
			c.take(a, at)
		}
	})
}
