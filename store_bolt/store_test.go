package storebolt

import (
	"path/filepath"
	"testing"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store/storetest"
)

func TestStore(t *testing.T) {
	for name, opts := range map[string]*Options{
		"with a cache":      nil,
		"without a cache":   {CacheBytes: -1},
		"with a tiny cache": {CacheBytes: 5000},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(t *testing.T) remint.Store { return openStore(t, tempFile(t), opts) })
		})
	}
	t.Run("beside an application's buckets", func(t *testing.T) {
		db := openDB(t, tempFile(t))
		storetest.Run(t, func(t *testing.T) remint.Store { return newStoreIn(t, db, &Options{Bucket: t.Name()}) })
	})
}

// It fails without the events in the transaction of their batch, and without the wait for the disk
// before a commit returns (internal/mutants).
func TestStoreIsDurable(t *testing.T) {
	storetest.RunDurable(t, func(t *testing.T, dir string) remint.Store {
		return openStore(t, filepath.Join(dir, "tokens.db"), nil)
	})
}
