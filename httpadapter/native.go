package httpadapter

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/remint-go/remint"
)

// Native configures the routes for services that imitate nobody. The zero value and nil are
// ready for use.
type Native struct {
	// Prefix is that of the tokens which are created here: one of
	// [remint.Options.Prefixes]. Empty: the first of them. A successor has its predecessor's.
	Prefix string

	// Path is what the routes' paths begin with, such as "/api/v1": a slash, and none at the
	// end. Empty: they are /tokens, /introspect and /revoke. The Location of what was made
	// begins with it, too: do not strip it before the mux.
	Path string

	// OpenAPI is the path at which the format's description is served to anybody, such as
	// "/v1/openapi.yaml": [NativeDescription]. Empty: nowhere.
	OpenAPI string
}

// What the native routes need.
const (
	needRead   remint.Capability = "tokens:read"
	needCreate remint.Capability = "tokens:create"
	needUpdate remint.Capability = "tokens:update"
	needDelete remint.Capability = "tokens:delete"
)

// MountNative mounts the routes that docs/native.md shows: /tokens and what is below it,
// POST /introspect (RFC 7662) and POST /revoke (RFC 7009). They need one of the capabilities
// tokens:read, tokens:create, tokens:update and tokens:delete; a token that names itself,
// as /tokens/self, needs none to read, rotate or revoke itself. Errors are as in RFC 9457.
// Where [Options.Cookie] is set, sessions in cookies are accepted. It panics if o cannot be
// used, or the issuer does not have its prefix.
func (a *Adapter) MountNative(mux Mux, o *Native) {
	var n native
	if o != nil {
		n.Native = *o
	}
	n.Prefix = a.prefixOf("Native.Prefix", n.Prefix, "")
	mustPath("Native.Path", n.Path)
	describe(mux, "Native.OpenAPI", n.OpenAPI, n.Path, NativeDescription)
	from := sources{second: true}
	if a.guardCookies {
		from.cookie = a.cookie
	}
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	var routes []route
	for _, r := range []struct {
		method, path string
		need         remint.Capability
		grants       bool
		serve        func(*call) error
	}{
		{get, "/tokens", needRead, false, n.list},
		{post, "/tokens", needCreate, true, n.create},
		{get, "/tokens/{id}", needRead, false, n.get},
		{patch, "/tokens/{id}", needUpdate, false, n.patch},
		{del, "/tokens/{id}", needDelete, false, n.delete},
		{post, "/tokens/{id}/rotate", needUpdate, true, n.rotate},
		{get, "/tokens/{id}/rotation", needRead, false, n.rotation},
		{del, "/tokens/{id}/rotation", needUpdate, false, n.cancelRotation},
		{post, "/tokens/{id}/rotation/finish", needUpdate, false, n.finishRotation},
		{get, "/tokens/{id}/sessions", needRead, false, n.sessions},
		{post, "/tokens/{id}/sessions", needCreate, true, n.startSession},
		{del, "/tokens/{id}/sessions", needDelete, false, n.endSessions},
		{post, "/introspect", needRead, false, n.introspect},
		{post, "/revoke", needDelete, false, n.revoke},
	} {
		routes = append(routes, route{
			ends:   r.method == del && r.path != "/tokens/{id}/rotation" || r.path == "/revoke",
			grants: r.grants, method: r.method, path: n.Path + r.path, needs: []remint.Capability{r.need},
			format: nativeErrors{oauth: !strings.HasPrefix(r.path, "/tokens")}, serve: r.serve,
		})
	}
	a.mount(mux, from, routes)
}

// mustPath panics if p is no base path.
func mustPath(option, p string) {
	if p == "" {
		return
	}
	ok := p[0] == '/'
	for segment := range strings.SplitSeq(p[1:], "/") {
		ok = ok && segment != "" && segment != "." && segment != ".." && !strings.ContainsAny(segment, "{}?#% ")
	}
	if !ok {
		panic(fmt.Sprintf("httpadapter: %s is %q: it must be like \"/api/v1\", or empty", option, p))
	}
}

type native struct{ Native }

