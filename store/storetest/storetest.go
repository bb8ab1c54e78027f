// Package storetest is the contract of [remint.Store] in executable form.
//
// The test of a store calls [Run], and [RunDurable] if it keeps what it
// acknowledged:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) remint.Store { return open(t, t.TempDir()) })
//	}
//
//	func TestStoreIsDurable(t *testing.T) {
//		storetest.RunDurable(t, open)
//	}
//
// The test of a store's user makes every operation fail in turn with [Faulty].
//
// # What it reads into the contract
//
//   - A page of List, Scan or Due is full as long as there is more; one of Events
//     holds at least one event.
//   - Once a call has returned, the slices of its batch and of its page are the
//     caller's, who may change them.
//   - A Trim with a cursor that the store never gave is an error, neither ErrConflict nor
//     ErrNotFound, and its batch changes nothing.
//   - A Batch's Records may go to any revision, as when a backup is restored.
//   - Times of SweepAt and before are compared as instants, to the microsecond, from
//     year 1 to 9999.
//
// It does not ask for a view of several records at one moment: of a batch that has not
// returned, one Load may see one record, and the next not yet another.
//
// # Caveats
//
// A later version may check more of what the contract says, and fail a store that
// passed before.
package storetest

import (
	"testing"

	"github.com/remint-go/remint"
)

// A check is one rule of the contract. It is given an empty store.
type check struct {
	name string
	run  func(x *suite)
}

// Run checks the stores that open returns, each empty. open registers what it
// must clean up with t.Cleanup. Each rule of the contract is a subtest with a
// store of its own; no two run at the same time.
//
// One of them runs random operations beside a model. Its failure names a seed, and
// the environment variable REMINT_STORETEST_SEED repeats it.
func Run(t *testing.T, open func(t *testing.T) remint.Store) {
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			newSuite(t, open(t)).do(c)
		})
	}
}

func checks() []check {
	var all []check
	for _, some := range [][]check{
		commitChecks, atomicityChecks, touchChecks, pageChecks, dueChecks, valueChecks,
		eventChecks, aliasChecks, contextChecks, raceChecks, randomChecks,
	} {
		all = append(all, some...)
	}
	return all
}
