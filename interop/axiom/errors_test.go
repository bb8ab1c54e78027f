package axiom_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/axiomhq/axiom-go/axiom"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/interop/internal/host"
	"github.com/remint-go/remint/store"
)

// every calls each method of the client's Tokens service.
func every(t *testing.T, c *axiom.Client, id string) map[string]error {
	t.Helper()
	errs := map[string]error{}
	_, errs["list"] = c.Tokens.List(t.Context())
	_, errs["get"] = c.Tokens.Get(t.Context(), id)
	_, errs["create"] = c.Tokens.Create(t.Context(), axiom.CreateTokenRequest{OrganisationCapabilities: users})
	_, errs["regenerate"] = c.Tokens.Regenerate(t.Context(), id, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: time.Now().Add(time.Hour)})
	errs["delete"] = c.Tokens.Delete(t.Context(), id)
	return errs
}

func TestTheClientsTypedErrors(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := admin(h)
		target := create(t, c, axiom.CreateTokenRequest{OrganisationCapabilities: users})
		foreign := h.Issue(remint.Spec{Owner: "other", Prefix: "xaat-"}).Token.ID().String()
		dead := create(t, c, axiom.CreateTokenRequest{OrganisationCapabilities: manages})
		if err := c.Tokens.Delete(t.Context(), dead.ID); err != nil {
			t.Fatal(err)
		}

		for name, err := range every(t, dial(h, dead.Token), target.ID) {
			if !errors.Is(err, axiom.ErrUnauthenticated) || err.Error() != "API error 401: missing or invalid API token: send a live one as Authorization: Bearer" {
				t.Errorf("%s with a dead token: %v", name, err)
			}
		}
		needs := map[string]string{"list": "read", "get": "read", "create": "create", "regenerate": "update", "delete": "delete"}
		for name, err := range every(t, dial(h, target.Token), target.ID) {
			if !errors.Is(err, axiom.ErrUnauthorized) {
				t.Errorf("%s without the capability: %v", name, err)
			}
			wantError(t, err, 403, "org:apiTokens:"+needs[name])
		}
		unknown := map[string]string{}
		for _, id := range []string{"01ARZ3NDEKTSV4RRFFQ69G5FAV", foreign, dead.ID, "x", "ü x"} {
			for name, err := range every(t, c, id) {
				if name == "list" || name == "create" {
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					continue
				}
				if !errors.Is(err, axiom.ErrNotFound) {
					t.Errorf("%s of %q: %v", name, id, err)
				} else if unknown[name] == "" {
					unknown[name] = err.Error()
				} else if err.Error() != unknown[name] {
					t.Errorf("%s of %q: %v, and of an unknown one: %s", name, id, err, unknown[name])
				}
			}
		}
	})
}

func TestTheClientIsToldEveryProblemOfItsRequest(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := admin(h)
		_, err := c.Tokens.Create(t.Context(), axiom.CreateTokenRequest{Name: "a\x00b", ExpiresAt: h.Now().Add(-time.Hour)})
		wantError(t, err, 400, "at least one capability must be set", "name: has a control character", "expiresAt: ", "is not in the future")
		_, err = c.Tokens.Create(t.Context(), axiom.CreateTokenRequest{OrganisationCapabilities: axiom.OrganisationCapabilities{AuditLog: []axiom.Action{axiom.ActionDelete}}})
		wantError(t, err, 400, `orgCapabilities.auditLog: "delete" is not one of read`)
		_, err = c.Tokens.Create(t.Context(), axiom.CreateTokenRequest{OrganisationCapabilities: axiom.OrganisationCapabilities{Users: make([]axiom.Action, 1)}})
		wantError(t, err, 400, `orgCapabilities.users: `)
		made := create(t, c, axiom.CreateTokenRequest{OrganisationCapabilities: users})
		// Go's zero time is how the client says that there is none.
		_, err = c.Tokens.Regenerate(t.Context(), made.ID, axiom.RegenerateTokenRequest{})
		wantError(t, err, 400, "existingTokenExpiresAt: must be given")
		_, err = c.Tokens.Regenerate(t.Context(), made.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: h.Now(), NewToken: new(axiom.CreateTokenRequest)})
		wantError(t, err, 400, "newToken: at least one capability must be set")
		if !works(h, made.Token) {
			t.Error("it was regenerated all the same")
		}
	})
}

