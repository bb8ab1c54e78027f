package httpadapter

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/remint-go/remint"
)

// A nativeError is an error that only these routes have a word for.
type nativeError struct {
	status       int
	code, detail string
	cause        error // what the others call it
}

func (e nativeError) Error() string { return "httpadapter: " + e.code }
func (e nativeError) Unwrap() error { return e.cause }

// nativeErrors are problem details as in RFC 9457. Their type is about:blank, which says no
// more than the status does; "code" is the member that programs compare.
type nativeErrors struct {
	oauth bool // with the member "error" of RFC 6749 section 5.2, which RFC 7009 and 7662 use
}

// A nativeProblem is the body of an error.
type nativeProblem struct {
	Type       string         `json:"type"`
	Title      string         `json:"title"`
	Status     int            `json:"status"`
	Detail     string         `json:"detail"`
	Code       string         `json:"code"`
	Errors     []problemField `json:"errors,omitempty"`      // of code invalid
	RetryAfter int            `json:"retry_after,omitempty"` // in seconds; of code rate_limited
	Error      string         `json:"error,omitempty"`
}

// A problemField is what is wrong with one value of a request.
type problemField struct {
	Field   string `json:"field"`
	Problem string `json:"problem"`
}

func (nativeErrors) quota(h http.Header, q Quota) { rateLimitFields(h, q) }

func (n nativeErrors) fail(w http.ResponseWriter, f failure) {
	p := n.problem(f)
	switch f.kind {
	case noCredential:
		w.Header().Set("WWW-Authenticate", "Bearer") // RFC 6750 section 3.1: it is told of no error
	case denied, network:
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
	case needed:
		w.Header().Set("WWW-Authenticate", insufficientScope(f.need[0]))
	}
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	if n.oauth {
		p.Error = oauthError(p.Status, f.kind)
	}
	writeJSONAs(w, p.Status, problemType, p)
}

func (n nativeErrors) problem(f failure) nativeProblem {
	if e, ok := errors.AsType[nativeError](f.err); ok {
		return nativeProblem{Status: e.status, Code: e.code, Detail: e.detail}
	}
	p := nativeProblem{Status: f.status()}
	switch f.kind {
	case noCredential, denied, network:
		p.Code, p.Detail = "unauthorized", unauthorized.detail
	case second:
		p.Code, p.Detail = "invalid_capabilities_token", badSecond.detail
	case needed:
		p.Code, p.Detail = "insufficient_scope", forbidden.detail
	case beyond:
		p.Code, p.Detail = "forbidden", "This is beyond what the token may do."
		if errors.Is(f.err, errCrossOrigin) {
			p.Code, p.Detail = "cross_origin", crossOrigin.detail
		}
	case tooMany:
		p.Code, p.Detail, p.RetryAfter = "rate_limited", tooManyRequests.detail, f.wait
	case badKey:
		p.Code, p.Detail = "invalid_idempotency_key", f.err.Error()
	case keyReused:
		p.Code, p.Detail = "idempotency_key_reused", reusedKey
	case badInput:
		n.badInput(&p, f.err)
	case notFound:
		p.Code, p.Detail = "not_found", "There is no such token."
	case noRoute:
		p.Code, p.Detail = "no_route", "There is nothing at this path."
	case noMethod:
		p.Code, p.Detail = "method_not_allowed", "There is no such method at this path: see Allow."
	case conflict:
		p.Code, p.Detail = "conflict", "The token was changed by another request, or its state does not allow this."
	case ended:
		p.Code, p.Detail = "ended", "The token has ended, or one that it stands below, and it cannot be changed."
	case unavailable:
		p.Code, p.Detail = "unavailable", "The service cannot reach its store. Try again."
	default:
		p.Code, p.Detail = "internal", "The service failed."
	}
	return p
}

// badInput tells a body that cannot be read (400) from values that cannot be used (422); to
// OAuth both are a bad request.
func (n nativeErrors) badInput(p *nativeProblem, err error) {
	p.Code, p.Detail = "bad_request", err.Error()
	if err == errTooLarge {
		p.Status, p.Code = http.StatusRequestEntityTooLarge, "too_large"
	}
	list := inputs(err)
	if len(list) == 0 {
		return
	}
	p.Code, p.Detail = "invalid", "The request has values that cannot be used."
	if !n.oauth {
		p.Status = http.StatusUnprocessableEntity
	}
	for _, e := range list {
		p.Errors = append(p.Errors, problemField{e.Field, e.Problem})
	}
}

// oauthError is the code of RFC 6749 sections 4.1.2.1 and 5.2, or RFC 6750 section 3.1, that
// comes nearest.
func oauthError(status int, k kind) string {
	switch status {
	case http.StatusUnauthorized:
		return "invalid_token"
	case http.StatusForbidden:
		if k == needed {
			return "insufficient_scope"
		}
		return "access_denied"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return "temporarily_unavailable"
	case http.StatusInternalServerError:
		return "server_error"
	}
	return "invalid_request"
}

// errNoParent is the answer to another owner's token as the parent, and to an unknown one.
var errNoParent = &remint.InputError{Field: "parent", Problem: "is not the ID of a token"}

// nativeNames returns the routes' names for the fields of the core's arguments. path is what
// the fields of a Spec stand below, with a dot after it.
func nativeNames(path string) func(field, index string) string {
	return func(field, index string) string {
		switch field {
		case "Name", "Description", "Capabilities", "Networks", "ExpiresAt", "Attributes", "Owner", "Parent", "Prefix":
			return path + snake[field] + index
		}
		return cmp.Or(snake[field], field) + index
	}
}

var snake = map[string]string{
	"Name": "name", "Description": "description", "Capabilities": "capabilities", "Networks": "networks",
	"ExpiresAt": "expires_at", "Attributes": "attributes", "Owner": "owner", "Parent": "parent", "Prefix": "prefix",
	"Retire": "retire", "Successor": "successor", "KeepSessions": "keep_sessions", "Lifetime": "lifetime",
}
