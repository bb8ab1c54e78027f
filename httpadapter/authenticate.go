package httpadapter

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/remint-go/remint"
)

// Authenticate lets a request through to next if it has a live token, which next finds with
// [TokenFromContext]. Any other it answers, with a body as in RFC 9457: 401 as RFC 6750 says,
// 403 if its capabilities token is not valid or a page of another origin sent its cookie, 413
// if its body is larger than [Options.MaxBody], 429 if the token has made too many requests,
// 500 if the service is at fault, and 503 if the store failed. It panics if next is nil.
func (a *Adapter) Authenticate(next http.Handler) http.Handler {
	return a.guard(next, "")
}

// Require is [Adapter.Authenticate] for tokens that allow c, by themselves or with what
// [Options.CapabilitiesToken] adds to the request; others get 403. It panics if c
// is malformed or empty.
func (a *Adapter) Require(c remint.Capability, next http.Handler) http.Handler {
	remint.Allow(c) // panics where the mistake is, and not at the first request
	return a.guard(next, c)
}

func (a *Adapter) guard(next http.Handler, need remint.Capability) http.Handler {
	if next == nil {
		panic("httpadapter: a nil handler")
	}
	g := &guard{a: a, need: need, next: next}
	if a.guardCookies {
		g.from.cookie = a.cookie
	}
	return g
}

// A guard is a handler behind a token.
type guard struct {
	a    *Adapter
	from sources
	need remint.Capability // empty: any token will do
	next http.Handler
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if passed, ok := r.Context().Value(tokenKey{}).(*tokenContext); ok && passed.by == g.a {
		// Another guard of the same adapter has judged and counted the request.
		if g.need != "" && !passed.allows(g.need) {
			challenge(w, r, insufficientScope(g.need), forbidden)
			return
		}
		g.next.ServeHTTP(w, r)
		return
	}
	text, what, inCookie := g.from.find(r)
	switch {
	case what == nothing:
		// RFC 6750 section 3.1: a client that presented nothing is told of no error.
		challenge(w, r, `Bearer`, unauthorized)
		return
	case inCookie && g.from.cookie.check(r) != nil:
		refuse(w, r, crossOrigin)
		return
	case what == garbage:
		g.a.denyGarbage(r.Context(), g.a.clientAddr(r))
		challenge(w, r, `Bearer error="invalid_token"`, unauthorized)
		return
	}
	passed, err := g.judge(w, r, text, inCookie)
	if err == nil {
		r = r.WithContext(passed)
		if most := g.a.maxBody; most > 0 {
			if r.ContentLength > most {
				refuse(w, r, tooLarge)
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, most)
		}
		g.next.ServeHTTP(w, r)
		return
	}
	switch kindOf(err) {
	case denied, network:
		challenge(w, r, `Bearer error="invalid_token"`, unauthorized)
	case needed:
		challenge(w, r, insufficientScope(g.need), forbidden)
	case second:
		refuse(w, r, badSecond)
	case tooMany:
		limit, _ := errors.AsType[*limitError](err)
		w.Header().Set("Retry-After", strconv.Itoa(limit.quota.seconds()))
		refuse(w, r, tooManyRequests)
	case unavailable:
		g.a.retryLater(w, r, err)
		refuse(w, r, unavailableProblem)
	default:
		g.a.report(r, err)
		refuse(w, r, internalProblem)
	}
}

// judge returns the context of a request that may pass. A panic of a store, a limiter or
// whatever else is asked is an error like any other.
func (g *guard) judge(w http.ResponseWriter, r *http.Request, text string, inCookie bool) (_ *tokenContext, err error) {
	defer recovered(&err)
	ctx, from := r.Context(), g.a.clientAddr(r)
	tok, err := g.a.issuer.Verify(ctx, text, from)
	if err != nil {
		return nil, err
	}
	if inCookie && !tok.IsSession() {
		return nil, remint.ErrDenied
	}
	g.a.deprecate(w.Header(), tok)
	q, err := g.a.count(ctx, tok)
	rateLimitFields(w.Header(), q)
	if err != nil {
		return nil, err
	}
	passed := &tokenContext{Context: ctx, by: g.a, token: tok}
	if passed.extra, err = g.a.lend(ctx, r.Header, tok, from); err != nil {
		return nil, err
	}
	if g.need != "" && !passed.allows(g.need) {
		return nil, remint.ErrMissingCapability
	}
	return passed, nil
}

