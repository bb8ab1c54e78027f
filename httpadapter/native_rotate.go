package httpadapter

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/remint-go/remint"
)

func (n native) rotate(c *call) error {
	id, bad := c.subject(true)
	if err := c.admitted(c.r.Context()); err != nil {
		return err
	}
	if bad != nil {
		return c.refuse(bad)
	}
	revision, err := c.ifMatch()
	if err != nil {
		return c.refuse(err)
	}
	body, err := c.nativeObject(true)
	if err != nil {
		return c.refuse(err)
	}
	var f nativeForm
	rotation := f.rotation(c.a, body)
	if revision != 0 {
		if rotation.IfRevision != 0 && rotation.IfRevision != revision {
			f.wrong("if_revision", "is another revision than If-Match says")
		}
		rotation.IfRevision = revision
	}
	if err := f.err(); err != nil {
		return c.refuse(err)
	}
	if rotation.Successor != nil {
		// That is another token, with a life of its own: no token makes one of itself for free.
		c.need(needUpdate)
	}
	grant, err := c.actor.Rotate(c.r.Context(), id, rotation)
	switch {
	case err == nil:
	case revision != 0 && kindOf(err) == conflict:
		// Whether it was the revision changes the word, and nothing else.
		if tok, gerr := c.actor.Get(c.r.Context(), id); gerr == nil && tok.State().Revision != revision {
			return errRevision
		}
		return err
	case slices.ContainsFunc(inputs(err), func(e *remint.InputError) bool { return strings.HasSuffix(e.Field, ".Prefix") }):
		return serverFault{err} // the token's prefix is not the issuer's any more, and the client named none
	default:
		return rename(err, nativeNames("successor."))
	}
	status := http.StatusOK
	if rotation.Successor != nil {
		status = http.StatusCreated
	}
	return n.writeGrant(c, status, grant)
}

func (n native) rotation(c *call) error {
	id, err := c.subject(true)
	if err != nil {
		return c.refuse(err)
	}
	tok, err := c.actor.Get(c.r.Context(), id)
	if err != nil {
		return err
	}
	next, err := c.successorOf(tok)
	if err != nil {
		return err
	}
	return c.writeRotation(tok, next)
}

func (n native) cancelRotation(c *call) error { return c.settle(remint.Actor.CancelRotation) }
func (n native) finishRotation(c *call) error { return c.settle(remint.Actor.FinishRotation) }

// settle ends a rotation in one of the two ways, and answers with what is left of it.
func (c *call) settle(end func(remint.Actor, context.Context, remint.ID) (remint.Token, error)) error {
	id, err := c.subject(true)
	if err == nil {
		err = c.noCondition()
	}
	if err != nil {
		return c.refuse(err)
	}
	if err := c.unread(); err != nil {
		return err
	}
	tok, err := end(c.actor, c.r.Context(), id)
	if err != nil {
		return err
	}
	next, _ := c.successorOf(tok) // what was done is done, whether or not this can be read
	return c.writeRotation(tok, next)
}

// successorOf returns the token that succeeds tok, or the zero Token.
func (c *call) successorOf(tok remint.Token) (remint.Token, error) {
	id := tok.State().Successor
	if id.IsZero() {
		return remint.Token{}, nil
	}
	next, err := c.actor.Get(c.r.Context(), id)
	if errors.Is(err, remint.ErrNotFound) {
		return remint.Token{}, nil // it was swept
	}
	return next, err
}

// How far a rotation has come.
const (
	rotationSettled     = "settled"     // there is nothing to wait for
	rotationUnconfirmed = "unconfirmed" // nobody has used the new secret, or successor, yet
	rotationRetiring    = "retiring"    // it was used, and the old secret, or token, still works
	rotationEnded       = "ended"       // the token has ended
)

// rotationOf says how far the rotation of tok has come; next is its successor, or zero.
func rotationOf(tok, next remint.Token) string {
	s := tok.State()
	waits := !next.IsZero() && next.State().Ended == "" && !next.State().Unconfirmed.CreatedAt.IsZero()
	switch {
	case s.Ended != "":
		return rotationEnded
	case !s.Unconfirmed.CreatedAt.IsZero(), waits:
		return rotationUnconfirmed
	case !s.Retiring.CreatedAt.IsZero(), !s.Successor.IsZero():
		return rotationRetiring
	}
	return rotationSettled
}

func (c *call) writeRotation(tok, next remint.Token) error {
	s := tok.State()
	c.w.Header().Set("ETag", etag(tok))
	return c.write(struct {
		ID          remint.ID          `json:"id"`
		State       string             `json:"state"`
		RotatedAt   time.Time          `json:"rotated_at,omitzero"`
		StopsAt     time.Time          `json:"stops_at,omitzero"` // the token as a whole
		Current     remint.SecretState `json:"current"`
		Unconfirmed remint.SecretState `json:"unconfirmed,omitzero"`
		Retiring    remint.SecretState `json:"retiring,omitzero"`
		Idle        int64              `json:"retiring_idle,omitempty"` // seconds
		Predecessor remint.ID          `json:"predecessor,omitzero"`
		Successor   remint.ID          `json:"successor,omitzero"`
		Revision    uint64             `json:"revision"`
	}{
		tok.ID(), rotationOf(tok, next), s.RotatedAt, tok.ExpiresAt(),
		s.Current, s.Unconfirmed, s.Retiring, int64(s.RetiringIdle(c.a.issuer.Now()) / time.Second), s.Predecessor, s.Successor, s.Revision,
	})
}
