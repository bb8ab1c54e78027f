package axiom_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/axiomhq/axiom-go/axiom"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/interop/internal/host"
)

// all is a request with each capability that the client has a field for.
func all() axiom.CreateTokenRequest {
	const c, r, u, d = axiom.ActionCreate, axiom.ActionRead, axiom.ActionUpdate, axiom.ActionDelete
	verbs := []axiom.Action{d, u, r, c} // they come back in the order sent
	return axiom.CreateTokenRequest{
		Name: "all", Description: "of it",
		DatasetCapabilities: map[string]axiom.DatasetCapabilities{
			"*": {Ingest: []axiom.Action{c}},
			"logs": {
				Ingest: []axiom.Action{c}, Query: []axiom.Action{r}, StarredQueries: verbs, VirtualFields: verbs,
				Trim: []axiom.Action{u}, Vacuum: []axiom.Action{u}, Data: []axiom.Action{d}, Share: []axiom.Action{r, d, c},
			},
			"a:b%*c é": {Query: []axiom.Action{r}},
		},
		OrganisationCapabilities: axiom.OrganisationCapabilities{
			Annotations: verbs, APITokens: verbs, AuditLog: []axiom.Action{r}, Billing: []axiom.Action{u, r}, Dashboards: verbs,
			Datasets: verbs, Endpoints: verbs, Flows: verbs, Integrations: verbs, Monitors: verbs, Notifiers: verbs, RBAC: verbs,
			SharedAccessKeys: []axiom.Action{r, u}, Users: verbs, Views: verbs,
		},
	}
}

func TestWhatTheClientCreatesIsWhatItGetsAndLists(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := admin(h)
		whole, nano := all(), all()
		nano.ExpiresAt = time.Date(2098, 1, 2, 3, 4, 5, 999999999, time.FixedZone("", 5*3600+1800))
		for _, req := range []axiom.CreateTokenRequest{whole, nano, {OrganisationCapabilities: users}} {
			made := create(t, c, req)
			want := axiom.APIToken{
				ID: made.ID, Name: req.Name, Description: req.Description, ExpiresAt: req.ExpiresAt.Truncate(time.Microsecond).UTC(),
				DatasetCapabilities: req.DatasetCapabilities, OrganisationCapabilities: req.OrganisationCapabilities,
			}
			if want.DatasetCapabilities == nil {
				want.DatasetCapabilities = map[string]axiom.DatasetCapabilities{}
			}
			if !reflect.DeepEqual(made.APIToken, want) {
				t.Errorf("created %+v\nwant    %+v", made.APIToken, want)
			}
			if got := get(t, c, made.ID); !reflect.DeepEqual(*got, want) {
				t.Errorf("got  %+v\nwant %+v", *got, want)
			}
			if got := listed(t, c)[made.ID]; !reflect.DeepEqual(got, want) {
				t.Errorf("listed %+v\nwant   %+v", got, want)
			}
			if !works(h, made.Token) {
				t.Error("it does not work")
			}
		}
	})
}

func TestTheClientUsesWhatItCreated(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		made := create(t, admin(h), all())
		c := dial(h, made.Token)
		if err := c.ValidateCredentials(t.Context()); err != nil {
			t.Error(err)
		}
		below := create(t, c, all())
		if got := listed(t, c); len(got) != 3 { // the admin, too
			t.Errorf("listed %v", got)
		}
		if err := c.Tokens.Delete(t.Context(), below.ID); err != nil {
			t.Error(err)
		}
	})
}

func TestTheClientListsNothingAsNothing(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		// A personal token is not of the format's own, and so is not listed.
		c := dial(h, h.Issue(remint.Spec{Prefix: "xapt-", Capabilities: remint.Allow("org")}).Secret.Reveal())
		if got := listed(t, c); len(got) != 0 {
			t.Errorf("listed %v", got)
		}
	})
}

