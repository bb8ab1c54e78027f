// Package store has the stores that need no engine: [Memory]; and [Cache], which goes in
// front of an engine that several processes share.
package store

import (
	"cmp"
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remint-go/remint"
)

// Memory is a [remint.Store] in memory, for tests and for services of one process that
// need no durability: what it holds ends with the process. The zero value is ready for
// use, and must not be copied after it.
//
// Load takes no lock and allocates nothing. The other methods that read hold up commits
// for as long as they fill their page. No method fails but for a conflict, its context, or
// a cursor that this store never gave.
//
// It takes about 60 bytes for a record beside the record itself, and 170 and its strings for
// an event. Both stay until they are deleted and trimmed, which is what Sweep does: a
// service that never calls it grows for ever.
type Memory struct {
	records table
	// batches is odd while a batch of several records is being written. See Load.
	batches atomic.Uint64

	_ [64]byte // what follows is written to by readers, too, and not by Load

	mu       sync.RWMutex // for all that changes anything or reads what is below
	byID     sorted[idKey]
	byFamily sorted[familyKey]
	bySweep  sorted[sweepKey]
	log      eventLog
}

var _ remint.Store = (*Memory)(nil)

// Load implements [remint.Store].
func (m *Memory) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Who has seen one record of a batch must not be given an older state of another.
	// Since its first record is written after batches has become odd, it is enough to
	// look here, and to wait for the rest then.
	if m.batches.Load()&1 != 0 {
		m.mu.RLock()
		defer m.mu.RUnlock()
	}
	if r := m.records.get(id); r != nil {
		return r, nil
	}
	return nil, remint.ErrNotFound
}

// Commit implements [remint.Store]. It keeps the records of b, and no slice.
func (m *Memory) Commit(ctx context.Context, b remint.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conflicts(&b) {
		return remint.ErrConflict
	}
	trim, err := m.log.number(b.Trim)
	if err != nil {
		return err
	}
	if len(b.Put)+len(b.Delete)+len(b.Touch) > 1 {
		m.batches.Add(1)
		defer m.batches.Add(1)
	}
	for i := range b.Put {
		m.write(b.Put[i].Record)
	}
	for _, r := range b.Delete {
		m.remove(r.ID())
	}
	for _, r := range b.Touch {
		if m.revision(r.ID()) == r.Revision() {
			m.write(r)
		}
	}
	m.log.append(b.Log)
	m.log.trim(trim)
	return nil
}

func (m *Memory) conflicts(b *remint.Batch) bool {
	for i := range b.Put {
		if m.revision(b.Put[i].Record.ID()) != b.Put[i].Replaces {
			return true
		}
	}
	for _, r := range b.Guard {
		if m.revision(r.ID()) != r.Revision() {
			return true
		}
	}
	for _, r := range b.Delete {
		if m.revision(r.ID()) != r.Revision() {
			return true
		}
	}
	return false
}

// revision returns the stored revision, 0 if there is none.
func (m *Memory) revision(id remint.ID) uint64 {
	if r := m.records.get(id); r != nil {
		return r.Revision()
	}
	return 0
}

// write puts or replaces a record. Its owner and parent never change, so that most
// replacements touch no index.
func (m *Memory) write(r *remint.Record) {
	old := m.records.get(r.ID())
	moved := old == nil || !old.SweepAt().Equal(r.SweepAt())
	if moved && old != nil && !old.SweepAt().IsZero() {
		m.bySweep.remove(&m.records.roster, sweepOf(old))
	}
	n := m.records.put(r)
	if old == nil {
		m.byID.insert(&m.records.roster, n)
		m.byFamily.insert(&m.records.roster, n)
	}
	if moved && !r.SweepAt().IsZero() {
		m.bySweep.insert(&m.records.roster, n)
	}
}

// remove removes a record that is there. A touch may have made it another than the one
// that the batch names.
func (m *Memory) remove(id remint.ID) {
	r := m.records.get(id)
	m.byID.remove(&m.records.roster, idKey(id))
	m.byFamily.remove(&m.records.roster, familyOf(r))
	if !r.SweepAt().IsZero() {
		m.bySweep.remove(&m.records.roster, sweepOf(r))
	}
	m.records.remove(id)
}

// List implements [remint.Store].
func (m *Memory) List(ctx context.Context, owner string, parent, after remint.ID, limit int) ([]*remint.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var page []*remint.Record
	for r := range m.byFamily.after(&m.records.roster, familyKey{owner, parent, after}) {
		if len(page) >= limit || r.Owner() != owner || r.Parent() != parent {
			break
		}
		page = append(page, r)
	}
	return page, nil
}

// Scan implements [remint.Store].
func (m *Memory) Scan(ctx context.Context, after remint.ID, limit int) ([]*remint.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var page []*remint.Record
	for r := range m.byID.after(&m.records.roster, idKey(after)) {
		if len(page) >= limit {
			break
		}
		page = append(page, r)
	}
	return page, nil
}

// Due implements [remint.Store].
func (m *Memory) Due(ctx context.Context, before time.Time, limit int) ([]*remint.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var page []*remint.Record
	for r := range m.bySweep.all(&m.records.roster) {
		if len(page) >= limit || !r.SweepAt().Before(before) {
			break
		}
		page = append(page, r)
	}
	return page, nil
}

// Events implements [remint.Store].
func (m *Memory) Events(ctx context.Context, after remint.Cursor, limit int) ([]remint.Event, remint.Cursor, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	n, err := m.log.number(after)
	if err != nil {
		return nil, "", err
	}
	page, end := m.log.page(n, limit)
	if len(page) == 0 {
		return nil, after, nil
	}
	return page, cursor(end), nil
}

// The keys of the indexes.

type idKey remint.ID

func (k idKey) compare(o idKey) int { return remint.ID(k).Compare(remint.ID(o)) }

func (idKey) of(r *remint.Record) idKey { return idKey(r.ID()) }

// A familyKey is for List. A record's own ID is not zero, so that the zero one comes
// before all children.
type familyKey struct {
	owner  string
	parent remint.ID
	id     remint.ID
}

func familyOf(r *remint.Record) familyKey { return familyKey{r.Owner(), r.Parent(), r.ID()} }

func (familyKey) of(r *remint.Record) familyKey { return familyOf(r) }

func (k familyKey) compare(o familyKey) int {
	if c := strings.Compare(k.owner, o.owner); c != 0 {
		return c
	}
	return cmp.Or(k.parent.Compare(o.parent), k.id.Compare(o.id))
}

// A sweepKey is for Due. A record's times are whole microseconds.
type sweepKey struct {
	at int64
	id remint.ID
}

func sweepOf(r *remint.Record) sweepKey { return sweepKey{r.SweepAt().UnixMicro(), r.ID()} }

func (sweepKey) of(r *remint.Record) sweepKey { return sweepOf(r) }

func (k sweepKey) compare(o sweepKey) int {
	return cmp.Or(cmp.Compare(k.at, o.at), k.id.Compare(o.id))
}
