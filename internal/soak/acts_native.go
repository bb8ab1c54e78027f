package soak

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The native routes.

func (c *client) native(kind, method, path, bearer string, expect func(*run) outcome) *act {
	return &act{kind: "native " + kind, format: nativeFormat, method: method, path: "/v1" + path, bearer: bearer, expect: expect}
}

// nativeGrant is the outcome of a demand, as the native routes show it.
func (c *client) nativeGrant(r *run, d demand, status int) outcome {
	g := r.grant(d)
	return outcome{why: g.why, or: g.or, status: status, show: func(s *reply) string {
		t := r.w.get(g.t.n)
		if why := firstOf(r.shows(g, str(s.object, "id"), str(s.object, "secret")), r.nativeToken(c.owner, t, s.object)); why != "" {
			return why
		}
		return is("ETag", s.header.Get("ETag"), strconv.Quote(strconv.FormatInt(t.revision, 10)))
	}}
}

// tellSecret remembers the secret in an answer.
func (c *client) tellSecret(s *reply) { c.tell(str(s.object, "secret")) }

func (c *client) nativeCreate(text string, s spec, key string) *act {
	var a *act
	a = c.native("create", "POST", "/tokens", text, func(r *run) outcome {
		who, why := r.present(text, "tokens:create")
		if why != ok {
			return refuse(why)
		}
		if s.expires.set() && r.over(s.expires) {
			return refuse(invalid)
		}
		r.later()
		s := s
		if s.nets == nil {
			s.nets = who.cred.nets
		}
		return c.nativeGrant(r, demand{text: text, needs: []string{"tokens:create"}, retry: a.retry("create " + s.name), do: func(who *caller) (*token, class) {
			t, why := r.issue(who, s, nil)
			if why == absent {
				why = invalid // the parent
			}
			if why == ok {
				r.secretFor(t, who.retry == nil)
			}
			return t, why
		}}, 201)
	})
	body := map[string]any{"name": s.name, "capabilities": s.caps}
	if s.nets != nil {
		body["networks"] = s.nets
	}
	if s.expires.set() {
		body["expires_at"] = formatTime(s.expires.lo)
	}
	if s.parent != "" {
		body["parent"] = s.parent
	}
	a.then = c.tellSecret
	a.vary = func() *act {
		s := s
		s.name += "-other"
		return c.nativeCreate(text, s, key)
	}
	return a.json(body).keyed(key)
}

// named is a name that no other token has, so that one whose ID was lost is found by it.
func (c *client) named() string { return fmt.Sprintf("t%d", c.serial+1) }

func (c *client) someSpec(caps [][]string) spec {
	s := spec{prefix: nativePrefix, name: c.named(), caps: caps[c.rng.IntN(len(caps))], expires: c.someExpiry()}
	switch c.rng.IntN(12) {
	case 0:
		s.nets = []string{here}
	case 1:
		s.nets = []string{there}
	case 2:
		if p := c.some(func(t *token) bool { return t.id != "" && !t.session }); p != nil {
			s.parent = p.id
		}
	}
	return s
}

// someExpiry is soon, never or, now and then, over.
func (c *client) someExpiry() bound {
	switch x := c.rng.IntN(20); {
	case x == 0:
		return exactly(now() - 1e6)
	case x < 11:
		return exactly(now() + 50_000 + c.rng.Int64N(3e6))
	}
	return bound{}
}

var nativeCaps = [][]string{{}, {"app:read"}, {"app"}, {"app:read", "tokens:read"}, {"tokens", "app", "org:apiTokens", "api_tokens", "admin"}}

// someCaps are what a token may be changed to, nil for what it has. A master stays one.
func (c *client) someCaps(t *token) []string {
	if t.isMaster() || c.rng.IntN(2) == 0 {
		return nil
	}
	return nativeCaps[c.rng.IntN(len(nativeCaps))]
}

func (c *client) nativeCreateSome() *act {
	return c.nativeCreate(c.boss(), c.someSpec(nativeCaps), c.someKey())
}

func (c *client) nativeGet(text, id string) *act {
	subject, needs := c.subject(text, id, "tokens:read")
	return c.native("get", "GET", "/tokens/"+subject, text, func(r *run) outcome {
		if _, why := r.present(text, needs...); why != ok {
			return refuse(why)
		}
		return c.shown(r, r.target(id))
	})
}

// shown is the outcome of looking at a token.
func (c *client) shown(r *run, t *token) outcome {
	if t == nil {
		return refuse(absent)
	}
	return outcome{why: ok, show: func(s *reply) string { return r.nativeToken(c.owner, t, s.object) }}
}

