package remint_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
)

// What holds for several processes, each with a store.Cache in front of the store that
// they share. Here they are Issuers of one process.

const replicaBound = 5 * time.Second

// replicas returns two Issuers over one store.
func replicas(t *testing.T, shared remint.Store) (a, b *remint.Issuer) {
	t.Helper()
	var made [2]*remint.Issuer
	for n := range made {
		var err error
		if made[n], err = remint.New(store.NewCache(shared, replicaBound, nil), nil); err != nil {
			t.Fatal(err)
		}
	}
	return made[0], made[1]
}

func verifies(t *testing.T, i *remint.Issuer, g remint.Grant) bool {
	t.Helper()
	_, err := i.Verify(t.Context(), g.Secret.Reveal(), netip.Addr{})
	if err != nil && !errors.Is(err, remint.ErrDenied) {
		t.Fatal(err)
	}
	return err == nil
}

// Law 10, first half. Whatever ends a token elsewhere, and that of an ancestor.
// It fails without the age of an entry of a Cache (internal/mutants).
func TestWhatEndedElsewhereIsAcceptedWithinTheBoundOnly(t *testing.T) {
	for name, end := range map[string]func(ctx context.Context, op remint.Actor, parent, child remint.Grant) error{
		"revoked": func(ctx context.Context, op remint.Actor, _, child remint.Grant) error {
			return op.Revoke(ctx, child.Token.ID())
		},
		"rotated": func(ctx context.Context, op remint.Actor, _, child remint.Grant) error {
			_, err := op.Rotate(ctx, child.Token.ID(), remint.Rotation{})
			return err
		},
		"parent revoked": func(ctx context.Context, op remint.Actor, parent, _ remint.Grant) error {
			return op.Revoke(ctx, parent.Token.ID())
		},
		"parent's sessions ended": func(ctx context.Context, op remint.Actor, parent, _ remint.Grant) error {
			return op.EndSessions(ctx, parent.Token.ID())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, elsewhere := replicas(t, new(store.Memory))
				op := elsewhere.Operator("op")
				parent, err := op.Issue(t.Context(), remint.Spec{})
				if err != nil {
					t.Fatal(err)
				}
				child, err := op.Issue(t.Context(), remint.Spec{Parent: parent.Token.ID()})
				if err != nil {
					t.Fatal(err)
				}
				if !verifies(t, here, child) {
					t.Fatal("it is not accepted")
				}
				if err := end(t.Context(), op, parent, child); err != nil {
					t.Fatal(err)
				}
				if verifies(t, elsewhere, child) {
					t.Error("it is accepted where it was ended")
				}
				time.Sleep(replicaBound)
				verifies(t, here, child) // may be either
				time.Sleep(time.Nanosecond)
				if verifies(t, here, child) {
					t.Error("it is accepted when the bound has passed")
				}
			})
		})
	}
}

// Law 10, second half: a client that has just received a secret goes with it to another process,
// whose cache has only the one before.
// It fails without the read past a Cache that a Refresh is (internal/mutants).
func TestAFreshSecretWorksOnEveryReplicaAtOnce(t *testing.T) {
	here, elsewhere := replicas(t, new(store.Memory))
	g, err := here.Operator("op").Issue(t.Context(), remint.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if !verifies(t, elsewhere, g) || !verifies(t, here, g) {
			t.Fatal("it is not accepted")
		}
		if g, err = here.Bearer(g.Secret.Reveal(), netip.Addr{}).Rotate(t.Context(), g.Token.ID(), remint.Rotation{}); err != nil {
			t.Fatal(err)
		}
	}
	// Nor does a stale record stop a change.
	if !verifies(t, elsewhere, g) {
		t.Fatal("it is not accepted")
	}
	if g, err = here.Operator("op").Rotate(t.Context(), g.Token.ID(), remint.Rotation{}); err != nil {
		t.Fatal(err)
	}
	if _, err := elsewhere.Bearer(g.Secret.Reveal(), netip.Addr{}).Rotate(t.Context(), g.Token.ID(), remint.Rotation{}); err != nil {
		t.Errorf("Rotate where the record is stale: %v", err)
	}
}

// A flood of wrong secrets for one known ID is one reader of the engine.
func TestAFloodOfWrongSecretsIsOneReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &slowEngine{Store: new(store.Memory)}
		here, _ := replicas(t, engine)
		g, err := here.Operator("op").Issue(t.Context(), remint.Spec{})
		if err != nil {
			t.Fatal(err)
		}
		wrong, err := here.Operator("op").Rotate(t.Context(), g.Token.ID(), remint.Rotation{})
		if err != nil {
			t.Fatal(err)
		}
		wrong, g = g, wrong
		engine.loads.Store(0)
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				if verifies(t, here, wrong) {
					t.Error("it is accepted")
				}
			})
		}
		all.Wait()
		if n, most := engine.loads.Load(), engine.most.Load(); n > 10 || most != 1 {
			t.Errorf("%d reads, %d of them at once", n, most)
		}
		if !verifies(t, here, g) {
			t.Error("the right one is not accepted")
		}
	})
}

// slowEngine takes its time, and counts who reads at once.
type slowEngine struct {
	remint.Store
	loads, atOnce, most atomic.Int64
}

func (s *slowEngine) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	s.loads.Add(1)
	if n := s.atOnce.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	defer s.atOnce.Add(-1)
	time.Sleep(10 * time.Millisecond)
	return s.Store.Load(ctx, id)
}
