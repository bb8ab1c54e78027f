package remint

import (
	"fmt"
	"math"
	"net/netip"
	"sync/atomic"
	"time"
	"unique"

	"github.com/remint-go/remint/internal/recordtest"
)

// A Record is what a store keeps for one token. It is immutable and opaque: a
// store may keep the pointer, or the bytes of AppendBinary, and indexes by what
// the methods return. It holds no secret, only digests.
type Record struct {
	// noteAt is when a use of the newest secret is worth noting again. It is this
	// process's own, and no part of the record.
	noteAt atomic.Int64
	self   handle
	record
}

// A handle is where a Token points. fmt, given a wrong verb, prints what an unexported
// pointer points to, but not what a pointer in that does: so it does not print digests.
type handle struct{ rec *Record }

// record is a Record's content. Its times are microseconds since 1970, 0 for none.
// What every Verify reads stands first, in 128 bytes; what few tokens have stands
// apart, so that a million of the others take 240 MB and not 560.
type record struct {
	id        ID
	fast      int64 // derived: while now is before it, newest is good if parent and networks are
	prefix    unique.Handle[string]
	changedAt int64
	tenant    unique.Handle[string] // the owner: many tokens, few owners

	alone        bool // derived: there is neither a parent nor a network to judge
	usedUp       bool // successor has been confirmed
	manages      bool // a session that acts as its parent
	firstUse     bool // newest was made with RetireAfterFirstUse
	madeForTests bool
	nameLen      uint16 // of label

	newest slot

	expires  int64  // Spec.ExpiresAt
	epoch    uint64 // rises when all that descends from the token is ended
	revision uint64
	stamp    uint64 // of the commit that made this revision, to know one's own by
	caps     Capabilities
	label    string // the name, and by whom it was issued: one text takes less than two

	// These are never nil. Sealed records that have nothing to say in one share noOrigin and
	// noHistory, which nobody must write to: see clone.
	*origin
	*history
}

// origin is what a token was issued with, or was given since, that few have.
type origin struct {
	ancestry
	networks   []netip.Prefix // masked, in the order given
	attributes []attribute    // in the order of their names
}

type ancestry struct {
	parent      ID
	parentEpoch uint64 // the parent's epoch at issue
	startedBy   uint64 // a session: the slot.sessions of the secret it was started with
	predecessor ID
	description string
}

// history is what has happened to a token, or is going to.
type history struct {
	moments
	retired []retired
	sealed  []sealed // grants that a retry can ask for, oldest first
}

type moments struct {
	birth
	successor  ID
	until      int64 // when the token retires as planned, in favour of successor
	stoppedAt  int64 // when it retired: at once, whatever a clock says
	revokedAt  int64
	rotatedAt  int64
	grace      int64
	lapseAt    int64  // when newest stops unless it is confirmed before
	prev       *slot  // newest's direct predecessor, while it works
	older      *slot  // prev's, until newest is confirmed or lapses
	pruneEpoch uint64 // children that bear a lower epoch may be swept since pruneAt
	pruneAt    int64
	payload    string // of internal/recordtest
}

// birth is what the newest secret tells of a token that has no past. See createdAt and lastGen.
type birth struct {
	at   int64  // when the token was issued
	last uint64 // the highest generation that there ever was
}

var (
	noOrigin  = new(origin)
	noHistory = new(history)
)

// newRecord returns an empty record that can be filled.
func newRecord() record {
	return record{prefix: noText, tenant: noText, origin: new(origin), history: new(history)}
}

var noText = unique.Make("")

func (r *record) owner() string { return r.tenant.Value() }

func (r *record) name() string     { return r.label[:r.nameLen] }
func (r *record) issuedBy() string { return r.label[r.nameLen:] }

// setLabel sets the name, of at most maxName bytes, and by whom the token was issued.
func (r *record) setLabel(name, issuedBy string) {
	r.label, r.nameLen = name+issuedBy, uint16(len(name))
}

// createdAt returns when the token was issued.
func (r *record) createdAt() int64 {
	if r.history == noHistory {
		return r.newest.createdAt
	}
	return r.birth.at
}

// lastGen returns the highest generation that there ever was.
func (r *record) lastGen() uint64 {
	if r.history == noHistory {
		return r.newest.generation
	}
	return r.birth.last
}

