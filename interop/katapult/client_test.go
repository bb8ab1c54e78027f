// Package katapult_test drives both published clients of Katapult, unmodified, against the
// adapter: the generated one (next/core), which knows the routes of API tokens, and the
// older one, written by hand, which has none but shares the requests and errors of all routes.
package katapult_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/krystal/go-katapult/next/core"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/interop/internal/host"
)

// dial returns the generated client for whoever presents token.
func dial(h *host.Host, token string) *core.ClientWithResponses {
	h.Helper()
	c, err := core.NewClientWithResponses(h.URL+"/core/v1", token)
	if err != nil {
		h.Fatal(err)
	}
	return c
}

// manager issues a token that may do everything in the format.
func manager(h *host.Host) remint.Grant {
	h.Helper()
	return h.Issue(remint.Spec{Name: "manager", Prefix: "kat_", Capabilities: remint.Allow("api_tokens", "dns", "disks")})
}

// works reports whether a secret is accepted from an address.
func works(h *host.Host, secret, from string) bool {
	h.Helper()
	_, err := h.Issuer.Verify(h.Context(), secret, netip.MustParseAddr(from))
	if err != nil && !errors.Is(err, remint.ErrDenied) {
		h.Fatal(err)
	}
	return err == nil
}

func organization() core.OrganizationLookup { return core.OrganizationLookup{Id: new("acme")} }

func lookup(id string) core.APITokenLookup { return core.APITokenLookup{Id: &id} }

func create(t *testing.T, c *core.ClientWithResponses, properties core.APITokenArguments) core.APIToken {
	t.Helper()
	r, err := c.PostOrganizationApiTokensWithResponse(t.Context(), core.PostOrganizationApiTokensJSONRequestBody{
		Organization: organization(), Properties: properties, Annotations: &[]core.KeyValue{{Key: "managed-by", Value: new("test")}}})
	if err != nil {
		t.Fatalf("%v: %s", err, r.Body)
	}
	if r.JSON200 == nil || r.JSON200.Annotations == nil {
		t.Fatalf("%d %s", r.StatusCode(), r.Body)
	}
	return r.JSON200.ApiToken
}

func list(t *testing.T, c *core.ClientWithResponses, page, perPage int) ([]core.APIToken, core.PaginationObject) {
	t.Helper()
	r, err := c.GetOrganizationApiTokensWithResponse(t.Context(), &core.GetOrganizationApiTokensParams{
		OrganizationId: new("acme"), Page: &page, PerPage: &perPage})
	if err != nil {
		t.Fatalf("%v: %s", err, r.Body)
	}
	return r.JSON200.ApiTokens, r.JSON200.Pagination
}

// equal fails unless two tokens are alike but for their secrets.
func equal(t *testing.T, got, want core.APIToken) {
	t.Helper()
	show := func(a core.APIToken) string {
		return fmt.Sprintln(*a.Id, *a.Name, *a.AuthorizedIpAddresses, *a.Scopes, *a.RateLimit, a.ExpiresAt, a.OrganizationId)
	}
	if show(got) != show(want) {
		t.Errorf("got  %swant %s", show(got), show(want))
	}
}

