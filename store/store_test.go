package store_test

import (
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
	"github.com/remint-go/remint/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) remint.Store { return new(store.Memory) })
}

func TestCache(t *testing.T) {
	for name, open := range map[string]func() remint.Store{
		"that keeps everything": func() remint.Store { return store.NewCache(new(store.Memory), time.Hour, nil) },
		"that keeps a little": func() remint.Store {
			return store.NewCache(new(store.Memory), time.Hour, &store.CacheOptions{MaxBytes: 2000})
		},
		"that keeps nothing": func() remint.Store { return store.NewCache(new(store.Memory), 0, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(*testing.T) remint.Store { return open() })
		})
	}
}
