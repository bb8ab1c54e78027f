package httpadapter

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/remint-go/remint"
)

// PocketPaw configures its routes. The zero value and nil do as documented: there is one
// master token, and sessions under it.
type PocketPaw struct {
	// Prefix is that of a master: a token with another is none, whatever it may do. It is
	// one of [remint.Options.Prefixes]; empty: the first of them. Where other tokens share
	// it, each of them is a master of its own, and regenerates itself. It must not begin
	// with "pp_" or "ppat_": PocketPaw's clients take these for other credentials.
	Prefix string

	// Retire is when a master's old secret stops, and the sessions with it, and when an API key
	// stops that was rotated. Zero: at once. The browser client drops the token that it holds at any 401, so that a
	// second window is locked out by the first one's rotation: RetireAfter, or
	// RetireAfterFirstUse, keeps it in.
	Retire remint.Retirement

	// SessionLifetime is how long a session lives. Zero: 24 hours, or
	// [remint.Options.MaxLifetime] if that is less.
	SessionLifetime time.Duration

	// RequireMaster lets only a master itself regenerate, and manage API keys: sessions that
	// are exchanged for one manage nothing, on no route of any format. False: they do, as
	// the browser client regenerates with its session.
	RequireMaster bool

	// APIKeyPrefix is that of the API keys which are created here, another than Prefix: one of
	// [remint.Options.Prefixes]. Empty: "pp_", which is what the documented ones start with.
	APIKeyPrefix string

	// WithoutAPIKeys leaves the routes for API keys out; APIKeyPrefix and Scopes must be
	// empty then.
	WithoutAPIKeys bool

	// Scopes are what an API key may be created with: capabilities as they are, of which
	// none implies another, "admin" included. Empty: chat, sessions, settings:read,
	// settings:write, channels, memory and admin, which are the service's own.
	Scopes []string

	// InsecureQueryToken accepts a token in the URL, as ?token=…, where there is no
	// Authorization header: for old clients. URLs are written to logs, histories and
	// Referer headers, and the secrets in them are, too.
	InsecureQueryToken bool

	// OpenAPI is the path at which the format's description is served to anybody, such as
	// "/pocketpaw/openapi.yaml": [PocketPawDescription]. Empty: nowhere.
	OpenAPI string
}

// MountPocketPaw mounts, each under /api and under /api/v1:
//
//	POST   /token/regenerate
//	POST   /auth/session
//	POST   /auth/login
//	POST   /auth/logout
//	POST   /auth/api-keys              needs admin, as do the next three
//	GET    /auth/api-keys
//	DELETE /auth/api-keys/{id}
//	POST   /auth/api-keys/{id}/rotate
//
// A bearer token counts or, where there is none, the session in the cookie that
// [Options.Cookie] names. It panics if o cannot be used, or the issuer does not have its prefixes.
func (a *Adapter) MountPocketPaw(mux Mux, o *PocketPaw) {
	var p pocketPaw
	if o != nil {
		p.PocketPaw = *o
	}
	p.Prefix = a.prefixOf("PocketPaw.Prefix", p.Prefix, "")
	for _, taken := range []string{"pp_", "ppat_"} {
		if strings.HasPrefix(p.Prefix, taken) {
			panic(fmt.Sprintf("httpadapter: PocketPaw.Prefix is %q: a master token does not begin with %q", p.Prefix, taken))
		}
	}
	mustRetire("PocketPaw.Retire", p.Retire)
	if l := p.SessionLifetime; l < 0 || l > 0 && l < time.Microsecond {
		panic(fmt.Sprintf("httpadapter: PocketPaw.SessionLifetime is %v; it must be at least a microsecond, and 0 stands for the default", l))
	}
	if most := a.issuer.MaxLifetime(); most != 0 && p.SessionLifetime > most {
		panic(fmt.Sprintf("httpadapter: PocketPaw.SessionLifetime is %v, and remint.Options.MaxLifetime is %v: no session would start", p.SessionLifetime, most))
	}
	p.from = sources{cookie: a.cookie}
	if p.InsecureQueryToken {
		p.from.query = "token"
	}
	p.prepareKeys(a)
	describe(mux, "PocketPaw.OpenAPI", p.OpenAPI, "", PocketPawDescription)

	const post = http.MethodPost
	errs := pocketPawErrors{"Unauthorized"}
	exchange, login := pocketPawErrors{"Invalid master token"}, pocketPawErrors{"Invalid access token"}
	var routes []route
	for _, root := range []string{"/api", "/api/v1"} {
		routes = append(routes,
			route{method: post, path: root + "/token/regenerate", format: errs, grants: true, serve: p.regenerate},
			route{method: post, path: root + "/auth/session", format: exchange, grants: true, serve: p.session},
			route{method: post, path: root + "/auth/login", format: login, open: true, grants: true, serve: p.login},
			route{method: post, path: root + "/auth/logout", format: errs, ends: true, open: true, serve: p.logout},
		)
		if !p.WithoutAPIKeys {
			routes = append(routes, p.keyRoutes(root+"/auth/api-keys", errs)...)
		}
	}
	a.mount(mux, p.from, routes)
}

