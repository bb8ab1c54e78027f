// Package recordtest makes records that no Issuer would make, for tests of stores.
package recordtest

import "time"

// Fields are what a store sees of a record, and something for it to carry.
type Fields struct {
	ID       [16]byte
	Revision uint64
	Owner    string
	Parent   [16]byte
	SweepAt  time.Time // the zero time is never; the Unix epoch cannot be told from it
	Payload  string    // makes the record longer, and two of one revision different
}

// New returns a *remint.Record with the given fields. Package remint sets it: this
// package cannot import that one, and nobody else can make a Record.
var New func(Fields) any
