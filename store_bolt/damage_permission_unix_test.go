//go:build linux || darwin

package storebolt

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// nobody is who root becomes in a process that shall not be root: some user with no right to a file.
const nobody = 65534

func becomeNobody(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody)); err != nil {
		t.Fatal(err)
	}
}

func TestWhatMayNotBeWrittenOrReadIsAnErrorAndNothingIsLost(t *testing.T) {
	// Modes are the same for all, so that it does not matter whose the files are.
	for name, c := range map[string]struct {
		dir, file fs.FileMode // no file: 0
		opens     bool
		reads     bool
	}{
		"a directory that may not be written":                     {dir: 0o555},
		"a directory that may not be entered":                     {dir: 0o444, file: 0o666},
		"a file that may not be written":                          {dir: 0o555, file: 0o444, reads: true},
		"a file that may not be read":                             {dir: 0o555, file: 0o222},
		"a file that may be written, in a directory that may not": {dir: 0o555, file: 0o666, opens: true, reads: true},
	} {
		t.Run(name, func(t *testing.T) {
			top := dirOf(t)
			dir := filepath.Join(top, "dir")
			path := filepath.Join(dir, "tokens.db")
			if os.Getenv(aloneVariable) == "" {
				must(t, os.Mkdir(dir, 0o755))
				if c.file != 0 {
					must(t, os.WriteFile(path, written(t), 0o600), os.Chmod(path, c.file))
				}
				must(t, os.Chmod(dir, c.dir))
			}
			if !alone(t, top) {
				must(t, os.Chmod(dir, 0o755)) // the cause is gone
				if c.file != 0 {
					must(t, os.Chmod(path, 0o600))
					wantWritten(t, openStore(t, path, nil))
				} else if entries, err := os.ReadDir(dir); len(entries) > 0 || err != nil {
					t.Errorf("there is %v, %v", entries, err)
				}
				return
			}
			must(t, os.Chdir(top)) // which nobody may not, from the root
			becomeNobody(t)
			for _, readOnly := range []bool{true, false} {
				s, err := Open("dir/tokens.db", &Options{ReadOnly: readOnly})
				switch wanted := c.opens || c.reads && readOnly; {
				case wanted && err != nil:
					t.Error(err)
				case wanted:
					if found, errs := readAll(t, s); found != writtenRecords || len(errs) > 0 {
						t.Errorf("%d records were found, and %v", found, errs)
					}
					must(t, s.Close())
				case err == nil:
					t.Errorf("it was opened, read-only %t", readOnly)
				case c.file == 0 && readOnly:
					wantSaid(t, err, "open dir/tokens.db", "no such file")
				default:
					wantSaid(t, err, "open dir/tokens.db", "permission denied", "must be able to")
				}
			}
		})
	}
	dir := dirOf(t)
	if through, ok := mounted(dir); ok {
		t.Run("a file system that may not be written", func(t *testing.T) {
			if alone(t, dir, through...) {
				readOnlyFileSystem(t, dir)
			}
		})
	}
}

func readOnlyFileSystem(t *testing.T, dir string) {
	path := filepath.Join(dir, "tokens.db")
	must(t, os.WriteFile(path, written(t), 0o600))
	remount := func(how string) {
		t.Helper()
		if out, err := exec.Command("mount", "-o", "remount,bind,"+how, dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	remount("ro")
	for _, name := range []string{"tokens.db", "new.db"} {
		_, err := Open(filepath.Join(dir, name), nil)
		wantSaid(t, err, "open", name, "read-only file system", "Options.ReadOnly")
	}
	wantWrittenTo(t, path)
	remount("rw")
	wantWritten(t, openStore(t, path, nil))
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
