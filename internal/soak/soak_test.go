package soak

import (
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// variable returns a number from the environment.
func variable(t *testing.T, name string, or float64) float64 {
	text := os.Getenv(name)
	if text == "" {
		return or
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return x
}

// newSoak is of the size that the environment says.
func newSoak(t *testing.T) *Soak {
	s := &Soak{
		Duration: 3 * time.Second,
		Patience: 10 * time.Second,
		Clients:  int(variable(t, "REMINT_SOAK_CLIENTS", 16)),
		Rate:     variable(t, "REMINT_SOAK_RATE", 20),
		Enough:   20,
		Loud:     os.Stderr,
		Seed:     rand.Uint64N(1 << 32),
	}
	if text := os.Getenv("REMINT_SOAK_SEED"); text != "" {
		s.Seed = uint64(variable(t, "REMINT_SOAK_SEED", 0))
	}
	if text := os.Getenv("REMINT_SOAK"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("REMINT_SOAK: %v", err)
		}
		s.Duration = d
	}
	return s
}

func TestSoakAnswersNothingWrong(t *testing.T) {
	s := newSoak(t)
	t.Logf("seed %d, %v, %d clients, %v requests a second each, on %d processors", s.Seed, s.Duration, s.Clients, s.Rate, runtime.GOMAXPROCS(0))
	if err := s.Run(t.TempDir(), t.Logf); err != nil {
		t.Error(err)
	}
	n, _ := s.Wrong()
	if n > 0 {
		t.Errorf("%d answers were wrong", n)
	}
	for _, f := range s.Faults() {
		t.Error("the service said:", f)
	}
	for _, line := range s.summary() {
		t.Log(line)
	}
	if s.watch.failed != nil {
		t.Error(s.watch.failed)
	}
	if s.watch.after > s.watch.before {
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines before, and %d after\n%s", s.watch.before, s.watch.after, buf[:runtime.Stack(buf, true)])
	}
	if s.Duration < 30*time.Second {
		return // of what grows, nothing can be said yet, and one stall of the machine is much
	}
	for _, g := range s.grown() {
		t.Errorf("it grows: %s", g)
	}
	if s.service.Events(remint.EventRemove) == 0 {
		t.Error("nothing was ever removed")
	}
	if of := s.stats.answered(); s.stats.margin > of/20 {
		t.Errorf("%d of %d answers were not certain: that is too many to tell much", s.stats.margin, of)
	}
}
