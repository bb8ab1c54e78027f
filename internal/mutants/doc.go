// Package mutants takes the protections of THREATS.md and of the laws in docs/design.md out of the
// code, one at a time, and shows that the test which stands for each of them fails then.
//
//	go test ./internal/mutants                                 the table is in step with the tree
//	REMINT_MUTANTS=1 go test -timeout 2h ./internal/mutants    each mutant is tried
//	REMINT_MUTANTS=7 go test ./internal/mutants                those of line 7 of THREATS.md
//	REMINT_MUTANTS='law 3|clone' go test ./internal/mutants    those whose name matches
//
// Two at once on two cores, all of them take about half an hour; -parallel says how many.
//
// A mutant is one replacement in one file. The file in the tree stays as it is: go test is given
// another one in its place (-overlay), or a copy of the tree where a test reads the sources. A
// test that panics, hangs or does not compile has shown nothing.
package mutants
