package storetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/internal/recordtest"
)

// A suite is a store under test and the model of what must be in it.
type suite struct {
	testing.TB
	s     remint.Store
	m     *model
	limit int    // of the pages by which compare reads
	where string // what to say before each failure
}

func newSuite(tb testing.TB, s remint.Store) *suite {
	return &suite{TB: tb, s: s, m: newModel(), limit: 3}
}

// do runs a check. What every check ends with is that the whole store is as the
// model has it.
func (x *suite) do(c check) {
	c.run(x)
	x.compare()
}

func (x *suite) fatalf(format string, args ...any) {
	x.Helper()
	x.Fatalf("%s%s", x.where, fmt.Sprintf(format, args...))
}

// ok commits b, which must succeed.
func (x *suite) ok(b remint.Batch) {
	x.Helper()
	x.expect(b, nil)
}

// conflict commits b, which must fail with ErrConflict, and compares.
func (x *suite) conflict(b remint.Batch) {
	x.Helper()
	x.expect(b, remint.ErrConflict)
	x.compare()
}

func (x *suite) expect(b remint.Batch, want error) {
	x.Helper()
	if got := x.m.commit(b); got != want {
		panic(fmt.Sprintf("storetest: model of %s gives %v, want %v", describe(b), got, want))
	}
	x.commit(b, want)
}

// commit commits b to the store only.
func (x *suite) commit(b remint.Batch, want error) {
	x.Helper()
	if err := x.s.Commit(x.Context(), b); !errors.Is(err, want) {
		x.fatalf("Commit(%s) = %v, want %v", describe(b), err, want)
	}
}

// put commits new records.
func (x *suite) put(records ...*remint.Record) {
	x.Helper()
	x.ok(remint.Batch{Put: puts(0, records...)})
}

// compare compares the whole store with the model.
func (x *suite) compare() {
	x.Helper()
	x.compareLoad()
	x.compareScan()
	x.compareLists()
	x.compareDue()
	x.compareEvents()
}

func (x *suite) compareLoad() {
	x.Helper()
	for id := range x.m.ever {
		x.load(id)
	}
}

// load loads the record of id, which must be the model's.
func (x *suite) load(id remint.ID) {
	x.Helper()
	got, err := x.s.Load(x.Context(), id)
	want := x.m.records[id]
	switch {
	case want == nil && !errors.Is(err, remint.ErrNotFound):
		x.fatalf("Load(%v) = %v, %v, want ErrNotFound", id, got, err)
	case want != nil && err != nil:
		x.fatalf("Load(%v): %v, want %v", id, err, want)
	case want != nil && !equal(got, want):
		x.fatalf("Load(%v) = %s, want %s", id, show(got), show(want))
	}
}

func (x *suite) compareScan() {
	x.Helper()
	x.walk("Scan", x.m.scan(), x.scan)
}

func (x *suite) compareLists() {
	x.Helper()
	for key := range x.m.keys {
		x.walk(fmt.Sprintf("List(%.20q, %v)", key.owner, key.parent), x.m.list(key.owner, key.parent), x.list(key.owner, key.parent))
	}
}

func (x *suite) compareDue() {
	x.Helper()
	for _, before := range append(x.m.sweepTimes(), time.Time{}, end) {
		x.due(before, math.MaxInt)
		x.due(before, x.limit)
	}
}

// due gets the first records that are due before a time, which must be the model's.
func (x *suite) due(before time.Time, limit int) {
	x.Helper()
	got, err := x.s.Due(x.Context(), before, limit)
	if err != nil {
		x.fatalf("Due(%v, %d): %v", before, limit, err)
	}
	x.same(fmt.Sprintf("Due(%v, %d)", before, limit), got, first(x.m.due(before), limit))
}

// A pager gets a page of records after an ID.
type pager func(after remint.ID, limit int) ([]*remint.Record, error)

func (x *suite) scan(after remint.ID, limit int) ([]*remint.Record, error) {
	return x.s.Scan(x.Context(), after, limit)
}

func (x *suite) list(owner string, parent remint.ID) pager {
	return func(after remint.ID, limit int) ([]*remint.Record, error) {
		return x.s.List(x.Context(), owner, parent, after, limit)
	}
}

