package httpadapter

import (
	"iter"

	"github.com/remint-go/remint"
)

// tokens yields the tokens that a format lists, oldest first: those with its prefix that
// stand where the caller's own stands, sessions aside. Those that have expired are among
// them, as they can be regenerated and deleted; with ended, so is everything that has ended
// and was not swept yet.
func (c *call) tokens(prefix string, ended bool) iter.Seq2[remint.Token, error] {
	return func(yield func(remint.Token, error) bool) {
		under, err := c.place()
		if err != nil {
			yield(remint.Token{}, err)
			return
		}
		q := remint.Query{Parent: under, Expired: true, Ended: ended}
		for tok, err := range c.actor.List(c.r.Context(), q) {
			if err != nil {
				yield(tok, err)
				return
			}
			if tok.Prefix() == prefix && !tok.IsSession() && !yield(tok, nil) {
				return
			}
		}
	}
}

// place returns the token below which the caller's token stands, and what it issues; for a
// session, its parent's. It never changes.
func (c *call) place() (remint.ID, error) {
	tok, err := c.actor.Get(c.r.Context(), c.self)
	if err == nil && tok.IsSession() {
		tok, err = c.actor.Get(c.r.Context(), tok.Parent())
	}
	if err != nil {
		return remint.ID{}, err
	}
	return tok.Parent(), nil
}