// subject is how a path names a token: now and then by the word self, if it is one's own. Then nothing is needed.
func (c *client) subject(text, id string, needs ...string) (string, []string) {
	if idIn(text) == id && c.rng.IntN(2) == 0 {
		return "self", nil
	}
	return id, needs
}

func (c *client) nativePatch(text, id string, caps []string, revision int64) *act {
	name := c.named()
	a := c.native("patch", "PATCH", "/tokens/"+id, text, func(r *run) outcome {
		if _, why := r.present(text, "tokens:update"); why != ok {
			return refuse(why)
		}
		r.later()
		who, why := r.present(text, "tokens:update")
		if why != ok {
			return refuse(why)
		}
		t, why := r.update(&who, id, name, caps, revision)
		if why != ok {
			return refuse(why)
		}
		return c.shown(r, t)
	})
	body := map[string]any{"name": name}
	if caps != nil {
		body["capabilities"] = caps
	}
	if revision != 0 {
		a.with("If-Match", strconv.Quote(strconv.FormatInt(revision, 10)))
	}
	return a.json(body)
}

func (c *client) nativePatchSome() *act {
	t := c.aParent()
	if t == nil {
		return nil
	}
	caps := c.someCaps(t)
	return c.nativePatch(c.bossOrNot(), t.id, caps, c.someRevision(t))
}

// someRevision is sometimes what the token has, and sometimes not.
func (c *client) someRevision(t *token) int64 {
	switch {
	case t.revision == 0 || c.rng.IntN(3) > 0:
		return 0
	case c.rng.IntN(3) == 0 && t.revision > 1:
		return t.revision - 1
	}
	return t.revision
}

func (c *client) nativeDelete(text, id string) *act {
	subject, needs := c.subject(text, id, "tokens:delete")
	return c.native("delete", "DELETE", "/tokens/"+subject, text, func(r *run) outcome {
		who, why := r.present(text, needs...)
		if why != ok {
			return refuse(why)
		}
		t := r.target(id)
		if t == nil {
			return refuse(absent)
		}
		if why := who.mayRevoke(t); why != ok {
			return refuse(why)
		}
		r.revoke(t)
		return outcome{why: ok, status: 204}
	})
}

func (c *client) nativeDeleteSome() *act {
	t := c.target()
	if t == nil || t.isMaster() {
		return nil
	}
	return c.nativeDelete(c.bossOrNot(), t.id)
}

// nativeRotate rotates a token. inHeader says where its revision is demanded.
func (c *client) nativeRotate(text, id string, how rotation, inHeader bool, key string) *act {
	subject, _ := c.subject(text, id)
	return c.nativeRotateAs(subject, text, id, how, inHeader, key)
}

// nativeRotateAs does so by that name: the ID or, of its own, self.
func (c *client) nativeRotateAs(subject, text, id string, how rotation, inHeader bool, key string) *act {
	needs := []string{"tokens:update"}
	var free []string // before it is known that a successor is asked for
	if subject != "self" {
		free = needs
	} else if how.succ == nil {
		needs = nil
	}
	status := 200
	if how.succ != nil {
		status = 201
	}
	body := rotationJSON(how, inHeader)
	what := "rotate " + id + " " + fmt.Sprint(body, how.revision)
	var a *act
	a = c.native("rotate", "POST", "/tokens/"+subject+"/rotate", text, func(r *run) outcome {
		if key == "" {
			if _, why := r.present(text, free...); why != ok {
				return refuse(why)
			}
			r.later()
		}
		if how.succ != nil && how.succ.spec != nil && how.succ.spec.expires.set() && r.over(how.succ.spec.expires) {
			if _, why := r.present(text, free...); why != ok {
				return refuse(why)
			}
			return refuse(invalid)
		}
		r.later()
		o := c.nativeGrant(r, demand{text: text, needs: needs, retry: a.retry(what), rotates: id, do: func(who *caller) (*token, class) {
			return r.rotate(who, id, how)
		}}, status)
		if !inHeader && o.why == revised {
			o.why = conflict
		}
		if inHeader && o.why == conflict {
			o.or = revised // of a token that has been changed meanwhile
		}
		return o
	})
	if inHeader && how.revision != 0 {
		a.with("If-Match", strconv.Quote(strconv.FormatInt(how.revision, 10)))
	}
	if len(body) > 0 {
		a.json(body)
	}
	a.then = c.tellSecret
	return a.keyed(key)
}

