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
// [TokenFromContext]. It answers 401 as RFC 6750 says, and 503 if the store failed, with a
// body as in RFC 9457. It panics if next is nil.
func (a *Adapter) Authenticate(next http.Handler) http.Handler {
	return a.guard(next, "")
}

// Require is [Adapter.Authenticate] for tokens that allow c; others get 403. It panics if c
// is malformed or empty.
func (a *Adapter) Require(c remint.Capability, next http.Handler) http.Handler {
	remint.Allow(c) // panics where the mistake is, and not at the first request
	return a.guard(next, c)
}

func (a *Adapter) guard(next http.Handler, need remint.Capability) http.Handler {
	if next == nil {
		panic("httpadapter: a nil handler")
	}
	return &guard{a: a, need: need, next: next}
}

// A guard is a handler behind a token.
type guard struct {
	a    *Adapter
	need remint.Capability // empty: any token will do
	next http.Handler
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	text, what := credential(r.Header)
	if what == nothing {
		// RFC 6750 section 3.1: a client that presented nothing is told of no error.
		challenge(w, r, `Bearer`, unauthorized)
		return
	}
	from := g.a.clientAddr(r)
	if what == garbage {
		g.a.denyGarbage(ctx, from)
		challenge(w, r, `Bearer error="invalid_token"`, unauthorized)
		return
	}
	tok, err := g.a.issuer.Verify(ctx, text, from)
	switch {
	case err == nil && (g.need == "" || tok.Allows(g.need)):
		g.next.ServeHTTP(w, r.WithContext(&tokenContext{ctx, tok}))
	case err == nil:
		challenge(w, r, insufficientScope(g.need), forbidden)
	case kindOf(err) == denied || kindOf(err) == network:
		challenge(w, r, `Bearer error="invalid_token"`, unauthorized)
	default:
		leaveBody(w, r)
		g.a.retryLater(w, r, err)
		writeProblem(w, unavailableProblem)
	}
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

func challenge(w http.ResponseWriter, r *http.Request, challenge string, p problem) {
	leaveBody(w, r)
	w.Header().Set("WWW-Authenticate", challenge)
	writeProblem(w, p)
}

// A problem is an answer of RFC 9457. Denials are alike to the byte: why is for the
// issuer's observer.
type problem struct {
	status int
	body   []byte
}

var (
	unauthorized       = newProblem(http.StatusUnauthorized, "A live bearer token is needed.")
	forbidden          = newProblem(http.StatusForbidden, "The token does not allow this.")
	unavailableProblem = newProblem(http.StatusServiceUnavailable, "The token could not be checked. Try again.")
)

func newProblem(status int, detail string) problem {
	return problem{status, []byte(`{"type":"about:blank","title":"` + http.StatusText(status) +
		`","status":` + strconv.Itoa(status) + `,"detail":"` + detail + `"}` + "\n")}
}

func writeProblem(w http.ResponseWriter, p problem) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.status)
	_, _ = w.Write(p.body) // if it fails, nobody is left to tell
}

// TokenFromContext returns the token that let the request through.
func TokenFromContext(ctx context.Context) (remint.Token, bool) {
	c, ok := ctx.Value(tokenKey{}).(*tokenContext)
	if !ok {
		return remint.Token{}, false
	}
	return c.token, true
}

// A tokenContext is a request's context with its token in it: one allocation, where
// context.WithValue needs a second one to hold the token.
type tokenContext struct {
	context.Context
	token remint.Token
}

type tokenKey struct{}

func (c *tokenContext) Value(key any) any {
	if _, ok := key.(tokenKey); ok {
		return c
	}
	return c.Context.Value(key)
}
