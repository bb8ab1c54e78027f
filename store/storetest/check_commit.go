package storetest

import (
	"errors"
	"math"

	"github.com/remint-go/remint"
)

var commitChecks = []check{
	{"an empty store is empty", func(x *suite) {
		x.m.ever[id(1)] = true
		x.m.keys[listKey{owner: "o"}] = true
		x.m.keys[listKey{owner: "o", parent: id(1)}] = true
	}},
	{"a missing record is not found", func(x *suite) {
		x.put(plain(2, 2)...)
		for _, missing := range []remint.ID{id(1), id(3), {}} {
			r, err := x.s.Load(x.Context(), missing)
			if !errors.Is(err, remint.ErrNotFound) {
				x.fatalf("Load(%q) = %v, %v, want ErrNotFound", missing, r, err)
			}
		}
	}},
	{"a record that was put is found", func(x *suite) {
		x.put(plain(1, 3)...)
	}},
	{"a put replaces a record", func(x *suite) {
		r := plain(1, 1)[0]
		x.put(r)
		x.ok(remint.Batch{Put: puts(1, change(r, 2, "q"))})
		x.load(r.ID())
		x.ok(remint.Batch{Put: puts(2, change(r, 3, ""))})
	}},
	{"a put of a new record conflicts with one that is there", func(x *suite) {
		r := plain(1, 1)[0]
		x.put(r)
		x.conflict(remint.Batch{Put: puts(0, change(r, 1, "other"))})
		x.conflict(remint.Batch{Put: puts(0, change(r, 2, "other"))})
		x.conflict(remint.Batch{Put: puts(0, r)})
	}},
	{"a put conflicts with another revision", func(x *suite) {
		r := plain(1, 1)[0]
		x.put(r)
		x.ok(remint.Batch{Put: puts(1, change(r, 2, "q"))})
		x.ok(remint.Batch{Put: puts(2, change(r, 3, "r"))})
		for _, replaces := range []uint64{1, 2, 4, math.MaxInt64} {
			x.conflict(remint.Batch{Put: puts(replaces, change(r, replaces+1, "s"))})
		}
	}},
	{"a put of a missing record conflicts unless it is new", func(x *suite) {
		r := plain(1, 1)[0]
		x.conflict(remint.Batch{Put: puts(1, change(r, 2, "q"))})
		x.put(r)
		x.ok(remint.Batch{Delete: []*remint.Record{r}})
		x.conflict(remint.Batch{Put: puts(1, change(r, 2, "q"))})
	}},
	{"a copied record keeps its revision", func(x *suite) {
		r := change(plain(1, 1)[0], 7, "copied")
		x.put(r)
		x.conflict(remint.Batch{Put: puts(1, change(r, 2, "q"))})
		x.ok(remint.Batch{Put: puts(7, change(r, 8, "q"))})
		x.ok(remint.Batch{Put: puts(8, change(r, math.MaxInt64, "far"))})
		x.ok(remint.Batch{Put: puts(math.MaxInt64, change(r, 3, "restored"))})
	}},
	{"a guard that is missing conflicts", func(x *suite) {
		r := plain(1, 2)
		x.conflict(remint.Batch{Guard: r[:1], Put: puts(0, r[1])})
		x.conflict(remint.Batch{Guard: r[:1]})
	}},
	{"a guard of another revision conflicts", func(x *suite) {
		r := plain(1, 2)
		x.put(r[0])
		x.ok(remint.Batch{Put: puts(1, change(r[0], 2, "q"))})
		x.conflict(remint.Batch{Guard: r[:1], Put: puts(0, r[1])})
		x.conflict(remint.Batch{Guard: []*remint.Record{change(r[0], 3, "q")}, Put: puts(0, r[1])})
		x.conflict(remint.Batch{Guard: r[:1]})
		x.conflict(remint.Batch{Guard: r[:1], Log: events(r[1])})
	}},
	{"a guard of a deleted record conflicts", func(x *suite) {
		r := plain(1, 2)
		x.put(r[0])
		x.ok(remint.Batch{Delete: r[:1]})
		x.conflict(remint.Batch{Guard: r[:1], Put: puts(0, r[1])})
	}},
	{"a guard of the stored revision lets a batch pass", func(x *suite) {
		r := plain(1, 3)
		x.put(r[0], r[1])
		x.ok(remint.Batch{Guard: r[:1], Put: puts(0, r[2])})
		x.ok(remint.Batch{Guard: r[:2], Put: puts(1, change(r[2], 2, "q"))})
		x.ok(remint.Batch{Guard: []*remint.Record{r[0], r[0]}, Log: events(r[0])})
		x.ok(remint.Batch{Guard: r[:2]})
	}},
	{"a guard changes nothing", func(x *suite) {
		r := plain(1, 2)
		x.put(r[0])
		x.ok(remint.Batch{Guard: []*remint.Record{resweep(r[0], 1, "not stored", noon)}, Put: puts(0, r[1])})
	}},
	{"a guard is judged before the batch's own changes", func(x *suite) {
		r := plain(1, 3)
		x.put(r...)
		x.ok(remint.Batch{Guard: r, Put: puts(1, change(r[0], 2, "q")), Delete: r[1:2], Touch: []*remint.Record{change(r[2], 1, "t")}})
		// And a guard of what the batch is about to write is stale.
		x.conflict(remint.Batch{Guard: []*remint.Record{change(r[0], 3, "r")}, Put: puts(2, change(r[0], 3, "r"))})
		x.conflict(remint.Batch{Guard: r[1:2], Put: puts(0, r[1])})
	}},
	{"a delete removes a record from everywhere", func(x *suite) {
		parent := id(90)
		r := []*remint.Record{
			record(fields{ID: id(1), Owner: "o", SweepAt: noon}),
			record(fields{ID: id(2), Owner: "o", SweepAt: noon}),
			record(fields{ID: id(3), Owner: "o", Parent: parent, SweepAt: noon}),
			record(fields{ID: id(4), Owner: "o", Parent: parent, SweepAt: noon}),
		}
		x.put(r...)
		x.ok(remint.Batch{Delete: r[:1]})
		x.compare()
		x.ok(remint.Batch{Delete: r[2:3]})
		x.compare()
		x.ok(remint.Batch{Delete: []*remint.Record{r[1], r[3]}})
	}},
	{"a delete of another revision conflicts", func(x *suite) {
		r := plain(1, 1)
		x.put(r...)
		x.ok(remint.Batch{Put: puts(1, change(r[0], 2, "q"))})
		x.conflict(remint.Batch{Delete: r})
		x.conflict(remint.Batch{Delete: []*remint.Record{change(r[0], 3, "r")}})
	}},
	{"a delete of a missing record conflicts", func(x *suite) {
		r := plain(1, 1)
		x.conflict(remint.Batch{Delete: r})
		x.put(r...)
		x.ok(remint.Batch{Delete: r})
		x.conflict(remint.Batch{Delete: r})
	}},
	{"a deleted record can be put again", func(x *suite) {
		r := record(fields{ID: id(1), Owner: "o", SweepAt: noon})
		for range 3 {
			x.put(r)
			x.ok(remint.Batch{Delete: []*remint.Record{r}})
		}
		x.put(r)
	}},
	{"an empty batch does nothing", func(x *suite) {
		x.put(plain(1, 2)...)
		x.ok(remint.Batch{})
		x.ok(remint.Batch{Guard: []*remint.Record{}, Put: []remint.Put{}, Delete: []*remint.Record{}, Log: []remint.Event{}})
	}},
	{"a batch may hold 64 records", func(x *suite) {
		r := plain(1, 64)
		x.put(r...)
		x.compare()
		x.ok(remint.Batch{Guard: r})
		x.ok(remint.Batch{Touch: swept(r[:32]), Delete: r[32:]})
		x.compare()
		x.ok(remint.Batch{Put: puts(0, r[32:]...), Log: events(r[:32]...)})
		x.compare()
		x.ok(remint.Batch{Log: events(plain(101, 164)...)})
		x.ok(remint.Batch{Delete: r})
	}},
}

// swept returns r with the same revisions and with SweepAts.
func swept(r []*remint.Record) (swept []*remint.Record) {
	for _, r := range r {
		swept = append(swept, resweep(r, r.Revision(), "swept", noon))
	}
	return swept
}
