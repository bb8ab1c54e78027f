package histories

import (
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// An engine is what the Issuers of a history use.
type engine struct {
	name string
	// share is how many histories it gets, of a hundred of store.Memory.
	share int
	open  func(t testing.TB, w *world) (storeOf func(client int) remint.Store)
	// caches is how many there are in front of one store. A client uses one of them.
	caches int
	// staleness is by how much what is accepted may be behind.
	staleness time.Duration
	// lag is by how much the clocks of some Issuers are late.
	lag time.Duration
}

var engines = []engine{
	{name: "memory", share: 100, open: alone(memory)},
	{name: "bolt", share: 8, open: alone(bolt)},
	{name: "bolt without its cache", share: 8, open: alone(boltWithoutCache)},
	{name: "cache over memory", share: 30, open: cached(memory), caches: 1},
	{name: "cache over bolt", share: 8, open: cached(bolt), caches: 1},
	{name: "two caches over memory", share: 30, open: cached(memory), staleness: bound, caches: 2},
	{name: "two caches over bolt", share: 8, open: cached(bolt), staleness: bound, caches: 2},
}

// cacheOf returns which of the caches a client uses.
func (e engine) cacheOf(client int) int { return client % max(e.caches, 1) }

// alone opens a store that all clients use as it is.
func alone(open func(testing.TB) remint.Store) func(testing.TB, *world) func(int) remint.Store {
	return func(t testing.TB, w *world) func(int) remint.Store {
		s := probe{w: w, asked: true, fails: true, late: true}.over(open(t))
		return func(int) remint.Store { return s }
	}
}

// cached opens a store behind caches. Clients pause above and below them. A commit that the
// store does later than it was answered is nothing that a Cache could know of.
func cached(open func(testing.TB) remint.Store) func(testing.TB, *world) func(int) remint.Store {
	return cachedFor(open, bound)
}

func cachedFor(open func(testing.TB) remint.Store, maxStaleness time.Duration) func(testing.TB, *world) func(int) remint.Store {
	return func(t testing.TB, w *world) func(int) remint.Store {
		below := probe{w: w, fails: true}.over(open(t))
		var caches []remint.Store
		for range w.engine.caches {
			caches = append(caches, probe{w: w, asked: true}.over(store.NewCache(below, maxStaleness, nil)))
		}
		return func(client int) remint.Store { return caches[w.engine.cacheOf(client)] }
	}
}

func memory(testing.TB) remint.Store { return new(store.Memory) }

func bolt(t testing.TB) remint.Store { return openBolt(t, nil) }

func boltWithoutCache(t testing.TB) remint.Store {
	return openBolt(t, &storebolt.Options{CacheBytes: -1})
}

// openBolt opens a file that is not synced: no history is about durability.
func openBolt(t testing.TB, opts *storebolt.Options) remint.Store {
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "tokens.db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := storebolt.New(db, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
