package remint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store/storetest"
)

// A faultBed is what each operation finds, whichever of its store operations fails.
type faultBed struct {
	*bed
	root, child, session, rotating, outgoing, waiting, next, predecessor, fresh remint.Grant
}

func newFaultBed(t testing.TB) *faultBed {
	b := &faultBed{bed: newBed(t, nil)}
	b.root = b.issue(remint.Spec{Owner: "o", Capabilities: remint.Allow("*")})
	b.child = b.issue(remint.Spec{Parent: b.root.Token.ID()})
	b.session = b.bed.session(b.root.Token.ID(), remint.Session{Manages: true})
	// rotating has a secret that is not confirmed, beside outgoing.
	b.outgoing = b.issue(remint.Spec{Owner: "o"})
	b.rotating = b.rotate(b.outgoing.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Hour)})
	// waiting has a retiring secret.
	b.waiting = b.issue(remint.Spec{Owner: "o"})
	b.waiting = b.rotate(b.waiting.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)})
	b.accepted(b.waiting)
	// next is a successor that is not confirmed.
	b.predecessor = b.issue(remint.Spec{Owner: "o"})
	b.next = b.rotate(b.predecessor.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Hour), Successor: &remint.Successor{}})
	// fresh is somebody whose own secret is not confirmed.
	b.fresh = b.issue(remint.Spec{Owner: "o", Capabilities: remint.Allow("*")})
	b.fresh = b.rotate(b.fresh.Token.ID(), remint.Rotation{})
	b.wait(time.Minute)
	return b
}

func (b *faultBed) bearer(g remint.Grant) remint.Actor {
	return b.Bearer(g.Secret.Reveal(), netip.Addr{})
}

// A faultCase is a public operation. It returns the secret that it made, if it makes one.
type faultCase struct {
	name string
	do   func(ctx context.Context, b *faultBed) (remint.Grant, error)
	// done checks the effect of a success.
	done func(b *faultBed, g remint.Grant)
	// changes says whether it changes anything; what does not must leave the store alone.
	changes bool
}

