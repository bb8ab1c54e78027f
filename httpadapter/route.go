package httpadapter

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"

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

	// quota sets the format's headers for limits of rate. It is called for every answer:
	// first with the zero Quota, which is what stays where no request was counted.
	quota(h http.Header, q Quota)
}

// A route is one documented route of a format. It acts as the caller's Bearer and writes
// its answer, or returns an error and has written nothing.
type route struct {
	method, path string
	needs        []remint.Capability // any one of them; none: the route needs no more than a live token
	format       format
	ends         bool // it ends something: it is counted, and never refused for a limit
	open         bool // nobody is identified: the route finds its credential itself
	grants       bool // it hands out a secret, and can be repeated with an Idempotency-Key
	serve        func(*call) error
}

// A call is a request to a route.
type call struct {
	a        *Adapter
	w        http.ResponseWriter
	r        *http.Request
	format   format
	from     netip.Addr
	needs    []remint.Capability
	self     remint.ID    // of the token that was presented; proof of nothing
	bearer   remint.Actor // whoever presented it
	actor    remint.Actor // the same, needing what the route needs
	inCookie bool         // it was presented in a cookie
	lends    bool         // a second credential is looked at
	retries  string       // the request's Idempotency-Key, or ""
	badKey   error        // what is wrong with it: for an open route to say
	read     bool         // the body was read, or is of no interest
	ends     bool
	counted  bool  // the request was counted, and …
	limited  error // … was one too many, or could not be
}

// mount puts the routes of one format on mux, and the format's errors around them: at each
// path, and below it. The routes of elsewhere are paths where there is nothing.
func (a *Adapter) mount(mux Mux, from sources, routes []route, elsewhere ...string) {
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
		mux.Handle(rt.method+" "+rt.path, a.handler(rt, from))
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
		f.quota(w.Header(), Quota{})
		if allowed != nil {
			w.Header().Set("Allow", allow)
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		leaveBody(w, r)
		noStore(w)
		f.fail(w, failure{kind: kindOf(err), err: err})
	})
}

// handler serves a route: the credential's form, the operation, the answer.
func (a *Adapter) handler(rt route, from sources) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		noStore(w)
		rt.format.quota(w.Header(), Quota{})
		c := &call{a: a, w: w, r: r, format: rt.format, needs: rt.needs, from: a.clientAddr(r), lends: from.second, ends: rt.ends}
		err := c.answer(rt, from)
		if err != nil {
			if !c.read {
				leaveBody(w, r)
			}
			c.fail(err)
		}
	})
}

