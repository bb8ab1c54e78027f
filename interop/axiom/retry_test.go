package axiom_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/axiomhq/axiom-go/axiom"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/interop/internal/host"
	"github.com/remint-go/remint/store"
)

// The client repeats a create or a regenerate by itself, with the same body and nothing that
// says so, when the answer is a 5xx or does not come; list, get and delete it does not.
// Until regenerate knows a retry, that has the hazards below.

func TestALostAnswerToCreateMakesASecondToken(t *testing.T) {
	t.Parallel() // the client waits between its attempts
	for name, how := range losses {
		t.Run(name, func(t *testing.T) {
			host.OnEachStore(t, func(t *testing.T, h *host.Host) {
				c := admin(h)
				requests := lose(h, http.MethodPost, 1, how)
				made := create(t, c, axiom.CreateTokenRequest{Name: "ci", OrganisationCapabilities: users})
				if n := requests.Load(); n != 2 || !works(h, made.Token) {
					t.Errorf("%d requests, or what they made does not work", n)
				}
				if list := listed(t, c); len(list) != 3 { // the admin, the lost one, and this
					t.Errorf("listed %v", list)
				}
			})
		})
	}
}

func TestALostAnswerToRegenerateLeavesOneSuccessor(t *testing.T) {
	t.Parallel() // the client waits between its attempts
	for name, how := range losses {
		for _, self := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				host.OnEachStore(t, func(t *testing.T, h *host.Host) {
					watch := admin(h)
					old := create(t, watch, axiom.CreateTokenRequest{OrganisationCapabilities: manages})
					c := watch
					if self {
						c = dial(h, old.Token)
					}
					requests := lose(h, http.MethodPost, 2, how)
					fresh := regenerate(t, c, old.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: in(h, time.Hour)})
					if n := requests.Load(); n != 3 {
						t.Errorf("%d requests", n)
					}
					if !works(h, fresh.Token) || !works(h, old.Token) {
						t.Error("one of the two does not work")
					}
					if list := listed(t, watch); len(list) != 3 || list[fresh.ID].ID == "" || list[old.ID].ID == "" {
						t.Errorf("listed %v", list)
					}
				})
			})
		}
	}
}

// With "now", too, as long as the caller's token is another one.
func TestALostAnswerToRegenerateNowIsRepeatedByAnotherToken(t *testing.T) {
	t.Parallel() // the client waits between its attempts
	for name, how := range losses {
		t.Run(name, func(t *testing.T) {
			host.OnEachStore(t, func(t *testing.T, h *host.Host) {
				c := admin(h)
				old := create(t, c, axiom.CreateTokenRequest{OrganisationCapabilities: users})
				lose(h, http.MethodPost, 1, how)
				fresh := regenerate(t, c, old.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: h.Now()})
				if works(h, old.Token) || !works(h, fresh.Token) {
					t.Error("the wrong one works")
				}
				if list := listed(t, c); len(list) != 2 {
					t.Errorf("listed %v", list)
				}
			})
		})
	}
}

// The documented hazard: the first request stopped the caller's own token, and nobody has
// the secret of its successor.
func TestALostAnswerToRegenerateOfItselfNowLocksTheClientOut(t *testing.T) {
	t.Parallel() // the client waits between its attempts
	for name, how := range losses {
		t.Run(name, func(t *testing.T) {
			host.OnEachStore(t, func(t *testing.T, h *host.Host) {
				watch := admin(h)
				old := create(t, watch, axiom.CreateTokenRequest{OrganisationCapabilities: manages})
				requests := lose(h, http.MethodPost, 1, how)
				_, err := dial(h, old.Token).Tokens.Regenerate(t.Context(), old.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: h.Now()})
				if n := requests.Load(); n != 2 || !errors.Is(err, axiom.ErrUnauthenticated) {
					t.Errorf("%d requests, %v", n, err)
				}
				if list := listed(t, watch); len(list) != 2 || list[old.ID].ID != "" {
					t.Errorf("listed %v", list)
				}
				// Whoever manages it can still help: a successor that nobody has used is replaced.
				fresh := regenerate(t, watch, old.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: h.Now()})
				if !works(h, fresh.Token) {
					t.Error("it does not work")
				}
			})
		})
	}
}

