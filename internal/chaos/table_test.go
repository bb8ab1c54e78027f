package chaos_test

import (
	"flag"
	"fmt"
	"sync"
	"testing"
)

var update = flag.Bool("update", false, "write docs/never-locked-out.md")

// How a client ends.
const (
	ended  = "ok"   // with the new secret
	back   = "back" // with it, after it had to go back to the old one
	locked = "OUT"
)

// An outcome is what became of a rotation.
type outcome struct {
	end   string
	live  int // secrets, when the client is done
	left  int // of them, when everything that was to stop has
	most  int // strays at a time: live secrets that nobody has
	stray int // of them, in the end
}

func (o outcome) String() string {
	end := o.end
	if end == locked {
		end = "**OUT**"
	}
	s := fmt.Sprintf("%s %s", end, falls(o.live, o.left))
	if o.most > 0 {
		s += ", stray " + falls(o.most, o.stray)
	}
	return s
}

func falls(from, to int) string {
	if from == to {
		return fmt.Sprint(from)
	}
	return fmt.Sprintf("%d→%d", from, to)
}

// worse is the worst of two, in each respect.
func (o outcome) worse(p outcome) outcome {
	rank := map[string]int{"": 0, ended: 1, back: 2, locked: 3}
	if rank[p.end] > rank[o.end] {
		o.end = p.end
	}
	return outcome{o.end, max(o.live, p.live), max(o.left, p.left), max(o.most, p.most), max(o.stray, p.stray)}
}

// A cell is where a table has an outcome.
type cell struct{ format, column, cut int }

// TestWhatALostResponseLeavesIsWhatThePageSays runs every cell of the tables, and with -update
// writes them.
// It fails without the one undelivered secret that is live (internal/mutants).
func TestWhatALostResponseLeavesIsWhatThePageSays(t *testing.T) {
	var mu sync.Mutex
	got := map[cell]outcome{}
	t.Run("cells", func(t *testing.T) {
		for f, format := range formats {
			for c, column := range columns {
				t.Run(fmt.Sprintf("%s/%s, %s", format.name, column.retirement.name, column.keying.name), func(t *testing.T) {
					t.Parallel()
					for k, cut := range cuts {
						o := runCut(t, format, column, cut)
						mu.Lock()
						got[cell{f, c, k}] = o
						mu.Unlock()
					}
				})
			}
		}
	})
	if t.Failed() {
		return
	}
	for at, o := range got {
		checkPromise(t, at, o)
	}
	if len(got) == len(formats)*len(columns)*len(cuts) { // or -run has left some out
		checkPage(t, got)
	}
}

// checkPromise says what must hold whatever the page says.
func checkPromise(t *testing.T, at cell, o outcome) {
	t.Helper()
	format, column, cut := formats[at.format], columns[at.column], cuts[at.cut]
	where := fmt.Sprintf("%s, %s, %s: the %s %s: %v", format.name, column.retirement.name, column.keying.name, cut.at, cut.name, o)
	if o.most > 1 {
		t.Errorf("%s: more than one secret is live that nobody has", where)
	}
	if !column.promises() {
		return
	}
	if o.end == locked {
		t.Errorf("%s: locked out", where)
	}
	if o.left != 1 || o.stray != 0 {
		t.Errorf("%s: a stray is left", where)
	}
	if lapsed := cut.name == "comes after 3 hours"; column.keying.name == longKey.name && !lapsed && o.end != ended {
		t.Errorf("%s: the old secret was needed", where)
	}
}

// runCut is one cell: the worst of its cases.
func runCut(t *testing.T, f format, c column, k cut) (worst outcome) {
	t.Helper()
	for n := 0; ; n++ {
		o, happened := runCase(t, f, c, k, n)
		if !happened && n == 0 {
			t.Errorf("the %s %s: it did not happen", k.at, k.name)
		}
		if happened {
			worst = worst.worse(o)
		}
		// Two cases are one operation: both before and after it.
		if !happened && n%2 == 0 || !k.each || t.Failed() {
			return worst
		}
	}
}

func runCase(t *testing.T, f format, c column, k cut, n int) (o outcome, happened bool) {
	t.Helper()
	w := newWorld(t, k.durable, f.mount(c.retirement))
	defer w.end()
	f.begin(w, c.retirement)
	w.client.Key = c.key
	w.client.Unanswered = w.watch
	happened = k.run(w, n)
	w.watch()
	if w.client.New == "" {
		w.client.Fetch()
		w.watch()
	}
	switch ok := w.client.GoOn(); {
	case !ok:
		o.end = locked
	case w.client.WentBack:
		o.end = back
	default:
		o.end = ended
	}
	if w.proxy.Calm() {
		t.Errorf("%s: something was to happen, and did not", k.name)
	}
	w.watch()
	o.live, _ = w.count()
	w.clock.Advance(afterAll)
	o.left, o.stray = w.count()
	o.most = w.most
	if works := w.works(w.client.New); works != (o.end != locked) {
		t.Errorf("%s: %s, and its secret works: %t", k.name, o.end, works)
	}
	return o, happened
}
