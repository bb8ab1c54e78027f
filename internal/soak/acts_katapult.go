package soak

import "strings"

// Katapult's routes.

func (c *client) katapult(kind, method, path, bearer string, expect func(*run) outcome) *act {
	return &act{kind: "Katapult " + kind, format: katapultFormat, method: method, path: "/core/v1" + path, bearer: bearer, expect: expect}
}

const katapultAll = "/organizations/organization/api_tokens"

// katapultToken holds a token as these routes show it.
func (c *client) katapultToken(t *token, m map[string]any) string {
	limit, _ := m["rate_limit"].(float64)
	return firstOf(
		t.known(str(m, "id")), is("the name", str(m, "name"), t.name), is("organization_id", str(m, "organization_id"), c.owner),
		sameCaps(texts(m["scopes"]), t.caps), sameCaps(texts(m["authorized_ip_addresses"]), t.nets),
		unix("expires_at", m["expires_at"], t.stops()), is("rate_limit", int(limit), t.limit),
	)
}

func (c *client) katapultGrant(r *run, d demand) outcome {
	g := r.grant(d)
	return outcome{why: g.why, or: g.or, show: func(s *reply) string {
		m := obj(s.object, "api_token")
		return firstOf(r.shows(g, str(m, "id"), str(m, "secret")), c.katapultToken(r.w.get(g.t.n), m))
	}}
}

func (c *client) katapultCreate(text string, s spec, owner, key string) *act {
	var a *act
	a = c.katapult("create", "POST", katapultAll, text, func(r *run) outcome {
		who, why := r.present(text, "api_tokens")
		switch {
		case why != ok:
			return refuse(why)
		case owner != c.owner:
			return refuse(noOwner)
		case s.expires.set() && r.over(s.expires):
			return refuse(invalid)
		}
		r.later()
		s := s
		if s.nets == nil {
			s.nets = who.cred.nets
		}
		return c.katapultGrant(r, demand{text: text, needs: []string{"api_tokens"}, retry: a.retry("create katapult " + s.name), do: func(who *caller) (*token, class) {
			t, why := r.issue(who, s, nil)
			if why == ok {
				r.secretFor(t, who.retry == nil)
			}
			return t, why
		}})
	})
	properties := map[string]any{"name": s.name, "scopes": s.caps}
	if s.expires.set() {
		properties["expires_at"] = s.expires.lo / 1e6
	}
	if s.nets != nil {
		properties["authorized_ip_addresses"] = s.nets
	}
	a.then = c.tellKatapult
	return a.json(map[string]any{"organization": map[string]any{"id": owner}, "properties": properties}).keyed(key)
}

func (c *client) tellKatapult(s *reply) { c.tell(str(obj(s.object, "api_token"), "secret")) }

func (c *client) katapultCreateSome() *act {
	s := spec{prefix: katapultPrefix, name: c.named(), caps: nativeCaps[c.rng.IntN(len(nativeCaps))]}
	switch c.rng.IntN(8) {
	case 0:
		s.nets = []string{here}
	case 1:
		s.nets = []string{there}
	}
	if c.rng.IntN(2) == 0 {
		s.expires = exactly((now()/1e6 + 1 + c.rng.Int64N(3)) * 1e6)
	}
	owner := c.owner
	if c.rng.IntN(12) == 0 {
		owner = "client-elsewhere"
	}
	return c.katapultCreate(c.boss(), s, owner, c.someKey())
}

func (c *client) katapultList(text string) *act {
	return c.katapult("list", "GET", katapultAll+"?per_page=200&organization[id]="+strings.ReplaceAll(c.owner, "'", "%27"), text, func(r *run) outcome {
		who, why := r.present(text, "api_tokens", "api_tokens:read")
		if why != ok {
			return refuse(why)
		}
		return outcome{why: ok, show: func(s *reply) string {
			return r.list(listing{shown: entries(s.object["api_tokens"], func(m map[string]any) entry {
				return entry{id: str(m, "id"), name: str(m, "name"), prefix: katapultPrefix, check: func(_ *run, t *token) string { return c.katapultToken(t, m) }}
			})}, r.beside(&who, katapultPrefix))
		}}
	})
}

// katapultPatch changes the name and, unless it is nil, the scopes.
func (c *client) katapultPatch(text, id string, caps []string) *act {
	name := c.named()
	a := c.katapult("patch", "PATCH", "/api_tokens/"+id, text, func(r *run) outcome {
		if _, why := r.present(text, "api_tokens"); why != ok {
			return refuse(why)
		}
		r.later()
		who, why := r.present(text, "api_tokens")
		if why != ok {
			return refuse(why)
		}
		t, why := r.update(&who, id, name, caps, 0)
		o := outcome{why: why, show: func(s *reply) string { return c.katapultToken(t, obj(s.object, "api_token")) }}
		r.gone(id, &o)
		return o
	})
	properties := map[string]any{"name": name}
	if caps != nil {
		properties["scopes"] = caps
	}
	return a.json(map[string]any{"properties": properties})
}

func (c *client) katapultDelete(text, id string) *act {
	return c.katapult("delete", "DELETE", "/api_tokens/"+id, text, func(r *run) outcome {
		who, why := r.present(text, "api_tokens")
		if why != ok {
			return refuse(why)
		}
		t := r.target(id)
		if t == nil || t.revoked.set() {
			return refuse(absent)
		}
		if why := who.mayRevoke(t); why != ok {
			return refuse(why)
		}
		r.revoke(t)
		return outcome{why: ok, show: func(s *reply) string {
			m := obj(s.object, "api_token")
			return firstOf(is("the ID", str(m, "id"), t.id), is("the name", str(m, "name"), t.name))
		}}
	})
}

func (c *client) katapultRegenerate(text, id string, gently bool, key string) *act {
	how := rotation{}
	if gently {
		how.retire.after = gentleTime
	}
	var a *act
	a = c.katapult("regenerate", "POST", "/api_tokens/api_token/regenerate_secret", text, func(r *run) outcome {
		what := "regenerate " + id
		if gently {
			what += " gently"
		}
		o := c.katapultGrant(r, demand{text: text, needs: []string{"api_tokens"}, retry: a.retry(what), rotates: id, do: func(who *caller) (*token, class) {
			return r.rotate(who, id, how)
		}})
		r.gone(id, &o)
		return o
	})
	a.then = c.tellKatapult
	return a.json(map[string]any{"api_token": map[string]any{"id": id}}).gently(gently).keyed(key)
}

func (c *client) katapultSome() *act {
	t := c.someOf(katapultPrefix)
	if t == nil {
		return nil
	}
	text := c.bossOrNot()
	switch c.rng.IntN(8) {
	case 0:
		return c.katapultList(text)
	case 1, 2:
		return c.katapultPatch(text, t.id, c.someCaps(t))
	case 3:
		if t.isMaster() {
			return nil
		}
		return c.katapultDelete(text, t.id)
	}
	if own := c.textOf(t); own != "" && c.rng.IntN(3) == 0 {
		text = own
	}
	return c.katapultRegenerate(text, t.id, c.rng.IntN(2) == 0, c.someKey())
}

// gone tells, of a token that cannot be changed as it has ended, one that was revoked from others.
func (r *run) gone(id string, o *outcome) {
	if o.why != over {
		return
	}
	r.later()
	switch t := r.target(id); {
	case t == nil:
		o.why, o.or = absent, over // it was swept in between
	case t.revoked.set():
		o.why = absent
	}
}
