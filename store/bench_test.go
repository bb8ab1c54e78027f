package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// yardstick is what one would write without thinking, and without order, events or
// atomicity: what Load is measured beside.
type yardstick struct {
	mu      sync.RWMutex
	records map[remint.ID]*remint.Record
}

func (y *yardstick) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	y.mu.RLock()
	defer y.mu.RUnlock()
	if r := y.records[id]; r != nil {
		return r, nil
	}
	return nil, remint.ErrNotFound
}

type loader interface {
	Load(ctx context.Context, id remint.ID) (*remint.Record, error)
}

// ids returns random IDs, as they are of tokens.
func ids(n int) []remint.ID {
	random := rand.NewChaCha8([32]byte{1})
	ids := make([]remint.ID, n)
	for i := range ids {
		random.Read(ids[i][:])
	}
	return ids
}

// filled returns a Memory and a yardstick with the same records.
var filled = func() func(n int) (*Memory, *yardstick, []remint.ID) {
	type stores struct {
		m   *Memory
		y   *yardstick
		ids []remint.ID
	}
	made := map[int]stores{}
	return func(n int) (*Memory, *yardstick, []remint.ID) {
		s, ok := made[n]
		if !ok {
			s = stores{new(Memory), &yardstick{records: map[remint.ID]*remint.Record{}}, ids(n)}
			for _, id := range s.ids {
				r := newRecord(id, 1)
				s.m.write(r)
				s.y.records[id] = r
			}
			// In another order than they lie in memory.
			rand.Shuffle(n, func(i, j int) { s.ids[i], s.ids[j] = s.ids[j], s.ids[i] })
			made[n] = s
		}
		return s.m, s.y, s.ids
	}
}()

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{1e3, 1e6} {
		m, y, ids := filled(n)
		cache := NewCache(m, time.Hour, &CacheOptions{MaxBytes: 1 << 40})
		for _, id := range ids {
			if _, err := cache.Load(b.Context(), id); err != nil {
				b.Fatal(err)
			}
		}
		for _, s := range []struct {
			name string
			loader
		}{{"memory", m}, {"cache", cache}, {"yardstick", y}} {
			ctx, cancel := context.WithCancel(b.Context()) // as that of a request
			defer cancel()
			b.Run(fmt.Sprintf("%d/sequential/%s", n, s.name), func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					if i++; i == len(ids) {
						i = 0
					}
					if r, err := s.Load(ctx, ids[i]); err != nil || r.Revision() != 1 {
						b.Fatal(err)
					}
				}
			})
			b.Run(fmt.Sprintf("%d/parallel/%s", n, s.name), func(b *testing.B) {
				b.ReportAllocs()
				var from atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					i := int(from.Add(1)) * 7919 % len(ids)
					for pb.Next() {
						if i++; i >= len(ids) {
							i = 0
						}
						if r, err := s.Load(ctx, ids[i]); err != nil || r.Revision() != 1 {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}

// A rotation in place is a record and an event. Now and then a sweeper trims.
func BenchmarkCommitChange(b *testing.B) {
	for _, n := range []int{1e3, 1e6} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m := new(Memory)
			var versions [2][]*remint.Record // whose revisions are 1 and 2, in turn
			for _, id := range ids(n) {
				for i := range versions {
					versions[i] = append(versions[i], newRecord(id, uint64(i+1)))
				}
				m.write(newRecord(id, 1))
			}
			ctx := b.Context()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				old := uint64(i/n)%2 + 1
				next := versions[2-old][i%n]
				batch := remint.Batch{
					Put: []remint.Put{{Record: next, Replaces: old}},
					Log: []remint.Event{{Kind: remint.EventRotate, Token: next.ID(), Revision: next.Revision()}},
				}
				if i%4096 == 4095 {
					batch.Trim = cursor(m.log.n)
				}
				if err := m.Commit(ctx, batch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A new token, in each of three indexes.
func BenchmarkCommitNew(b *testing.B) {
	for _, order := range []string{"ascending", "random"} {
		b.Run(order, func(b *testing.B) {
			m := new(Memory)
			ctx := b.Context()
			random := rand.NewChaCha8([32]byte{2})
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				id := sequential(n)
				if order == "random" {
					random.Read(id[:])
				}
				if err := m.Commit(ctx, remint.Batch{Put: []remint.Put{{Record: newRecord(id, 1)}}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
