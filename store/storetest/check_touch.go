package storetest

import (
	"time"

	"github.com/remint-go/remint"
)

var touchChecks = []check{
	{"a touch replaces a record of its revision", func(x *suite) {
		r := plain(1, 2)
		x.put(r...)
		x.ok(remint.Batch{Touch: []*remint.Record{change(r[0], 1, "touched")}})
		x.compare()
		x.ok(remint.Batch{Touch: []*remint.Record{change(r[0], 1, ""), change(r[1], 1, "touched")}})
	}},
	{"a touch is no change of revision", func(x *suite) {
		r := plain(1, 1)
		x.put(r...)
		x.ok(remint.Batch{Touch: []*remint.Record{change(r[0], 1, "touched")}})
		x.ok(remint.Batch{Guard: r})
		x.ok(remint.Batch{Put: puts(1, change(r[0], 2, "q"))})
		x.compare()
		x.conflict(remint.Batch{Guard: r})
	}},
	{"a touch of another revision is skipped", func(x *suite) {
		r := plain(1, 2)
		x.put(r...)
		x.ok(remint.Batch{Put: puts(1, change(r[0], 2, "q"))})
		x.ok(remint.Batch{Touch: []*remint.Record{change(r[0], 1, "late"), change(r[1], 1, "touched")}})
		x.compare()
		x.ok(remint.Batch{Touch: []*remint.Record{change(r[0], 3, "early")}})
	}},
	{"a touch of a missing record is skipped", func(x *suite) {
		r := plain(1, 2)
		x.put(r[0])
		x.ok(remint.Batch{Touch: []*remint.Record{r[1]}})
		x.compare()
		x.ok(remint.Batch{Delete: r[:1]})
		x.ok(remint.Batch{Touch: swept(r[:1])})
	}},
	{"a touch that is skipped does not stop its batch", func(x *suite) {
		r := plain(1, 4)
		x.put(r[0], r[3])
		x.ok(remint.Batch{
			Touch: []*remint.Record{change(r[0], 5, "early"), r[1], resweep(r[3], 1, "touched", noon)},
			Put:   puts(0, r[2]), Log: events(r[2]),
		})
	}},
	{"a touch may change the time to sweep", func(x *suite) {
		x.resweep(func(r *remint.Record) { x.ok(remint.Batch{Touch: []*remint.Record{r}}) }, false)
	}},
	{"a put may change the time to sweep", func(x *suite) {
		x.resweep(func(r *remint.Record) { x.ok(remint.Batch{Put: puts(r.Revision()-1, r)}) }, true)
	}},
	{"a touched record is deleted from everywhere", func(x *suite) {
		// The delete names the record as it was before the touch: same revision, other times.
		r := record(fields{ID: id(1), Owner: "o", SweepAt: noon})
		x.put(r)
		x.ok(remint.Batch{Touch: []*remint.Record{resweep(r, 1, "", noon.Add(time.Hour))}})
		x.ok(remint.Batch{Delete: []*remint.Record{r}})
		x.compare()
		x.put(resweep(r, 1, "again", time.Time{}))
	}},
	{"a touched record is replaced everywhere", func(x *suite) {
		r := record(fields{ID: id(1), Owner: "o"})
		x.put(r)
		x.ok(remint.Batch{Touch: []*remint.Record{resweep(r, 1, "", noon.Add(time.Hour))}})
		x.ok(remint.Batch{Put: puts(1, resweep(r, 2, "", noon))})
	}},
}

// resweep moves a record about in the order of Due among others.
func (x *suite) resweep(write func(*remint.Record), revise bool) {
	x.Helper()
	for n := range 4 {
		x.put(record(fields{ID: id(10 * n), Owner: "o", SweepAt: noon.Add(time.Duration(n) * time.Hour)}))
	}
	x.put(record(fields{ID: id(15), Owner: "o"}))
	revision := uint64(1)
	for _, at := range []time.Time{
		noon.Add(90 * time.Minute), noon.Add(-time.Hour), {}, noon, noon.Add(time.Microsecond), noon,
		noon.Add(99 * time.Hour), noon.Add(3 * time.Hour), {}, {}, end,
	} {
		if revise {
			revision++
		}
		write(record(fields{ID: id(15), Revision: revision, Owner: "o", SweepAt: at}))
		x.compare()
	}
}
