package katapult_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	katapult "github.com/krystal/go-katapult"
	oldcore "github.com/krystal/go-katapult/core"
	"github.com/krystal/go-katapult/next/core"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/interop/internal/host"
	"github.com/remint-go/remint/store"
)

// broken is a store that can be down.
type broken struct {
	store.Memory
	down atomic.Bool
}

func (b *broken) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if b.down.Load() {
		return nil, errors.New("no route to host")
	}
	return b.Memory.Load(ctx, id)
}

// A failure is a request that gets a documented error: with what credential, what it asks
// for, and what both clients must read.
type failure struct {
	status int
	code   string
	is     error // of the older client, or nil: it has no name for it
	token  string
	ask    func() (method, path, body string)
	detail string // as JSON
}

func failures(h *host.Host) []failure {
	id := h.Issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("*")}).Token.ID().String()
	manager := manager(h).Secret.Reveal()
	reader := h.Issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("api_tokens:read")}).Secret.Reveal()
	elsewhere := h.Issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("*"), Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}).Secret.Reveal()
	limited := h.Issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("*"), Attributes: map[string]string{httpadapter.RateLimitAttribute: "1"}}).Secret.Reveal()
	if tokens, _ := list(h.TB.(*testing.T), dial(h, limited), 1, 1); len(tokens) != 1 {
		h.Error("the first request was one too many")
	}
	patch := func(properties string) func() (string, string, string) {
		return func() (string, string, string) {
			return "PATCH", "/api_tokens/api_token", `{"api_token":{"id":"` + id + `"},"properties":` + properties + `}`
		}
	}
	listing := func(query string) func() (string, string, string) {
		return func() (string, string, string) {
			return "GET", "/organizations/organization/api_tokens?" + query, ""
		}
	}
	return []failure{
		{400, "missing_required_argument", katapult.ErrBadRequest, manager, listing(""), `{"argument":"organization"}`},
		{400, "invalid_argument", katapult.ErrBadRequest, manager, listing("organization[id]=acme&page=0"), `{"argument":"page","errors":["page must be a whole number from 1 to 3333"]}`},
		{403, "invalid_api_token", oldcore.ErrInvalidAPIToken, "garbage", listing("organization[id]=acme"), `{"details":null}`},
		{403, "unauthorized_network_for_api_token", oldcore.ErrUnauthorizedNetworkForAPIToken, elsewhere, listing("organization[id]=acme"), `{"ip_address":"127.0.0.1"}`},
		{403, "scope_not_granted", katapult.ErrScopeNotGranted, reader, patch(`{}`), `{"scopes":["api_tokens"]}`},
		{403, "permission_denied", oldcore.ErrPermissionDenied, manager, patch(`{"name":"x"}`), `{"details":"This is beyond what the API token may do itself"}`},
		{404, "api_token_not_found", katapult.ErrResourceNotFound, manager, func() (string, string, string) {
			return "DELETE", "/api_tokens/api_token", `{"api_token":{"id":"x"}}`
		}, `{}`},
		{404, "organization_not_found", oldcore.ErrOrganizationNotFound, manager, listing("organization[sub_domain]=other"), `{}`},
		{404, "route_not_found", katapult.ErrNotFound, manager, func() (string, string, string) { return "GET", "/api_tokens/x", "" }, `{}`},
		{422, "validation_error", oldcore.ErrValidationError, manager, func() (string, string, string) {
			return "POST", "/organizations/organization/api_tokens", `{"organization":{"id":"acme"},"properties":{"scopes":["a b"],"expires_at":0}}`
		}, ""},
		{429, "rate_limit_reached", oldcore.ErrRateLimitReached, limited, listing("organization[id]=acme"), `{"total_permitted":1}`},
	}
}

// redirected makes the older client's services send what a failure asks for instead of their
// own requests: they have none for API tokens, and share what they make of an error.
type redirected struct {
	*katapult.Client
	method, path, body string
}

