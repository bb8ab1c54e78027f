package histories

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
)

// What is wrong with each of these must be found.
var broken = []engine{
	{name: "a store that looks at no guard", open: wrong(func(w *world, s remint.Store) remint.Store { return unguarded{s} })},
	{name: "a store that overwrites", open: wrong(func(w *world, s remint.Store) remint.Store { return overwriting{s} })},
	{name: "a store that loads what was", open: wrong(func(w *world, s remint.Store) remint.Store {
		return &outdated{Store: s, w: w, before: map[remint.ID]*remint.Record{}}
	})},
	{name: "a store that forgets", open: wrong(func(w *world, s remint.Store) remint.Store { return forgetful{s} })},
	{name: "a store that acknowledges too early", open: wrong(func(w *world, s remint.Store) remint.Store { return eager{s, w} })},
	{name: "a store that does half a batch at a time", open: wrong(func(w *world, s remint.Store) remint.Store { return piecemeal{s} })},
	{name: "a clock that is late", open: alone(memory), lag: 2 * time.Second},
	{name: "two caches as if they were one", open: cached(memory), caches: 2},
	{name: "caches that keep too long", open: cachedFor(memory, time.Hour), caches: 2, staleness: bound},
}

func wrong(wrap func(*world, remint.Store) remint.Store) func(testing.TB, *world) func(int) remint.Store {
	return func(t testing.TB, w *world) func(int) remint.Store {
		s := probe{w: w, asked: true}.over(wrap(w, new(store.Memory)))
		return func(int) remint.Store { return s }
	}
}

func TestWhatIsWrongIsFound(t *testing.T) {
	const enough = 3000 // the worst of them is found in a hundred, on average
	for _, e := range broken {
		t.Run(e.name, func(t *testing.T) {
			seed := rand.Uint64()
			for n := range uint64(enough) {
				p := newPlan(seed+n, false)
				p.faults, p.managed = 0, true // what fails hides what is wrong
				w, ops := run(t, p, e)
				s := w.search()
				if wrong := !porcupine.CheckOperations(s.model(), ops); wrong && !s.exhausted {
					t.Logf("after %d histories", n+1)
					return
				}
			}
			t.Errorf("the %d histories from seed %d look as if nothing were wrong", enough, seed)
		})
	}
}