func rotationJSON(how rotation, inHeader bool) map[string]any {
	body := map[string]any{}
	switch x := how.retire; {
	case x.firstUse:
		body["retire"] = map[string]any{"after_first_use": int(x.grace / time.Second)}
	case x.after > 0:
		body["retire"] = map[string]any{"after": int(x.after / time.Second)}
	case x.at != 0:
		body["retire"] = map[string]any{"at": formatTime(x.at)}
	}
	if how.keep {
		body["keep_sessions"] = true
	}
	if how.revision != 0 && !inHeader {
		body["if_revision"] = how.revision
	}
	switch s := how.succ; {
	case s == nil:
	case s.spec != nil:
		x := map[string]any{"name": s.spec.name, "capabilities": s.spec.caps, "networks": nil, "expires_at": nil}
		if s.spec.expires.set() {
			x["expires_at"] = formatTime(s.spec.expires.lo)
		}
		body["successor"] = x
	case s.expires != nil && s.expires.set():
		body["successor"] = map[string]any{"expires_at": formatTime(s.expires.lo)}
	case s.expires != nil:
		body["successor"] = map[string]any{"expires_at": nil}
	default:
		body["successor"] = true
	}
	return body
}

// someRetirement is each of the ways.
func (c *client) someRetirement() retirement {
	switch c.rng.IntN(5) {
	case 0:
		return retirement{}
	case 1:
		return retirement{after: time.Second * time.Duration(1+c.rng.IntN(2))}
	case 2:
		return retirement{at: now() - 100_000 + c.rng.Int64N(2e6)}
	}
	return retirement{firstUse: true, grace: time.Second * time.Duration(c.rng.IntN(3))}
}

func (c *client) nativeRotateSome() *act {
	t := c.target()
	if t == nil {
		return nil
	}
	how := rotation{retire: c.someRetirement(), revision: c.someRevision(t)}
	switch c.rng.IntN(4) {
	case 0:
		how.keep = true
	case 1:
		how.succ = &successor{}
		switch c.rng.IntN(4) {
		case 0:
			b := c.someExpiry()
			how.succ.expires = &b
		case 1:
			s := spec{name: c.named(), caps: nativeCaps[c.rng.IntN(len(nativeCaps))], expires: c.someExpiry()}
			if t.isMaster() {
				s.caps, s.expires = t.caps, bound{}
			}
			how.succ.spec = &s
		}
	}
	text := c.bossOrNot()
	if c.rng.IntN(3) == 0 {
		if own := c.textOf(t); own != "" {
			text = own
		}
	}
	return c.nativeRotate(text, t.id, how, c.rng.IntN(2) == 0, c.someKey())
}

// nativeRotation looks at a rotation, cancels it, or finishes it.
func (c *client) nativeRotation(text, id, what string) *act {
	need := "tokens:update"
	method, path := "GET", "/rotation"
	switch what {
	case "look":
		need = "tokens:read"
	case "cancel":
		method = "DELETE"
	case "finish":
		method, path = "POST", "/rotation/finish"
	}
	subject, needs := c.subject(text, id, need)
	return c.native("rotation, "+what, method, "/tokens/"+subject+path, text, func(r *run) outcome {
		who, why := r.present(text, needs...)
		if why != ok {
			return refuse(why)
		}
		var t *token
		switch what {
		case "look":
			if t = r.target(id); t == nil {
				why = absent
			}
		case "cancel":
			t, why = r.cancel(&who, id)
		case "finish":
			t, why = r.finish(&who, id)
		}
		if why != ok {
			return refuse(why)
		}
		return outcome{why: ok, show: func(s *reply) string { return r.rotation(t, s.object) }}
	})
}

// rotation holds how far a rotation has come.
func (r *run) rotation(t *token, m map[string]any) string {
	current, unconfirmed, retiring := r.view(t)
	state := "settled"
	next := r.w.get(t.succ)
	waits := false
	if next != nil && r.ended(next) == "" {
		_, u, _ := r.view(next)
		waits = u != nil
	}
	switch {
	case r.ended(t) != "":
		state = "ended"
	case unconfirmed != nil || waits:
		state = "unconfirmed"
	case retiring != nil || t.succ != 0:
		state = "retiring"
	}
	if next == nil && t.succ != 0 && state == "retiring" && str(m, "state") == "unconfirmed" {
		state = "unconfirmed" // what became of the successor is forgotten here
	}
	return firstOf(
		is("the ID", str(m, "id"), t.id), is("the state", str(m, "state"), state), moment("stops_at", str(m, "stops_at"), t.stops()),
		moment("rotated_at", str(m, "rotated_at"), t.rotated), r.idOf("successor", t.succ, str(m, "successor")),
		r.idOf("predecessor", t.pred, str(m, "predecessor")), shownSecret("current", current, obj(m, "current"), true),
		shownSecret("unconfirmed", unconfirmed, obj(m, "unconfirmed"), false),
		shownSecret("retiring", retiring, obj(m, "retiring"), true), t.revised(m["revision"]),
	)
}

