package httpadapter

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/remint-go/remint"
)

// Katapult configures its routes. The zero value and nil do as documented: a regenerated
// token keeps its ID, and its old secret stops at once.
type Katapult struct {
	// Prefix is that of the tokens which are created here: one of
	// [remint.Options.Prefixes]. Empty: the first of them.
	Prefix string

	// Retire is when a regenerated token's old secret stops. Zero: at once.
	Retire remint.Retirement

	// OAuthPrefix may stand before a scope that a token holds, as in
	// "api.katapult.io/core/v1/api_tokens". Empty: "api.katapult.io/core/v1/", the
	// x-scope-prefix of the published description.
	OAuthPrefix string
}

// MountKatapult mounts POST /core/v1/api_tokens/api_token/regenerate_secret, with any word
// for api_token, and POST /core/v1/organizations/organization/api_tokens. It panics if o
// cannot be used, or the issuer does not have its prefix.
func (a *Adapter) MountKatapult(mux Mux, o *Katapult) {
	var k katapult
	if o != nil {
		k.Katapult = *o
	}
	k.Prefix = a.prefixOf("Katapult.Prefix", k.Prefix, "")
	mustRetire("Katapult.Retire", k.Retire)
	k.OAuthPrefix = cmp.Or(k.OAuthPrefix, "api.katapult.io/core/v1/")
	errs := katapultErrors{"api_tokens"}
	needs := []remint.Capability{"api_tokens", remint.Capability(k.OAuthPrefix + "api_tokens")}
	remint.Allow(needs...) // panics here if OAuthPrefix cannot be part of a capability
	a.mount(mux, sources{second: true}, []route{
		{method: http.MethodPost, path: "/core/v1/organizations/organization/api_tokens", needs: needs, format: errs, serve: k.create},
		{method: http.MethodPost, path: "/core/v1/api_tokens/{word}/regenerate_secret", needs: needs, format: errs, serve: k.regenerate},
	}, "/core/v1/api_tokens", "/core/v1/api_tokens/")
}

type katapult struct{ Katapult }

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
	properties := body.get("properties")
	if properties.absent() {
		return missingArgument("properties")
	}
	spec := remint.Spec{Prefix: k.Prefix}
	var addresses, scopes []string
	if f.object(properties, "properties") {
		spec.Name = f.text(properties.get("name"), "name")
		spec.ExpiresAt = f.unix(properties.get("expires_at"), "expires_at")
		addresses = f.texts(properties.get("authorized_ip_addresses"), "authorized_ip_addresses")
		scopes = f.texts(properties.get("scopes"), "scopes")
	}
	if len(f.problems) > 0 {
		return invalidArguments(f)
	}
	// The owner is the caller's, and never changes: what is compared here stays so.
	if organization != caller.Owner() {
		return noOrganization
	}
	if spec.Networks = readNetworks(&f, addresses); len(addresses) == 0 {
		spec.Networks = caller.Spec().Networks // no caller's token can be used from elsewhere than it
	}
	spec.Capabilities = readScopes(&f, scopes)
	f.also(rename(c.a.issuer.CheckSpec(spec), katapultName))
	if err := f.err(); err != nil {
		return err
	}
	grant, err := c.actor.Issue(ctx, spec)
	if err != nil {
		return rename(err, katapultName)
	}
	return c.writeSecret(grant, func(tok remint.Token, secret string) any {
		return struct {
			APIToken    katapultToken `json:"api_token"`
			Annotations []string      `json:"annotations"`
		}{newKatapultToken(tok, &secret), []string{}}
	})
}

func (k katapult) regenerate(c *call) error {
	body, err := c.object(true)
	if err != nil {
		return c.refuse(err)
	}
	text := c.r.PathValue("word")
	if lookup := body.get("api_token"); !lookup.absent() {
		var f form
		if f.object(lookup, "api_token") {
			text = f.text(lookup.get("id"), "api_token")
			if lookup.get("id").absent() {
				f.wrong("api_token", "has no id")
			}
		}
		if len(f.problems) > 0 {
			return c.refuse(invalidArguments(f))
		}
	}
	id, err := remint.ParseID(text)
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
		}{newKatapultToken(tok, &secret)}
	})
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

// readNetworks reads addresses and CIDR prefixes. A prefix is stored without the bits that
// it does not look at, and IPv4 addresses that are mapped into IPv6 as IPv4.
func readNetworks(f *form, texts []string) (list []netip.Prefix) {
	for i, text := range texts {
		p, ok := parseNetwork(text)
		if !ok {
			f.wrong(fmt.Sprintf("authorized_ip_addresses[%d]", i), "%s is neither an IP address nor a CIDR prefix", quote(text))
			continue
		}
		list = append(list, p)
	}
	return list
}

func parseNetwork(text string) (netip.Prefix, bool) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	return plainPrefix(p)
}

// networkText is the inverse of parseNetwork: a single address has no prefix length.
func networkText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

// readScopes reads scopes, which are capabilities as they are.
func readScopes(f *form, texts []string) remint.Capabilities {
	caps, err := remint.ParseCapabilities(texts)
	f.also(rename(err, katapultName))
	return caps
}

// katapultName returns the format's name for a field of a Spec.
func katapultName(field, index string) string {
	switch field {
	case "Name":
		return "name"
	case "ExpiresAt":
		return "expires_at"
	case "Networks":
		return "authorized_ip_addresses" + index
	case "Capabilities":
		return "scopes" + index
	}
	return field
}

// A katapultToken is the documented api_token.
type katapultToken struct {
	ID             string   `json:"id"`
	Name           string   `json:"name"`
	OrganizationID *string  `json:"organization_id"`
	Addresses      []string `json:"authorized_ip_addresses"`
	ExpiresAt      *int64   `json:"expires_at"`
	RateLimit      int      `json:"rate_limit"`
	Scopes         []string `json:"scopes"`
	Secret         *string  `json:"secret"`
}

// newKatapultToken renders a token; a nil secret is one that is not being shown. Its
// rate_limit is 0: any number of requests.
func newKatapultToken(tok remint.Token, secret *string) katapultToken {
	spec := tok.Spec()
	t := katapultToken{
		ID:        tok.ID().String(),
		Name:      spec.Name,
		Addresses: []string{},
		Scopes:    []string{},
		Secret:    secret,
	}
	if spec.Owner != "" {
		t.OrganizationID = &spec.Owner
	}
	for _, p := range spec.Networks {
		t.Addresses = append(t.Addresses, networkText(p))
	}
	if at := tok.ExpiresAt(); !at.IsZero() {
		unix := at.Unix()
		t.ExpiresAt = &unix
	}
	for c := range spec.Capabilities.All() {
		t.Scopes = append(t.Scopes, string(c))
	}
	return t
}
