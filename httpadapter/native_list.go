package httpadapter

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"

	"github.com/remint-go/remint"
)

const (
	defaultPage = 64
	maxPage     = 256 // what the core reads at a time
)

// list answers with the tokens that stand where the caller's does, or below a parent.
func (n native) list(c *call) error {
	var f nativeForm
	v, err := f.query(c.r.URL.RawQuery, "limit", "after", "parent", "ended", "expired")
	if err != nil {
		return c.refuse(err)
	}
	limit := f.limit(v)
	q := remint.Query{After: f.cursor(v), Ended: f.flag(v, "ended"), Expired: f.flag(v, "expired")}
	if err := f.err(); err != nil {
		return c.refuse(err)
	}
	if v.Has("parent") {
		if q.Parent, err = remint.ParseID(v.Get("parent")); err != nil {
			return c.refuse(err)
		}
	} else if q.Parent, err = c.place(); err != nil {
		return err
	}
	tokens, next, err := c.page(q, limit, func(remint.Token) bool { return true })
	if err != nil {
		return err
	}
	return c.write(struct {
		Tokens []json.RawMessage `json:"tokens"`
		Next   string            `json:"next,omitempty"`
	}{tokens, next})
}

// page returns up to limit tokens of a query, those that keep says, and the cursor after
// them if there are more.
func (c *call) page(q remint.Query, limit int, keep func(remint.Token) bool) (list []json.RawMessage, next string, err error) {
	list = []json.RawMessage{}
	var last remint.ID
	for tok, err := range c.actor.List(c.r.Context(), q) {
		if err != nil {
			return nil, "", err
		}
		if !keep(tok) {
			continue
		}
		if len(list) == limit {
			return list, last.String(), nil
		}
		list, last = append(list, tokenJSON(tok, "")), tok.ID()
	}
	return list, "", nil
}

// query reads a URL's parameters: each at most once, and none that is not known.
func (f *nativeForm) query(raw string, known ...string) (url.Values, error) {
	v, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errQuery
	}
	for name, values := range v {
		switch {
		case !slices.Contains(known, name):
			f.wrong(quote(name), "is not a parameter of this route")
		case len(values) > 1:
			f.wrong(name, "is given more than once")
		}
	}
	slices.SortFunc(f.problems, func(a, b error) int { // a map has no order, and an answer has one
		return strings.Compare(a.Error(), b.Error())
	})
	return v, nil
}

var errQuery = &remint.InputError{Field: "query", Problem: "is not in the form of parameters"}

func (f *nativeForm) limit(v url.Values) int {
	if !v.Has("limit") {
		return defaultPage
	}
	return int(f.whole(node{kind: '0', text: v.Get("limit")}, "limit", 1, maxPage))
}

func (f *nativeForm) cursor(v url.Values) remint.ID {
	if !v.Has("after") {
		return remint.ID{}
	}
	id, err := remint.ParseID(v.Get("after"))
	if err != nil {
		f.wrong("after", "must be what a list gave as next")
	}
	return id
}

func (f *nativeForm) flag(v url.Values, name string) bool {
	if !v.Has(name) {
		return false
	}
	text := v.Get(name)
	if text != "true" && text != "false" {
		f.wrong(name, "must be true or false")
	}
	return text == "true"
}