// walk reads all pages, which must hold the wanted records. The one after the last
// must be empty.
func (x *suite) walk(what string, want []*remint.Record, next pager) {
	x.Helper()
	var after remint.ID
	for {
		got, err := next(after, x.limit)
		if err != nil {
			x.fatalf("%s after %v, limit %d: %v", what, after, x.limit, err)
		}
		x.same(fmt.Sprintf("%s after %q, limit %d", what, after, x.limit), got, first(want, x.limit))
		if len(got) == 0 {
			return
		}
		want = want[len(got):]
		after = got[len(got)-1].ID()
	}
}

func (x *suite) same(what string, got, want []*remint.Record) {
	x.Helper()
	if !slices.EqualFunc(got, want, equal) {
		x.fatalf("%s = %s\nwant %s", what, show(got...), show(want...))
	}
}

// equal compares all that a store must keep of a record.
func equal(a, b *remint.Record) bool {
	return a == b || a != nil && b != nil && string(encode(a)) == string(encode(b))
}

func encode(r *remint.Record) []byte {
	b, err := r.AppendBinary(nil)
	if err != nil {
		panic(err) // it is always nil
	}
	return b
}

// show describes records for a failure message.
func show(records ...*remint.Record) string {
	var b strings.Builder
	for i, r := range records {
		switch {
		case i == 20:
			fmt.Fprintf(&b, " and %d more", len(records)-i)
			return b.String()
		case r == nil:
			b.WriteString(" nil")
		default:
			fmt.Fprintf(&b, " %v(%.20q, parent %q, sweep %v, %d bytes)", r, r.Owner(), r.Parent(), r.SweepAt(), len(encode(r)))
		}
	}
	return "[" + strings.TrimPrefix(b.String(), " ") + "]"
}

// describe describes a batch for a failure message.
func describe(b remint.Batch) string {
	var parts []string
	add := func(n int, format string, args ...any) {
		if n != 0 {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(len(b.Guard), "guard %.8v", b.Guard)
	for _, p := range first(b.Put, 8) {
		add(1, "put %v for revision %d", p.Record, p.Replaces)
	}
	add(len(b.Put)/9, "%d puts in all", len(b.Put))
	add(len(b.Delete), "delete %v", first(b.Delete, 8))
	add(len(b.Touch), "touch %v", first(b.Touch, 8))
	add(len(b.Log), "log %d events", len(b.Log))
	add(len(b.Trim), "trim %q", b.Trim)
	return "{" + strings.Join(parts, "; ") + "}"
}

func first[T any](s []T, n int) []T { return s[:max(0, min(n, len(s)))] }

// The records and events of the checks.

type fields = recordtest.Fields

func record(f fields) *remint.Record {
	f.Revision = max(f.Revision, 1)
	return recordtest.New(f).(*remint.Record)
}

// change returns r with another revision and payload.
func change(r *remint.Record, revision uint64, payload string) *remint.Record {
	return resweep(r, revision, payload, r.SweepAt())
}

// resweep returns r with another revision, payload and SweepAt.
func resweep(r *remint.Record, revision uint64, payload string, at time.Time) *remint.Record {
	return record(fields{ID: r.ID(), Revision: revision, Owner: r.Owner(), Parent: r.Parent(), SweepAt: at, Payload: payload})
}

// id returns the n-th of the IDs of the checks.
func id(n int) (id remint.ID) {
	id[0], id[5] = 1, 0x9c // as a ULID: a time in its first six bytes
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

// plain returns parentless records of revision 1 with the IDs from..to.
func plain(from, to int) (records []*remint.Record) {
	for n := from; n <= to; n++ {
		records = append(records, record(fields{ID: id(n), Owner: "o", Payload: "p"}))
	}
	return records
}

func puts(replaces uint64, records ...*remint.Record) (puts []remint.Put) {
	for _, r := range records {
		puts = append(puts, remint.Put{Record: r, Replaces: replaces})
	}
	return puts
}

// event returns the event of a record's present revision.
func event(r *remint.Record) remint.Event {
	return remint.Event{Kind: remint.EventUpdate, Token: r.ID(), Revision: r.Revision(), Owner: r.Owner(), At: noon, Actor: "storetest"}
}

func events(records ...*remint.Record) (events []remint.Event) {
	for _, r := range records {
		events = append(events, event(r))
	}
	return events
}

var (
	noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	end  = time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC) // nothing is later
)
