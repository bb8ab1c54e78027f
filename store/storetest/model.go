package storetest

import (
	"slices"
	"time"

	"github.com/remint-go/remint"
)

// A model is the content that a store must have.
type model struct {
	records map[remint.ID]*remint.Record
	ever    map[remint.ID]bool // all IDs that a batch has named
	keys    map[listKey]bool   // all arguments of List that a batch has named
	log     []remint.Event     // normalized; trimmed ones, too
	index   map[remint.Event]int
	trimmed map[int]bool // by index in log
	// before has, for each cursor that the store gave, the events that it stands after.
	before  map[remint.Cursor]map[int]bool
	cursors []remint.Cursor // keys of before, as they came
}

type listKey struct {
	owner  string
	parent remint.ID
}

func newModel() *model {
	return &model{
		records: map[remint.ID]*remint.Record{},
		ever:    map[remint.ID]bool{},
		keys:    map[listKey]bool{},
		index:   map[remint.Event]int{},
		trimmed: map[int]bool{},
		before:  map[remint.Cursor]map[int]bool{"": {}},
	}
}

func (m *model) revision(id remint.ID) uint64 {
	if r := m.records[id]; r != nil {
		return r.Revision()
	}
	return 0
}

// commit does b, or returns ErrConflict.
func (m *model) commit(b remint.Batch) error {
	m.see(b)
	for _, r := range slices.Concat(b.Guard, b.Delete) {
		if m.revision(r.ID()) != r.Revision() {
			return remint.ErrConflict
		}
	}
	for _, p := range b.Put {
		if m.revision(p.Record.ID()) != p.Replaces {
			return remint.ErrConflict
		}
	}
	for _, r := range b.Touch {
		if m.revision(r.ID()) == r.Revision() {
			m.records[r.ID()] = r
		}
	}
	for _, p := range b.Put {
		m.records[p.Record.ID()] = p.Record
	}
	for _, r := range b.Delete {
		delete(m.records, r.ID())
	}
	for i := range m.before[b.Trim] {
		m.trimmed[i] = true
	}
	for _, e := range b.Log {
		e = normal(e)
		if _, twice := m.index[e]; twice {
			panic("storetest: the same event twice")
		}
		m.index[e] = len(m.log)
		m.log = append(m.log, e)
	}
	return nil
}

func (m *model) see(b remint.Batch) {
	records := slices.Concat(b.Guard, b.Delete, b.Touch)
	for _, p := range b.Put {
		records = append(records, p.Record)
	}
	for _, r := range records {
		m.ever[r.ID()] = true
		m.keys[listKey{r.Owner(), r.Parent()}] = true
		m.keys[listKey{r.Owner(), remint.ID{}}] = true
	}
}

func (m *model) scan() []*remint.Record {
	return m.where(func(*remint.Record) bool { return true })
}

func (m *model) list(owner string, parent remint.ID) []*remint.Record {
	return m.where(func(r *remint.Record) bool { return r.Owner() == owner && r.Parent() == parent })
}

func (m *model) due(before time.Time) []*remint.Record {
	due := m.where(func(r *remint.Record) bool { return !r.SweepAt().IsZero() && r.SweepAt().Before(before) })
	slices.SortStableFunc(due, func(a, b *remint.Record) int { return a.SweepAt().Compare(b.SweepAt()) })
	return due
}

func (m *model) where(want func(*remint.Record) bool) (records []*remint.Record) {
	for _, r := range m.records {
		if want(r) {
			records = append(records, r)
		}
	}
	slices.SortFunc(records, func(a, b *remint.Record) int { return a.ID().Compare(b.ID()) })
	return records
}

// sweepTimes returns all SweepAts but the zero one.
func (m *model) sweepTimes() []time.Time {
	var times []time.Time
	for _, r := range m.records {
		if at := r.SweepAt(); !at.IsZero() && !slices.ContainsFunc(times, at.Equal) {
			times = append(times, at)
		}
	}
	return times
}

// give notes that the store gave a cursor after having given the events.
func (m *model) give(c remint.Cursor, read map[int]bool) {
	if m.before[c] == nil {
		m.cursors = append(m.cursors, c)
	}
	m.before[c] = read
}

// left returns the indexes of the events that a reader at the cursor has before it.
func (m *model) left(c remint.Cursor) map[int]bool {
	left := map[int]bool{}
	for i := range m.log {
		if !m.trimmed[i] && !m.before[c][i] {
			left[i] = true
		}
	}
	return left
}

// revisions returns each token's revisions in those events, in their order.
func (m *model) revisions(events map[int]bool) map[remint.ID][]uint64 {
	revisions := map[remint.ID][]uint64{}
	for i := range events {
		revisions[m.log[i].Token] = append(revisions[m.log[i].Token], m.log[i].Revision)
	}
	for _, r := range revisions {
		slices.Sort(r)
	}
	return revisions
}

// normal returns e as it compares with ==.
func normal(e remint.Event) remint.Event {
	e.At = e.At.UTC().Round(0)
	return e
}
