package store

import (
	"iter"
	"slices"
	"sort"
)

// A sorted is an ordered set of keys. The zero value is empty.
//
// It is a slice of blocks of sorted keys, which costs what a B-tree of two levels costs
// and is a tenth of the code. A change moves the keys of one block and, once in hundreds
// of changes, the slice of blocks: 100 KB for a million keys.
type sorted[K ordered[K]] struct {
	blocks [][]K // none is empty
	n      int
}

type ordered[K any] interface {
	// compare returns less than 0, 0 or more than 0 as the receiver sorts before, with
	// or after the other.
	compare(K) int
}

// blockSize is the most keys of a block. Blocks that together have less than half of it
// become one.
const blockSize = 256

// block returns the index of the block that has k, or would have it: the last that does
// not begin after k, or the first.
func (s *sorted[K]) block(k K) int {
	return max(0, sort.Search(len(s.blocks), func(i int) bool { return s.blocks[i][0].compare(k) > 0 })-1)
}

func search[K ordered[K]](block []K, k K) (int, bool) {
	return slices.BinarySearchFunc(block, k, K.compare)
}

// insert adds k, if it is not there.
func (s *sorted[K]) insert(k K) {
	if len(s.blocks) == 0 {
		s.blocks, s.n = [][]K{{k}}, 1
		return
	}
	i := s.block(k)
	block := s.blocks[i]
	at, found := search(block, k)
	if found {
		return
	}
	s.n++
	if len(block) == blockSize {
		// Keys that come in order leave full blocks behind.
		half := blockSize / 2
		if at == blockSize && i == len(s.blocks)-1 {
			half = blockSize
		}
		s.blocks = slices.Insert(s.blocks, i+1, slices.Clone(block[half:]))
		clear(block[half:])
		s.blocks[i] = block[:half]
		if at >= half {
			i, at = i+1, at-half
		}
	}
	s.blocks[i] = slices.Insert(s.blocks[i], at, k)
}

// remove removes k, if it is there.
func (s *sorted[K]) remove(k K) {
	if len(s.blocks) == 0 {
		return
	}
	i := s.block(k)
	at, found := search(s.blocks[i], k)
	if !found {
		return
	}
	s.n--
	s.blocks[i] = slices.Delete(s.blocks[i], at, at+1)
	if len(s.blocks[i]) == 0 {
		s.blocks = slices.Delete(s.blocks, i, i+1)
		return
	}
	s.join(i - 1)
	s.join(i)
}

// join makes block i and the next one, if they are there and small.
func (s *sorted[K]) join(i int) {
	if i < 0 || i+1 >= len(s.blocks) || len(s.blocks[i])+len(s.blocks[i+1]) >= blockSize/2 {
		return
	}
	s.blocks[i] = append(s.blocks[i], s.blocks[i+1]...)
	s.blocks = slices.Delete(s.blocks, i+1, i+2)
}

// all returns the keys. The set must not change meanwhile.
func (s *sorted[K]) all() iter.Seq[K] {
	return func(yield func(K) bool) { s.each(0, 0, yield) }
}

// after returns the keys after k, which need not be there. The set must not change
// meanwhile.
func (s *sorted[K]) after(k K) iter.Seq[K] {
	return func(yield func(K) bool) {
		if len(s.blocks) == 0 {
			return
		}
		i := s.block(k)
		at, found := search(s.blocks[i], k)
		if found {
			at++
		}
		s.each(i, at, yield)
	}
}

// each yields the keys from that of block i at at on.
func (s *sorted[K]) each(i, at int, yield func(K) bool) {
	for ; i < len(s.blocks); i, at = i+1, 0 {
		for _, k := range s.blocks[i][at:] {
			if !yield(k) {
				return
			}
		}
	}
}
