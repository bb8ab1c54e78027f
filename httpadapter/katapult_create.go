package httpadapter

import "github.com/remint-go/remint"

func (k katapult) create(c *call) error {
	// Credential and scope first, then types, the organization, and what the values say.
	ctx := c.r.Context()
	caller, err := c.actor.Get(ctx, c.self)
	if err != nil {
		return err
	}
	body, err := c.object(true)
	if err != nil {
		return err
	}
	var f form
	organization, err := readOrganization(&f, body.get("organization"))
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
	// The owner is the caller's, and never changes: what is compared here stays so.
	if organization != caller.Owner() {
		return noOrganization
	}
	spec := remint.Spec{Prefix: k.Prefix}
	if p.put(&f, &spec); len(p.addresses) == 0 {
		spec.Networks = caller.Spec().Networks // no caller's token can be used from elsewhere than it
	}
	f.also(rename(c.a.issuer.CheckSpec(spec), katapultName))
	if err := f.err(); err != nil {
		return err
	}
	grant, err := c.actor.Issue(ctx, spec)
	if err != nil {
		return rename(err, katapultName)
	}
	return c.writeSecret(grant, func(tok remint.Token, secret string) any {
		return annotated{c.katapultToken(tok, &secret), []string{}}
	})
}

// annotated is the answer to what creates a token or changes it. Annotations are accepted
// and not kept: there are none.
type annotated struct {
	APIToken    katapultToken `json:"api_token"`
	Annotations []string      `json:"annotations"`
}

// readOrganization reads what names an organization: one of its id and its sub_domain,
// which are both the owner here.
func readOrganization(f *form, n node) (string, error) {
	if n.absent() {
		return "", missingArgument("organization")
	}
	if !f.object(n, "organization") {
		return "", nil
	}
	id, sub := n.get("id"), n.get("sub_domain")
	if id.absent() == sub.absent() {
		f.wrong("organization", "must have either an id or a sub_domain")
		return "", nil
	}
	if id.absent() {
		id = sub
	}
	return f.text(id, "organization"), nil
}
