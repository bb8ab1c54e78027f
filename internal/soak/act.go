package soak

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// An act is a request, and how it is answered in each world.
type act struct {
	kind   string // for the table of what took how long
	format *format
	method string
	path   string
	bearer string // presented in the Authorization header, and judged first; "": none
	header map[string]string
	body   string
	expect func(*run) outcome

	judges  string       // what is judged first, where that is not the bearer
	cookie  bool         // it is in the cookie
	serial  int          // the number of what it makes
	key     string       // its Idempotency-Key, or ""
	repeats bool         // it may be repeated without one
	vary    func() *act  // another request with the same key
	then    func(*reply) // after it was answered as it should be
}

// presents is the text that is judged first, or "".
func (a *act) presents() string { return cmp.Or(a.judges, a.bearer) }

// present is the first judgement of whoever is calling.
func (a *act) present(r *run) (caller, class) {
	if a.cookie {
		return r.presentInCookie(a.presents())
	}
	return r.present(a.presents())
}

// ends reports whether the request ends something, on whatever route and however wrong it is: it is counted against a
// limit, and never refused for it. What takes a rotation back ends nothing.
func (a *act) ends() bool {
	path, _, _ := strings.Cut(a.path, "?")
	switch a.method {
	case http.MethodDelete:
		return !strings.HasSuffix(path, "/rotation")
	case http.MethodPost:
		return strings.HasSuffix(path, "/auth/logout") || path == "/v1/revoke"
	}
	return false
}

// with sets a header.
func (a *act) with(name, value string) *act {
	a.header = maps.Clone(a.header)
	if a.header == nil {
		a.header = map[string]string{}
	}
	a.header[name] = value
	return a
}

// json is the body.
func (a *act) json(v any) *act {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	a.body = b.String()
	return a.with("Content-Type", "application/json")
}

// gently asks for the routes that retire nothing at once.
func (a *act) gently(yes bool) *act {
	if yes {
		a.with(gentle, "yes")
	}
	return a
}

// keyed sends an Idempotency-Key, if there is one.
func (a *act) keyed(key string) *act {
	if a.key = key; key != "" {
		a.with("Idempotency-Key", `"`+key+`"`)
	}
	return a
}

// retry is what the act's key is for.
func (a *act) retry(what string) *retry {
	if a.key == "" {
		return nil
	}
	return &retry{key: a.key, what: what, window: window}
}

// String is for a report; what is secret here is so to nobody.
func (a *act) String() string {
	var b strings.Builder
	b.WriteString(a.method + " " + a.path)
	if a.bearer != "" {
		b.WriteString(" by " + a.bearer)
	}
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		b.WriteString(" " + name + ": " + a.header[name])
	}
	if a.body != "" {
		body := strings.TrimSpace(a.body)
		if len(body) > 300 {
			body = body[:300] + "…"
		}
		b.WriteString(" " + body)
	}
	return b.String()
}

func (a *act) request(url string) *http.Request {
	r, err := http.NewRequest(a.method, url+a.path, nil)
	if err != nil {
		panic(err)
	}
	if a.body != "" || a.key != "" || a.method == http.MethodGet {
		// A body that cannot be had again, even an empty one: the transport would repeat the request by itself, where
		// it is a GET or has a key, and it would be counted twice.
		r.Body, r.ContentLength = once{strings.NewReader(a.body)}, int64(len(a.body))
	}
	if a.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+a.bearer)
	}
	for name, value := range a.header {
		r.Header.Set(name, value)
	}
	return r
}

// once is a body that is read once.
type once struct{ *strings.Reader }

func (once) Close() error { return nil }
