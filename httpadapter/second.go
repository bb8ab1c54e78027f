package httpadapter

import (
	"context"
	"errors"
	"net/http"
	"net/netip"

	"github.com/remint-go/remint"
)

// A CapabilitiesToken judges the second credential of a request: text, which was presented
// from that address beside tok, which is live. It returns what the request may be allowed
// beside what tok allows. An error refuses the request; one that is
// [remint.ErrUnavailable], as unavailable. Package captoken's Verifier.Extra is one.
type CapabilitiesToken func(ctx context.Context, text string, tok remint.Token, from netip.Addr) (remint.Capabilities, error)

// A secondError is a second credential that was refused.
type secondError struct{ error }

func (e secondError) Unwrap() error { return e.error }

var errTwoSecond = errors.New("httpadapter: more than one capabilities token")

// lend returns what a request's second credential adds. One that is missing adds nothing.
func (a *Adapter) lend(ctx context.Context, h http.Header, tok remint.Token, from netip.Addr) (remint.Capabilities, error) {
	if a.second == nil {
		return remint.Capabilities{}, nil
	}
	values := h[a.secondHeader]
	switch len(values) {
	case 0:
		return remint.Capabilities{}, nil
	case 1:
		extra, err := a.second(ctx, values[0], tok, from)
		switch {
		case err == nil:
			return extra, nil
		case errors.Is(err, remint.ErrUnavailable), ctx.Err() != nil:
			return remint.Capabilities{}, err
		}
		return remint.Capabilities{}, secondError{err}
	}
	return remint.Capabilities{}, secondError{errTwoSecond}
}
