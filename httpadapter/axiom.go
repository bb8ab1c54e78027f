package httpadapter

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
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
}

// MountAxiom mounts POST /v2/tokens, GET /v2/tokens/{id} and POST
// /v2/tokens/{id}/regenerate. The paths are fixed: the published client drops any base path.
// It panics if o cannot be used, or the issuer does not have its prefix.
func (a *Adapter) MountAxiom(mux Mux, o *Axiom) {
	var x axiom
	if o != nil {
		x.Axiom = *o
	}
	x.Prefix = a.prefixOf("Axiom.Prefix", x.Prefix, "xaat-")
	need := func(c remint.Capability) []remint.Capability { return []remint.Capability{c} }
	var errs axiomErrors
	a.mount(mux, sources{}, []route{
		{method: http.MethodPost, path: "/v2/tokens", needs: need("org:apiTokens:create"), format: errs, serve: x.create},
		{method: http.MethodGet, path: "/v2/tokens/{id}", needs: need("org:apiTokens:read"), format: errs, serve: x.get},
		{method: http.MethodPost, path: "/v2/tokens/{id}/regenerate", needs: need("org:apiTokens:update"), format: errs, serve: x.regenerate},
	})
}

type axiom struct{ Axiom }

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
	f.also(rename(c.a.issuer.CheckSpec(spec), name))
	if err := f.err(); err != nil {
		return err
	}
	grant, err := c.actor.Issue(c.r.Context(), spec)
	if err != nil {
		return rename(err, name)
	}
	return c.writeSecret(grant, axiomToken)
}

func (x axiom) get(c *call) error {
	if err := x.organization(c); err != nil {
		return err
	}
	id, err := remint.ParseID(c.r.PathValue("id"))
	if err != nil {
		return c.refuse(err)
	}
	tok, err := c.actor.Get(c.r.Context(), id)
	if err != nil {
		return err
	}
	if !tok.State().RevokedAt.IsZero() {
		return remint.ErrNotFound // it was deleted
	}
	return c.write(axiomToken(tok, ""))
}

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
	f.also(rename(c.a.issuer.CheckSpec(spec), axiomNames("newToken.", expiry)))
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
	tok, err := c.bearer.Get(c.r.Context(), c.self)
	if err != nil {
		return err
	}
	for _, name := range named {
		if name != tok.Owner() {
			return errOrganization
		}
	}
	return nil
}

// readAxiomToken reads what a client may say about a token; path is where n is, with a
// dot after it. A name may be missing: the documentation requires one, and the
// service takes an empty one.
func readAxiomToken(f *form, n node, path string) remint.Spec {
	return remint.Spec{
		Name:         f.text(n.get("name"), path+"name"),
		Description:  f.text(n.get("description"), path+"description"),
		ExpiresAt:    f.time(n.get("expiresAt"), path+"expiresAt"),
		Capabilities: readAxiomCapabilities(f, n, path),
	}
}

// axiomNames returns the format's names for the fields of a Spec: path is where the body has
// it, and expiry what an expiry is called.
func axiomNames(path, expiry string) func(field, index string) string {
	return func(field, _ string) string {
		switch field {
		case "Name":
			return path + "name"
		case "Description":
			return path + "description"
		case "ExpiresAt":
			return expiry
		case "Capabilities":
			return path + "capabilities"
		case "Successor":
			return "id" // a session has none
		}
		return field
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
	return rename(err, name)
}

// axiomToken is the documented token, with a secret where one is shown.
func axiomToken(tok remint.Token, secret string) any {
	spec := tok.Spec()
	t := struct {
		ID          string     `json:"id"`
		Name        string     `json:"name"`
		Description string     `json:"description"`
		ExpiresAt   *time.Time `json:"expiresAt"`
		axiomCapabilities
		SAMLAuthenticated bool   `json:"samlAuthenticated"`
		Token             string `json:"token,omitempty"`
	}{
		ID:                tok.ID().String(),
		Name:              spec.Name,
		Description:       spec.Description,
		axiomCapabilities: encodeAxiomCapabilities(spec.Capabilities),
		SAMLAuthenticated: tok.Attribute("samlAuthenticated") == "true",
		Token:             secret,
	}
	// Of a token that has a successor, this is when it stops.
	if at := tok.ExpiresAt(); !at.IsZero() {
		t.ExpiresAt = &at
	}
	return t
}

// axiomErrors are {"code":<status>,"message":"…"}.
type axiomErrors struct{}

func (axiomErrors) quota(h http.Header, q *Quota) {
	if q == nil {
		return
	}
	h.Set("X-Ratelimit-Scope", "token")
	h.Set("X-Ratelimit-Limit", strconv.Itoa(q.Limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(q.Remaining))
	h.Set("X-Ratelimit-Reset", strconv.FormatInt(q.Reset.Unix(), 10))
}

func (axiomErrors) fail(w http.ResponseWriter, f failure) {
	message := ""
	switch f.kind {
	case noCredential, denied, network:
		message = "invalid or missing API token"
		w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110 section 15.5.2 wants one
	case tooMany:
		message = "too many requests"
	case needed:
		message = "the API token lacks the capability " + string(f.need[0])
	case beyond:
		message = "this is beyond the API token's capabilities"
		if errors.Is(f.err, errOrganization) {
			message = "X-Axiom-Org-Id does not name the API token's organization"
		}
	case badInput:
		message = problemText(f.err)
	case notFound:
		message = "API token not found"
	case noRoute:
		message = "not found"
	case noMethod:
		message = "method not allowed"
	case conflict, ended:
		message = "the API token was changed by another request, or has been replaced"
	case unavailable:
		message = "service unavailable"
	default:
		message = "internal error"
	}
	writeJSON(w, f.status(), struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{f.status(), message})
}

// problemText names every problem of a bad request in one line.
func problemText(err error) string {
	list := inputs(err)
	if len(list) == 0 {
		return err.Error()
	}
	lines := make([]string, len(list))
	for i, e := range list {
		lines[i] = e.Field + ": " + e.Problem
	}
	return strings.Join(lines, "; ")
}
