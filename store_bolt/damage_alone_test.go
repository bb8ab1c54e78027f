package storebolt

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

const (
	aloneVariable    = "STOREBOLT_TEST_ALONE" // the name of the test that this process is to run alone
	aloneDirVariable = "STOREBOLT_TEST_DIR"   // and a directory for it, which its parent has made
)

// dirOf returns a directory for a test that runs alone.
func dirOf(t *testing.T) string {
	if dir := os.Getenv(aloneDirVariable); dir != "" {
		return dir
	}
	return t.TempDir()
}

// alone runs a test in a process of its own, because of what it does to its process; through another
// command, if one is given. There it returns true.
func alone(t *testing.T, dir string, through ...string) bool {
	t.Helper()
	if os.Getenv(aloneVariable) == t.Name() {
		return true
	}
	pattern := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	command := append(through, os.Args[0], "-test.v", "-test.count=1", "-test.run="+pattern)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), aloneVariable+"="+t.Name(), aloneDirVariable+"="+dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
	return false
}

// mounted returns a command that runs another one with a file system of a MiB mounted at dir, for
// that one alone. It is not ok where such a thing is not to be had.
func mounted(dir string) (through []string, ok bool) {
	if os.Getenv(aloneVariable) != "" {
		return nil, true // it is
	}
	for _, unshare := range [][]string{{"unshare", "-Urm"}, {"unshare", "-m"}} {
		through = append(unshare, "sh", "-c", `mount -t tmpfs -o size=1m none "$0" && "$@"`, dir)
		if exec.Command(through[0], append(through[1:], "true")...).Run() == nil {
			return through, true
		}
	}
	return nil, false
}
