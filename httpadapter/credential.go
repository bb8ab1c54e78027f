package httpadapter

import (
	"net/http"
	"strings"
)

// A presented is what a request showed as its credential.
type presented uint8

const (
	nothing presented = iota // no bearer token: no header, another scheme, or no token in it
	garbage                  // more than one credential
	token                    // something to judge, of any form
)

// credential returns the token in a request's Authorization header, as RFC 6750 section
// 2.1 and RFC 9110 section 11.4 have it: one header, the word Bearer in any case, spaces,
// and what the issuer is to judge, its form included.
//
// Two headers are garbage, whatever they hold: which of them counts would otherwise depend
// on who reads them, this package or a proxy before it.
func credential(h http.Header) (text string, what presented) {
	values := h["Authorization"]
	if len(values) == 0 {
		return "", nothing
	}
	if len(values) > 1 {
		return "", garbage
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	if !isBearer(scheme) {
		return "", nothing
	}
	if text = strings.TrimLeft(text, " "); text == "" {
		return "", nothing
	}
	return text, token
}

// isBearer reports whether s is the word, in ASCII letters of any case. strings.EqualFold
// would take other characters that fold to these.
func isBearer(s string) bool {
	const word = "bearer"
	if len(s) != len(word) {
		return false
	}
	for i := range len(word) {
		if s[i]|0x20 != word[i] {
			return false
		}
	}
	return true
}

// sources are where a request may present a token beside its Authorization header. That
// comes first; what a page makes a browser send by itself, last.
type sources struct {
	query  string  // the name of a parameter of the URL, or ""
	cookie *cookie // or nil
	second bool    // a second credential counts beside it
}

// find returns the credential of a request, and whether it was in a cookie.
func (s sources) find(r *http.Request) (text string, what presented, inCookie bool) {
	if text, what = credential(r.Header); what != nothing {
		return text, what, false
	}
	if s.query != "" && strings.Contains(r.URL.RawQuery, s.query) {
		switch values := r.URL.Query()[s.query]; {
		case len(values) > 1:
			return "", garbage, false
		case len(values) == 1 && values[0] != "":
			return values[0], token, false
		}
	}
	if s.cookie != nil {
		if text, what = s.cookie.find(r); what != nothing {
			return text, what, true
		}
	}
	return "", nothing, false
}
