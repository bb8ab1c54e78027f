package histories

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/anishathalye/porcupine"
)

// times is by how much there are more histories than usual: REMINT_HISTORIES.
func times() int {
	n, err := strconv.Atoi(os.Getenv("REMINT_HISTORIES"))
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// seeds returns n seeds, or the one of REMINT_HISTORIES_SEED.
func seeds(t *testing.T, n int) []uint64 {
	if text := os.Getenv("REMINT_HISTORIES_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal("REMINT_HISTORIES_SEED:", err)
		}
		return []uint64{seed}
	}
	all := make([]uint64, n)
	for i := range all {
		all[i] = rand.Uint64()
	}
	return all
}

// run runs one history.
func run(t *testing.T, p plan, e engine) (w *world, ops []porcupine.Operation) {
	t.Helper()
	p.issuers = p.issuers || e.caches > 1 || e.late > 0
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

func TestHistoriesAreLinearizable(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) { check(t, e, 3*e.share, false) })
	}
}

// The same as the machine schedules it, which no seed repeats: for the race detector, and for
// what happens between two operations of a store.
func TestHistoriesOfParallelClientsAreLinearizable(t *testing.T) {
	for _, e := range engines {
		if e.staleness == 0 { // its time is the machine's, then, and not the clock's
			t.Run(e.name, func(t *testing.T) { check(t, e, e.share, true) })
		}
	}
}

func check(t *testing.T, e engine, n int, loose bool) {
	for _, seed := range seeds(t, n*times()) {
		w, ops := run(t, newPlan(seed, loose), e)
		if !porcupine.CheckOperations(w.model(), ops) {
			report(t, w, ops)
		}
	}
}

// report writes the history down.
func report(t *testing.T, w *world, ops []porcupine.Operation) {
	t.Helper()
	_, info := porcupine.CheckOperationsVerbose(w.model(), ops, 0)
	path := filepath.Join(t.ArtifactDir(), fmt.Sprintf("%d.html", w.seed))
	if err := porcupine.VisualizePath(w.model(), info, path); err != nil {
		t.Error(err)
	}
	t.Errorf("not linearizable: %s\nREMINT_HISTORIES_SEED=%d", path, w.seed)
	best := []porcupine.Operation{}
	for _, p := range info.PartialLinearizationsOperations()[0] {
		if len(p) > len(best) {
			best = p
		}
	}
	in := map[any]bool{}
	s := w.model().Init()
	for _, o := range best {
		_, s = w.model().Step(s, o.Input, o.Output)
		t.Logf("%4d-%4d c%d %v %v → %v %v", o.Call, o.Return, o.ClientId, o.Input.(event).call, o.Input.(event).half, o.Output, o.Input.(event).times)
		in[o.Input] = true
	}
	t.Logf("then %s", w.model().DescribeState(s))
	for _, o := range ops {
		if !in[o.Input] {
			t.Logf("not %4d-%4d c%d %v %v → %v times %v", o.Call, o.Return, o.ClientId, o.Input.(event).call, o.Input.(event).half, o.Output, o.Input.(event).times)
		}
	}
	t.FailNow()
}
