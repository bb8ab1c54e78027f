package soak

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/remint-go/remint"
)

// stats are what there was of each kind of request.
type stats struct {
	mu    sync.Mutex
	kinds map[string]*kindStats

	lost, margin, sweep, perhaps, certain int64

	grace   int64 // uses of an old secret that were accepted, in its grace
	refused int64 // uses of what had stopped, or never was
}

type kindStats struct {
	n      int64
	served int64 // with 2xx
	took   histogram
}

// A histogram has the times of requests in classes of 5 %.
type histogram struct {
	counts [320]int64
	n      int64
	max    time.Duration
}

const classWidth = 1.05

func (h *histogram) add(d time.Duration) {
	k := int(math.Log(float64(max(d, time.Microsecond))/float64(time.Microsecond)) / math.Log(classWidth))
	h.counts[min(k, len(h.counts)-1)]++
	h.n++
	h.max = max(h.max, d)
}

// quantile returns a time that so many of the requests did not exceed, rounded up to the class.
func (h *histogram) quantile(q float64) time.Duration {
	rest := int64(math.Ceil(q * float64(h.n)))
	for k, n := range h.counts {
		if rest -= n; rest <= 0 {
			return min(h.max, time.Duration(math.Pow(classWidth, float64(k+1))*float64(time.Microsecond)))
		}
	}
	return h.max
}

func (h *histogram) merge(o *histogram) {
	for k, n := range o.counts {
		h.counts[k] += n
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// count counts a request. What was lost has no time.
func (s *Soak) count(a *act, took time.Duration, r *reply, v verdict) {
	st := &s.stats
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.kinds == nil {
		st.kinds = map[string]*kindStats{}
	}
	k := st.kinds[a.kind]
	if k == nil {
		k = &kindStats{}
		st.kinds[a.kind] = k
	}
	k.n++
	switch {
	case r == nil:
		st.lost++
		return
	case v.margin:
		st.margin++
	case v.sweep:
		st.sweep++
	case v.perhaps:
		st.perhaps++
	default:
		st.certain++
	}
	if r.status/100 == 2 {
		k.served++
	}
	switch old := r.header.Get("Deprecation") != ""; {
	case a.format != appFormat:
	case r.status == 200 && old:
		st.grace++
	case r.status == 401:
		st.refused++
	}
	k.took.add(took)
}

// requests returns how many there were.
func (st *stats) requests() (n int64) {
	st.mu.Lock()
	defer st.mu.Unlock()
	for _, k := range st.kinds {
		n += k.n
	}
	return n
}

// table is in Markdown.
func (st *stats) table() string {
	st.mu.Lock()
	defer st.mu.Unlock()
	byGroup := map[string]*kindStats{}
	total := new(kindStats)
	for name, k := range st.kinds {
		if strings.HasPrefix(name, "bad input") {
			name = "bad input"
		}
		g := byGroup[name]
		if g == nil {
			g = new(kindStats)
			byGroup[name] = g
		}
		for _, to := range []*kindStats{g, total} {
			to.n += k.n
			to.served += k.served
			to.took.merge(&k.took)
		}
	}
	var b strings.Builder
	b.WriteString("| requests | number | served | p50 | p99 | max |\n|---|---:|---:|---:|---:|---:|\n")
	row := func(name string, k *kindStats) {
		fmt.Fprintf(&b, "| %s | %d | %d | %s | %s | %s |\n", name, k.n, k.served, millis(k.took.quantile(0.5)), millis(k.took.quantile(0.99)), millis(k.took.max))
	}
	for _, name := range slices.Sorted(maps.Keys(byGroup)) {
		row(name, byGroup[name])
	}
	row("**all**", total)
	return b.String()
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

// answered returns how many requests were.
func (st *stats) answered() int64 { return st.margin + st.sweep + st.perhaps + st.certain }

func percent(n, of int64) string { return fmt.Sprintf("%.2f %%", 100*float64(n)/float64(max(of, 1))) }

// summary is what a soak that has ended has to say.
func (s *Soak) summary() []string {
	st, of, events := &s.stats, s.stats.answered(), s.service.Events
	return []string{
		fmt.Sprintf("%d requests, %d wrong answers; %d requests were cut off", st.requests(), s.wronged, st.lost),
		fmt.Sprintf("of %d answers %s came so near to a boundary (within %d ms, and what they took themselves) that another would have been right, too",
			of, percent(st.margin, of), margin/1000),
		fmt.Sprintf("%s depended on what had been swept, and %s on what had become of a request that was cut off", percent(st.sweep, of), percent(st.perhaps, of)),
		fmt.Sprintf("%d uses of an old secret in its grace were accepted, and %d of what had stopped, or never was, refused", st.grace, st.refused),
		fmt.Sprintf("%d tokens and sessions issued, %d rotations, %d first uses, %d answers given again, %d revocations, %d reuses noted",
			events(remint.EventIssue), events(remint.EventRotate), events(remint.EventConfirm), events(remint.EventReplay),
			events(remint.EventRevoke), events(remint.EventReuse)),
		fmt.Sprintf("%d sweeps removed %d tokens", s.service.sweeps.Load(), events(remint.EventRemove)),
		"\n" + st.table() + "\n" + s.watched(),
	}
}
