package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// TestEachProtectionThatIsTakenOutIsMissed tries the mutants that REMINT_MUTANTS selects, as many at
// once as -parallel says. Each of their tests must pass as things are, and fail by what it asserts
// without the protection.
func TestEachProtectionThatIsTakenOutIsMissed(t *testing.T) {
	selects := selection(t)
	whole := tree{dir: t.TempDir(), binaries: map[string]func() (string, error){}, results: map[string]func() string{}}
	for _, m := range mutants {
		if !selects(m) {
			continue
		}
		passes := whole.test(m)
		t.Run(m.String(), func(t *testing.T) {
			t.Parallel()
			if got := passes(); got != passed {
				t.Fatalf("%s %s as things are", m.test, got)
			}
			if got, output := m.run(t); got != failed {
				t.Errorf("%s %s\n%s", m.test, got, tail(output))
			}
		})
	}
}

// selection returns which mutants to try: REMINT_MUTANTS is 1 for all, another number for a line of
// THREATS.md, or a regular expression for their names. Without it there are none to try.
func selection(t *testing.T) func(mutant) bool {
	text := os.Getenv("REMINT_MUTANTS")
	if n, err := strconv.Atoi(text); err == nil {
		return func(m mutant) bool { return n == 1 || n == m.line }
	}
	names, err := regexp.Compile(text)
	if err != nil {
		t.Fatalf("REMINT_MUTANTS: %v", err)
	}
	return func(m mutant) bool { return text != "" && names.MatchString(m.String()) }
}

// What can become of a test.
const (
	passed  = "passes"
	failed  = "fails"
	missing = "was not run: there is no such test"
	unbuilt = "does not compile"
	hung    = "does not end"
	crashed = "panics"
	unclear = "neither passes nor fails"
)

var panics = regexp.MustCompile(`(?m)^(panic: |fatal error: )`)

// result says what became of the mutant's test, by what running it has printed.
func (m mutant) result(output string, err error) string {
	switch {
	case strings.Contains(output, " failed]\n"):
		return unbuilt
	case !strings.Contains(output, "=== RUN   "+m.test+"\n"):
		return missing
	case strings.Contains(output, "panic: test timed out after"):
		return hung
	case panics.MatchString(output):
		return crashed
	case err == nil:
		return passed
	case strings.Contains(output, "--- FAIL: "+m.test+" "):
		return failed
	}
	return unclear
}

// run runs the mutant's test without the protection.
func (m mutant) run(t *testing.T) (result, output string) {
	args := []string{"test", "-count=1", "-v", "-vet=off", "-timeout=5m", "-run", "^" + m.test + "$"}
	dir, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if m.copies {
		dir = m.copyTree(t)
	} else {
		args = append(args, "-overlay", m.overlay(t, dir))
	}
	out, err := command(t.Context(), filepath.Join(dir, m.pkg()), "go", append(args, ".")...)
	if cause := context.Cause(t.Context()); cause != nil {
		t.Fatal(cause)
	}
	return m.result(out, err), out
}

// A tree is the code with all its protections, of which each package is compiled once and each test run
// once.
type tree struct {
	dir      string // for what is compiled
	binaries map[string]func() (path string, err error)
	results  map[string]func() string
}

// test returns what tells the result of the mutant's test with the protection.
func (w *tree) test(m mutant) func() string {
	pkg, dir := m.pkg(), filepath.Join(root, m.pkg())
	if w.binaries[pkg] == nil {
		path := filepath.Join(w.dir, fmt.Sprint(len(w.binaries)))
		w.binaries[pkg] = sync.OnceValues(func() (string, error) {
			_, err := command(context.Background(), dir, "go", "test", "-c", "-vet=off", "-o", path, ".")
			return path, err
		})
	}
	test, binary := pkg+" "+m.test, w.binaries[pkg]
	if w.results[test] == nil {
		w.results[test] = sync.OnceValue(func() string {
			path, err := binary()
			if err != nil {
				return unbuilt
			}
			out, err := command(context.Background(), dir, path, "-test.v", "-test.timeout=5m", "-test.run=^"+m.test+"$")
			return m.result(out, err)
		})
	}
	return w.results[test]
}

// command runs a command in a directory, and returns what it prints.
func command(ctx context.Context, dir, name string, args ...string) (output string, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "RAPID_NOFAILFILE=1", "RAPID_SHRINKTIME=0s", "REMINT_MUTANTS=")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// overlay writes the mutated file to where go test finds it, and returns the -overlay that says so.
func (m mutant) overlay(t *testing.T, tree string) string {
	dir := t.TempDir()
	file, list := filepath.Join(dir, filepath.Base(m.file)), filepath.Join(dir, "overlay.json")
	m.write(t, file)
	data, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(tree, m.file): file}})
	if err == nil {
		err = os.WriteFile(list, data, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// copyTree returns a copy of the tree with the mutation.
func (m mutant) copyTree(t *testing.T) string {
	dir := t.TempDir()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, rel)
		switch {
		case entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && rel != ".":
			return filepath.SkipDir
		case entry.IsDir():
			return os.MkdirAll(to, 0o700)
		case !entry.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	m.write(t, filepath.Join(dir, m.file))
	return dir
}

func (m mutant) write(t *testing.T, path string) {
	_, mutated, err := m.source()
	if err == nil {
		err = os.WriteFile(path, []byte(mutated), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// tail returns the last lines of what a test has said.
func tail(output string) string {
	lines := bytes.Split([]byte(output), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-20):], []byte("\n")))
}
