package remint_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// THREATS.md line 20: what a caller presents is compared in a time that tells nothing. No test can
// show that by running it; so this one reads it. In each of these functions something that comes
// from a caller meets what is stored: it is compared as often as here, in that one way, and in no other.
// It fails without the comparison in constant time, and without the dummy that an unknown ID is
// compared with (internal/mutants).
func TestWhatIsPresentedIsComparedInConstantTime(t *testing.T) {
	const constant = "subtle.ConstantTimeCompare"
	for _, f := range []struct {
		file, name string
		compare    string // the call that compares
		times      int
	}{
		{"digest.go", "digest.equal", "subtle.ConstantTimeEq", 1},
		{"secret.go", "Secret.Equal", constant, 1},
		{"retry.go", "record.sealedAs", constant, 1},
		{"issuer.go", "Issuer.matchSecret", "sum.equal", 3}, // newest, the others, retired
		{"issuer.go", "Issuer.unknown", "sum.equal", 1},     // a dummy: an unknown ID costs as much
		{"replay.go", "attempt.find", "sum.equal", 1},
	} {
		body := bodyOf(t, f.file, f.name)
		compared := 0
		ast.Inspect(body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				switch called := dotted(n.Fun); called {
				case f.compare:
					compared++
				case "bytes.Equal", "bytes.Compare", "slices.Equal", "strings.EqualFold", "reflect.DeepEqual":
					t.Errorf("%s calls %s", f.name, called)
				}
			case *ast.BinaryExpr:
				for _, x := range []ast.Expr{n.X, n.Y} {
					if (n.Op == token.EQL || n.Op == token.NEQ) && secretName(dotted(x)) && !isNone(n.X) && !isNone(n.Y) {
						t.Errorf("%s compares %s with %s", f.name, dotted(x), n.Op)
					}
				}
			}
			return true
		})
		if compared != f.times {
			t.Errorf("%s calls %s %d times, and not %d", f.name, f.compare, compared, f.times)
		}
	}
}

// secretName reports whether an expression is called as digests and secrets are here.
func secretName(x string) bool {
	switch x[strings.LastIndexByte(x, '.')+1:] {
	case "a", "b", "d", "e", "digest", "name", "secret", "sum":
		return true
	}
	return false
}

// isNone reports whether an expression is nil or the empty text.
func isNone(x ast.Expr) bool {
	lit, ok := x.(*ast.BasicLit)
	return ok && lit.Value == `""` || dotted(x) == "nil"
}

// dotted returns a name as it is written, or "" for what is none.
func dotted(x ast.Expr) string {
	switch x := x.(type) {
	case *ast.Ident:
		return x.Name
	case *ast.SelectorExpr:
		return dotted(x.X) + "." + x.Sel.Name
	case *ast.StarExpr:
		return dotted(x.X)
	case *ast.ParenExpr:
		return dotted(x.X)
	case *ast.SliceExpr:
		return dotted(x.X)
	}
	return ""
}

// bodyOf returns the body of a method, which is named with its receiver's type.
func bodyOf(t *testing.T, file, name string) *ast.BlockStmt {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, decl := range parsed.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if ok && f.Recv != nil && dotted(f.Recv.List[0].Type)+"."+f.Name.Name == name {
			return f.Body
		}
	}
	t.Fatalf("%s has no %s", file, name)
	return nil
}
