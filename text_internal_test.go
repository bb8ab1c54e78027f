package remint

import (
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

func TestTheChecksumIsTheCRC32COfHashCRC32(t *testing.T) {
	table := crc32.MakeTable(crc32.Castagnoli)
	if got := string(appendSum([]byte("123456789"))); base62Value(got[9:]) != 0xe3069283 { // RFC 3720's check value
		t.Errorf("the checksum is %s", got)
	}
	var wg sync.WaitGroup
	for seed := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(seed), 2))
			for n := range maxPrefix + bodyLen - sumLen + 1 {
				for range 20 {
					b := make([]byte, n)
					for k := range b {
						b[k] = byte(r.Uint32())
					}
					text := string(appendSum(b))
					if want := crc32.Checksum(b, table); base62Value(text[n:]) != uint64(want) {
						t.Errorf("of %d bytes: %s, want %08x", n, text[n:], want)
					}
					if !sumMatches(text) {
						t.Errorf("%q does not match", text)
					}
					if n > 0 {
						b[r.IntN(n)] ^= byte(1 + r.IntN(255))
						if sumMatches(string(b) + text[n:]) {
							t.Errorf("%q matches, changed", text)
						}
					}
				}
			}
		})
	}
	wg.Wait()
}

func base62Value(digits string) (v uint64) {
	for _, c := range digits {
		v = v*62 + uint64(strings.IndexRune(base62, c))
	}
	return v
}

// 62^6 is more than 2^32: a checksum has one form, and what is beyond 2^32 none.
func TestAChecksumBeyond32BitsMatchesNothing(t *testing.T) {
	for _, body := range []string{"a", "pk_x", ""} {
		text := string(appendSum([]byte(body)))
		if !sumMatches(text) || sumMatches(body+"zzzzzz") {
			t.Errorf("%q is not what matches", text)
		}
		v := base62Value(text[len(body):]) + 1<<32
		if v >= 62*62*62*62*62*62 {
			continue
		}
		var alias [sumLen]byte
		for k := range alias {
			alias[sumLen-1-k] = base62[v%62]
			v /= 62
		}
		if sumMatches(body + string(alias[:])) {
			t.Errorf("%q matches", body+string(alias[:]))
		}
	}
}
