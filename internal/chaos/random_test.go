package chaos_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/remint-go/remint/internal/chaos"
)

// What the tables do not have: several things that go wrong, one after the other and at the same
// time, in several rotations. The options that promise it keep the promise; with a key that
// nobody loses, and a repeat in time, so does a rotation at once.

// It fails without the old secret until the first use, whatever is lost (internal/mutants).
func TestWhateverGoesWrongNobodyIsLockedOut(t *testing.T) {
	for _, c := range []column{{firstUse, noKey}, {firstUse, longKey}, {atOnce, longKey}} {
		t.Run(c.retirement.name+", "+c.keying.name, func(t *testing.T) {
			checkMany(t, 7, func(r *rapid.T) {
				format := formats[rapid.IntRange(0, len(formats)-1).Draw(r, "format")]
				w := newWorld(t, false, format.mount(c.retirement))
				defer w.end()
				w.TB = reporter{t, r}
				format.begin(w, c.retirement)
				w.client.Key = c.key
				w.client.Unanswered = w.watch
				for range rapid.IntRange(1, 3).Draw(r, "rotations") {
					w.randomRotation(r, c)
				}
			})
		})
	}
}

// checkMany is rapid.Check for a property that needs more than its hundred runs.
func checkMany(t *testing.T, n int, property func(*rapid.T)) {
	t.Helper()
	if testing.Short() {
		n = 1
	}
	for range n {
		rapid.Check(t, property)
		if t.Failed() {
			return
		}
	}
}

// randomRotation lets things go wrong, then all is well again, and the client goes on.
func (w *world) randomRotation(r *rapid.T, c column) {
	times := []time.Duration{time.Second, time.Minute, 5 * time.Minute, 20 * time.Minute, lapse}
	if !c.promises() {
		times = times[:2] // 8 of them are within the window
	}
	w.client.WentBack = false
	repeats := w.client.Key != nil // whatever arrives of this rotation is a repeat of one request
	begin := w.clock.Now()
	for range rapid.IntRange(0, 8).Draw(r, "steps") {
		switch rapid.SampledFrom([]string{"fault", "fault", "fault", "fetch", "fetch", "crash", "late", "time", "store"}).Draw(r, "step") {
		case "fault":
			w.proxy.Next(faults[rapid.SampledFrom(slices.Sorted(maps.Keys(faults))).Draw(r, "fault")])
		case "fetch":
			w.client.Fetch()
		case "crash":
			keeps := !c.promises() || rapid.Bool().Draw(r, "keeps its key")
			w.client.Crash(keeps)
			repeats = repeats && keeps
		case "late":
			w.proxy.Release()
		case "time":
			w.clock.Advance(rapid.SampledFrom(times).Draw(r, "time"))
		case "store":
			w.store.Fail(failure(rapid.IntRange(0, 20).Draw(r, "operation"), rapid.Bool().Draw(r, "stays")))
			w.client.Fetch()
			w.store.Recover()
		}
		w.watch()
	}
	if rapid.Bool().Draw(r, "late requests arrive before the first use") {
		w.proxy.Release()
		w.watch()
	}
	w.proxy.Calm()
	if !w.client.GoOn() {
		r.Fatal("it is locked out")
	}
	w.watch()
	if w.client.WentBack && repeats && w.clock.Now().Sub(begin) < window {
		r.Fatal("it needed the old secret again, though it had a key")
	}
	if w.most > 1 {
		r.Fatalf("%d secrets were live that nobody had", w.most)
	}
	if rapid.Bool().Draw(r, "the next rotation begins in the grace") {
		w.had = append(w.had, w.client.New)
		w.client.Next()
		return
	}
	w.proxy.Release()
	w.clock.Advance(lapse)
	if live, stray := w.count(); live != 1 || stray != 0 {
		r.Fatalf("%d are live in the end, and nobody has %d of them", live, stray)
	}
	w.had = append(w.had, w.client.New)
	w.client.Next()
}

var faults = map[string]chaos.Fault{
	"request lost":       {Lose: true},
	"request late":       {Late: true},
	"twice, first":       {Twice: true},
	"twice, second":      {Second: true},
	"race":               {Race: true},
	"race, lost":         {Race: true, Cut: chaos.Nothing},
	"twice, first, lost": {Twice: true, Cut: chaos.Nothing},
	"answer lost":        lost,
	"answer ends":        {Cut: chaos.Half},
	"nothing, this once": {},
}

// A reporter reports to rapid, which makes what failed smaller, and lives as long as the test.
type reporter struct {
	testing.TB
	r *rapid.T
}

func (t reporter) Helper()                           {}
func (t reporter) Error(args ...any)                 { t.r.Error(args...) }
func (t reporter) Errorf(format string, args ...any) { t.r.Errorf(format, args...) }
func (t reporter) Fatal(args ...any)                 { t.r.Fatal(args...) }
func (t reporter) Fatalf(format string, args ...any) { t.r.Fatal(fmt.Sprintf(format, args...)) }
