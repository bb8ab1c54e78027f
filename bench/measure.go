package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A subject is one thing that is measured.
type subject struct {
	name string
	// run does the work n times.
	run func(n int) error
	// before is called before each run, outside the time that is measured.
	before func(n int) error
	// least is how often, at least: once for each of its goroutines, where it has several.
	least int
	// cells are what it says in the table's own columns.
	cells []string
}

// A table has subjects that do the same work.
type table struct {
	name, title string
	notes       []string
	columns     []string // for the subjects' cells
	against     []string // subjects that the others are compared with
	rates       bool     // compare what is done in a second, not how long it takes
	over        string   // a subject that the others contain: what they take beside it is told
	subjects    []subject
}

// A figure is what was measured of a subject.
type figure struct {
	Name   string             `json:"name"`
	Cells  []string           `json:"cells,omitempty"`
	N      int                `json:"n"` // operations of a sample
	Nanos  summary            `json:"ns"`
	Ratios map[string]float64 `json:"ratios,omitempty"`
	Over   float64            `json:"over_ns,omitempty"` // beside the subject that is contained
	Allocs float64            `json:"allocs"`
	Bytes  float64            `json:"bytes"`
	// Samples are nanoseconds for one operation, round by round.
	Samples []float64 `json:"samples"`
}

// measure gives every subject its turn in each round.
func measure(t *table, rounds int, each time.Duration) ([]figure, error) {
	figures := make([]figure, len(t.subjects))
	allocs, bytes := make([][]float64, len(figures)), make([][]float64, len(figures))
	for i, s := range t.subjects {
		n, err := calibrate(s, each)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", t.name, s.name, err)
		}
		figures[i] = figure{Name: s.name, Cells: s.cells, N: n}
	}
	for range rounds {
		for _, i := range rand.Perm(len(figures)) {
			f := &figures[i]
			took, mallocs, size, err := once(t.subjects[i], f.N)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", t.name, f.Name, err)
			}
			f.Samples = append(f.Samples, float64(took.Nanoseconds())/float64(f.N))
			allocs[i] = append(allocs[i], float64(mallocs)/float64(f.N))
			bytes[i] = append(bytes[i], float64(size)/float64(f.N))
		}
	}
	for i := range figures {
		f := &figures[i]
		f.Nanos = summarize(f.Samples)
		f.Allocs, f.Bytes = summarize(allocs[i]).Median, summarize(bytes[i]).Median
	}
	return figures, compare(t, figures)
}

// compare fills in the ratios and the differences.
func compare(t *table, figures []figure) error {
	if t.over != "" {
		k := slices.IndexFunc(figures, func(f figure) bool { return f.Name == t.over })
		if k < 0 {
			return fmt.Errorf("%s: there is no %q to be over", t.name, t.over)
		}
		for i := range figures {
			figures[i].Over = difference(figures[i].Samples, figures[k].Samples)
		}
	}
	for _, yard := range t.against {
		k := slices.IndexFunc(figures, func(f figure) bool { return f.Name == yard })
		if k < 0 {
			return fmt.Errorf("%s: there is no %q to compare with", t.name, yard)
		}
		for i := range figures {
			a, b := figures[i].Samples, figures[k].Samples
			if t.rates {
				a, b = b, a
			}
			if figures[i].Ratios == nil {
				figures[i].Ratios = map[string]float64{}
			}
			figures[i].Ratios[yard] = ratio(a, b)
		}
	}
	return nil
}

// once runs a subject, and returns what that took.
func once(s subject, n int) (took time.Duration, mallocs, bytes uint64, err error) {
	if s.before != nil {
		if err := s.before(n); err != nil {
			return 0, 0, 0, err
		}
	}
	runtime.GC()
	var was, is runtime.MemStats
	runtime.ReadMemStats(&was)
	start := time.Now()
	err = s.run(n)
	took = time.Since(start)
	runtime.ReadMemStats(&is)
	return max(took, 1), is.Mallocs - was.Mallocs, is.TotalAlloc - was.TotalAlloc, err
}

// calibrate returns how often a subject does its work in about that time: least, at least.
func calibrate(s subject, each time.Duration) (int, error) {
	n := max(1, s.least)
	for calm := 0; ; {
		took, _, _, err := once(s, n)
		if err != nil {
			return 0, err
		}
		fits := max(s.least, 1, int(float64(n)*float64(each)/float64(took)))
		if took < each/3 {
			n = min(max(n+1, fits), 50*n) // the first ones tell little
			continue
		}
		// Something else may have slowed it down just now: it has to take its time twice.
		if calm++; calm == 2 {
			return fits, nil
		}
		n = fits
	}
}

// parallel does n operations on that many goroutines. Each is told which of them it is, and
// which of its own operations this is.
func parallel(goroutines, n int, do func(worker, i int) error) error {
	if goroutines == 1 {
		for i := range n {
			if err := do(0, i); err != nil {
				return err
			}
		}
		return nil
	}
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for w := range goroutines {
		all.Go(func() {
			share := n / goroutines
			if w < n%goroutines {
				share++
			}
			for i := range share {
				if err := do(w, i); err != nil {
					failed.Store(&err)
					return
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}