func (c *client) nativeRotationSome() *act {
	t := c.some(func(t *token) bool { return t.id != "" && (t.has(previous) || t.succ != 0) })
	if t == nil || c.rng.IntN(3) == 0 {
		t = c.target()
	}
	if t == nil {
		return nil
	}
	return c.nativeRotation(c.bossOrNot(), t.id, []string{"look", "cancel", "finish"}[c.rng.IntN(3)])
}

func (c *client) nativeSession(text, id string, s session, key string) *act {
	var a *act
	what := fmt.Sprint("session ", id, s)
	subject := id
	if idIn(text) == id && c.rng.IntN(2) == 0 {
		subject = "self"
	}
	a = c.native("session", "POST", "/tokens/"+subject+"/sessions", text, func(r *run) outcome {
		if _, why := r.present(text, "tokens:create"); why != ok {
			return refuse(why)
		}
		r.later()
		return c.nativeGrant(r, demand{text: text, needs: []string{"tokens:create"}, retry: a.retry(what), do: func(who *caller) (*token, class) {
			return r.startSession(who, id, s)
		}}, 201)
	})
	body := map[string]any{"lifetime": int(s.lifetime / time.Second)}
	if s.caps != nil {
		body["capabilities"] = s.caps
	}
	if s.manages {
		body["manages"] = true
	}
	a.then = c.tellSecret
	return a.json(body).keyed(key)
}

func (c *client) nativeSessionSome() *act {
	t := c.target()
	if t == nil || t.limit != 0 {
		return nil
	}
	s := session{lifetime: time.Second * time.Duration(1+c.rng.IntN(3)), manages: c.rng.IntN(2) == 0}
	if c.rng.IntN(3) == 0 {
		s.caps = []string{"app:read"}
	}
	text := c.bossOrNot()
	if own := c.textOf(t); own != "" && c.rng.IntN(6) == 0 {
		text = own
	}
	return c.nativeSession(text, t.id, s, c.someKey())
}

func (c *client) nativeEndSessions() *act {
	t := c.aParent()
	if t == nil {
		return nil
	}
	text, id := c.bossOrNot(), t.id
	return c.native("end sessions", "DELETE", "/tokens/"+id+"/sessions", text, func(r *run) outcome {
		who, why := r.present(text, "tokens:delete")
		if why != ok {
			return refuse(why)
		}
		t := r.target(id)
		if t == nil {
			return refuse(absent)
		}
		if why := who.mayEnd(t); why != ok {
			return refuse(why)
		}
		if !t.revoked.set() {
			r.endBelow(t)
		}
		return outcome{why: ok, status: 204}
	})
}

// nativeList lists one page of the tokens beside the caller's or, with a parent, of what stands below that.
func (c *client) nativeList(text, parent string, ended, sessions bool, limit int, after string) *act {
	v := url.Values{"limit": {strconv.Itoa(limit)}}
	if ended {
		v.Set("ended", "true")
	}
	if after != "" {
		v.Set("after", after)
	}
	path, key := "/tokens?", "tokens"
	switch {
	case sessions:
		path, key = "/tokens/"+parent+"/sessions?", "sessions"
	case parent != "":
		v.Set("parent", parent)
	}
	return c.native("list", "GET", path+v.Encode(), text, func(r *run) outcome {
		who, why := r.present(text, "tokens:read")
		if why != ok {
			return refuse(why)
		}
		under := place(&who)
		if parent != "" {
			p := r.target(parent)
			if p == nil {
				return refuse(absent)
			}
			under = p.n
		}
		return outcome{why: ok, show: func(s *reply) string {
			l := listing{limit: limit, after: after, next: str(s.object, "next"), shown: entries(s.object[key], nativeEntry)}
			return r.list(l, func(x *run, t *token) bool {
				return t.parent == under && (!sessions || t.session) && (ended || x.lives(t))
			})
		}}
	})
}

// place is the token below which the caller's own stands.
func place(who *caller) int {
	if who.cred.session {
		return who.below[1].parent
	}
	return who.cred.parent
}

func nativeEntry(m map[string]any) entry {
	return entry{id: str(m, "id"), name: str(m, "name"), prefix: str(m, "prefix"), made: parseTime(str(obj(m, "state"), "created_at")), pred: str(obj(m, "state"), "predecessor")}
}

