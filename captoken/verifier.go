package captoken

import (
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/remint-go/remint"
)

// A Key is a public key, and the most that what it signs may grant, to whom and where. All
// but ID must be set; no field's zero value permits anything.
type Key struct {
	// ID is the "kid" of what it signs: 1 to 128 printable ASCII characters without spaces.
	// Empty: the key's SHA-256 thumbprint (RFC 7638), as for [NewSigningKey].
	ID string

	// Public is the Ed25519 key.
	Public ed25519.PublicKey

	// Issuer and Audience are the only "iss" and "aud" that are accepted of it.
	Issuer, Audience string

	// Owner is the one owner for whose tokens it may grant. AnyOwner, with an empty Owner:
	// for every owner's; also where the service's tokens have none.
	Owner    string
	AnyOwner bool

	// May is the most that it may grant. A token with one capability beyond it is refused
	// as a whole.
	May remint.Capabilities
}

// VerifierOptions configure a [Verifier]. Keys must be set.
type VerifierOptions struct {
	// Keys are what it accepts signatures of: at least one. No two have the same ID or the same
	// public key.
	Keys []Key

	// Leeway is how far the signer's clock may be off this one's. It is added to the end of a
	// token's life, too. Zero: none, which fits where the Signer uses the same clock; a second
	// or two between machines; at most [MaxLeeway].
	Leeway time.Duration

	// Now reports the time. Nil: [time.Now].
	Now func() time.Time
}

// MaxLeeway is the most that [VerifierOptions.Leeway] may be.
const MaxLeeway = time.Minute

// A Verifier judges capabilities tokens. It is safe for concurrent use.
type Verifier struct {
	keys   atomic.Pointer[map[string]Key] // by their IDs; never changed
	leeway time.Duration
	now    func() time.Time
}

// NewVerifier returns a Verifier. Options that cannot be used are a [remint.InputError] each.
func NewVerifier(opts *VerifierOptions) (*Verifier, error) {
	var o VerifierOptions
	if opts != nil {
		o = *opts
	}
	var p problems
	keys := keyring("VerifierOptions.Keys", o.Keys, &p)
	if o.Leeway < 0 || o.Leeway > MaxLeeway {
		p.add("VerifierOptions.Leeway", "is %v, and must be at least 0 and at most %v", o.Leeway, MaxLeeway)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	v := &Verifier{leeway: o.Leeway, now: o.Now}
	v.keys.Store(&keys)
	return v, nil
}

// SetKeys replaces all keys at once: what is judged from its return on is judged by the new ones.
// Keys that cannot be used are a [remint.InputError] each, and leave the old ones in place.
func (v *Verifier) SetKeys(keys []Key) error {
	var p problems
	ring := keyring("keys", keys, &p)
	if err := p.err(); err != nil {
		return err
	}
	v.keys.Store(&ring)
	return nil
}

// keyring judges keys, and returns copies of them by their IDs.
func keyring(field string, keys []Key, p *problems) map[string]Key {
	if len(keys) == 0 {
		p.add(field, "is empty: a Verifier without keys accepts nothing")
	}
	ring := make(map[string]Key, len(keys))
	for i, k := range keys {
		field := fmt.Sprintf("%s[%d]", field, i)
		k.Public = slices.Clone(k.Public)
		problem := publicProblem(k.Public)
		switch {
		case problem != "":
			p.add(field+".Public", "%s", problem)
		case k.ID == "":
			k.ID = thumbprint(k.Public)
		default:
			if problem := keyIDProblem(k.ID); problem != "" {
				p.add(field+".ID", "%s", problem)
			}
		}
		for _, name := range []struct{ field, value string }{{"Issuer", k.Issuer}, {"Audience", k.Audience}} {
			if name.value == "" {
				p.add(field+"."+name.field, "is empty: say what the token must have")
			} else if problem := nameProblem(name.value); problem != "" {
				p.add(field+"."+name.field, "%s", problem)
			}
		}
		switch problem := nameProblem(k.Owner); {
		case k.Owner == "" && !k.AnyOwner:
			p.add(field+".Owner", "is empty: name the one owner, or set AnyOwner")
		case k.Owner != "" && k.AnyOwner:
			p.add(field+".AnyOwner", "is set beside Owner: set one of them")
		case problem != "":
			p.add(field+".Owner", "%s", problem)
		}
		if k.May.Len() == 0 {
			p.add(field+".May", "is empty: say the most that the key may grant")
		}
		for _, other := range ring {
			if other.ID == k.ID || other.Public.Equal(k.Public) {
				p.add(field, "has an ID or a public key that is there already")
				break
			}
		}
		ring[k.ID] = k
	}
	return ring
}

// Verify returns what a token says, if all of it holds here and now. from is where it was
// presented; the zero Addr stands for unknown, and is in no network, and neither is one with
// a zone. It needs no store, and knows nothing of what happened to the API token since.
//
// It judges, in this order: the text's form and header; the key; the signature; the claims'
// form, a lifetime of at most [MaxLifetime] included; the time; the issuer, audience and
// owner; the capabilities; the networks. The error is [ErrInvalid] for all of these.
func (v *Verifier) Verify(text string, from netip.Addr) (Claims, error) {
	c, err := v.judge(text)
	if err != nil {
		return Claims{}, err
	}
	if err := c.judgeNetworks(from); err != nil {
		return Claims{}, err
	}
	return c, nil
}

// judge is Verify, without the networks.
func (v *Verifier) judge(text string) (Claims, error) {
	id, err := keyIDOf(text)
	if err != nil {
		return Claims{}, err
	}
	k, ok := (*v.keys.Load())[id]
	if !ok {
		return Claims{}, invalid("no key has its ID, %.40q", id)
	}
	payload, err := open(text, k.Public)
	if err != nil {
		return Claims{}, err
	}
	c, err := parseClaims(payload)
	if err != nil {
		return Claims{}, invalid("%w", err)
	}
	c.KeyID = id
	now := v.now()
	switch {
	case c.IssuedAt.After(now.Add(v.leeway)):
		return Claims{}, invalid("it was issued at %s, which is not yet", c.IssuedAt.Format(time.RFC3339))
	case !now.Before(c.ExpiresAt.Add(v.leeway)):
		return Claims{}, invalid("it expired at %s", c.ExpiresAt.Format(time.RFC3339))
	case c.Issuer != k.Issuer:
		return Claims{}, invalid("its issuer is not that of key %q", id)
	case c.Audience != k.Audience:
		return Claims{}, invalid("its audience is not that of key %q", id)
	case !k.AnyOwner && c.Owner != k.Owner:
		return Claims{}, invalid("its owner is not that of key %q", id)
	case !k.May.Contains(c.Capabilities):
		return Claims{}, invalid("it grants more than key %q may", id)
	}
	return c, nil
}

func (c *Claims) judgeNetworks(from netip.Addr) error {
	if c.admits(from) {
		return nil
	}
	return invalid("it is not for use from where it was presented")
}
