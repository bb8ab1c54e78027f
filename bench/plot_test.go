package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
)

// elements parses XML, and counts what it has.
func elements(t *testing.T, data []byte) (names map[string]int, points [][]string, text string) {
	t.Helper()
	names = map[string]int{}
	for d := xml.NewDecoder(bytes.NewReader(data)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return names, points, text
		}
		if err != nil {
			t.Fatalf("%v in %s", err, data)
		}
		switch x := token.(type) {
		case xml.StartElement:
			names[x.Name.Local]++
			for _, a := range x.Attr {
				if a.Name.Local == "points" {
					points = append(points, strings.Fields(a.Value))
				}
			}
		case xml.CharData:
			text += string(x) + "\n"
		}
	}
}

func TestAPlotIsXMLThatShowsAllOfItsFigures(t *testing.T) {
	p := plot{title: `<a> & "b"`, x: "tokens", y: "ns", series: []series{
		{"remint & <co>", []point{{1e3, 200}, {1e6, 700}}},
		{"by hand", []point{{1e3, 400}, {1e5, 450}, {1e6, 900}}},
		{"alone", []point{{1e5, 300}}},
	}}
	var b bytes.Buffer
	p.write(&b)
	names, points, text := elements(t, b.Bytes())
	if names["polyline"] != 3 || names["circle"] != 6 {
		t.Errorf("%d lines and %d points", names["polyline"], names["circle"])
	}
	for _, want := range []string{p.title, "remint & <co>", "by hand", "1,000,000", "100,000", "tokens", "ns"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	var first [2]float64
	for i, line := range points {
		if len(line) != len(p.series[i].points) {
			t.Errorf("%s has %d points", p.series[i].name, len(line))
		}
		for k, pair := range line {
			xText, yText, _ := strings.Cut(pair, ",")
			x, err1 := strconv.ParseFloat(xText, 64)
			y, err2 := strconv.ParseFloat(yText, 64)
			if err := errors.Join(err1, err2); err != nil || x < plotLeft || x > plotRight || y < plotTop || y > plotHeight-plotBottom {
				t.Errorf("%s: point %q is outside: %v", p.series[i].name, pair, err)
			}
			if k == 0 && i < 2 {
				first[i] = y
			}
		}
	}
	if first[0] <= first[1] { // pixels are counted from above
		t.Errorf("200 ns is drawn at %v, and 400 at %v", first[0], first[1])
	}
}

func TestAnAxisIsLogarithmicAndSurvivesASingleValue(t *testing.T) {
	a := newAxis([]float64{1, 100}, 0, 200)
	if a.at(10) != 100 || a.at(1) != 0 || a.at(100) != 200 {
		t.Errorf("1, 10 and 100 are at %v, %v and %v", a.at(1), a.at(10), a.at(100))
	}
	if x := newAxis([]float64{1000}, 0, 200).at(1000); math.Abs(x-100) > 1e-6 {
		t.Errorf("a single value is at %v", x)
	}
}

func TestCurvesAreGatheredFromTablesThatDifferInTheirNumber(t *testing.T) {
	results := []*result{
		{Name: "verify/tokens=1000", Figures: []figure{{Name: "a", N: 1}, {Name: "b", N: 2}}},
		{Name: "verify/other", Figures: []figure{{Name: "a", N: 9}}},
		{Name: "verify/tokens=100000", Figures: []figure{{Name: "b", N: 3}}},
	}
	got := curves(results, "verify/tokens=", func(f figure) float64 { return float64(f.N) })
	if len(got) != 2 || got[0].name != "a" || len(got[0].points) != 1 || len(got[1].points) != 2 || got[1].points[1] != (point{1e5, 3}) {
		t.Errorf("%+v", got)
	}
}
