package store

import (
	"iter"
	"slices"
	"sort"

	"github.com/remint-go/remint"
)

// A sorted is an ordered set of records, by keys that they have. The zero value is empty.
//
// It is a slice of blocks of the records' numbers, which costs what a B-tree of two levels
// costs and is a tenth of the code. A change moves the numbers of one block and, once in
// hundreds of changes, the slice of blocks: 160 to 280 KB for a million records. The keys are not
// repeated here: with them, three indexes take as much as the records.
type sorted[K key[K]] struct {
	blocks []block[K]
}

// A block has the records from first on, and is never empty. Its first key is there so that
// finding the block looks into no record.
type block[K any] struct {
	first   K
	numbers []uint32
}

type key[K any] interface {
	// compare returns less than 0, 0 or more than 0 as the receiver sorts before, with
	// or after the other.
	compare(K) int
	// of returns the key of a record, whatever the receiver is.
	of(*remint.Record) K
}

// blockSize is the most records of a block. Blocks that together have less than half of it
// become one.
const blockSize = 256

func (s *sorted[K]) key(records *roster, n uint32) (k K) { return k.of(records.at(n)) }

// block returns the index of the block that has k, or would have it: the last that does
// not begin after k, or the first.
func (s *sorted[K]) block(k K) int {
	return max(0, sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i].first.compare(k) > 0 })-1)
}

func (s *sorted[K]) search(records *roster, numbers []uint32, k K) (int, bool) {
	return slices.BinarySearchFunc(numbers, k, func(n uint32, k K) int { return s.key(records, n).compare(k) })
}

// insert adds the record of that number, if there is none with its key.
func (s *sorted[K]) insert(records *roster, n uint32) {
	k := s.key(records, n)
	if len(s.blocks) == 0 {
		s.blocks = []block[K]{{k, []uint32{n}}}
		return
	}
	i := s.block(k)
	numbers := s.blocks[i].numbers
	at, found := s.search(records, numbers, k)
	if found {
		return
	}
	if len(numbers) == blockSize {
		// Keys that come in order leave full blocks behind.
		half := blockSize / 2
		if at == blockSize && i == len(s.blocks)-1 {
			half = blockSize
		}
		second := block[K]{k, slices.Clone(numbers[half:])}
		if half < blockSize {
			second.first = s.key(records, numbers[half])
		}
		s.blocks = slices.Insert(s.blocks, i+1, second)
		s.blocks[i].numbers = slices.Clone(numbers[:half])
		if at >= half {
			i, at = i+1, at-half
		}
	}
	b := &s.blocks[i]
	b.numbers = slices.Insert(b.numbers, at, n)
	if at == 0 {
		b.first = k
	}
}

// remove removes the record with the key k, if it is there.
func (s *sorted[K]) remove(records *roster, k K) {
	if len(s.blocks) == 0 {
		return
	}
	i := s.block(k)
	b := &s.blocks[i]
	at, found := s.search(records, b.numbers, k)
	if !found {
		return
	}
	b.numbers = slices.Delete(b.numbers, at, at+1)
	if len(b.numbers) == 0 {
		s.blocks = slices.Delete(s.blocks, i, i+1)
		return
	}
	if at == 0 {
		b.first = s.key(records, b.numbers[0])
	}
	s.join(i - 1)
	s.join(i)
}

// join makes one of block i and the next, if they are there and small.
func (s *sorted[K]) join(i int) {
	if i < 0 || i+1 >= len(s.blocks) || len(s.blocks[i].numbers)+len(s.blocks[i+1].numbers) >= blockSize/2 {
		return
	}
	s.blocks[i].numbers = append(s.blocks[i].numbers, s.blocks[i+1].numbers...)
	s.blocks = slices.Delete(s.blocks, i+1, i+2)
}

// all returns the records in the order of their keys. The set must not change meanwhile.
func (s *sorted[K]) all(records *roster) iter.Seq[*remint.Record] {
	return func(yield func(*remint.Record) bool) { s.each(records, 0, 0, yield) }
}

// after returns the records after k, which need not be there. The set must not change
// meanwhile.
func (s *sorted[K]) after(records *roster, k K) iter.Seq[*remint.Record] {
	return func(yield func(*remint.Record) bool) {
		if len(s.blocks) == 0 {
			return
		}
		i := s.block(k)
		at, found := s.search(records, s.blocks[i].numbers, k)
		if found {
			at++
		}
		s.each(records, i, at, yield)
	}
}

// each yields the records from that of block i at at on.
func (s *sorted[K]) each(records *roster, i, at int, yield func(*remint.Record) bool) {
	for ; i < len(s.blocks); i, at = i+1, 0 {
		for _, n := range s.blocks[i].numbers[at:] {
			if !yield(records.at(n)) {
				return
			}
		}
	}
}
