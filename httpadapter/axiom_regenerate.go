package httpadapter

import (
	"cmp"
	"errors"
	"strings"

	"github.com/remint-go/remint"
)

// regenerate issues a successor.
//
//  1. existingTokenExpiresAt is when the old token stops; it never extends it.
//  2. Without newToken the successor is a clone of the old token.
//  3. With newToken it is that, and nothing is merged. What the format has no words for
//     (networks, attributes, parent, prefix) stays as the old token has it: a body
//     that cannot name a bound must not lift it.
//  4. Its expiry is newTokenExpiresAt, else newToken.expiresAt, else the old token's.
func (x axiom) regenerate(c *call) error {
	if err := x.organization(c); err != nil {
		return err
	}
	body, err := c.object(false)
	if err != nil {
		return c.refuse(err)
	}
	var f form
	retireAt := f.time(body.get("existingTokenExpiresAt"), "existingTokenExpiresAt")
	if retireAt.IsZero() && len(f.problems) == 0 {
		f.wrong("existingTokenExpiresAt", "must be given: when the existing token stops")
	}
	expiresAt := f.time(body.get("newTokenExpiresAt"), "newTokenExpiresAt")
	replacement := body.get("newToken")
	var spec remint.Spec
	if f.object(replacement, "newToken") {
		spec = readAxiomToken(&f, replacement, "newToken.")
	}
	expiry := "" // the old token's: nothing can be said of it yet
	switch {
	case !expiresAt.IsZero():
		spec.ExpiresAt, expiry = expiresAt, "newTokenExpiresAt"
	case !spec.ExpiresAt.IsZero():
		expiry = "newToken.expiresAt"
	}
	f.also(axiomInputs(c.a.issuer.CheckSpec(spec), axiomNames("newToken.", expiry)))
	if err := f.err(); err != nil {
		return c.refuse(err)
	}
	id, err := remint.ParseID(c.r.PathValue("id"))
	if err != nil {
		return c.refuse(err)
	}

	rotation := remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAt(retireAt)}
	if !spec.ExpiresAt.IsZero() {
		rotation.Successor.ExpiresAt = &spec.ExpiresAt
	}
	var grant remint.Grant
	if replacement.absent() {
		grant, err = c.actor.Rotate(c.r.Context(), id, rotation)
	} else {
		grant, err = x.replace(c, id, spec, rotation)
	}
	if err != nil {
		return axiomRefusal(c.gone(id, err), axiomNames("newToken.", cmp.Or(expiry, "newTokenExpiresAt")))
	}
	return c.writeSecret(grant, axiomToken)
}

// replace rotates a token to what spec says of its successor, and what the format has no
// words for as the old token has it. That is judged by its revision; where it has changed
// meanwhile, and the token was not rotated, it is read again.
func (x axiom) replace(c *call, id remint.ID, spec remint.Spec, rotation remint.Rotation) (remint.Grant, error) {
	ctx := c.r.Context()
	for seen := (remint.State{}); ; {
		old, err := c.actor.Get(ctx, id)
		if err != nil {
			return remint.Grant{}, err
		}
		now := old.State()
		if seen.Revision != 0 && (now.Revision == seen.Revision || now.Successor != seen.Successor || !now.RotatedAt.Equal(seen.RotatedAt)) {
			return remint.Grant{}, remint.ErrConflict
		}
		seen = now
		kept := old.Spec()
		kept.Name, kept.Description, kept.Capabilities = spec.Name, spec.Description, spec.Capabilities
		rotation.Successor.Spec, rotation.IfRevision = &kept, now.Revision
		grant, err := c.actor.Rotate(ctx, id, rotation)
		if !errors.Is(err, remint.ErrConflict) {
			return grant, err
		}
	}
}

// axiomRefusal is the error of a rotation as its client is told it. A token whose prefix is
// not the issuer's any more has no successor, and that is this service's fault.
func axiomRefusal(err error, name func(field, index string) string) error {
	for _, e := range inputs(err) {
		if strings.HasSuffix(e.Field, ".Prefix") {
			return serverFault{err}
		}
	}
	return axiomInputs(err, name)
}
