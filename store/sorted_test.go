package store

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

type intKey int

func (k intKey) compare(o intKey) int { return cmp.Compare(k, o) }

func TestSortedIsASortedSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var set sorted[intKey]
		var model []intKey
		insert := func(k intKey) {
			set.insert(k)
			if at, found := slices.BinarySearch(model, k); !found {
				model = slices.Insert(model, at, k)
			}
		}
		remove := func(k intKey) {
			set.remove(k)
			if at, found := slices.BinarySearch(model, k); found {
				model = slices.Delete(model, at, at+1)
			}
		}
		keys := rapid.Map(rapid.IntRange(-3000, 3000), func(n int) intKey { return intKey(n) })
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

func run(t *rapid.T, keys *rapid.Generator[intKey], counts *rapid.Generator[int], step int, do func(intKey)) {
	k := keys.Draw(t, "from")
	for n := range counts.Draw(t, "n") {
		do(k + intKey(n*step))
	}
}

func checkBlocks(t rapid.TB, set *sorted[intKey]) {
	n := 0
	for i, block := range set.blocks {
		n += len(block)
		if len(block) == 0 || len(block) > blockSize {
			t.Fatalf("block %d of %d has %d keys", i, len(set.blocks), len(block))
		}
	}
	if n != set.n {
		t.Fatalf("%d keys, counted %d", n, set.n)
	}
}

func TestSortedPacksAscendingKeys(t *testing.T) {
	var set sorted[intKey]
	for n := range 100 * blockSize {
		set.insert(intKey(n))
	}
	if len(set.blocks) != 100 {
		t.Errorf("%d blocks, want 100", len(set.blocks))
	}
}

func TestSortedGivesBlocksBack(t *testing.T) {
	var set sorted[intKey]
	for n := range 100 * blockSize {
		set.insert(intKey(n))
	}
	for n := range 100 * blockSize { // all but every hundredth
		if n%100 != 0 {
			set.remove(intKey(n))
		}
	}
	checkBlocks(t, &set)
	if len(set.blocks) > 8 {
		t.Errorf("%d blocks for %d keys", len(set.blocks), set.n)
	}
}

func TestSortedIterationCanStop(t *testing.T) {
	var set sorted[intKey]
	for range set.all() {
		t.Fatal("the zero set has a key")
	}
	for range set.after(1) {
		t.Fatal("the zero set has a key")
	}
	for n := range 1000 {
		set.insert(intKey(n))
	}
	var got []intKey
	for k := range set.after(254) {
		if got = append(got, k); len(got) == 3 {
			break
		}
	}
	if !slices.Equal(got, []intKey{255, 256, 257}) {
		t.Errorf("got %v", got)
	}
}
