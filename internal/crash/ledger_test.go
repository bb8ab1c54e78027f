package crash

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// A ledger is what a victim said of its life.
type ledger struct {
	begun   map[uint64]*step
	order   []uint64 // of those begun
	acked   map[uint64]*ack
	lines   int
	beganAt map[uint64]int // lines
	ackedAt map[uint64]int
	ready   bool
	closing bool
	late    map[uint64]bool // what was acknowledged when the file was being closed
	closed  bool
	latest  int64 // the last time that it told
}

// readLedger reads all that came through the pipe. What has no end was not said.
func readLedger(said []byte) (*ledger, error) {
	l := &ledger{begun: map[uint64]*step{}, acked: map[uint64]*ack{}, late: map[uint64]bool{},
		beganAt: map[uint64]int{}, ackedAt: map[uint64]int{}}
	for {
		line, rest, whole := bytes.Cut(said, []byte("\n"))
		if !whole {
			return l, nil
		}
		if err := l.read(line); err != nil {
			return nil, fmt.Errorf("%w in line %q", err, line)
		}
		said = rest
	}
}

func (l *ledger) read(line []byte) error {
	if len(line) == 0 {
		return fmt.Errorf("no letter")
	}
	l.lines++
	switch content := line[1:]; line[0] {
	case lineBegin:
		s := new(step)
		if err := json.Unmarshal(content, s); err != nil {
			return err
		}
		l.begun[s.N], l.beganAt[s.N] = s, l.lines
		l.order = append(l.order, s.N)
		l.latest = max(l.latest, s.At)
	case lineAck:
		a := new(ack)
		if err := json.Unmarshal(content, a); err != nil {
			return err
		}
		if l.begun[a.N] == nil || l.acked[a.N] != nil {
			return fmt.Errorf("step %d was not begun, or ended before", a.N)
		}
		l.acked[a.N], l.ackedAt[a.N], l.late[a.N] = a, l.lines, l.closing
		l.latest = max(l.latest, a.At)
	case lineOpening:
	case lineReady:
		l.ready = true
	case lineClosing:
		l.closing = true
	case lineClosed:
		l.closed = true
	default:
		return fmt.Errorf("unknown letter")
	}
	return nil
}

// succeeded returns the ack of a step if it was acknowledged without an error.
func (l *ledger) succeeded(n uint64) *ack {
	if a := l.acked[n]; a != nil && a.Err == "" {
		return a
	}
	return nil
}

// before reports whether a step had been acknowledged when another began.
func (l *ledger) before(n, other uint64) bool {
	at, ok := l.ackedAt[n]
	return ok && at < l.beganAt[other]
}

// untold reports whether nobody was told what came of a step: it was under way when its victim
// was killed, or closed the file.
func (l *ledger) untold(n uint64) bool {
	a := l.acked[n]
	return a == nil || l.late[n] && isUnavailable(a.Err)
}
