package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// scalePart tells what a number of tokens takes: memory, disk, and time for what is not verifying.
func scalePart(r *run) error {
	memory := &result{
		Name: "scale/memory", Title: "By the number of tokens, in memory",
		Columns: []string{"tokens", "issue one", "information", "heap", "with an event", "of the information", "list 256", "sweep, nothing due", "sweep, all due: for one"},
		Notes: []string{
			"Bytes are of one token. Its information is the length of its record as it is encoded; the heap is what is in use after a collection, of the store without any events, and with the one that issuing logs.",
			fmt.Sprintf("Of what is due, %s are swept at most.", count(sweptAtMost)),
		},
	}
	file := &result{
		Name: "scale/bbolt", Title: "By the number of tokens, on bbolt",
		Columns: []string{"tokens", "fill", "file", "for one", "close", "open", "open after a kill", "list 256", "sweep, nothing due", "sweep, all due: for one", "open after a kill then"},
		Notes: []string{
			"Bytes are of one token, its indexes and the event that issuing logs. It is filled in batches of 32, which come from " + count(float64(16*runtime.GOMAXPROCS(0))) + " goroutines.",
			"Open is after Close. A kill leaves the file as it is while nobody commits: a copy of that is opened. Both files are in the page cache.",
			"After the sweep the file has many free pages. From 4,096 on they are not listed while it is in use, and who opens it after a kill reads it to find them.",
		},
	}
	for _, n := range r.scale {
		if free := availableMemory(); free > 0 && int64(n)*bytesInMemory > free {
			note := fmt.Sprintf("%s tokens want %s MiB, of which %s were free.", count(float64(n)), count(float64(int64(n)*bytesInMemory>>20)), count(float64(free>>20)))
			memory.Notes = append(memory.Notes, note)
			continue
		}
		if err := r.scaleOf(n, memory, file); err != nil {
			return err
		}
		runtime.GC()
	}
	r.add(memory)
	r.add(file)
	return nil
}

// sweptAtMost is how many tokens are swept to know what one takes.
const sweptAtMost = 1 << 15

func (r *run) scaleOf(n int, memory, file *result) error {
	r.tell("scale: issuing %d tokens", n)
	empty := heap()
	m := new(store.Memory)
	issuer, err := newIssuer(m, remint.Options{})
	if err != nil {
		return err
	}
	op, expires := issuer.Operator("bench"), time.Now().Add(day)
	owner := ownerOf(0)
	var from remint.ID
	start := time.Now()
	for i := range n {
		g, err := op.Issue(r.ctx, spec(i, owner, expires))
		if err != nil {
			return err
		}
		if i == n/4 { // IDs of one millisecond are in no order
			from = g.Token.ID()
		}
	}
	issue := float64(time.Since(start)) / float64(n)
	withEvents := float64(heap()-empty) / float64(n)
	if err := trimEvents(r.ctx, m); err != nil {
		return err
	}
	without := float64(heap()-empty) / float64(n)
	information, err := meanLength(r.ctx, m)
	if err != nil {
		return err
	}
	if err := r.scaleOfFile(n, m, from, file); err != nil {
		return err
	}
	list, err := timeOfList(r.ctx, issuer, owner, from, n)
	if err != nil {
		return err
	}
	nothing, one, err := timeOfSweep(r.ctx, m, n)
	if err != nil {
		return err
	}
	memory.Facts = append(memory.Facts, []string{
		count(float64(n)), nanos(issue), significant(information), significant(without), significant(withEvents),
		significant(without/information) + " ×", nanos(list), nanos(nothing), nanos(one),
	})
	runtime.KeepAlive(m)
	return nil
}

