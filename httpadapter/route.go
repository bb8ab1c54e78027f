package httpadapter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/remint-go/remint"
)

// Mux is what routes are mounted on: an [http.ServeMux], or anything that takes its
// patterns and sets [http.Request.PathValue].
//
// Beside each route, everything else at its path and below it is mounted, so that other
// methods and unknown paths are answered in the format, too. Where the mux says that
// this conflicts with a pattern that it has, such as "GET /", what it allows is
// mounted: so mount the routes after such patterns.
type Mux interface {
	Handle(pattern string, h http.Handler)
}

// A format renders failures as its documentation says. It writes the status and the body;
// headers that all formats share are there already.
type format interface {
	fail(w http.ResponseWriter, f failure)
}

// A route is one documented route of a format. It acts as the caller's Bearer and writes
// its answer, or returns an error and has written nothing.
type route struct {
	method, path string
	needs        []remint.Capability // any one of them; none: the route needs no more than a live token
	format       format
	serve        func(*call) error
}

// A call is a request to a route.
type call struct {
	a      *Adapter
	w      http.ResponseWriter
	r      *http.Request
	from   netip.Addr
	needs  []remint.Capability
	self   remint.ID    // of the token that was presented; proof of nothing
	bearer remint.Actor // whoever presented it
	actor  remint.Actor // the same, needing what the route needs
	read   bool         // the body was read, or is of no interest
}

// mount puts the routes of one format on mux, and the format's errors around them: at each
// path, and below it. The routes of elsewhere are paths where there is nothing.
func (a *Adapter) mount(mux Mux, routes []route, elsewhere ...string) {
	allowed := map[string][]string{}
	for _, rt := range routes {
		allowed[rt.path] = append(allowed[rt.path], rt.method)
		if rt.method == http.MethodGet {
			allowed[rt.path] = append(allowed[rt.path], http.MethodHead)
		}
	}
	// Those for all methods come first: there are routers where the last one counts.
	nowhere := a.refusal(routes[0].format, nil)
	for _, path := range elsewhere {
		surround(mux, path, nil, nowhere)
	}
	for path, methods := range allowed {
		slices.Sort(methods)
		surround(mux, path, methods, a.refusal(routes[0].format, methods))
		within := func(root string) bool { return strings.HasPrefix(path, root+"/") }
		if !slices.ContainsFunc(routes, func(rt route) bool { return within(rt.path) }) && !slices.ContainsFunc(elsewhere, within) {
			surround(mux, path+"/", nil, nowhere)
		}
	}
	for _, rt := range routes {
		mux.Handle(rt.method+" "+rt.path, a.handler(rt))
	}
}

// surround mounts h for all methods of a path but those in except, which are mounted by
// themselves. A pattern without a method conflicts with one such as "GET /", and an
// http.ServeMux panics then; patterns for each method do not.
func surround(mux Mux, path string, except []string, h http.Handler) {
	if handled(mux, path, h) {
		return
	}
	for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		if !slices.Contains(except, m) {
			handled(mux, m+" "+path, h)
		}
	}
}

// handled reports whether mux has taken the pattern.
func handled(mux Mux, pattern string, h http.Handler) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	mux.Handle(pattern, h)
	return true
}

// refusal answers what no route serves: at a route's path, where some methods are allowed,
// or elsewhere.
func (a *Adapter) refusal(f format, allowed []string) http.Handler {
	err := errNoRoute
	if allowed != nil {
		err = errNoMethod
	}
	allow := strings.Join(append(slices.Clone(allowed), http.MethodOptions), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if allowed != nil {
			w.Header().Set("Allow", allow)
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		leaveBody(w, r)
		w.Header().Set("Cache-Control", "no-store")
		f.fail(w, failure{kind: kindOf(err), err: err})
	})
}

// handler serves a route: the credential's form, the operation, the answer.
func (a *Adapter) handler(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		c := &call{a: a, w: w, r: r, needs: rt.needs}
		err := c.identify()
		if err == nil {
			limitBody(w, r)
			err = rt.serve(c)
		}
		if err != nil {
			if !c.read {
				leaveBody(w, r)
			}
			c.fail(rt.format, err)
		}
	})
}

// identify finds out who is calling, from the form of what was presented: nothing is
// proved and no store is asked. What is no token's text is refused here, before any body
// is read.
func (c *call) identify() error {
	text, what := credential(c.r.Header)
	if what == nothing {
		return errNoCredential
	}
	c.from = c.a.clientAddr(c.r)
	var err error
	if what == token {
		c.self, err = c.a.issuer.Identify(text)
	}
	if what == garbage || err != nil {
		c.a.denyGarbage(c.r.Context(), c.from)
		return remint.ErrDenied
	}
	c.bearer = c.a.issuer.Bearer(text, c.from)
	c.actor = c.bearer
	if len(c.needs) > 0 {
		c.actor = c.bearer.Needing(remint.Capabilities{}, c.needs...)
	}
	return nil
}

// refuse returns the error of a request that nobody could be served, such as one whose
// body is broken. Credential and need are judged before it: a stranger learns nothing
// from the order in which requests are refused.
func (c *call) refuse(err error) error {
	ctx := c.r.Context()
	if errors.Is(err, errUnreadable) {
		// A server ends the context of a request whose body it cannot read. Its client may
		// wait for the answer all the same.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), bodyTime)
		defer cancel()
	}
	if _, denial := c.actor.Get(ctx, c.self); denial != nil {
		return denial
	}
	return err
}

// gone tells, of a token that cannot be changed because it has ended, one that was revoked
// from one that has expired: to a client of these formats the first was deleted.
func (c *call) gone(id remint.ID, err error) error {
	if !errors.Is(err, remint.ErrEnded) {
		return err
	}
	tok, gerr := c.actor.Get(c.r.Context(), id)
	if gerr == nil && !tok.State().RevokedAt.IsZero() {
		return remint.ErrNotFound
	}
	return err
}

// fail answers a request that was not served.
func (c *call) fail(to format, err error) {
	f := failure{kind: kindOf(err), err: err, from: c.from, need: c.needs}
	switch f.kind {
	case unavailable:
		c.a.retryLater(c.w, c.r, err)
	case internal:
		c.a.report(c.r, err)
	}
	to.fail(c.w, f)
}

// writeSecret answers with a grant. It is the one place from which a secret's text leaves;
// body puts it into the format's answer.
func (c *call) writeSecret(g remint.Grant, body func(tok remint.Token, secret string) any) error {
	c.w.Header().Set("Cache-Control", "no-store")
	writeJSON(c.w, http.StatusOK, body(g.Token, g.Secret.Reveal()))
	return nil
}

// write answers with what is no secret.
func (c *call) write(body any) error {
	writeJSON(c.w, http.StatusOK, body)
	return nil
}

// writeJSON writes v, which must be something that can be encoded.
func writeJSON(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic("httpadapter: " + err.Error()) // it holds strings, numbers, and lists and maps of them
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // if it fails, nobody is left to tell
}
