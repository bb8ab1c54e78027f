//go:build linux || darwin

package storebolt

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/remint-go/remint"
)

// limitFiles lets no file of this process grow beyond that.
func limitFiles(t *testing.T, bytes uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = min(bytes, limit.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
}

// A disk is one that can be full.
type disk struct {
	through    []string // the command that makes it
	why        string   // what the system says when it is full
	take, give func(t *testing.T, dir string)
}

// disks are a limit of the length of files, which can be had everywhere, and a small file system, where
// this process may mount one.
func disks(dir string) map[string]disk {
	list := map[string]disk{"a limit": {
		why:  "file too large",
		take: func(t *testing.T, _ string) { limitFiles(t, 400<<10) },
		give: func(t *testing.T, _ string) { limitFiles(t, math.MaxInt64) },
	}}
	through, ok := mounted(dir)
	if !ok {
		return list
	}
	list["a file system"] = disk{
		through: through,
		why:     "no space left on device",
		take: func(t *testing.T, dir string) {
			f, err := os.Create(filepath.Join(dir, "ballast"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := io.Copy(f, endless{}); !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
		},
		give: func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "ballast")); err != nil {
				t.Fatal(err)
			}
		},
	}
	return list
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestAFullDiskIsAnErrorAndTheStoreGoesOnWhenThereIsRoom(t *testing.T) {
	dir := dirOf(t)
	for name, d := range disks(dir) {
		t.Run(name, func(t *testing.T) {
			if alone(t, dir, d.through...) {
				fill(t, dir, d)
			}
		})
	}
}

func fill(t *testing.T, dir string, d disk) {
	path := filepath.Join(dir, "tokens.db")
	s, err := Open(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s, put(1, 0, 9))
	acknowledged := 10
	// fill commits until there is no room, and checks that what was acknowledged is there and no more.
	fill := func() {
		t.Helper()
		for range 10_000 {
			if err = s.Commit(t.Context(), put(1, acknowledged, acknowledged+19)); err != nil {
				break
			}
			acknowledged += 20
		}
		wantSaid(t, err, "commit to", path, d.why)
		wantFirst(t, s, acknowledged)
	}

	d.take(t, dir)
	for range 3 { // it is so each time
		fill()
	}
	d.give(t, dir)
	mustCommit(t, s, put(1, acknowledged, acknowledged+59))
	acknowledged += 60
	wantFirst(t, s, acknowledged)

	// It can also be closed and opened while there is no room.
	d.take(t, dir)
	fill()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, path, nil)
	fill()
	d.give(t, dir)
	mustCommit(t, s, put(1, acknowledged, acknowledged+59))
	wantFirst(t, s, acknowledged+60)
}

// wantFirst checks that there are the first n records, and no more.
func wantFirst(t *testing.T, s *Store, n int) {
	t.Helper()
	for k := range n {
		wantRevision(t, s, k, 1)
	}
	if list, err := s.List(t.Context(), "o", remint.ID{}, remint.ID{}, 1e6); len(list) != n || err != nil {
		t.Errorf("List has %d of %d, %v", len(list), n, err)
	}
	check(t, s)
}

func TestANewFileForWhichThereIsNoRoomIsNotThere(t *testing.T) {
	dir := dirOf(t)
	if !alone(t, dir) {
		return
	}
	path := filepath.Join(dir, "tokens.db")
	for _, room := range []uint64{0, 1, 4096, 16 << 10, 20 << 10, 30 << 10} {
		limitFiles(t, room)
		s, err := Open(path, nil)
		if err == nil {
			s.Close()
		}
		wantSaid(t, err, "open", path, "file too large")
		if entries, err := os.ReadDir(dir); len(entries) > 0 || err != nil {
			t.Fatalf("with %d bytes there is %v, %v", room, entries, err)
		}
	}
	limitFiles(t, math.MaxInt64)
	mustCommit(t, openStore(t, path, nil), put(1, 1, 1))
}
