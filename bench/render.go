package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A result is a table as it came out. One of facts has cells only.
type result struct {
	Name    string     `json:"name"`
	Title   string     `json:"title"`
	Notes   []string   `json:"notes,omitempty"`
	Figures []figure   `json:"figures,omitempty"`
	Columns []string   `json:"columns,omitempty"`
	Facts   [][]string `json:"facts,omitempty"`

	against []string
	rates   bool
	over    string
}

// write writes the result as a section of Markdown.
func (r *result) write(w io.Writer) {
	fmt.Fprintf(w, "\n### %s\n\n", r.Title)
	grid := append([][]string{r.Columns}, r.Facts...)
	if r.Figures != nil {
		grid = r.grid()
	}
	writeGrid(w, grid)
	if len(r.Notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(w, note)
	}
}

func (r *result) grid() [][]string {
	head := slices.Concat([]string{""}, r.Columns, []string{"time", "quartiles", "per second"})
	for _, yard := range r.against {
		head = append(head, "× "+shortName(yard))
	}
	if r.over != "" {
		head = append(head, "over "+r.over)
	}
	grid := [][]string{append(head, "allocs", "bytes")}
	for _, f := range r.Figures {
		row := slices.Concat([]string{f.Name}, f.Cells, []string{
			nanos(f.Nanos.Median), nanos(f.Nanos.Q1) + " – " + nanos(f.Nanos.Q3), count(1e9 / f.Nanos.Median),
		})
		for _, yard := range r.against {
			row = append(row, significant(f.Ratios[yard]))
		}
		if r.over != "" {
			row = append(row, nanos(f.Over))
		}
		grid = append(grid, append(row, significant(math.Round(f.Allocs)), significant(math.Round(f.Bytes))))
	}
	return grid
}

// shortName is what stands before the colon, as in "R: a map".
func shortName(name string) string {
	short, _, _ := strings.Cut(name, ":")
	return short
}

// writeGrid writes a table that is aligned in the source, too. The first column is text.
func writeGrid(w io.Writer, grid [][]string) {
	widths := make([]int, len(grid[0]))
	for _, row := range grid {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	for k, row := range grid {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				fmt.Fprintf(w, "| %s%s ", cell, pad)
			} else {
				fmt.Fprintf(w, "| %s%s ", pad, cell)
			}
		}
		fmt.Fprintln(w, "|")
		if k == 0 {
			for i, width := range widths {
				if i == 0 {
					fmt.Fprintf(w, "|%s", strings.Repeat("-", width+2))
				} else {
					fmt.Fprintf(w, "|%s:", strings.Repeat("-", width+1))
				}
			}
			fmt.Fprintln(w, "|")
		}
	}
}

// nanos writes a time with three digits.
func nanos(ns float64) string {
	for _, unit := range []struct {
		name string
		ns   float64
	}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
		if ns >= unit.ns {
			return significant(ns/unit.ns) + " " + unit.name
		}
	}
	return significant(ns) + " ns"
}

// significant writes three digits, or all that are before the point.
func significant(x float64) string {
	switch {
	case x >= 100 || x == math.Trunc(x) && math.Abs(x) < 100:
		return count(x)
	case x >= 10:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case x >= 0.1:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
	return strconv.FormatFloat(x, 'f', 3, 64)
}

// count writes a whole number with a comma between thousands.
func count(x float64) string {
	s := strconv.FormatFloat(math.Round(x), 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
