package remint

import (
	"net/netip"
	"time"
)

// An EventKind names what happened to a token.
type EventKind string

// Kinds of events. Those marked * are observed and not stored.
const (
	EventIssue       EventKind = "issue"
	EventUpdate      EventKind = "update"
	EventRotate      EventKind = "rotate"
	EventConfirm     EventKind = "confirm" // first use of an unconfirmed secret
	EventCancel      EventKind = "cancel"
	EventFinish      EventKind = "finish"
	EventEndSessions EventKind = "end-sessions"
	EventRevoke      EventKind = "revoke"
	EventSeal        EventKind = "seal"   // an answer was kept for a retry, in its bearer's record
	EventReplay      EventKind = "replay" // a secret was handed out again, to a retry: no record changed
	EventReuse       EventKind = "reuse"  // a retired secret was presented; stored the first time
	EventRemove      EventKind = "remove"
	EventRestore     EventKind = "restore" // a restored token was brought up to date: [Actor.AfterRestore]
	EventVerify      EventKind = "verify"  // *
	EventDeny        EventKind = "deny"    // *
)

// Reasons of an [EventDeny]: what [Issuer.Verify] found first, in its order of judgement.
const (
	ReasonForm    = "form"    // not a token's text: length, characters, prefix or checksum
	ReasonUnknown = "unknown" // no such token, or not with that prefix
	ReasonSecret  = "secret"  // not a secret of that token
	ReasonRetired = "retired" // a secret, or token, that a rotation replaced
	ReasonLapsed  = "lapsed"  // a new secret, or successor, that was not used in time
	ReasonRevoked = "revoked"
	ReasonExpired = "expired"
	ReasonParent  = "parent"  // an ancestor has ended, or has ended its descendants
	ReasonSession = "session" // the secret that the session was started with has stopped
	ReasonNetwork = "network" // an address outside the token's networks, or an ancestor's
)

// What it means that a secret was presented which a rotation has replaced, or is about to.
// Only a ReasonOld is a sign of theft, and with [Options.RevokeOnReuse] ends the token.
const (
	ReasonRetry = "retry" // of an [EventReplay]: its own rotation, repeated
	ReasonGrace = "grace" // of an [EventVerify]: it has an end by plan, or only authenticates, and works still
	ReasonStale = "stale" // of an [EventReuse]: it stopped at most [Options.RetryWindow] ago, as in a deployment that has not heard of it
	ReasonOld   = "old"   // of an EventReuse: it stopped longer ago
)

// ReasonStopped is that of an [EventRestore] by which the token's secrets have stopped: rotate it.
const ReasonStopped = "stopped"

// ReasonCaughtUp is that of an EventRestore by which the log's events of a token were done again, and none
// of its secrets stopped. Where the log has none of it, the reason is ""; where it shows the token's
// end, ReasonRevoked.
const ReasonCaughtUp = "caught up"

// An Event is one thing that happened. It holds no secret and no digest.
//
// Each record that an operation changes has one event, in the same commit. A change
// that was made with an unconfirmed secret confirms it: where both are changes of one
// token, the event of the change stands for both.
type Event struct {
	Revision   uint64 // of the token, after it
	At         time.Time
	Kind       EventKind
	Token      ID
	Other      ID // successor or predecessor, or else the parent
	Owner      string
	Actor      string // an operator's or member's name, or a bearer's ID
	From       netip.Addr
	Generation uint64        // of the secret: 1 for a token's first
	Age        time.Duration // of an EventReuse: since the secret was retired
	Reason     string        // of an EventDeny, an EventRestore or a replaced secret: one of the Reason constants
}
