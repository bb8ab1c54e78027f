package httpadapter

import (
	"fmt"
	"net/http"
	"time"

	"github.com/remint-go/remint"
)

// Axiom configures its routes. The zero value and nil do as documented: a regenerated token
// is a new one with an ID of its own, and the old one goes on for as long as the
// request says.
type Axiom struct {
	// Prefix is that of the tokens which are created here: one of
	// [remint.Options.Prefixes]. Empty: "xaat-", which is what the documented ones start
	// with.
	Prefix string

	// RetireNow is when the old token stops where the request says that it shall at once.
	// Zero: at once. With RetireAfterFirstUse nobody is locked out by a lost answer, as the old
	// token works until its successor was used. "At once" is by this service's clock: a request
	// from one that is ahead of it says a time, which is kept to.
	RetireNow remint.Retirement

	// OpenAPI is the path at which the format's description is served to anybody, such as
	// "/axiom/openapi.yaml": [AxiomDescription]. Empty: nowhere.
	OpenAPI string
}

// MountAxiom mounts GET and POST /v2/tokens, GET and DELETE /v2/tokens/{id}, and POST
// /v2/tokens/{id}/regenerate. The paths are fixed: the published client drops any base path.
// It panics if o cannot be used, or the issuer does not have its prefix.
//
// The published client repeats a create or regenerate by itself when an answer is lost, and
// nothing in the request says so. A repeated create makes a second token. An identical
// regenerate of another token within 30 seconds has the same answer, as long as nobody has used it.
// One of the caller's own token replaces the successor that nobody has received, unless the token
// was to stop at once: then it is 401, and the new secret is lost, without an Idempotency-Key.
// Give it an overlap, or set RetireNow.
func (a *Adapter) MountAxiom(mux Mux, o *Axiom) {
	var x axiom
	if o != nil {
		x.Axiom = *o
	}
	x.Prefix = a.prefixOf("Axiom.Prefix", x.Prefix, "xaat-")
	mustRetire("Axiom.RetireNow", remint.RetireAt(time.Time{}).IfPast(x.RetireNow))
	describe(mux, "Axiom.OpenAPI", x.OpenAPI, "", AxiomDescription)
	need := func(c remint.Capability) []remint.Capability { return []remint.Capability{c} }
	var errs axiomErrors
	a.mount(mux, sources{}, []route{
		{method: http.MethodGet, path: "/v2/tokens", needs: need("org:apiTokens:read"), format: errs, serve: x.list},
		{method: http.MethodPost, path: "/v2/tokens", needs: need("org:apiTokens:create"), format: errs, grants: true, serve: x.create},
		{method: http.MethodGet, path: "/v2/tokens/{id}", needs: need("org:apiTokens:read"), format: errs, serve: x.get},
		{method: http.MethodDelete, path: "/v2/tokens/{id}", needs: need("org:apiTokens:delete"), format: errs, ends: true, serve: x.remove},
		{method: http.MethodPost, path: "/v2/tokens/{id}/regenerate", needs: need("org:apiTokens:update"), format: errs, grants: true, serve: x.regenerate},
	})
}

type axiom struct{ Axiom }

// list answers with the tokens of this format that stand where the caller's does. One that
// has expired is among them until its successor was made; one that has retired is not.
func (x axiom) list(c *call) error {
	if err := x.organization(c); err != nil {
		return err
	}
	list := []any{}
	for tok, err := range c.tokens(x.Prefix, false) {
		if err != nil {
			return err
		}
		list = append(list, axiomToken(tok, ""))
	}
	return c.write(list)
}

func (x axiom) create(c *call) error {
	if err := x.organization(c); err != nil {
		return err
	}
	caller, err := c.actor.Get(c.r.Context(), c.self)
	if err != nil {
		return err
	}
	body, err := c.object(false)
	if err != nil {
		return err
	}
	var f form
	spec := readAxiomToken(&f, body, "")
	spec.Prefix = x.Prefix
	spec.Networks = caller.Spec().Networks // the format has no words for them, and wider ones are refused
	name := axiomNames("", "expiresAt")
	f.also(axiomInputs(c.a.issuer.CheckSpec(spec), name))
	if err := f.err(); err != nil {
		return err
	}
	grant, err := c.actor.Issue(c.r.Context(), spec)
	if err != nil {
		return axiomInputs(err, name)
	}
	return c.writeSecret(grant, axiomToken)
}

func (x axiom) get(c *call) error {
	tok, err := x.token(c)
	if err != nil {
		return err
	}
	return c.write(axiomToken(tok, ""))
}

// remove ends a token, and what descends from it; a successor that it has lives on. Of two
// requests at the same moment both succeed.
func (x axiom) remove(c *call) error {
	tok, err := x.token(c)
	if err != nil {
		return err
	}
	if err := c.ignoreBody(); err != nil {
		return err
	}
	if err := c.actor.Revoke(c.r.Context(), tok.ID()); err != nil {
		return err
	}
	return c.writeEmpty(http.StatusNoContent)
}

// token returns the token that the path names. One that was deleted is not found, and what
// was deleted stays so.
func (x axiom) token(c *call) (remint.Token, error) {
	if err := x.organization(c); err != nil {
		return remint.Token{}, err
	}
	id, err := remint.ParseID(c.r.PathValue("id"))
	if err != nil {
		return remint.Token{}, c.refuse(err)
	}
	tok, err := c.actor.Get(c.r.Context(), id)
	if err == nil && !tok.State().RevokedAt.IsZero() {
		err = remint.ErrNotFound
	}
	return tok, err
}

// errOrganization is a request that was sent to another organization than the caller's. It
// is no "not found": the organization is the caller's own claim about itself, so that the
// answer tells it nothing that it did not say.
var errOrganization = fmt.Errorf("%w: X-Axiom-Org-Id does not name the token's organization", remint.ErrForbidden)

// organization checks the header by which clients name their organization. A token's
// owner never changes, so that what is judged here stays so.
func (x axiom) organization(c *call) error {
	named := c.r.Header.Values("X-Axiom-Org-Id")
	if len(named) == 0 {
		return nil
	}
	tok, err := c.knownBearer()
	if err != nil {
		return err
	}
	for _, name := range named {
		if name != tok.Owner() {
			return c.refuse(errOrganization)
		}
	}
	return nil
}
