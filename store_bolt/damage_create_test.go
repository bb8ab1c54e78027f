package storebolt

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	berrors "go.etcd.io/bbolt/errors"
)

func TestOfManyThatMakeAFileAtOnceOneHasIt(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		path := filepath.Join(dir, "tokens.db")
		stores, errs := make([]*Store, 8), make([]error, 8)
		var done sync.WaitGroup
		for n := range stores {
			done.Go(func() { stores[n], errs[n] = Open(path, nil) })
		}
		done.Wait()
		opened := 0
		for n, s := range stores {
			switch {
			case errs[n] == nil:
				opened++
				mustCommit(t, s, put(1, 1, 1))
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			case !errors.Is(errs[n], berrors.ErrTimeout):
				t.Error(errs[n])
			}
		}
		if opened != 1 {
			t.Errorf("%d have it", opened)
		}
		if entries, err := os.ReadDir(dir); len(entries) != 1 || err != nil {
			t.Errorf("there is %v, %v", entries, err)
		}
	}
}

// What a kill leaves of a new file is under another name.
func TestWhatAKillLeftOfANewFileIsInNobodysWay(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"storebolt-new-1": "", "storebolt-new-2": "a part"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mustCommit(t, openStore(t, filepath.Join(dir, "tokens.db"), nil), put(1, 1, 1))
}

func TestANewFileIsMadeWhereALinkPoints(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tokens.db")
	if err := os.Symlink("there.db", path); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, openStore(t, path, nil), put(1, 1, 1))
	if info, err := os.Lstat(filepath.Join(dir, "there.db")); err != nil || info.Mode() != 0o600 {
		t.Errorf("there is %v, %v", info, err)
	}
}