func TestTheClientCannotGiveMoreThanItHas(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		weak := create(t, admin(h), axiom.CreateTokenRequest{OrganisationCapabilities: axiom.OrganisationCapabilities{
			APITokens: []axiom.Action{axiom.ActionCreate, axiom.ActionUpdate},
		}})
		c := dial(h, weak.Token)
		wide := axiom.CreateTokenRequest{OrganisationCapabilities: users}
		_, err := c.Tokens.Create(t.Context(), wide)
		if !errors.Is(err, axiom.ErrUnauthorized) {
			t.Error(err)
		}
		_, err = c.Tokens.Regenerate(t.Context(), weak.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: in(h, time.Hour), NewToken: &wide})
		if !errors.Is(err, axiom.ErrUnauthorized) {
			t.Error(err)
		}
	})
}

func TestATokenWhoseSuccessorWasUsedIsAConflictToTheClient(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := admin(h)
		old := create(t, c, axiom.CreateTokenRequest{OrganisationCapabilities: manages})
		req := axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: in(h, time.Hour)}
		fresh := regenerate(t, c, old.ID, req)
		listed(t, dial(h, fresh.Token)) // it is used
		_, err := c.Tokens.Regenerate(t.Context(), old.ID, req)
		if !errors.Is(err, axiom.ErrExists) {
			t.Error(err)
		}
		wantError(t, err, 409, "regenerate the newest one")
		// The old one only authenticates.
		_, err = dial(h, old.Token).Tokens.Regenerate(t.Context(), old.ID, req)
		if !errors.Is(err, axiom.ErrUnauthorized) {
			t.Error(err)
		}
		if !works(h, fresh.Token) {
			t.Error("the loser stopped the winner's token")
		}
	})
}

func TestALimitReachesTheClientAsItsLimitError(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		// At the beginning of a minute, so that none begins in between.
		h.Advance(h.Now().Truncate(time.Minute).Add(time.Minute).Sub(h.Now()))
		c := admin(h)
		var requests atomic.Int64
		h.Instead(func(w http.ResponseWriter, r *http.Request) { requests.Add(1); h.Service.ServeHTTP(w, r) })
		made := create(t, c, axiom.CreateTokenRequest{OrganisationCapabilities: users})
		listed(t, c)
		for name, err := range every(t, c, made.ID) {
			if name == "delete" {
				// What ends something is counted, and never refused.
				if err != nil {
					t.Errorf("delete: %v", err)
				}
				continue
			}
			var limit axiom.LimitError
			if !errors.As(err, &limit) {
				t.Errorf("%s: %v", name, err)
				continue
			}
			reset := h.Now().Truncate(time.Minute).Add(time.Minute)
			if l := limit.Limit; l.Scope != axiom.LimitScopeUser || l.Limit != 2 || l.Remaining != 0 || !l.Reset.Equal(reset) {
				t.Errorf("%s: %+v, want a reset at %v", name, l, reset)
			}
			if !strings.HasPrefix(limit.Error(), "rate limit exceeded: try again in ") || !errors.Is(err, limit) {
				t.Errorf("%s: %v", name, err)
			}
			wantError(t, err, 429, "the API token may make 2 in a minute")
		}
		// It does not try again by itself, nor hold back what is asked of it.
		if n := requests.Load(); n != 7 {
			t.Errorf("%d requests", n)
		}
		h.Advance(time.Minute)
		if list := listed(t, c); list[made.ID].ID != "" || len(list) != 1 {
			t.Errorf("listed %v: a refused request was carried out, or the deletion was not", list)
		}
	}, func(o *httpadapter.Options) { o.RateLimit = 2 })
}

// A store can be down.
type outage struct {
	remint.Store
	down atomic.Bool
}

func (o *outage) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if o.down.Load() {
		return nil, errors.New("the disk is on fire")
	}
	return o.Store.Load(ctx, id)
}

func TestAnOutageReachesTheClientAs503(t *testing.T) {
	s := &outage{Store: new(store.Memory)}
	h := host.Start(t, s)
	c := admin(h)
	made := create(t, c, axiom.CreateTokenRequest{OrganisationCapabilities: users})
	s.down.Store(true)
	_, err := c.Tokens.List(t.Context())
	wantError(t, err, 503, "try again")
	_, err = c.Tokens.Get(t.Context(), made.ID)
	wantError(t, err, 503)
	wantError(t, c.Tokens.Delete(t.Context(), made.ID), 503)
	s.down.Store(false)
	if list := listed(t, c); len(list) != 2 {
		t.Errorf("listed %v", list)
	}
}

// What the client makes of an ID that is empty: other paths, and errors of the format.
func TestAnEmptyIDIsAnErrorToTheClient(t *testing.T) {
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := admin(h)
		_, err := c.Tokens.Get(t.Context(), "")
		if err == nil {
			t.Error("it got something")
		}
		wantError(t, c.Tokens.Delete(t.Context(), ""), 405, "Allow")
		_, err = c.Tokens.Regenerate(t.Context(), "", axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: h.Now()})
		wantError(t, err, 405, "Allow")
	})
}
