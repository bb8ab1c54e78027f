package soak

import (
	"encoding/json"
	"net/http"
	"strings"
)

// A format is how a refusal is worded.
type format struct {
	refusals map[class]refusal
	code     func(body map[string]any) string
}

// A refusal is a status and what its body has as the code; "": any.
type refusal struct {
	status int
	code   string
}

func member(name string) func(map[string]any) string {
	return func(body map[string]any) string {
		text, _ := body[name].(string)
		return text
	}
}

// appFormat is that of the service's own handlers.
var appFormat = &format{code: member("title"), refusals: map[class]refusal{
	nothing: {401, "Unauthorized"}, denied: {401, "Unauthorized"}, elsewhere: {401, "Unauthorized"},
	lacking: {403, "Forbidden"}, limited: {429, "Too Many Requests"},
}}

var nativeFormat = &format{code: member("code"), refusals: map[class]refusal{
	nothing: {401, "unauthorized"}, denied: {401, "unauthorized"}, elsewhere: {401, "unauthorized"},
	lacking: {403, "insufficient_scope"}, beyond: {403, "forbidden"}, limited: {429, "rate_limited"},
	absent: {404, "not_found"}, conflict: {409, "conflict"}, over: {409, "ended"}, revised: {412, "revision_changed"},
	invalid: {422, "invalid"}, badBody: {400, "bad_request"}, badType: {415, "unsupported_media_type"}, tooLarge: {413, "too_large"},
	badKey: {400, "invalid_idempotency_key"}, reusedKey: {422, "idempotency_key_reused"},
	noRoute: {404, "no_route"}, noMethod: {405, "method_not_allowed"},
}}

// oauthFormat is that of introspection and revocation.
var oauthFormat = func() *format {
	f := &format{code: nativeFormat.code, refusals: map[class]refusal{}}
	for c, x := range nativeFormat.refusals {
		f.refusals[c] = x
	}
	f.refusals[invalid] = refusal{400, "invalid"}
	return f
}()

// pawFormat is PocketPaw's on a route that says that of a credential which does not count.
func pawFormat(unauthorized string) *format {
	const changed = "Conflict: the token was changed by another request"
	return &format{code: member("detail"), refusals: map[class]refusal{
		nothing: {401, unauthorized}, denied: {401, unauthorized}, elsewhere: {401, unauthorized},
		lacking: {403, "API key missing required scope: admin"}, beyond: {403, "Forbidden"},
		limited: {429, "Too Many Requests"}, absent: {404, "API key not found or already revoked"},
		conflict: {409, changed}, over: {409, changed}, expiredKey: {409, "API key has expired"},
		invalid: {422, ""}, badBody: {400, ""}, tooLarge: {413, ""}, badKey: {400, ""}, reusedKey: {422, ""},
		noRoute: {404, "Not Found"}, noMethod: {405, "Method Not Allowed"},
	}}
}

// expiredKey is what only PocketPaw's routes say.
const expiredKey class = "the key has expired"

var (
	pawRoutes   = pawFormat("Unauthorized")
	pawExchange = pawFormat("Invalid master token")
	pawLogin    = pawFormat("Invalid access token")
)

var axiomFormat = &format{
	code: func(body map[string]any) string {
		code, _ := body["code"].(float64)
		return http.StatusText(int(code))
	},
	refusals: map[class]refusal{
		nothing: {401, "Unauthorized"}, denied: {401, "Unauthorized"}, elsewhere: {401, "Unauthorized"},
		lacking: {403, "Forbidden"}, beyond: {403, "Forbidden"}, limited: {429, "Too Many Requests"},
		absent: {404, "Not Found"}, conflict: {409, "Conflict"}, over: {409, "Conflict"},
		invalid: {400, "Bad Request"}, badBody: {400, "Bad Request"}, badType: {400, "Bad Request"}, tooLarge: {400, "Bad Request"},
		badKey: {400, "Bad Request"}, reusedKey: {422, "Unprocessable Entity"},
		noRoute: {404, "Not Found"}, noMethod: {405, "Method Not Allowed"},
	},
}

var katapultFormat = &format{code: member("code"), refusals: map[class]refusal{
	nothing: {400, "missing_api_token"}, denied: {403, "invalid_api_token"}, elsewhere: {403, "unauthorized_network_for_api_token"},
	lacking: {403, "scope_not_granted"}, beyond: {403, "permission_denied"}, limited: {429, "rate_limit_reached"},
	absent: {404, "api_token_not_found"}, noOwner: {404, "organization_not_found"}, conflict: {409, "conflict"}, over: {409, "conflict"},
	invalid: {422, "validation_error"}, badBody: {400, "invalid_json_body"}, badType: {400, "invalid_json_body"}, tooLarge: {400, "invalid_json_body"},
	noArgument: {400, "missing_required_argument"}, badKey: {400, "invalid_argument"}, reusedKey: {422, "validation_error"},
	noRoute: {404, "route_not_found"}, noMethod: {404, "route_not_found"},
}}

// A reply is an answer that has arrived.
type reply struct {
	status int
	header http.Header
	body   []byte
	object map[string]any // of a JSON object
	list   []any          // of a JSON list
}

func newReply(status int, h http.Header, body []byte) *reply {
	s := &reply{status: status, header: h, body: body}
	if strings.HasPrefix(h.Get("Content-Type"), "application/") {
		var v any
		if json.Unmarshal(body, &v) == nil {
			s.object, _ = v.(map[string]any)
			s.list, _ = v.([]any)
		}
	}
	return s
}
