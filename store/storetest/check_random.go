package storetest

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// seedVariable repeats the random operations of a failure.
const seedVariable = "REMINT_STORETEST_SEED"

var randomChecks = []check{
	{"random operations do what the model does", func(x *suite) {
		seed := rand.Uint64()
		if s := os.Getenv(seedVariable); s != "" {
			var err error
			if seed, err = strconv.ParseUint(s, 10, 64); err != nil {
				x.fatalf("%s: %v", seedVariable, err)
			}
		}
		steps := 150
		if testing.Short() {
			steps = 40
		}
		g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), m: x.m, revised: map[remint.ID]uint64{}}
		for step := range steps {
			x.where = fmt.Sprintf("%s=%d, step %d: ", seedVariable, seed, step)
			x.limit = 1 + g.IntN(9)
			b := g.batch()
			x.commit(b, x.m.commit(b))
			x.compare()
			x.events(g.cursor(), x.limit)
		}
		x.compareCursors()
	}},
}

// A generator makes batches, of which most do not conflict.
type generator struct {
	*rand.Rand
	m       *model
	revised map[remint.ID]uint64 // the highest revision in a batch, so that no event comes twice
}

func (g *generator) batch() (b remint.Batch) {
	for _, n := range g.Perm(24)[:g.IntN(6)] {
		id := id(n)
		stored := g.m.records[id]
		revision := g.m.revision(id)
		if g.IntN(24) == 0 {
			revision = uint64(g.IntN(4)) // wrong, most likely
		}
		g.revised[id] = max(g.revised[id], revision) + 1
		next := g.record(n, g.revised[id])
		switch kind := g.IntN(10); {
		case stored == nil && kind < 3 && g.IntN(3) == 0:
			b.Touch = append(b.Touch, g.record(n, max(revision, 1)))
		case stored == nil || kind < 5:
			b.Put = append(b.Put, remint.Put{Record: next, Replaces: revision})
			b.Log = append(b.Log, event(next))
		case kind < 7 && revision > 0:
			b.Delete = append(b.Delete, g.record(n, revision))
			b.Log = append(b.Log, event(next))
		case kind < 9:
			b.Touch = append(b.Touch, g.record(n, max(revision, 1)))
		case revision > 0:
			b.Guard = append(b.Guard, g.record(n, revision))
		}
		if stored != nil && g.IntN(6) == 0 {
			b.Guard = append(b.Guard, stored)
		}
	}
	if g.IntN(12) == 0 {
		b.Trim = g.cursor()
	}
	return b
}

// record returns record n. Its owner and parent are always the same.
func (g *generator) record(n int, revision uint64) *remint.Record {
	f := fields{ID: id(n), Revision: revision, Owner: []string{"", "o", "oo", "p"}[n%4]}
	if n%3 != 0 {
		f.Parent = id(n % 5)
	}
	if g.IntN(4) != 0 {
		f.SweepAt = noon.Add(time.Duration(g.IntN(20)-10) * time.Microsecond)
	}
	f.Payload = fmt.Sprint(g.Uint32())
	return record(f)
}

// cursor returns one that the store gave.
func (g *generator) cursor() remint.Cursor {
	if len(g.m.cursors) == 0 {
		return ""
	}
	return g.m.cursors[g.IntN(len(g.m.cursors))]
}
