package remint

import (
	"fmt"
	"testing"
)

func BenchmarkCapabilitiesAllows(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		var caps []Capability
		for i := range n - 1 {
			caps = append(caps, Capability(fmt.Sprintf("dataset:other-%d:*", i)))
		}
		c := Allow(append(caps, "dataset:*:query")...)
		for _, bm := range []struct {
			name string
			x    Capability
			want bool
		}{
			{"last", "dataset:production-logs:query:read", true},
			{"none", "dataset:production-logs:ingest:create", false},
		} {
			b.Run(fmt.Sprintf("members=%d/covered=%s", n, bm.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if c.Allows(bm.x) != bm.want {
						b.Fatal(bm.x)
					}
				}
			})
		}
	}
}
