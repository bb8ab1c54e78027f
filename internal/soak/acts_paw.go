package soak

import (
	"strings"
)

// PocketPaw's routes.

func (c *client) paw(kind, method, path, bearer string, expect func(*run) outcome) *act {
	root := "/api"
	if c.rng.IntN(2) == 0 {
		root = "/api/v1"
	}
	return &act{kind: "PocketPaw " + kind, format: pawRoutes, method: method, path: root + path, bearer: bearer, expect: expect}
}

// pawRetire is when what these routes replace stops.
func pawRetire(gently bool) retirement {
	if gently {
		return retirement{firstUse: true, grace: gentleTime}
	}
	return retirement{}
}

// regenerate gives a master a new secret: the bearer's own, or its session's.
func (c *client) regenerate(text string, gently bool, key string) *act {
	var a *act
	a = c.paw("regenerate", "POST", "/token/regenerate", text, func(r *run) outcome {
		if key == "" {
			if _, why := r.present(text); why != ok {
				return refuse(why)
			}
			r.later()
		}
		master := r.w.byID(idIn(text))
		if master != nil && master.session {
			master = r.w.get(master.parent)
		}
		if master == nil {
			return refuse(denied)
		}
		if master.prefix != masterPrefix {
			if _, why := r.present(text); why != ok {
				return refuse(why)
			}
			return refuse(beyond)
		}
		id := master.id
		g := r.grant(demand{text: text, retry: a.retry("rotate " + id + " paw"), rotates: id, do: func(who *caller) (*token, class) {
			return r.rotate(who, id, rotation{retire: pawRetire(gently)})
		}})
		if g.why == denied && key == "" {
			g.why = conflict // it was live when it was looked at first
		}
		return outcome{why: g.why, or: g.or, show: func(s *reply) string { return r.shows(g, id, str(s.object, "token")) }}
	})
	a.then = func(s *reply) { c.tell(str(s.object, "token")) }
	return a.gently(gently).keyed(key)
}

func (c *client) regenerateSome() *act {
	text := c.textOf(c.some((*token).isMaster))
	if c.rng.IntN(3) == 0 {
		text = c.textOf(c.some(func(t *token) bool { return t.session && t.manages }))
	}
	if c.rng.IntN(8) == 0 {
		text = c.anyText()
	}
	if text == "" {
		return nil
	}
	return c.regenerate(text, c.rng.IntN(2) == 0, c.someKey())
}

// pawStart is what session and login do.
func (c *client) pawStart(r *run, text string, a *act) granted {
	who, why := r.present(text)
	if why == ok && who.cred.prefix != masterPrefix {
		why = denied
	}
	if why != ok {
		return granted{why: why}
	}
	r.later()
	id := who.cred.id
	return r.grant(demand{text: text, retry: a.retry("session " + id + " paw"), do: func(who *caller) (*token, class) {
		return r.startSession(who, id, session{lifetime: pawSession, manages: true})
	}})
}

func (c *client) pawSession(text, key string) *act {
	var a *act
	a = c.paw("session", "POST", "/auth/session", text, func(r *run) outcome {
		g := c.pawStart(r, text, a)
		return outcome{why: g.why, or: g.or, show: func(s *reply) string {
			text := str(s.object, "session_token")
			_, shown := s.object["expires_in_hours"].(float64)
			return firstOf(r.shows(g, idIn(text), text), is("expires_in_hours", shown, true))
		}}
	})
	a.format = pawExchange
	a.then = func(s *reply) { c.tell(str(s.object, "session_token")) }
	return a.keyed(key)
}

func (c *client) login(text, key string) *act {
	var a *act
	a = c.paw("login", "POST", "/auth/login", "", func(r *run) outcome {
		g := c.pawStart(r, text, a)
		return outcome{why: g.why, or: g.or, show: func(s *reply) string {
			text := cookieIn(s)
			return firstOf(r.shows(g, idIn(text), text), is("ok", s.object["ok"], true))
		}}
	})
	a.format = pawLogin
	a.then = func(s *reply) { c.tell(cookieIn(s)) }
	a.judges = text
	return a.json(map[string]any{"token": text}).keyed(key)
}

