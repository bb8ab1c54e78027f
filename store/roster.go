package store

import "github.com/remint-go/remint"

// A roster gives records numbers, by which the indexes know them: 4 bytes each instead of a
// key, and the same when a record is replaced. The zero roster is empty. It has room for 2³²
// records, for which no machine has the memory.
//
// It is a list of chunks, so that growing copies no records and wastes little. A chunk without
// a record is given back. What stays of the most records that there ever were is 4 bytes each.
type roster struct {
	chunks []*rosterChunk // nil: all its numbers are free
	n      uint32         // numbers that were ever given
	free   []uint32       // of them, those of no record
}

type rosterChunk struct {
	records [rosterChunkSize]*remint.Record
	live    int
}

const rosterChunkSize = 1024

func (o *roster) at(n uint32) *remint.Record {
	return o.chunks[n/rosterChunkSize].records[n%rosterChunkSize]
}

// add returns the number of a new record.
func (o *roster) add(r *remint.Record) (n uint32) {
	if k := len(o.free); k > 0 {
		n, o.free = o.free[k-1], o.free[:k-1]
	} else {
		if n = o.n; n%rosterChunkSize == 0 {
			o.chunks = append(o.chunks, nil)
		}
		o.n++
	}
	chunk := &o.chunks[n/rosterChunkSize]
	if *chunk == nil {
		*chunk = new(rosterChunk)
	}
	(*chunk).live++
	o.set(n, r)
	return n
}

// set makes r the record of a number.
func (o *roster) set(n uint32, r *remint.Record) {
	o.chunks[n/rosterChunkSize].records[n%rosterChunkSize] = r
}

// remove frees a number.
func (o *roster) remove(n uint32) {
	o.set(n, nil)
	o.free = append(o.free, n)
	chunk := &o.chunks[n/rosterChunkSize]
	if (*chunk).live--; (*chunk).live == 0 {
		*chunk = nil
	}
	if len(o.free) == int(o.n) {
		*o = roster{}
	}
}
