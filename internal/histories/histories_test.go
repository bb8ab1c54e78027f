package histories

import (
	"testing"
	"testing/synctest"

	"github.com/anishathalye/porcupine"
)

// What goes on at once follows from the seed.
func TestHistoriesAreLinearizable(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { check(t, e, 3*e.share, false) })
	}
}

// What goes on at once is the machine's choice, which no seed repeats: for the race detector, and
// for what happens within an operation of a store.
func TestHistoriesOfParallelClientsAreLinearizable(t *testing.T) {
	for _, e := range engines {
		if e.staleness > 0 {
			continue // its bound is one of the machine's time, and not of the history's
		}
		t.Run(e.name, func(t *testing.T) { check(t, e, e.share, true) })
	}
}

func check(t *testing.T, e engine, n int, loose bool) {
	undecided, operations := 0, 0
	all := seeds(t, n)
	for _, seed := range all {
		w, ops := run(t, newPlan(seed, loose), e)
		operations += len(ops)
		s := w.search()
		switch explained := porcupine.CheckOperations(s.model(), ops); {
		case s.exhausted:
			t.Logf("after %d steps, REMINT_HISTORIES_SEED=%d is not decided", most, seed)
			undecided++
		case !explained:
			report(t, s, ops)
		}
	}
	t.Logf("%d histories of %d operations, of which %d histories are not decided", len(all), operations, undecided)
	if undecided > 1+len(all)/1000 {
		t.Errorf("%d of %d are not decided", undecided, len(all))
	}
}

// Behind a Cache, who has waited for one read goes on at the same moment as others: there it mostly
// does, and not always.
func TestASeedRepeatsItsHistory(t *testing.T) {
	for _, e := range engines {
		if e.caches > 0 {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			for _, seed := range seeds(t, max(1, e.share/10)) {
				_, first := run(t, newPlan(seed, false), e)
				_, second := run(t, newPlan(seed, false), e)
				if a, b := text(first), text(second); a != b {
					t.Fatalf("REMINT_HISTORIES_SEED=%d was once\n%sand then\n%s", seed, a, b)
				}
			}
		})
	}
}

// run lets one history happen.
func run(t *testing.T, p plan, e engine) (w *world, ops []porcupine.Operation) {
	t.Helper()
	p.issuers = p.issuers || e.caches > 1 || e.lag > 0
	if e.staleness > 0 {
		p.clients, p.calls = 4, min(p.calls, 7) // there is more to remember, and to try
	}
	all := func(t *testing.T) {
		var err error
		if w, err = newWorld(t, p, e); err != nil {
			t.Fatal(err)
		}
		ops = history(w.run())
	}
	if p.loose {
		all(t)
	} else {
		synctest.Test(t, all)
	}
	return w, ops
}
