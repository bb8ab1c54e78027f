package httpadapter

import "github.com/remint-go/remint"

// readTokenLookup returns the ID that a body names. Where it names none, it is word, which is
// what the path has in the place of api_token: an ID or, if the body is empty, whatever it is.
func readTokenLookup(f *form, body node, word string) (string, error) {
	lookup := body.get("api_token")
	if lookup.absent() {
		if _, err := remint.ParseID(word); err != nil && len(body.keys) > 0 {
			return "", missingArgument("api_token")
		}
		return word, nil
	}
	if !f.object(lookup, "api_token") {
		return "", nil
	}
	if lookup.get("id").absent() {
		f.wrong("api_token", "has no id")
	}
	return f.text(lookup.get("id"), "api_token"), nil
}

// update changes the properties that are given, and no other.
func (k katapult) update(c *call) error {
	ctx := c.r.Context()
	if _, err := c.actor.Get(ctx, c.self); err != nil {
		return err // before the body, which nobody who is refused is waited for with
	}
	body, err := c.object(true)
	if err != nil {
		return err
	}
	var f form
	text, err := readTokenLookup(&f, body, c.r.PathValue("word"))
	if err != nil {
		return err
	}
	p, err := readProperties(&f, body.get("properties"))
	if err != nil {
		return err
	}
	if len(f.problems) > 0 {
		return invalidArguments(f)
	}
	id, err := remint.ParseID(text)
	if err != nil {
		return err
	}
	// What the values say is judged in the operation, after the lookup.
	tok, err := c.actor.Update(ctx, id, func(spec *remint.Spec) error {
		return c.a.changed(p, spec)
	})
	if err != nil {
		return c.gone(id, rename(err, katapultName))
	}
	return c.write(annotated{c.katapultToken(tok, nil), []string{}})
}

// changed changes the Spec of a token, and returns every problem of what is given. What is
// kept is none: an expiry may be beyond a bound that was set later, and a prefix not be the
// issuer's any more.
func (a *Adapter) changed(p katapultProperties, spec *remint.Spec) error {
	var f form
	was := spec.ExpiresAt
	p.put(&f, spec)
	f.also(rename(a.issuer.CheckSpec(*spec), func(field, index string) string {
		if field == "Prefix" || field == "ExpiresAt" && spec.ExpiresAt.Equal(was) {
			return ""
		}
		return katapultName(field, index)
	}))
	return f.err()
}

// destroy revokes a token. One that has expired can be, as it is listed; one that was
// revoked is gone.
func (k katapult) destroy(c *call) error {
	ctx := c.r.Context()
	if _, err := c.actor.Get(ctx, c.self); err != nil {
		return err
	}
	id, err := c.namedToken()
	if err != nil {
		return err
	}
	tok, err := c.actor.Get(ctx, id)
	if err != nil {
		return err
	}
	if !tok.State().RevokedAt.IsZero() {
		return remint.ErrNotFound // and stays so
	}
	if err := c.actor.Revoke(ctx, id); err != nil {
		return err
	}
	type deleted struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	return c.write(struct {
		APIToken deleted `json:"api_token"`
	}{deleted{id.String(), tok.Name()}})
}

// regenerate is judged once, with its body: it is what a service that rotates its secrets
// calls again and again.
func (k katapult) regenerate(c *call) error {
	id, err := c.namedToken()
	if err != nil {
		return c.refuse(err)
	}
	grant, err := c.actor.Rotate(c.r.Context(), id, remint.Rotation{Retire: k.Retire})
	if err != nil {
		return c.gone(id, err)
	}
	return c.writeSecret(grant, func(tok remint.Token, secret string) any {
		return struct {
			APIToken katapultToken `json:"api_token"`
		}{c.katapultToken(tok, &secret)}
	})
}

// namedToken reads a body that names a token and says no more.
func (c *call) namedToken() (remint.ID, error) {
	body, err := c.object(true)
	if err != nil {
		return remint.ID{}, err
	}
	var f form
	text, err := readTokenLookup(&f, body, c.r.PathValue("word"))
	if err != nil {
		return remint.ID{}, err
	}
	if len(f.problems) > 0 {
		return remint.ID{}, invalidArguments(f)
	}
	return remint.ParseID(text)
}
