package histories

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// A state is everything that the model knows at one moment: the token, which is the
// first, and its sessions. It does not change.
type state struct {
	records []record // in the order of their IDs
	looks   []look   // in the order of their operations
	// keeps: what was before is kept, as caches keep it.
	keeps bool
	was   []version // in the order in which they were
	key   string    // the same for equal states
}

// A version is what a record was.
type version struct {
	record
	until int64 // the latest time at which it may still have been so
	by    int   // the client that changed it
}

// A look is the beginning of a rotation: the secrets of which one is still the newest
// when it wins.
type look struct{ by, newest, prev, cancels int }

// misses reports whether r has been rotated since.
func (l *look) misses(r *record) bool { return r.newest.by != l.newest && r.newest.by != l.prev }

func newState(keeps bool, records ...record) *state {
	s := &state{records: records, keeps: keeps}
	s.seal()
	return s
}

// clone returns a copy that may be changed until it is sealed.
func (s *state) clone() *state {
	return &state{
		records: slices.Clone(s.records), looks: slices.Clone(s.looks),
		keeps: s.keeps, was: slices.Clip(s.was),
	}
}

// record returns the one of that ID, or nil.
func (s *state) record(id int) *record {
	for i := range s.records {
		if s.records[i].id == id {
			return &s.records[i]
		}
	}
	return nil
}

func (s *state) add(r record) {
	i, _ := slices.BinarySearchFunc(s.records, r, func(a, b record) int { return a.id - b.id })
	s.records = slices.Insert(s.records, i, r)
}

// seal ends the changes of s.
func (s *state) seal() {
	b := make([]byte, 0, 64+128*len(s.records))
	for i := range s.records {
		b = s.records[i].append(b)
	}
	for _, l := range s.looks {
		b = fmt.Append(b, l)
	}
	for i := range s.was {
		b = s.was[i].append(b)
		b = fmt.Append(b, s.was[i].until, s.was[i].by)
	}
	s.key = string(b)
}

func (r *record) append(b []byte) []byte {
	num := func(n ...int64) {
		for _, n := range n {
			b = binary.AppendVarint(b, n)
		}
	}
	flag := func(f bool) {
		if f {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	num(int64(r.id), int64(r.parent), int64(r.parentEpoch), int64(r.startedWith), int64(r.caps),
		r.created, r.rotated, r.revoked, r.expires, r.changed,
		int64(r.epoch), int64(r.revision), int64(r.cancels), r.grace, r.lapse)
	flag(r.manages)
	flag(r.firstUse)
	b = append(append(b, r.name...), 0)
	for _, x := range []secret{r.newest, r.prev, r.older} {
		num(int64(x.by), x.created, x.until, int64(x.sessions))
		flag(x.used)
	}
	for _, x := range r.stopped {
		num(int64(x.by))
		flag(x.unused)
		flag(x.reported)
	}
	num(0)
	return b
}

func (s *state) String() string {
	var b strings.Builder
	for i := range s.records {
		r := &s.records[i]
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "#%d rev %d epoch %d newest %v", r.id, r.revision, r.epoch, r.newest)
		if r.prev.by != none {
			fmt.Fprintf(&b, " prev %v", r.prev)
		}
		if r.older.by != none {
			fmt.Fprintf(&b, " older %v", r.older)
		}
		if r.firstUse {
			fmt.Fprintf(&b, " first use, grace %s, lapse %s", clockText(r.grace), clockText(r.lapse))
		}
		if r.revoked != none {
			fmt.Fprintf(&b, " revoked %s", clockText(r.revoked))
		}
		if r.expires != none {
			fmt.Fprintf(&b, " expires %s", clockText(r.expires))
		}
	}
	return b.String()
}

func (s secret) String() string {
	text := fmt.Sprintf("s%d", s.by)
	if !s.used {
		text += "?"
	}
	if s.until != none {
		text += " until " + clockText(s.until)
	}
	return text
}
