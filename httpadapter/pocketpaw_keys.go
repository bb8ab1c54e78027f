package httpadapter

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/remint-go/remint"
)

// pocketPawScopes are VALID_SCOPES of the published server (src/pocketpaw/api/api_keys.py).
var pocketPawScopes = []string{"chat", "sessions", "settings:read", "settings:write", "channels", "memory", "admin"}

// pocketPawDefault are the scopes of a key for which none are asked (schemas/api_keys.py).
var pocketPawDefault = []string{"chat", "sessions"}

// maxKeyName bounds the name of a key, in characters (schemas/api_keys.py); remint bounds it
// in bytes, too.
const maxKeyName = 100

// prepareKeys checks the options for API keys, and fills them in.
func (p *pocketPaw) prepareKeys(a *Adapter) {
	if p.WithoutAPIKeys {
		if p.APIKeyPrefix != "" || p.Scopes != nil {
			panic("httpadapter: PocketPaw.WithoutAPIKeys, and an APIKeyPrefix or Scopes: there are no keys to have them")
		}
		return
	}
	const prefix = "PocketPaw.APIKeyPrefix"
	if all := a.issuer.Prefixes(); p.APIKeyPrefix == "" && !slices.Contains(all, "pp_") {
		panic(fmt.Sprintf("httpadapter: %s is \"pp_\" by default, and the issuer has only %q: add it to remint.Options.Prefixes, "+
			"set %[1]s to one of them, or set PocketPaw.WithoutAPIKeys", prefix, all))
	}
	p.APIKeyPrefix = a.prefixOf(prefix, p.APIKeyPrefix, "pp_")
	if p.APIKeyPrefix == p.Prefix {
		panic(fmt.Sprintf("httpadapter: %s is %q, as PocketPaw.Prefix is: each key would be a master", prefix, p.Prefix))
	}
	if p.Scopes = slices.Clone(p.Scopes); len(p.Scopes) == 0 {
		p.Scopes = pocketPawScopes
	}
	if _, err := remint.ParseCapabilities(p.Scopes); err != nil {
		panic("httpadapter: PocketPaw.Scopes: " + problemText(err))
	}
}

// keyRoutes are the routes for API keys. They need what the published server asks of them:
// the scope admin, which a master has by its "*".
func (p pocketPaw) keyRoutes(path string, errs format) []route {
	admin := []remint.Capability{"admin"}
	return []route{
		{method: http.MethodPost, path: path, needs: admin, format: errs, grants: true, serve: p.createKey},
		{method: http.MethodGet, path: path, needs: admin, format: errs, serve: p.listKeys},
		{method: http.MethodDelete, path: path + "/{id}", needs: admin, format: errs, ends: true, serve: p.deleteKey},
		{method: http.MethodPost, path: path + "/{id}/rotate", needs: admin, format: errs, grants: true, serve: p.rotateKey},
	}
}

// createKey issues a key, which stands beside the master. It holds no more than its creator
// does: a key with the scope admin gives away only scopes that it has.
func (p pocketPaw) createKey(c *call) error {
	ctx := c.r.Context()
	caller, err := c.actor.Get(ctx, c.self)
	if err != nil {
		return err
	}
	body, err := c.object(false)
	if err != nil {
		return unprocessable(err)
	}
	spec, err := p.readKey(c.a.issuer, body)
	if err != nil {
		return err
	}
	spec.Networks = caller.Spec().Networks // the format has no words for them, and wider ones are refused
	grant, err := c.actor.Issue(ctx, spec)
	if err != nil {
		return unprocessable(rename(err, keyField))
	}
	return c.writeSecret(grant, newPocketPawKey)
}

