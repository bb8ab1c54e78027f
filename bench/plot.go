package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// plot writes the plots that the run has figures for.
func (r *run) plot(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for _, p := range []struct {
		file string
		plot
	}{
		{"verify.svg", plot{
			title: "Verify one token, by the number of tokens", x: "tokens", y: "ns",
			series: curves(r.results, "verify/tokens=", func(f figure) float64 { return f.Nanos.Median }),
		}},
		{"rotate.svg", plot{
			title: "Rotations in a second, by the number of writers", x: "writers", y: "rotations per second",
			series: curves(r.results, "rotate/writers=", func(f figure) float64 { return 1e9 / f.Nanos.Median }),
		}},
	} {
		if len(p.series) == 0 {
			r.tell("%s: there are no figures for it in this run", p.file)
			continue
		}
		f, err := os.Create(filepath.Join(dir, p.file))
		if err != nil {
			return err
		}
		p.write(f)
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// A plot has logarithmic axes.
type plot struct {
	title, x, y string
	series      []series
}

type series struct {
	name   string
	points []point
}

type point struct{ x, y float64 }

// curves gathers the figures of tables whose names differ in the number at their end.
func curves(results []*result, prefix string, value func(figure) float64) []series {
	var all []series
	at := map[string]int{}
	for _, r := range results {
		number, ok := strings.CutPrefix(r.Name, prefix)
		x, err := strconv.ParseFloat(number, 64)
		if !ok || err != nil {
			continue
		}
		for _, f := range r.Figures {
			if _, known := at[f.Name]; !known {
				at[f.Name] = len(all)
				all = append(all, series{name: f.Name})
			}
			s := &all[at[f.Name]]
			s.points = append(s.points, point{x, value(f)})
		}
	}
	return all
}

const (
	plotWidth, plotHeight          = 860, 440
	plotLeft, plotTop, plotBottom  = 80, 40, 60
	plotRight                      = 560 // what is right of it is the legend's
	gridColor, textColor, backdrop = "#d8d8d8", "#333333", "#ffffff"
)

// Colors that are told apart by most eyes: Okabe and Ito's.
var plotColors = []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31"}

// An axis maps decades to pixels.
type axis struct{ least, most, from, to float64 }

func newAxis(values []float64, from, to float64) axis {
	least, most := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		least, most = min(least, math.Log10(v)), max(most, math.Log10(v))
	}
	if most-least < 0.1 {
		least, most = least-0.5, most+0.5
	}
	return axis{least, most, from, to}
}

func (a axis) at(v float64) float64 {
	return a.from + (math.Log10(v)-a.least)/(a.most-a.least)*(a.to-a.from)
}

// ticks are the 1, 2 and 5 of each decade, or only the 1 where they are many, or more where they
// are few.
func (a axis) ticks() []float64 {
	factors := []float64{1, 2, 5}
	switch span := a.most - a.least; {
	case span > 3:
		factors = []float64{1}
	case span < 1:
		factors = []float64{1, 2, 3, 4, 5, 6, 8}
	}
	var ticks []float64
	for decade := math.Floor(a.least); decade <= a.most; decade++ {
		for _, f := range factors {
			if v := f * math.Pow(10, decade); math.Log10(v) >= a.least-1e-9 && math.Log10(v) <= a.most+1e-9 {
				ticks = append(ticks, v)
			}
		}
	}
	return ticks
}

// write writes the plot as SVG.
func (p *plot) write(w io.Writer) {
	var xs, ys []float64
	for _, s := range p.series {
		for _, point := range s.points {
			xs, ys = append(xs, point.x), append(ys, point.y)
		}
	}
	x := newAxis(xs, plotLeft, plotRight)
	y := newAxis(ys, plotHeight-plotBottom, plotTop)
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%[1]d" height="%[2]d" font-family="sans-serif" font-size="12" role="img">`+"\n", plotWidth, plotHeight)
	fmt.Fprintf(w, "<title>%s</title>\n", escape(p.title))
	fmt.Fprintf(w, `<rect width="%d" height="%d" fill="%s"/>`+"\n", plotWidth, plotHeight, backdrop)
	text := func(x, y float64, anchor, size, s string) {
		fmt.Fprintf(w, `<text x="%.1f" y="%.1f" text-anchor="%s" font-size="%s" fill="%s">%s</text>`+"\n", x, y, anchor, size, textColor, escape(s))
	}
	line := func(x1, y1, x2, y2 float64) {
		fmt.Fprintf(w, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, gridColor)
	}
	text(plotLeft, 24, "start", "15", p.title)
	for _, v := range y.ticks() {
		line(plotLeft, y.at(v), plotRight, y.at(v))
		text(plotLeft-8, y.at(v)+4, "end", "12", count(v))
	}
	seen := map[float64]bool{}
	for _, v := range xs { // where there are figures
		if !seen[v] {
			seen[v] = true
			line(x.at(v), plotTop, x.at(v), plotHeight-plotBottom)
			text(x.at(v), plotHeight-plotBottom+18, "middle", "12", count(v))
		}
	}
	text((plotLeft+plotRight)/2, plotHeight-16, "middle", "12", p.x)
	fmt.Fprintf(w, `<text transform="translate(18 %d) rotate(-90)" text-anchor="middle" fill="%s">%s</text>`+"\n", plotHeight/2, textColor, escape(p.y))
	for i, s := range p.series {
		p.writeSeries(w, s, i, x, y)
		text(plotRight+46, float64(plotTop+10+20*i), "start", "11", s.name)
	}
	fmt.Fprintln(w, "</svg>")
}

// writeSeries draws a line, its points, and its mark in the legend. What is not remint's is dashed.
func (p *plot) writeSeries(w io.Writer, s series, i int, x, y axis) {
	color, dash := plotColors[i%len(plotColors)], ` stroke-dasharray="5 3"`
	if strings.HasPrefix(s.name, "remint") {
		dash = ""
	}
	var path []string
	for _, point := range s.points {
		path = append(path, fmt.Sprintf("%.1f,%.1f", x.at(point.x), y.at(point.y)))
	}
	fmt.Fprintf(w, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"%s/>`+"\n", strings.Join(path, " "), color, dash)
	for _, point := range s.points {
		fmt.Fprintf(w, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x.at(point.x), y.at(point.y), color)
	}
	legend := plotTop + 6 + 20*i
	fmt.Fprintf(w, `<line x1="%d" y1="%d" x2="%d" y2="%[2]d" stroke="%[4]s" stroke-width="2"%[5]s/>`+"\n", plotRight+14, legend, plotRight+40, color, dash)
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}