func cookieIn(s *reply) string {
	text, _, _ := strings.Cut(s.header.Get("Set-Cookie"), ";")
	return strings.TrimPrefix(text, "pocketpaw_session=")
}

func (c *client) pawSessionSome() *act {
	text := c.textOf(c.some((*token).isMaster))
	if c.rng.IntN(6) == 0 {
		text = c.anyText()
	}
	if text == "" {
		return nil
	}
	if c.rng.IntN(2) == 0 {
		return c.login(text, c.someKey())
	}
	return c.pawSession(text, c.someKey())
}

// logout ends a session, presented as a bearer or in the cookie.
func (c *client) logout(text string, inCookie bool) *act {
	bearer := text
	if inCookie {
		bearer = ""
	}
	a := c.paw("logout", "POST", "/auth/logout", bearer, func(r *run) outcome {
		present := r.present
		if inCookie {
			present = r.presentInCookie
		}
		who, why := present(text)
		if why != ok {
			return refuse(why)
		}
		done := outcome{why: ok, show: func(s *reply) string { return is("ok", s.object["ok"], true) }}
		if !inCookie {
			if r.later(); !r.lives(who.cred) {
				return done // it has ended by itself meanwhile
			}
		}
		if who.cred.session {
			r.revoke(who.cred)
		}
		return done
	})
	a.judges = text
	if a.cookie = inCookie; inCookie {
		a.with("Cookie", "pocketpaw_session="+text)
	}
	return a
}

func (c *client) logoutSome() *act {
	return c.logout(c.aSession(), c.rng.IntN(2) == 0)
}

var pawScopes = [][]string{nil, {"chat"}, {"admin"}, {"memory", "channels"}}

func (c *client) createKey(text string, s spec, key string) *act {
	var a *act
	a = c.paw("create key", "POST", "/auth/api-keys", text, func(r *run) outcome {
		who, why := r.present(text, "admin")
		if why != ok {
			return refuse(why)
		}
		if s.expires.set() && r.over(s.expires) {
			return refuse(invalid)
		}
		r.later()
		s := s
		s.nets = who.cred.nets
		if s.caps == nil {
			s.caps = []string{"chat", "sessions"}
		}
		g := r.grant(demand{text: text, needs: []string{"admin"}, retry: a.retry("create key " + s.name), do: func(who *caller) (*token, class) {
			t, why := r.issue(who, s, nil)
			if why == ok {
				r.secretFor(t, who.retry == nil)
			}
			return t, why
		}})
		return outcome{why: g.why, or: g.or, show: func(s *reply) string { return r.showsKey(g, s.object) }}
	})
	body := map[string]any{"name": s.name}
	if s.caps != nil {
		body["scopes"] = s.caps
	}
	if s.expires.set() {
		body["expires_at"] = formatTime(s.expires.lo)
	}
	a.then = func(s *reply) { c.tell(str(s.object, "key")) }
	a.vary = func() *act {
		s := s
		s.name += "-other"
		return c.createKey(text, s, key)
	}
	return a.json(body).keyed(key)
}

func (r *run) showsKey(g granted, m map[string]any) string {
	if why := r.shows(g, str(m, "id"), str(m, "key")); why != "" {
		return why
	}
	return pawKey(r.w.get(g.t.n), m)
}

// pawKey holds a key as these routes show it.
func pawKey(t *token, m map[string]any) string {
	if why := firstOf(
		t.known(str(m, "id")), is("the name", str(m, "name"), t.name), sameCaps(texts(m["scopes"]), t.caps),
		moment("created_at", str(m, "created_at"), t.made), moment("expires_at", str(m, "expires_at"), t.expires),
	); why != "" {
		return why
	}
	if t.expires.set() {
		t.expires = exactly(parseTime(str(m, "expires_at")))
	}
	return ""
}

func (c *client) createKeySome() *act {
	s := spec{prefix: keyPrefix, name: c.named(), caps: pawScopes[c.rng.IntN(len(pawScopes))], expires: c.someExpiry()}
	return c.createKey(c.boss(), s, c.someKey())
}

