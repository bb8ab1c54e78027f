package chaos_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The page is written by hand, but for what stands between these lines.
const (
	page      = "../../docs/never-locked-out.md"
	fromHere  = "<!-- what follows is written by: go test ./internal/chaos -update -->\n"
	untilHere = "<!-- until here -->\n"
)

// checkPage compares what happened with the page, cell by cell, or writes it there.
func checkPage(t *testing.T, got map[cell]outcome) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), fromHere)
	said, behind, ok2 := strings.Cut(rest, untilHere)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the tables", page)
	}
	want := render(got)
	if *update {
		if err := os.WriteFile(page, []byte(before+fromHere+want+untilHere+behind), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	pageSays := outcomes(said)
	for at, o := range got {
		format, column, cut := formats[at.format], columns[at.column], cuts[at.cut]
		row := pageSays[format.name][rowName(cut)]
		if at.column >= len(row) || row[at.column] != o.String() {
			t.Errorf("%s, %s, %s, %s: it is %q, and the page has %q", format.name, rowName(cut), column.retirement.name, column.keying.name, o, row)
		}
	}
	if said != want && !t.Failed() {
		t.Errorf("%s is not as it would be written: go test ./internal/chaos -update", page)
	}
}

// outcomes reads the tables: by the formats that a heading names, and by row.
func outcomes(text string) map[string]map[string][]string {
	tables := map[string]map[string][]string{}
	var table map[string][]string
	for line := range strings.Lines(text) {
		if heading, ok := strings.CutPrefix(line, "## "); ok {
			table = map[string][]string{}
			for name := range strings.SplitSeq(strings.TrimSpace(heading), "; ") {
				tables[name] = table
			}
		}
		if row, ok := strings.CutPrefix(line, "| "); ok && table != nil {
			cells := strings.Split(strings.TrimSuffix(strings.TrimSpace(row), " |"), " | ")
			table[cells[0]] = cells[1:]
		}
	}
	return tables
}

func render(got map[cell]outcome) string {
	var b strings.Builder
	b.WriteString("\n## In short\n\n")
	fmt.Fprintf(&b, "Of the %d things that go wrong below: with how many the client is locked out, with how many it is back at the old\n"+
		"secret first, and how many strays there are at most → in the end.\n\n", len(cuts)-1)
	header(&b, "rotation")
	for f, format := range formats {
		fmt.Fprintf(&b, "| %s", format.name)
		for c := range columns {
			outs, backs, most, left := 0, 0, 0, 0
			for k := range cuts {
				o := got[cell{f, c, k}]
				switch o.end {
				case locked:
					outs++
				case back:
					backs++
				}
				most, left = max(most, o.most), max(left, o.stray)
			}
			out := fmt.Sprint(outs, " OUT")
			if outs > 0 {
				out = "**" + out + "**"
			}
			fmt.Fprintf(&b, " | %s, %d back, stray %s", out, backs, falls(most, left))
		}
		b.WriteString(" |\n")
	}
	// Rotations with the same outcomes have one table.
	var tables []string
	of := map[string][]format{}
	for f, format := range formats {
		table := rows(f, got)
		if of[table] == nil {
			tables = append(tables, table)
		}
		of[table] = append(of[table], format)
	}
	for _, table := range tables {
		var names []string
		for _, format := range of[table] {
			names = append(names, format.name)
		}
		fmt.Fprintf(&b, "\n## %s\n\n", strings.Join(names, "; "))
		header(&b, "what goes wrong")
		b.WriteString(table)
	}
	b.WriteString("\n## What was done\n\n| rotation | request and option |\n|---|---|\n")
	for _, format := range formats {
		fmt.Fprintf(&b, "| %s | %s |\n", format.name, format.means)
	}
	b.WriteString("\n## What went wrong\n\n| row | is |\n|---|---|\n")
	for _, cut := range cuts {
		fmt.Fprintf(&b, "| %s | %s |\n", rowName(cut), cut.means)
	}
	b.WriteString("\n")
	return b.String()
}

func rows(f int, got map[cell]outcome) string {
	var b strings.Builder
	for k, cut := range cuts {
		fmt.Fprintf(&b, "| %s", rowName(cut))
		for c := range columns {
			fmt.Fprintf(&b, " | %v", got[cell{f, c, k}])
		}
		b.WriteString(" |\n")
	}
	return b.String()
}

func rowName(c cut) string {
	if c.name == cuts[0].name {
		return c.name
	}
	return c.at + " " + c.name
}

func header(b *strings.Builder, corner string) {
	fmt.Fprintf(b, "| %s", corner)
	for _, c := range columns {
		fmt.Fprintf(b, " | %s, %s", c.retirement.name, c.keying.name)
	}
	b.WriteString(" |\n|---" + strings.Repeat("|---", len(columns)) + "|\n")
}
