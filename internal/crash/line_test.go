package crash

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"github.com/remint-go/remint"
)

// What a victim and its parent tell each other: the parent a plan, the victim lines. A line
// is one letter and, of the first two, JSON. It is written in one call and shorter than what a pipe
// takes at once, so there are no parts of lines, and it is out before anything follows from it.
const (
	lineBegin   = 'B' // a step
	lineAck     = 'A' // an ack
	lineOpening = 'O' // the file
	lineReady   = 'R' // it is open
	lineClosing = 'C' // it, while the workers go on
	lineClosed  = 'D'
)

// A plan is what a victim is to do.
type plan struct {
	Path    string
	Start   int64  // of its clock
	First   uint64 // number of its first step
	Seed    uint64
	Workers int
	// Sweeps lets it sweep as often as all else.
	Sweeps bool
	// CloseAfter is how many steps are acknowledged before it closes the file under load. 0: never.
	CloseAfter int
	Holdings   []holding
	// Again are what it does first: what was cut off with the victim before, by bearers who do not
	// know what came of it.
	Again []step
}

// A holding is a token as those who use it know it.
type holding struct {
	ID      remint.ID
	Session bool     `json:",omitempty"`
	Home    int      // the worker that changes it, or everybody
	Texts   []string `json:",omitempty"` // of its secrets, the newest last
}

const everybody = -1

// A step is one operation, as it is announced.
type step struct {
	N    uint64 `json:"n"` // unique, and part of its events: see tag
	Kind kind   `json:"k"`
	At   int64  `json:"at"`

	ID   remint.ID `json:"id,omitzero"`    // of the token that it is done to; the parent's, if one is issued
	Text string    `json:"text,omitempty"` // what is presented

	Owner    string `json:"owner,omitempty"`
	Name     string `json:"name,omitempty"`
	Caps     string `json:"caps,omitempty"`
	Note     string `json:"note,omitempty"` // an attribute
	Expires  int64  `json:"exp,omitempty"`
	Lifetime int64  `json:"life,omitempty"` // of a session

	Retire    retirement `json:"r,omitempty"`
	Span      int64      `json:"span,omitempty"` // of the retirement: how long, or when
	Successor bool       `json:"succ,omitempty"`
	Keep      bool       `json:"keep,omitempty"` // KeepSessions

	Key string `json:"key,omitempty"` // of a retry
	Of  uint64 `json:"of,omitempty"`  // the step that is repeated
}

// An ack is what came of a step.
type ack struct {
	N        uint64    `json:"n"`
	At       int64     `json:"at"`
	Err      string    `json:"err,omitempty"`
	ID       remint.ID `json:"id,omitzero"`   // of the token that was returned
	Revision uint64    `json:"rev,omitempty"` // its revision
	Text     string    `json:"text,omitempty"`
}

type kind string

const (
	kindIssue   kind = "issue"
	kindSession kind = "session"
	kindRotate  kind = "rotate"
	kindCancel  kind = "cancel"
	kindFinish  kind = "finish"
	kindUpdate  kind = "update"
	kindRevoke  kind = "revoke"
	kindEnd     kind = "end-sessions"
	kindVerify  kind = "verify"
	kindSelf    kind = "self-rotate" // by its bearer, with a retry key
	kindAgain   kind = "again"       // that, repeated
	kindSweep   kind = "sweep"
)

type retirement string

const (
	retireNow      retirement = "now"
	retireAfter    retirement = "after"
	retireAt       retirement = "at"
	retireFirstUse retirement = "first use"
)

// A step is told from others in the log: an operator by its name, and whoever presents a
// secret by the address that it comes from.
func (s *step) operator() string { return fmt.Sprintf("step %d", s.N) }

func (s *step) from() netip.Addr {
	a := [16]byte{0: 0xfd}
	binary.BigEndian.PutUint64(a[8:], s.N)
	return netip.AddrFrom16(a)
}

// presents reports whether a bearer does it.
func (s *step) presents() bool {
	return s.Kind == kindVerify || s.Kind == kindSelf || s.Kind == kindAgain
}

// tag returns the number of the step that an event is of.
func tag(e remint.Event) (n uint64, ok bool) {
	if e.From.IsValid() {
		a := e.From.As16()
		return binary.BigEndian.Uint64(a[8:]), true
	}
	_, err := fmt.Sscanf(e.Actor, "step %d", &n)
	return n, err == nil
}

// options are those of all who use the files.
func options(now func() time.Time) *remint.Options {
	return &remint.Options{Now: now, Lapse: lapse, Retention: retention, RetryWindow: retryWindow}
}

const (
	lapse       = 2 * time.Minute
	retention   = 20 * time.Minute
	retryWindow = 3 * time.Minute
)