// answer serves the route. A panic, of a store's for one, is an error like any other: its
// client gets the format's answer. Nothing that can panic comes after a route has written.
func (c *call) answer(rt route, from sources) (err error) {
	defer recovered(&err)
	if rt.grants {
		c.retries, c.badKey = retryKey(c.r.Header)
	}
	if !rt.open {
		if err := c.identify(from); err != nil {
			return err
		}
		if c.badKey != nil {
			return c.refuse(c.badKey)
		}
	}
	limitBody(c.w, c.r)
	if c.retries != "" {
		// Before anything is looked up: whether a stranger's body is waited for must not tell
		// what was found.
		body, err := readBody(c.w, c.r)
		if c.read = true; err != nil && !rt.open {
			return c.refuse(err)
		}
		if err == nil {
			c.r.Body, c.r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
	}
	return rt.serve(c)
}

// recovered turns a panic into an error, but that by which a handler aborts its answer.
// It is to be deferred.
func recovered(err *error) {
	if p := recover(); p == http.ErrAbortHandler {
		panic(p)
	} else if p != nil {
		*err = serverFault{fmt.Errorf("httpadapter: panic: %v\n%s", p, debug.Stack())}
	}
}

// identify finds out who is calling, from the form of what was presented: nothing is
// proved and no store is asked. What is no token's text is refused here, before any body
// is read.
func (c *call) identify(from sources) error {
	text, what, inCookie := from.find(c.r)
	if what == nothing {
		return errNoCredential
	}
	if inCookie {
		if err := from.cookie.check(c.r); err != nil {
			return err
		}
		c.inCookie = true
	}
	if what == garbage {
		c.a.denyGarbage(c.r.Context(), c.from)
		return remint.ErrDenied
	}
	return c.present(text)
}

// present makes whoever presented text the caller.
func (c *call) present(text string) (err error) {
	if c.self, err = c.a.issuer.Identify(text); err != nil {
		c.a.denyGarbage(c.r.Context(), c.from)
		return remint.ErrDenied
	}
	c.bearer = c.a.issuer.Bearer(text, c.from).WithCheck(c.check)
	c.actor = c.bearer
	if len(c.needs) > 0 {
		c.actor = c.bearer.Needing(c.needs...)
	}
	if c.retries != "" {
		c.keyed()
	}
	return nil
}

// check is what is judged of a caller in each operation, once its token has passed: that a
// cookie holds no more than a session, how many requests it has made, and what its second
// credential adds. A request is counted once, however many operations it takes.
func (c *call) check(ctx context.Context, tok remint.Token) (remint.Capabilities, error) {
	if c.inCookie && !tok.IsSession() {
		return remint.Capabilities{}, remint.ErrDenied
	}
	if !c.counted {
		c.counted = true
		c.a.deprecate(c.w.Header(), tok)
		var q Quota
		if q, c.limited = c.a.count(ctx, tok); q.Limit != 0 {
			c.format.quota(c.w.Header(), q)
		}
		if kindOf(c.limited) == tooMany && c.ends {
			c.limited = nil // whoever stole a session must not keep its owner from ending it
		}
	}
	if c.limited != nil {
		return remint.Capabilities{}, c.limited
	}
	if !c.lends {
		return remint.Capabilities{}, nil
	}
	return c.a.lend(ctx, c.r.Header, tok, c.from)
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
func (c *call) fail(err error) {
	f := failure{kind: kindOf(err), err: err, from: c.from, need: c.needs}
	switch f.kind {
	case denied:
		// A live token may be as good as none to a format, and is answered as none.
		c.w.Header().Del("Deprecation")
		c.w.Header().Del("Sunset")
	case unavailable:
		c.a.retryLater(c.w, c.r, err)
	case internal:
		c.a.report(c.r, err)
	case tooMany:
		limit, _ := errors.AsType[*limitError](err)
		f.wait = limit.quota.seconds()
		c.w.Header().Set("Retry-After", strconv.Itoa(f.wait))
	}
	c.format.fail(c.w, f)
}

// reveal returns a grant's secret, for an answer that nobody stores. It is the one place
// from which a secret's text leaves.
func reveal(w http.ResponseWriter, g remint.Grant) string {
	noStore(w)
	return g.Secret.Reveal()
}

// writeSecret answers with a grant; body puts its secret into the format's answer.
func (c *call) writeSecret(g remint.Grant, body func(tok remint.Token, secret string) any) error {
	return c.write(body(g.Token, reveal(c.w, g)))
}

// write answers with what is no secret.
func (c *call) write(body any) error {
	writeJSON(c.w, http.StatusOK, body)
	return nil
}

// writeEmpty answers with a status alone.
func (c *call) writeEmpty(status int) error {
	c.w.WriteHeader(status)
	return nil
}

// Header values that every answer has are made once. Each has no room to be appended to.
var (
	jsonType      = []string{"application/json"}
	noStoreValues = []string{"no-store"}
)

// noStore asks that an answer be kept by nobody.
func noStore(w http.ResponseWriter) { w.Header()["Cache-Control"] = noStoreValues }

// writeJSON writes v, which must be something that can be encoded.
func writeJSON(w http.ResponseWriter, status int, v any) {
	writeJSONAs(w, status, jsonType, v)
}

func writeJSONAs(w http.ResponseWriter, status int, contentType []string, v any) {
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	defer e.clear()
	if err := e.json.Encode(v); err != nil {
		panic("httpadapter: " + err.Error()) // it holds strings, numbers, and lists and maps of them
	}
	writeBody(w, status, contentType, e.text.Bytes())
}

// An encoder and its buffer are used again, for most answers are short.
type encoder struct {
	text bytes.Buffer
	json *json.Encoder
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.json = json.NewEncoder(&e.text)
	e.json.SetEscapeHTML(false)
	return e
}}

// clear leaves no secret in what waits for another answer.
func (e *encoder) clear() {
	if e.text.Cap() > 16<<10 {
		e.text = bytes.Buffer{}
		return
	}
	clear(e.text.Bytes())
	e.text.Reset()
}

func writeBody(w http.ResponseWriter, status int, contentType []string, body []byte) {
	w.Header()["Content-Type"] = contentType
	w.WriteHeader(status)
	_, _ = w.Write(body) // if it fails, nobody is left to tell
}
