package soak

import (
	"fmt"
	"slices"
	"strings"
)

// Axiom's routes.

func (c *client) axiom(kind, method, path, bearer string, expect func(*run) outcome) *act {
	a := &act{kind: "Axiom " + kind, format: axiomFormat, method: method, path: "/v2/tokens" + path, bearer: bearer, expect: expect}
	switch c.rng.IntN(16) {
	case 0:
		a.with("X-Axiom-Org-Id", c.owner)
	case 1:
		a.with("X-Axiom-Org-Id", "client-elsewhere")
		a.expect = func(r *run) outcome {
			if _, why := r.present(bearer, axiomNeeds[kind]); why != ok {
				return refuse(why)
			}
			return refuse(beyond)
		}
	}
	return a
}

var axiomNeeds = map[string]string{
	"list": "org:apiTokens:read", "create": "org:apiTokens:create", "get": "org:apiTokens:read", "delete": "org:apiTokens:delete",
	"regenerate": "org:apiTokens:update",
}

// axiomCaps are sets of capabilities in these routes' words and in ours.
var axiomCaps = []struct {
	words map[string]any
	caps  []string
}{
	{map[string]any{"orgCapabilities": map[string]any{"apiTokens": []string{"read", "update"}}}, []string{"org:apiTokens:read", "org:apiTokens:update"}},
	{map[string]any{"datasetCapabilities": map[string]any{"logs": map[string]any{"ingest": []string{"create"}, "query": []string{"read"}}}},
		[]string{"dataset:logs:ingest:create", "dataset:logs:query:read"}},
	{map[string]any{"orgCapabilities": map[string]any{"users": []string{"read"}}, "viewCapabilities": map[string]any{"v1": map[string]any{"query": []string{"read"}}}},
		[]string{"org:users:read", "view:v1:query:read"}},
}

// axiomToken holds a token as these routes show it.
func axiomToken(t *token, m map[string]any) string {
	return firstOf(
		t.known(str(m, "id")), is("the name", str(m, "name"), t.name), moment("expiresAt", str(m, "expiresAt"), t.stops()),
		sameCaps(axiomWords(m), axiomHas(t.caps)),
	)
}

// axiomWords are the capabilities in an answer.
func axiomWords(m map[string]any) (list []string) {
	add := func(path string, v any) {
		resources, _ := v.(map[string]any)
		for resource, verbs := range resources {
			for _, verb := range texts(verbs) {
				list = append(list, path+":"+resource+":"+verb)
			}
		}
	}
	add("org", m["orgCapabilities"])
	for _, kind := range []string{"dataset", "view"} {
		for name, v := range obj(m, kind+"Capabilities") {
			add(kind+":"+name, v)
		}
	}
	return list
}

// axiomHas are those of a token's capabilities that these routes have words for.
func axiomHas(caps []string) []string {
	return slices.DeleteFunc(slices.Clone(caps), func(x string) bool {
		n := strings.Count(x, ":")
		return !(strings.HasPrefix(x, "org:") && n == 2 || (strings.HasPrefix(x, "dataset:") || strings.HasPrefix(x, "view:")) && n == 3)
	})
}

func (c *client) axiomGrant(r *run, d demand) outcome {
	g := r.grant(d)
	return outcome{why: g.why, or: g.or, show: func(s *reply) string {
		return firstOf(r.shows(g, str(s.object, "id"), str(s.object, "token")), axiomToken(r.w.get(g.t.n), s.object))
	}}
}

func (c *client) axiomCreate(text string, which int, name string, expires bound, key string) *act {
	need := axiomNeeds["create"]
	var a *act
	a = c.axiom("create", "POST", "", text, func(r *run) outcome {
		who, why := r.present(text, need)
		if why != ok {
			return refuse(why)
		}
		if expires.set() && r.over(expires) {
			return refuse(invalid)
		}
		r.later()
		nets := who.cred.nets
		return c.axiomGrant(r, demand{text: text, needs: []string{need}, retry: a.retry("create axiom " + name), do: func(who *caller) (*token, class) {
			t, why := r.issue(who, spec{prefix: axiomPrefix, name: name, caps: axiomCaps[which].caps, nets: nets, expires: expires}, nil)
			if why == ok {
				r.secretFor(t, who.retry == nil)
			}
			return t, why
		}})
	})
	a.then = func(s *reply) { c.tell(str(s.object, "token")) }
	return a.json(axiomBody(which, name, expires)).keyed(key)
}

func axiomBody(which int, name string, expires bound) map[string]any {
	body := map[string]any{"name": name, "description": "of the soak"}
	for k, v := range axiomCaps[which].words {
		body[k] = v
	}
	if expires.set() {
		body["expiresAt"] = formatTime(expires.lo)
	}
	return body
}

