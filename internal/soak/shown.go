package soak

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

// What answers show of tokens, held against a world. Each function returns what is wrong, or "".

func str(m map[string]any, key string) string {
	text, _ := m[key].(string)
	return text
}

func obj(m map[string]any, key string) map[string]any {
	o, _ := m[key].(map[string]any)
	return o
}

func texts(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, x := range list {
		text, _ := x.(string)
		out = append(out, text)
	}
	return out
}

// is compares one thing that is shown.
func is(what string, got, want any) string {
	if got != want {
		return fmt.Sprintf("%s is %v, and should be %v", what, got, want)
	}
	return ""
}

func firstOf(problems ...string) string {
	for _, p := range problems {
		if p != "" {
			return p
		}
	}
	return ""
}

// sameCaps compares capabilities as sets of texts.
func sameCaps(got, want []string) string {
	if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		return fmt.Sprintf("the capabilities are %v, and should be %v", got, want)
	}
	return ""
}

// moment holds a time that is shown, "" for none, against a bound.
func moment(what, text string, b bound) string {
	switch us := parseTime(text); {
	case text == "" && !b.set():
		return ""
	case text == "" || !b.set() || us == 0 || !b.holds(us):
		return fmt.Sprintf("%s is %q, and should be %s", what, text, b)
	}
	return ""
}

func (b bound) String() string {
	switch {
	case !b.set():
		return "never"
	case b.lo == b.hi:
		return formatTime(b.lo)
	}
	return formatTime(b.lo) + "/" + formatTime(b.hi)[len("2006-01-02T"):]
}

// known takes an ID that is shown, or compares it.
func (t *token) known(id string) string {
	if t.id == "" && len(id) == idLen {
		t.id = id
	}
	return is("the ID", id, t.id)
}

// nativeToken holds a token as the native routes show it.
func (r *run) nativeToken(owner string, t *token, m map[string]any) string {
	state := obj(m, "state")
	if why := firstOf(
		t.known(str(m, "id")), is("the name", str(m, "name"), t.name), is("the owner", str(m, "owner"), owner),
		is("the prefix", str(m, "prefix"), t.prefix), sameCaps(texts(m["capabilities"]), t.caps),
		sameCaps(texts(m["networks"]), t.nets), is("session", m["session"] == true, t.session),
		moment("expires_at", str(m, "expires_at"), t.expires), moment("state.created_at", str(state, "created_at"), t.made),
		moment("state.rotated_at", str(state, "rotated_at"), t.rotated), moment("state.revoked_at", str(state, "revoked_at"), t.revoked),
		r.idOf("parent", t.parent, str(m, "parent")), r.idOf("state.predecessor", t.pred, str(state, "predecessor")),
		r.idOf("state.successor", t.succ, str(state, "successor")),
		is("state.ended", str(state, "ended"), r.ended(t)),
	); why != "" {
		return why
	}
	current, unconfirmed, retiring := r.view(t)
	if why := firstOf(
		shownSecret("current", current, obj(state, "current"), true),
		shownSecret("unconfirmed", unconfirmed, obj(state, "unconfirmed"), false),
		shownSecret("retiring", retiring, obj(state, "retiring"), true),
	); why != "" {
		return why
	}
	if unconfirmed != nil {
		if why := moment("state.unconfirmed.until", str(obj(state, "unconfirmed"), "until"), t.lapse); why != "" {
			return why
		}
	}
	if t.expires.set() {
		t.expires = exactly(parseTime(str(m, "expires_at")))
	}
	return t.revised(state["revision"])
}

// revised takes a revision that is shown, or compares it.
func (t *token) revised(v any) string {
	shown, _ := v.(float64)
	if shown < 1 || t.revision != 0 && t.revision != int64(shown) {
		return fmt.Sprintf("the revision is %v, and should be %d", v, t.revision)
	}
	t.revision = int64(shown)
	return ""
}

// idOf compares the ID of another token: one that has been forgotten here may have any.
func (r *run) idOf(what string, n int, id string) string {
	t := r.w.get(n)
	switch {
	case n == 0:
		return is(what, id, "")
	case t == nil && len(id) == idLen:
		return ""
	case t == nil:
		return what + " is missing"
	}
	if why := t.known(id); why != "" {
		return what + ": " + why
	}
	return ""
}

// view returns which of the secrets play which part.
func (r *run) view(t *token) (current, unconfirmed, retiring *secret) {
	in := func(slot int) *secret {
		if !r.works(t, slot) {
			return nil
		}
		return &t.slots[slot]
	}
	switch s := in(newest); {
	case s == nil:
		return in(previous), nil, in(older)
	case !s.confirmed && t.lapse.set() && t.has(previous):
		return in(previous), s, in(older)
	case !s.confirmed:
		return s, s, in(previous)
	default:
		return s, nil, in(previous)
	}
}

func shownSecret(what string, s *secret, m map[string]any, until bool) string {
	if s == nil {
		return is("state."+what, len(m) > 0, false)
	}
	why := moment("state."+what+".created_at", str(m, "created_at"), s.made)
	if why == "" && until {
		why = moment("state."+what+".until", str(m, "until"), s.until)
	}
	return why
}

// granted holds the secret in an answer, and takes it.
func (r *run) shows(g granted, id, text string) string {
	t := r.w.get(g.t.n)
	if why := t.known(id); why != "" {
		return why
	}
	if why := wellFormed(text, t.prefix, t.id); why != "" {
		return why
	}
	s := &t.slots[newest]
	switch {
	case s.n != g.secret:
		return "the secret is not the newest"
	case s.text == "":
		for _, other := range r.w.tokens {
			if other.slotOf(text) >= 0 {
				return "the secret is another's"
			}
		}
		s.text = text
	case s.text != text:
		return "the secret is another than before"
	}
	return ""
}

// wellFormed says what is wrong with a token's text: its prefix, ID, length, characters or checksum.
func wellFormed(text, prefix, id string) string {
	switch {
	case len(text) != len(prefix)+textLen, !strings.HasPrefix(text, prefix), idIn(text) != id, checksum(text[:len(text)-sumLen]) != tail(text):
		return "the secret has not the form of one"
	}
	return ""
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// checksum is the documented one: CRC-32C in base62.
func checksum(text string) string {
	sum := crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli))
	digits := make([]byte, sumLen)
	for k := sumLen - 1; k >= 0; k-- {
		digits[k] = base62[sum%62]
		sum /= 62
	}
	return string(digits)
}

// stops is when a token stops as a whole, as far as that is known.
func (t *token) stops() bound { return first(t.expires, t.until, t.retired) }
