package remint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
	"github.com/remint-go/remint/store/storetest"
)

// state is all that is stored, times of use aside, which nothing here writes.
func (b *faultBed) state() []byte {
	records := b.all()
	slices.SortFunc(records, func(x, y *remint.Record) int { return x.ID().Compare(y.ID()) })
	var all []byte
	for _, r := range records {
		all, _ = r.AppendBinary(all)
	}
	for _, e := range b.log() {
		all, _ = e.AppendBinary(all)
	}
	return all
}

// It fails without each of these (internal/mutants): the look whether a commit with an error took
// effect; the difference between an ancestor that cannot be read and one that is gone; the refusal
// of a first use that could not be stored; the error of an ancestor that cannot be read when a
// secret is revoked; the error of an ancestor that cannot be read for a list.
func TestAStoreThatFailsAnywhereIsUnavailableAndLeavesTheStateBeforeOrAfter(t *testing.T) {
	t.Run("alone", func(t *testing.T) { failAnywhere(t, func(s remint.Store) remint.Store { return s }) })
	t.Run("behind a Cache", func(t *testing.T) {
		failAnywhere(t, func(s remint.Store) remint.Store { return store.NewCache(s, time.Hour, nil) })
	})
}

// over puts another Issuer over s in the place of the bed's own.
func (b *faultBed) over(s remint.Store) {
	b.Helper()
	i, err := remint.New(s, &b.options)
	if err != nil {
		b.Fatal(err)
	}
	b.Issuer, b.op = i, i.Operator("root")
}

func failAnywhere(t *testing.T, front func(remint.Store) remint.Store) {
	calls := 0
	defer func() {
		t.Logf("%d calls, one for each operation on the store that each makes, before and after it", calls)
	}()
	for _, tt := range faultCases() {
		t.Run(tt.name, func(t *testing.T) {
			for _, when := range []storetest.When{storetest.Before, storetest.After} {
				failed := 0
				for n := 0; ; n++ {
					if n == 100 {
						t.Fatal("it does not come to an end")
					}
					b := newFaultBed(t)
					real := b.store.Store
					before, events := b.state(), len(b.log())
					b.took()
					faulty := storetest.Faulty(real, n, when)
					b.store.Store = faulty
					issuer := b.Issuer
					b.over(front(b.store))
					g, err := tt.do(t.Context(), b)
					calls++
					b.Issuer, b.op = issuer, issuer.Operator("root")
					b.store.Store = real
					fired := faulty.(interface{ Fired() bool }).Fired()
					what := fmt.Sprintf("operation %d failing, after its effect: %v", n, bool(when))

					changed := !bytes.Equal(before, b.state())
					switch {
					case err == nil:
						if fired && when == storetest.Before {
							t.Errorf("%s: nobody heard of it", what)
						}
						if tt.changes && !changed {
							t.Fatalf("%s: success, and nothing has changed", what)
						}
					case !fired:
						t.Fatalf("without a fault: %v", err)
					default:
						failed++
						if !errors.Is(err, remint.ErrUnavailable) || !errors.Is(err, storetest.ErrFault) {
							t.Errorf("%s: %v, want ErrUnavailable around the store's own", what, err)
						}
						for _, not := range []error{remint.ErrDenied, remint.ErrNotFound, remint.ErrConflict, remint.ErrForbidden, remint.ErrEnded, context.Canceled} {
							if errors.Is(err, not) {
								t.Errorf("%s: %v is %v", what, err, not)
							}
						}
						wellSaid(t, what, err)
						if changed {
							t.Errorf("%s: %v, and it happened: the core did not look", what, err)
						}
						if g.Secret.Reveal() != "" || !g.Token.IsZero() {
							t.Errorf("%s: a failure returns a grant", what)
						}
					}
					if !tt.changes && changed {
						t.Errorf("%s: something has changed", what)
					}
					// What was observed is what is stored.
					stored := b.log()[events:]
					observed := storable(b.took())
					if fmt.Sprint(stored) != fmt.Sprint(observed) {
						t.Errorf("%s: stored %v, observed %v", what, stored, observed)
					}

					// Whatever happened, the next call works; and it is as if there had been one.
					if err != nil {
						if g, err = tt.do(t.Context(), b); err != nil {
							t.Fatalf("%s: the next call: %v", what, err)
						}
					}
					if tt.done != nil {
						tt.done(b, g)
					}
					if !fired {
						break
					}
				}
				if failed == 0 && when == storetest.Before {
					t.Error("no fault was heard of") // after, a lone Commit is found to have landed
				}
			}
		})
	}
}