func TestTheGeneratedClientManagesATokenFromItsMakingToItsEnd(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := dial(h, manager(h).Secret.Reveal())
		expires := int(h.Now().Add(time.Hour).Unix())
		made := create(t, c, core.APITokenArguments{Name: new("ci"), ExpiresAt: &expires, Scopes: &[]string{"dns"},
			AuthorizedIpAddresses: &[]string{"192.0.2.7", "2001:db8::/32"}})
		secret, err := made.Secret.Get()
		if err != nil || !works(h, secret, "192.0.2.7") || works(h, secret, "192.0.2.8") {
			t.Fatalf("the secret %v does not work as it should", err)
		}
		if at, err := made.ExpiresAt.Get(); err != nil || at != expires || *made.RateLimit != 0 || made.OrganizationId.MustGet() != "acme" {
			t.Errorf("%+v", made)
		}

		tokens, about := list(t, c, 1, 30)
		if len(tokens) != 2 || about.Total.MustGet() != 2 || about.TotalPages.MustGet() != 1 || *about.LargeSet || *about.CurrentPage != 1 || *about.PerPage != 30 {
			t.Fatalf("%d tokens, %+v", len(tokens), about)
		}
		at := slices.IndexFunc(tokens, func(a core.APIToken) bool { return *a.Id == *made.Id })
		equal(t, tokens[at], made)
		if !tokens[at].Secret.IsNull() {
			t.Error("the list shows a secret")
		}

		patched, err := c.PatchApiTokenWithResponse(t.Context(), core.PatchApiTokenJSONRequestBody{
			ApiToken: lookup(*made.Id), Properties: core.APITokenArguments{Name: new("renamed"), AuthorizedIpAddresses: &[]string{}}})
		if err != nil {
			t.Fatalf("%v: %s", err, patched.Body)
		}
		want := made
		want.Name, want.AuthorizedIpAddresses = new("renamed"), &[]string{}
		equal(t, patched.JSON200.ApiToken, want)
		if !patched.JSON200.ApiToken.Secret.IsNull() || patched.JSON200.Annotations == nil || !works(h, secret, "192.0.2.8") {
			t.Errorf("%s", patched.Body)
		}

		fresh, err := c.PostApiTokenRegenerateSecretWithResponse(t.Context(), core.PostApiTokenRegenerateSecretJSONRequestBody{ApiToken: lookup(*made.Id)})
		if err != nil {
			t.Fatalf("%v: %s", err, fresh.Body)
		}
		equal(t, fresh.JSON200.ApiToken, want)
		now := fresh.JSON200.ApiToken.Secret.MustGet()
		if works(h, secret, "192.0.2.7") || !works(h, now, "192.0.2.7") {
			t.Error("the wrong secret works")
		}

		gone, err := c.DeleteApiTokenWithResponse(t.Context(), core.DeleteApiTokenJSONRequestBody{ApiToken: lookup(*made.Id)})
		if err != nil {
			t.Fatalf("%v: %s", err, gone.Body)
		}
		if *gone.JSON200.ApiToken.Id != *made.Id || *gone.JSON200.ApiToken.Name != "renamed" || works(h, now, "192.0.2.7") {
			t.Errorf("%s", gone.Body)
		}
		if tokens, _ := list(t, c, 1, 30); len(tokens) != 1 {
			t.Errorf("%d tokens are left", len(tokens))
		}
	})
}

func TestATokenRegeneratesItselfAndGoesOnWithWhatItGot(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		g := manager(h)
		secret := g.Secret.Reveal()
		for range 3 {
			r, err := dial(h, secret).PostApiTokenRegenerateSecretWithResponse(t.Context(), core.PostApiTokenRegenerateSecretJSONRequestBody{ApiToken: lookup(g.Token.ID().String())})
			if err != nil {
				t.Fatalf("%v: %s", err, r.Body)
			}
			if old := secret; works(h, old, "127.0.0.1") {
				t.Error("the old secret works")
			}
			secret = r.JSON200.ApiToken.Secret.MustGet()
		}
		if tokens, _ := list(t, dial(h, secret), 1, 30); len(tokens) != 1 {
			t.Errorf("%d tokens", len(tokens))
		}
	})
}

func TestTheGeneratedClientWalksAllPages(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := dial(h, h.Issue(remint.Spec{Capabilities: remint.Allow("api_tokens:read"), Prefix: "pk_"}).Secret.Reveal())
		want := map[string]bool{}
		for k := range 23 {
			want[h.Issue(remint.Spec{Name: strconv.Itoa(k), Prefix: "kat_"}).Token.ID().String()] = true
		}
		pages := 1
		for page := 1; page <= pages; page++ {
			tokens, about := list(t, c, page, 5)
			pages = about.TotalPages.MustGet()
			if *about.CurrentPage != page || about.Total.MustGet() != 23 || pages != 5 || len(tokens) > 5 {
				t.Fatalf("%d: %+v", page, about)
			}
			for _, token := range tokens {
				if !want[*token.Id] {
					t.Errorf("%s was listed before, or is none", *token.Id)
				}
				delete(want, *token.Id)
			}
		}
		if len(want) != 0 {
			t.Errorf("%d were not listed", len(want))
		}

		bySubDomain, err := c.GetOrganizationApiTokensWithResponse(t.Context(), &core.GetOrganizationApiTokensParams{OrganizationSubDomain: new("acme")})
		if err != nil || len(bySubDomain.JSON200.ApiTokens) != 23 {
			t.Errorf("by sub domain: %v %s", err, bySubDomain.Body)
		}
		annotated, err := c.GetOrganizationApiTokensWithResponse(t.Context(), &core.GetOrganizationApiTokensParams{OrganizationId: new("acme"),
			AnnotationsKey: &[]string{"a", "b"}, AnnotationsValue: &[]string{"1", "2"}})
		if err != nil || len(annotated.JSON200.ApiTokens) != 0 {
			t.Errorf("by annotations: %v %s", err, annotated.Body)
		}
	})
}
