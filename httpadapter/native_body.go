package httpadapter

import (
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/remint-go/remint"
)

var errMediaType = nativeError{http.StatusUnsupportedMediaType, "unsupported_media_type",
	"The request body must have the Content-Type application/json.", &bodyError{""}}

// nativeObject reads a body, which must be a JSON object or, if it is optional, nothing.
func (c *call) nativeObject(optional bool) (node, error) {
	body, err := c.object(optional)
	if err != nil && err != errTooLarge && err != errUnreadable && !isJSON(c.r.Header["Content-Type"]) {
		err = errMediaType
	}
	return body, err
}

// A nativeForm reads strictly: a key that it does not know is wrong, because a bound that is
// misspelt would not be one.
type nativeForm struct{ form }

// only collects the keys of an object that are none of these.
func (f *nativeForm) only(n node, path string, keys ...string) {
	for _, key := range n.keys {
		if slices.Contains(keys, key) {
			continue
		}
		const most = 64
		if len(key) > most {
			key = quote(key)
		}
		f.wrong(path+key, "is not a member that can be set here")
	}
}

// spec reads what a client may say about a token; path is where n is, with a dot after it.
// What is absent is zero.
func (f *nativeForm) spec(n node, path string) remint.Spec {
	spec := remint.Spec{
		Name:        f.text(n.get("name"), path+"name"),
		Description: f.text(n.get("description"), path+"description"),
		Networks:    f.networks(n.get("networks"), path+"networks"),
		ExpiresAt:   f.expiry(n.get("expires_at"), path+"expires_at"),
	}
	spec.Capabilities = f.capabilities(n.get("capabilities"), path)
	return spec
}

// capabilities reads a list of them, which stands in the object at path.
func (f *nativeForm) capabilities(n node, path string) remint.Capabilities {
	before := len(f.problems)
	texts := f.texts(n, path+"capabilities")
	if len(f.problems) > before {
		return remint.Capabilities{}
	}
	caps, err := remint.ParseCapabilities(texts)
	f.also(rename(err, nativeNames(path)))
	return caps
}

// networks reads CIDR prefixes and single addresses. One with bits that it does not look at
// is left for the core to refuse: it may be another than was meant.
func (f *nativeForm) networks(n node, path string) (list []netip.Prefix) {
	for i, text := range f.texts(n, path) {
		p, err := netip.ParsePrefix(text)
		if a, aerr := netip.ParseAddr(text); aerr == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if at := path + "[" + strconv.Itoa(i) + "]"; err != nil && n.values[i].kind == '"' {
			f.wrong(at, "%s is neither an IP address nor a CIDR prefix", quote(text))
		}
		list = append(list, p) // an invalid one keeps the place of its index
	}
	return list
}

// expiry reads a time. Absent and null are never; Go's zero time, which is never elsewhere,
// is a mistake here: nothing lives for ever because a client forgot to set a field.
func (f *nativeForm) expiry(n node, path string) time.Time {
	before := len(f.problems)
	t := f.time(n, path)
	if n.kind == '"' && t.IsZero() && len(f.problems) == before {
		f.wrong(path, "is not in the future; null stands for never")
	}
	return t
}

// parent reads a token's ID, or none.
func (f *nativeForm) parent(n node) remint.ID {
	text := f.text(n, "parent")
	if n.kind != '"' {
		return remint.ID{}
	}
	id, err := remint.ParseID(text)
	if err != nil {
		f.problems = append(f.problems, errNoParent)
	}
	return id
}

// boolean returns false if it is absent or wrong.
func (f *nativeForm) boolean(n node, path string) bool {
	if !n.absent() && n.kind != 't' && n.kind != 'f' {
		f.wrong(path, "must be true or false")
	}
	return n.kind == 't'
}

// whole returns a whole number, or 0 if it is absent or wrong.
func (f *nativeForm) whole(n node, path string, least, most uint64) uint64 {
	if n.absent() {
		return 0
	}
	v, err := strconv.ParseUint(n.text, 10, 64)
	if n.kind != '0' || err != nil || v < least || v > most {
		f.wrong(path, "must be a whole number from %d to %d", least, most)
		return 0
	}
	return v
}

