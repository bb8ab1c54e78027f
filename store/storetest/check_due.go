package storetest

import (
	"time"

	"github.com/remint-go/remint"
)

var dueChecks = []check{
	{"a record without a time to sweep is never due", func(x *suite) {
		x.put(record(fields{ID: id(1), Owner: "o"}), record(fields{ID: id(2), Owner: "o", SweepAt: noon}))
		x.due(end, 10)
		x.due(end.AddDate(1, 0, 0), 10)
	}},
	{"a record is due after its time and not at it", func(x *suite) {
		x.put(record(fields{ID: id(1), Owner: "o", SweepAt: noon}))
		for _, d := range []time.Duration{-time.Hour, -time.Microsecond, 0, time.Microsecond, time.Hour} {
			x.due(noon.Add(d), 10)
		}
	}},
	{"microseconds count", func(x *suite) {
		for n := range 6 {
			x.put(record(fields{ID: id(6 - n), Owner: "o", SweepAt: noon.Add(time.Duration(n) * time.Microsecond)}))
		}
	}},
	{"records that are due at one time come in the order of their IDs", func(x *suite) {
		for n := range 20 {
			n = n * 7 % 20
			x.put(record(fields{ID: id(n), Owner: "o", SweepAt: noon.Add(time.Duration(n%3) * time.Hour)}))
		}
		for _, x.limit = range limits {
			x.compareDue()
		}
	}},
	{"the edges of time are times", func(x *suite) {
		for n, at := range []time.Time{
			end,
			time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC), // nothing but the zero time is earlier
			time.Date(1, 1, 2, 0, 0, 0, 0, time.UTC),
			time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC),
			time.Date(1970, 1, 1, 0, 0, 0, 1000, time.UTC),
			time.Date(1677, 9, 21, 0, 12, 43, 0, time.UTC), // where nanoseconds since 1970 end
			time.Date(1677, 9, 21, 0, 12, 44, 0, time.UTC),
			time.Date(2262, 4, 11, 23, 47, 16, 0, time.UTC),
			time.Date(2262, 4, 11, 23, 47, 17, 0, time.UTC),
			time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC),
			end.Add(-time.Microsecond),
			noon,
		} {
			x.put(record(fields{ID: id(n), Owner: "o", SweepAt: at}))
		}
		x.compareDue()
		x.due(time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC), 100)
		x.due(end.Add(time.Microsecond), 100)
	}},
	{"a time is the same in any zone", func(x *suite) {
		x.put(record(fields{ID: id(1), Owner: "o", SweepAt: noon}))
		for _, hours := range []int{-12, 14} {
			zone := time.FixedZone("", hours*3600)
			x.due(noon.In(zone), 10)
			x.due(noon.Add(time.Microsecond).In(zone), 10)
		}
	}},
	{"what was due and is deleted makes room", func(x *suite) {
		var all []*remint.Record
		for n := range 7 {
			all = append(all, record(fields{ID: id(n), Owner: "o", SweepAt: noon.Add(time.Duration(-n) * time.Second)}))
		}
		x.put(all...)
		for {
			page, err := x.s.Due(x.Context(), noon.Add(1), 2)
			if err != nil {
				x.fatalf("Due: %v", err)
			}
			x.same("Due", page, first(x.m.due(noon.Add(1)), 2))
			if len(page) == 0 {
				return
			}
			x.ok(remint.Batch{Delete: page})
		}
	}},
}
