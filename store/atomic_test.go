package store

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/remint-go/remint"
)

// Whoever has seen one record of a batch is given no older state of the other.
func TestNobodyLoadsHalfABatch(t *testing.T) {
	const pairs, rounds = 4, 500
	var m Memory
	ctx := t.Context()
	a := func(p int) remint.ID { return sequential(2 * p) }
	b := func(p int) remint.ID { return sequential(2*p + 1) }
	commit := func(batch remint.Batch) {
		if err := m.Commit(ctx, batch); err != nil {
			t.Errorf("Commit: %v", err)
		}
	}
	for p := range pairs {
		commit(remint.Batch{Put: []remint.Put{{Record: newRecord(a(p), 1)}, {Record: newRecord(b(p), 1)}}})
	}
	var done atomic.Bool
	var readers, writers sync.WaitGroup
	for n := range 4 {
		readers.Go(func() {
			for i := n; !done.Load(); i++ {
				first, second := a(i%pairs), b(i%pairs)
				if i/pairs%2 == 0 {
					first, second = second, first
				}
				r1, err1 := m.Load(ctx, first)
				r2, err2 := m.Load(ctx, second)
				if err1 != nil || err2 != nil {
					t.Errorf("Load: %v, %v", err1, err2)
					return
				}
				if r2.Revision() < r1.Revision() {
					t.Errorf("%v, and then %v", r1, r2)
					return
				}
			}
		})
	}
	for p := range pairs {
		writers.Go(func() {
			for revision := range uint64(rounds) {
				commit(remint.Batch{Put: []remint.Put{
					{Record: newRecord(a(p), revision+2), Replaces: revision + 1},
					{Record: newRecord(b(p), revision+2), Replaces: revision + 1},
				}})
				one := newRecord(sequential(1000+p), 1) // and batches of one between
				commit(remint.Batch{Put: []remint.Put{{Record: one}}})
				commit(remint.Batch{Delete: []*remint.Record{one}})
			}
		})
	}
	writers.Wait()
	done.Store(true)
	readers.Wait()
	if m.batches.Load() != 2*(pairs+pairs*rounds) {
		t.Errorf("batches = %d", m.batches.Load())
	}
}

func TestAReaderWaitsForTheRestOfABatch(t *testing.T) {
	var m Memory
	r := newRecord(sequential(1), 1)
	if err := m.Commit(t.Context(), remint.Batch{Put: []remint.Put{{Record: r}}}); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock() // as Commit does in the middle of a batch
	m.batches.Add(1)
	loaded := make(chan *remint.Record)
	go func() {
		r, _ := m.Load(t.Context(), r.ID())
		loaded <- r
	}()
	select {
	case r := <-loaded:
		t.Errorf("a Load in the middle of a batch gave %v", r)
	default:
	}
	later := newRecord(r.ID(), 2)
	m.write(later)
	m.batches.Add(1)
	m.mu.Unlock()
	// Whether the reader had begun before the batch ended or not, it must not have the
	// old record: it could not have returned before the unlock.
	if got := <-loaded; got != later {
		t.Errorf("Load = %v, want %v", got, later)
	}
}

func TestLoadAllocatesNothing(t *testing.T) {
	var m Memory
	r := newRecord(sequential(1), 1)
	if err := m.Commit(t.Context(), remint.Batch{Put: []remint.Put{{Record: r}}}); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	allocs := testing.AllocsPerRun(1000, func() {
		if got, err := m.Load(ctx, r.ID()); got != r || err != nil {
			t.Errorf("Load = %v, %v", got, err)
		}
		m.Load(ctx, sequential(2))
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestCommitKeepsThePointer(t *testing.T) {
	var m Memory
	r := newRecord(sequential(1), 1)
	touched := newRecord(sequential(1), 1)
	for _, b := range []remint.Batch{{Put: []remint.Put{{Record: r}}}, {Touch: []*remint.Record{touched}}} {
		if err := m.Commit(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	got, err := m.Load(t.Context(), r.ID())
	page, err2 := m.Scan(t.Context(), remint.ID{}, 1)
	if got != touched || err != nil || err2 != nil || len(page) != 1 || page[0] != touched {
		t.Errorf("Load = %p, Scan = %p, want %p", got, page, touched)
	}
}
