package store

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/remint-go/remint"
)

func TestRosterIsAMapFromNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var o roster
		model := map[uint32]*remint.Record{}
		var numbers []uint32
		counts := rapid.IntRange(1, 3*rosterChunkSize)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				for range counts.Draw(t, "n") {
					r := newRecord(sequential(len(model)), 1)
					n := o.add(r)
					if model[n] != nil {
						t.Fatalf("%d is given twice", n)
					}
					model[n] = r
					numbers = append(numbers, n)
				}
			},
			"replace": func(t *rapid.T) {
				if len(numbers) > 0 {
					n := rapid.SampledFrom(numbers).Draw(t, "number")
					model[n] = newRecord(model[n].ID(), model[n].Revision()+1)
					o.set(n, model[n])
				}
			},
			"remove": func(t *rapid.T) {
				k := min(len(numbers), counts.Draw(t, "n"))
				for _, n := range numbers[:k] {
					o.remove(n)
					delete(model, n)
				}
				numbers = numbers[k:]
			},
			"": func(t *rapid.T) {
				for n, r := range model {
					if o.at(n) != r {
						t.Fatalf("%d has %v, want %v", n, o.at(n), r)
					}
				}
				chunks := 0
				for k, chunk := range o.chunks {
					live := 0
					for n := range model {
						if int(n)/rosterChunkSize == k {
							live++
						}
					}
					if chunk == nil != (live == 0) || chunk != nil && chunk.live != live {
						t.Fatalf("chunk %d of %d records is %v", k, live, chunk != nil)
					}
					if chunk != nil {
						chunks++
					}
				}
				if len(model) == 0 && chunks+len(o.chunks)+cap(o.free) != 0 {
					t.Fatal("an empty roster holds memory")
				}
			},
		})
	})
}
