package mutants

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// root is the tree, from where the tests of this package run.
const root = "../.."

// A mutant is the code without one protection.
type mutant struct {
	line int    // of the table in THREATS.md, or 0
	law  int    // of docs/design.md, or 0; a mutant is of a line, a law or both
	what string // the protection, so that "the test fails without" goes before it

	file     string // in the tree
	old, new string // old is there once, and replaced

	dir    string // of the test's package; "" is the root
	test   string // the function that must fail
	copies bool   // the test reads sources, and needs a copy of the tree
}

func (m mutant) String() string {
	var of []string
	if m.line != 0 {
		of = append(of, fmt.Sprintf("line %d", m.line))
	}
	if m.law != 0 {
		of = append(of, fmt.Sprintf("law %d", m.law))
	}
	return strings.Join(of, ", ") + ": " + m.what
}

// mutants are all there are.
var mutants = slices.Concat(raceMutants, storeMutants, timeMutants, reachMutants, secretMutants, lawMutants)

// source returns the file with the protection, and without it.
func (m mutant) source() (whole, mutated string, err error) {
	data, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return "", "", err
	}
	whole = string(data)
	if n := strings.Count(whole, m.old); n != 1 || m.old == m.new {
		return "", "", fmt.Errorf("%s has %d times\n%s", m.file, n, m.old)
	}
	return whole, strings.Replace(whole, m.old, m.new, 1), nil
}

func (m mutant) pkg() string { return cmp.Or(m.dir, ".") }
