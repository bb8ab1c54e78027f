package mutants

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What must hold of the table at any time. It is read from the tree, and nothing is run.

const (
	lines = 32 // of the table in THREATS.md
	laws  = 12
)

func TestEachMutationIsOneReplacementThatParses(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range mutants {
		_, mutated, err := m.source()
		if err != nil {
			t.Errorf("%s: %v", m, err)
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), m.file, mutated, parser.SkipObjectResolution); err != nil {
			t.Errorf("%s: %v", m, err)
		}
		if seen[m.String()] {
			t.Errorf("%s: there are two of that name", m)
		}
		seen[m.String()] = true
	}
}

func TestEachLineAndEachLawHasAMutant(t *testing.T) {
	var seen [2]map[int]bool
	for k := range seen {
		seen[k] = map[int]bool{}
	}
	for _, m := range mutants {
		if m.line == 0 && m.law == 0 || m.line > lines || m.law > laws {
			t.Errorf("%s: a mutant is of a line or of a law", m)
		}
		seen[0][m.line], seen[1][m.law] = true, true
	}
	for n := range lines {
		if !seen[0][n+1] {
			t.Errorf("line %d has none", n+1)
		}
	}
	for n := range laws {
		if !seen[1][n+1] {
			t.Errorf("law %d has none", n+1)
		}
	}
}

// TestEachMutantsTestIsThereAndSaysSo: whoever reads a test shall see what it was tried against.
func TestEachMutantsTestIsThereAndSaysSo(t *testing.T) {
	tests := testsOf(t)
	named := map[[2]string]bool{}
	for _, m := range mutants {
		named[[2]string{m.pkg(), m.test}] = true
		doc, found := tests[m.pkg()][m.test]
		if !found {
			t.Errorf("%s: there is no %s in %s", m, m.test, m.pkg())
		} else if _, said, _ := strings.Cut(strings.Join(strings.Fields(doc), " "), "It fails without"); !strings.Contains(said, m.what) {
			t.Errorf("%s: the comment of %s does not say that it fails without that", m, m.test)
		}
	}
	for dir, docs := range tests {
		for name, doc := range docs {
			if strings.Contains(doc, "(internal/mutants)") && !named[[2]string{dir, name}] {
				t.Errorf("%s in %s says that it fails for a mutant, and there is none", name, dir)
			}
		}
	}
}

// TestTHREATSNamesTheTestsThatThereAre, and with each line those of its mutants. A name that begins or
// ends with an ellipsis stands for all that go on so.
func TestTHREATSNamesTheTestsThatThereAre(t *testing.T) {
	var all []string
	for _, tests := range testsOf(t) {
		all = slices.AppendSeq(all, maps.Keys(tests))
	}
	named := namedInThreats(t)
	for line, names := range named {
		for _, name := range names {
			if !slices.ContainsFunc(all, name.MatchString) {
				t.Errorf("line %d: there is no %v", line, name)
			}
		}
	}
	for _, m := range mutants {
		if m.line != 0 && !slices.ContainsFunc(named[m.line], func(name *regexp.Regexp) bool { return name.MatchString(m.test) }) {
			t.Errorf("%s: THREATS.md does not name %s there", m, m.test)
		}
	}
}

// namedInThreats returns the tests that each line of the table names.
func namedInThreats(t *testing.T) map[int][]*regexp.Regexp {
	data, err := os.ReadFile(filepath.Join(root, "THREATS.md"))
	if err != nil {
		t.Fatal(err)
	}
	row, name := regexp.MustCompile(`^\| (\d+) \|`), regexp.MustCompile("`(…[A-Za-z0-9_]+|Test[A-Za-z0-9_]+…?)`")
	named := map[int][]*regexp.Regexp{}
	for text := range strings.Lines(string(data)) {
		found := row.FindStringSubmatch(text)
		if found == nil {
			continue
		}
		n, err := strconv.Atoi(found[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range name.FindAllStringSubmatch(text, -1) {
			named[n] = append(named[n], regexp.MustCompile("^"+strings.ReplaceAll(x[1], "…", `\w+`)+"$"))
		}
	}
	if len(named) != lines {
		t.Fatalf("THREATS.md has %d lines with tests, and not %d", len(named), lines)
	}
	return named
}

// testsOf returns the comments of all tests by their names, in each directory of the tree.
func testsOf(t *testing.T) map[string]map[string]string {
	tests := map[string]map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && (name == "testdata" || strings.HasPrefix(name, ".") && path != root) {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		dir = filepath.ToSlash(dir)
		if tests[dir] == nil {
			tests[dir] = map[string]string{}
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				tests[dir][f.Name.Name] = f.Doc.Text()
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}
