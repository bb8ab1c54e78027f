package httpadapter

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/remint-go/remint"
)

// The entity tag of a token is its revision, quoted: "7".

func etag(tok remint.Token) string {
	return strconv.Quote(strconv.FormatUint(tok.State().Revision, 10))
}

var (
	// errRevision is a token that has another revision than the request says it has seen.
	errRevision = nativeError{http.StatusPreconditionFailed, "revision_changed",
		"The token has another revision than If-Match says: read it again.", remint.ErrConflict}

	errIfMatch = nativeError{http.StatusBadRequest, "bad_request",
		`If-Match must be one ETag that this service gave for the token, such as "7", or *.`, &bodyError{""}}

	errNoCondition = nativeError{http.StatusBadRequest, "bad_request",
		"This route does not look at If-Match: leave it out.", &bodyError{""}}
)

// ifMatch returns the revision that If-Match demands, or 0 if it demands none.
func (c *call) ifMatch() (uint64, error) {
	values := c.r.Header.Values("If-Match")
	if len(values) == 0 || len(values) == 1 && values[0] == "*" {
		return 0, nil // an unknown token is not found in any case
	}
	text := values[0]
	if len(values) > 1 || len(text) < 3 || text[0] != '"' || text[len(text)-1] != '"' {
		return 0, errIfMatch
	}
	text = text[1 : len(text)-1]
	revision, err := strconv.ParseUint(text, 10, 64)
	if err != nil || text[0] == '0' || strings.HasPrefix(text, "+") {
		return 0, errIfMatch
	}
	return revision, nil
}

// noCondition refuses a condition where the operation cannot judge it: one that was ignored
// would let a client believe that it had been met.
func (c *call) noCondition() error {
	if len(c.r.Header.Values("If-Match")) > 0 {
		return errNoCondition
	}
	return nil
}

// still returns errRevision unless the token has that revision; any will do if it is 0. It
// is called by the change of an Update, which has read the token before it and commits only
// if the token is unchanged since then. Revisions only rise, so that one which is still the
// demanded one now was it then, and is it when the commit is made.
func (c *call) still(id remint.ID, revision uint64) error {
	if revision == 0 {
		return nil
	}
	tok, err := c.actor.Get(c.r.Context(), id)
	if err != nil {
		return err
	}
	if tok.State().Revision != revision {
		return errRevision
	}
	return nil
}
