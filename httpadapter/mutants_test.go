package httpadapter_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Law 1 and law 4, read from the sources, since a route that decides by itself may decide well for
// a long time: no route verifies its caller, acts on another's authority or asks what a token
// allows; and a grant's secret is revealed in one place.
// It fails without an operation as the one judge of what a route does, and without the one place in
// which the adapter reveals a secret (internal/mutants).
func TestNoRouteDecidesAndOnePlaceReveals(t *testing.T) {
	want := map[string]int{
		"Verify in authenticate.go":  2, // the middleware; and garbage, which is denied without I/O
		"Allows in authenticate.go":  2, // the middleware again
		"Verify in introspect.go":    1, // not of the caller: of the token that it asks about
		"Operator in idempotency.go": 1, // reads what never changes of a token
		"Bearer in route.go":         1,
		"Reveal in route.go":         1,
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if x, ok := n.(*ast.SelectorExpr); ok && slices.Contains([]string{"Verify", "Operator", "Member", "Bearer", "Allows", "Reveal"}, x.Sel.Name) {
				got[x.Sel.Name+" in "+file]++
			}
			return true
		})
	}
	for what := range got {
		if got[what] != want[what] {
			t.Errorf("%s: %d times, and not %d", what, got[what], want[what])
		}
	}
	for what := range want {
		if got[what] == 0 {
			t.Errorf("%s is gone: is this test still about what it says?", what)
		}
	}
}
