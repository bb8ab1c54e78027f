package main

import (
	"hash/crc32"
	"math/rand/v2"
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

func shuffle(texts []string) {
	rand.Shuffle(len(texts), func(i, j int) { texts[i], texts[j] = texts[j], texts[i] })
}
