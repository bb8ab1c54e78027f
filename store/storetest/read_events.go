package storetest

import (
	"maps"

	"github.com/remint-go/remint"
)

// This file reads events beside the model. Since the contract gives no order among
// tokens and nothing that a cursor means, the model has for each cursor the set of
// events that were read before it.

// compareEvents reads the whole log from the beginning, and what each known cursor has
// before it.
func (x *suite) compareEvents() {
	x.Helper()
	x.drain("")
}

// compareCursors reads on from every cursor that the store gave.
func (x *suite) compareCursors() {
	x.Helper()
	for c := range maps.Clone(x.m.before) {
		x.drain(c)
	}
}

// drain reads from the cursor to the end of the log, and returns the cursor there.
func (x *suite) drain(after remint.Cursor) remint.Cursor {
	x.Helper()
	for {
		next, n := x.events(after, x.limit)
		if n == 0 {
			return next
		}
		after = next
	}
}

// events reads one page, which must be of what the model has after the cursor.
func (x *suite) events(after remint.Cursor, limit int) (remint.Cursor, int) {
	x.Helper()
	if x.m.before[after] == nil {
		panic("storetest: a cursor that the store never gave")
	}
	page, next, err := x.s.Events(x.Context(), after, limit)
	if err != nil {
		x.fatalf("Events(%q, %d): %v", after, limit, err)
	}
	if len(page) > limit {
		x.fatalf("Events(%q, %d) gave %d events", after, limit, len(page))
	}
	left := x.m.left(after)
	revisions := x.m.revisions(left)
	read := maps.Clone(x.m.before[after])
	maps.Copy(read, x.m.trimmed)
	for _, e := range page {
		i, known := x.m.index[normal(e)]
		switch {
		case !known:
			x.fatalf("Events(%q, %d) gave what was never committed: %+v", after, limit, e)
		case x.m.trimmed[i]:
			x.fatalf("Events(%q, %d) gave an event that was trimmed: %+v", after, limit, e)
		case !left[i]:
			x.fatalf("Events(%q, %d) gave an event from before the cursor, or one twice: %+v", after, limit, e)
		}
		if next := revisions[e.Token]; e.Revision != next[0] {
			x.fatalf("Events(%q, %d) gave revision %d of %v before %d", after, limit, e.Revision, e.Token, next[0])
		}
		revisions[e.Token] = revisions[e.Token][1:]
		delete(left, i)
		read[i] = true
	}
	switch {
	case len(page) == 0 && limit > 0 && len(left) > 0:
		x.fatalf("Events(%q, %d) gave none of %d events, such as %+v", after, limit, len(left), x.m.log[anyKey(left)])
	case len(page) == 0 && next != after:
		x.fatalf("Events(%q, %d) gave no event and another cursor, %q", after, limit, next)
	case len(page) > 0 && next == after:
		x.fatalf("Events(%q, %d) gave %d events and the same cursor", after, limit, len(page))
	}
	if len(page) > 0 {
		x.m.give(next, read)
	}
	return next, len(page)
}

func anyKey(m map[int]bool) int {
	for k := range m {
		return k
	}
	panic("empty")
}
