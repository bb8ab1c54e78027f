package remint_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

const raceActors = 64

// together runs f(0) … f(n-1) at once, and waits for all.
func together(n int, f func(k int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for k := range n {
		wg.Go(func() {
			<-start
			f(k)
		})
	}
	close(start)
	wg.Wait()
}

// yieldingStore lets others in between any two steps of an operation.
type yieldingStore struct{ remint.Store }

func (s yieldingStore) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	s.yield()
	defer s.yield()
	return s.Store.Load(ctx, id)
}

func (s yieldingStore) Commit(ctx context.Context, b remint.Batch) error {
	s.yield()
	defer s.yield()
	return s.Store.Commit(ctx, b)
}

func (yieldingStore) yield() {
	for range rand.IntN(4) {
		runtime.Gosched()
	}
}

func raceWorld(t *testing.T) (*mWorld, remint.Grant) {
	w := newMWorld("race", yieldingStore{newMapStore()}, newModelClock(), remint.Options{Lapse: modelLapse})
	g := must(w.iss.Operator("op").Issue(ctxBG, remint.Spec{Owner: "a", Capabilities: remint.Allow("*")}))(t)
	w.drain()
	return w, g
}

// Threats 1 and 2; law 8.
// It fails without rule 1, the revision that was seen, and without the stamp by which an operation
// knows its own commit (internal/mutants).
func TestOfConcurrentRotationsExactlyOneSucceeds(t *testing.T) {
	for _, successor := range []bool{false, true} {
		for _, how := range []string{"one secret", "one revision", "one unconfirmed secret", "one secret, first use", "operator and bearers"} {
			t.Run(fmt.Sprintf("%s, successor %v", how, successor), func(t *testing.T) {
				for range 5 {
					w, g := raceWorld(t)
					id, secret := g.Token.ID(), g.Secret.Reveal()
					if how == "one unconfirmed secret" {
						n := must(w.iss.Operator("op").Rotate(ctxBG, id, remint.Rotation{Retire: remint.RetireAfter(time.Hour)}))(t)
						secret = n.Secret.Reveal()
					}
					rev := must(w.iss.Operator("op").Get(ctxBG, id))(t).State().Revision
					w.drain()
					before := w.scan()
					grants := make([]remint.Grant, raceActors)
					errs := make([]error, raceActors)
					together(raceActors, func(k int) {
						act := w.iss.Bearer(secret, mAddrs[0])
						r := remint.Rotation{}
						if how == "one revision" {
							act, r.IfRevision = w.iss.Operator("op"), rev
						}
						if how == "one secret, first use" {
							r.Retire = remint.RetireAfterFirstUse(time.Hour)
						}
						if how == "operator and bearers" && k == 0 {
							act, r.IfRevision = w.iss.Operator("op"), rev
						}
						if successor {
							r.Successor = &remint.Successor{}
						}
						grants[k], errs[k] = act.Rotate(ctxBG, id, r)
					})
					won := -1
					for k, err := range errs {
						switch {
						case err == nil && (won < 0 || how == "one secret, first use"):
							// Of RetireAfterFirstUse the presented secret lives on, so that a
							// rotation which was begun after another has ended succeeds, too.
							won = k
						case err == nil:
							t.Fatalf("%d and %d have both succeeded", won, k)
						case !errors.Is(err, remint.ErrConflict) && !errors.Is(err, remint.ErrDenied):
							t.Fatalf("%d: %v", k, err)
						}
					}
					if won < 0 {
						t.Fatal("nobody has won")
					}
					live := 0
					for _, g := range grants {
						if !g.Token.IsZero() {
							if _, err := w.iss.Verify(ctxBG, g.Secret.Reveal(), mAddrs[0]); err == nil {
								live++
							}
						}
					}
					if live != 1 {
						t.Fatalf("%d new secrets live", live)
					}
					if how != "one secret, first use" {
						if _, err := w.iss.Verify(ctxBG, secret, mAddrs[0]); !errors.Is(err, remint.ErrDenied) {
							t.Fatalf("the old secret: %v", err)
						}
						rotates := 0
						for _, e := range w.drain() {
							if e.Kind == remint.EventRotate {
								rotates++
							}
						}
						if rotates != 1 {
							t.Fatalf("%d events of a rotation", rotates)
						}
						want := len(before)
						if successor {
							want++
						}
						if n := len(w.scan()); n != want {
							t.Fatalf("%d records are stored, not %d", n, want)
						}
					}
				}
			})
		}
	}
}

