package httpadapter

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// axiomErrors are {"code":<status>,"message":"…"}.
type axiomErrors struct{}

// quota sets what the published client reads into its Limit. Of the scopes that it knows (user,
// organization and anonymous), "user" is whoever presents the token: others of the same
// organization have limits of their own.
func (axiomErrors) quota(h http.Header, q Quota) {
	if q.Limit == 0 {
		return
	}
	h.Set("X-Ratelimit-Scope", "user")
	h.Set("X-Ratelimit-Limit", strconv.Itoa(q.Limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(q.Remaining))
	h.Set("X-Ratelimit-Reset", strconv.FormatInt(q.Reset.Unix(), 10))
}

func (axiomErrors) fail(w http.ResponseWriter, f failure) {
	if f.status() == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110 section 15.5.2 wants one
	}
	writeJSON(w, f.status(), struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	}{f.status(), axiomMessage(f)})
}

// axiomMessage says what was wrong, and what its reader can do. It is all that the published
// client keeps of an error, beside its status.
func axiomMessage(f failure) string {
	switch f.kind {
	case noCredential, denied, network:
		return "missing or invalid API token: send a live one as Authorization: Bearer"
	case tooMany:
		limit, _ := errors.AsType[*limitError](f.err)
		return fmt.Sprintf("too many requests: the API token may make %d in a minute; try again in %d seconds", limit.quota.Limit, f.wait)
	case needed:
		return "the API token lacks the capability " + string(f.need[0])
	case beyond:
		if errors.Is(f.err, errOrganization) {
			return "X-Axiom-Org-Id does not name the API token's organization: leave it out, or name that"
		}
		return "this is beyond the API token: it can give, or regenerate, no more than it has, cannot change what it" +
			" stands below, and only authenticates once its successor has been used"
	case badKey:
		return f.err.Error()
	case keyReused:
		return reusedKey
	case badInput:
		return problemText(f.err)
	case notFound:
		return "API token not found"
	case noRoute:
		return "no such path: there are /v2/tokens, /v2/tokens/{id} and /v2/tokens/{id}/regenerate"
	case noMethod:
		return "no such method on this path: those that there are stand in the header Allow"
	case conflict:
		return "the API token was changed by another request at the same moment, or its successor has been used: regenerate the newest one"
	case ended:
		return "the API token has ended for good: create another"
	case unavailable:
		return "the service is unavailable for the moment, and may or may not have done what was asked: look, and try again"
	}
	return "internal error, on the service's side: its operator has been told"
}

// problemText names every problem of a bad request in one line.
func problemText(err error) string {
	list := inputs(err)
	if len(list) == 0 {
		return err.Error()
	}
	lines := make([]string, len(list))
	for i, e := range list {
		lines[i] = strings.TrimPrefix(e.Field+": "+e.Problem, ": ") // some are of the whole
	}
	return strings.Join(lines, "; ")
}