func TestAPersonalTokenNamesItsOrganization(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		personal := h.Issue(remint.Spec{Prefix: "xapt-", Capabilities: remint.Allow("org")}).Secret.Reveal()
		own := dial(h, personal, axiom.SetPersonalTokenConfig(personal, "acme"))
		made := create(t, own, axiom.CreateTokenRequest{Name: "n", OrganisationCapabilities: users})
		if _, ok := listed(t, own)[made.ID]; !ok {
			t.Error("it is not listed")
		}
		foreign := dial(h, personal, axiom.SetPersonalTokenConfig(personal, "other"))
		_, err := foreign.Tokens.List(t.Context())
		wantError(t, err, 403, "X-Axiom-Org-Id")
		wantError(t, foreign.Tokens.Delete(t.Context(), made.ID), 403, "X-Axiom-Org-Id")
	})
}

func TestRegenerateClonesAndTheOldTokenWorksUntilItsTime(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := admin(h)
		old := create(t, c, all())
		until := in(h, time.Hour)
		fresh := regenerate(t, c, old.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: until})
		want := old.APIToken
		want.ID = fresh.ID
		if fresh.ID == old.ID || !reflect.DeepEqual(fresh.APIToken, want) {
			t.Errorf("regenerated %+v\nwant        %+v", fresh.APIToken, want)
		}
		if got := get(t, c, fresh.ID); !reflect.DeepEqual(*got, want) {
			t.Errorf("got %+v", *got)
		}
		if !works(h, old.Token) || !works(h, fresh.Token) {
			t.Error("one of the two does not work")
		}
		if got := listed(t, c)[old.ID]; !got.ExpiresAt.Equal(until) {
			t.Errorf("the old one is listed with %v, want %v", got.ExpiresAt, until)
		}
		h.Advance(time.Hour - time.Minute)
		if !works(h, old.Token) {
			t.Error("it stopped too soon")
		}
		h.Advance(time.Minute)
		if works(h, old.Token) || !works(h, fresh.Token) {
			t.Error("the overlap does not end")
		}
		if list := listed(t, c); len(list) != 2 || list[fresh.ID].ID == "" {
			t.Errorf("listed %v", list)
		}
		if err := c.Tokens.Delete(t.Context(), old.ID); err != nil {
			t.Error(err)
		}
	})
}

func TestRegenerateWithNewTokenMergesNothing(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := admin(h)
		old := create(t, c, all())
		day, week := in(h, 24*time.Hour), in(h, 7*24*time.Hour)
		next := axiom.CreateTokenRequest{
			Name: "next", ExpiresAt: day,
			DatasetCapabilities:      map[string]axiom.DatasetCapabilities{"logs": {Query: []axiom.Action{axiom.ActionRead}}},
			OrganisationCapabilities: users,
		}
		fresh := regenerate(t, c, old.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: in(h, time.Hour), NewToken: &next})
		want := axiom.APIToken{
			ID: fresh.ID, Name: "next", ExpiresAt: day,
			DatasetCapabilities: next.DatasetCapabilities, OrganisationCapabilities: users,
		}
		if !reflect.DeepEqual(fresh.APIToken, want) || !reflect.DeepEqual(*get(t, c, fresh.ID), want) {
			t.Errorf("regenerated %+v\nwant        %+v", fresh.APIToken, want)
		}
		// Nobody has used it, so that another takes its place. newTokenExpiresAt wins.
		again := regenerate(t, c, old.ID, axiom.RegenerateTokenRequest{
			ExistingTokenExpiresAt: in(h, time.Hour), NewToken: &next, NewTokenExpiresAt: week,
		})
		if !again.ExpiresAt.Equal(week) || works(h, fresh.Token) || !works(h, again.Token) {
			t.Errorf("again: %+v", again.APIToken)
		}
		_, err := c.Tokens.Get(t.Context(), fresh.ID)
		wantError(t, err, 404)
	})
}