// A commit whose answer was lost, and a store that cannot be asked what came of it.
func TestACommitOfUnknownOutcomeThatCannotBeLookedUpIsUnavailable(t *testing.T) {
	for _, tt := range faultCases() {
		if !tt.changes {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			for _, landed := range []bool{false, true} {
				b := newFaultBed(t)
				before := b.state()
				real := b.store.Store
				b.store.Store = &deadStore{Store: real, commits: landed}
				g, err := tt.do(t.Context(), b)
				b.store.Store = real
				if !errors.Is(err, remint.ErrUnavailable) || !errors.Is(err, storetest.ErrFault) || errors.Is(err, remint.ErrDenied) {
					t.Errorf("landed %v: %v", landed, err)
				}
				if g.Secret.Reveal() != "" {
					t.Error("a failure returns a secret")
				}
				if changed := !bytes.Equal(before, b.state()); changed != landed {
					t.Errorf("landed %v: changed %v", landed, changed)
				}
			}
		})
	}
}

// A deadStore works until its first Commit, and not after.
type deadStore struct {
	remint.Store
	commits bool
	dead    bool
}

func (s *deadStore) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if s.dead {
		return nil, storetest.ErrFault
	}
	return s.Store.Load(ctx, id)
}

func (s *deadStore) Commit(ctx context.Context, b remint.Batch) error {
	if s.commits && !s.dead {
		s.Store.Commit(ctx, b)
	}
	s.dead = true
	return storetest.ErrFault
}

// A store may repeat a commit whose answer it lost itself, and meet its own effect.
func TestAConflictWithOnesOwnCommitIsASuccess(t *testing.T) {
	for _, tt := range faultCases() {
		if !tt.changes {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			b := newFaultBed(t)
			real := b.store.Store
			b.store.Store = &repeatingStore{real}
			events := len(b.log())
			g, err := tt.do(t.Context(), b)
			b.store.Store = real
			if err != nil {
				t.Fatal(err)
			}
			once := map[string]int{}
			for _, e := range b.log()[events:] {
				once[fmt.Sprint(e.Token, e.Revision)]++
				if n := once[fmt.Sprint(e.Token, e.Revision)]; n > 1 {
					t.Errorf("event %+v came %d times", e, n)
				}
			}
			if tt.done != nil {
				tt.done(b, g)
			}
		})
	}
}

type repeatingStore struct{ remint.Store }

func (s *repeatingStore) Commit(ctx context.Context, b remint.Batch) error {
	s.Store.Commit(ctx, b)
	return s.Store.Commit(ctx, b)
}

// A context that ends while the answer of a commit is lost does not keep the core from looking.
func TestACommitThatLandedAfterTheContextEndedIsASuccess(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	ctx, cancel := context.WithCancel(t.Context())
	real := b.store.Store
	b.store.Store = &cancelingStore{real, cancel}
	next, err := b.op.Rotate(ctx, g.Token.ID(), remint.Rotation{})
	b.store.Store = real
	if err != nil {
		t.Fatalf("Rotate = %v, and the old secret is gone", err)
	}
	b.accepted(next)
	b.denied(g, remint.ReasonRetired)
}

type cancelingStore struct {
	remint.Store
	cancel context.CancelFunc
}

func (s *cancelingStore) Commit(ctx context.Context, b remint.Batch) error {
	err := s.Store.Commit(ctx, b)
	s.cancel()
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// A denial is no outage, and an outage no denial, whichever record cannot be read.
func TestAnUnreadableStoreDeniesNobody(t *testing.T) {
	b := newFaultBed(t)
	real := b.store.Store
	b.store.Store = &deadStore{Store: real, dead: true}
	defer func() { b.store.Store = real }()
	for _, g := range []remint.Grant{b.root, b.child, b.session, b.rotating, b.outgoing, b.waiting, b.next, b.predecessor, b.fresh} {
		b.unavailable(g)
	}
	for _, e := range b.took() {
		if e.Kind == remint.EventDeny {
			t.Errorf("observed %+v", e)
		}
	}
}

// It fails without the error of a commit that failed (internal/mutants).
func TestARevocationThatWasNotStoredIsAnError(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	b.store.fails = func(remint.Batch) error { return errors.New("disk full") }
	for name, err := range map[string]error{
		"Revoke":      b.op.Revoke(t.Context(), g.Token.ID()),
		"EndSessions": b.op.EndSessions(t.Context(), g.Token.ID()),
	} {
		if !errors.Is(err, remint.ErrUnavailable) {
			t.Errorf("%s = %v", name, err)
		}
	}
	b.store.fails = nil
	b.accepted(g)
}
