package httpadapter

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
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

	// Retire is when a master's old secret stops, and the sessions with it. Zero: at
	// once. The browser client drops the token that it holds at any 401, so that a
	// second window is locked out by the first one's rotation: RetireAfter, or
	// RetireAfterFirstUse, keeps it in.
	Retire remint.Retirement

	// SessionLifetime is how long a session lives. Zero: 24 hours, or
	// [remint.Options.MaxLifetime] if that is less.
	SessionLifetime time.Duration

	// RequireMaster lets only a master itself regenerate. False: so may a
	// session that was exchanged for one, with which the browser client does it.
	RequireMaster bool
}

// MountPocketPaw mounts POST /api/token/regenerate and POST /api/auth/session, each also
// under /api/v1. It panics if o cannot be used, or the issuer does not have its prefix.
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
	const post = http.MethodPost
	errs, exchange := pocketPawErrors{"Unauthorized"}, pocketPawErrors{"Invalid master token"}
	a.mount(mux, sources{cookie: a.cookie}, []route{
		{method: post, path: "/api/token/regenerate", format: errs, serve: p.regenerate},
		{method: post, path: "/api/v1/token/regenerate", format: errs, serve: p.regenerate},
		{method: post, path: "/api/auth/session", format: exchange, serve: p.session},
		{method: post, path: "/api/v1/auth/session", format: exchange, serve: p.session},
	})
}

type pocketPaw struct{ PocketPaw }

// regenerate gives the master a new secret. The master is the bearer's token or, for a
// session, its parent. That is found by what never changes of a token: its prefix, its
// parent and that it is a session. Whether the bearer may rotate the master, and its
// capabilities cover the master's, is judged by Rotate.
//
// Sessions stop with the secret that they were started with, whoever started them: it is
// the same commit. Other children of the master, which only the service itself can make,
// go on: they are no sessions.
func (p pocketPaw) regenerate(c *call) error {
	ctx := c.r.Context()
	master, err := c.actor.Get(ctx, c.self)
	if err != nil {
		return err
	}
	if err := c.ignoreBody(); err != nil {
		return err
	}
	if master.IsSession() && !p.RequireMaster {
		if master, err = c.actor.Get(ctx, master.Parent()); err != nil {
			return lost(err)
		}
	}
	if master.Prefix() != p.Prefix {
		return remint.ErrForbidden
	}
	grant, err := c.actor.Rotate(ctx, master.ID(), remint.Rotation{Retire: p.Retire})
	if err != nil {
		return lost(err)
	}
	return c.writeSecret(grant, func(_ remint.Token, secret string) any {
		return struct {
			Token string `json:"token"`
		}{secret}
	})
}

// session exchanges a master for a session that manages: the browser client regenerates
// with it.
func (p pocketPaw) session(c *call) error {
	ctx := c.r.Context()
	tok, err := c.actor.Get(ctx, c.self)
	if err != nil {
		return err
	}
	if err := c.ignoreBody(); err != nil {
		return err
	}
	if tok.Prefix() != p.Prefix {
		return remint.ErrDenied // as the format has it: it is not a master, so it is no credential
	}
	grant, err := c.actor.StartSession(ctx, tok.ID(), remint.Session{Lifetime: p.SessionLifetime, Manages: true})
	if err != nil {
		return ours(err)
	}
	return c.writeSecret(grant, func(tok remint.Token, secret string) any {
		return struct {
			SessionToken   string  `json:"session_token"`
			ExpiresInHours float64 `json:"expires_in_hours"`
		}{secret, hours(tok)}
	})
}

// lost returns the error of a bearer that was live when its request began: if it is not by
// now, another request stopped it, which is a lost race. A 401 would make the browser drop
// the token that the other one brought.
func lost(err error) error {
	if errors.Is(err, remint.ErrDenied) {
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

// pocketPawErrors are {"detail":"…"}.
type pocketPawErrors struct {
	denied string // what a credential that does not count is told
}

func (pocketPawErrors) quota(h http.Header, q *Quota) {
	if q == nil {
		return
	}
	h.Set("X-Ratelimit-Limit", strconv.Itoa(q.Limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(q.Remaining))
	h.Set("X-Ratelimit-Reset", strconv.FormatInt(q.Reset.Unix(), 10))
}

func (e pocketPawErrors) fail(w http.ResponseWriter, f failure) {
	status, detail := f.status(), ""
	switch f.kind {
	case noCredential, denied, network:
		detail = e.denied
		w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110 section 15.5.2 wants one
	case needed, beyond:
		detail = "Forbidden"
	case tooMany:
		detail = "Too Many Requests"
	case badInput:
		detail = f.err.Error()
		if f.err == errTooLarge {
			status = http.StatusRequestEntityTooLarge
		}
	case notFound, noRoute:
		detail = "Not Found"
	case noMethod:
		detail = "Method Not Allowed"
	case conflict, ended:
		detail = "Conflict: the token was changed by another request"
	case unavailable:
		detail = "Service Unavailable"
	default:
		detail = "Internal Server Error"
	}
	writeJSON(w, status, struct {
		Detail string `json:"detail"`
	}{detail})
}
