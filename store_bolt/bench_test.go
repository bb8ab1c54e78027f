package storebolt

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/internal/recordtest"
)

// These write to b.TempDir, which must be on a disk to mean anything: see TMPDIR.
// What matters is how they compare with the yardsticks of the same run.

var benchTime = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// benchRecord has about 300 bytes when stored, as a token's has.
func benchRecord(n int, revision uint64) *remint.Record {
	return recordtest.New(recordtest.Fields{
		ID: benchID(n), Revision: revision, Owner: "organization", SweepAt: benchTime,
		Payload: benchPayload,
	}).(*remint.Record)
}

var benchPayload = strings.Repeat("x", 240)

// benchID is in no order of n, as what is rotated is in none.
func benchID(n int) (id remint.ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n+1)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

func benchEvent(r *remint.Record) remint.Event {
	return remint.Event{
		Kind: remint.EventRotate, Token: r.ID(), Revision: r.Revision(), Owner: r.Owner(),
		At: benchTime, Actor: "01JGZ7Q8X0ABCDEFGHJKMNPQRS", Generation: r.Revision(),
	}
}

func benchStore(b *testing.B, tokens int, opts *Options) *Store {
	b.Helper()
	s, err := Open(filepath.Join(b.TempDir(), "tokens.db"), opts)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	var all sync.WaitGroup
	for w := range 16 {
		all.Go(func() {
			for n := w; n < tokens; n += 16 * 64 {
				var batch remint.Batch
				for i := n; i < tokens && len(batch.Put) < 64; i += 16 {
					batch.Put = append(batch.Put, remint.Put{Record: benchRecord(i, 1)})
				}
				if err := s.Commit(b.Context(), batch); err != nil {
					b.Error(err)
				}
			}
		})
	}
	all.Wait()
	return s
}

func BenchmarkLoad(b *testing.B) {
	for _, tokens := range []int{1000, 100_000} {
		s := benchStore(b, tokens, &Options{CacheBytes: 1 << 30})
		ctx := context.Background()
		load := func(i int) {
			if _, err := s.Load(ctx, benchID(i%tokens)); err != nil {
				b.Error(err)
			}
		}
		b.Run(fmt.Sprintf("warm/tokens=%d", tokens), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				load(i)
			}
		})
		b.Run(fmt.Sprintf("warm and parallel/tokens=%d", tokens), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					load(i)
				}
			})
		})
		b.Run(fmt.Sprintf("from the file/tokens=%d", tokens), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := s.loadFile(benchID(i % tokens)); err != nil {
					b.Error(err)
				}
			}
		})
		b.Run(fmt.Sprintf("of an unknown ID/tokens=%d", tokens), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.Load(ctx, benchID(-1-i))
			}
		})
	}
}

// BenchmarkCommit commits one record, which replaces one, and one event.
func BenchmarkCommit(b *testing.B) {
	for _, tokens := range []int{1000, 100_000} {
		for _, writers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("tokens=%d/writers=%d/store", tokens, writers), func(b *testing.B) {
				s := benchStore(b, tokens, nil)
				commitAll(b, tokens, writers, func(r *remint.Record, e remint.Event) error {
					return s.Commit(context.Background(), remint.Batch{
						Put: []remint.Put{{Record: r, Replaces: r.Revision() - 1}}, Log: []remint.Event{e},
					})
				})
			})
			b.Run(fmt.Sprintf("tokens=%d/writers=%d/bbolt by hand in groups", tokens, writers), func(b *testing.B) {
				s := benchStore(b, tokens, nil)
				g := newByHand(s)
				defer close(g.in)
				commitAll(b, tokens, writers, g.commit)
			})
			b.Run(fmt.Sprintf("tokens=%d/writers=%d/bbolt Update for each", tokens, writers), func(b *testing.B) {
				s := benchStore(b, tokens, nil)
				commitAll(b, tokens, writers, func(r *remint.Record, e remint.Event) error {
					c := &handCommit{record: encode(r), id: r.ID()}
					c.event, _ = e.AppendBinary(nil)
					return s.db.Update(func(tx *bbolt.Tx) error { return c.put(s, tx) })
				})
			})
		}
	}
	b.Run("yardstick: append 4 KiB and fsync", func(b *testing.B) {
		f, err := os.Create(filepath.Join(b.TempDir(), "log"))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		block := make([]byte, 4096)
		for b.Loop() {
			f.Write(block)
			if err := f.Sync(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
	})
}

// commitAll commits b.N times, each writer to tokens of its own.
func commitAll(b *testing.B, tokens, writers int, commit func(*remint.Record, remint.Event) error) {
	revisions := make([]uint64, tokens)
	for i := range revisions {
		revisions[i] = 1
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	var all sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for w := range writers {
		all.Go(func() {
			for n := w; left.Add(-1) >= 0; n += writers * 37 {
				if n >= tokens {
					n = w
				}
				revisions[n]++
				r := benchRecord(n, revisions[n])
				if err := commit(r, benchEvent(r)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

// byHand is what one would write around bbolt for nothing but this: a goroutine that drains
// whatever queued during the previous transaction.
type byHand struct {
	in chan *handCommit
}

type handCommit struct {
	id            remint.ID
	record, event []byte
	done          chan error
}

func (c *handCommit) put(s *Store, tx *bbolt.Tx) error {
	top := tx.Bucket(s.bucket)
	if err := top.Bucket(bucketRecords).Put(c.id[:], c.record); err != nil {
		return err
	}
	events := top.Bucket(bucketEvents)
	events.FillPercent = 0.9
	position, err := events.NextSequence()
	if err != nil {
		return err
	}
	return events.Put(appendPosition(nil, position), c.event)
}

func newByHand(s *Store) *byHand {
	g := &byHand{in: make(chan *handCommit, 256)}
	go func() {
		var group []*handCommit
		for c := range g.in {
			group = append(group[:0], c)
			for range 4 {
				for n := len(g.in); n > 0; n-- {
					group = append(group, <-g.in)
				}
				if len(group) == 1 {
					break
				}
				runtime.Gosched()
			}
			err := s.db.Update(func(tx *bbolt.Tx) error {
				for _, c := range group {
					if err := c.put(s, tx); err != nil {
						return err
					}
				}
				return nil
			})
			for _, c := range group {
				c.done <- err
			}
		}
	}()
	return g
}

func (g *byHand) commit(r *remint.Record, e remint.Event) error {
	c := &handCommit{id: r.ID(), record: encode(r), done: make(chan error, 1)}
	c.event, _ = e.AppendBinary(nil)
	g.in <- c
	return <-c.done
}
