package storetest

import (
	"io"
	"math/rand/v2"
	"testing"

	"github.com/remint-go/remint"
)

// RunDurable checks that what Commit acknowledged survives. open opens the store
// that is kept in dir, again and again; RunDurable has closed the one before if it is
// an [io.Closer], or killed its process.
//
// The process that is killed is this test binary, executed anew to run this test
// alone. What the test does before it calls RunDurable is then done there, too.
func RunDurable(t *testing.T, open func(t *testing.T, dir string) remint.Store) {
	test := t.Name()
	if isVictim(test) {
		commitUntilKilled(t, func(dir string) remint.Store { return open(t, dir) })
		return
	}
	for _, c := range durableChecks {
		t.Run(c.name, func(t *testing.T) {
			newDurable(t, test, func(dir string) remint.Store { return open(t, dir) }).do(c)
		})
	}
}

// A durable is a suite whose store is opened again and again.
type durable struct {
	*suite
	test string // the name of the test that runs it
	dir  string
	open func(dir string) remint.Store
}

type durableCheck struct {
	name string
	run  func(x *durable)
}

func newDurable(tb testing.TB, test string, open func(dir string) remint.Store) *durable {
	dir := tb.TempDir()
	return &durable{suite: newSuite(tb, open(dir)), test: test, dir: dir, open: open}
}

func (x *durable) do(c durableCheck) {
	c.run(x)
	x.compare()
	x.compareCursors()
	x.close()
}

func (x *durable) reopen() {
	x.Helper()
	x.close()
	x.s = x.open(x.dir)
}

func (x *durable) close() {
	x.Helper()
	if c, ok := x.s.(io.Closer); ok {
		if err := c.Close(); err != nil {
			x.fatalf("Close: %v", err)
		}
	}
}

var durableChecks = []durableCheck{
	{"an empty store can be opened again", func(x *durable) {
		x.reopen()
		x.compare()
		x.reopen()
	}},
	{"records, indexes and events are there after opening again", func(x *durable) {
		x.family()
		x.longHistory()
		x.reopen()
		x.compare()
		x.churn()
		x.compare()
		x.reopen()
		x.compare()
		x.reopen()
	}},
	{"revisions and guards go on after opening again", func(x *durable) {
		r := plain(1, 2)
		x.put(r...)
		x.ok(remint.Batch{Put: puts(1, change(r[0], 2, "q"))})
		x.reopen()
		x.conflict(remint.Batch{Put: puts(1, change(r[0], 3, "r"))})
		x.conflict(remint.Batch{Guard: r[:1]})
		x.conflict(remint.Batch{Put: puts(0, r[1])})
		x.ok(remint.Batch{Guard: r[1:], Put: puts(2, change(r[0], 3, "r"))})
		x.ok(remint.Batch{Delete: r[1:]})
		x.reopen()
		x.conflict(remint.Batch{Delete: r[1:]})
	}},
	{"touches are there after opening again", func(x *durable) {
		r := plain(1, 3)
		x.put(r...)
		x.ok(remint.Batch{Touch: swept(r[:2])})
		x.reopen()
		x.compare()
		x.ok(remint.Batch{Guard: r, Put: puts(1, change(r[0], 2, "q")), Delete: r[1:2]})
	}},
	{"a cursor goes on after opening again", func(x *durable) {
		x.history()
		for n := range 3 {
			x.reopen()
			x.compareCursors()
			x.ok(remint.Batch{Log: events(plain(200+10*n, 205+10*n)...)})
			x.compareCursors()
		}
	}},
	{"a log that was trimmed to nothing goes on after opening again", func(x *durable) {
		x.history()
		for n := range 3 {
			x.ok(remint.Batch{Trim: x.drain("")})
			x.reopen()
			x.compareCursors()
			x.ok(remint.Batch{Log: events(plain(200+10*n, 205+10*n)...)})
			x.compareCursors()
		}
	}},
	{"what was acknowledged is there after a kill, and nothing by halves", func(x *durable) {
		x.close()
		x.limit = 1000 // there is much to read
		acknowledged := make([]uint64, victimWriters)
		for range killRounds {
			x.killAfter(1+rand.IntN(100), acknowledged)
			x.s = x.open(x.dir)
			x.m = newModel()
			for n, revision := range acknowledged {
				acknowledged[n] = x.survived(n, revision)
			}
			x.compare()
			for n := range acknowledged { // and it works as before
				x.ok(remint.Batch{Guard: x.m.list("o", id(2*n)), Put: puts(0, plain(100+n, 100+n)...)})
				x.ok(remint.Batch{Delete: plain(100+n, 100+n)})
			}
			x.reopen()
			x.compare()
			x.close()
		}
		x.s = x.open(x.dir)
	}},
}
