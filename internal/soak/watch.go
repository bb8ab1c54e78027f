package soak

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/remint-go/remint"
)

// A sample is what the process and the store hold at a moment.
type sample struct {
	at         time.Duration
	heap       int64 // bytes, after a collection
	goroutines int64
	file       int64 // bytes
	records    int64
	events     int64
}

// watch looks at them while the clients act.
type watch struct {
	samples []sample
	before  int // goroutines, before there was a service
	after   int
	failed  error
}

// goroutines is how many there are before the service starts.
func (w *watch) goroutines() { w.before = runtime.NumGoroutine() }

// begin looks until ctx ends, sixty times at least if the soak is long enough for it.
func (w *watch) begin(ctx context.Context, s *Soak, log func(string, ...any)) {
	begun := time.Now()
	every := max(250*time.Millisecond, min(s.Duration/60, 10*time.Second))
	tick := time.NewTicker(every)
	defer tick.Stop()
	told := begun
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		x, err := s.sample(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.failed = err
			return
		}
		x.at = time.Since(begun)
		w.samples = append(w.samples, x)
		if time.Since(told) >= s.Duration/12 {
			told = time.Now()
			wrong, _ := s.Wrong()
			log("%s: %d requests, %d wrong; %s", x.at.Round(time.Second), s.stats.requests(), wrong, x)
		}
	}
}

func (x sample) String() string {
	return fmt.Sprintf("heap %.1f MiB, %d goroutines, file %.1f MiB, %d records, %d events",
		float64(x.heap)/(1<<20), x.goroutines, float64(x.file)/(1<<20), x.records, x.events)
}

func (s *Soak) sample(ctx context.Context) (x sample, err error) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	x.heap, x.goroutines, x.file = int64(m.HeapAlloc), int64(runtime.NumGoroutine()), s.service.size()
	for after := (remint.ID{}); ; {
		page, err := s.service.db.Scan(ctx, after, 512)
		if err != nil {
			return x, err
		}
		if len(page) == 0 {
			break
		}
		x.records += int64(len(page))
		after = page[len(page)-1].ID()
	}
	for at := remint.Cursor(""); ; {
		page, next, err := s.service.db.Events(ctx, at, 512)
		if err != nil {
			return x, err
		}
		if len(page) == 0 {
			return x, nil
		}
		x.events += int64(len(page))
		at = next
	}
}

// end is called when everything is closed. Goroutines that were told to end may take a moment to.
func (w *watch) end(patience time.Duration) {
	for deadline := time.Now().Add(patience); ; runtime.Gosched() {
		if w.after = runtime.NumGoroutine(); w.after <= w.before || time.Now().After(deadline) {
			return
		}
	}
}

// A measure is one thing of a sample, and how much it may grow beside what the factor allows.
type measure struct {
	name string
	of   func(sample) int64
	more int64
}

// growth is the factor by which the median of the last third may exceed that of the second. The first is for warming
// up. What leaks evenly from the beginning on has a median in the last third that is 5/3 of that in the second, and
// a maximum that is only 3/2.
const growth = 1.25

// measures are what may not grow. What the store holds depends on how much the clients get done while others use
// the machine, too.
func (s *Soak) measures() []measure {
	clients := int64(s.Clients)
	return []measure{
		{"heap", func(x sample) int64 { return x.heap }, 2 << 20},
		{"goroutines", func(x sample) int64 { return x.goroutines }, 16},
		{"file", func(x sample) int64 { return x.file }, 128 << 10},
		{"records", func(x sample) int64 { return x.records }, 8 * clients},
		{"events", func(x sample) int64 { return x.events }, 24 * clients},
	}
}

// grown says what grows: what is more in the last third of the samples than can be by chance.
func (s *Soak) grown() (list []string) {
	for _, m := range s.measures() {
		t := s.thirds(m)
		if second, last := median(t[1]), median(t[2]); float64(last) > growth*float64(second)+float64(m.more) {
			list = append(list, fmt.Sprintf("%s: %d in the middle of the second third, and %d of the last", m.name, second, last))
		}
	}
	return list
}

// thirds are the values of one measure, in order.
func (s *Soak) thirds(m measure) (t [3][]int64) {
	n := len(s.watch.samples)
	for k, x := range s.watch.samples {
		third := min(3*k/n, 2)
		t[third] = append(t[third], m.of(x))
	}
	for k := range t {
		slices.Sort(t[k])
	}
	return t
}

// median is that of sorted values.
func median(values []int64) int64 {
	if len(values) == 0 {
		return 0
	}
	return values[len(values)/2]
}

// watched has the medians of the thirds and the most that there ever was, in Markdown.
func (s *Soak) watched() string {
	var b strings.Builder
	b.WriteString("| median | first third | second | last | most ever |\n|---|---:|---:|---:|---:|\n")
	for _, m := range s.measures() {
		t := s.thirds(m)
		var most int64
		for _, x := range s.watch.samples {
			most = max(most, m.of(x))
		}
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", m.name, median(t[0]), median(t[1]), median(t[2]), most)
	}
	return b.String()
}
