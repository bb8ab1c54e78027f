package httpadapter

import (
	"errors"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/remint-go/remint"
)

// A katapultError is an error that only this format has a name for.
type katapultError struct {
	status            int
	code, description string
	detail            any   // nil: an empty object
	cause             error // what the others call it
}

func (e katapultError) Error() string { return "httpadapter: " + e.code }
func (e katapultError) Unwrap() error { return e.cause }

// noOrganization is the answer to another organization's name and to an unknown one.
var noOrganization = katapultError{http.StatusNotFound, "organization_not_found",
	"No organization was found matching any of the criteria provided in the arguments", nil, remint.ErrNotFound}

// missingArgument and invalidArguments are about the shape of a body: what it lacks, and
// what is of another type than documented. The documentation names one argument in an
// error; all that is wrong is in the detail.
func missingArgument(name string) error {
	return katapultError{http.StatusBadRequest, "missing_required_argument",
		"The '" + name + "' argument is required but has not been provided", struct {
			Argument string `json:"argument"`
		}{name}, &remint.InputError{Field: name, Problem: "is missing"}}
}

func invalidArguments(f form) error {
	err := f.err()
	list := inputs(err)
	name := list[0].Field
	return katapultError{http.StatusBadRequest, "invalid_argument",
		"The '" + name + "' argument is invalid", struct {
			Argument string   `json:"argument"`
			Errors   []string `json:"errors"`
		}{name, sentences(list)}, err}
}

// sentences are what a client shows to a person: "name must be a string".
func sentences(list []*remint.InputError) []string {
	texts := make([]string, len(list))
	for i, e := range list {
		texts[i] = e.Field + " " + katapultProblem(e.Problem)
	}
	return texts
}

// katapultProblem returns what is wrong with a value, for a client. What the issuer says of
// its bound on lifetimes is for whoever set it, and names that option.
func katapultProblem(text string) string {
	const option = "Options.MaxLifetime"
	if most, ok := strings.CutPrefix(text, "is never, and "+option+" is "); ok {
		return "must be given: a token lives for at most " + most
	}
	if more, ok := strings.CutSuffix(text, ", which is "+option); ok {
		return more
	}
	return text
}

// katapultErrors are {"code","description","detail"}, within {"error":{…}} for one of the
// published clients and beside it for the other. There is no 401 and no 405.
type katapultErrors struct {
	oauthPrefix string // of scopes, which is not shown
}

// scopes returns what a route needs, any one of them, without those that are another one
// with the OAuth prefix.
func (k katapultErrors) scopes(need []remint.Capability) (list []string) {
	for _, c := range need {
		bare, prefixed := strings.CutPrefix(string(c), k.oauthPrefix)
		if !prefixed || !slices.Contains(need, remint.Capability(bare)) {
			list = append(list, string(c))
		}
	}
	return list
}

var katapultUnlimited = []string{strconv.Itoa(math.MaxInt32)}

// quota: every answer has these. Where no limit counts, they say that as many requests are
// permitted as the format's clients can read.
func (katapultErrors) quota(h http.Header, q Quota) {
	if q.Limit == 0 {
		h["X-Ratelimit-Permitted"], h["X-Ratelimit-Remaining"] = katapultUnlimited, katapultUnlimited
		return
	}
	h.Set("X-Ratelimit-Permitted", strconv.Itoa(q.Limit))
	h.Set("X-Ratelimit-Remaining", strconv.Itoa(q.Remaining))
}

func (k katapultErrors) fail(w http.ResponseWriter, f failure) {
	status, code, description, detail := k.name(f)
	if detail == nil {
		detail = struct{}{}
	}
	type fields struct {
		Code        string `json:"code"`
		Description string `json:"description"`
		Detail      any    `json:"detail"`
	}
	flat := fields{code, description, detail}
	w.Header().Set("X-Api-Schema", "json-error")
	writeJSON(w, status, struct {
		Error fields `json:"error"`
		fields
	}{flat, flat})
}

// name finds the documented error for a failure. Descriptions are those of the published
// API description, word for word, where it has one.
func (k katapultErrors) name(f failure) (status int, code, description string, detail any) {
	type details struct {
		Details *string `json:"details"`
	}
	if e, ok := errors.AsType[katapultError](f.err); ok {
		return e.status, e.code, e.description, e.detail
	}
	switch f.kind {
	case noCredential:
		return http.StatusBadRequest, "missing_api_token",
			"No API token was provided in the Authorization header. Ensure a token is provided prefixed with Bearer", nil
	case denied:
		return http.StatusForbidden, "invalid_api_token",
			"The API token provided was not valid (it may not exist or have expired)", details{nil}
	case network:
		address := ""
		if f.from.IsValid() {
			address = f.from.String()
		}
		return http.StatusForbidden, "unauthorized_network_for_api_token",
			"Network is not allowed to access the API with this API token", struct {
				IPAddress string `json:"ip_address"`
			}{address}
	case second:
		return http.StatusForbidden, "invalid_capabilities_token",
			"The capabilities token provided was not valid (either not valid, expired or not signed by the correct key)", nil
	case tooMany:
		limit, _ := errors.AsType[*limitError](f.err)
		return http.StatusTooManyRequests, "rate_limit_reached",
			"You have reached the rate limit for this type of request", struct {
				TotalPermitted int `json:"total_permitted"`
			}{limit.quota.Limit}
	case needed:
		return http.StatusForbidden, "scope_not_granted",
			"The scope required for this endpoint has not been granted to the authenticating identity", struct {
				Scopes []string `json:"scopes"`
			}{k.scopes(f.need)}
	case beyond:
		why := "This is beyond what the API token may do itself"
		return http.StatusForbidden, "permission_denied",
			"The authenticated identity is not permitted to perform this action", details{&why}
	case badKey:
		e, _ := errors.AsType[katapultError](invalidArguments(form{problems: []error{
			&remint.InputError{Field: idempotencyKey, Problem: strings.TrimPrefix(f.err.Error(), idempotencyKey+" ")}}}))
		return e.status, e.code, e.description, e.detail
	case keyReused:
		return http.StatusUnprocessableEntity, "validation_error",
			"A validation error occurred with the object that was being created/updated/deleted", struct {
				Errors []string `json:"errors"`
			}{[]string{reusedKey}}
	case badInput:
		if list := inputs(f.err); len(list) > 0 {
			return http.StatusUnprocessableEntity, "validation_error",
				"A validation error occurred with the object that was being created/updated/deleted", struct {
					Errors []string `json:"errors"`
				}{sentences(list)}
		}
		why := f.err.Error()
		return http.StatusBadRequest, "invalid_json_body", "The body is not JSON that can be used", details{&why}
	case notFound:
		return http.StatusNotFound, "api_token_not_found",
			"No API token was found matching any of the criteria provided in the arguments.", nil
	case noRoute, noMethod:
		return http.StatusNotFound, "route_not_found", "No route matches the method and path of the request", nil
	case conflict:
		return http.StatusConflict, "conflict", "The API token was changed by another request at the same time", nil
	case ended:
		return http.StatusConflict, "conflict", "The API token has expired or been replaced, and cannot be changed", nil
	}
	// A service that is set up wrongly, and one that has no store, are the same to a client.
	return http.StatusServiceUnavailable, "service_unavailable",
		"The service is currently unavailable, please try again later", nil
}