func (c *client) listKeys(text string) *act {
	return c.paw("list keys", "GET", "/auth/api-keys", text, func(r *run) outcome {
		who, why := r.present(text, "admin")
		if why != ok {
			return refuse(why)
		}
		under := place(&who)
		return outcome{why: ok, show: func(s *reply) string {
			if s.list == nil {
				return "it should be a list"
			}
			l := listing{shown: entries(s.list, func(m map[string]any) entry {
				return entry{id: str(m, "id"), name: str(m, "name"), prefix: keyPrefix, check: func(r *run, t *token) string {
					yes, no := r.either(func(x *run) bool { return x.isRevokedKey(t) })
					if shown := m["revoked"] == true; shown && !yes || !shown && !no {
						return is("revoked", shown, yes)
					}
					return pawKey(t, m)
				}}
			})}
			return r.list(l, func(x *run, t *token) bool { return t.parent == under && t.prefix == keyPrefix && !t.session })
		}}
	})
}

// isRevokedKey reports what PocketPaw calls so.
func (r *run) isRevokedKey(t *token) bool {
	why := r.ended(t)
	return why != "" && why != isExpired
}

// key returns the key that a path names, or nil: no other token is one.
func (r *run) key(id string) *token {
	t := r.target(id)
	if t == nil || t.prefix != keyPrefix {
		return nil
	}
	return t
}

func (c *client) deleteKey(text, id string) *act {
	return c.paw("delete key", "DELETE", "/auth/api-keys/"+id, text, func(r *run) outcome {
		who, why := r.present(text, "admin")
		if why != ok {
			return refuse(why)
		}
		t := r.key(id)
		if t == nil || r.isRevokedKey(t) {
			return refuse(absent)
		}
		if why := who.mayRevoke(t); why != ok {
			return refuse(why)
		}
		r.revoke(t)
		return outcome{why: ok, show: func(s *reply) string { return is("status", str(s.object, "status"), "ok") }}
	})
}

func (c *client) rotateKey(text, id string, gently bool, key string) *act {
	var a *act
	a = c.paw("rotate key", "POST", "/auth/api-keys/"+id+"/rotate", text, func(r *run) outcome {
		if key == "" {
			if _, why := r.present(text, "admin"); why != ok {
				return refuse(why)
			}
		}
		t := r.key(id)
		if t == nil {
			if _, why := r.present(text, "admin"); why != ok {
				return refuse(why)
			}
			return refuse(absent)
		}
		expired := r.ended(t) == isExpired
		r.later()
		g := r.grant(demand{text: text, needs: []string{"admin"}, retry: a.retry("rotate " + id + " paw"), rotates: id, do: func(who *caller) (*token, class) {
			return r.rotate(who, id, rotation{succ: &successor{}, retire: pawRetire(gently)})
		}})
		o := outcome{why: g.why, or: g.or, show: func(s *reply) string { return r.showsKey(g, s.object) }}
		switch {
		case g.why == over || g.why == conflict:
			r.later()
			switch t := r.key(id); {
			case t == nil:
				o.why, o.or = absent, over // it was swept in between
			case t.revoked.set() || r.replacedForGood(t):
				o.why = absent
			}
		case g.why == invalid && expired:
			o.why = expiredKey
		}
		return o
	})
	a.then = func(s *reply) { c.tell(str(s.object, "key")) }
	return a.gently(gently).keyed(key)
}

// replacedForGood reports whether a token has a successor that somebody has used or revoked.
func (r *run) replacedForGood(t *token) bool {
	if t.succ == 0 {
		return false
	}
	next := r.find(t.succ)
	if next == nil || next.revoked.set() {
		return true
	}
	_, unconfirmed, _ := r.view(next)
	return unconfirmed == nil
}

func (c *client) keySome() *act {
	t := c.some(func(t *token) bool { return t.id != "" && t.prefix == keyPrefix })
	if t == nil || c.rng.IntN(12) == 0 {
		if t = c.target(); t == nil {
			return nil
		}
	}
	text := c.boss()
	switch c.rng.IntN(5) {
	case 0:
		return c.listKeys(text)
	case 1:
		return c.deleteKey(text, t.id)
	}
	if own := c.textOf(t); own != "" && c.rng.IntN(4) == 0 {
		text = own
	}
	return c.rotateKey(text, t.id, c.rng.IntN(2) == 0, c.someKey())
}
