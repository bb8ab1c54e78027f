package storetest

import (
	"math"
	"slices"

	"github.com/remint-go/remint"
)

var pageChecks = []check{
	{"records come in the order of their IDs", func(x *suite) {
		// Put in another order, and with IDs whose order is not that of signed numbers.
		var r []*remint.Record
		for _, b := range []byte{0x80, 0x01, 0xff, 0x7f, 0x00, 0x81} {
			for _, at := range []int{0, 1, 7, 8, 15} {
				id := remint.ID{3: 1}
				id[at] = b
				if slices.ContainsFunc(r, func(r *remint.Record) bool { return r.ID() == id }) {
					continue
				}
				r = append(r, record(fields{ID: id, Owner: "o", SweepAt: noon}))
			}
		}
		for _, r := range r {
			x.put(r)
		}
		for _, x.limit = range limits {
			x.compare()
		}
	}},
	{"pages follow one another", func(x *suite) {
		x.family()
		for _, x.limit = range limits {
			x.compare()
		}
	}},
	{"a page begins after an ID that need not be there", func(x *suite) {
		x.family()
		x.ok(remint.Batch{Delete: []*remint.Record{x.m.records[id(12)], x.m.records[id(50)]}})
		from := func(all []*remint.Record, after remint.ID) []*remint.Record {
			return slices.DeleteFunc(slices.Clone(all), func(r *remint.Record) bool { return r.ID().Compare(after) <= 0 })
		}
		afters := []remint.ID{{}, {15: 1}, id(0), id(12), id(50), id(1000), {0: 0xff, 15: 0xff}}
		for n := range 60 {
			afters = append(afters, id(n))
		}
		for _, after := range afters {
			got, err := x.s.Scan(x.Context(), after, 4)
			if err != nil {
				x.fatalf("Scan(%q): %v", after, err)
			}
			x.same("Scan after "+after.String(), got, first(from(x.m.scan(), after), 4))
			for key := range x.m.keys {
				got, err := x.s.List(x.Context(), key.owner, key.parent, after, 4)
				if err != nil {
					x.fatalf("List(%q, %q, %q): %v", key.owner, key.parent, after, err)
				}
				x.same("List after "+after.String(), got, first(from(x.m.list(key.owner, key.parent), after), 4))
			}
		}
	}},
	{"a limit that is not positive selects nothing", func(x *suite) {
		r := record(fields{ID: id(1), Owner: "o", SweepAt: noon})
		x.ok(remint.Batch{Put: puts(0, r), Log: events(r)})
		for _, limit := range []int{0, -1, math.MinInt} {
			for what, get := range map[string]func() ([]*remint.Record, error){
				"Scan": func() ([]*remint.Record, error) { return x.s.Scan(x.Context(), remint.ID{}, limit) },
				"List": func() ([]*remint.Record, error) {
					return x.s.List(x.Context(), "o", remint.ID{}, remint.ID{}, limit)
				},
				"Due": func() ([]*remint.Record, error) { return x.s.Due(x.Context(), end, limit) },
			} {
				if got, err := get(); err != nil || len(got) != 0 {
					x.fatalf("%s with limit %d = %s, %v", what, limit, show(got...), err)
				}
			}
			got, next, err := x.s.Events(x.Context(), "", limit)
			if err != nil || len(got) != 0 || next != "" {
				x.fatalf("Events with limit %d = %v, %q, %v", limit, got, next, err)
			}
		}
	}},
	{"a limit may be far beyond what there is", func(x *suite) {
		x.family()
		x.ok(remint.Batch{Log: events(plain(1, 5)...)})
		x.limit = math.MaxInt
	}},
	{"the parentless records of an owner are listed apart from its children", func(x *suite) {
		for n := range 4 {
			x.put(
				record(fields{ID: id(10 * n), Owner: "o"}),
				record(fields{ID: id(10*n + 1), Owner: "o", Parent: id(90)}),
				record(fields{ID: id(10*n + 2), Owner: "o", Parent: id(91)}),
			)
		}
		// A parent may itself have a parent, and its children are not theirs.
		x.put(record(fields{ID: id(90), Owner: "o", Parent: id(91)}))
	}},
	{"children of one parent are listed by owner", func(x *suite) {
		for n := range 4 {
			x.put(
				record(fields{ID: id(10 * n), Owner: "o", Parent: id(90)}),
				record(fields{ID: id(10*n + 1), Owner: "q", Parent: id(90)}),
				record(fields{ID: id(10*n + 2), Owner: "", Parent: id(90)}),
			)
		}
	}},
	{"a list of nobody's records is empty", func(x *suite) {
		x.family()
		x.m.keys[listKey{owner: "nobody"}] = true
		x.m.keys[listKey{owner: "nobody", parent: id(1)}] = true
		x.m.keys[listKey{owner: "a", parent: id(777)}] = true
	}},
}

var limits = []int{1, 2, 3, 7, 1000}

// family puts records of several owners and parents, in no order.
func (x *suite) family() {
	x.Helper()
	for n := range 60 {
		n = n*37%60 + 1
		f := fields{ID: id(n), Owner: string(rune('a' + n%3))}
		if n%4 == 0 {
			f.Parent = id(1 + n%8)
		}
		if n%5 != 0 {
			f.SweepAt = noon.AddDate(0, 0, n%7)
		}
		x.put(record(f))
	}
}
