package store

import (
	"encoding/binary"
	"iter"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/remint-go/remint"
)

// A numberSet is a sorted set of records that have numbers for IDs.
type numberSet struct {
	sorted[idKey]
	records roster
	known   map[int]uint32
}

const zeroNumber = 1 << 32 // so that none is negative

func keyOf(n int) idKey { return idKey(sequential(zeroNumber + n)) }

func numberOf(r *remint.Record) int {
	id := r.ID()
	return int(binary.BigEndian.Uint64(id[8:])) - zeroNumber
}

func (s *numberSet) insert(n int) {
	if s.known == nil {
		s.known = map[int]uint32{}
	}
	at, known := s.known[n]
	if !known {
		at = s.records.add(newRecord(remint.ID(keyOf(n)), 1))
		s.known[n] = at
	}
	s.sorted.insert(&s.records, at)
}

func (s *numberSet) remove(n int) {
	s.sorted.remove(&s.records, keyOf(n))
	if at, known := s.known[n]; known {
		s.records.remove(at)
		delete(s.known, n)
	}
}

func (s *numberSet) all() iter.Seq[int] { return numbersOf(s.sorted.all(&s.records)) }

func (s *numberSet) after(n int) iter.Seq[int] {
	return numbersOf(s.sorted.after(&s.records, keyOf(n)))
}

func numbersOf(records iter.Seq[*remint.Record]) iter.Seq[int] {
	return func(yield func(int) bool) {
		for r := range records {
			if !yield(numberOf(r)) {
				return
			}
		}
	}
}

func TestSortedIsASortedSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var set numberSet
		var model []int
		insert := func(k int) {
			set.insert(k)
			if at, found := slices.BinarySearch(model, k); !found {
				model = slices.Insert(model, at, k)
			}
		}
		remove := func(k int) {
			set.remove(k)
			if at, found := slices.BinarySearch(model, k); found {
				model = slices.Delete(model, at, at+1)
			}
		}
		keys := rapid.IntRange(-3000, 3000)
		counts := rapid.IntRange(0, 700)
		t.Repeat(map[string]func(*rapid.T){
			"insert":    func(t *rapid.T) { insert(keys.Draw(t, "key")) },
			"remove":    func(t *rapid.T) { remove(keys.Draw(t, "key")) },
			"ascending": func(t *rapid.T) { run(t, keys, counts, 1, insert) },
			"down":      func(t *rapid.T) { run(t, keys, counts, -1, insert) },
			"strides":   func(t *rapid.T) { run(t, keys, counts, 7, insert) },
			"remove up": func(t *rapid.T) { run(t, keys, counts, 1, remove) },
			"remove down": func(t *rapid.T) {
				run(t, keys, counts, -1, remove)
			},
			"thin out": func(t *rapid.T) { run(t, keys, counts, 3, remove) },
			"remove first": func(t *rapid.T) {
				for range min(counts.Draw(t, "n"), len(model)) {
					remove(model[0])
				}
			},
			"": func(t *rapid.T) {
				if got := slices.Collect(set.all()); !slices.Equal(got, model) {
					t.Fatalf("all() = %v, want %v", got, model)
				}
				k := keys.Draw(t, "after")
				at, found := slices.BinarySearch(model, k)
				if found {
					at++
				}
				if got := slices.Collect(set.after(k)); !slices.Equal(got, model[at:]) {
					t.Fatalf("after(%d) = %v, want %v", k, got, model[at:])
				}
				checkBlocks(t, &set)
			},
		})
	})
}

func run(t *rapid.T, keys *rapid.Generator[int], counts *rapid.Generator[int], step int, do func(int)) {
	k := keys.Draw(t, "from")
	for n := range counts.Draw(t, "n") {
		do(k + n*step)
	}
}

func checkBlocks(t rapid.TB, set *numberSet) {
	n := 0
	for i, block := range set.blocks {
		n += len(block.numbers)
		if len(block.numbers) == 0 || len(block.numbers) > blockSize {
			t.Fatalf("block %d of %d has %d records", i, len(set.blocks), len(block.numbers))
		}
		if first := set.key(&set.records, block.numbers[0]); block.first != first {
			t.Fatalf("block %d begins with %x, and says %x", i, first, block.first)
		}
	}
	if n != len(set.known) {
		t.Fatalf("%d records of %d", n, len(set.known))
	}
}

func TestSortedPacksAscendingKeys(t *testing.T) {
	var set numberSet
	for n := range 100 * blockSize {
		set.insert(n)
	}
	if len(set.blocks) != 100 {
		t.Errorf("%d blocks, want 100", len(set.blocks))
	}
}

func TestSortedGivesBlocksBack(t *testing.T) {
	var set numberSet
	for n := range 100 * blockSize {
		set.insert(n)
	}
	for n := range 100 * blockSize { // all but every hundredth
		if n%100 != 0 {
			set.remove(n)
		}
	}
	checkBlocks(t, &set)
	if len(set.blocks) > 8 {
		t.Errorf("%d blocks for %d keys", len(set.blocks), len(set.known))
	}
}

func TestSortedIterationCanStop(t *testing.T) {
	var set numberSet
	for range set.all() {
		t.Fatal("the zero set has a key")
	}
	for range set.after(1) {
		t.Fatal("the zero set has a key")
	}
	for n := range 1000 {
		set.insert(n)
	}
	var got []int
	for k := range set.after(254) {
		if got = append(got, k); len(got) == 3 {
			break
		}
	}
	if !slices.Equal(got, []int{255, 256, 257}) {
		t.Errorf("got %v", got)
	}
}