func (c *client) nativeListSome() *act {
	text, ended, after, limit := c.boss(), c.rng.IntN(2) == 0, "", 256
	if c.rng.IntN(3) == 0 {
		limit = 1 + c.rng.IntN(6)
		if t := c.target(); t != nil && c.rng.IntN(2) == 0 {
			after = t.id
		}
	}
	if t := c.target(); t != nil && c.rng.IntN(2) == 0 {
		return c.nativeList(text, t.id, ended, c.rng.IntN(2) == 0, limit, after)
	}
	return c.nativeList(text, "", ended, false, limit, after)
}

// introspect asks whether a text is a live token. from is where it was presented: "", or in one of the networks.
func (c *client) introspect(text, about, from string) *act {
	form := url.Values{"token": {about}}
	switch from {
	case here:
		form.Set("client_ip", "127.0.0.1")
	case there:
		form.Set("client_ip", "192.0.2.7")
	}
	a := c.native("introspect", "POST", "/introspect", text, func(r *run) outcome {
		if _, why := r.present(text, "tokens:read"); why != ok {
			return refuse(why)
		}
		inactive := outcome{why: ok, show: func(s *reply) string { return is("the answer", strings.TrimSpace(string(s.body)), `{"active":false}`) }}
		if t := r.w.byID(idIn(about)); t == nil || r.find(t.n) == nil {
			return inactive
		}
		t, slot, why := r.match(about, from)
		if why != ok {
			return inactive
		}
		held := t.slots[slot]
		if slot == newest && !held.confirmed {
			r.confirm(t)
		}
		// That may have stopped the caller: with the first use of the secret, those before it may stop, and sessions
		// that were started with them.
		r.later()
		if _, why := r.present(text, "tokens:read"); why != ok {
			return refuse(why)
		}
		if !r.lives(t) {
			return inactive
		}
		exp := t.stops()
		if at := t.slotOf(about); at >= 0 {
			exp = first(exp, t.slots[at].until)
		}
		above, _ := r.above(t)
		for _, x := range above {
			exp = first(exp, x.stops())
		}
		return outcome{why: ok, show: func(s *reply) string {
			return firstOf(
				is("active", s.object["active"], true), is("jti", str(s.object, "jti"), t.id), is("sub", str(s.object, "sub"), c.owner),
				is("name", str(s.object, "name"), t.name), is("session", s.object["session"] == true, t.session),
				sameCaps(strings.Fields(str(s.object, "scope")), t.caps), unix("exp", s.object["exp"], exp),
			)
		}}
	})
	a.format = oauthFormat
	a.body = form.Encode()
	return a.with("Content-Type", "application/x-www-form-urlencoded")
}

// unix holds whole seconds, rounded down, against a bound.
func unix(what string, v any, b bound) string {
	sec, shown := v.(float64)
	if shown != b.set() || shown && (int64(sec) < (b.lo-margin)/1e6 || int64(sec) > (b.hi+margin)/1e6) {
		return fmt.Sprintf("%s is %v, and should be %s", what, v, b)
	}
	return ""
}

func (c *client) introspectSome() *act {
	from := []string{"", here, here, there}[c.rng.IntN(4)]
	return c.introspect(c.boss(), c.anyText(), from)
}

// nativeRevoke revokes what is presented in the body.
func (c *client) nativeRevoke(text, about string) *act {
	a := c.native("revoke", "POST", "/revoke", text, func(r *run) outcome {
		if _, why := r.present(text); why != ok {
			return refuse(why)
		}
		r.later()
		needs := []string{"tokens:delete"}
		if idIn(about) == idIn(text) {
			needs = nil
		}
		who, why := r.present(text, needs...)
		if why != ok {
			return refuse(why)
		}
		done := outcome{why: ok}
		t := r.w.byID(idIn(about))
		if t == nil || r.find(t.n) == nil {
			return done
		}
		if why := who.mayRevoke(t); why != ok {
			return refuse(why)
		}
		if slot := t.slotOf(about); slot < 0 || !r.works(t, slot) || !r.lives(t) {
			return done
		}
		r.revoke(t)
		return done
	})
	a.format = oauthFormat
	a.body = url.Values{"token": {about}}.Encode()
	return a.with("Content-Type", "application/x-www-form-urlencoded")
}

func (c *client) nativeRevokeSome() *act {
	t := c.target()
	if about := c.textOf(t); about != "" && !t.isMaster() {
		return c.nativeRevoke(c.bossOrNot(), about)
	}
	return nil
}
