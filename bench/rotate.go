package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"

	"github.com/remint-go/remint"
)

const (
	yardS = "S: append 4 KiB and fsync"
	yardL = "L: bbolt, committing in groups, by hand"
	yardU = "U: bbolt, a transaction for each, by hand"
)

const boltRotations = "remint, bbolt"

// rotatePart replaces the secrets of 1,000 tokens, by the number of writers.
func rotatePart(r *run) error {
	for _, writers := range []int{1, 8, 64} {
		if err := r.rotate(writers); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) rotate(writers int) error {
	const n = 1024
	memory, err := newRotation(r, n, writers)
	if err != nil {
		return err
	}
	file := func(name string) string { return fmt.Sprintf("%s-%d.db", name, writers) }
	db, closeFile, err := r.bolt(file("rotate"))
	if err != nil {
		return err
	}
	defer closeFile()
	bolt, err := memory.on(r.ctx, db)
	if err != nil {
		return err
	}
	raw, err := newRaw(r.file(file("raw")), bolt)
	if err != nil {
		return err
	}
	defer raw.close()
	appends, closeAppends, err := appendSubject(r.file(file("append")))
	if err != nil {
		return err
	}
	defer closeAppends()
	fosite, err := fositeRefresh(r, n, writers)
	if err != nil {
		return err
	}
	renew, closeRenew, err := scsRenewals(r, n, writers)
	if err != nil {
		return err
	}
	defer closeRenew()
	return r.measure(&table{
		name: fmt.Sprintf("rotate/writers=%d", writers), title: "Rotate, " + plural(writers, "writer"),
		against: []string{yardS, yardL, yardU}, rates: true,
		notes: []string{"What fosite keeps grows with each of its rotations: it removes nothing that was replaced. A lock was added, without which its store is not safe for several goroutines."},
		subjects: append([]subject{
			{name: yardS, run: appends},
			{name: yardL, run: raw.inGroups(writers), least: writers},
			{name: yardU, run: raw.one(writers), least: writers},
			{name: boltRotations, run: bolt.run, least: writers},
			{name: "remint, memory", run: memory.run, least: writers, before: func(int) error { return trimEvents(r.ctx, memory.store) }},
			fosite,
		}, renew...),
	})
}

func plural(n int, what string) string {
	if n == 1 {
		return "one " + what
	}
	return count(float64(n)) + " " + what + "s"
}

// rotateScalePart has 64 writers rotate in a file, by the number of tokens in it.
func rotateScalePart(r *run) error {
	const writers = 64
	for _, n := range r.scale {
		if memory := availableMemory(); memory > 0 && int64(n)*bytesInAll > memory {
			r.tell("rotate-scale: there is no memory for %d tokens: left out", n)
			continue
		}
		err := func() error {
			memory, err := newRotation(r, n, writers)
			if err != nil {
				return err
			}
			db, closeFile, err := r.bolt(fmt.Sprintf("rotate-scale-%d.db", n))
			if err != nil {
				return err
			}
			defer closeFile()
			bolt, err := memory.on(r.ctx, db)
			if err != nil {
				return err
			}
			raw, err := newRaw(r.file(fmt.Sprintf("raw-scale-%d.db", n)), bolt)
			if err != nil {
				return err
			}
			defer raw.close()
			return r.measure(&table{
				name:    fmt.Sprintf("rotate-scale/tokens=%d", n),
				title:   "Rotate one of " + count(float64(n)) + " tokens on bbolt, " + plural(writers, "writer"),
				against: []string{yardL}, rates: true,
				subjects: []subject{
					{name: yardL, run: raw.inGroups(writers), least: writers},
					{name: boltRotations, run: bolt.run, least: writers},
				},
			})
		}()
		if err != nil {
			return err
		}
		runtime.GC()
	}
	return nil
}

// A rotation replaces secrets, each writer those of tokens of its own: there is no race.
type rotation struct {
	store   remint.Store
	op      remint.Actor
	ids     []remint.ID
	writers int
	at      []int // of each writer
}

func newRotation(r *run, n, writers int) (*rotation, error) {
	t, err := issueTokens(r.ctx, n, remint.Options{})
	if err != nil {
		return nil, err
	}
	if err := proveRotation(r.ctx, t.issuer); err != nil {
		return nil, err
	}
	return &rotation{t.store, t.issuer.Operator("bench"), t.ids, writers, make([]int, writers)}, nil
}

// on is the same on another store, to which it copies the tokens.
func (w *rotation) on(ctx context.Context, s remint.Store) (*rotation, error) {
	if err := copyRecords(ctx, s, w.store); err != nil {
		return nil, err
	}
	issuer, err := newIssuer(s, remint.Options{})
	if err != nil {
		return nil, err
	}
	if err := proveRotation(ctx, issuer); err != nil {
		return nil, err
	}
	return &rotation{s, issuer.Operator("bench"), w.ids, w.writers, make([]int, w.writers)}, nil
}

// proveRotation rotates a token: the new secret works, and the old one does not.
func proveRotation(ctx context.Context, issuer *remint.Issuer) error {
	op := issuer.Operator("bench")
	was, err := op.Issue(ctx, spec(0, ownerOf(0), time.Now().Add(day)))
	if err != nil {
		return err
	}
	is, err := op.Rotate(ctx, was.Token.ID(), remint.Rotation{})
	if err != nil {
		return err
	}
	if _, err := issuer.Verify(ctx, was.Secret.Reveal(), netip.Addr{}); err == nil {
		return fmt.Errorf("a secret that was replaced is accepted")
	}
	_, err = issuer.Verify(ctx, is.Secret.Reveal(), netip.Addr{})
	return err
}

func (w *rotation) run(n int) error {
	return parallel(w.writers, n, func(worker, _ int) error {
		_, err := w.op.Rotate(context.Background(), w.ids[next(w.at, worker, w.writers, len(w.ids))], remint.Rotation{})
		return err
	})
}

// next returns which of n things a worker turns to: of the ones that are its own, the next.
func next(at []int, worker, workers, n int) int {
	own := n / workers // the rest is nobody's
	i := at[worker]
	if at[worker]++; at[worker] == own {
		at[worker] = 0
	}
	return worker + i*workers
}

// appendSubject appends to a file, and syncs each time. It has one writer: more would wait for one
// another.
func appendSubject(path string) (run func(int) error, close func() error, err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, nil, err
	}
	block := make([]byte, 4096)
	return func(n int) error {
		for range n {
			if _, err := f.Write(block); err != nil {
				return err
			}
			if err := f.Sync(); err != nil {
				return err
			}
		}
		return nil
	}, f.Close, nil
}
