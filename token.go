package remint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Spec is what a token is issued with.
type Spec struct {
	// Name and Description are for people. Either may be empty; neither may
	// hold control characters or be longer than 256 and 4096 bytes.
	Name, Description string

	// Owner is whose token it is: a user, an organization, a tenant. No actor
	// that is bounded to one owner ever sees another's tokens. Empty: the
	// parent's owner, a Member's or Bearer's own, or, in a service with only one, "".
	// At most 255 bytes, without control characters.
	Owner string

	// Capabilities are what the token may do. The zero value: nothing.
	Capabilities Capabilities

	// Networks are where the token may be used from. None: from anywhere. Each must
	// be masked (10.0.0.0/8, not 10.1.2.3/8); at most 256.
	Networks []netip.Prefix

	// ExpiresAt is when the token stops. The zero time: never.
	// It is truncated to microseconds, and must be in the future then, and before
	// the year 10000.
	ExpiresAt time.Time

	// Attributes are the service's own notes: a user's ID, a plan, a rate
	// limit. remint never judges them. A Bearer cannot set them: what it issues has
	// the bearer's, as they are then. At most 64, of at most 4096 bytes in all.
	Attributes map[string]string

	// Parent makes the token a child of another, with the same owner and
	// within its capabilities and networks. The child is live only while the
	// parent is, and ends with [Actor.EndSessions]. At most four levels, the
	// one without a parent included.
	Parent ID

	// Prefix begins the token's text. It must be one of [Options.Prefixes].
	// Empty: the first of them.
	Prefix string
}

// A Token is a token as it was when remint returned it. It is a small
// immutable handle: copying is cheap, and nothing that a holder does to it, or
// to what its methods return, changes what anybody else sees. Only this package
// makes a Token that is not zero, and it holds no secret and no digest that could
// be had from it. The methods of the zero Token return zero values.
type Token struct {
	h *handle
	// seen is when it was as it is, in microseconds, and in the two low bits the slot
	// of the secret that Verify was shown.
	seen int64
}

// Which of a record's slots holds a secret.
const (
	slotNewest = iota
	slotPrev
	slotOlder
)

func newToken(rec *Record, which int, now int64) Token {
	return Token{&rec.self, now<<2 | int64(which)}
}

var noRecord = newRecord().seal()

// record returns what t is a handle of, for reading.
func (t Token) record() *Record {
	if t.h == nil {
		return noRecord
	}
	return t.h.rec
}

// IsZero reports whether t is the zero Token, which is no token.
func (t Token) IsZero() bool { return t.h == nil }

// ID returns the token's public name.
func (t Token) ID() ID { return t.record().id }

// Owner returns [Spec.Owner].
func (t Token) Owner() string { return t.record().owner() }

// Name returns [Spec.Name].
func (t Token) Name() string { return t.record().name() }

// Parent returns [Spec.Parent].
func (t Token) Parent() ID { return t.record().parent }

// Prefix returns [Spec.Prefix].
func (t Token) Prefix() string {
	if t.h == nil {
		return ""
	}
	return t.h.rec.prefix.Value()
}

// IsSession reports whether the token was made by [Actor.StartSession].
func (t Token) IsSession() bool { return t.record().startedBy != 0 }

// Attribute returns the named one of [Spec.Attributes], or "".
func (t Token) Attribute(name string) string {
	for _, a := range t.record().attributes {
		if a.name == name {
			return a.value
		}
	}
	return ""
}

// Allows reports whether the token's capabilities cover c. It judges no
// expiry: [Issuer.Verify] has.
func (t Token) Allows(c Capability) bool { return t.record().caps.Allows(c) }

// Capabilities returns [Spec.Capabilities].
func (t Token) Capabilities() Capabilities { return t.record().caps }

// ExpiresAt returns when the token stops: the earlier of its own expiry and a
// planned retirement; the zero time is never. An ancestor may stop sooner.
func (t Token) ExpiresAt() time.Time {
	r := t.record()
	return toTime(earliest(r.expires, r.until, r.stoppedAt))
}

