package main

import (
	"bytes"
	"slices"
	"testing"
)

func TestATableIsAlignedMarkdown(t *testing.T) {
	r := &result{
		Title: "Title", against: []string{"R: by hand"}, over: "bare", Columns: []string{"own"}, Notes: []string{"A note."},
		Figures: []figure{{
			Name: "µ", Cells: []string{"yes"}, Nanos: summary{200, 190, 1500}, Over: 12.34,
			Ratios: map[string]float64{"R: by hand": 0.955}, Allocs: 2, Bytes: 12345,
		}},
	}
	const want = `
### Title

|     | own |   time |        quartiles | per second |  × R | over bare | allocs |  bytes |
|-----|----:|-------:|-----------------:|-----------:|-----:|----------:|-------:|-------:|
| µ   | yes | 200 ns | 190 ns – 1.50 µs |  5,000,000 | 0.95 |   12.3 ns |      2 | 12,345 |

A note.
`
	var b bytes.Buffer
	r.write(&b)
	if b.String() != want {
		t.Errorf("it is\n%s\nwant\n%s", b.String(), want)
	}
}

func TestNumbersHaveThreeDigits(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 1: "1", 0.05: "0.050", 0.5: "0.50", 1.234: "1.23", 12.34: "12.3", 123.4: "123", 1234567: "1,234,567", 999: "999"} {
		if got := significant(x); got != want {
			t.Errorf("%v is written as %s, want %s", x, got, want)
		}
	}
	for ns, want := range map[float64]string{15.9: "15.9 ns", 2150: "2.15 µs", 57.5e6: "57.5 ms", 3e9: "3 s"} {
		if got := nanos(ns); got != want {
			t.Errorf("%v is written as %s, want %s", ns, got, want)
		}
	}
}

func TestTheScaleIsReadAsItIsWritten(t *testing.T) {
	got, err := parseScale("1e3, 100000,1e7")
	if err != nil || !slices.Equal(got, []int{1000, 100_000, 10_000_000}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "x", "1e3,", "0", "1.5e2.5", "150.5", "1e12", "-1000", "NaN"} {
		if got, err := parseScale(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
	if got := ends([]int{1000, 10_000, 1_000_000, 10_000_000}); !slices.Equal(got, []int{1000, 1_000_000}) {
		t.Errorf("the ends are %v", got)
	}
}
