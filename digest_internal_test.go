package remint

import "testing"

// It fails without the comparison of every bit (internal/mutants).
func TestDigestsAreEqualInEveryBit(t *testing.T) {
	d := plainDigest("k3JfW9a0QmX7bTz5RrYh2LcVnD8sPgUo1EiA4wHjKqB")
	for bit := range 8 * len(d) {
		e := d
		if !d.equal(&e) {
			t.Fatal("a digest is not equal to itself")
		}
		if e[bit/8] ^= 1 << (bit % 8); d.equal(&e) || e.equal(&d) {
			t.Errorf("it is equal to one that differs in bit %d", bit)
		}
	}
}
