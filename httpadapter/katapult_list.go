package httpadapter

import (
	"net/url"
	"strconv"
	"strings"
)

// Pages are as those of Apia (github.com/apiaframework/apia), the framework that the
// documented service is built on: 30 tokens on one, and at most 200. It calls a set large,
// and does not count it, from 1001 on.
const (
	katapultPerPage    = 30
	katapultMaxPerPage = 200
	katapultCounted    = 1000

	// katapultReach bounds how many tokens one request counts: there is no page beyond.
	katapultReach = 100_000
)

// katapultPagination is the documented PaginationObject. Of a large set, nobody has counted
// the total: what it says of that is null.
type katapultPagination struct {
	CurrentPage int  `json:"current_page"`
	TotalPages  *int `json:"total_pages"`
	Total       *int `json:"total"`
	PerPage     int  `json:"per_page"`
	LargeSet    bool `json:"large_set"`
}

// list answers with one page of the organization's tokens, oldest first: see call.tokens.
// A page beyond the last is empty. What is made or deleted between two requests moves what
// comes after it.
func (k katapult) list(c *call) error {
	caller, err := c.actor.Get(c.r.Context(), c.self)
	if err != nil {
		return err
	}
	var f form
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		f.wrong("query", "is not encoded as that of a URL")
	}
	organization, err := readOrganization(&f, organizationOf(&f, query))
	if err != nil && len(f.problems) == 0 {
		return err
	}
	perPage := f.number(query, "per_page", katapultPerPage, katapultMaxPerPage)
	page := f.number(query, "page", 1, katapultReach/perPage)
	if len(f.problems) > 0 {
		return invalidArguments(f)
	}
	if organization != caller.Owner() {
		return noOrganization
	}

	shown, n := []katapultToken{}, 0
	if !isAnnotated(query) {
		for tok, err := range c.tokens(k.Prefix, false) {
			if err != nil {
				return err
			}
			if n >= (page-1)*perPage && n < page*perPage {
				shown = append(shown, c.katapultToken(tok, nil))
			}
			if n++; n > katapultCounted && n >= page*perPage {
				break
			}
		}
	}
	about := katapultPagination{CurrentPage: page, PerPage: perPage, LargeSet: n > katapultCounted}
	if !about.LargeSet {
		about.Total, about.TotalPages = new(n), new((n+perPage-1)/perPage)
	}
	return c.write(struct {
		Pagination katapultPagination `json:"pagination"`
		APITokens  []katapultToken    `json:"api_tokens"`
	}{about, shown})
}

// organizationOf returns what a query says of an organization, as a body would.
func organizationOf(f *form, query url.Values) node {
	n := node{kind: '{'}
	for _, key := range []string{"id", "sub_domain"} {
		name := "organization[" + key + "]"
		if text, given := f.once(query, name); given {
			n.keys, n.values = append(n.keys, key), append(n.values, node{kind: '"', text: text})
		}
	}
	if len(n.keys) == 0 {
		return node{}
	}
	return n
}

// isAnnotated reports whether a query asks for tokens with certain annotations. None has
// any, and to list others would hand whoever asked something else than that.
func isAnnotated(query url.Values) bool {
	for name := range query {
		if strings.HasPrefix(name, "annotations[") {
			return true
		}
	}
	return false
}

// once returns the value of a parameter of a query. One that is given twice is wrong: which
// of the two counts is not said anywhere.
func (f *form) once(query url.Values, name string) (text string, given bool) {
	values := query[name]
	if len(values) > 1 {
		f.wrong(name, "must be given once")
	}
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}

// number returns a parameter that is a whole number from 1 to most. Where it is not given, or
// wrong, it is standard.
func (f *form) number(query url.Values, name string, standard, most int) int {
	text, given := f.once(query, name)
	if !given {
		return standard
	}
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n < 1 || n > uint64(most) {
		f.wrong(name, "must be a whole number from 1 to %d", most)
		return standard
	}
	return int(n)
}