type pocketPaw struct {
	PocketPaw
	from sources
}

// regenerate gives the master a new secret. The master is the bearer's token or, for a
// session, its parent. That is found by what never changes of a token: its prefix, its
// parent and that it is a session. Whether the bearer may rotate the master, and its
// capabilities cover the master's, is judged by Rotate.
//
// Sessions stop with the secret that they were started with, whoever started them: it is
// the same commit. Other children of the master, which only the service itself can make,
// go on: they are no sessions.
func (p pocketPaw) regenerate(c *call) error {
	if c.r.ContentLength < 0 { // no stranger's body is waited for
		if err := c.admitted(c.r.Context()); err != nil {
			return err
		}
	}
	master, err := c.unjudged(c.self)
	if err != nil {
		return err
	}
	if err := c.ignoreBody(); err != nil {
		return c.refuse(err)
	}
	if master.IsSession() && !p.RequireMaster {
		// Judged first: or a stranger could tell a session's ID by what became of its parent.
		if err := c.admitted(c.r.Context()); err != nil {
			return err
		}
		if master, err = c.unjudged(master.Parent()); err != nil {
			return c.refuse(err)
		}
	}
	if master.Prefix() != p.Prefix {
		return c.refuse(remint.ErrForbidden)
	}
	grant, err := c.actor.Rotate(c.r.Context(), master.ID(), remint.Rotation{Retire: p.Retire})
	if err != nil {
		return c.lost(err)
	}
	return c.writeSecret(grant, func(_ remint.Token, secret string) any {
		return struct {
			Token string `json:"token"`
		}{secret}
	})
}

// session exchanges a master for a session.
func (p pocketPaw) session(c *call) error {
	if err := p.master(c); err != nil {
		return err
	}
	if err := c.ignoreBody(); err != nil {
		return err
	}
	grant, err := p.start(c)
	if err != nil {
		return err
	}
	return c.writeSecret(grant, func(tok remint.Token, secret string) any {
		return struct {
			SessionToken   string  `json:"session_token"`
			ExpiresInHours float64 `json:"expires_in_hours"`
		}{secret, hours(tok)}
	})
}

// master refuses a bearer that is none, in the format's way: it is no credential then.
func (p pocketPaw) master(c *call) error {
	tok, err := c.actor.Get(c.r.Context(), c.self)
	if err == nil && tok.Prefix() != p.Prefix {
		err = remint.ErrDenied
	}
	return err
}

// start begins a session of the bearer's.
func (p pocketPaw) start(c *call) (remint.Grant, error) {
	grant, err := c.actor.StartSession(c.r.Context(), c.self, remint.Session{Lifetime: p.SessionLifetime, Manages: !p.RequireMaster})
	if err != nil {
		return remint.Grant{}, ours(err)
	}
	return grant, nil
}

// lost returns the error of a bearer that was live when its request was first judged: if it is
// not by now, another request stopped it, which is a lost race. A 401 would make the browser drop
// the token that the other one brought. With an Idempotency-Key nobody knows what it was.
func (c *call) lost(err error) error {
	if errors.Is(err, remint.ErrDenied) && c.retries == "" && c.counted {
		return remint.ErrConflict
	}
	return err
}

// hours returns how long a new session lives, which is less than SessionLifetime where its
// master ends sooner. The documented answer has whole hours; a shorter session than
// that, and the rest of a longer one, is a fraction, rounded down to the second digit.
func hours(tok remint.Token) float64 {
	return math.Floor(tok.ExpiresAt().Sub(tok.State().CreatedAt).Hours()*100) / 100
}
