package httpadapter

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/remint-go/remint"
)

// katapultProperties are the documented APITokenArguments, of which each is there or not.
// null stands for the empty value, as the published server framework has it: what is not to
// change is left out.
type katapultProperties struct {
	named, expires, addressed, scoped bool // whether the key is there

	name      string
	expiresAt time.Time // zero: never
	addresses []string
	scopes    []string
}

// readProperties reads their types; what the values say is for put. Unknown keys are ignored.
func readProperties(f *form, n node) (p katapultProperties, err error) {
	if n.absent() {
		return p, missingArgument("properties")
	}
	if !f.object(n, "properties") {
		return p, nil
	}
	value := func(key string) (node, bool) { v := n.get(key); return v, v.kind != 0 }
	var v node
	v, p.named = value("name")
	p.name = f.text(v, "name")
	v, p.expires = value("expires_at")
	p.expiresAt = f.unix(v, "expires_at")
	v, p.addressed = value("authorized_ip_addresses")
	p.addresses = f.texts(v, "authorized_ip_addresses")
	v, p.scoped = value("scopes")
	p.scopes = f.texts(v, "scopes")
	return p, nil
}

// put puts into a Spec what is there, and collects what is wrong with it.
func (p *katapultProperties) put(f *form, spec *remint.Spec) {
	if p.named {
		spec.Name = p.name
	}
	// An expiry that is sent as it was shown is the one that it was: of that, a fraction of a
	// second was not shown.
	if p.expires && (p.expiresAt.IsZero() || spec.ExpiresAt.IsZero() || p.expiresAt.Unix() != spec.ExpiresAt.Unix()) {
		spec.ExpiresAt = p.expiresAt
	}
	if p.addressed {
		spec.Networks = readNetworks(f, p.addresses)
	}
	if p.scoped {
		spec.Capabilities = readScopes(f, p.scopes)
	}
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

// readScopes reads scopes, which are capabilities as they are: the prefix of OAuth is part
// of one.
func readScopes(f *form, texts []string) remint.Capabilities {
	caps, err := remint.ParseCapabilities(texts)
	f.also(rename(err, katapultName))
	return caps
}

// katapultName returns the format's name for a field of a Spec.
func katapultName(field, index string) string {
	switch field {
	case "Name":
		field = "name"
	case "ExpiresAt":
		field = "expires_at"
	case "Networks":
		field = "authorized_ip_addresses"
	case "Capabilities":
		field = "scopes"
	}
	return field + index
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

// katapultToken renders a token; a nil secret is one that is not being shown. rate_limit is
// in requests a minute, and 0 is any number.
func (c *call) katapultToken(tok remint.Token, secret *string) katapultToken {
	spec := tok.Spec()
	limit, err := c.a.limitOf(tok)
	if err != nil {
		// Its bearer is told that the service is unavailable. Who looks after it, or holds a
		// secret that will not be shown again, is not kept from that: the service hears of it.
		c.a.report(c.r, err)
	}
	t := katapultToken{
		ID:        tok.ID().String(),
		Name:      spec.Name,
		Addresses: []string{},
		RateLimit: limit,
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
