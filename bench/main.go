package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

// A part of the run has one or more tables.
type part struct {
	name string
	do   func(r *run) error
}

// parts are in the order in which a reader wants them.
var parts = []part{
	{"peers", peersPart},
	{"verify", verifyPart},
	{"sessions", sessionsPart},
	{"kinds", kindsPart},
	{"cores", coresPart},
	{"rotate", rotatePart},
	{"rotate-scale", rotateScalePart},
	{"http", httpPart},
	{"middleware", middlewarePart},
	{"scale", scalePart},
	{"end-sessions", endSessionsPart},
}

// A run is one call of the command.
type run struct {
	ctx    context.Context
	out    io.Writer
	tell   func(format string, args ...any)
	rounds int
	each   time.Duration
	scale  []int
	dir    string // for files, removed afterwards

	machine machine
	results []*result
}

func main() {
	if err := command(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// command is main, for whoever has other arguments and other files.
func command(args []string, out, errs io.Writer) error {
	flag := flag.NewFlagSet("bench", flag.ContinueOnError)
	flag.SetOutput(errs)
	quick := flag.Bool("quick", false, "only show that everything runs: a thousand tokens, and figures that mean nothing")
	rounds := flag.Int("rounds", 7, "how often each subject has its turn")
	each := flag.Duration("time", 120*time.Millisecond, "how long a turn is")
	only := flag.String("only", "", "only the parts whose name matches this regular expression: "+partNames())
	scale := flag.String("scale", "1e3,1e4,1e5,1e6", "numbers of tokens")
	plots := flag.String("plots", "", "write plots (SVG) to this directory")
	asJSON := flag.String("json", "", "write all figures and samples to this file, too")
	dir := flag.String("dir", "", "where to make a temporary directory for files (empty: TMPDIR)")
	if err := flag.Parse(args); err != nil {
		return err
	}
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	if *rounds < 1 || *each <= 0 {
		return fmt.Errorf("-rounds and -time must be positive")
	}
	if *quick {
		*rounds, *each, *scale = 2, 2*time.Millisecond, "1e3"
	}
	sizes, err := parseScale(*scale)
	if err != nil {
		return fmt.Errorf("-scale: %w", err)
	}
	temp, err := os.MkdirTemp(*dir, "remint-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if free := availableMemory(); free > 0 {
		// Otherwise, garbage may take as much as millions of tokens do.
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(free / 10 * 9))
	}
	r := &run{
		ctx: ctx, out: out, rounds: *rounds, each: *each, scale: sizes, dir: temp,
		machine: thisMachine(),
		tell:    func(format string, args ...any) { fmt.Fprintf(errs, format+"\n", args...) },
	}
	if err := r.parts(wanted); err != nil {
		return err
	}
	if *plots != "" {
		if err := r.plot(*plots); err != nil {
			return err
		}
	}
	if *asJSON == "" {
		return nil
	}
	data, err := json.MarshalIndent(struct {
		Machine machine   `json:"machine"`
		Results []*result `json:"results"`
	}{r.machine, r.results}, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(*asJSON, append(data, '\n'), 0o666)
}

// parts runs the ones that are wanted.
func (r *run) parts(wanted *regexp.Regexp) error {
	fmt.Fprintf(r.out, "%d rounds of %v for each subject, in a new order each; medians, with the quartiles beside them.\n", r.rounds, r.each)
	fmt.Fprintln(r.out, "Ratios (×) are taken within a round; their median is given.")
	r.machine.facts().write(r.out)
	found := false
	for _, p := range parts {
		if !wanted.MatchString(p.name) {
			continue
		}
		found = true
		start := time.Now()
		err := p.do(r)
		if err == nil {
			err = r.ctx.Err() // not all of it looks
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		r.tell("%s: %v", p.name, time.Since(start).Round(time.Second/10))
	}
	if !found {
		return fmt.Errorf("-only matches none of %s", partNames())
	}
	return nil
}

// measure measures a table and prints it.
func (r *run) measure(t *table) error {
	figures, err := measure(t, r.rounds, r.each)
	if err != nil {
		return err
	}
	r.add(&result{
		Name: t.name, Title: t.title, Notes: t.notes, Columns: t.columns, Figures: figures,
		against: t.against, rates: t.rates, over: t.over,
	})
	return nil
}

func (r *run) add(x *result) {
	if x.rates {
		x.Notes = append(x.Notes, "The ratios are of what is done in a second: more is better.")
	}
	x.write(r.out)
	r.results = append(r.results, x)
}

// file returns a path for a new file.
func (r *run) file(name string) string { return filepath.Join(r.dir, name) }

func partNames() string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

// parseScale reads numbers such as 1e6.
func parseScale(text string) ([]int, error) {
	var sizes []int
	for word := range strings.SplitSeq(text, ",") {
		x, err := strconv.ParseFloat(strings.TrimSpace(word), 64)
		if err != nil || x != float64(int(x)) || x < 100 || x > 1e8 {
			return nil, fmt.Errorf("%q is not a whole number from 100 to 1e8", word)
		}
		sizes = append(sizes, int(x))
	}
	return sizes, nil
}