func (r redirected) Do(ctx context.Context, req *katapult.Request, v any) (*katapult.Response, error) {
	u, err := url.Parse("/core/v1" + r.path)
	if err != nil {
		return nil, err
	}
	req.Method, req.URL, req.Body = r.method, u, nil
	if r.body != "" {
		req.Body = json.RawMessage(r.body)
	}
	return r.Client.Do(ctx, req, v)
}

func older(h *host.Host, token string) *katapult.Client {
	h.Helper()
	base, err := url.Parse(h.URL)
	if err != nil {
		h.Fatal(err)
	}
	c, err := katapult.New(katapult.WithBaseURL(base), katapult.WithAPIKey(token))
	if err != nil {
		h.Fatal(err)
	}
	return c
}

func TestTheOlderClientReadsTheErrorInTheWrapper(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		for _, f := range failures(h) {
			method, path, body := f.ask()
			client := redirected{older(h, f.token), method, path, body}
			_, resp, err := oldcore.New(client).SecurityGroups.List(t.Context(), oldcore.OrganizationRef{ID: "acme"}, nil)
			if resp == nil || resp.Error == nil {
				t.Errorf("%s: %v: no error was read", f.code, err)
				continue
			}
			if resp.StatusCode != f.status || resp.Error.Code != f.code || resp.Error.Description == "" || f.detail != "" && string(resp.Error.Detail) != f.detail {
				t.Errorf("%s: %d %+v", f.code, resp.StatusCode, resp.Error)
			}
			if !errors.Is(err, f.is) {
				t.Errorf("%s: %v is not %v", f.code, err, f.is)
			}
		}
	})
}

func TestTheOlderClientKnowsWhatTheErrorsSay(t *testing.T) {
	h := host.Start(t, new(store.Memory))
	for _, f := range failures(h) {
		method, path, body := f.ask()
		_, _, err := oldcore.New(redirected{older(h, f.token), method, path, body}).SecurityGroups.List(t.Context(), oldcore.OrganizationRef{}, nil)
		var (
			scope      *katapult.ScopeNotGrantedError
			network    *oldcore.UnauthorizedNetworkForAPITokenError
			limit      *oldcore.RateLimitReachedError
			validation *oldcore.ValidationError
			denied     *oldcore.PermissionDeniedError
		)
		ok := true
		switch f.code {
		case "scope_not_granted":
			ok = errors.As(err, &scope) && slices.Equal(scope.Detail.Scopes, []string{"api_tokens"})
		case "unauthorized_network_for_api_token":
			ok = errors.As(err, &network) && network.Detail.IpAddress == "127.0.0.1"
		case "rate_limit_reached":
			ok = errors.As(err, &limit) && limit.Detail.TotalPermitted == 1
		case "validation_error":
			ok = errors.As(err, &validation) && len(validation.Detail.Errors) == 2
		case "permission_denied":
			ok = errors.As(err, &denied) && denied.Detail.Details != nil
		}
		if !ok {
			t.Errorf("%s: %v", f.code, err)
		}
	}
}

func TestTheOlderClientReadsPagesAndSendsItsBodies(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		secret := manager(h).Secret.Reveal()
		_, resp, err := oldcore.New(redirected{older(h, secret), "GET", "/organizations/organization/api_tokens?organization[id]=acme&per_page=1", ""}).
			SecurityGroups.List(t.Context(), oldcore.OrganizationRef{}, nil)
		if err != nil || *resp.Pagination != (katapult.Pagination{CurrentPage: 1, TotalPages: 1, Total: 1, PerPage: 1}) {
			t.Fatalf("%v %+v", err, resp.Pagination)
		}

		c := older(h, secret)
		var made struct {
			APIToken struct{ ID, Secret string } `json:"api_token"`
		}
		send := func(method, path string, body any) {
			t.Helper()
			resp, err := c.Do(t.Context(), katapult.NewRequest(method, &url.URL{Path: "/core/v1" + path}, body), &made)
			if err != nil {
				t.Fatalf("%s %s: %v", method, path, err)
			}
			if resp.Header.Get("X-Ratelimit-Permitted") == "" {
				t.Errorf("%s %s: how many requests there are is not said", method, path)
			}
		}
		type object = map[string]any
		send("POST", "/organizations/organization/api_tokens", object{"organization": object{"id": "acme"}, "properties": object{"name": "ci"}})
		id, first := made.APIToken.ID, made.APIToken.Secret
		send("PATCH", "/api_tokens/_", object{"api_token": object{"id": id}, "properties": object{"scopes": []string{"dns"}}})
		send("POST", "/api_tokens/"+id+"/regenerate_secret", nil)
		if works(h, first, "127.0.0.1") || !works(h, made.APIToken.Secret, "127.0.0.1") {
			t.Error("the wrong secret works")
		}
		send("DELETE", "/api_tokens/_", object{"api_token": object{"id": id}})
		if works(h, made.APIToken.Secret, "127.0.0.1") {
			t.Error("it was deleted, and works")
		}
	})
}

