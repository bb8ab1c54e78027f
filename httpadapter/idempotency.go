package httpadapter

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/remint-go/remint"
)

// A repeated request: routes that hand out a secret take an Idempotency-Key, as
// draft-ietf-httpapi-idempotency-key-header-07 has it. Package remint finds the answer again.

const idempotencyKey = "Idempotency-Key"

// maxRetryKey is the longest key that [remint.Actor.WithRetryKey] takes, in bytes.
const maxRetryKey = 255

var errRetryKey = errors.New(`Idempotency-Key must be one string in quotes, of 1 to 255 printable ASCII characters, such as "8e03978e-40d5-43e8-bc93-6894a57f9324"`)

// retryKey returns the key of a request, or "" if there is none. It is a String of RFC 9651
// section 4.2.5, without parameters; two headers are not one.
func retryKey(h http.Header) (string, error) {
	values := h[idempotencyKey]
	if len(values) == 0 {
		return "", nil
	}
	text := strings.Trim(values[0], " ")
	if len(values) > 1 || len(text) < 3 || len(text) > 2*maxRetryKey+2 || text[0] != '"' || text[len(text)-1] != '"' {
		return "", errRetryKey
	}
	var key strings.Builder
	for text = text[1 : len(text)-1]; text != ""; text = text[1:] {
		switch c := text[0]; {
		case c == '\\' && len(text) > 1 && (text[1] == '"' || text[1] == '\\'):
			text = text[1:]
		case c < ' ' || c > '~' || c == '"' || c == '\\':
			return "", errRetryKey
		}
		key.WriteByte(text[0])
	}
	if key.Len() > maxRetryKey {
		return "", errRetryKey
	}
	return key.String(), nil
}

// isReusedKey reports whether err is a key that was used for another request.
func isReusedKey(err error) bool {
	for _, e := range inputs(err) {
		if e.Field == "WithRetryKey.key" {
			return true
		}
	}
	return false
}

// keyed lets the caller's operations be repeated with the request's key.
func (c *call) keyed() {
	c.bearer = c.bearer.WithRetryKey(c.retries, 0)
	c.actor = c.actor.WithRetryKey(c.retries, 0)
}

// known returns what never changes of a token (its owner, prefix and parent, and whether it
// is a session), for a route that must not ask as the caller: a repeated request may come
// from a bearer that its own rotation has retired, and to ask would be to reuse that.
// Nothing is proved by it: what the route then refuses, it refuses with call.refuse.
func (c *call) known(id remint.ID) (remint.Token, error) {
	if c.retries == "" {
		return c.actor.Get(c.r.Context(), id)
	}
	return c.unjudged(id)
}

// unjudged is known of a token, for a route whose one operation judges the caller: to judge
// it before would be to confirm its secret before, in a commit of its own.
func (c *call) unjudged(id remint.ID) (remint.Token, error) {
	tok, err := c.a.issuer.Operator("httpadapter").Get(c.r.Context(), id)
	if errors.Is(err, remint.ErrNotFound) {
		return tok, c.refuse(err)
	}
	return tok, err
}

// knownBearer is known of the caller's own token, whatever the route needs.
func (c *call) knownBearer() (remint.Token, error) {
	if c.retries == "" {
		return c.bearer.Get(c.r.Context(), c.self)
	}
	return c.known(c.self)
}

// admitted judges the caller before a body is waited for, where it need not be one that a
// repeated request comes from.
func (c *call) admitted(ctx context.Context) error {
	if c.retries != "" {
		return nil
	}
	_, err := c.actor.Get(ctx, c.self)
	return err
}
