package remint_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/remint-go/remint"
)

// The properties are drawn from one seed, so that a change is judged by what it changes.
// REMINT_EXPLORE=1 draws new ones: for a long run by hand, with -rapid.checks.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("REMINT_EXPLORE") == "" && flag.Lookup("rapid.seed").Value.String() == "0" {
		if err := flag.Set("rapid.seed", "20261122"); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if remint.WroteToShared() {
		fmt.Fprintln(os.Stderr, "a test wrote to what all sealed records share")
		code = max(code, 1)
	}
	os.Exit(code)
}