// read takes the union of the 403s apart, as a user of the generated client does: by the code.
func read[T any](t *testing.T, as func() (T, error)) T {
	t.Helper()
	v, err := as()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTheGeneratedClientReadsTheFlatError(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		ctx := t.Context()
		strong := h.Issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("*")}).Token.ID().String()
		manager := manager(h).Secret.Reveal()
		patch := func(token, id string, p core.APITokenArguments) *core.PatchApiTokenResponse {
			t.Helper()
			r, err := dial(h, token).PatchApiTokenWithResponse(ctx, core.PatchApiTokenJSONRequestBody{ApiToken: lookup(id), Properties: p})
			if want := core.ErrRequestFailed; !errors.Is(err, want) && !(r != nil && r.StatusCode() == 404 && errors.Is(err, core.ErrNotFound)) {
				t.Fatalf("%v, want %v", err, want)
			}
			return r
		}

		// 400. Its client always sends a credential and an argument: an empty credential is none.
		r400, _ := dial(h, "").GetOrganizationApiTokensWithResponse(ctx, &core.GetOrganizationApiTokensParams{OrganizationId: new("acme")})
		if e := r400.JSON400; e == nil || *e.Code != core.MissingApiToken || *e.Description == "" || len(*e.Detail) != 0 {
			t.Errorf("400: %s", r400.Body)
		}

		// 403, of which there are five.
		reader := h.Issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("api_tokens:read")}).Secret.Reveal()
		scope := read(t, patch(reader, strong, core.APITokenArguments{}).JSON403.AsScopeNotGrantedErrorSchema)
		if *scope.Code != core.ScopeNotGranted || !slices.Equal(*scope.Detail.Scopes, []string{"api_tokens"}) {
			t.Errorf("%+v", scope)
		}
		denied := read(t, patch(manager, strong, core.APITokenArguments{Name: new("x")}).JSON403.AsPermissionDeniedSchema)
		if text, err := denied.Detail.Details.Get(); *denied.Code != core.PermissionDeniedEnumPermissionDenied || err != nil || text == "" {
			t.Errorf("%+v", denied)
		}
		invalid := read(t, patch("garbage", strong, core.APITokenArguments{}).JSON403.AsInvalidAPITokenSchema)
		if *invalid.Code != core.InvalidApiToken || !invalid.Detail.Details.IsNull() {
			t.Errorf("%+v", invalid)
		}
		away := h.Issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("*"), Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}).Secret.Reveal()
		network := read(t, patch(away, strong, core.APITokenArguments{}).JSON403.AsUnauthorizedNetworkForAPITokenSchema)
		if *network.Code != core.UnauthorizedNetworkForApiToken || *network.Detail.IpAddress != "127.0.0.1" {
			t.Errorf("%+v", network)
		}
		second := func(_ context.Context, r *http.Request) error {
			r.Header.Set("X-Capabilities-Token", "forged")
			return nil
		}
		forged, err := dial(h, manager).DeleteApiTokenWithResponse(ctx, core.DeleteApiTokenJSONRequestBody{ApiToken: lookup(strong)}, second)
		if !errors.Is(err, core.ErrRequestFailed) {
			t.Fatal(err)
		}
		capabilities := read(t, forged.JSON403.AsInvalidCapabilitiesTokenSchema)
		if *capabilities.Code != core.InvalidCapabilitiesToken || !strings.Contains(*capabilities.Description, "capabilities token") {
			t.Errorf("%+v", capabilities)
		}

		// 404
		if r := patch(manager, "x", core.APITokenArguments{}); r.JSON404 == nil || *r.JSON404.Code != core.ApiTokenNotFound || *r.JSON404.Description == "" {
			t.Errorf("404: %s", r.Body)
		}
		other, err := dial(h, manager).GetOrganizationApiTokensWithResponse(ctx, &core.GetOrganizationApiTokensParams{OrganizationId: new("other")})
		if !errors.Is(err, core.ErrNotFound) || *other.JSON404.Code != core.OrganizationNotFound {
			t.Errorf("404: %v %s", err, other.Body)
		}

		// 422
		mine := *create(t, dial(h, manager), core.APITokenArguments{}).Id
		r422 := patch(manager, mine, core.APITokenArguments{Scopes: &[]string{"a b"}, AuthorizedIpAddresses: &[]string{"x"}, ExpiresAt: new(1)})
		if e := r422.JSON422; e == nil || *e.Code != core.ValidationErrorEnumValidationError || len(*e.Detail.Errors) != 3 {
			t.Errorf("422: %s", r422.Body)
		}

		// 429
		limited := h.Issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("*"), Attributes: map[string]string{httpadapter.RateLimitAttribute: "1"}}).Secret.Reveal()
		list(t, dial(h, limited), 1, 1)
		r429 := patch(limited, strong, core.APITokenArguments{})
		if e := r429.JSON429; e == nil || *e.Code != core.RateLimitReachedEnumRateLimitReached || *e.Detail.TotalPermitted != 1 {
			t.Errorf("429: %s", r429.Body)
		}
		if got := r429.HTTPResponse.Header; got.Get("X-Ratelimit-Permitted") != "1" || got.Get("X-Ratelimit-Remaining") != "0" {
			t.Errorf("429: %v", got)
		}

		// 409 is ours: the client has no type for it, and hands out the body.
		expired := h.Issue(remint.Spec{Prefix: "kat_", ExpiresAt: h.Now().Add(time.Minute)}).Token.ID().String()
		h.Advance(time.Minute)
		r409 := patch(manager, expired, core.APITokenArguments{Name: new("x")})
		if r409.StatusCode() != 409 || !strings.Contains(string(r409.Body), `"code":"conflict"`) {
			t.Errorf("409: %d %s", r409.StatusCode(), r409.Body)
		}
	}, func(o *httpadapter.Options) {
		o.CapabilitiesToken = func(context.Context, string, remint.Token, netip.Addr) (remint.Capabilities, error) {
			return remint.Capabilities{}, errors.New("no such key")
		}
	})
}

func TestBothClientsReadAnOutage(t *testing.T) {
	b := new(broken)
	h := host.Start(t, b)
	secret := manager(h).Secret.Reveal()
	b.down.Store(true)
	r, err := dial(h, secret).PostApiTokenRegenerateSecretWithResponse(t.Context(), core.PostApiTokenRegenerateSecretJSONRequestBody{ApiToken: lookup("x")})
	if !errors.Is(err, core.ErrRequestFailed) || r.JSON503 == nil || *r.JSON503.Code != core.ServiceUnavailable {
		t.Errorf("%v %s", err, r.Body)
	}
	_, resp, err := oldcore.New(redirected{older(h, secret), "GET", "/organizations/organization/api_tokens", ""}).SecurityGroups.List(t.Context(), oldcore.OrganizationRef{}, nil)
	if !errors.Is(err, katapult.ErrServiceUnavailable) || resp.Error.Code != "service_unavailable" {
		t.Errorf("%v", err)
	}
}
