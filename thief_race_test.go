//go:build race

package remint_test

// With the race detector, which these have no use for, the histories are shorter.
func init() { thiefShorter = 1 }
