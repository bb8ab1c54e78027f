package remint

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
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
	record
	self handle
}

// A handle is where a Token points. fmt, given a wrong verb, prints what an unexported
// pointer points to, but not what a pointer in that does: so it does not print digests.
type handle struct{ rec *Record }

// record is a Record's content. Its times are microseconds since 1970, 0 for none.
// What Verify reads stands first, in as few cache lines as it fits.
type record struct {
	id     ID
	fast   int64 // derived: while now is before it, newest is good if parent and networks are
	prefix unique.Handle[string]
	alone  bool // derived: there is neither a parent nor a network to judge

	changedAt int64
	newest    slot

	parent      ID
	networks    []netip.Prefix // masked, in the order given
	epoch       uint64         // rises when all that descends from the token is ended
	parentEpoch uint64         // the parent's epoch at issue
	startedBy   uint64         // a session: the slot.sessions of the secret it was started with

	revision   uint64
	stamp      uint64 // of the commit that made this revision, to know one's own by
	lastGen    uint64 // the highest generation that there ever was
	successor  ID
	expires    int64 // Spec.ExpiresAt
	until      int64 // when the token retires as planned, in favour of successor
	stoppedAt  int64 // when it retired: at once, whatever a clock says
	revokedAt  int64
	createdAt  int64
	rotatedAt  int64
	usedUp     bool // successor has been confirmed
	manages    bool // a session that acts as its parent
	firstUse   bool // newest was made with RetireAfterFirstUse
	grace      int64
	lapseAt    int64 // when newest stops unless it is confirmed before
	prev       *slot // newest's direct predecessor, while it works
	older      *slot // prev's, until newest is confirmed or lapses
	retired    []retired
	sealed     []sealed // grants that a retry can ask for, oldest first
	pruneEpoch uint64   // children that bear a lower epoch may be swept since pruneAt
	pruneAt    int64

	owner        string
	caps         Capabilities
	name         string
	description  string
	attributes   []attribute // in the order of their names
	predecessor  ID
	issuedBy     string
	payload      string // of internal/recordtest
	madeForTests bool
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

// finish sets what is derived. From then on the record does not change.
func (r *Record) finish() *Record {
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
func (r *Record) Owner() string { return r.owner }

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
		return record{
			id: f.ID, revision: f.Revision, owner: f.Owner, parent: f.Parent,
			expires: fromTime(f.SweepAt), payload: f.Payload, madeForTests: true,
			prefix: unique.Make(""),
		}.seal()
	}
}

// clone returns a copy of r that can be changed without effect on r.
func (r *record) clone() record {
	c := *r
	c.retired = slices.Clone(r.retired)
	c.sealed = slices.Clone(r.sealed)
	if r.prev != nil {
		c.prev = new(*r.prev)
	}
	if r.older != nil {
		c.older = new(*r.older)
	}
	return c
}