// denyGarbage lets the issuer refuse a credential that was not worth looking at, so that
// its observer hears of it as of any other. The empty text is no token: it costs no I/O.
func (a *Adapter) denyGarbage(ctx context.Context, from netip.Addr) {
	_, _ = a.issuer.Verify(ctx, "", from)
}

// retryLater sets the headers of an answer that says nothing about the credential, and
// reports why it had to be given. A client that went away is not reported.
func (a *Adapter) retryLater(w http.ResponseWriter, r *http.Request, err error) {
	w.Header().Set("Retry-After", retryAfter)
	if !(errors.Is(err, context.Canceled) && r.Context().Err() != nil) {
		a.report(r, err)
	}
}

// retryAfter is what a 503 asks for, in seconds. A store that fails over, or a file
// system that was full, is not back sooner; a client that waits longer gives up.
const retryAfter = "1"

// insufficientScope returns the challenge of RFC 6750 section 3.1 for a token that lacks need.
func insufficientScope(need remint.Capability) string {
	const value = `Bearer error="insufficient_scope"`
	for _, c := range []byte(need) {
		if c <= ' ' || c == '"' || c == '\\' || c > '~' {
			return value // it cannot stand in the scope attribute: RFC 6749 section 3.3
		}
	}
	return value + `, scope="` + string(need) + `"`
}

// challenge refuses a request with what the client could do about it.
func challenge(w http.ResponseWriter, r *http.Request, challenge string, p problem) {
	w.Header().Set("WWW-Authenticate", challenge)
	refuse(w, r, p)
}

func refuse(w http.ResponseWriter, r *http.Request, p problem) {
	leaveBody(w, r)
	noStore(w)
	writeBody(w, p.status, problemType, p.body)
}

// A problem is an answer of RFC 9457. Denials are alike to the byte: why is for the
// issuer's observer.
type problem struct {
	status int
	detail string
	body   []byte
}

var problemType = []string{"application/problem+json"}

var (
	unauthorized       = newProblem(http.StatusUnauthorized, "A live bearer token is needed.")
	forbidden          = newProblem(http.StatusForbidden, "The token does not allow this.")
	crossOrigin        = newProblem(http.StatusForbidden, "A page of another origin cannot do this.")
	badSecond          = newProblem(http.StatusForbidden, "The capabilities token is not valid: fetch a new one, or leave it out.")
	tooLarge           = newProblem(http.StatusRequestEntityTooLarge, "The request's body is larger than this service takes.")
	tooManyRequests    = newProblem(http.StatusTooManyRequests, "The token has made too many requests in this minute.")
	internalProblem    = newProblem(http.StatusInternalServerError, "The service failed.")
	unavailableProblem = newProblem(http.StatusServiceUnavailable, "The token could not be checked. Try again.")
)

func newProblem(status int, detail string) problem {
	return problem{status, detail, []byte(`{"type":"about:blank","title":"` + http.StatusText(status) +
		`","status":` + strconv.Itoa(status) + `,"detail":"` + detail + `"}` + "\n")}
}

// TokenFromContext returns the token that let the request through.
func TokenFromContext(ctx context.Context) (remint.Token, bool) {
	c, ok := ctx.Value(tokenKey{}).(*tokenContext)
	if !ok {
		return remint.Token{}, false
	}
	return c.token, true
}

// Allows reports whether the request that ctx belongs to may do c: by its token, or by what
// its second credential adds ([Options.CapabilitiesToken]). Without a token it may not.
func Allows(ctx context.Context, c remint.Capability) bool {
	t, ok := ctx.Value(tokenKey{}).(*tokenContext)
	return ok && t.allows(c)
}

// A tokenContext is a request's context with its token in it: one allocation, where
// context.WithValue needs a second one to hold the token.
type tokenContext struct {
	context.Context
	by    *Adapter
	token remint.Token
	extra remint.Capabilities
}

func (c *tokenContext) allows(x remint.Capability) bool {
	return c.token.Allows(x) || c.extra.Allows(x)
}

type tokenKey struct{}

func (c *tokenContext) Value(key any) any {
	if _, ok := key.(tokenKey); ok {
		return c
	}
	return c.Context.Value(key)
}
