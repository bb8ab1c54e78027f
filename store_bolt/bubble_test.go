package storebolt

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/remint-go/remint"
)

// What a test with testing/synctest has left behind must not be found by the next without it:
// that would be the end of its process.
func TestAStoreIsOfUseInABubbleAndOutsideAfterIt(t *testing.T) {
	many := func(t *testing.T) {
		s := openStore(t, tempFile(t), nil)
		var all sync.WaitGroup
		for n := range 50 {
			all.Go(func() {
				if err := s.Commit(t.Context(), remint.Batch{Put: put(1, n, n).Put}); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	for range 5 {
		synctest.Test(t, many)
		many(t)
	}
}
