package soak

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// What the harness is made of.

func TestRunsTakeEveryWayOnce(t *testing.T) {
	soon := bound{1000, 2000}
	var ways []string
	runs(new(world), 1500, 1600, 1, func(r *run) {
		if r.over(soon) {
			ways = append(ways, "over")
			return
		}
		r.later()
		ways = append(ways, fmt.Sprint("not yet, then over: ", r.over(soon), ", and another thing: ", r.choose()))
	}, func(r *run) {
		if !r.timely {
			t.Error("it was a question of time")
		}
	})
	want := []string{
		"not yet, then over: false, and another thing: false", "not yet, then over: false, and another thing: true",
		"not yet, then over: true, and another thing: false", "not yet, then over: true, and another thing: true", "over",
	}
	if slices.Sort(ways); !slices.Equal(ways, want) {
		t.Errorf("got %q", ways)
	}
}

func TestWhatIsFarFromABoundaryIsCertain(t *testing.T) {
	at := exactly(10_000_000)
	for _, x := range []struct {
		from, to int64
		over     bool
	}{{9_000_000, at.lo - margin - 1, false}, {at.hi + margin + 1, 11_000_000, true}} {
		n := 0
		runs(new(world), x.from, x.to, 1, func(r *run) {
			n++
			if got := r.over(at); got != x.over {
				t.Errorf("between %d and %d, over is %v", x.from, x.to, got)
			}
		}, func(*run) {})
		if n != 1 {
			t.Errorf("between %d and %d there are %d ways", x.from, x.to, n)
		}
	}
}

func TestWhatAnAnswerToldOfTheTimeIsKept(t *testing.T) {
	w := &world{[]*token{{n: 1, until: bound{1000, 100_000}}}}
	runs(w, 40_000, 50_000, 1, func(r *run) { r.over(r.w.get(1).until) }, func(r *run) {
		want := bound{40_000, 100_000}
		if r.said[0].over {
			want = bound{1000, 50_000}
		}
		if got := r.w.get(1).until; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestWorldsThatDifferInMomentsOnlyBecomeOne(t *testing.T) {
	a := &world{[]*token{{n: 1, revoked: bound{10, 20}}}}
	b := &world{[]*token{{n: 1, revoked: bound{15, 40}}}}
	c := &world{[]*token{{n: 1}}}
	got := belief{a, b, c}.merged(50)
	if len(got) != 2 || got[0].get(1).revoked != (bound{10, 40}) {
		t.Errorf("got %v", got)
	}
}

func TestOnlyWhatGrowsIsReported(t *testing.T) {
	s := &Soak{Clients: 16, Rate: 20}
	set := func(x *sample, k int, v int64) {
		*[]*int64{&x.heap, &x.goroutines, &x.file, &x.records, &x.events}[k] = v
	}
	for k, m := range s.measures() {
		for _, x := range []struct {
			name  string
			value func(at int) int64
			grows bool
		}{
			{"flat, with noise", func(int) int64 { return 10*m.more + rand.Int64N(3*m.more) }, false},
			{"grows while it warms up", func(at int) int64 { return m.more * int64(min(at, 20)) }, false},
			{"falls", func(at int) int64 { return m.more * int64(60-at) }, false},
			{"has a peak", func(at int) int64 { return m.more * int64(1+10*(at/50-at/52)) }, false},
			{"leaks evenly", func(at int) int64 { return m.more * int64(at) / 10 }, true},
			{"leaks faster and faster", func(at int) int64 { return m.more * int64(1+at*at) }, true},
			{"leaks from the middle on", func(at int) int64 { return m.more * int64(1+max(0, at-30)) }, true},
		} {
			s.watch.samples = make([]sample, 60)
			for at := range s.watch.samples {
				set(&s.watch.samples[at], k, x.value(at))
			}
			got := s.grown()
			if (len(got) > 0) != x.grows || x.grows && !strings.HasPrefix(got[0], m.name) {
				t.Errorf("%s %s: reported %q", m.name, x.name, got)
			}
		}
	}
}

func TestAGoroutineThatIsLeftIsNoticed(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	s := &Soak{Duration: time.Minute, Clients: 1, Seed: 1, Enough: 1}
	s.Setup.Wrap = func(_ *Service, h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for range 20 { // more than another test may have left that end meanwhile
				go func() { <-release }()
			}
			w.WriteHeader(http.StatusTeapot) // the first answer ends it
		})
	}
	if err := s.Run(t.TempDir(), t.Logf); err != nil {
		t.Fatal(err)
	}
	if s.watch.after <= s.watch.before {
		t.Errorf("%d before, and %d after", s.watch.before, s.watch.after)
	}
}

func TestTheAuditSeesWhatIsMissingAndWhatIsTooMuch(t *testing.T) {
	long := func(id string) string { return strings.Repeat("0", idLen-1) + id }
	w := &world{[]*token{
		{n: 1, id: long("1"), slots: [3]secret{{n: 1, confirmed: true}}},
		{n: 2, id: long("2"), revoked: exactly(1)},
		{n: 3, slots: [3]secret{{n: 3, confirmed: true}}}, // nobody was told its ID
	}}
	for _, x := range []struct {
		name string
		left []string
		good bool
	}{
		{"all", []string{"1", "9"}, true},
		{"one is missing", []string{"9"}, false},
		{"the unnamed is missing", []string{"1"}, false},
		{"one is left that was revoked", []string{"1", "2", "9"}, false},
		{"one is too much", []string{"1", "8", "9"}, false},
	} {
		left := map[string]bool{}
		for _, id := range x.left {
			left[long(id)] = true
		}
		if why := w.clone().audit(left); (why == "") != x.good {
			t.Errorf("%s: %q", x.name, why)
		}
	}
}

func TestQuantilesAreWithinAClassOfTheTruth(t *testing.T) {
	var h histogram
	for k := range 1000 {
		h.add(time.Duration(k+1) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := h.quantile(q); got < want || float64(got) > classWidth*float64(want) {
			t.Errorf("quantile %v is %v, want about %v", q, got, want)
		}
	}
}