// A gateway that passed the answer on to somebody, and to the client an error.
func TestARegenerateWhoseAnswerWasUsedElsewhereIsAConflict(t *testing.T) {
	t.Parallel() // the client waits between its attempts
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := admin(h)
		old := create(t, c, axiom.CreateTokenRequest{OrganisationCapabilities: users})
		id, err := remint.ParseID(old.ID)
		if err != nil {
			t.Fatal(err)
		}
		var first remint.Grant
		h.Instead(func(w http.ResponseWriter, r *http.Request) {
			if first.Secret.Reveal() != "" {
				h.Service.ServeHTTP(w, r)
				return
			}
			first, err = h.Op.Rotate(t.Context(), id, remint.Rotation{Successor: new(remint.Successor), Retire: remint.RetireAfter(time.Hour)})
			if err != nil || !works(h, first.Secret.Reveal()) {
				t.Errorf("%v, or it does not work", err)
			}
			w.WriteHeader(http.StatusBadGateway)
		})
		_, err = c.Tokens.Regenerate(t.Context(), old.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: in(h, time.Hour)})
		if !errors.Is(err, axiom.ErrExists) || !works(h, first.Secret.Reveal()) {
			t.Errorf("%v, or the loser stopped the winner's token", err)
		}
	})
}

func TestTheClientWaitsForAnOutageToEnd(t *testing.T) {
	t.Parallel() // the client waits between its attempts
	host.OnEachStore(t, func(t *testing.T, h *host.Host) {
		c := admin(h)
		var requests atomic.Int64
		h.Instead(func(w http.ResponseWriter, r *http.Request) {
			if requests.Add(1) < 3 {
				http.Error(w, "starting", http.StatusServiceUnavailable)
				return
			}
			h.Service.ServeHTTP(w, r)
		})
		create(t, c, axiom.CreateTokenRequest{OrganisationCapabilities: users})
		if n := requests.Load(); n != 3 {
			t.Errorf("%d requests", n)
		}
		h.Instead(nil)
		if list := listed(t, c); len(list) != 2 {
			t.Errorf("listed %v", list)
		}
	})
}

func TestOneThatGivesUpOnTheClientStopsItsRetries(t *testing.T) {
	t.Parallel() // the client waits between its attempts
	h := host.Start(t, new(store.Memory))
	c := admin(h)
	ctx, cancel := context.WithCancel(t.Context())
	var requests atomic.Int64
	h.Instead(func(w http.ResponseWriter, r *http.Request) {
		if requests.Add(1) == 2 {
			cancel()
		}
		http.Error(w, "down", http.StatusBadGateway)
	})
	if _, err := c.Tokens.Create(ctx, axiom.CreateTokenRequest{OrganisationCapabilities: users}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
}

func TestALostAnswerToDeleteIsNotFoundTheNextTime(t *testing.T) {
	t.Parallel() // the client waits between its attempts
	for name, how := range losses {
		t.Run(name, func(t *testing.T) {
			host.OnEachStore(t, func(t *testing.T, h *host.Host) {
				c := admin(h)
				made := create(t, c, axiom.CreateTokenRequest{OrganisationCapabilities: users})
				requests := lose(h, http.MethodDelete, 1, how)
				if err := c.Tokens.Delete(t.Context(), made.ID); err == nil || requests.Load() != 1 {
					t.Errorf("%v after %d requests", err, requests.Load())
				}
				if works(h, made.Token) {
					t.Error("it works")
				}
				if err := c.Tokens.Delete(t.Context(), made.ID); !errors.Is(err, axiom.ErrNotFound) {
					t.Error(err)
				}
			})
		})
	}
}
