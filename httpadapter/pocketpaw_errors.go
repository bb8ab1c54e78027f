package httpadapter

import (
	"errors"
	"net/http"
	"strconv"
)

// pocketPawErrors are {"detail":"…"}. FastAPI's own 422 has a list there; but the published
// client shows detail to people as the text that it takes it for, so that it is one here.
type pocketPawErrors struct {
	denied string // what a credential that does not count is told
}

// A pocketPawRefusal is an error for which a route has words of its own.
type pocketPawRefusal struct {
	error
	status int
	detail string
}

func (e *pocketPawRefusal) Unwrap() error { return e.error }

// quota sets what the published server does (src/pocketpaw/security/rate_limiter.py): the
// reset is in seconds from now.
func (pocketPawErrors) quota(h http.Header, q Quota) {
	if q.Limit == 0 {
		return
	}
	h.Set("X-Ratelimit-Limit", strconv.Itoa(q.Limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(q.Remaining))
	h.Set("X-Ratelimit-Reset", strconv.Itoa(q.seconds()))
}

func (e pocketPawErrors) fail(w http.ResponseWriter, f failure) {
	status, detail := e.say(w, f)
	if said, ok := errors.AsType[*pocketPawRefusal](f.err); ok {
		status, detail = said.status, said.detail
	}
	writeJSON(w, status, struct {
		Detail string `json:"detail"`
	}{detail})
}

// say returns what is said of a failure on every route.
func (e pocketPawErrors) say(w http.ResponseWriter, f failure) (status int, detail string) {
	status = f.status()
	switch f.kind {
	case noCredential, denied, network:
		for _, name := range []string{"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"} {
			w.Header().Del(name) // a live token that is no master is counted, and answered as none
		}
		w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110 section 15.5.2 wants one
		return status, e.denied
	case needed:
		return status, "API key missing required scope: " + string(f.need[0])
	case second, beyond:
		return status, "Forbidden"
	case tooMany:
		return status, "Too Many Requests"
	case badKey:
		return status, f.err.Error()
	case keyReused:
		return status, reusedKey
	case badInput:
		if f.err == errTooLarge {
			status = http.StatusRequestEntityTooLarge
		}
		return status, problemText(f.err)
	case notFound, noRoute:
		return status, "Not Found"
	case noMethod:
		return status, "Method Not Allowed"
	case conflict, ended:
		return status, "Conflict: the token was changed by another request"
	case unavailable:
		return status, "Service Unavailable"
	}
	return status, "Internal Server Error"
}
