package httpadapter

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"

	"github.com/remint-go/remint"
)

// Katapult configures its routes. The zero value and nil do as documented: a regenerated
// token keeps its ID, and its old secret stops at once.
type Katapult struct {
	// Prefix is that of the tokens which are created and listed here: one of
	// [remint.Options.Prefixes]. Empty: the first of them.
	Prefix string

	// Retire is when a regenerated token's old secret stops. Zero: at once.
	Retire remint.Retirement

	// OAuthPrefix may stand before the scope of these routes that a token holds, as in
	// "api.katapult.io/core/v1/api_tokens". Empty: "api.katapult.io/core/v1/", the
	// x-scope-prefix of the published description. A scope with it and one without are two
	// capabilities to everything else: who holds "api.katapult.io/core/v1/dns" cannot issue
	// "dns".
	OAuthPrefix string

	// OpenAPI is the path at which the format's description is served to anybody, such as
	// "/katapult/openapi.yaml": [KatapultDescription]. Empty: nowhere.
	OpenAPI string
}

// MountKatapult mounts the routes of Katapult's API tokens, below /core/v1:
//
//	GET    /organizations/organization/api_tokens
//	POST   /organizations/organization/api_tokens
//	PATCH  /api_tokens/api_token
//	DELETE /api_tokens/api_token
//	POST   /api_tokens/api_token/regenerate_secret
//
// Any word may stand for api_token; it is the token's ID where the body names none. It
// panics if o cannot be used, or the issuer does not have its prefix.
func (a *Adapter) MountKatapult(mux Mux, o *Katapult) {
	var k katapult
	if o != nil {
		k.Katapult = *o
	}
	k.Prefix = a.prefixOf("Katapult.Prefix", k.Prefix, "")
	mustRetire("Katapult.Retire", k.Retire)
	k.OAuthPrefix = cmp.Or(k.OAuthPrefix, "api.katapult.io/core/v1/")
	describe(mux, "Katapult.OpenAPI", k.OpenAPI, "", KatapultDescription)
	if strings.ContainsAny(k.OAuthPrefix, ":*") {
		panic(fmt.Sprintf("httpadapter: Katapult.OAuthPrefix is %q: with a \":\" or \"*\" in it, other scopes would cover those of these routes", k.OAuthPrefix))
	}
	errs := katapultErrors{k.OAuthPrefix}
	manages, reads := k.scopes("api_tokens"), k.scopes("api_tokens", "api_tokens:read")
	const (
		all        = "/core/v1/organizations/organization/api_tokens"
		one        = "/core/v1/api_tokens/{word}"
		regenerate = one + "/regenerate_secret"
	)
	a.mount(mux, sources{second: true}, []route{
		{method: http.MethodGet, path: all, needs: reads, format: errs, serve: k.list},
		{method: http.MethodPost, path: all, needs: manages, format: errs, grants: true, serve: k.create},
		{method: http.MethodPatch, path: one, needs: manages, format: errs, serve: k.update},
		{method: http.MethodDelete, path: one, needs: manages, format: errs, ends: true, serve: k.destroy},
		{method: http.MethodPost, path: regenerate, needs: manages, format: errs, grants: true, serve: k.regenerate},
	}, "/core/v1/api_tokens", "/core/v1/api_tokens/")
}

type katapult struct{ Katapult }

// scopes returns the named ones as tokens may hold them: as they are, and with the OAuth
// prefix. It panics if that cannot be part of a capability.
func (k katapult) scopes(names ...string) []remint.Capability {
	var list []remint.Capability
	for _, prefix := range []string{"", k.OAuthPrefix} {
		for _, name := range names {
			list = append(list, remint.Capability(prefix+name))
		}
	}
	remint.Allow(list...)
	return list
}
