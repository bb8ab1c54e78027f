package main

import (
	crypto "crypto/rand"
	"hash/crc32"
	"math/rand/v2"
	"strings"
)

// withChecksum completes a token's text.
func withChecksum(body string) string {
	var digits [6]byte
	sum := crc32.Checksum([]byte(body), castagnoli)
	for i := 5; i >= 0; i-- {
		digits[i] = base62[sum%62]
		sum /= 62
	}
	return body + string(digits[:])
}

// atHand returns the texts anew, one beside the other in memory: what a request brings has just
// been read, and is in the processor's caches. What is kept of the tokens is not in the order in
// which they are presented, and must not be made in it.
func atHand(texts []string) []string {
	var all strings.Builder
	for _, text := range texts {
		all.WriteString(text)
	}
	next, list := all.String(), make([]string, len(texts))
	for i, text := range texts {
		list[i], next = next[:len(text)], next[len(text):]
	}
	return list
}

func shuffle(texts []string) {
	rand.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
}

// unless returns an error if what must hold does not.
func unless(holds bool) error {
	if !holds {
		return errRefused
	}
	return nil
}

func random(n int) []byte {
	b := make([]byte, n)
	crypto.Read(b) // never fails
	return b
}
