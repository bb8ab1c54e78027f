package soak

// The service's own handlers.

// use presents a text to one of them.
func (c *client) use(text, path, need string) *act {
	var needs []string
	if need != "" {
		needs = []string{need}
	}
	return &act{kind: "app", format: appFormat, method: "GET", path: path, bearer: text, expect: func(r *run) outcome {
		who, why := r.present(text, needs...)
		return c.whoami(r, who, why)
	}}
}

func (c *client) whoami(r *run, who caller, why class) outcome {
	if why != ok {
		return refuse(why)
	}
	return outcome{why: ok, show: func(s *reply) string {
		t := who.cred
		return firstOf(
			t.known(str(s.object, "id")), is("the name", str(s.object, "name"), t.name), is("the owner", str(s.object, "owner"), c.owner),
			sameCaps(texts(s.object["capabilities"]), t.caps), is("session", s.object["session"], t.session),
			is("that it is deprecated", s.header.Get("Deprecation") != "", r.deprecated(t, who.held)),
		)
	}}
}

// deprecated reports whether a secret has been replaced, or its token, and works on.
func (r *run) deprecated(t *token, s secret) bool {
	if t.slots[newest].n != s.n {
		return !r.lapsed(t) || s.until.set()
	}
	return t.slots[newest].until.set() || t.until.set() || t.usedUp
}

// browse presents a text in the cookie: there, it must be a session's.
func (c *client) browse(text string) *act {
	a := c.use("", "/app/any", "")
	a.kind = "app, cookie"
	a.judges, a.cookie = text, true
	a.expect = func(r *run) outcome {
		who, why := r.presentInCookie(text)
		return c.whoami(r, who, why)
	}
	return a.with("Cookie", "pocketpaw_session="+text)
}

// nobody presents nothing.
func (c *client) nobody() *act {
	a := c.use("", "/app/any", "")
	a.kind = "app, nothing"
	a.expect = func(*run) outcome { return refuse(nothing) }
	return a
}

func (c *client) useSome() *act {
	text := c.anyText()
	switch c.rng.IntN(8) {
	case 0:
		return c.use(text, "/app/write", "app:write")
	case 1, 2, 3:
		return c.use(text, "/app/read", "app:read")
	case 4:
		return c.browse(c.aSession())
	}
	return c.use(text, "/app/any", "")
}

// forge presents what looks like a token.
func (c *client) forge() *act {
	text := c.anyText()
	if text == "" {
		return nil
	}
	body, prefix := []byte(text), text[:len(text)-textLen]
	switch c.rng.IntN(6) {
	case 0: // another secret, with its checksum
		for k := len(prefix) + idLen; k < len(body)-sumLen; k++ {
			body[k] = base62[c.rng.IntN(62)]
		}
		body = append(body[:len(body)-sumLen], checksum(string(body[:len(body)-sumLen]))...)
	case 1: // a checksum that is wrong
		body[len(body)-1] ^= 1
	case 2: // another ID
		body[len(prefix)+idLen-1] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[c.rng.IntN(32)]
		body = append(body[:len(body)-sumLen], checksum(string(body[:len(body)-sumLen]))...)
	case 3:
		body = body[:c.rng.IntN(len(body)-1)+1]
	case 4: // another prefix
		other := masterPrefix
		if prefix == other {
			other = nativePrefix
		}
		rest := other + text[len(prefix):len(text)-sumLen]
		body = []byte(rest + checksum(rest))
	default:
		body = append(body, body[len(body)-1])
	}
	if string(body) == text {
		return nil
	}
	forged := string(body)
	if c.rng.IntN(3) == 0 {
		return c.introspect(c.boss(), forged, "")
	}
	a := c.use(forged, "/app/any", "")
	a.kind = "app, forged"
	a.bearer = forged
	return a
}