// Threat 3; law 7.
// It fails without the rise of the epoch (internal/mutants).
func TestNothingIssuedFromTheEarlierStateOutlivesEndSessions(t *testing.T) {
	for range 60 {
		w, g := raceWorld(t)
		op := w.iss.Operator("op")
		child := must(op.Issue(ctxBG, remint.Spec{Parent: g.Token.ID(), Capabilities: remint.Allow("*")}))(t)
		var mu sync.Mutex
		var made []string
		keep := func(g remint.Grant, err error) {
			if err == nil {
				mu.Lock()
				made = append(made, g.Secret.Reveal())
				mu.Unlock()
			} else if err != nil && !errors.Is(err, remint.ErrConflict) && !errors.Is(err, remint.ErrEnded) && !errors.Is(err, remint.ErrDenied) {
				t.Error(err)
			}
		}
		together(9, func(k int) {
			if k == 8 {
				if err := op.EndSessions(ctxBG, g.Token.ID()); err != nil {
					t.Error(err)
				}
				return
			}
			for range 3 {
				switch k % 4 {
				case 0:
					s, err := w.iss.Bearer(g.Secret.Reveal(), mAddrs[0]).StartSession(ctxBG, g.Token.ID(), remint.Session{})
					keep(s, err)
				case 1:
					s, err := op.Issue(ctxBG, remint.Spec{Parent: g.Token.ID()})
					keep(s, err)
				case 2:
					s, err := op.Issue(ctxBG, remint.Spec{Parent: child.Token.ID()})
					keep(s, err)
				case 3:
					s, err := op.Rotate(ctxBG, child.Token.ID(), remint.Rotation{})
					keep(s, err)
				}
			}
		})
		// What was issued after the end lives; the log says which came first.
		atEnd := false
		after := map[remint.ID]bool{}
		for _, e := range w.drain() {
			if e.Kind == remint.EventEndSessions {
				atEnd = true
			} else if atEnd && e.Kind == remint.EventIssue {
				after[e.Token] = true
			}
		}
		for _, s := range made {
			id, _ := w.iss.Identify(s)
			_, err := w.iss.Verify(ctxBG, s, mAddrs[0])
			if err == nil && !after[id] {
				t.Fatalf("%v was issued before the end, and works", id)
			}
		}
	}
}

// It fails without the look at what is revoked on the short way through Verify (internal/mutants).
func TestAfterRevokeHasReturnedNothingOfTheTokenWorks(t *testing.T) {
	for _, successor := range []bool{false, true} {
		for range 60 {
			w, g := raceWorld(t)
			op := w.iss.Operator("op")
			id := g.Token.ID()
			secrets := make([]string, 8)
			whole := make([]bool, 8)
			together(9, func(k int) {
				if k == 8 {
					if err := op.Revoke(ctxBG, id); err != nil {
						t.Error(err)
					}
					return
				}
				r := remint.Rotation{Retire: remint.RetireAfter(time.Hour)}
				if successor {
					r.Successor = &remint.Successor{}
				}
				act := op
				if k%2 == 0 {
					act = w.iss.Bearer(g.Secret.Reveal(), mAddrs[0])
				}
				n, err := act.Rotate(ctxBG, id, r)
				if err == nil {
					secrets[k], whole[k] = n.Secret.Reveal(), n.Token.ID() == id
				} else if !errors.Is(err, remint.ErrConflict) && !errors.Is(err, remint.ErrEnded) && !errors.Is(err, remint.ErrDenied) {
					t.Error(err)
				}
			})
			if _, err := w.iss.Verify(ctxBG, g.Secret.Reveal(), mAddrs[0]); !errors.Is(err, remint.ErrDenied) {
				t.Fatalf("the token's first secret: %v", err)
			}
			live := 0
			for k, s := range secrets {
				if s == "" {
					continue
				}
				_, err := w.iss.Verify(ctxBG, s, mAddrs[0])
				if whole[k] && err == nil {
					t.Fatal("a secret of the revoked token works")
				}
				if err == nil {
					live++ // a successor, which lives on
				}
			}
			if live > 1 {
				t.Fatalf("%d successors live", live)
			}
		}
	}
}

func TestConcurrentFirstUsesAreAllAcceptedAndConfirmOnce(t *testing.T) {
	for _, r := range []remint.Rotation{
		{}, {Retire: remint.RetireAfterFirstUse(0)}, {Retire: remint.RetireAfterFirstUse(time.Hour)},
		{Retire: remint.RetireAfterFirstUse(0), Successor: &remint.Successor{}}, {Successor: &remint.Successor{}},
	} {
		for range 10 {
			w, g := raceWorld(t)
			n := must(w.iss.Operator("op").Rotate(ctxBG, g.Token.ID(), r))(t)
			w.drain()
			together(raceActors, func(k int) {
				if _, err := w.iss.Verify(ctxBG, n.Secret.Reveal(), mAddrs[0]); err != nil {
					t.Errorf("%d: %v", k, err)
				}
			})
			confirms := map[remint.ID]int{}
			for _, e := range w.drain() {
				if e.Kind != remint.EventConfirm {
					t.Errorf("an event: %+v", e)
				}
				confirms[e.Token]++
			}
			want := map[remint.ID]int{n.Token.ID(): 1}
			if r.Successor != nil {
				want[g.Token.ID()] = 1
			}
			if fmt.Sprint(confirms) != fmt.Sprint(want) {
				t.Errorf("events of confirmation: %v, want %v", confirms, want)
			}
		}
	}
}