// A slot has one secret of a token, by its digest. A zero one has none.
type slot struct {
	digest     digest
	pepper     uint64 // the ID of the pepper in the digest; 0: none
	generation uint64 // 1 for the token's first
	confirmed  bool   // has been used
	createdAt  int64
	until      int64 // when it stops as planned; 0: with its token
	usedAt     int64
	sessions   uint64 // the session epoch: what sessions started with it bear
}

// retired is the memory of a secret that a rotation replaced.
type retired struct {
	digest     digest
	pepper     uint64
	generation uint64
	at         int64 // since when it does not work
	reported   bool  // its reuse is in the log
}

type attribute struct{ name, value string }

// maxRetired is how many retired secrets a record remembers.
const maxRetired = 8

// seal returns the immutable Record of r.
func (r record) seal() *Record { return (&Record{record: r}).finish() }

// finish returns the Record of a draft: what is derived is set, and what is empty is dropped.
// From then on it does not change.
func (r *Record) finish() *Record {
	if r.origin.ancestry == (ancestry{}) && len(r.networks) == 0 && len(r.attributes) == 0 {
		r.origin = noOrigin
	} else {
		// Beside the record: who judges a session needs both, and to find another page of
		// memory takes as long as all the rest of a verification.
		both := &struct {
			Record
			own origin
		}{own: *r.origin}
		both.record = r.record
		r = &both.Record
		r.origin = &both.own
	}
	inferred := moments{birth: birth{r.newest.createdAt, r.newest.generation}}
	if r.history.moments == inferred && len(r.retired) == 0 && len(r.sealed) == 0 {
		r.history = noHistory
	}
	r.alone = r.parent.IsZero() && len(r.networks) == 0
	r.fast = 0
	if r.newest.confirmed && r.revokedAt == 0 && r.stoppedAt == 0 {
		r.fast = math.MaxInt64
		for _, t := range []int64{r.expires, r.until, r.newest.until} {
			if t != 0 {
				r.fast = min(r.fast, t)
			}
		}
	}
	r.self.rec = r
	return r
}

// ID returns the key.
func (r *Record) ID() ID { return r.id }

// Revision returns a number that rises with every change: 1 for a new record.
func (r *Record) Revision() uint64 { return r.revision }

// Owner returns the first half of the key of [Store.List]. It never changes.
func (r *Record) Owner() string { return r.owner() }

// Parent returns the second half of the key of [Store.List]. It never changes.
func (r *Record) Parent() ID { return r.parent }

// SweepAt returns since when the record, or what it has ended, is of no use to anybody
// but a historian: [Options.Retention] counts from there. The zero time is never.
func (r *Record) SweepAt() time.Time { return toTime(r.sweepAt()) }

func (r *record) sweepAt() int64 {
	at := r.endsAt()
	if r.pruneAt != 0 && (at == 0 || r.pruneAt < at) {
		at = r.pruneAt
	}
	return at
}

// Format implements [fmt.Formatter]: every verb prints ID and revision.
func (r *Record) Format(f fmt.State, verb rune) {
	if r == nil {
		fmt.Fprint(f, "record <nil>")
		return
	}
	fmt.Fprintf(f, "record %s@%d", r.id, r.revision)
}

// ownOrigin gives a draft an origin that it can change: before, it is the sealed record's.
func (r *record) ownOrigin() { r.origin = new(*r.origin) }

// toTime and fromTime convert times at the edge: UTC, truncated to microseconds.
func toTime(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func fromTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func init() {
	recordtest.New = func(f recordtest.Fields) any {
		r := newRecord()
		r.id, r.revision, r.tenant, r.parent = f.ID, f.Revision, unique.Make(f.Owner), f.Parent
		r.expires, r.payload, r.madeForTests = fromTime(f.SweepAt), f.Payload, true
		return r.seal()
	}
}

// clone returns a copy of r that can be changed without effect on r: but for its origin, see
// ownOrigin, and for the lists, of which who changes one makes another.
func (r *record) clone() record {
	c := *r
	c.history = new(*r.history) // origin changes so seldom that who changes it calls ownOrigin
	c.birth = birth{r.createdAt(), r.lastGen()}
	if r.prev != nil {
		c.prev = new(*r.prev)
	}
	if r.older != nil {
		c.older = new(*r.older)
	}
	return c
}
