package storebolt

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
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
		ids := make([]remint.ID, 1<<17)
		for i := range ids {
			ids[i] = benchID(i % tokens)
		}
		load := func(i int) {
			if _, err := s.Load(ctx, ids[i%len(ids)]); err != nil {
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
				if _, err := s.loadFile(ids[i%len(ids)]); err != nil {
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
			run := func(name string, begin func(*Store) committer) {
				tb := sync.OnceValue(func() *rotation { return &rotation{s: benchStore(b, tokens, nil)} })
				b.Run(fmt.Sprintf("tokens=%d/writers=%d/%s", tokens, writers, name), func(b *testing.B) {
					tb().run(b, tokens, writers, begin)
				})
			}
			run("store", throughStore)
			run("bbolt by hand in groups", byHand)
			run("bbolt Update for each", forEach)
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

// BenchmarkCommitWithFreePages commits one record and one event at a time to a file with many
// free pages, as a long transaction of an application leaves them.
func BenchmarkCommitWithFreePages(b *testing.B) {
	const tokens = 1000
	for _, pages := range []int{0, 100_000} {
		for name, always := range map[string]bool{"store": false, "with the list always written": true} {
			tb := sync.OnceValue(func() *rotation {
				s := benchStore(b, tokens, nil)
				addFreePages(b, s, tokens, pages)
				s.owned = !always // or it would decide
				s.db.NoFreelistSync = false
				return &rotation{s: s}
			})
			b.Run(fmt.Sprintf("pages=%d/%s", pages, name), func(b *testing.B) {
				tb().run(b, tokens, 1, throughStore)
			})
		}
	}
}

// addFreePages holds a transaction open while records are rewritten.
func addFreePages(b *testing.B, s *Store, tokens, pages int) {
	b.Helper()
	tx, err := s.db.Begin(false)
	if err != nil {
		b.Fatal(err)
	}
	defer tx.Rollback()
	s.db.NoSync = true
	defer func() { s.db.NoSync = false }()
	for n := 0; s.db.Stats().PendingPageN < pages; n += 64 {
		var batch remint.Batch
		for i := range 64 {
			batch.Touch = append(batch.Touch, benchRecord((n+i)%tokens, 1))
		}
		if err := s.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
}

// A rotation commits to the tokens of a store, in all the rounds of a benchmark.
type rotation struct {
	s         *Store
	revisions []uint64
}

// A committer commits a record, which replaces that of the revision before, and an event.
type committer struct {
	commit func(*remint.Record, remint.Event) error
	end    func()
}

// run commits b.N times, each writer to tokens of its own.
func (r *rotation) run(b *testing.B, tokens, writers int, begin func(*Store) committer) {
	for len(r.revisions) < tokens {
		r.revisions = append(r.revisions, 1)
	}
	c := begin(r.s)
	defer c.end()
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
				r.revisions[n]++
				record := benchRecord(n, r.revisions[n])
				if err := c.commit(record, benchEvent(record)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}

// BenchmarkBackup copies a file to another, alone and while 8 writers commit to it. What those
// come to is beside it, and how much the file has grown by then.
func BenchmarkBackup(b *testing.B) {
	for _, tokens := range []int{1000, 100_000} {
		for _, writers := range []int{0, 8} {
			b.Run(fmt.Sprintf("tokens=%d/writers=%d", tokens, writers), func(b *testing.B) {
				s := benchStore(b, tokens, nil)
				to, err := os.Create(filepath.Join(b.TempDir(), "copy"))
				if err != nil {
					b.Fatal(err)
				}
				defer to.Close()
				before, _ := os.Stat(s.path)
				var done atomic.Bool
				var commits atomic.Int64
				var all sync.WaitGroup
				for w := range writers {
					all.Go(func() {
						for revision := uint64(2); !done.Load(); revision++ {
							for n := w; n < tokens && !done.Load(); n += writers {
								r := benchRecord(n, revision)
								if err := throughStore(s).commit(r, benchEvent(r)); err != nil {
									b.Error(err)
									return
								}
								commits.Add(1)
							}
						}
					})
				}
				b.SetBytes(before.Size())
				b.ResetTimer()
				for b.Loop() {
					if _, err := to.Seek(0, io.SeekStart); err != nil {
						b.Fatal(err)
					}
					if err := s.Backup(b.Context(), to); err != nil {
						b.Fatal(err)
					}
					if err := to.Sync(); err != nil {
						b.Fatal(err)
					}
				}
				elapsed := b.Elapsed()
				done.Store(true)
				all.Wait()
				after, _ := os.Stat(s.path)
				b.ReportMetric(float64(commits.Load())/elapsed.Seconds(), "commits/s")
				b.ReportMetric(float64(after.Size())/float64(before.Size()), "growth")
			})
		}
	}
	b.Run("yardstick: copy the file", func(b *testing.B) {
		s := benchStore(b, 100_000, nil)
		to, err := os.Create(filepath.Join(b.TempDir(), "copy"))
		if err != nil {
			b.Fatal(err)
		}
		defer to.Close()
		from, err := os.ReadFile(s.path)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(from)))
		for b.Loop() {
			if _, err := to.WriteAt(from, 0); err != nil {
				b.Fatal(err)
			}
			if err := to.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func throughStore(s *Store) committer {
	return committer{func(r *remint.Record, e remint.Event) error {
		return s.Commit(context.Background(), remint.Batch{
			Put: []remint.Put{{Record: r, Replaces: r.Revision() - 1}}, Log: []remint.Event{e},
		})
	}, func() {}}
}

// forEach has a transaction for each commit, as one would write it first.
func forEach(s *Store) committer {
	return committer{func(r *remint.Record, e remint.Event) error {
		c := newHandCommit(r, e)
		return s.db.Update(func(tx *bbolt.Tx) error { return c.put(s, tx) })
	}, func() {}}
}

// byHand is what one would write around bbolt for nothing but this: a goroutine that drains
// whatever queued during the previous transaction.
func byHand(s *Store) committer {
	in := make(chan *handCommit, 256)
	go func() {
		var group []*handCommit
		for c := range in {
			group = append(group[:0], c)
			for range 4 {
				for n := len(in); n > 0; n-- {
					group = append(group, <-in)
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
	return committer{func(r *remint.Record, e remint.Event) error {
		c := newHandCommit(r, e)
		in <- c
		return <-c.done
	}, func() { close(in) }}
}

type handCommit struct {
	id            remint.ID
	record, event []byte
	done          chan error
}

func newHandCommit(r *remint.Record, e remint.Event) *handCommit {
	c := &handCommit{id: r.ID(), record: encode(r), done: make(chan error, 1)}
	c.event, _ = e.AppendBinary(nil)
	return c
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
