package httpadapter

import (
	"cmp"
	"strings"
	"time"

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

	if c.retries == "" {
		// The published client repeats it by itself, and nothing in the request says so.
		c.actor = c.actor.Repeatable(axiomRepeat)
	}
	next := &remint.Successor{}
	if !replacement.absent() {
		next.Spec, next.Inherit = &spec, true
	} else if !spec.ExpiresAt.IsZero() {
		next.ExpiresAt = &spec.ExpiresAt
	}
	grant, err := c.actor.Rotate(c.r.Context(), id, remint.Rotation{Successor: next, Retire: remint.RetireAt(retireAt).IfPast(x.RetireNow)})
	if err != nil {
		return axiomRefusal(c.gone(id, err), axiomNames("newToken.", cmp.Or(expiry, "newTokenExpiresAt")))
	}
	return c.writeSecret(grant, axiomToken)
}

// axiomRepeat is how long a regenerate is answered again as it was: the client gives up after
// 10 seconds.
const axiomRepeat = 30 * time.Second

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
