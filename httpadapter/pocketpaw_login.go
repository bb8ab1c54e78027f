package httpadapter

import (
	"errors"
	"net/http"
	"strings"

	"github.com/remint-go/remint"
)

// login exchanges a master for a session in a cookie.
//
//  1. A page of another origin must not sign its visitor in as somebody else: 403, whatever
//     it sent.
//  2. What is no JSON object, or has a token that is no string, is 400.
//  3. What is not the text of a live master is 401: a missing token, a session, an API key.
//     (Upstream, an API key was once exchanged for a session with all of its master's power.)
func (p pocketPaw) login(c *call) error {
	if err := c.a.cookie.check(c.r); err != nil {
		return err
	}
	if c.badKey != nil {
		return c.badKey
	}
	text, err := readLogin(c)
	if err != nil {
		return err
	}
	if err := c.present(text); err != nil {
		return err
	}
	if err := p.master(c); err != nil {
		return err
	}
	grant, err := p.start(c)
	if err != nil {
		return err
	}
	c.a.cookie.set(c.w, grant)
	return c.write(pocketPawOK)
}

// pocketPawOK is the whole answer of login and logout.
var pocketPawOK = struct {
	OK bool `json:"ok"`
}{true}

// readLogin returns the token in the body, without the white space around it; "" if there
// is none, which is no token's text.
func readLogin(c *call) (string, error) {
	body, err := c.object(false)
	if err == nil {
		var f form
		token := body.get("token")
		if token.kind == 'n' {
			f.wrong("token", "must be a string")
		}
		text := strings.TrimSpace(f.text(token, "token"))
		if err = f.err(); err == nil {
			return text, nil
		}
	}
	if err == errTooLarge || err == errUnreadable {
		return "", err // that says nothing about what it holds
	}
	return "", &pocketPawRefusal{err, http.StatusBadRequest, "Invalid JSON body"}
}

// logout ends the sessions that the request presents: the bearer's token, if it is one, and
// those in the cookie beside it, for browsers send both. Each revokes itself, as its own
// bearer. A master goes on, as does every token that is no session.
//
// It is refused as unauthorized where none is live, and nothing is said of success, and
// no cookie cleared, unless all that is live has ended: if the store fails, the client tries
// again with what it has. A cookie does not count, and is left alone, where a page of another
// origin made the browser send it. Of several with the name, some other site of the same domain
// may have set one: each is tried.
func (p pocketPaw) logout(c *call) error {
	cookies, err := c.a.cookie.all(c.r)
	if err != nil {
		return &pocketPawRefusal{err, http.StatusBadRequest, "Too many cookies: clear those of this site"}
	}
	text, what, _ := sources{query: p.from.query}.find(c.r)
	own := c.a.cookie.check(c.r) == nil
	switch {
	case what == nothing && len(cookies) == 0:
		return errNoCredential
	case what == nothing && !own:
		return errCrossOrigin
	case !own:
		cookies = nil
	}
	bearer, session := remint.ErrDenied, false
	switch what {
	case garbage:
		c.a.denyGarbage(c.r.Context(), c.from)
	case token:
		if bearer = c.present(text); bearer == nil {
			var tok remint.Token
			tok, bearer = c.actor.Get(c.r.Context(), c.self)
			session = tok.IsSession()
		}
	}
	if bearer != nil && (len(cookies) == 0 || !errors.Is(bearer, remint.ErrDenied)) {
		return bearer
	}
	if err := c.ignoreBody(); err != nil {
		return err
	}

	// The cookies come first: if the store fails between two, the bearer is there to try
	// again with.
	ended := false
	for _, text := range cookies {
		switch err := c.endCookie(text); {
		case err == nil:
			ended = true
		case !errors.Is(err, remint.ErrDenied):
			return err
		}
	}
	if bearer != nil && !ended {
		return bearer
	}
	if session {
		// If it is denied by now, it has ended: it may be the one that the cookie held.
		if err := c.bearer.Revoke(c.r.Context(), c.self); err != nil && !errors.Is(err, remint.ErrDenied) {
			return err
		}
	}
	if own {
		c.a.cookie.clear(c.w)
	}
	return c.write(pocketPawOK)
}

// endCookie revokes the session with that text, which was in the cookie, as its own bearer. It
// is [remint.ErrDenied] if it is no live session. The request is not counted again.
func (c *call) endCookie(text string) error {
	other := *c
	other.inCookie = true
	if err := other.present(text); err != nil {
		return err
	}
	err := other.bearer.Revoke(c.r.Context(), other.self)
	c.counted = other.counted
	return err
}
