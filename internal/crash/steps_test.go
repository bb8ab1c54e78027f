package crash

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/remint-go/remint"
)

// A worker changes tokens of its own, and now and then one of everybody's.
type worker struct {
	*victim
	n      int
	random *rand.Rand
}

const (
	mostHeld     = 10 // tokens of a worker
	mostOfAll    = 8  // tokens of everybody
	mostTexts    = 4  // of a token
	sharedOutOf  = 5  // one of so many steps is with a token of everybody's
	verifyNewest = 0.7
)

// draw decides on a step.
func (w *worker) draw() step {
	home := w.n
	if w.random.IntN(sharedOutOf) == 0 {
		home = everybody
	}
	h, count := w.wallet.pick(w.random, home)
	most := mostHeld
	if home == everybody {
		most = mostOfAll
	}
	switch {
	case count < 2:
		return w.issue(home, holding{})
	case count > most:
		return step{Kind: kindRevoke, ID: h.ID}
	}
	sweeps := 2
	if w.Sweeps {
		sweeps = 60
	}
	return pickWeighted(w.random, []weighted{
		{34, func() step { return w.verify(h) }},
		{18, func() step { return w.rotate(h) }},
		{10, func() step { return w.self(h) }},
		{8, func() step { return w.issue(home, h) }},
		{6, func() step {
			return step{Kind: kindSession, ID: h.ID, Lifetime: (5 + w.random.Int64N(300)) * second}
		}},
		{8, func() step { return w.update(h) }},
		{5, func() step { return step{Kind: kindCancel, ID: h.ID} }},
		{5, func() step { return step{Kind: kindFinish, ID: h.ID} }},
		{5, func() step { return step{Kind: kindEnd, ID: h.ID} }},
		{4, func() step { return step{Kind: kindRevoke, ID: h.ID} }},
		{sweeps, func() step { return step{Kind: kindSweep} }},
	})
}

type weighted struct {
	weight int
	draw   func() step
}

func pickWeighted(random *rand.Rand, list []weighted) step {
	total := 0
	for _, x := range list {
		total += x.weight
	}
	n := random.IntN(total)
	for _, x := range list {
		if n -= x.weight; n < 0 {
			return x.draw()
		}
	}
	panic("weights")
}

// issue issues a token, often below another.
func (w *worker) issue(home int, below holding) step {
	s := step{
		Kind: kindIssue, Name: w.name(), Caps: w.caps(), Note: w.note(),
		Owner: []string{"a", "b"}[w.random.IntN(2)],
	}
	if w.random.IntN(2) == 0 && !below.Session && !below.ID.IsZero() {
		s.ID, s.Owner = below.ID, ""
		s.Caps = leastCaps // which every parent has
	}
	if w.random.IntN(4) == 0 {
		s.Expires = w.clock.micros() + (5+w.random.Int64N(300))*second
	}
	if home == everybody && s.ID.IsZero() {
		s.Name = everybodys
	}
	return s
}

// everybodys is the name of a root that all workers change.
const everybodys = "everybody's"

func (w *worker) verify(h holding) step {
	if len(h.Texts) == 0 {
		return w.rotate(h)
	}
	text := h.Texts[len(h.Texts)-1]
	if w.random.Float64() > verifyNewest {
		text = h.Texts[w.random.IntN(len(h.Texts))]
	}
	return step{Kind: kindVerify, ID: h.ID, Text: text}
}

func (w *worker) rotate(h holding) step {
	s := step{
		Kind: kindRotate, ID: h.ID,
		Retire:    []retirement{retireNow, retireAfter, retireAt, retireFirstUse}[w.random.IntN(4)],
		Span:      w.random.Int64N(30) * second,
		Successor: !h.Session && w.random.IntN(3) == 0,
	}
	s.Keep = !s.Successor && w.random.IntN(3) == 0
	if s.Retire == retireAt {
		s.Span += w.clock.micros() - 5*second
	}
	if s.Successor && w.random.IntN(3) == 0 {
		s.Expires = w.clock.micros() + (5+w.random.Int64N(300))*second
	}
	return s
}

// self is a rotation by the token's bearer.
func (w *worker) self(h holding) step {
	if len(h.Texts) == 0 || h.Session {
		return w.verify(h)
	}
	s := w.rotate(h)
	s.Kind, s.Text, s.Successor, s.Expires = kindSelf, h.Texts[len(h.Texts)-1], false, 0
	return s
}

func (w *worker) update(h holding) step {
	return step{Kind: kindUpdate, ID: h.ID, Name: w.name(), Caps: w.caps(), Note: w.note()}
}

func (w *worker) name() string { return []string{"one", "two", "three"}[w.random.IntN(3)] }
func (w *worker) note() string { return []string{"", "x", "y"}[w.random.IntN(3)] }

const leastCaps = "read"

func (w *worker) caps() string {
	return []string{leastCaps, "read write", "read write admin"}[w.random.IntN(3)]
}

func (s *step) retirement() remint.Retirement {
	switch s.Retire {
	case retireAfter:
		return remint.RetireAfter(micros(s.Span))
	case retireAt:
		return remint.RetireAt(toTime(s.Span))
	case retireFirstUse:
		return remint.RetireAfterFirstUse(micros(s.Span))
	}
	return remint.Retirement{}
}

func capabilities(s string) remint.Capabilities {
	c, err := remint.ParseCapabilities(strings.Fields(s))
	if err != nil {
		panic(err)
	}
	return c
}

func attributes(note string) map[string]string {
	if note == "" {
		return nil
	}
	return map[string]string{"note": note}
}

func micros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// learn takes note of what came of a step.
func (w *worker) learn(s *step, a *ack, err error) {
	switch {
	case err != nil:
		if errors.Is(err, remint.ErrEnded) || errors.Is(err, remint.ErrNotFound) || w.random.IntN(8) == 0 {
			w.wallet.drop(s.ID)
		}
	case a.Text != "" && a.ID != s.ID:
		home := w.n
		if s.Name == everybodys || w.wallet.isEverybodys(s.ID) {
			home = everybody
		}
		w.wallet.take([]holding{{ID: a.ID, Session: s.Kind == kindSession, Home: home, Texts: []string{a.Text}}})
	case a.Text != "":
		w.wallet.add(a.ID, a.Text)
	case s.Kind == kindRevoke && w.random.IntN(4) > 0:
		w.wallet.drop(s.ID)
	}
}

// A wallet has what the workers hold.
type wallet struct {
	mu   sync.Mutex
	held []holding
}

func (w *wallet) take(list []holding) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held = append(w.held, list...)
}

// pick returns one of those of a home, and how many they are.
func (w *wallet) pick(random *rand.Rand, home int) (h holding, count int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, x := range w.held {
		if x.Home != home {
			continue
		}
		if count++; random.IntN(count) == 0 {
			h = x
		}
	}
	h.Texts = slices.Clone(h.Texts)
	return h, count
}

func (w *wallet) index(id remint.ID) int {
	return slices.IndexFunc(w.held, func(h holding) bool { return h.ID == id })
}

func (w *wallet) isEverybodys(id remint.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.index(id)
	return k >= 0 && w.held[k].Home == everybody
}

func (w *wallet) add(id remint.ID, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k := w.index(id); k >= 0 {
		h := &w.held[k]
		if h.Texts = append(h.Texts, text); len(h.Texts) > mostTexts {
			h.Texts = slices.Delete(h.Texts, 0, 1)
		}
	}
}

func (w *wallet) drop(id remint.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if k := w.index(id); k >= 0 {
		w.held = slices.Delete(w.held, k, k+1)
	}
}
