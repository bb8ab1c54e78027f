package remint_test

import (
	"os"
	"os/exec"
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