// maxSeconds is a hundred years of 365 days: more than anybody plans, and less than a
// [time.Duration] can hold.
const maxSeconds = 100 * 365 * 24 * 60 * 60

func (f *nativeForm) seconds(n node, path string, least uint64) time.Duration {
	return time.Duration(f.whole(n, path, least, maxSeconds)) * time.Second
}

// rotation reads the body of a rotation. Whatever it leaves out is as in the zero
// [remint.Rotation].
func (f *nativeForm) rotation(a *Adapter, body node) remint.Rotation {
	f.only(body, "", "retire", "successor", "keep_sessions", "if_revision")
	return remint.Rotation{
		Retire:       f.retirement(body.get("retire")),
		Successor:    f.successor(a, body.get("successor")),
		KeepSessions: f.boolean(body.get("keep_sessions"), "keep_sessions"),
		IfRevision:   f.whole(body.get("if_revision"), "if_revision", 1, 1<<64-1),
	}
}

// retirement reads "now", or an object with one of "at", "after" and "after_first_use".
func (f *nativeForm) retirement(n node) remint.Retirement {
	if n.absent() || n.kind == '"' && n.text == "now" {
		return remint.Retirement{}
	}
	if n.kind != '{' || len(n.keys) != 1 || n.values[0].absent() {
		f.wrong("retire", `must be "now", or an object with one of "at", "after" and "after_first_use"`)
		return remint.Retirement{}
	}
	path := "retire." + n.keys[0]
	switch v := n.values[0]; n.keys[0] {
	case "at":
		at := f.time(v, path)
		if before := len(f.problems); at.IsZero() && v.kind == '"' && before == 0 {
			f.wrong(path, `is the zero time, as of something forgotten: say "now"`)
		}
		return remint.RetireAt(at)
	case "after":
		return remint.RetireAfter(f.seconds(v, path, 0))
	case "after_first_use":
		return remint.RetireAfterFirstUse(f.seconds(v, path, 0))
	}
	f.only(n, "retire.", "at", "after", "after_first_use")
	return remint.Retirement{}
}

// successor reads true, which is a clone of the token; an object with at most an expiry,
// which is a clone with that one; or the whole of a new token. That must name its bounds,
// even where there are none: it has nothing of the old token's, and would otherwise lose
// a bound that nobody thought of.
func (f *nativeForm) successor(a *Adapter, n node) *remint.Successor {
	switch {
	case n.absent(), n.kind == 'f':
		return nil
	case n.kind == 't':
		return new(remint.Successor)
	case n.kind != '{':
		f.wrong("successor", "must be true, or an object")
		return nil
	}
	const path = "successor."
	f.only(n, path, "name", "description", "capabilities", "networks", "expires_at")
	if !slices.ContainsFunc(n.keys, func(key string) bool { return key != "expires_at" }) {
		s := new(remint.Successor)
		if n.get("expires_at").kind != 0 {
			s.ExpiresAt = new(f.expiry(n.get("expires_at"), path+"expires_at"))
		}
		return s
	}
	for _, key := range []string{"capabilities", "networks", "expires_at"} {
		if n.get(key).kind == 0 {
			f.wrong(path+key, "must be given, because nothing else is taken over from the token; null stands for none")
		}
	}
	spec := f.spec(n, path)
	f.also(rename(a.issuer.CheckSpec(spec), nativeNames(path)))
	return &remint.Successor{Spec: &spec}
}

// session reads what is to be started. Zero lifetimes and empty lists are refused: they
// stand for a default in a [remint.Session].
func (f *nativeForm) session(body node) remint.Session {
	f.only(body, "", "lifetime", "capabilities", "manages")
	caps := body.get("capabilities")
	if caps.kind == '[' && len(caps.values) == 0 {
		f.wrong("capabilities", "must have at least one member; left out, it is those of the parent")
	}
	return remint.Session{
		Lifetime:     f.seconds(body.get("lifetime"), "lifetime", 1),
		Capabilities: f.capabilities(caps, ""),
		Manages:      f.boolean(body.get("manages"), "manages"),
	}
}
