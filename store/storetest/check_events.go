package storetest

import (
	"errors"
	"net/netip"
	"strings"
	"time"

	"github.com/remint-go/remint"
)

var eventChecks = []check{
	{"an event keeps all its fields", func(x *suite) {
		r := plain(1, 1)[0]
		full := remint.Event{
			Revision: 1 << 62, At: end, Kind: remint.EventReuse, Token: id(1), Other: id(2),
			Owner: strings.Repeat("\xff", 255), Actor: "\x00 of \xff", From: netip.MustParseAddr("fe80::1%eth0"),
			Generation: 1<<64 - 1, Age: 1234567891 * time.Nanosecond, Reason: remint.ReasonRetired,
		}
		bare := remint.Event{Kind: remint.EventIssue, Token: id(3), Revision: 1}
		log := []remint.Event{full, bare}
		for n, from := range []string{"192.0.2.1", "2001:db8::", "::ffff:192.0.2.1", "::", "0.0.0.0", "fe80::1%a/b%c"} {
			e := event(plain(n+10, n+10)[0])
			e.From = netip.MustParseAddr(from)
			log = append(log, e)
		}
		for n, at := range []time.Time{{}, noon.Add(time.Microsecond), time.Date(1969, 12, 31, 23, 59, 59, 999999000, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC)} {
			e := event(plain(n+20, n+20)[0])
			e.At, e.Age = at, -time.Duration(n)
			log = append(log, e)
		}
		x.ok(remint.Batch{Put: puts(0, r), Log: log})
	}},
	{"a batch may hold events only", func(x *suite) {
		x.ok(remint.Batch{Log: events(plain(1, 1)...)})
		x.compare()
		x.ok(remint.Batch{Log: events(plain(2, 9)...)})
	}},
	{"the events of a token come in the order of its revisions", func(x *suite) {
		r := plain(1, 3)
		x.ok(remint.Batch{Put: puts(0, r...), Log: events(r...)})
		for revision := uint64(2); revision < 12; revision++ {
			b := remint.Batch{}
			for _, r := range r {
				next := change(r, revision, "")
				b.Put = append(b.Put, remint.Put{Record: next, Replaces: revision - 1})
				b.Log = append(b.Log, event(next))
			}
			x.ok(b)
		}
		// Several of one batch, as when a log is copied.
		var copied []remint.Event
		for revision := uint64(1); revision < 12; revision++ {
			copied = append(copied, event(change(plain(50, 50)[0], revision, "")))
		}
		x.ok(remint.Batch{Log: copied})
		for _, x.limit = range limits {
			x.compare()
		}
	}},
	{"an empty log gives the beginning", func(x *suite) {
		if next, n := x.events("", 10); n != 0 || next != "" {
			x.fatalf("Events of an empty log gave %d and %q", n, next)
		}
	}},
	{"reading on from any cursor finds what was committed later", func(x *suite) {
		x.history()
		x.compareCursors()
		for n := range 5 {
			x.ok(remint.Batch{Log: events(plain(200+n, 200+n)...)})
			x.compareCursors()
		}
	}},
	{"an empty page gives the cursor that was passed", func(x *suite) {
		x.history()
		tail := x.drain("")
		for range 3 {
			x.drain(tail)
		}
		x.ok(remint.Batch{Log: events(plain(200, 200)...)})
		x.drain(tail)
	}},
	{"a trim removes what is before its cursor", func(x *suite) {
		x.history()
		cursor := remint.Cursor("")
		for {
			next, n := x.events(cursor, 2)
			if n == 0 {
				break
			}
			cursor = next
			x.ok(remint.Batch{Trim: cursor})
			x.compare()
			x.compareCursors()
		}
	}},
	{"a trim by an old cursor brings nothing back", func(x *suite) {
		x.history()
		old, _ := x.events("", 2)
		x.ok(remint.Batch{Trim: x.drain(old)})
		x.compare()
		for range 2 {
			x.ok(remint.Batch{Trim: old, Log: events(plain(200+len(x.m.log), 200+len(x.m.log))...)})
			x.compare()
		}
		x.ok(remint.Batch{Trim: ""})
		x.compareCursors()
	}},
	{"a log that was trimmed to nothing goes on", func(x *suite) {
		x.history()
		for n := range 3 {
			tail := x.drain("")
			x.ok(remint.Batch{Trim: tail})
			x.compare()
			x.ok(remint.Batch{Trim: tail})
			x.compare()
			x.ok(remint.Batch{Log: events(plain(200+10*n, 203+10*n)...)})
			x.compareCursors()
		}
	}},
	{"a batch may trim and log", func(x *suite) {
		x.history()
		x.ok(remint.Batch{Trim: x.drain(""), Log: events(plain(200, 203)...)})
		x.compareCursors()
	}},
	{"a cursor into what was trimmed goes on with what is left", func(x *suite) {
		x.history()
		old, _ := x.events("", 2)
		middle, _ := x.events(old, 4)
		x.ok(remint.Batch{Trim: middle})
		x.drain(old)
		x.drain("")
		x.ok(remint.Batch{Trim: x.drain(middle)})
		x.drain(old)
		x.ok(remint.Batch{Log: events(plain(200, 203)...)})
		x.compareCursors()
	}},
	{"a cursor that the store never gave is an error", func(x *suite) {
		x.history()
		given, _ := x.events("", 3)
		for _, bad := range badCursors(given) {
			page, next, err := x.s.Events(x.Context(), bad, 10)
			if err == nil {
				x.fatalf("Events(%q) = %d events, %q, want an error", bad, len(page), next)
			}
			x.notOfContract("Events", bad, err)
		}
	}},
	{"a trim by a cursor that the store never gave is an error", func(x *suite) {
		x.history()
		given, _ := x.events("", 3)
		for _, bad := range badCursors(given) {
			err := x.s.Commit(x.Context(), remint.Batch{Trim: bad, Put: puts(0, plain(500, 500)...), Log: events(plain(500, 500)...)})
			if err == nil {
				x.fatalf("Commit with Trim %q succeeded", bad)
			}
			x.notOfContract("Commit", bad, err)
			x.m.ever[id(500)] = true
			x.compare()
		}
	}},
}

// badCursors returns some that no store gives, whatever it makes cursors of.
func badCursors(given remint.Cursor) []remint.Cursor {
	return []remint.Cursor{
		"no cursor of any store", "\x00", "\xff\xfe", "-1", " ", remint.Cursor(strings.Repeat("9", 100)),
		given + "\x00", given + " ", " " + given, given + given + given,
	}
}

func (x *suite) notOfContract(what string, bad remint.Cursor, err error) {
	x.Helper()
	if errors.Is(err, remint.ErrConflict) || errors.Is(err, remint.ErrNotFound) {
		x.fatalf("%s with cursor %q: %v, which means something else", what, bad, err)
	}
}

// history commits a dozen events in several batches, and leaves cursors between them.
func (x *suite) history() {
	x.Helper()
	r := plain(1, 4)
	x.ok(remint.Batch{Put: puts(0, r...), Log: events(r...)})
	for revision := uint64(2); revision < 6; revision++ {
		next := change(r[0], revision, "")
		x.ok(remint.Batch{Put: puts(revision-1, next), Log: events(next, change(r[1], revision, ""))})
	}
	for _, limit := range []int{1, 2, 5} {
		for c, n := remint.Cursor(""), 1; n > 0; {
			c, n = x.events(c, limit)
		}
	}
}
