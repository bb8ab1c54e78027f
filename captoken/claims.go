package captoken

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/remint-go/remint"
)

const (
	// Type is the "typ" in a capabilities token's header: the media type
	// application/remint-cap+jwt without its first half (RFC 7515, section 4.1.9). It is
	// its own, so that no other JWT that is signed with the same key, such as an ID token or an
	// access token, is ever taken for one, and it for none of those (RFC 8725, section 3.11).
	Type = "remint-cap+jwt"

	// DefaultLifetime is how long a token lives whose [Request] does not say.
	DefaultLifetime = 5 * time.Minute

	// MaxLifetime is the most that any token lives: [Signer.Sign] signs for no longer, and a
	// [Verifier] refuses what was, whoever signed it. It is the bound, but for the leeway, of
	// how long a verifier without a store honours what was revoked.
	MaxLifetime = time.Hour
)

// Claims are what a capabilities token says. Those that a [Verifier] returned are true.
type Claims struct {
	KeyID    string // which key signed it
	Issuer   string // who signed it
	Audience string // whom it is for

	// Token is the API token that it is for, Owner is that one's owner, and Epoch is its
	// epoch as it was then ([remint.State]).
	Token remint.ID
	Owner string
	Epoch uint64

	// Capabilities are what it grants, at least one.
	Capabilities remint.Capabilities

	// Networks are where it may be used from: the client's address must be in one network of
	// every list. No list: from anywhere. No list is empty.
	Networks [][]netip.Prefix

	// IssuedAt and ExpiresAt are UTC, in whole seconds. At ExpiresAt it is over.
	IssuedAt, ExpiresAt time.Time
}

// claimsJSON is the payload, in the order in which a Signer writes it.
type claimsJSON struct {
	Issuer       string              `json:"iss"`
	Token        remint.ID           `json:"sub"`
	Audience     string              `json:"aud"`
	Owner        string              `json:"owner"`
	Capabilities remint.Capabilities `json:"cap"`
	Networks     [][]netip.Prefix    `json:"net,omitempty"`
	IssuedAt     int64               `json:"iat"`
	ExpiresAt    int64               `json:"exp"`
	Epoch        uint64              `json:"epoch"`
}

// encode returns the payload.
func (c *Claims) encode() ([]byte, error) {
	return json.Marshal(claimsJSON{
		c.Issuer, c.Token, c.Audience, c.Owner, c.Capabilities, c.Networks,
		c.IssuedAt.Unix(), c.ExpiresAt.Unix(), c.Epoch,
	})
}

const (
	// maxLists bounds the lists of networks: a token and its ancestors are four.
	maxLists    = 16
	maxNetworks = 256 // in one list, as in remint.Spec
)

// latest is the last second of the year 9999, in which RFC 3339 ends.
var latest = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).Unix() - 1

// parseClaims reads a payload, strictly: every claim once, of its own type, and no others.
func parseClaims(payload []byte) (Claims, error) {
	all, err := members(payload)
	if err != nil {
		return Claims{}, fmt.Errorf("the payload %w", err)
	}
	var c Claims
	read := func(name string, parse func(json.RawMessage) error) {
		raw, ok := all[name]
		delete(all, name)
		switch {
		case err != nil:
		case !ok && name != "net":
			err = fmt.Errorf("the claim %q is missing", name)
		case ok:
			if problem := parse(raw); problem != nil {
				err = fmt.Errorf("the claim %q %w", name, problem)
			}
		}
	}
	read("iss", name(&c.Issuer))
	read("sub", func(raw json.RawMessage) error {
		s, err := text(raw)
		if err != nil {
			return err
		}
		if c.Token, err = remint.ParseID(s); err != nil {
			return errors.New("is not a token's ID")
		}
		return nil
	})
	read("aud", name(&c.Audience))
	read("owner", func(raw json.RawMessage) (err error) {
		c.Owner, err = text(raw)
		return err
	})
	read("cap", func(raw json.RawMessage) error {
		list, err := texts(raw)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return errors.New("is empty")
		}
		if c.Capabilities, err = remint.ParseCapabilities(list); err != nil {
			return errors.New("has a malformed capability, or more than 256")
		}
		return nil
	})
	read("net", func(raw json.RawMessage) (err error) {
		c.Networks, err = networks(raw)
		return err
	})
	read("iat", second(&c.IssuedAt))
	read("exp", second(&c.ExpiresAt))
	read("epoch", func(raw json.RawMessage) (err error) {
		c.Epoch, err = natural(raw)
		return err
	})
	for unknown := range all {
		if err == nil {
			err = fmt.Errorf("the claim %s is unknown", shown(unknown))
		}
	}
	if err != nil {
		return Claims{}, err
	}
	switch lifetime := c.ExpiresAt.Sub(c.IssuedAt); {
	case lifetime <= 0:
		return Claims{}, errors.New("it expires no later than it was issued")
	case lifetime > MaxLifetime:
		return Claims{}, fmt.Errorf("it lives for %v, and may for %v", lifetime, MaxLifetime)
	}
	return c, nil
}

// name reads the name of an issuer or audience.
func name(to *string) func(json.RawMessage) error {
	return func(raw json.RawMessage) (err error) {
		if *to, err = text(raw); err == nil && *to == "" {
			err = errors.New("is empty")
		}
		return err
	}
}

// second reads a NumericDate (RFC 7519, section 2), which here is a whole number.
func second(to *time.Time) func(json.RawMessage) error {
	return func(raw json.RawMessage) error {
		n, err := natural(raw)
		if err != nil {
			return err
		}
		if n > uint64(latest) {
			return errors.New("is after the year 9999")
		}
		*to = time.Unix(int64(n), 0).UTC()
		return nil
	}
}

// networks reads the lists of networks.
func networks(raw json.RawMessage) ([][]netip.Prefix, error) {
	lists, err := list(raw)
	if err != nil {
		return nil, err
	}
	if len(lists) == 0 || len(lists) > maxLists {
		return nil, fmt.Errorf("has %d lists, and must have 1 to %d", len(lists), maxLists)
	}
	all := make([][]netip.Prefix, len(lists))
	for i, part := range lists {
		list, err := texts(part)
		if err != nil {
			return nil, fmt.Errorf("[%d] %w", i, err)
		}
		if len(list) == 0 || len(list) > maxNetworks {
			return nil, fmt.Errorf("[%d] has %d networks, and must have 1 to %d", i, len(list), maxNetworks)
		}
		for k, s := range list {
			n, err := netip.ParsePrefix(s)
			if err != nil || n != n.Masked() || n.Addr().Is4In6() || n.String() != s {
				return nil, fmt.Errorf("[%d][%d] is not a network in its canonical form", i, k)
			}
			all[i] = append(all[i], n)
		}
	}
	return all, nil
}

// admits reports whether every list of networks holds the address. The zero address is in no
// network, and neither is one with a zone; IPv4 in IPv6 is the IPv4 address. So does
// package remint judge a token's.
func (c *Claims) admits(from netip.Addr) bool {
	if from.Zone() != "" {
		from = netip.Addr{}
	}
	from = from.Unmap()
	for _, list := range c.Networks {
		held := false
		for _, n := range list {
			held = held || n.Contains(from)
		}
		if !held {
			return false
		}
	}
	return true
}
