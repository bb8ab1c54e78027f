package storetest

import (
	"slices"
	"strings"
	"time"

	"github.com/remint-go/remint"
)

var aliasChecks = []check{
	{"a store does not change the slices of a batch", func(x *suite) {
		r := plain(1, 12)
		x.put(r[:8]...)
		for _, want := range []error{remint.ErrConflict, nil} {
			// In descending order and with room at the end: a store that sorts or
			// appends in place shows.
			b := remint.Batch{
				Guard:  roomy(r[7], r[0]),
				Put:    roomy(remint.Put{Record: r[9]}, remint.Put{Record: r[8]}),
				Delete: roomy(r[6], r[5]),
				Touch:  roomy(change(r[4], 1, "t"), change(r[3], 1, "t")),
				Log:    roomy(event(r[11]), event(r[10])),
			}
			if want != nil {
				b.Guard[1] = r[11]
			}
			was := cloneBatch(b)
			x.expect(b, want)
			if !sameRoom(b.Guard, was.Guard) || !sameRoom(b.Put, was.Put) || !sameRoom(b.Delete, was.Delete) ||
				!sameRoom(b.Touch, was.Touch) || !sameRoom(b.Log, was.Log) {
				x.fatalf("Commit changed a slice of its batch")
			}
		}
	}},
	{"a store does not change a page that it returned", func(x *suite) {
		x.family()
		x.longHistory()
		var pages, wasPages [][]*remint.Record
		for _, get := range x.getters() {
			page, err := get()
			if err != nil {
				x.fatalf("reading a page: %v", err)
			}
			pages, wasPages = append(pages, page), append(wasPages, slices.Clone(page))
		}
		log, next, err := x.s.Events(x.Context(), "", 100)
		if err != nil {
			x.fatalf("Events: %v", err)
		}
		wasLog, wasNext := slices.Clone(log), strings.Clone(string(next))
		x.churn()
		x.compare()
		for i, page := range pages {
			x.same("a page after later calls", page, wasPages[i])
		}
		if !slices.Equal(log, wasLog) {
			x.fatalf("a page of events changed after later calls")
		}
		if string(next) != wasNext {
			x.fatalf("a cursor changed after later calls")
		}
	}},
	{"the slices of a batch are the caller's again after it", func(x *suite) {
		r := plain(1, 6)
		x.put(r[:3]...)
		other := record(fields{ID: id(99), Owner: "other", SweepAt: noon})
		for _, want := range []error{nil, remint.ErrConflict} {
			b := remint.Batch{
				Guard: r[:1:1], Put: puts(0, r[3], r[4]), Delete: slices.Clone(r[1:2]),
				Touch: swept(r[2:3]), Log: events(r[3], r[4]),
			}
			b.Guard = slices.Clone(b.Guard)
			x.expect(b, want)
			b.Guard[0], b.Delete[0], b.Touch[0] = other, other, other
			b.Put[0], b.Put[1] = remint.Put{Record: other, Replaces: 7}, remint.Put{}
			b.Log[0], b.Log[1] = event(other), remint.Event{}
			x.compare()
			clear(b.Guard)
			clear(b.Put)
			clear(b.Delete)
			clear(b.Touch)
			x.compare()
		}
		x.churn()
	}},
	{"a page is the caller's", func(x *suite) {
		x.family()
		x.longHistory()
		for _, get := range x.getters() {
			page, err := get()
			if err != nil {
				x.fatalf("reading a page: %v", err)
			}
			_ = append(page, record(fields{ID: id(99), Owner: "other"}))
			clear(page[:cap(page)])
			x.compare()
		}
		for _, limit := range []int{2, 100} {
			log, _, err := x.s.Events(x.Context(), "", limit)
			if err != nil {
				x.fatalf("Events: %v", err)
			}
			_ = append(log, remint.Event{Actor: "written by the caller"})
			clear(log[:cap(log)])
			x.compare()
		}
	}},
}

// roomy returns a slice with room at its end.
func roomy[T any](elems ...T) []T {
	return append(make([]T, 0, len(elems)+4), elems...)
}

func cloneBatch(b remint.Batch) remint.Batch {
	return remint.Batch{
		Guard: cloneRoom(b.Guard), Put: cloneRoom(b.Put), Delete: cloneRoom(b.Delete),
		Touch: cloneRoom(b.Touch), Log: cloneRoom(b.Log),
	}
}

func cloneRoom[T any](s []T) []T { return slices.Clone(s[:cap(s)]) }

func sameRoom[T comparable](s, was []T) bool {
	return slices.Equal(s[:cap(s)], was[:min(cap(s), len(was))])
}

// getters returns all that read a page of records.
func (x *suite) getters() []func() ([]*remint.Record, error) {
	return []func() ([]*remint.Record, error){
		func() ([]*remint.Record, error) { return x.s.Scan(x.Context(), remint.ID{}, 20) },
		func() ([]*remint.Record, error) { return x.s.Scan(x.Context(), remint.ID{}, 1000) },
		func() ([]*remint.Record, error) {
			return x.s.List(x.Context(), "a", remint.ID{}, remint.ID{}, 5)
		},
		func() ([]*remint.Record, error) { return x.s.Due(x.Context(), end, 20) },
		func() ([]*remint.Record, error) { return x.s.Due(x.Context(), end, 1000) },
	}
}

// longHistory logs twenty events.
func (x *suite) longHistory() {
	x.Helper()
	for n := range 5 {
		x.ok(remint.Batch{Log: events(plain(100+4*n, 103+4*n)...)})
	}
}

// churn changes, touches, deletes and adds records, and trims and extends the log.
func (x *suite) churn() {
	x.Helper()
	for n, r := range x.m.scan() {
		switch n % 4 {
		case 0:
			x.ok(remint.Batch{Delete: []*remint.Record{r}})
		case 1:
			x.ok(remint.Batch{Put: puts(r.Revision(), resweep(r, r.Revision()+1, "churned", noon.Add(-time.Hour)))})
		case 2:
			x.ok(remint.Batch{Touch: []*remint.Record{resweep(r, r.Revision(), "touched", end)}})
		}
	}
	half, _ := x.events("", 7)
	x.ok(remint.Batch{Trim: half, Log: events(plain(700, 710)...)})
	x.ok(remint.Batch{Put: puts(0, plain(700, 720)...)})
	x.ok(remint.Batch{Trim: x.drain(half)})
	x.ok(remint.Batch{Log: events(plain(720, 740)...)})
}
