package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every subject is proved before it is timed: a run that ends has found all of them right.
func TestTheWholeRunWorks(t *testing.T) {
	dir := t.TempDir()
	files, plots, figures := filepath.Join(dir, "files"), filepath.Join(dir, "plots"), filepath.Join(dir, "all.json")
	if err := os.Mkdir(files, 0o777); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if err := command([]string{"-quick", "-dir", files, "-plots", plots, "-json", figures}, &out, &errs); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	data, err := os.ReadFile(figures)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Machine machine
		Results []result
	}
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	for _, path := range measured {
		// A test has no versions.
		if _, known := all.Machine.Modules[path]; !known && len(all.Machine.Modules) > 0 {
			t.Errorf("the version of %s is not told", path)
		}
	}
	found := map[string]bool{}
	for _, r := range all.Results {
		found[r.Name] = true
		if !strings.Contains(out.String(), "### "+r.Title+"\n") {
			t.Errorf("%s is not printed", r.Name)
		}
		if len(r.Figures) == 0 && len(r.Facts) == 0 {
			t.Errorf("%s is empty", r.Name)
		}
		for _, f := range r.Figures {
			if len(f.Samples) != 2 || f.Nanos.Median <= 0 || f.N < 1 {
				t.Errorf("%s: %s: %+v", r.Name, f.Name, f)
			}
			for yard, ratio := range f.Ratios {
				if ratio <= 0 {
					t.Errorf("%s: %s is %v × %s", r.Name, f.Name, ratio, yard)
				}
			}
		}
	}
	for _, name := range []string{
		"peers", "verify/tokens=1000", "sessions/tokens=1000", "kinds", "refuse", "rotate/writers=1", "rotate/writers=8",
		"rotate/writers=64", "rotate-scale/tokens=1000", "http/PocketPaw", "http/Axiom", "http/Katapult", "middleware",
		"scale/memory", "scale/bbolt", "end-sessions/memory", "end-sessions/bbolt",
	} {
		if !found[name] {
			t.Errorf("there is no table %s", name)
		}
	}
	for _, name := range []string{"verify.svg", "rotate.svg"} {
		data, err := os.ReadFile(filepath.Join(plots, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if names, _, _ := elements(t, data); names["polyline"] < 5 {
			t.Errorf("%s has %d lines", name, names["polyline"])
		}
	}
	if left, err := os.ReadDir(files); err != nil || len(left) > 0 {
		t.Errorf("files are left behind: %v, %v", left, err)
	}
	whoSees(t, all.Results)
}

// whoSees compares the column with what is known of each peer.
func whoSees(t *testing.T, results []result) {
	t.Helper()
	want := []string{"API key, argon2id", "API key, bcrypt", "R: a Go map, by hand", "fosite, introspection", "remint, memory", "scs, session in memory"}
	var got []string
	for _, r := range results {
		if r.Name == "peers" {
			for _, f := range r.Figures {
				if f.Cells[0] == "yes" {
					got = append(got, f.Name)
				}
			}
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("a revocation is seen by %q, want %q", got, want)
	}
}

func TestOnlyTheWantedPartsRun(t *testing.T) {
	var out, errs bytes.Buffer
	if err := command([]string{"-quick", "-dir", t.TempDir(), "-only", "^middleware$"}, &out, &errs); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n### "); n != 2 { // the machine's, too
		t.Errorf("there are %d tables in\n%s", n, out.String())
	}
	for _, bad := range [][]string{{"-only", "nothing"}, {"-only", "("}, {"-scale", "x"}, {"-rounds", "0"}, {"more"}, {"-dir", "/no/such/directory"}} {
		if err := command(bad, &out, &errs); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}
