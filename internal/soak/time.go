package soak

import (
	"math"
	"time"
)

// margin is how far from a boundary an answer must be judged to be one that is certain. The service and its
// clients have one clock; what is between a request's sending and its answer's arrival is not known anyway, and
// comes on top. The margin is for a clock that is being set.
const margin = int64(5 * time.Millisecond / time.Microsecond)

// A bound is a moment that is not known exactly, in microseconds since 1970: no earlier than lo, no later than hi.
// The zero bound is never.
type bound struct{ lo, hi int64 }

func (b bound) set() bool { return b != bound{} }

func exactly(us int64) bound { return bound{us, us} }

func (b bound) plus(d time.Duration) bound {
	return bound{b.lo + d.Microseconds(), b.hi + d.Microseconds()}
}

// holds reports whether a time that the service named can be this moment.
func (b bound) holds(us int64) bool { return us >= b.lo-margin && us <= b.hi+margin }

// hull is the bound of a moment that is one of two.
func hull(a, b bound) bound {
	if !a.set() || !b.set() {
		return bound{} // callers merge bounds that are both there
	}
	return bound{min(a.lo, b.lo), max(a.hi, b.hi)}
}

// first returns the bound of the first of several moments.
func first(list ...bound) bound {
	b := bound{math.MaxInt64, math.MaxInt64}
	for _, x := range list {
		if x.set() {
			b.lo, b.hi = min(b.lo, x.lo), min(b.hi, x.hi)
		}
	}
	if b.lo == math.MaxInt64 {
		return bound{}
	}
	return b
}

func now() int64 { return time.Now().UnixMicro() }

// parseTime returns the microseconds of a time as JSON has it, or 0.
func parseTime(text string) int64 {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return 0
	}
	return t.UnixMicro()
}

func formatTime(us int64) string { return time.UnixMicro(us).UTC().Format(time.RFC3339Nano) }
