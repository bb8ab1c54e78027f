package remint

import (
	"context"
	"time"
)

// A Store keeps records. It reads no clock and judges nothing. Package storetest
// (github.com/remint-go/remint/store/storetest) is this contract in executable form.
//
// All methods are safe for concurrent use, and see every Commit that has
// returned. A canceled context is returned as its own error. Any error that is
// not named here means that the store failed; there is no need to wrap it. A
// limit that is not positive selects nothing. A page of records is full while there are
// more, and one of events has at least one. A store keeps no slice of a [Batch], and
// returns none that it keeps.
type Store interface {
	// Load returns the record of id, or [ErrNotFound].
	Load(ctx context.Context, id ID) (*Record, error)

	// Commit does all of b, durably, or nothing. If one of the records in Guard, Put
	// or Delete has another revision in the store, it does nothing and
	// returns [ErrConflict]. Any other error leaves open whether it happened.
	Commit(ctx context.Context, b Batch) error

	// List returns up to limit records of owner whose parent is parent (the zero
	// ID: that have none), in the order of their IDs, from the first after after.
	List(ctx context.Context, owner string, parent, after ID, limit int) ([]*Record, error)

	// Scan returns up to limit records of all owners in the order of their IDs,
	// from the first after after.
	Scan(ctx context.Context, after ID, limit int) ([]*Record, error)

	// Due returns up to limit records whose SweepAt is before before, oldest
	// first, and those of one time in the order of their IDs.
	Due(ctx context.Context, before time.Time, limit int) ([]*Record, error)

	// Events returns up to limit events after the cursor, and the cursor after
	// them: the one that was passed, if there are none. Whatever is committed later
	// is found by resuming from it. The events of one token come in the order of its
	// revisions; others in any order. A cursor into what was trimmed goes on with
	// what is left, and one that the store never gave is an error.
	Events(ctx context.Context, after Cursor, limit int) ([]Event, Cursor, error)
}

// A Refresher is a [Store] that may answer Load from records which another process
// has changed since. remint asks it before it refuses anybody, and for all that it
// judges a change by: a cached record never denies.
type Refresher interface {
	Store
	// Refresh is Load, of a record that was read after the call began.
	Refresh(ctx context.Context, id ID) (*Record, error)
}

// A Cursor is a place in a store's log of events. Its content is the store's own
// business; the zero Cursor is the beginning.
type Cursor string

// What a Batch and its parts hold at most: package remint keeps to it, and a store
// may rely on it.
const (
	maxBatch  = 64       // records and events in a Batch, together
	maxRecord = 64 << 10 // bytes that Record.AppendBinary appends
	maxOwner  = 255      // bytes of an owner, none of them NUL
)

// A Batch is what one operation changes: at most 64 records and events together, each
// record at most 64 KiB, and no record twice in Put, Delete and Touch.
type Batch struct {
	// Guard holds records that were read to decide the rest. Each must be stored
	// with its Revision at some moment between the call and its effect.
	Guard []*Record
	// Put holds records to write.
	Put []Put
	// Delete holds records to remove. Each must be stored with its Revision.
	Delete []*Record
	// Touch holds records to write where they are stored with their Revision,
	// and to skip where not. This is no change: nobody need hear of it. But
	// SweepAt may differ.
	Touch []*Record
	// Log holds events to append, in this order.
	Log []Event
	// Trim removes the events up to this Cursor. One that the store never gave is an
	// error, and none of the batch is done.
	Trim Cursor
}

// A Put is a record to write.
type Put struct {
	Record *Record
	// Replaces is the Revision that must be stored now; 0: there must be none.
	Replaces uint64
}
