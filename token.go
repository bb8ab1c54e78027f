package remint

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// A Secret holds a token's text: what its bearer presents. Nothing prints,
// logs or encodes it; [Secret.Reveal] is the one way to the text, and its calls
// are the places to audit. The zero Secret holds the empty text.
type Secret struct{ reveal func() string }

// Reveal returns the token's text.
func (s Secret) Reveal() string { panic("skeleton") }

// Equal reports, in constant time, whether s and t hold the same text.
// Two empty secrets are not equal.
func (s Secret) Equal(t Secret) bool { panic("skeleton") }

// Format implements [fmt.Formatter]: every verb prints "[redacted]".
func (s Secret) Format(f fmt.State, verb rune) { panic("skeleton") }

// LogValue implements [slog.LogValuer] with "[redacted]".
func (s Secret) LogValue() slog.Value { panic("skeleton") }

// MarshalText always fails: a redacted secret that was stored is a lost one.
func (s Secret) MarshalText() ([]byte, error) { panic("skeleton") }

// A Spec is what a token is issued with.
type Spec struct {
	// Name and Description are for people. Either may be empty; neither may
	// hold control characters or be longer than 256 and 4096 bytes.
	Name, Description string

	// Owner is whose token it is: a user, an organization, a tenant. No actor
	// that is bounded to one owner ever sees another's tokens. Empty: the
	// parent's owner, a Member's or Bearer's own, or, in a service with only one, "".
	Owner string

	// Capabilities are what the token may do. The zero value: nothing.
	Capabilities Capabilities

	// Networks are where the token may be used from. None: from anywhere.
	Networks []netip.Prefix

	// ExpiresAt is when the token stops. The zero time: never.
	// It is truncated to microseconds, and must be in the future.
	ExpiresAt time.Time

	// Attributes are the service's own notes: a user's ID, a plan, a rate
	// limit. remint never judges them. A Bearer cannot set them: what it issues has
	// the bearer's. At most 4096 bytes in all.
	Attributes map[string]string

	// Parent makes the token a child of another, with the same owner and
	// within its capabilities and networks. The child is live only while the
	// parent is, and ends with [Actor.EndSessions]. At most four levels.
	Parent ID

	// Prefix begins the token's text. It must be one of [Options.Prefixes].
	// Empty: the first of them.
	Prefix string
}

// A Token is a token as it was when remint returned it. It is a small
// immutable handle: copying is cheap, and nothing that a holder does to it, or
// to what its methods return, changes what anybody else sees. Only this package
// makes a Token that is not zero, and it holds no secret and no digest.
type Token struct {
	rec  *Record
	slot uint8 // which of the secrets Verify was shown
}

// ID returns the token's public name.
func (t Token) ID() ID { panic("skeleton") }

// Owner returns [Spec.Owner].
func (t Token) Owner() string { panic("skeleton") }

// Attribute returns the named one of [Spec.Attributes], or "".
func (t Token) Attribute(name string) string { panic("skeleton") }

// Allows reports whether the token's capabilities cover c. It judges no
// expiry: [Issuer.Verify] has.
func (t Token) Allows(c Capability) bool { panic("skeleton") }

// ExpiresAt returns when the token stops: the earlier of its own expiry and a
// planned retirement; the zero time is never. An ancestor may stop sooner.
func (t Token) ExpiresAt() time.Time { panic("skeleton") }

// RetiresAt returns when the secret that was shown to [Issuer.Verify] stops
// although its token goes on; zero if it is not being retired.
func (t Token) RetiresAt() time.Time { panic("skeleton") }

// Spec returns what would issue this token again, as last updated.
func (t Token) Spec() Spec { panic("skeleton") }

// State returns what has happened to the token.
func (t Token) State() State { panic("skeleton") }

// MarshalJSON implements [encoding/json.Marshaler] with the public metadata: ID, Spec and
// State. There is no way back: a Token is proof.
func (t Token) MarshalJSON() ([]byte, error) { panic("skeleton") }

// String returns the ID.
func (t Token) String() string { panic("skeleton") }

// LogValue implements [slog.LogValuer] with the ID, owner and name.
func (t Token) LogValue() slog.Value { panic("skeleton") }

// A State is a token's history. Its times are UTC, in microseconds; a zero time
// means that it has not happened.
type State struct {
	CreatedAt, RotatedAt, RevokedAt time.Time

	// Predecessor and Successor are the tokens that a rotation with
	// [Rotation.Successor] linked with this one.
	Predecessor, Successor ID

	// Current is the secret that is meant to be used. Unconfirmed is one that was
	// handed out and not used yet; Retiring is the one before, while it still
	// works. The last two are zero where there is none.
	Current, Unconfirmed, Retiring SecretState

	// IssuedBy is the actor that issued the token, as in [Event.Actor].
	IssuedBy string

	// Epoch rises whenever the token's sessions are ended.
	Epoch uint64
	// Revision rises with every change.
	Revision uint64
}

// A SecretState says when a secret was made, when it stops (zero: with its
// token) and when it was last used, which may lag by a minute ([Issuer.Sweep]).
type SecretState struct{ CreatedAt, Until, LastUsedAt time.Time }

// A Grant is a token and its new secret, which cannot be had again.
type Grant struct {
	Token  Token
	Secret Secret
}
