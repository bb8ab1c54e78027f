package crash

import (
	"bytes"
	"math/rand/v2"
	"time"
)

// A moment is when a victim is killed: some time after some line of it.
type moment struct {
	name  string
	after func(line []byte) bool // the line from which on the time counts
	wait  time.Duration          // not for anything: it is the moment that is random

	sweeps     bool
	closeAfter int
	fresh      bool // there is no file yet

	longest time.Duration // for which it lives if that line does not come; 0: 5 s
}

// moments are spread over a victim's life, and more of them stand where something is being written:
// right after an operation has begun, in a sweep, while the file is opened and while it is closed.
func drawMoment(random *rand.Rand) moment {
	upTo := func(d time.Duration) time.Duration { return time.Duration(random.Int64N(int64(d))) }
	// short is up to d, and half of the time less than a quarter of it.
	short := func(d time.Duration) time.Duration {
		f := random.Float64()
		return time.Duration(f * f * float64(d))
	}
	letter := func(c byte) func([]byte) bool { return func(line []byte) bool { return line[0] == c } }
	nth := func(n int, is func([]byte) bool) func([]byte) bool {
		return func(line []byte) bool {
			if is(line) {
				n--
			}
			return n == 0
		}
	}
	switch n := random.IntN(100); {
	case n < 30:
		return moment{name: "any time", after: letter(lineReady), wait: upTo(150 * time.Millisecond)}
	case n < 60:
		return moment{name: "a begin", after: nth(1+random.IntN(250), letter(lineBegin)), wait: short(4 * time.Millisecond)}
	case n < 75:
		return moment{
			name: "a sweep", sweeps: true, wait: short(4 * time.Millisecond),
			after: nth(1+random.IntN(20), func(line []byte) bool { return line[0] == lineBegin && bytes.Contains(line, []byte(`"k":"sweep"`)) }),
		}
	case n < 85:
		return moment{
			name: "open", after: letter(lineOpening), wait: short(4 * time.Millisecond), fresh: random.IntN(2) == 0,
		}
	default:
		return moment{
			name: "close", closeAfter: 1 + random.IntN(150), after: letter(lineClosing), wait: short(6 * time.Millisecond),
		}
	}
}