func (c *client) axiomCreateSome() *act {
	return c.axiomCreate(c.boss(), c.rng.IntN(len(axiomCaps)), c.named(), c.someExpiry(), c.someKey())
}

func (c *client) axiomList(text string) *act {
	return c.axiom("list", "GET", "", text, func(r *run) outcome {
		who, why := r.present(text, axiomNeeds["list"])
		if why != ok {
			return refuse(why)
		}
		return outcome{why: ok, show: func(s *reply) string {
			if s.list == nil {
				return "it should be a list"
			}
			return r.list(listing{shown: entries(s.list, func(m map[string]any) entry {
				return entry{id: str(m, "id"), name: str(m, "name"), prefix: axiomPrefix, check: func(_ *run, t *token) string { return axiomToken(t, m) }}
			})}, r.beside(&who, axiomPrefix))
		}}
	})
}

func (c *client) axiomGet(text, id string) *act {
	return c.axiom("get", "GET", "/"+id, text, func(r *run) outcome {
		if _, why := r.present(text, axiomNeeds["get"]); why != ok {
			return refuse(why)
		}
		t := r.target(id)
		if t == nil || t.revoked.set() {
			return refuse(absent)
		}
		return outcome{why: ok, show: func(s *reply) string { return axiomToken(t, s.object) }}
	})
}

func (c *client) axiomDelete(text, id string) *act {
	return c.axiom("delete", "DELETE", "/"+id, text, func(r *run) outcome {
		who, why := r.present(text, axiomNeeds["delete"])
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
		return outcome{why: ok, status: 204}
	})
}

// axiomRegenerate issues a successor. at is when the old token stops; which is what the new one may do, -1 for the
// same; expires is when it does, nil for the same.
func (c *client) axiomRegenerate(text, id string, at int64, which int, expires *bound, gently bool, key string) *act {
	need := axiomNeeds["regenerate"]
	how := rotation{retire: retirement{at: at}, succ: &successor{expires: expires}}
	if gently {
		how.retire.past = &retirement{firstUse: true, grace: gentleTime}
	}
	body := map[string]any{"existingTokenExpiresAt": formatTime(at)}
	if expires != nil {
		body["newTokenExpiresAt"] = formatTime(expires.lo)
	}
	name := c.named()
	if which >= 0 {
		body["newToken"] = axiomBody(which, name, bound{})
		s := spec{name: name, caps: axiomCaps[which].caps}
		if expires != nil {
			s.expires = *expires
		}
		how.succ = &successor{spec: &s, inherit: true}
	}
	what := fmt.Sprint("regenerate ", id, body, gently)
	var a *act
	a = c.axiom("regenerate", "POST", "/"+id+"/regenerate", text, func(r *run) outcome {
		if expires != nil && r.over(*expires) {
			if _, why := r.present(text, need); why != ok {
				return refuse(why)
			}
			return refuse(invalid)
		}
		r.later()
		retry := a.retry(what)
		if key == "" {
			retry = implicitly(what)
		}
		o := c.axiomGrant(r, demand{text: text, needs: []string{need}, retry: retry, rotates: id, do: func(who *caller) (*token, class) {
			return r.rotate(who, id, how)
		}})
		r.gone(id, &o)
		return o
	})
	a.then = func(s *reply) { c.tell(str(s.object, "token")) }
	a.repeats = true
	return a.json(body).gently(gently).keyed(key)
}

// implicitly is a request that is known by itself.
func implicitly(what string) *retry { return &retry{what: what, implicit: true, window: repeatable} }

func (c *client) axiomSome() *act {
	t := c.someOf(axiomPrefix)
	if t == nil {
		return nil
	}
	text := c.bossOrNot()
	switch c.rng.IntN(8) {
	case 0:
		return c.axiomList(text)
	case 1, 2:
		return c.axiomGet(text, t.id)
	case 3:
		if t.isMaster() {
			return nil
		}
		return c.axiomDelete(text, t.id)
	}
	if own := c.textOf(t); own != "" && c.rng.IntN(3) == 0 {
		text = own
	}
	at, which := int64(1e15), -1
	if c.rng.IntN(2) == 0 {
		at = now() + c.rng.Int64N(2e6)
	}
	var expires *bound
	if !t.isMaster() {
		if c.rng.IntN(3) == 0 {
			which = c.rng.IntN(len(axiomCaps))
		}
		if b := c.someExpiry(); b.set() {
			expires = &b
		}
	}
	return c.axiomRegenerate(text, t.id, at, which, expires, c.rng.IntN(2) == 0, c.someKey())
}
