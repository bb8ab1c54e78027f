package main

import (
	"errors"
	"slices"
	"testing"
	"time"
)

func TestTheMedianAndTheQuartilesAreThoseOfKnownNumbers(t *testing.T) {
	for _, c := range []struct {
		samples []float64
		want    summary
	}{
		{[]float64{7}, summary{7, 7, 7}},
		{[]float64{3, 1}, summary{2, 1.5, 2.5}},
		{[]float64{9, 1, 5}, summary{5, 3, 7}},
		{[]float64{4, 3, 2, 1}, summary{2.5, 1.75, 3.25}},
		{[]float64{5, 1, 4, 2, 1000}, summary{4, 2, 5}},
	} {
		was := slices.Clone(c.samples)
		if got := summarize(c.samples); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.samples, got, c.want)
		}
		if !slices.Equal(c.samples, was) {
			t.Errorf("%v were put in another order: their rounds are lost", was)
		}
	}
}

// Medians alone would say 10 to 2.
func TestARatioIsTheMedianOfThoseOfTheRounds(t *testing.T) {
	a, b := []float64{10, 1, 300}, []float64{2, 1, 100}
	if got := ratio(a, b); got != 3 {
		t.Errorf("the ratio is %v, want 3", got)
	}
	if got := difference(a, b); got != 8 {
		t.Errorf("the difference is %v, want 8", got)
	}
}

func TestRatesAreComparedTheOtherWayRound(t *testing.T) {
	figures := func() []figure {
		return []figure{{Name: "yard", Samples: []float64{4, 4}}, {Name: "x", Samples: []float64{2, 2}}}
	}
	for rates, want := range map[bool]float64{false: 0.5, true: 2} {
		f := figures()
		if err := compare(&table{against: []string{"yard"}, rates: rates}, f); err != nil {
			t.Fatal(err)
		}
		if got := f[1].Ratios["yard"]; got != want {
			t.Errorf("rates %v: %v, want %v", rates, got, want)
		}
	}
	if compare(&table{against: []string{"nobody"}}, figures()) == nil || compare(&table{over: "nobody"}, figures()) == nil {
		t.Error("a comparison with nobody is no error")
	}
}

func TestEverySubjectHasItsTurnInEveryRound(t *testing.T) {
	const rounds, each = 5, time.Millisecond
	prepared := map[string]int{}
	ran := map[string][]int{}
	tab := &table{name: "test"}
	for _, name := range []string{"a", "b", "c"} {
		tab.subjects = append(tab.subjects, subject{
			name:   name,
			before: func(n int) error { prepared[name]++; return nil },
			run: func(n int) error {
				ran[name] = append(ran[name], n)
				for start := time.Now(); time.Since(start) < time.Duration(n)*50*time.Microsecond; {
				}
				return nil
			},
		})
	}
	figures, err := measure(tab, rounds, each)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range figures {
		if len(f.Samples) != rounds {
			t.Errorf("%s has %d samples", f.Name, len(f.Samples))
		}
		if prepared[f.Name] != len(ran[f.Name]) {
			t.Errorf("%s was prepared %d times, and ran %d times", f.Name, prepared[f.Name], len(ran[f.Name]))
		}
		for _, n := range ran[f.Name][len(ran[f.Name])-rounds:] {
			if n != f.N || n < 1 {
				t.Errorf("%s did %d operations in a round, and says %d", f.Name, n, f.N)
			}
		}
		for _, s := range f.Samples {
			if s < 50_000 { // it cannot have been faster
				t.Errorf("%s: a sample of %v ns for what takes at least 50 µs", f.Name, s)
			}
		}
	}
}

func TestASubjectThatFailsIsAnErrorAndNoFigure(t *testing.T) {
	bad := errors.New("bad")
	for name, s := range map[string]subject{
		"run":    {run: func(int) error { return bad }},
		"before": {run: func(int) error { return nil }, before: func(int) error { return bad }},
	} {
		if _, err := measure(&table{subjects: []subject{s}}, 1, 1); !errors.Is(err, bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
