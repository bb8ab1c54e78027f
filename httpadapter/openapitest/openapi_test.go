package openapitest

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// unseen are statuses of operations that no test of the adapter's causes, and why it cannot.
var unseen = map[string]string{}

// guarded are handlers of the tests' own, behind Authenticate or Require.
var guarded = []string{"/me", "/reports", "/allows"}

func TestEveryExchangeOfTheAdaptersTestsIsAsDescribed(t *testing.T) {
	all := formats(t)
	count, wrong := 0, map[string]int{}
	for _, e := range record(t) {
		f, e := whose(all, e)
		if f == nil {
			if path, _, _ := strings.Cut(e.URL, "?"); !slices.Contains(guarded, path) {
				t.Errorf("no description has a path such as %s", path)
			}
			continue
		}
		count++
		err := f.check(e)
		if err == nil {
			continue
		}
		// Of what is wrong in the same way, once is enough.
		r, _ := e.request()
		operation, _, _ := f.find(r)
		if key := fmt.Sprint(operation, e.Status, firstLine(err)); wrong[key] == 0 {
			wrong[key]++
			t.Errorf("%s: %v\n%s", f.name, e, brief(err))
		}
	}
	operations, statuses := 0, 0
	for _, f := range all {
		for _, name := range slices.Sorted(maps.Keys(f.routes)) {
			operations++
			for status := range f.routes[name].Operation.Responses.Map() {
				statuses++
				var n int
				fmt.Sscan(status, &n)
				key := f.name + " " + name + " " + status
				switch seen, reason := f.seen[name][n], unseen[key]; {
				case seen == 0 && reason == "":
					t.Errorf("%s: it is described, and no test causes it", key)
				case seen > 0 && reason != "":
					t.Errorf("%s: a test causes it, and unseen says that none can: %s", key, reason)
				}
			}
		}
		for code := range f.described() {
			if !f.codes[code] {
				t.Errorf("%s: no test causes the code %s", f.name, code)
			}
		}
	}
	t.Logf("%d exchanges, %d statuses of %d operations", count, statuses, operations)
}

// brief leaves out the schemas and values that the validator adds.
func brief(err error) string {
	var lines []string
	for line := range strings.Lines(err.Error()) {
		if line == "Schema:\n" {
			break
		}
		lines = append(lines, line)
	}
	return strings.TrimSpace(strings.Join(lines, ""))
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// whose returns the format that an exchange belongs to, and the exchange as it is where that
// is mounted by default; or nil: the tests guard handlers of their own, too.
func whose(all []*format, e exchange) (*format, exchange) {
	path, _, _ := strings.Cut(e.URL, "?")
	for _, f := range all {
		if at := f.root.FindStringSubmatch(path); at != nil {
			e.URL = strings.TrimPrefix(e.URL, at[1])
			return f, e
		}
	}
	return nil, e
}

var recorded = flag.String("recorded", "", "a directory of exchanges, instead of running the adapter's tests")

// record runs the adapter's tests, and returns their exchanges.
func record(t *testing.T) []exchange {
	t.Helper()
	if *recorded != "" {
		return read(t, *recorded)
	}
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/remint-go/remint")
	root, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	run := exec.Command("go", "test", "-count=1", ".")
	run.Dir = filepath.Join(strings.TrimSpace(string(root)), "httpadapter")
	run.Env = append(os.Environ(), "REMINT_RECORD="+dir)
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("the adapter's own tests: %v\n%s", err, out)
	}
	return read(t, dir)
}

func read(t *testing.T, dir string) []exchange {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil || len(names) == 0 {
		t.Fatalf("nothing was recorded: %v", err)
	}
	var all []exchange
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var e exchange
			if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, e)
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}
