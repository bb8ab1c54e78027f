package histories

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"
)

// seeds returns n seeds, or as many times more as REMINT_HISTORIES says, or the one of
// REMINT_HISTORIES_SEED.
func seeds(t *testing.T, n int) []uint64 {
	t.Helper()
	if value := os.Getenv("REMINT_HISTORIES_SEED"); value != "" {
		seed, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			t.Fatal("REMINT_HISTORIES_SEED:", err)
		}
		return []uint64{seed}
	}
	if value := os.Getenv("REMINT_HISTORIES"); value != "" {
		times, err := strconv.Atoi(value)
		if err != nil || times < 1 {
			t.Fatalf("REMINT_HISTORIES is %q, and not by how much there shall be more", value)
		}
		n *= times
	}
	all := make([]uint64, n)
	for i := range all {
		all[i] = rand.Uint64()
	}
	return all
}

// report fails t with the history: as a page for a browser, which the flag -artifacts of go test
// keeps, and as far as an order could be found that explains it.
func report(t *testing.T, s *search, ops []porcupine.Operation) {
	t.Helper()
	s = s.w.search()
	m := s.model()
	_, info := porcupine.CheckOperationsVerbose(m, ops, 0)
	path := filepath.Join(t.ArtifactDir(), fmt.Sprintf("%d.html", s.w.seed))
	if err := porcupine.VisualizePath(m, info, path); err != nil {
		t.Error(err)
	}
	var longest []porcupine.Operation
	for _, order := range info.PartialLinearizationsOperations()[0] {
		if len(order) > len(longest) {
			longest = order
		}
	}
	explained := map[any]bool{}
	at := m.Init()
	for _, op := range longest {
		_, at = m.Step(at, op.Input, op.Output)
		explained[op.Input] = true
	}
	var rest []porcupine.Operation
	for _, op := range ops {
		if !explained[op.Input] {
			rest = append(rest, op)
		}
	}
	t.Fatalf("REMINT_HISTORIES_SEED=%d is not linearizable: %s\n%sis %s\nand leaves\n%s",
		s.w.seed, path, text(longest), m.DescribeState(at), text(rest))
}

// text lists operations with their calls, returns and clients, and with what the clock showed
// meanwhile.
func text(ops []porcupine.Operation) string {
	var b strings.Builder
	for _, op := range ops {
		e := op.Input.(event)
		fmt.Fprintf(&b, "%4d-%-4d c%d %v %s → %v", op.Call, op.Return, op.ClientId, e.call, e.part, op.Output)
		for _, t := range e.times {
			b.WriteString(" " + clockText(t))
		}
		b.WriteByte('\n')
	}
	return b.String()
}
