package store

import (
	"slices"
	"testing"

	"github.com/remint-go/remint"
	"pgregory.net/rapid"
)

func TestEventLogIsASlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var log eventLog
		var model []remint.Event // all that there ever were
		trimmed := 0
		t.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				var some []remint.Event
				for range rapid.IntRange(0, 600).Draw(t, "n") {
					some = append(some, remint.Event{Revision: uint64(len(model) + len(some))})
				}
				log.append(some)
				model = append(model, some...)
			},
			"trim": func(t *rapid.T) {
				n := rapid.IntRange(0, len(model)).Draw(t, "to")
				log.trim(n)
				trimmed = max(trimmed, n)
			},
			"": func(t *rapid.T) {
				from := rapid.IntRange(0, len(model)).Draw(t, "from")
				limit := rapid.IntRange(-1, 1000).Draw(t, "limit")
				page, end := log.page(from, limit)
				want := model[max(from, trimmed):]
				want = want[:max(0, min(limit, len(want)))]
				if !slices.Equal(page, want) || end != max(from, trimmed)+len(want) {
					t.Fatalf("page(%d, %d) = %d events to %d, want %d", from, limit, len(page), end, len(want))
				}
				if held := len(log.chunks) * chunkSize; held > len(model)-trimmed+2*chunkSize {
					t.Fatalf("room for %d events where there are %d", held, len(model)-trimmed)
				}
			},
		})
	})
}
