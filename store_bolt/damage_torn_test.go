package storebolt

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/remint-go/remint"
)

// A power cut leaves what a kill does not: any part of what was written and not yet synced, in
// sectors of 512 bytes. bbolt writes a transaction's pages, syncs, writes where everything is into
// one of the first two pages, and syncs again; then it is acknowledged.

const sector = 512

// A torn is a transaction of which some is on the disk.
type torn struct {
	before, after []byte // the file
	had, has      string // what dump finds
	size          int    // of a page
	page          int    // where the transaction says where everything is, from
	changed       []int  // sectors that it wrote, without that page
	description   string
	random        *rand.Rand
}

// tornTransactions makes all kinds of them: with new records and changed ones, with one that is large,
// with deletions, and with events that are trimmed.
func tornTransactions(t *testing.T, random *rand.Rand) (list []*torn) {
	t.Helper()
	path := tempFile(t)
	s := openStore(t, path, nil)
	mustCommit(t, s, put(1, 0, 19))
	_, cursor, err := s.Events(t.Context(), "", 10)
	if err != nil {
		t.Fatal(err)
	}
	deletion := remint.Batch{Trim: cursor}
	for n := range 10 {
		deletion.Delete = append(deletion.Delete, testRecord(n, 1))
	}
	for k, b := range []remint.Batch{
		put(1, 20, 39), put(2, 10, 19), deletion, put(2, 20, 20), put(1, 0, 9),
		{Put: []remint.Put{{Record: bigRecord(50, 1)}}}, {Put: []remint.Put{{Record: bigRecord(51, 1)}}},
		{Delete: []*remint.Record{bigRecord(50, 1)}}, put(1, 60, 79), put(2, 60, 79), put(3, 60, 79),
	} {
		x := &torn{size: os.Getpagesize(), random: random, description: fmt.Sprintf("transaction %d", k)}
		x.before, x.had = readFile(t, path), dump(t, s)
		mustCommit(t, s, b)
		x.after, x.has = readFile(t, path), dump(t, s)
		x.prepare(t)
		list = append(list, x)
	}
	return list
}

// prepare finds out what was written where.
func (x *torn) prepare(t *testing.T) {
	for at := 0; at < len(x.after); at += sector {
		was := make([]byte, sector) // where the file has grown
		if at < len(x.before) {
			was = x.before[at : at+sector]
		}
		switch {
		case bytes.Equal(was, x.after[at:at+sector]):
		case at < 2*x.size:
			x.page = at / x.size * x.size
			if at != x.page {
				t.Fatalf("%s wrote at %d", x.description, at)
			}
		default:
			x.changed = append(x.changed, at)
		}
	}
	if len(x.changed) == 0 {
		t.Fatalf("%s wrote nothing", x.description)
	}
}

func readFile(t *testing.T, path string) []byte {
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// dump is all that a store has.
func dump(t *testing.T, s *Store) string {
	t.Helper()
	b := new(strings.Builder)
	scan, err := s.Scan(t.Context(), remint.ID{}, 1000)
	fmt.Fprintln(b, scan, err)
	list, err := s.List(t.Context(), "o", remint.ID{}, remint.ID{}, 1000)
	fmt.Fprintln(b, list, err)
	due, err := s.Due(t.Context(), noon.Add(1), 1000)
	fmt.Fprintln(b, due, err)
	events, cursor, err := s.Events(t.Context(), "", 1000)
	fmt.Fprintln(b, events, cursor, err)
	return b.String()
}

// want opens an image, which must have all of what was before, or all of what is after it.
func (x *torn) want(t *testing.T, image []byte, whole bool, what string) {
	t.Helper()
	path := tempFile(t)
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, nil)
	if err != nil {
		t.Errorf("%s, %s: %v", x.description, what, err)
		return
	}
	defer s.Close()
	want := x.had
	if whole {
		want = x.has
	}
	if got := dump(t, s); got != want {
		t.Errorf("%s, %s: it has\n%s, want\n%s", x.description, what, got, want)
	}
	mustCommit(t, s, put(1, 100, 119))
	check(t, s)
}

func TestATornTransactionIsNotThere(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for _, x := range tornTransactions(t, rand.New(rand.NewPCG(seed, 0))) {
		for round := range 8 {
			// Before the first sync: any of its sectors, and the file perhaps longer.
			image := bytes.Clone(x.before)
			if round%2 == 0 {
				image = append(image, make([]byte, len(x.after)-len(x.before))...)
			}
			part := x.random.Float64()
			for _, at := range x.changed {
				if x.random.Float64() < part && at < len(image) {
					copy(image[at:at+sector], x.after[at:])
				}
			}
			x.want(t, image, false, fmt.Sprintf("with %.0f %% of what it wrote", 100*part))
		}
		// Before the second: all of that, and a part of the page that says where everything is. A
		// sector is written whole or not at all, but not everywhere.
		const written = 16 + 64 // bytes of that page
		for _, k := range []int{0, 1, 16, 20, 32, 40, 48, 56, 57, 64, 65, 72, 73, 78, 79, written} {
			image := bytes.Clone(x.after)
			copy(image[x.page+k:x.page+written], x.before[x.page+k:])
			whole := bytes.Equal(image[x.page:x.page+written], x.after[x.page:x.page+written])
			x.want(t, image, whole, fmt.Sprintf("with %d bytes of its page of the head", k))
		}
	}
}