// RetiresAt returns when the secret that was shown to [Issuer.Verify] stops
// although its token goes on; zero if it is not being retired.
func (t Token) RetiresAt() time.Time {
	if s := t.record().slot(t.which()); s != nil {
		return toTime(s.until)
	}
	return time.Time{}
}

// Retiring reports whether the secret that was shown to [Issuer.Verify] has been replaced, or
// its token has, and works on for a while: its bearer should fetch the new one. A token whose
// successor nobody has used, and that goes on until somebody does, has not been replaced yet.
func (t Token) Retiring() bool {
	r := t.record()
	s := r.slot(t.which())
	if t.which() == slotPrev && r.lapsed(t.seen>>2) {
		return s != nil && s.until != 0 // nothing has replaced it
	}
	return s != nil && (t.which() != slotNewest || s.until != 0 || r.until != 0 || r.usedUp)
}

func (t Token) which() int { return int(t.seen & 3) }

// Spec returns what would issue this token again, as last updated.
func (t Token) Spec() Spec {
	if t.h == nil {
		return Spec{}
	}
	return t.h.rec.spec()
}

func (r *record) spec() Spec {
	return Spec{
		Name: r.name(), Description: r.description, Owner: r.owner(),
		Capabilities: r.caps, Networks: slices.Clone(r.networks), ExpiresAt: toTime(r.expires),
		Attributes: r.attributeMap(), Parent: r.parent, Prefix: r.prefix.Value(),
	}
}

func (r *record) attributeMap() map[string]string { return attributeMapOf(r.attributes) }

func attributeMapOf(list []attribute) map[string]string {
	if len(list) == 0 {
		return nil
	}
	m := make(map[string]string, len(list))
	for _, a := range list {
		m[a.name] = a.value
	}
	return m
}

func attributesOf(m map[string]string) []attribute {
	if len(m) == 0 {
		return nil
	}
	list := make([]attribute, 0, len(m))
	for name, value := range m {
		list = append(list, attribute{name, value})
	}
	slices.SortFunc(list, func(a, b attribute) int { return strings.Compare(a.name, b.name) })
	return list
}

// State returns what has happened to the token.
func (t Token) State() State {
	r := t.record()
	s := State{
		CreatedAt: toTime(r.createdAt()), RotatedAt: toTime(r.rotatedAt), RevokedAt: toTime(r.revokedAt),
		Predecessor: r.predecessor, Successor: r.successor,
		IssuedBy: r.issuedBy(), Epoch: r.epoch, Revision: r.revision,
	}
	if t.h != nil {
		s.Ended = r.ended(t.seen >> 2)
	}
	v := r.view(t.seen >> 2)
	s.Current = secretState(v.current)
	s.Unconfirmed = secretState(v.unconfirmed)
	s.Retiring = secretState(v.retiring)
	if v.unconfirmed != nil {
		s.Unconfirmed.Until = toTime(r.lapseAt)
	}
	return s
}

func secretState(s *slot) SecretState {
	if s == nil {
		return SecretState{}
	}
	return SecretState{toTime(s.createdAt), toTime(s.until), toTime(s.usedAt)}
}

// tokenJSON is the public metadata of a token.
type tokenJSON struct {
	ID           ID                `json:"id"`
	Name         string            `json:"name"`
	Description  string            `json:"description,omitempty"`
	Owner        string            `json:"owner"`
	Capabilities []Capability      `json:"capabilities"`
	Networks     []netip.Prefix    `json:"networks,omitempty"`
	ExpiresAt    time.Time         `json:"expires_at,omitzero"`
	Attributes   map[string]string `json:"attributes,omitempty"`
	Parent       ID                `json:"parent,omitzero"`
	Prefix       string            `json:"prefix"`
	State        State             `json:"state"`
}

// MarshalJSON implements [encoding/json.Marshaler] with the public metadata: ID, Spec
// and State. There is no way back: a Token is proof.
func (t Token) MarshalJSON() ([]byte, error) {
	s := t.Spec()
	return json.Marshal(tokenJSON{
		t.ID(), s.Name, s.Description, s.Owner, append([]Capability{}, s.Capabilities.list()...), s.Networks,
		s.ExpiresAt, s.Attributes, s.Parent, s.Prefix, t.State(),
	})
}

