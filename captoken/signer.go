package captoken

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/remint-go/remint"
)

// SignerOptions configure a [Signer]. Keys, Issuer and May must be set.
type SignerOptions struct {
	// Keys are all in the JWKS document, and the first one signs. At least one; no two have
	// the same ID or the same key. The package comment says how to change them.
	Keys []SigningKey

	// Issuer is the "iss" of what it signs: a name, or a URL, of 1 to 255 bytes without control
	// characters, that verifiers expect ([Key.Issuer]).
	Issuer string

	// May is the most that it grants. It must not be empty.
	May remint.Capabilities

	// Now reports the time, as the Issuer's [remint.Options.Now] does. Nil: [time.Now].
	Now func() time.Time
}

// A Signer signs capabilities tokens. It is immutable and safe for concurrent use.
type Signer struct {
	reader remint.Actor
	issuer string
	may    remint.Capabilities
	now    func() time.Time
	keyID  string
	seal   func(payload []byte) (string, error) // a closure, at which fmt stops
	jwks   []byte
}

// NewSigner returns a Signer that reads the tokens for which it signs with reader: an
// Operator or, to sign for one owner's tokens only, a Member.
// It changes nothing. Options that cannot be used are a [remint.InputError] each.
func NewSigner(reader remint.Actor, opts *SignerOptions) (*Signer, error) {
	var o SignerOptions
	if opts != nil {
		o = *opts
	}
	var p problems
	if reflect.ValueOf(reader).IsZero() {
		p.add("reader", "is the zero Actor, which may read nothing: pass an Operator")
	}
	if len(o.Keys) == 0 {
		p.add("SignerOptions.Keys", "is empty: pass what NewSigningKey returns")
	}
	for i, k := range o.Keys {
		field := fmt.Sprintf("SignerOptions.Keys[%d]", i)
		if k.private == nil {
			p.add(field, "is the zero SigningKey: pass what NewSigningKey returns")
			continue
		}
		for _, other := range o.Keys[:i] {
			if other.id == k.id || other.public.Equal(k.public) {
				p.add(field, "has an ID or a key that is there already")
			}
		}
	}
	if o.Issuer == "" {
		p.add("SignerOptions.Issuer", "is empty: name who signs, as verifiers shall expect it")
	} else if problem := nameProblem(o.Issuer); problem != "" {
		p.add("SignerOptions.Issuer", "%s", problem)
	}
	if o.May.Len() == 0 {
		p.add("SignerOptions.May", "is empty: say the most that may be granted")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	s := &Signer{reader: reader, issuer: o.Issuer, may: o.May, now: o.Now, keyID: o.Keys[0].id}
	var err error
	if s.seal, err = seal(s.keyID, o.Keys[0].private()); err != nil {
		return nil, err
	}
	if s.jwks, err = encodeJWKS(o.Keys); err != nil {
		return nil, err
	}
	return s, nil
}

// Format implements [fmt.Formatter]: a Signer holds a private key.
func (s *Signer) Format(f fmt.State, verb rune) { io.WriteString(f, "captoken.Signer") }

// A Request says what [Signer.Sign] is to sign. Capabilities and Audience must be set.
type Request struct {
	// Capabilities are what it grants: at least one, within [SignerOptions.May]. They need
	// not be within the token's own.
	Capabilities remint.Capabilities

	// Audience is the one verifier, or group of verifiers, that it is for ([Key.Audience]): 1
	// to 255 bytes without control characters.
	Audience string

	// Lifetime is how long it lives at most. Zero: [DefaultLifetime]; else at least a second
	// and at most [MaxLifetime]. Times in it are whole seconds, rounded down.
	Lifetime time.Duration
}

// Sign returns the text of a capabilities token for the live API token id. What bounds that one
// at this moment bounds it, too: its networks and those of all of its ancestors, and the first
// planned end of any of them, of which the end of the secret that a session came from is one
// (of several that it may have come from, the first end).
//
// It judges, in this order: the request, an [remint.InputError] for each problem; that it asks
// for no more than the Signer may grant, [remint.ErrForbidden]; that the reader sees the
// token, [remint.ErrNotFound]; that it is live, and will be in the next whole second,
// [remint.ErrEnded]; that its networks and the capabilities fit in 16 KiB, an InputError. A
// store that failed is [remint.ErrUnavailable].
//
// It asks nobody whether the caller may have this: where id comes from a request, take it from
// the [remint.Token] that the request's credential was verified to.
func (s *Signer) Sign(ctx context.Context, id remint.ID, r Request) (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	if !s.may.Contains(r.Capabilities) {
		return "", fmt.Errorf("captoken: Request.Capabilities are not within SignerOptions.May: %w", remint.ErrForbidden)
	}
	chain, err := s.reader.Live(ctx, id)
	if err != nil {
		return "", fmt.Errorf("captoken: reading token %s: %w", id, err)
	}
	now := s.now()
	lifetime := r.Lifetime
	if lifetime == 0 {
		lifetime = DefaultLifetime
	}
	tok := chain[0]
	c := Claims{
		Issuer: s.issuer, Audience: r.Audience, Token: id, Owner: tok.Owner(), Epoch: tok.State().Epoch,
		Capabilities: r.Capabilities, Networks: networksOf(chain),
		IssuedAt:  time.Unix(now.Unix(), 0).UTC(),
		ExpiresAt: time.Unix(earliest(now.Add(lifetime), ends(chain)).Unix(), 0).UTC(),
	}
	if !c.ExpiresAt.After(now) {
		return "", fmt.Errorf("captoken: token %s, or what it depends on, stops before the next whole second, and nothing "+
			"is signed for less: %w", id, remint.ErrEnded)
	}
	payload, err := c.encode()
	if err != nil {
		return "", fmt.Errorf("captoken: encoding the claims: %w", err)
	}
	// Nothing is signed that a Verifier would not read, or would read as something else.
	if _, err := parseClaims(payload); err != nil {
		return "", fmt.Errorf("captoken: no Verifier would accept this for token %s: %w", id, err)
	}
	text, err := s.seal(payload)
	if err != nil {
		return "", err
	}
	if len(text) > maxText {
		var p problems
		p.add("Request.Capabilities", "make a text of %d bytes, with the networks of token %s, and it may have %d: ask for fewer",
			len(text), id, maxText)
		return "", p.err()
	}
	return text, nil
}

// check reports what is wrong with the request by itself.
func (r *Request) check() error {
	var p problems
	if r.Capabilities.Len() == 0 {
		p.add("Request.Capabilities", "are empty: name what is to be granted")
	}
	if r.Audience == "" {
		p.add("Request.Audience", "is empty: name who is to accept it")
	} else if problem := nameProblem(r.Audience); problem != "" {
		p.add("Request.Audience", "%s", problem)
	}
	if r.Lifetime != 0 && (r.Lifetime < time.Second || r.Lifetime > MaxLifetime) {
		p.add("Request.Lifetime", "is %v, and must be at least %v and at most %v; 0 stands for %v",
			r.Lifetime, time.Second, MaxLifetime, DefaultLifetime)
	}
	return p.err()
}

// networksOf returns the lists of networks of a token and its ancestors. One that admits all is
// left out, and so is one that is there already, as a session's is.
func networksOf(chain []remint.Token) (lists [][]netip.Prefix) {
	for _, tok := range chain {
		list := tok.Spec().Networks
		if len(list) == 0 || slices.ContainsFunc(lists, func(other []netip.Prefix) bool { return slices.Equal(list, other) }) {
			continue
		}
		lists = append(lists, list)
	}
	return lists
}

// ends returns the planned ends of a token and its ancestors, zero times among them. It
// errs on the early side where a token does not tell which of its secrets a session was
// started with, and whether it falls back to an older secret when the newest lapses.
func ends(chain []remint.Token) (all []time.Time) {
	for i, tok := range chain {
		state := tok.State()
		all = append(all, tok.ExpiresAt(), state.Unconfirmed.Until)
		if i > 0 && chain[i-1].IsSession() {
			all = append(all, state.Current.Until, state.Retiring.Until)
		}
	}
	return all
}

// earliest returns the first of t and those of others that are not zero.
func earliest(t time.Time, others []time.Time) time.Time {
	for _, o := range others {
		if !o.IsZero() && o.Before(t) {
			t = o
		}
	}
	return t
}