// The client has no field for them.
func TestTheViewsOfATokenSurviveTheClient(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := admin(h)
		caps := remint.Allow("org:users:read", "view:v1:query:read", "view:*:share:create")
		old := h.Issue(remint.Spec{Prefix: "xaat-", Capabilities: caps})
		fresh := regenerate(t, c, old.Token.ID().String(), axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: in(h, time.Hour)})
		id, err := remint.ParseID(fresh.ID)
		if err != nil {
			t.Fatal(err)
		}
		tok, err := h.Op.Get(t.Context(), id)
		if err != nil || !tok.Capabilities().Equal(caps) {
			t.Errorf("%v, %v", tok.Capabilities(), err)
		}
	})
}

// What is documented for stopping the old token at once is its clients' "now", in their zone.
func TestTheClientsNowStopsTheOldTokenAtOnce(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := admin(h)
		for name, now := range map[string]time.Time{
			"now": time.Now(), "elsewhere": time.Now().In(time.FixedZone("", -9*3600)), "a slow clock's": time.Now().Add(-time.Hour),
		} {
			old := create(t, c, axiom.CreateTokenRequest{OrganisationCapabilities: users})
			fresh := regenerate(t, c, old.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: now})
			if works(h, old.Token) || !works(h, fresh.Token) {
				t.Errorf("%s: the wrong one works", name)
			}
		}
		// A clock that is fast gives the old one as long as it is ahead.
		old := create(t, c, axiom.CreateTokenRequest{OrganisationCapabilities: users})
		regenerate(t, c, old.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: time.Now().Add(time.Minute)})
		if !works(h, old.Token) {
			t.Error("it stopped before its time")
		}
		h.Advance(time.Minute)
		if works(h, old.Token) {
			t.Error("it did not stop")
		}
	})
}

func TestAnExpiredTokenIsRegeneratedWithAnExpiryAndDeleted(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := admin(h)
		req := axiom.CreateTokenRequest{Name: "short", OrganisationCapabilities: users, ExpiresAt: in(h, time.Hour)}
		old, other := create(t, c, req), create(t, c, req)
		h.Advance(2 * time.Hour)
		if list := listed(t, c); list[old.ID].ID == "" || list[other.ID].ID == "" || works(h, old.Token) {
			t.Error("it is not listed, or works")
		}
		_, err := c.Tokens.Regenerate(t.Context(), old.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: h.Now()})
		wantError(t, err, 400, "newTokenExpiresAt")
		fresh := regenerate(t, c, old.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: in(h, time.Hour), NewTokenExpiresAt: in(h, time.Hour)})
		if works(h, old.Token) || !works(h, fresh.Token) || fresh.Name != "short" {
			t.Errorf("the wrong one works: %+v", fresh.APIToken)
		}
		for _, id := range []string{old.ID, other.ID} {
			if err := c.Tokens.Delete(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
		if list := listed(t, c); len(list) != 2 || list[fresh.ID].ID == "" {
			t.Errorf("listed %v", list)
		}
	})
}

// A rotation as its documentation suggests it: regenerate with an overlap, use the new
// token, delete the old one.
func TestATokenRotatesItselfAndDeletesItsPredecessor(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		caps := axiom.OrganisationCapabilities{APITokens: []axiom.Action{axiom.ActionRead, axiom.ActionUpdate, axiom.ActionDelete}}
		old := create(t, admin(h), axiom.CreateTokenRequest{Name: "ci", OrganisationCapabilities: caps})
		c := dial(h, old.Token)
		fresh := regenerate(t, c, old.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: in(h, time.Hour)})
		if err := c.Options(axiom.SetToken(fresh.Token)); err != nil {
			t.Fatal(err)
		}
		if err := c.Tokens.Delete(t.Context(), old.ID); err != nil {
			t.Fatal(err)
		}
		if works(h, old.Token) || !works(h, fresh.Token) {
			t.Error("the wrong one works")
		}
		_, err := dial(h, old.Token).Tokens.List(t.Context())
		if !errors.Is(err, axiom.ErrUnauthenticated) {
			t.Error(err)
		}
	})
}

func TestTheClientDropsABasePath(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := admin(h)
		if err := c.Options(axiom.SetURL(h.URL + "/some/prefix/")); err != nil {
			t.Fatal(err)
		}
		create(t, c, axiom.CreateTokenRequest{OrganisationCapabilities: users})
	})
}