// readKey reads what a client may say about a key. Types and lengths are 422, as the
// published server's schema has it, and scopes that do not exist are 400, after them.
func (p pocketPaw) readKey(issuer *remint.Issuer, body node) (remint.Spec, error) {
	var f form
	spec := remint.Spec{Prefix: p.APIKeyPrefix, Name: f.text(body.get("name"), "name")}
	if n := utf8.RuneCountInString(spec.Name); (n < 1 || n > maxKeyName) && len(f.problems) == 0 {
		f.wrong("name", "must be given, and have 1 to %d characters", maxKeyName)
	}
	scopes := slices.Clone(pocketPawDefault)
	if asked := body.get("scopes"); asked.kind == 'n' {
		f.wrong("scopes", "must be a list of strings")
	} else if asked.kind != 0 {
		scopes = f.texts(asked, "scopes")
	}
	before := len(f.problems)
	expires := body.get("expires_at")
	spec.ExpiresAt = f.time(expires, "expires_at")
	if !expires.absent() && spec.ExpiresAt.IsZero() && len(f.problems) == before {
		f.wrong("expires_at", "is not in the future; null stands for never") // 0001-01-01T00:00:00Z
	}
	f.also(rename(issuer.CheckSpec(spec), keyField))
	if err := f.err(); err != nil {
		return spec, unprocessable(err)
	}
	caps, err := p.readKeyScopes(scopes)
	spec.Capabilities = caps
	return spec, err
}

// readKeyScopes returns the capabilities of scopes, once each, and names those that do not exist.
func (p pocketPaw) readKeyScopes(scopes []string) (remint.Capabilities, error) {
	var valid, invalid []string
	for _, s := range scopes {
		switch {
		case !slices.Contains(p.Scopes, s):
			if len(invalid) < maxProblems {
				invalid = append(invalid, quote(s))
			}
		case !slices.Contains(valid, s):
			valid = append(valid, s)
		}
	}
	if invalid != nil {
		detail := "Invalid scopes: " + strings.Join(invalid, ", ")
		return remint.Capabilities{}, &pocketPawRefusal{&remint.InputError{Field: "scopes", Problem: detail}, http.StatusBadRequest, detail}
	}
	return remint.ParseCapabilities(valid)
}

// unprocessable is the error of a body that does not have the documented form, as FastAPI has
// it: 422. What did not arrive whole, and what is no fault of the body's, stays as it is.
func unprocessable(err error) error {
	if err == errTooLarge || err == errUnreadable || kindOf(err) != badInput {
		return err
	}
	return &pocketPawRefusal{err, http.StatusUnprocessableEntity, problemText(err)}
}

// keyField returns the format's name for a field of a Spec.
func keyField(field, _ string) string {
	switch field {
	case "Name":
		return "name"
	case "ExpiresAt":
		return "expires_at"
	case "Capabilities":
		return "scopes"
	}
	return field
}

// listKeys lists all keys, those that have ended included until they are swept.
func (p pocketPaw) listKeys(c *call) error {
	list := []pocketPawInfo{}
	for tok, err := range c.tokens(p.APIKeyPrefix, true) {
		if err != nil {
			return err
		}
		list = append(list, newPocketPawInfo(tok))
	}
	return c.write(list)
}

// key returns the key that the path names, once the caller and the request's body are found
// good. Whatever is no key is not found, the master for one; so is what the caller does not see.
func (p pocketPaw) key(c *call) (remint.Token, error) {
	id, err := remint.ParseID(c.r.PathValue("id"))
	if err != nil {
		id = c.self // to be judged; it is not what is returned
	}
	tok, gerr := c.known(id)
	if gerr != nil && kindOf(gerr) != notFound {
		return tok, gerr
	}
	if err := c.ignoreBody(); err != nil {
		return tok, c.refuse(err)
	}
	if err != nil || gerr != nil || tok.Prefix() != p.APIKeyPrefix {
		return remint.Token{}, noKey(c.refuse(remint.ErrNotFound))
	}
	return tok, nil
}

// noKey is an error with the format's words for a key that is not found.
func noKey(err error) error {
	if err == nil || kindOf(err) != notFound {
		return err
	}
	return &pocketPawRefusal{err, http.StatusNotFound, "API key not found or already revoked"}
}

// deleteKey revokes a key. One that was revoked or rotated already is not found; of two
// requests at once, both may be told that it is revoked.
func (p pocketPaw) deleteKey(c *call) error {
	tok, err := p.key(c)
	if err != nil {
		return err
	}
	if revoked(tok) {
		return noKey(remint.ErrNotFound)
	}
	if err := c.actor.Revoke(c.r.Context(), tok.ID()); err != nil {
		return noKey(err)
	}
	return c.write(struct {
		Status string `json:"status"`
	}{"ok"})
}