// subject returns the token that the path names. The word self, which is no token's ID, is
// the one that was presented; where it is free, that needs no capability to act on itself.
func (c *call) subject(free bool) (remint.ID, error) {
	text := c.r.PathValue("id")
	if text != "self" {
		return remint.ParseID(text)
	}
	if free {
		c.actor, c.needs = c.bearer, nil
	}
	return c.self, nil
}

// need demands the capability after all.
func (c *call) need(x remint.Capability) {
	c.needs = []remint.Capability{x}
	c.actor = c.bearer.Needing(x)
}

// admit judges the caller before a body is waited for: whoever cannot be served is refused
// at once. What counts is judged again by the operation.
func (c *call) admit() (remint.Token, error) { return c.actor.Get(c.r.Context(), c.self) }

func (n native) create(c *call) error {
	caller, err := c.admit()
	if err != nil {
		return err
	}
	if err := c.noCondition(); err != nil {
		return err
	}
	body, err := c.nativeObject(false)
	if err != nil {
		return err
	}
	var f nativeForm
	f.only(body, "", "name", "description", "capabilities", "networks", "expires_at", "parent")
	spec := f.spec(body, "")
	spec.Prefix = n.Prefix
	spec.Parent = f.parent(body.get("parent"))
	if body.get("networks").absent() {
		spec.Networks = caller.Spec().Networks // no caller's token can be used from elsewhere than it
	}
	name := nativeNames("")
	f.also(rename(c.a.issuer.CheckSpec(spec), name))
	if err := f.err(); err != nil {
		return err
	}
	grant, err := c.actor.Issue(c.r.Context(), spec)
	if kindOf(err) == notFound {
		return errNoParent
	}
	if err != nil {
		return rename(err, name)
	}
	return n.writeGrant(c, http.StatusCreated, grant)
}

func (n native) get(c *call) error {
	id, err := c.subject(true)
	if err != nil {
		return c.refuse(err)
	}
	tok, err := c.actor.Get(c.r.Context(), id)
	if err != nil {
		return err
	}
	return c.writeToken(tok)
}

// patch changes what the body names, as RFC 7396 has it: null takes a value away.
func (n native) patch(c *call) error {
	id, bad := c.subject(false)
	if _, err := c.admit(); err != nil {
		return err
	}
	if bad != nil {
		return bad
	}
	revision, err := c.ifMatch()
	if err != nil {
		return err
	}
	body, err := c.nativeObject(false)
	if err != nil {
		return err
	}
	var f nativeForm
	f.only(body, "", "name", "description", "capabilities", "networks", "expires_at")
	said := f.spec(body, "")
	// Of what it names, all that is wrong is said at once.
	f.also(rename(c.a.issuer.CheckSpec(said), func(field, index string) string {
		if name := nativeNames("")(field, ""); slices.Contains(body.keys, name) {
			return name + index
		}
		return ""
	}))
	if err := f.err(); err != nil {
		return err
	}
	tok, err := c.actor.Update(c.r.Context(), id, func(spec *remint.Spec) error {
		if err := c.still(id, revision); err != nil {
			return err
		}
		for _, key := range body.keys {
			switch key {
			case "name":
				spec.Name = said.Name
			case "description":
				spec.Description = said.Description
			case "capabilities":
				spec.Capabilities = said.Capabilities
			case "networks":
				spec.Networks = said.Networks
			case "expires_at":
				spec.ExpiresAt = said.ExpiresAt
			}
		}
		return nil
	})
	if err != nil {
		return rename(err, nativeNames(""))
	}
	return c.writeToken(tok)
}

func (n native) delete(c *call) error {
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
	if err := c.actor.Revoke(c.r.Context(), id); err != nil {
		return err
	}
	return c.writeEmpty(http.StatusNoContent)
}

// unread is for routes without a body: one that is too large is an error, once the caller
// has been judged.
func (c *call) unread() error {
	if c.r.ContentLength == 0 {
		return nil
	}
	if _, err := c.admit(); err != nil {
		return err
	}
	return c.ignoreBody()
}