func faultCases() []faultCase {
	type (
		bedOf = *faultBed
		ctxOf = context.Context
	)
	none := remint.Grant{}
	tok := func(_ remint.Token, err error) (remint.Grant, error) { return none, err }
	accepted := func(b bedOf, g remint.Grant) { b.accepted(g) }
	refused := func(b bedOf, g remint.Grant) {
		b.Helper()
		if _, err := b.Verify(b.Context(), g.Secret.Reveal(), netip.Addr{}); !errors.Is(err, remint.ErrDenied) {
			b.Errorf("%v is accepted: %v", g.Token.ID(), err)
		}
	}
	list := func(ctx ctxOf, a remint.Actor, q remint.Query, want int) (remint.Grant, error) {
		n := 0
		for _, err := range a.List(ctx, q) {
			if err != nil {
				return none, err
			}
			n++
		}
		if n != want {
			return none, fmt.Errorf("List has %d, want %d", n, want)
		}
		return none, nil
	}
	return []faultCase{
		{"Verify", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return tok(b.Verify(ctx, b.root.Secret.Reveal(), netip.Addr{}))
		}, nil, false},
		{"Verify a child", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return tok(b.Verify(ctx, b.child.Secret.Reveal(), netip.Addr{}))
		}, nil, false},
		{"Verify a session", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return tok(b.Verify(ctx, b.session.Secret.Reveal(), netip.Addr{}))
		}, nil, false},
		{"Verify and confirm", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return tok(b.Verify(ctx, b.rotating.Secret.Reveal(), netip.Addr{}))
		}, func(b bedOf, _ remint.Grant) {
			if s := b.get(b.rotating.Token.ID()).State(); !s.Unconfirmed.CreatedAt.IsZero() {
				b.Errorf("it is not confirmed: %+v", s)
			}
			b.accepted(b.rotating)
			b.wait(time.Hour)
			refused(b, b.outgoing)
		}, true},
		{"Verify and confirm a successor", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return tok(b.Verify(ctx, b.next.Secret.Reveal(), netip.Addr{}))
		}, func(b bedOf, _ remint.Grant) {
			b.wait(time.Hour)
			refused(b, b.predecessor)
			b.accepted(b.next)
		}, true},
		{"Issue", func(ctx ctxOf, b bedOf) (remint.Grant, error) { return b.op.Issue(ctx, remint.Spec{}) }, accepted, true},
		{"Issue a child", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.op.Issue(ctx, remint.Spec{Parent: b.child.Token.ID()})
		}, accepted, true},
		{"Issue by a bearer", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.bearer(b.root).Issue(ctx, remint.Spec{})
		}, accepted, true},
		{"Issue by a bearer who confirms", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.bearer(b.fresh).Issue(ctx, remint.Spec{})
		}, accepted, true},
		{"Issue by a managing session", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.bearer(b.session).Issue(ctx, remint.Spec{})
		}, accepted, true},
		{"Get", func(ctx ctxOf, b bedOf) (remint.Grant, error) { return tok(b.op.Get(ctx, b.root.Token.ID())) }, nil, false},
		{"Get by a bearer", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return tok(b.bearer(b.child).Get(ctx, b.root.Token.ID()))
		}, nil, false},
		{"Get by a bearer who confirms", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return tok(b.bearer(b.fresh).Get(ctx, b.root.Token.ID()))
		}, nil, true},
		{"List", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return list(ctx, b.op, remint.Query{Owner: "o"}, 6)
		}, nil, false},
		{"List all", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return list(ctx, b.op, remint.Query{AllOwners: true}, 8)
		}, nil, false},
		{"List children", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return list(ctx, b.bearer(b.child), remint.Query{Parent: b.root.Token.ID()}, 2)
		}, nil, false},
		{"Update", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return tok(b.op.Update(ctx, b.child.Token.ID(), func(s *remint.Spec) error { s.Name = "new"; return nil }))
		}, func(b bedOf, _ remint.Grant) {
			if name := b.get(b.child.Token.ID()).Name(); name != "new" {
				b.Errorf("the name is %q", name)
			}
		}, true},
		{"Revoke", func(ctx ctxOf, b bedOf) (remint.Grant, error) { return none, b.op.Revoke(ctx, b.root.Token.ID()) },
			func(b bedOf, _ remint.Grant) { refused(b, b.root); refused(b, b.child); refused(b, b.session) }, true},
		{"Revoke oneself", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return none, b.bearer(b.session).Revoke(ctx, b.session.Token.ID())
		}, func(b bedOf, _ remint.Grant) { refused(b, b.session) }, true},
		{"EndSessions", func(ctx ctxOf, b bedOf) (remint.Grant, error) { return none, b.op.EndSessions(ctx, b.root.Token.ID()) },
			func(b bedOf, _ remint.Grant) { refused(b, b.child); refused(b, b.session) }, true},
		{"StartSession", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.op.StartSession(ctx, b.child.Token.ID(), remint.Session{})
		}, accepted, true},
		{"StartSession by a bearer", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.bearer(b.root).StartSession(ctx, b.root.Token.ID(), remint.Session{})
		}, accepted, true},
		{"Rotate at once", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.op.Rotate(ctx, b.root.Token.ID(), remint.Rotation{})
		}, func(b bedOf, g remint.Grant) { b.accepted(g); refused(b, b.root); refused(b, b.session) }, true},
		{"Rotate oneself", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.bearer(b.root).Rotate(ctx, b.root.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0), KeepSessions: true})
		}, func(b bedOf, g remint.Grant) {
			b.accepted(b.root)
			b.accepted(g)
			refused(b, b.root)
			b.accepted(b.session)
		}, true},
		{"Rotate again", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.op.Rotate(ctx, b.rotating.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)})
		}, func(b bedOf, g remint.Grant) { b.accepted(g); b.accepted(b.outgoing); refused(b, b.rotating) }, true},
		{"Rotate with an unconfirmed secret", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.bearer(b.fresh).Rotate(ctx, b.fresh.Token.ID(), remint.Rotation{})
		}, func(b bedOf, g remint.Grant) { b.accepted(g); refused(b, b.fresh) }, true},
		{"Rotate to a successor", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.op.Rotate(ctx, b.child.Token.ID(), remint.Rotation{Successor: &remint.Successor{}})
		}, func(b bedOf, g remint.Grant) {
			b.accepted(g)
			refused(b, b.child)
			if s := b.get(b.child.Token.ID()).State(); s.Successor != g.Token.ID() {
				b.Errorf("its successor is %v, want %v", s.Successor, g.Token.ID())
			}
		}, true},
		{"Rotate to another successor", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.op.Rotate(ctx, b.predecessor.Token.ID(), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(time.Hour)})
		}, func(b bedOf, g remint.Grant) { b.accepted(g); b.accepted(b.predecessor); refused(b, b.next) }, true},
		{"CancelRotation", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return tok(b.op.CancelRotation(ctx, b.rotating.Token.ID()))
		}, func(b bedOf, _ remint.Grant) { b.accepted(b.outgoing); refused(b, b.rotating) }, true},
		{"CancelRotation of a successor", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return tok(b.op.CancelRotation(ctx, b.predecessor.Token.ID()))
		}, func(b bedOf, _ remint.Grant) { b.accepted(b.predecessor); refused(b, b.next) }, true},
		{"FinishRotation", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return tok(b.op.FinishRotation(ctx, b.waiting.Token.ID()))
		}, func(b bedOf, _ remint.Grant) {
			b.accepted(b.waiting)
			if s := b.get(b.waiting.Token.ID()).State(); !s.Retiring.CreatedAt.IsZero() {
				b.Errorf("it has not finished: %+v", s)
			}
		}, true},
		{"CheckPeppers", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			n, err := b.CheckPeppers(ctx)
			if err == nil && n[""] != 8 {
				err = fmt.Errorf("CheckPeppers = %v", n)
			}
			return none, err
		}, nil, false},
		{"Events", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			page, next, err := b.Events(ctx, "")
			if (err == nil) != (len(page) > 0) || (err == nil) != (next != "") {
				err = fmt.Errorf("Events = %d, %q, %v", len(page), next, err)
			}
			return none, err
		}, nil, false},
	}
}

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

func TestAStoreThatFailsAnywhereIsUnavailableAndLeavesTheStateBeforeOrAfter(t *testing.T) {
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
					g, err := tt.do(t.Context(), b)
					b.store.Store = real
					fired := faulty.(interface{ Fired() bool }).Fired()
					what := fmt.Sprintf("operation %d failing, after its effect: %v", n, bool(when))

					changed := !bytes.Equal(before, b.state())
					switch {
					case err == nil:
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