// rotateKey puts another key in the place of one, with an ID of its own and all else that
// the old one has, its expiry included. The old one stops as PocketPaw.Retire says. As long as the new one has
// not been used, the old one can be rotated again, which ends the other: an answer that
// was lost locks nobody out but a key that has rotated itself at once, without a retry key.
func (p pocketPaw) rotateKey(c *call) error {
	tok, err := p.key(c)
	if err != nil {
		return err
	}
	grant, err := c.actor.Rotate(c.r.Context(), tok.ID(), remint.Rotation{Successor: &remint.Successor{}, Retire: p.Retire})
	switch {
	case err == nil:
		return c.writeSecret(grant, newPocketPawKey)
	case kindOf(err) == ended, kindOf(err) == conflict:
		if replacedForGood(c, tok.ID()) {
			return noKey(remint.ErrNotFound) // whoever was faster
		}
		return noKey(c.gone(tok.ID(), remint.ErrEnded))
	case kindOf(err) == badInput && tok.State().Ended == remint.ReasonExpired:
		return &pocketPawRefusal{remint.ErrEnded, http.StatusConflict, "API key has expired"}
	}
	return unprocessable(rename(noKey(err), keyField))
}

// revoked reports what the format calls so: the key was revoked, or stopped when it was rotated.
// One that has expired was not.
func revoked(tok remint.Token) bool {
	switch tok.State().Ended {
	case remint.ReasonRevoked, remint.ReasonRetired, remint.ReasonLapsed:
		return true
	}
	return false
}

// replacedForGood reports whether a key has a successor that somebody has used or revoked, so
// that it cannot be rotated again. While others rotate the key, it is not.
func replacedForGood(c *call, id remint.ID) bool {
	ctx := c.r.Context()
	tok, err := c.actor.Get(ctx, id)
	if err != nil || tok.State().Successor.IsZero() {
		return false
	}
	next, err := c.actor.Get(ctx, tok.State().Successor)
	if err != nil {
		return kindOf(err) == notFound
	}
	if next.State().RevokedAt.IsZero() {
		return next.State().Unconfirmed == remint.SecretState{}
	}
	again, err := c.actor.Get(ctx, id)
	return err == nil && again.State().Successor == next.ID()
}

// A pocketPawKey is the answer to a key's creation and rotation.
type pocketPawKey struct {
	Key string `json:"key"`
	pocketPawKeyFields
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// A pocketPawInfo is a key in the list.
type pocketPawInfo struct {
	pocketPawKeyFields
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
	ExpiresAt  *time.Time `json:"expires_at"`
	Revoked    bool       `json:"revoked"`
}

type pocketPawKeyFields struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Prefix string   `json:"prefix"`
	Scopes []string `json:"scopes"`
}

func newPocketPawKey(tok remint.Token, secret string) any {
	return pocketPawKey{secret, newPocketPawFields(tok), tok.State().CreatedAt, timeOrNull(tok.Spec().ExpiresAt)}
}

func newPocketPawInfo(tok remint.Token) pocketPawInfo {
	s := tok.State()
	return pocketPawInfo{
		newPocketPawFields(tok), s.CreatedAt, timeOrNull(s.Current.LastUsedAt), timeOrNull(tok.Spec().ExpiresAt), revoked(tok),
	}
}

// shownID is how much of a key's ID its public beginning shows: the time, and some of what
// tells keys of one moment apart. None of it is secret.
const shownID = 16

func newPocketPawFields(tok remint.Token) pocketPawKeyFields {
	f := pocketPawKeyFields{
		ID: tok.ID().String(), Name: tok.Name(), Prefix: tok.Prefix() + tok.ID().String()[:shownID], Scopes: []string{},
	}
	for c := range tok.Capabilities().All() {
		f.Scopes = append(f.Scopes, string(c))
	}
	return f
}

// timeOrNull returns a time as JSON has it: RFC 3339 in UTC, or null for the zero time.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
