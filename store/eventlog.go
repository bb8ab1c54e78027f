package store

import (
	"errors"
	"slices"
	"strconv"

	"github.com/remint-go/remint"
)

// An eventLog numbers events from 0 in the order in which they were appended, and can
// forget the first. The zero value is empty.
//
// It is a list of chunks: appending never copies what is there, and trimming gives
// memory back at once.
type eventLog struct {
	chunks [][]remint.Event // all full but the last
	gone   int              // events of the chunks that are no longer there
	first  int              // events before this one are trimmed
	n      int              // events that there ever were
}

const chunkSize = 256

func (l *eventLog) append(events []remint.Event) {
	for len(events) > 0 {
		if (l.n-l.gone)%chunkSize == 0 {
			// The first grows: most logs of tests are short.
			l.chunks = append(l.chunks, make([]remint.Event, 0, min(l.n, chunkSize)))
		}
		last := &l.chunks[len(l.chunks)-1]
		n := min(len(events), chunkSize-len(*last))
		*last = append(*last, events[:n]...)
		events = events[n:]
		l.n += n
	}
}

// page returns up to limit events from number n on, and their number's end.
func (l *eventLog) page(n, limit int) (page []remint.Event, end int) {
	n = max(n, l.first)
	limit = max(0, min(limit, l.n-n))
	if limit > 0 {
		page = make([]remint.Event, 0, limit)
	}
	for end = n + limit; n < end; {
		chunk := l.chunks[(n-l.gone)/chunkSize]
		from := (n - l.gone) % chunkSize
		some := chunk[from:min(len(chunk), from+end-n)]
		page = append(page, some...)
		n += len(some)
	}
	return page, end
}

// trim forgets the events before number n.
func (l *eventLog) trim(n int) {
	if n <= l.first {
		return
	}
	whole := (n - l.gone) / chunkSize
	l.chunks = slices.Delete(l.chunks, 0, whole)
	l.gone += whole * chunkSize
	if len(l.chunks) > 0 {
		clear(l.chunks[0][:n-l.gone]) // their strings
	}
	l.first = n
}

var errCursor = errors.New("store: no cursor of this store")

// number returns the number of events before the cursor, which is what it is made of:
// under one mutex, events are numbered in the order in which they appear.
func (l *eventLog) number(c remint.Cursor) (int, error) {
	if c == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(string(c))
	if err != nil || n < 1 || n > l.n || cursor(n) != c {
		return 0, errCursor
	}
	return n, nil
}

func cursor(n int) remint.Cursor { return remint.Cursor(strconv.Itoa(n)) }
