package remint_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestTheRootPackageLinksNoEngineAndNoServer(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range strings.Fields(string(out)) {
		switch {
		case p == "net/http", p == "database/sql", strings.HasPrefix(p, "go.etcd.io/"),
			strings.HasPrefix(p, "github.com/remint-go/remint/store"), p == "testing":
			t.Errorf("package remint depends on %s", p)
		}
	}
}

func TestTheCoreRequiresItsFewPackagesOnly(t *testing.T) {
	mod, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	allowed := regexp.MustCompile(`^(github\.com/oklog/ulid/v2|golang\.org/x/crypto|go\.etcd\.io/bbolt|github\.com/google/go-cmp|pgregory\.net/rapid) v\S+$`)
	for line := range strings.Lines(string(mod)) {
		line = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if !strings.Contains(line, " v") || strings.HasSuffix(line, "// indirect") {
			continue
		}
		if !allowed.MatchString(line) {
			t.Errorf("go.mod requires %q", line)
		}
	}
}

// Nothing here, in any module, goes round the type system or needs a C compiler.
func TestNothingIsUnsafeAndNothingIsC(t *testing.T) {
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".s"), strings.HasSuffix(path, ".c"):
			t.Errorf("%s is not Go", path)
		case !strings.HasSuffix(path, ".go"):
			return nil
		}
		files++
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		for _, i := range f.Imports {
			if i.Path.Value == `"unsafe"` || i.Path.Value == `"C"` {
				t.Errorf("%s imports %s", path, i.Path.Value)
			}
		}
		return nil
	})
	if err != nil || files < 100 {
		t.Errorf("%d files were read: %v", files, err)
	}
}
