package httpadapter

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/remint-go/remint"
)

// introspect answers as RFC 7662 says whether a token is live, to a service that was
// presented one: only of tokens of the caller's own owner. It counts as that
// token's use, as Verify does: a new secret that is used only where it is introspected would
// otherwise never be confirmed.
func (n native) introspect(c *call) error {
	if _, err := c.admit(); err != nil {
		return err
	}
	v, err := c.form()
	if err != nil {
		return err
	}
	from, err := clientIP(v)
	if err != nil {
		return err
	}
	text := v.Get("token")
	id, err := c.a.issuer.Identify(text)
	if err != nil {
		return c.write(inactive)
	}
	// The owner first, who never changes: of another's token nothing is judged, and no trace is left.
	switch _, err = c.actor.Get(c.r.Context(), id); {
	case errors.Is(err, remint.ErrNotFound):
		return c.write(inactive)
	case err != nil:
		return err
	}
	switch tok, err := c.a.issuer.Verify(c.r.Context(), text, from); {
	case errors.Is(err, remint.ErrDenied):
		return c.write(inactive)
	case err != nil:
		return err
	default:
		line, err := c.actor.Live(c.r.Context(), id)
		if errors.Is(err, remint.ErrEnded) || errors.Is(err, remint.ErrNotFound) {
			return c.write(inactive)
		}
		if err != nil {
			return err
		}
		return c.write(newIntrospection(tok, line))
	}
}

// clientIP returns where the token was presented to the caller: our own parameter. Without
// it that is unknown, which is in no network.
func clientIP(v url.Values) (netip.Addr, error) {
	text := v.Get("client_ip")
	if text == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, &remint.InputError{Field: "client_ip", Problem: "is not an IP address"}
	}
	return plainAddr(addr), nil
}

// An introspection has the members of RFC 7662 section 2.2, and, from name on, ours.
type introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"` // the capabilities
	TokenType string `json:"token_type,omitempty"`
	Exp       int64  `json:"exp,omitempty"` // when the presented secret stops, by its token or by a rotation
	Iat       int64  `json:"iat,omitempty"`
	Sub       string `json:"sub,omitempty"` // the owner
	Jti       string `json:"jti,omitempty"` // the ID

	Name       string            `json:"name,omitempty"`
	Parent     string            `json:"parent,omitempty"`
	Session    bool              `json:"session,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// inactive is all that is said of what is no live token of the caller's owner.
var inactive introspection

// newIntrospection describes tok, whose line of ancestors ends it when one of them stops.
func newIntrospection(tok remint.Token, line []remint.Token) introspection {
	spec := tok.Spec()
	i := introspection{
		Active: true, Scope: spec.Capabilities.String(), TokenType: "Bearer",
		Iat: tok.State().CreatedAt.Unix(), Sub: spec.Owner, Jti: tok.ID().String(),
		Name: spec.Name, Parent: spec.Parent.String(), Session: tok.IsSession(), Attributes: spec.Attributes,
	}
	ends := []time.Time{tok.ExpiresAt(), tok.RetiresAt()}
	for _, t := range line {
		ends = append(ends, t.ExpiresAt())
	}
	for _, at := range ends {
		if !at.IsZero() && (i.Exp == 0 || at.Unix() < i.Exp) {
			i.Exp = at.Unix() // a second too early rather than too late
		}
	}
	return i
}

// revoke ends the token that is presented in the body, as RFC 7009 says. What is no live
// token of the caller's owner is left as it is, and answered alike. A caller may
// give up its own token without any capability.
func (n native) revoke(c *call) error {
	ctx := c.r.Context()
	if _, err := c.bearer.Get(ctx, c.self); err != nil {
		return err
	}
	v, err := c.form()
	if err != nil {
		return err
	}
	text := v.Get("token")
	id, err := c.a.issuer.Identify(text)
	if err != nil {
		if err := c.refuse(nil); err != nil {
			return err
		}
		return c.writeEmpty(http.StatusOK)
	}
	if id == c.self {
		c.actor, c.needs = c.bearer, nil
	}
	if err := c.actor.RevokeSecret(ctx, text); err != nil && !errors.Is(err, remint.ErrNotFound) {
		return err
	}
	return c.writeEmpty(http.StatusOK)
}

// errFormType is about the two routes whose body is a form.
var errFormType = nativeError{http.StatusUnsupportedMediaType, "unsupported_media_type",
	"The request body must have the Content-Type application/x-www-form-urlencoded.", &bodyError{""}}

// form reads a body of parameters with a token in it. None may be there twice (RFC 6749
// section 3.2), and what is not known is ignored. The parameters of the URL are not looked
// at: a secret there would be in logs.
func (c *call) form() (url.Values, error) {
	c.read = true
	var body []byte
	if c.r.Body != nil { // a server's never is nil
		var err error
		if body, err = io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody)); err != nil {
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return nil, errTooLarge
			}
			return nil, errUnreadable
		}
	}
	if len(body) > 0 && !isForm(c.r.Header["Content-Type"]) {
		return nil, errFormType
	}
	v, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, &bodyError{"is not a form"}
	}
	for _, values := range v {
		if len(values) > 1 {
			return nil, &bodyError{"has a parameter more than once"}
		}
	}
	if v.Get("token") == "" {
		return nil, &remint.InputError{Field: "token", Problem: "is missing"}
	}
	return v, nil
}

func isForm(types []string) bool {
	if len(types) != 1 {
		return false
	}
	t, params, err := mime.ParseMediaType(types[0])
	charset, declared := params["charset"]
	return err == nil && t == "application/x-www-form-urlencoded" && (!declared || strings.EqualFold(charset, "utf-8"))
}
