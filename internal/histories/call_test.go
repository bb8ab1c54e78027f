package histories

import (
	"fmt"
	"strings"
	"time"
)

// A kind is what a client does.
type kind string

const (
	doVerify       kind = "verify"
	doGet          kind = "get"
	doRotate       kind = "rotate"
	doCancel       kind = "cancel"
	doFinish       kind = "finish"
	doUpdate       kind = "update"
	doRevoke       kind = "revoke"
	doEndSessions  kind = "end-sessions"
	doStartSession kind = "start-session"
	doSweep        kind = "sweep"
)

// An actorKind is on whose authority.
type actorKind string

const (
	operator actorKind = "operator"
	member   actorKind = "member"   // of the token's owner, and allowed everything
	stranger actorKind = "stranger" // a member of another owner
	bearer   actorKind = "bearer"
)

// A retireKind is when a rotation lets the outgoing secret stop.
type retireKind string

const (
	atOnce        retireKind = "at once"
	afterWhile    retireKind = "after"
	afterFirstUse retireKind = "after first use"
)

// A changeKind is what an update changes.
type changeKind string

const (
	changeName       changeKind = "name"
	changeCaps       changeKind = "fewer capabilities"
	changeAttributes changeKind = "attributes"
	changeExpiry     changeKind = "expiry"
)

// A call is one operation with its arguments. Tokens and secrets have the names of the
// calls that made them.
type call struct {
	id      int
	client  int
	kind    kind
	actor   actorKind
	secret  int  // what is verified, or what the bearer presents
	owner   int  // the token whose secret that is
	session bool // that, or what is changed, is one
	target  int

	retire     retireKind
	after      time.Duration
	keep       bool
	ifRevision uint64

	change  changeKind
	name    string
	expires int64

	manages  bool
	lifetime time.Duration

	// times are what the clock showed during the call, in order.
	times []int64
	// committed is what the clock showed when it last began to commit; none: that is not known.
	committed int64
	// lost: it was answered with a conflict.
	lost bool
	// faulty: the store has failed it at least once.
	faulty bool
}

func (c *call) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d: ", c.id)
	if c.kind != doVerify {
		if b.WriteString(string(c.actor)); c.actor == bearer {
			fmt.Fprintf(&b, " s%d", c.secret)
		}
		b.WriteString(" ")
	}
	b.WriteString(string(c.kind))
	switch c.kind {
	case doVerify:
		fmt.Fprintf(&b, " s%d", c.secret)
	case doSweep:
	default:
		fmt.Fprintf(&b, " #%d", c.target)
	}
	switch c.kind {
	case doRotate:
		fmt.Fprintf(&b, " %s", c.retire)
		if c.retire != atOnce {
			fmt.Fprintf(&b, " %v", c.after)
		}
		if c.keep {
			b.WriteString(" keep")
		}
		if c.ifRevision != 0 {
			fmt.Fprintf(&b, " if rev %d", c.ifRevision)
		}
	case doUpdate:
		fmt.Fprintf(&b, " %s", c.change)
	case doStartSession:
		if fmt.Fprintf(&b, " for %v", c.lifetime); c.manages {
			b.WriteString(" manages")
		}
	}
	return b.String()
}

// A class is what a caller can tell of how an operation ended.
type class string

const (
	ok          class = "ok"
	denied      class = "ErrDenied"
	forbidden   class = "ErrForbidden"
	notFound    class = "ErrNotFound"
	conflict    class = "ErrConflict"
	ended       class = "ErrEnded"
	input       class = "InputError"
	unavailable class = "ErrUnavailable"
)

// An answer is all that an operation returned, except the texts of secrets.
type answer struct {
	class class
	err   error
	view  *view
	// late: something that it told the store to do may be done at any time from now on.
	late bool
}

func (a *answer) String() string {
	if a.view != nil {
		return fmt.Sprintf("%s %v", a.class, a.view)
	}
	return string(a.class)
}

// A view is what a Token shows.
type view struct {
	id              int
	name            string
	caps            int
	session         bool
	created         int64
	rotated         int64
	revoked         int64
	expires         int64
	ended           string
	epoch, revision uint64

	current, unconfirmed, retiring secretView

	retiresAt int64 // of the secret that was verified
}

type secretView struct{ created, until int64 }

func (v *view) String() string {
	text := fmt.Sprintf("#%d rev %d epoch %d current %v", v.id, v.revision, v.epoch, v.current)
	if v.unconfirmed != (secretView{}) {
		text += fmt.Sprintf(" unconfirmed %v", v.unconfirmed)
	}
	if v.retiring != (secretView{}) {
		text += fmt.Sprintf(" retiring %v", v.retiring)
	}
	if v.ended != "" {
		text += fmt.Sprintf(" %s rotated %s revoked %s expires %s", v.ended, clockText(v.rotated), clockText(v.revoked), clockText(v.expires))
	}
	return text
}

func (v secretView) String() string {
	text := "of " + clockText(v.created)
	if v.until != none {
		text += " until " + clockText(v.until)
	}
	return text
}

// dawn is when every history begins.
var dawn = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).UnixMicro()

// clockText is a time, or a span, as seconds of the history.
func clockText(t int64) string {
	if t >= dawn {
		t -= dawn
	}
	return fmt.Sprintf("%gs", float64(t)/1e6)
}