func (r *run) scaleOfFile(n int, tokens *store.Memory, from remint.ID, file *result) error {
	path := r.file(fmt.Sprintf("scale-%d.db", n))
	db, err := storebolt.Open(path, nil)
	if err != nil {
		return err
	}
	defer func() { db.Close() }() // whichever it is by then; a second time does no harm
	start := time.Now()
	if err := copyRecords(r.ctx, db, tokens); err != nil {
		return err
	}
	fill := time.Since(start)
	killed := path + ".killed"
	if err := copyFile(killed, path); err != nil {
		return err
	}
	start = time.Now()
	if err := db.Close(); err != nil {
		return err
	}
	closing := time.Since(start)
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	open, err := timeOfOpen(path, 5)
	if err != nil {
		return err
	}
	openKilled, err := timeOfOpen(killed, 1) // it is closed properly then
	if err != nil {
		return err
	}
	if err := os.Remove(killed); err != nil {
		return err
	}
	if db, err = storebolt.Open(path, nil); err != nil {
		return err
	}
	issuer, err := newIssuer(db, remint.Options{})
	if err != nil {
		return err
	}
	list, err := timeOfList(r.ctx, issuer, ownerOf(0), from, n)
	if err != nil {
		return err
	}
	nothing, one, err := timeOfSweep(r.ctx, db, n)
	if err != nil {
		return err
	}
	if err := copyFile(killed, path); err != nil {
		return err
	}
	openSwept, err := timeOfOpen(killed, 1)
	if err != nil {
		return err
	}
	if err := os.Remove(killed); err != nil {
		return err
	}
	file.Facts = append(file.Facts, []string{
		count(float64(n)), nanos(float64(fill)), count(float64(info.Size()>>10)) + " KiB", significant(float64(info.Size()) / float64(n)),
		nanos(float64(closing)), nanos(open), nanos(openKilled), nanos(list), nanos(nothing), nanos(one), nanos(openSwept),
	})
	err = db.Close()
	return errors.Join(err, os.Remove(path))
}

// heap returns how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one found to finalize
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// meanLength returns how long records are, encoded.
func meanLength(ctx context.Context, s remint.Store) (float64, error) {
	page, err := s.Scan(ctx, remint.ID{}, 1000)
	if err != nil || len(page) == 0 {
		return 0, errors.Join(errors.New("there is no record"), err)
	}
	var data []byte
	for _, record := range page {
		if data, err = record.AppendBinary(data); err != nil {
			return 0, err
		}
	}
	return float64(len(data)) / float64(len(page)), nil
}

// repeated returns the median time of several calls, in nanoseconds.
func repeated(times int, do func() error) (float64, error) {
	var samples []float64
	for range times {
		start := time.Now()
		if err := do(); err != nil {
			return 0, err
		}
		samples = append(samples, float64(time.Since(start)))
	}
	return summarize(samples).Median, nil
}

func timeOfOpen(path string, times int) (float64, error) {
	var samples []float64
	for range times {
		start := time.Now()
		db, err := storebolt.Open(path, nil)
		if err != nil {
			return 0, err
		}
		samples = append(samples, float64(time.Since(start)))
		if err := db.Close(); err != nil {
			return 0, err
		}
	}
	return summarize(samples).Median, nil
}

// timeOfList lists a page that is not the first.
func timeOfList(ctx context.Context, issuer *remint.Issuer, owner string, from remint.ID, n int) (float64, error) {
	want := min(256, n/4)
	return repeated(21, func() error {
		got := 0
		for _, err := range issuer.Operator("bench").List(ctx, remint.Query{Owner: owner, After: from}) {
			if err != nil {
				return err
			}
			if got++; got == want {
				return nil
			}
		}
		return fmt.Errorf("%d tokens were listed instead of %d", got, want)
	})
}

// timeOfSweep sweeps when nothing is due, and when all is: the time for one token. It
// removes tokens.
func timeOfSweep(ctx context.Context, s remint.Store, n int) (nothing, one float64, err error) {
	now, err := newIssuer(s, remint.Options{})
	if err != nil {
		return 0, 0, err
	}
	if nothing, err = repeated(9, func() error { return now.Sweep(ctx) }); err != nil {
		return 0, 0, err
	}
	removed := 0
	later, err := newIssuer(s, remint.Options{
		Now: func() time.Time { return time.Now().Add(365 * day) },
		Observe: func(_ context.Context, e remint.Event) {
			if e.Kind == remint.EventRemove {
				removed++
			}
		},
	})
	if err != nil {
		return 0, 0, err
	}
	start, want := time.Now(), min(n, sweptAtMost)
	for removed < want {
		was := removed
		if err := later.Sweep(ctx); err != nil {
			return 0, 0, err
		}
		if removed == was {
			return 0, 0, fmt.Errorf("only %d of %d tokens were swept", removed, want)
		}
	}
	return nothing, float64(time.Since(start)) / float64(removed), nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
