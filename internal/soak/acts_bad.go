package soak

import "strings"

// Requests that nobody can be served with: each changes nothing.

// A mistake is one of them. needs is what the route demands of a caller before it looks at what is wrong; a
// mistake that is no route's is not judged at all.
type mistake struct {
	format             *format
	method, path, body string
	header             [2]string
	needs              string
	judged             bool
	why                class
}

var huge = `{"name":"` + strings.Repeat("x", 66<<10) + `"}`

var (
	asJSON = [2]string{"Content-Type", "application/json"}
	asText = [2]string{"Content-Type", "text/plain"}
)

var mistakes = []mistake{
	{format: nativeFormat, method: "PUT", path: "/v1/tokens", why: noMethod},
	{format: nativeFormat, method: "GET", path: "/v1/tokens/self/nothing", why: noRoute},
	{format: nativeFormat, method: "POST", path: "/v1/tokens", body: `{"nmae":"ci"}`, header: asJSON, needs: "tokens:create", judged: true, why: invalid},
	{format: nativeFormat, method: "POST", path: "/v1/tokens", body: `{"name":`, header: asJSON, needs: "tokens:create", judged: true, why: badBody},
	{format: nativeFormat, method: "POST", path: "/v1/tokens", body: `name=ci`, header: asText, needs: "tokens:create", judged: true, why: badType},
	{format: nativeFormat, method: "POST", path: "/v1/tokens", body: huge, header: asJSON, needs: "tokens:create", judged: true, why: tooLarge},
	{format: nativeFormat, method: "POST", path: "/v1/tokens/self/rotate", header: [2]string{"Idempotency-Key", "bare"}, needs: "tokens:update", judged: true, why: badKey},
	{format: nativeFormat, method: "POST", path: "/v1/tokens/self/rotate", body: `{"retire":"never"}`, header: asJSON, judged: true, why: invalid},
	{format: nativeFormat, method: "POST", path: "/v1/tokens/self/sessions", body: `{"lifetime":0}`, header: asJSON, needs: "tokens:create", judged: true, why: invalid},
	{format: nativeFormat, method: "GET", path: "/v1/tokens?limit=0", needs: "tokens:read", judged: true, why: invalid},
	{format: nativeFormat, method: "DELETE", path: "/v1/tokens/self", header: [2]string{"If-Match", `"1"`}, judged: true, why: badBody},
	{format: nativeFormat, method: "GET", path: "/v1/tokens/nonsense", needs: "tokens:read", judged: true, why: absent},
	{format: oauthFormat, method: "POST", path: "/v1/introspect", body: `{"token":"x"}`, header: asJSON, needs: "tokens:read", judged: true, why: badType},
	{format: oauthFormat, method: "POST", path: "/v1/revoke", judged: true, why: invalid},
	{format: axiomFormat, method: "PUT", path: "/v2/tokens", why: noMethod},
	{format: axiomFormat, method: "POST", path: "/v2/tokens", body: `{}`, header: asJSON, needs: "org:apiTokens:create", judged: true, why: invalid},
	{format: axiomFormat, method: "POST", path: "/v2/tokens", body: `[1`, header: asJSON, needs: "org:apiTokens:create", judged: true, why: badBody},
	{format: axiomFormat, method: "POST", path: "/v2/tokens/nonsense/regenerate", body: `{"existingTokenExpiresAt":"soon"}`, header: asJSON, needs: "org:apiTokens:update", judged: true, why: invalid},
	{format: axiomFormat, method: "GET", path: "/v2/tokens/nonsense", needs: "org:apiTokens:read", judged: true, why: absent},
	{format: katapultFormat, method: "PUT", path: "/core/v1" + katapultAll, why: noMethod},
	{format: katapultFormat, method: "POST", path: "/core/v1" + katapultAll, body: `{"properties":{}}`, header: asJSON, needs: "api_tokens", judged: true, why: noArgument},
	{format: katapultFormat, method: "POST", path: "/core/v1" + katapultAll, body: `{`, header: asJSON, needs: "api_tokens", judged: true, why: badBody},
	{format: katapultFormat, method: "DELETE", path: "/core/v1/api_tokens/nonsense", needs: "api_tokens", judged: true, why: absent},
	{format: pawRoutes, method: "PUT", path: "/api/token/regenerate", why: noMethod},
	{format: pawRoutes, method: "POST", path: "/api/v1/auth/api-keys", body: `{"name":""}`, header: asJSON, needs: "admin", judged: true, why: invalid},
	{format: pawRoutes, method: "POST", path: "/api/v1/auth/api-keys", body: `{"name":"x","scopes":["root"]}`, header: asJSON, needs: "admin", judged: true, why: badBody},
	{format: pawRoutes, method: "DELETE", path: "/api/auth/api-keys/nonsense", needs: "admin", judged: true, why: absent},
	{format: pawLogin, method: "POST", path: "/api/auth/login", body: `"token"`, header: asJSON, why: badBody},
}

// blunder makes one of these mistakes, with a credential of any kind.
func (c *client) blunder() *act {
	m := mistakes[c.rng.IntN(len(mistakes))]
	text := c.anyText()
	a := &act{kind: "bad input, " + m.method + " " + m.path, format: m.format, method: m.method, path: m.path, bearer: text, body: m.body, expect: func(r *run) outcome {
		if !m.judged {
			return refuse(m.why)
		}
		var needs []string
		if m.needs != "" {
			needs = []string{m.needs}
		}
		if _, why := r.present(text, needs...); why != ok {
			return refuse(why)
		}
		return refuse(m.why)
	}}
	if m.header[0] != "" {
		a.with(m.header[0], m.header[1])
	}
	return a
}

// trespass uses the ID, or the secret, of another client's token: it is as unknown as one that is not there.
func (c *client) trespass() *act {
	other := c.board.pick(c.k, c.rng)
	if other.id == "" || other.text == "" {
		return nil
	}
	text := c.boss()
	switch c.rng.IntN(10) {
	case 0:
		return c.nativeGet(text, other.id)
	case 1:
		return c.nativeDelete(text, other.id)
	case 2:
		return c.nativeRotate(text, other.id, rotation{retire: retirement{firstUse: true}}, false, c.someKey())
	case 3:
		return c.nativeSession(text, other.id, session{lifetime: pawSession}, c.someKey())
	case 4:
		return c.introspect(text, other.text, here)
	case 5:
		return c.nativeRevoke(text, other.text)
	case 6:
		return c.axiomRegenerate(text, other.id, now(), -1, nil, false, c.someKey())
	case 7:
		return c.katapultRegenerate(text, other.id, false, c.someKey())
	case 8:
		return c.rotateKey(text, other.id, false, c.someKey())
	}
	return c.nativeList(text, other.id, true, false, 10, "")
}
