package storetest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// The test of a process that is killed. The victim has several writers, each with a
// pair of records of its own that change together: both have the same revision, the
// same time to sweep, and an event for each revision. It prints a line for each commit
// that returned.

const (
	victimVariable    = "REMINT_STORETEST_VICTIM" // the name of the test to run as one
	victimDirVariable = "REMINT_STORETEST_DIR"
	victimWriters     = 4
	victimPrefix      = "storetest: committed " // writer and revision follow
	killRounds        = 3
)

// pair returns a writer's two records of a revision.
func pair(writer int, revision uint64) []*remint.Record {
	at := noon.Add(time.Duration(revision) * time.Second)
	return []*remint.Record{
		record(fields{ID: id(2 * writer), Revision: revision, Owner: "o", SweepAt: at}),
		record(fields{ID: id(2*writer + 1), Revision: revision, Owner: "o", Parent: id(2 * writer), SweepAt: at}),
	}
}

// isVictim reports whether this process was started to run that test as one.
func isVictim(test string) bool { return os.Getenv(victimVariable) == test }

func commitUntilKilled(tb testing.TB, open func(dir string) remint.Store) {
	go func() {
		io.Copy(io.Discard, os.Stdin) // until the killer has died itself
		os.Exit(1)
	}()
	x := newSuite(tb, open(os.Getenv(victimDirVariable)))
	var printing sync.Mutex
	x.race(victimWriters, func(n int) (remint.Batch, error) {
		for revision := x.revision(id(2 * n)); ; revision++ {
			next := pair(n, revision+1)
			b := remint.Batch{Put: puts(revision, next...), Log: events(next...)}
			if err := x.s.Commit(x.Context(), b); err != nil {
				return b, fmt.Errorf("victim: %w", err)
			}
			printing.Lock()
			fmt.Fprintf(os.Stdout, "%s%d %d\n", victimPrefix, n, revision+1)
			printing.Unlock()
		}
	})
}

// survived checks what there is of a writer, of which the acknowledged revision and at
// most one more was committed, and gives it to the model. It returns the revision.
func (x *durable) survived(writer int, acknowledged uint64) uint64 {
	x.Helper()
	revision := x.revision(id(2 * writer))
	if revision < acknowledged || revision > acknowledged+1 {
		x.fatalf("revision %d of %v was acknowledged, and %d is stored", acknowledged, id(2*writer), revision)
	}
	if revision == 0 {
		x.m.see(remint.Batch{Guard: pair(writer, 1)})
		return 0
	}
	b := remint.Batch{Put: puts(0, pair(writer, revision)...)}
	for i := uint64(1); i <= revision; i++ {
		b.Log = append(b.Log, events(pair(writer, i)...)...)
	}
	x.m.commit(b)
	return revision
}

// killAfter runs a victim until it has acknowledged some commits, kills it, and notes
// each writer's last.
func (x *durable) killAfter(commits int, acknowledged []uint64) {
	x.Helper()
	cmd := exec.Command(os.Args[0], "-test.run="+exactly(x.test), "-test.count=1")
	cmd.Env = append(os.Environ(), victimVariable+"="+x.test, victimDirVariable+"="+x.dir)
	var output strings.Builder
	cmd.Stderr = &output
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, cmd.Start()); err != nil {
		x.fatalf("starting a process: %v", err)
	}
	defer stdin.Close()
	seen, other := 0, "" // lines
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		var writer int
		var revision uint64
		if n, _ := fmt.Sscanf(lines.Text(), victimPrefix+"%d %d", &writer, &revision); n != 2 || writer >= len(acknowledged) {
			other += lines.Text() + "\n"
			continue
		}
		acknowledged[writer] = max(acknowledged[writer], revision)
		if seen++; seen == commits {
			cmd.Process.Kill() // and go on reading what it had printed by then
		}
	}
	cmd.Wait() // "signal: killed"
	if seen < commits {
		x.fatalf("the process committed only %d times:\n%s%s", seen, other, output.String())
	}
}

// exactly returns the -test.run pattern of one test.
func exactly(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = "^" + regexp.QuoteMeta(part) + "$"
	}
	return strings.Join(parts, "/")
}
