package storebolt

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/remint-go/remint"
)

// A cursor is "b1-", the name of the log in hexadecimal, "-", and the position of the last
// event before it. Positions are in the order of commits, since one transaction writes at a
// time, so that nothing is ever committed before a cursor.
func (s *Store) cursor(position uint64) remint.Cursor {
	return remint.Cursor(s.cursorPrefix() + strconv.FormatUint(position, 10))
}

func (s *Store) cursorPrefix() string { return "b1-" + hex.EncodeToString(s.log[:]) + "-" }

// position returns the place of a cursor in a log whose last position is last.
func (s *Store) position(c remint.Cursor, last uint64) (uint64, error) {
	if c == "" {
		return 0, nil
	}
	digits, ok := strings.CutPrefix(string(c), s.cursorPrefix())
	if !ok {
		return 0, fmt.Errorf("cursor %q is not one of this log", c)
	}
	position, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || position == 0 || s.cursor(position) != c {
		return 0, fmt.Errorf("cursor %q is malformed", c)
	}
	if position > last {
		return 0, fmt.Errorf("cursor %q is beyond the end of this log, %d: was an older copy of it restored?", c, last)
	}
	return position, nil
}

// writeEvents appends and trims.
func (f *effects) writeEvents() error {
	if len(f.events) == 0 && f.trim == 0 {
		return nil
	}
	b, err := f.s.sub(f.tx, bucketEvents)
	if err != nil {
		return err
	}
	b.FillPercent = 0.9 // events come in the order of their keys, and never change
	for _, data := range f.events {
		position, err := b.NextSequence() // goes on when all events are trimmed
		if err != nil {
			return err
		}
		f.key = appendPosition(f.key[:0], position)
		if err := b.Put(f.key, data); err != nil {
			return err
		}
	}
	first, _ := b.Cursor().First()
	if first == nil || f.trim == 0 {
		return nil
	}
	// There are no gaps, and bbolt's cursors do not survive a deletion.
	for position := binary.BigEndian.Uint64(first); position <= f.trim; position++ {
		f.key = appendPosition(f.key[:0], position)
		if err := b.Delete(f.key); err != nil {
			return err
		}
	}
	return nil
}