// A caller that dies in mid-operation does not finish it (threat 30).
// It fails without the caller's record among the guards (internal/mutants).
func TestACallerThatIsRevokedMeanwhileChangesNothingAfterwards(t *testing.T) {
	for range 100 {
		w, g := raceWorld(t)
		op := w.iss.Operator("op")
		other := must(op.Issue(ctxBG, remint.Spec{Owner: "a", Capabilities: remint.Allow("r")}))(t)
		var n remint.Grant
		var err error
		w.drain()
		together(2, func(k int) {
			if k == 0 {
				n, err = w.iss.Bearer(g.Secret.Reveal(), mAddrs[0]).Rotate(ctxBG, other.Token.ID(), remint.Rotation{})
			} else if err := op.Revoke(ctxBG, g.Token.ID()); err != nil {
				t.Error(err)
			}
		})
		_ = n
		revoked := false
		for _, e := range w.drain() {
			revoked = revoked || e.Kind == remint.EventRevoke
			if e.Kind == remint.EventRotate && revoked {
				t.Fatal("a revoked caller has rotated")
			}
		}
		if err != nil && !errors.Is(err, remint.ErrDenied) {
			t.Fatal(err)
		}
	}
}

// barrierStore holds the first Commit of each of n operations until all have come that far:
// then they have been judged from one state. An operation is known by its context.
type barrierStore struct {
	remint.Store
	mu      sync.Mutex
	waiting int
	all     chan struct{}
}

type barrierKey struct{}

func (s *barrierStore) Commit(ctx context.Context, b remint.Batch) error {
	if once, ok := ctx.Value(barrierKey{}).(*sync.Once); ok {
		once.Do(func() {
			s.mu.Lock()
			if s.waiting--; s.waiting == 0 {
				close(s.all)
			}
			s.mu.Unlock()
			<-s.all
		})
	}
	return s.Store.Commit(ctx, b)
}

// Law 8, where the outgoing secret lives on or nobody presents one, so that nothing but
// the judgement keeps the others out.
func TestOfRotationsJudgedFromOneStateOneSucceedsAndTheOthersConflict(t *testing.T) {
	for _, successor := range []bool{false, true} {
		for _, bearer := range []bool{false, true} {
			for _, used := range []bool{false, true} {
				t.Run(fmt.Sprintf("successor %v, bearer %v, first used %v", successor, bearer, used), func(t *testing.T) {
					s := &barrierStore{Store: newMapStore(), waiting: raceActors, all: make(chan struct{})}
					w := newMWorld("race", s, newModelClock(), remint.Options{Lapse: modelLapse})
					op := w.iss.Operator("op")
					g := must(op.Issue(ctxBG, remint.Spec{Owner: "a", Capabilities: remint.Allow("*")}))(t)
					secret := g.Secret.Reveal()
					if !used { // the presented secret is confirmed by the rotation
						secret = must(op.Rotate(ctxBG, g.Token.ID(), remint.Rotation{}))(t).Secret.Reveal()
					}
					grants, errs := make([]remint.Grant, raceActors), make([]error, raceActors)
					together(raceActors, func(k int) {
						r := remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Hour)}
						if successor {
							r.Successor = &remint.Successor{}
						}
						act := op
						if bearer {
							act = w.iss.Bearer(secret, mAddrs[0])
						}
						grants[k], errs[k] = act.Rotate(context.WithValue(ctxBG, barrierKey{}, new(sync.Once)), g.Token.ID(), r)
					})
					won, live := 0, 0
					for k, err := range errs {
						if err == nil {
							won++
							if _, err := w.iss.Verify(ctxBG, grants[k].Secret.Reveal(), mAddrs[0]); err == nil {
								live++
							}
						} else if !errors.Is(err, remint.ErrConflict) {
							t.Errorf("%d: %v", k, err)
						}
					}
					if won != 1 || live != 1 {
						t.Errorf("%d have succeeded, and %d new secrets live", won, live)
					}
				})
			}
		}
	}
}

// Rule 11's other half: what touches no secret is no conflict.
func TestARotationIsNoConflictWithWhatTouchesNoSecret(t *testing.T) {
	for range 30 {
		w, g := raceWorld(t)
		op := w.iss.Operator("op")
		id := g.Token.ID()
		n := must(op.Rotate(ctxBG, id, remint.Rotation{Retire: remint.RetireAfter(time.Hour)}))(t)
		together(6, func(k int) {
			var err error
			switch k {
			case 0:
				_, err = op.Rotate(ctxBG, id, remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Hour)})
			case 1:
				_, err = w.iss.Verify(ctxBG, n.Secret.Reveal(), mAddrs[0]) // confirms it, or finds it replaced
				if errors.Is(err, remint.ErrDenied) {
					err = nil
				}
			case 2:
				err = op.EndSessions(ctxBG, id)
			default:
				_, err = op.Update(ctxBG, id, func(s *remint.Spec) error { s.Name = fmt.Sprint(k); return nil })
			}
			if err != nil {
				t.Errorf("%d: %v", k, err)
			}
		})
	}
}
