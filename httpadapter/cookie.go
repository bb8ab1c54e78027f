package httpadapter

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/remint-go/remint"
)

// Cookie configures the sessions of browsers. The zero value is ready for use.
//
// A cookie holds a session's secret, never that of another token. It counts only where no
// bearer token is presented, and only for requests that [http.CrossOriginProtection] lets
// through: a page of another origin cannot make its visitor's browser change anything.
type Cookie struct {
	// Name of the cookie. Empty: "pocketpaw_session", as PocketPaw documents it. A name that
	// begins with "__Host-" is one that no other site of the same domain can set.
	Name string

	// InsecureHTTP lets the cookie travel over plain http, where anybody on the way can read
	// it: for development.
	InsecureHTTP bool

	// TrustedOrigins may make requests with the cookie though they are other origins, such as
	// "https://app.example.com".
	TrustedOrigins []string
}

// maxCookieHeader bounds the Cookie header that is searched, in bytes.
const maxCookieHeader = 16 << 10

// A cookie is a Cookie that was checked.
type cookie struct {
	name    string
	secure  bool
	origins *http.CrossOriginProtection
}

func newCookie(o *Cookie) *cookie {
	if o == nil {
		o = new(Cookie)
	}
	c := &cookie{name: cmp.Or(o.Name, "pocketpaw_session"), secure: !o.InsecureHTTP, origins: http.NewCrossOriginProtection()}
	if err := (&http.Cookie{Name: c.name, Value: "x"}).Valid(); err != nil {
		panic(fmt.Sprintf("httpadapter: Options.Cookie.Name is %q, which cannot name a cookie", c.name))
	}
	for i, origin := range o.TrustedOrigins {
		if err := c.origins.AddTrustedOrigin(origin); err != nil {
			panic(fmt.Sprintf("httpadapter: Options.Cookie.TrustedOrigins[%d]: %v", i, err))
		}
	}
	return c
}

// all returns each text in a request's cookies of that name, or an error if they are more than
// any browser has cause to send.
func (c *cookie) all(r *http.Request) (texts []string, err error) {
	size := 0
	for _, line := range r.Header["Cookie"] {
		size += len(line)
	}
	if size > maxCookieHeader {
		return nil, errCookies
	}
	for _, found := range r.CookiesNamed(c.name) {
		if found.Value != "" && !slices.Contains(texts, found.Value) {
			texts = append(texts, found.Value)
		}
	}
	if len(texts) > maxCookies {
		return nil, errCookies
	}
	return texts, nil
}

// maxCookies is how many sessions a request may have in cookies.
const maxCookies = 8

var errCookies = &bodyError{"came with more cookies than are looked at"}

// find returns the session in a request's cookies. Two different ones are garbage: which of
// them counts would depend on who set the other.
func (c *cookie) find(r *http.Request) (text string, what presented) {
	if len(r.Header["Cookie"]) == 0 {
		return "", nothing
	}
	texts, err := c.all(r)
	switch {
	case err != nil || len(texts) > 1:
		return "", garbage
	case len(texts) == 0:
		return "", nothing
	}
	return texts[0], token
}

var errCrossOrigin = fmt.Errorf("%w: a request of another origin, with a cookie", remint.ErrForbidden)

// check refuses what a page of another origin made the browser send.
func (c *cookie) check(r *http.Request) error {
	if r.Header.Get("Upgrade") != "" {
		// What a WebSocket does is not known from its GET, and pages of any origin may open one.
		changing := *r
		changing.Method = http.MethodPost
		r = &changing
	}
	if c.origins.Check(r) != nil {
		return errCrossOrigin
	}
	return nil
}

// set gives the browser a session.
func (c *cookie) set(w http.ResponseWriter, g remint.Grant) {
	set := &http.Cookie{
		Name: c.name, Value: reveal(w, g), Path: "/",
		HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteLaxMode,
	}
	if at := g.Token.ExpiresAt(); !at.IsZero() {
		set.MaxAge = int(at.Sub(g.Token.State().CreatedAt) / time.Second)
		if set.MaxAge < 1 {
			set.MaxAge = 1 // 0 would stand for none
		}
	}
	w.Header().Add("Set-Cookie", attributesAsDocumented(set))
}

// clear lets the browser forget its session.
func (c *cookie) clear(w http.ResponseWriter) {
	w.Header().Add("Set-Cookie", attributesAsDocumented(&http.Cookie{
		Name: c.name, Path: "/", MaxAge: -1, HttpOnly: true, Secure: c.secure, SameSite: http.SameSiteLaxMode,
	}))
}

// attributesAsDocumented is the cookie's text. PocketPaw documents "SameSite=lax"; net/http
// writes "Lax", and clients take either (RFC 6265bis section 5.6.7).
func attributesAsDocumented(c *http.Cookie) string {
	return strings.Replace(c.String(), "SameSite=Lax", "SameSite=lax", 1)
}

// SetSessionCookie gives a browser the session in g, in the cookie that [Options.Cookie]
// names, for a service that signs people in itself. It is an error, and nothing is set, if g is not a
// session: no other secret is put where a browser keeps it.
func (a *Adapter) SetSessionCookie(w http.ResponseWriter, g remint.Grant) error {
	if !g.Token.IsSession() {
		return errors.New("httpadapter: SetSessionCookie: the token is not a session: use what Actor.StartSession returned")
	}
	a.cookie.set(w, g)
	return nil
}

// ClearSessionCookie lets a browser forget its session. Revoke the session, too: what was
// copied from the browser goes on working otherwise.
func (a *Adapter) ClearSessionCookie(w http.ResponseWriter) { a.cookie.clear(w) }