// UnmarshalJSON always fails: only this package makes a Token.
func (t *Token) UnmarshalJSON([]byte) error {
	return errors.New("remint: a Token is proof, and is not read from JSON: verify its secret, or get it by its ID")
}

// String returns the ID.
func (t Token) String() string { return t.ID().String() }

// LogValue implements [slog.LogValuer] with the ID, owner and name.
func (t Token) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", t.String()), slog.String("owner", t.Owner()), slog.String("name", t.Name()))
}

// Format implements [fmt.Formatter]: every verb prints the ID.
func (t Token) Format(f fmt.State, verb rune) { io.WriteString(f, t.String()) }

// A State is a token's history. Its times are UTC, in microseconds; a zero time
// means that it has not happened.
type State struct {
	CreatedAt time.Time `json:"created_at"`
	RotatedAt time.Time `json:"rotated_at,omitzero"`
	RevokedAt time.Time `json:"revoked_at,omitzero"`

	// Predecessor and Successor are the tokens that a rotation with
	// [Rotation.Successor] linked with this one.
	Predecessor ID `json:"predecessor,omitzero"`
	Successor   ID `json:"successor,omitzero"`

	// Current is the secret that is meant to be used: the newest, except that with
	// [RetireAfterFirstUse] it is the one before until the newest is confirmed.
	// Unconfirmed is the newest while it has not been used; Retiring is the one
	// before Current, while it still works. The last two are zero where there is none.
	Current     SecretState `json:"current"`
	Unconfirmed SecretState `json:"unconfirmed,omitzero"`
	Retiring    SecretState `json:"retiring,omitzero"`

	// Ended is why the token had ended when remint returned it: [ReasonRevoked],
	// [ReasonRetired], [ReasonExpired] or [ReasonLapsed]. Empty: it had not. Its ancestors
	// are not looked at.
	Ended string `json:"ended,omitempty"`

	// IssuedBy is the actor that issued the token, as in [Event.Actor]: a bearer's ID, or
	// the name that the service gave an Operator or Member. Names should not look like IDs.
	IssuedBy string `json:"issued_by"`

	// Epoch rises whenever the token's descendants are ended.
	Epoch uint64 `json:"epoch"`
	// Revision rises with every change.
	Revision uint64 `json:"revision"`
}

// RetiringIdle returns for how long, at least, nobody has used what a rotation is retiring: the
// secret in Retiring or, where there is a Successor, the token's own. It is what to look
// at before [Actor.FinishRotation]. Uses of its sessions are not counted. Uses are written down by [Issuer.Sweep], which every process calls
// every minute or so: what may not be written down yet counts as a use, so that
// of a grace that is shorter than two minutes nothing can be said, and it is 0. Where Sweep does not
// run, or fails, nobody's use is known, and it says too much.
func (s State) RetiringIdle(now time.Time) time.Duration {
	old := s.Retiring
	if !s.Successor.IsZero() {
		old = s.Current
	}
	if old.CreatedAt.IsZero() || s.RotatedAt.IsZero() {
		return 0
	}
	last := s.RotatedAt
	if old.LastUsedAt.After(last) {
		last = old.LastUsedAt
	}
	return max(0, now.Sub(last)-usesLag)
}

// usesLag is how old a use may be that is not written down: it is noted once a minute, and
// written a minute later.
const usesLag = 2 * time.Minute

// A SecretState says when a secret was made, when it stops by plan (zero: with its
// token) and when it was last used. Uses are written down by [Issuer.Sweep], and
// only where the last one is a minute old, or an hour for a secret that is neither
// unconfirmed nor being retired, nor has a predecessor that still works: LastUsedAt
// may lag by that.
type SecretState struct {
	CreatedAt  time.Time `json:"created_at,omitzero"`
	Until      time.Time `json:"until,omitzero"`
	LastUsedAt time.Time `json:"last_used_at,omitzero"`
}

// A Grant is a token and its new secret, which cannot be had again.
type Grant struct {
	Token  Token
	Secret Secret
}
