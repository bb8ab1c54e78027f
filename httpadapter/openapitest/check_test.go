package openapitest

import (
	"net/http"
	"strings"
	"testing"
)

// A check that finds nothing proves nothing, unless it finds what is wrong. Here exchanges that
// are as described are changed in one place each.
func TestTheCheckFindsWhatIsWrong(t *testing.T) {
	const token = `{"id":"01JQ5Z8TT3N1Q5GKJ0H8CXV2EM","name":"x","description":"","expiresAt":null,"datasetCapabilities":{},` +
		`"orgCapabilities":{"users":["read"]},"samlAuthenticated":false}`
	const katapult = `{"error":{"code":"scope_not_granted","description":"x","detail":{"scopes":["api_tokens"]}},` +
		`"code":"scope_not_granted","description":"x","detail":{"scopes":["api_tokens"]}}`
	const problem = `{"type":"about:blank","title":"Conflict","status":409,"detail":"x","code":"conflict"}`
	const oauth = `{"type":"about:blank","title":"Bad Request","status":400,"detail":"x","code":"bad_request","error":"invalid_request"}`
	bearer := http.Header{"Authorization": {"Bearer x"}}
	headers := func(more ...string) http.Header {
		h := http.Header{"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	get := exchange{
		Method: "GET", URL: "/v2/tokens/x", Header: bearer, Whole: true,
		Status: 200, AnswerHeader: headers(), Answer: []byte(token), AnswerWhole: true,
	}
	list := get
	list.URL, list.Answer = "/v2/tokens", []byte("["+token+","+token+"]")
	missing := exchange{Method: "GET", URL: "/v2/tokens/x", Status: 404, AnswerHeader: headers(), Answer: []byte(`{"code":404,"message":"x"}`), AnswerWhole: true}
	regenerate := exchange{
		Method: "POST", URL: "/v2/tokens/x/regenerate", Header: bearer, Body: []byte(`{"existingTokenExpiresAt":"2030-01-02T15:04:05Z"}`), Whole: true,
		Status: 200, AnswerHeader: headers(), Answer: []byte(strings.TrimSuffix(token, "}") + `,"token":"s"}`), AnswerWhole: true,
	}
	scope := exchange{
		Method: "GET", URL: "/core/v1/organizations/organization/api_tokens", Status: 403, Answer: []byte(katapult), AnswerWhole: true,
		AnswerHeader: headers("X-Api-Schema", "json-error", "X-Ratelimit-Permitted", "9", "X-Ratelimit-Remaining", "8"),
	}
	conflict := exchange{
		Method: "POST", URL: "/api/v7/tokens/x/rotate", Status: 409, Answer: []byte(problem), AnswerWhole: true,
		AnswerHeader: headers("Content-Type", "application/problem+json"),
	}
	form := exchange{
		Method: "POST", URL: "/introspect", Status: 400, Answer: []byte(oauth), AnswerWhole: true,
		AnswerHeader: headers("Content-Type", "application/problem+json"),
	}
	login := exchange{
		Method: "POST", URL: "/api/v1/auth/login", Body: []byte(`{"token":"x"}`), Whole: true, Status: 200,
		AnswerHeader: headers("Set-Cookie", "a=b; Path=/; Max-Age=9; HttpOnly; Secure; SameSite=lax"), Answer: []byte(`{"ok":true}`), AnswerWhole: true,
	}
	keyed, old := regenerate, get
	keyed.Header = http.Header{"Authorization": {"Bearer x"}, "Idempotency-Key": {`"a \"b\" \\ c"`}}
	old.AnswerHeader = headers("Deprecation", "@1893553445", "Sunset", "Wed, 02 Jan 2030 15:04:05 GMT")
	options := exchange{Method: "OPTIONS", URL: "/v2/tokens", Status: 204, AnswerHeader: http.Header{"Allow": {"GET"}}, AnswerWhole: true}

	for _, e := range []exchange{get, list, missing, regenerate, scope, conflict, form, login, keyed, old, options} {
		f, at := whose(formats(t), e)
		if err := f.check(at); err != nil {
			t.Errorf("as described: %v\n%v", e, err)
		}
	}

	answer := func(old, changed string) func(*exchange) {
		return func(e *exchange) {
			if !strings.Contains(string(e.Answer), old) {
				panic("there is no " + old)
			}
			e.Answer = []byte(strings.Replace(string(e.Answer), old, changed, 1))
		}
	}
	header := func(name, value string) func(*exchange) {
		return func(e *exchange) {
			e.AnswerHeader = e.AnswerHeader.Clone()
			if e.AnswerHeader.Set(name, value); value == "" {
				e.AnswerHeader.Del(name)
			}
		}
	}
	for _, c := range []struct {
		name   string
		e      exchange
		change func(*exchange)
	}{
		{"a field that is not described", get, answer(`"name"`, `"owner":"x","name"`)},
		{"a field that is not described, in a list", list, answer(`"name"`, `"owner":"x","name"`)},
		{"a missing field", get, answer(`"description":"",`, ``)},
		{"another type", get, answer(`"samlAuthenticated":false`, `"samlAuthenticated":"no"`)},
		{"null where it cannot be", get, answer(`"name":"x"`, `"name":null`)},
		{"an empty list", get, answer(`["read"]`, `[]`)},
		{"an unknown verb", get, answer(`["read"]`, `["own"]`)},
		{"an unknown resource", get, answer(`"users"`, `"cats"`)},
		{"no date", get, answer(`"expiresAt":null`, `"expiresAt":"tomorrow"`)},
		{"an ID of another form", get, answer(`01JQ5Z`, `01jq5z`)},
		{"a secret that is not to be shown", get, answer(`"name"`, `"token":"s","name"`)},
		{"a secret that is not shown", regenerate, answer(`,"token":"s"`, ``)},
		{"a code that is not the status", missing, answer("404", "403")},
		{"no JSON", get, answer(`{"id"`, `{{"id"`)},
		{"no body", get, answer(token, ``)},
		{"an object for a list", list, answer(string(list.Answer), token)},
		{"a status that is not described", missing, func(e *exchange) { e.Status = 418 }},
		{"a header that is missing", get, header("Cache-Control", "")},
		{"a header's other value", get, header("Cache-Control", "public")},
		{"a header that is not described", get, header("X-New", "x")},
		{"another content type", get, header("Content-Type", "text/plain")},
		{"a request without a credential", get, func(e *exchange) { e.Header = nil }},
		{"a request without what is required", regenerate, func(e *exchange) { e.Body = []byte(`{}`) }},
		{"a request with another type", regenerate, func(e *exchange) { e.Body = []byte(`{"existingTokenExpiresAt":1}`) }},
		{"a request without a body", regenerate, func(e *exchange) { e.Body = nil }},
		{"a key without quotes", regenerate, func(e *exchange) { e.Header = http.Header{"Authorization": {"Bearer x"}, "Idempotency-Key": {"x"}} }},
		{"a deprecation that is no date of RFC 9745", get, header("Deprecation", "true")},
		{"a sunset that is no date of HTTP's", get, header("Sunset", "2030-01-02T15:04:05Z")},
		{"a path that is not described", get, func(e *exchange) { e.URL = "/v2/tokens/x/y" }},
		{"a method that is not described", get, func(e *exchange) { e.Method = "PATCH" }},
		{"a body where there is none", get, func(e *exchange) { e.Method, e.Status = "DELETE", 204 }},
		{"the wrapper's other code", scope, answer("scope_not_granted", "conflict")},
		{"a code that the status does not have", scope, func(e *exchange) { e.Answer = []byte(strings.ReplaceAll(katapult, "scope_not_granted", "conflict")) }},
		{"another code's detail", scope, answer(`{"scopes":["api_tokens"]}`, `{}`)},
		{"a detail that is not described", scope, answer(`"scopes"`, `"owner":"x","scopes"`)},
		{"no wrapper", scope, func(e *exchange) {
			e.Answer = []byte(`{"code":"scope_not_granted","description":"x","detail":{"scopes":["api_tokens"]}}`)
		}},
		{"a header that is no number", scope, header("X-Ratelimit-Remaining", "many")},
		{"an error of OAuth's where there is none", conflict, answer(`"code"`, `"error":"invalid_request","code"`)},
		{"no error of OAuth's", form, answer(`,"error":"invalid_request"`, ``)},
		{"a status that is not the status", conflict, answer("409", "404")},
		{"an unknown code", conflict, answer(`"conflict"`, `"other"`)},
		{"a cookie that scripts can read", login, header("Set-Cookie", "a=b; Path=/; Max-Age=9; Secure; SameSite=lax")},
		{"no cookie", login, header("Set-Cookie", "")},
		{"false for true", login, answer("true", "false")},
		{"no Allow", options, header("Allow", "")},
	} {
		c.change(&c.e)
		f, e := whose(formats(t), c.e)
		if f.check(e) == nil {
			t.Errorf("%s: it was found to be as described", c.name)
		}
	}
}
