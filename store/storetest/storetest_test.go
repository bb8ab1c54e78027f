package storetest

import (
	"testing"

	"github.com/remint-go/remint"
)

func TestReferencePasses(t *testing.T) {
	Run(t, func(*testing.T) remint.Store { return newReference() })
}
