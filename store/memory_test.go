package store_test

import (
	"testing"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
	"github.com/remint-go/remint/store/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) remint.Store { return new(store.Memory) })
}
