// Package httpadapter puts a [remint.Issuer] in front of net/http handlers, and serves
// token routes: those that PocketPaw, Axiom and Katapult document, so that their clients
// work unmodified, and its own.
//
// [Adapter.Authenticate] and [Adapter.Require] guard the service's own handlers; the
// Mount methods put a format's routes on the service's own mux:
//
//	web := httpadapter.New(issuer, nil)
//	mux.Handle("GET /reports", web.Require("reports:read", reports))
//	web.MountNative(mux, nil) // /tokens, /introspect, /revoke
//
// # Who acts
//
// Every route acts as the caller's [remint.Issuer.Bearer], and everything is judged by the
// operation itself: what a route reads before that only says which operation it is, and
// either cannot change (an owner, a prefix, a parent) or is judged again. The owner is the
// token's, whatever the request says.
//
// # What a token may be presented with
//
// A bearer token in the Authorization header; in a browser, a session in a cookie
// ([Options.Cookie]); beside either, a capabilities token ([Options.CapabilitiesToken]) that adds
// to what one request may do. Requests are counted against the token's limit
// ([RateLimitAttribute]) once it has passed.
//
// # Caveats
//
// A bearer token in clear text is anybody's: serve these routes over TLS. Behind a proxy,
// every client has the proxy's address until [Options.TrustedProxies] names it, so that a
// token's networks are judged by that. The timeouts are the [http.Server]'s: set them. The
// routes here bound their bodies, to 64 KiB and, where ReadTimeout is not set, to 10 seconds.
package httpadapter

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"github.com/remint-go/remint"
)

// Options configure an [Adapter]. The zero value and nil are ready for use.
type Options struct {
	// TrustedProxies may name the client in X-Forwarded-For, which is read from
	// the right. None: the client is RemoteAddr. Name the proxies only, not the networks
	// that clients are in as well: whoever is here may claim to be anybody.
	TrustedProxies []netip.Prefix

	// MaxBody is how many bytes of a request's body a guarded handler can read: behind
	// [Adapter.Authenticate] and [Adapter.Require], a larger body that is declared is
	// answered with 413, and of any other, reading more is an [http.MaxBytesError]. Zero: as
	// many as the client sends. The routes here take 64 KiB.
	MaxBody int64

	// RateLimit is how many requests a token may make in a clock minute, where it has no
	// attribute that says so ([RateLimitAttribute]). Zero: any number.
	RateLimit int

	// Limiter counts the requests. Nil: a [MemoryLimiter] by the issuer's clock.
	Limiter Limiter

	// Cookie configures the sessions of browsers, and lets [Adapter.Authenticate] and
	// [Adapter.Require] accept them. Nil: these look at no cookie, and PocketPaw's
	// routes, which document one, do as with the zero Cookie.
	Cookie *Cookie

	// CapabilitiesToken judges a second credential, in the header that CapabilitiesHeader
	// names. What it returns counts for [Adapter.Require], [Allows] and what Katapult's and the native routes
	// need, in that one request, and never for what its bearer may issue or rotate.
	// Nil: the header is not looked at.
	CapabilitiesToken CapabilitiesToken

	// CapabilitiesHeader is where it is presented. Empty: "X-Capabilities-Token".
	CapabilitiesHeader string

	// Deprecation tells callers that present what a rotation is retiring: since when (the header
	// Deprecation, RFC 9745) and, where that is planned, until when it works (Sunset, RFC 8594).
	Deprecation bool

	// Error is told of what is not the client's fault: the cause of every answer of
	// 500 or more. Nil: nobody is told. It must not block. What it is told holds no secret;
	// the request that it is given does.
	Error func(*http.Request, error)
}

// An Adapter is safe for concurrent use.
type Adapter struct {
	issuer       *remint.Issuer
	proxies      []netip.Prefix
	maxBody      int64
	rateLimit    int
	limiter      Limiter
	cookie       *cookie
	guardCookies bool // Authenticate and Require accept cookies
	second       CapabilitiesToken
	deprecation  bool
	secondHeader string
	onError      func(*http.Request, error)
}

// New returns an Adapter over issuer. It panics if issuer is nil or an option cannot be
// used: a service that is set up so could only fail later.
func New(issuer *remint.Issuer, opts *Options) *Adapter {
	if issuer == nil {
		panic("httpadapter: New with a nil issuer")
	}
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.RateLimit < 0 {
		panic(fmt.Sprintf("httpadapter: Options.RateLimit is %d; 0 stands for any number of requests", o.RateLimit))
	}
	if o.MaxBody < 0 {
		panic(fmt.Sprintf("httpadapter: Options.MaxBody is %d; 0 stands for any size", o.MaxBody))
	}
	a := &Adapter{
		issuer: issuer, maxBody: o.MaxBody, rateLimit: o.RateLimit, limiter: o.Limiter,
		cookie: newCookie(o.Cookie), guardCookies: o.Cookie != nil,
		second: o.CapabilitiesToken, secondHeader: http.CanonicalHeaderKey(cmp.Or(o.CapabilitiesHeader, "X-Capabilities-Token")),
		deprecation: o.Deprecation, onError: o.Error,
	}
	if a.limiter == nil {
		a.limiter = &MemoryLimiter{Now: issuer.Now}
	}
	for i, p := range o.TrustedProxies {
		q, ok := plainPrefix(p)
		if !ok {
			panic(fmt.Sprintf("httpadapter: Options.TrustedProxies[%d] is not a network", i))
		}
		a.proxies = append(a.proxies, q)
	}
	return a
}

// prefixOf returns the prefix of a format's tokens: what the option says, or else standard, or
// else the issuer's default. It panics if the issuer has no such prefix.
func (a *Adapter) prefixOf(option, said, standard string) string {
	all := a.issuer.Prefixes()
	prefix := cmp.Or(said, standard, all[0])
	if !slices.Contains(all, prefix) {
		panic(fmt.Sprintf("httpadapter: %s is %q, and the issuer has only %q: add it to remint.Options.Prefixes, or set %s to one of them",
			option, prefix, all, option))
	}
	return prefix
}

// mustRetire panics if no rotation accepts r.
func mustRetire(option string, r remint.Retirement) {
	if err := r.Validate(); err != nil {
		panic(fmt.Sprintf("httpadapter: %s: %v", option, err))
	}
}

// report tells the service what went wrong on its side.
func (a *Adapter) report(r *http.Request, err error) {
	if a.onError != nil {
		a.onError(r, err)
	}
}
