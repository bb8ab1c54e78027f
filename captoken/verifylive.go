package captoken

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/remint-go/remint"
)

// VerifyLive does what [Verifier.Verify] does, and then reads the API token with reader, as for
// [NewSigner]: one that has ended, as by revocation, or whose descendants were ended since, is
// [ErrInvalid], and so is one that the reader does not see. An error of the reading, such as
// [remint.ErrUnavailable], says nothing about the token, and is returned as such.
func (v *Verifier) VerifyLive(ctx context.Context, reader remint.Actor, text string, from netip.Addr) (Claims, error) {
	c, err := v.Verify(text, from)
	if err != nil {
		return Claims{}, err
	}
	chain, err := reader.Live(ctx, c.Token)
	switch {
	case errors.Is(err, remint.ErrEnded), errors.Is(err, remint.ErrNotFound):
		return Claims{}, invalid("token %s: %v", c.Token, err) // not wrapped: it shall not be taken for an answer of 404
	case err != nil:
		return Claims{}, fmt.Errorf("captoken: reading token %s: %w", c.Token, err)
	}
	if err := c.isFor(chain[0]); err != nil {
		return Claims{}, err
	}
	return c, nil
}

// Extra returns the capabilities that a token adds to a request of tok's bearer, which has
// just been verified. Beside what [Verifier.Verify] judges, the token must be for tok and no
// other: its ID, its owner and its epoch. The error is always [ErrInvalid].
//
// It is made to be a field of httpadapter.Options. What it returns is for what the route needs,
// and never for what tok's bearer may issue or rotate.
func (v *Verifier) Extra(_ context.Context, text string, tok remint.Token, from netip.Addr) (remint.Capabilities, error) {
	c, err := v.judge(text)
	if err != nil {
		return remint.Capabilities{}, err
	}
	if err := c.isFor(tok); err != nil {
		return remint.Capabilities{}, err
	}
	if err := c.judgeNetworks(from); err != nil {
		return remint.Capabilities{}, err
	}
	return c.Capabilities, nil
}

// isFor judges whether the claims are for a token as it is.
func (c *Claims) isFor(tok remint.Token) error {
	switch {
	case c.Token != tok.ID():
		return invalid("it is for token %s and not for %s", c.Token, tok.ID())
	case c.Owner != tok.Owner():
		return invalid("its owner is not that of token %s", c.Token)
	case c.Epoch != tok.State().Epoch:
		return invalid("what descends from token %s was ended since it was issued", c.Token)
	}
	return nil
}
