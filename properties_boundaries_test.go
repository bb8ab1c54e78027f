package remint_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/remint-go/remint"
)

// instants are all the times at which tokens say that something of theirs stops, and that are still
// to come.
func (g *grove) instants(tokens map[remint.ID]remint.Token, seen []sight) (list []time.Time) {
	now := g.clock.now()
	add := func(at time.Time) {
		if at.After(now) && !slices.ContainsFunc(list, at.Equal) {
			list = append(list, at)
		}
	}
	for _, tok := range tokens {
		s := tok.State()
		add(tok.ExpiresAt())
		add(tok.Spec().ExpiresAt)
		for _, secret := range []remint.SecretState{s.Current, s.Unconfirmed, s.Retiring} {
			add(secret.Until)
		}
	}
	for _, s := range seen {
		add(s.tok.ExpiresAt())
		add(s.tok.RetiresAt())
	}
	slices.SortFunc(list, time.Time.Compare)
	return list
}

// reasons are why secrets are denied now, of those that are.
func (g *grove) reasons() map[string]bool {
	out := map[string]bool{}
	s := g.w.store.(*mapStore)
	iss, err := remint.New(&mapStore{recs: maps.Clone(s.recs)}, &remint.Options{
		Lapse: modelLapse, Now: g.clock.now, Observe: func(_ context.Context, e remint.Event) {
			if e.Kind == remint.EventDeny {
				out[e.Reason] = true
			}
		},
	})
	if err != nil {
		g.fatalf("%v", err)
	}
	for _, l := range g.leaves {
		_, _ = iss.Verify(ctxBG, l.text, mAddrs[0])
	}
	return out
}

// Law 12, of random trees in random states: as the time goes by and nobody does anything, each
// secret is accepted to the last microsecond before a time that some token says, and from that on
// no more; and at no other time does anything change.
func TestTimeAloneChangesAnswersAtTheTimesThatTokensSayAndAtNoOther(t *testing.T) {
	stops, why := 0, map[string]int{}
	checkMore(t, 5, func(t *rapid.T) {
		g := newGrove(t)
		for range rapid.IntRange(0, 6).Draw(t, "steps") {
			g.clock.advance(rapid.SampledFrom([]time.Duration{0, time.Microsecond, time.Minute}).Draw(t, "wait"))
			g.do(g.draw(g.look()))
		}
		seen, was := g.look(), g.reasons()
		instants := g.instants(g.snapshot(), seen)
		differ := func(at []sight) (n int, different bool) {
			for n := range at {
				if at[n].class != seen[n].class {
					return n, true
				}
			}
			return 0, false
		}
		for _, at := range append(instants, g.clock.now().Add(100*365*24*time.Hour)) {
			g.clock.set(at.Add(-time.Microsecond))
			if n, different := differ(g.look()); different {
				g.fatalf("%v of %v got %v, and gets %v a microsecond before %v", g.leaves[n], g.leaves[n].id, seen[n].class, g.look()[n].class, at)
			}
			g.clock.set(at)
			then := g.look()
			for n, l := range g.leaves {
				if then[n].class == seen[n].class {
					continue
				}
				if stops++; then[n].lives() || !seen[n].lives() {
					g.fatalf("%v of %v got %v, and at %v gets %v", l, l.id, seen[n].class, at, then[n].class)
				}
			}
			seen = then
			for reason := range g.reasons() {
				if !was[reason] {
					why[reason]++
				}
			}
			was = g.reasons()
			next := at.Add(time.Microsecond)
			if g.clock.set(next); slices.ContainsFunc(instants, next.Equal) {
				continue // something else stops then
			}
			if n, different := differ(g.look()); different {
				g.fatalf("%v of %v got %v at %v, and gets %v a microsecond later", g.leaves[n], g.leaves[n].id, seen[n].class, at, g.look()[n].class)
			}
		}
	})
	if t.Failed() {
		return
	}
	for _, reason := range []string{remint.ReasonExpired, remint.ReasonRetired, remint.ReasonLapsed, remint.ReasonParent, remint.ReasonSession} {
		if why[reason] == 0 {
			t.Errorf("in %d stops, nothing was ever denied for %q", stops, reason)
		}
	}
}

// A retry is one until its window ends, and not a microsecond more: whatever was asked for, with a
// key or without, and whether the service or the request bounded the window.
func TestARetryIsOneToTheLastMicrosecondOfItsWindow(t *testing.T) {
	const window = 10 * time.Minute
	for _, w := range []struct {
		name   string
		within time.Duration
		want   time.Duration
	}{
		{"the service's", 0, window}, {"a shorter one", time.Minute, time.Minute}, {"the shortest", time.Microsecond, time.Microsecond},
		{"a longer one, which counts for nothing", time.Hour, window},
	} {
		for _, keyed := range []bool{true, false} {
			for name, op := range map[string]func(a remint.Actor, id remint.ID) (remint.Grant, error){
				"Issue": func(a remint.Actor, _ remint.ID) (remint.Grant, error) { return a.Issue(ctxBG, remint.Spec{Name: "x"}) },
				"StartSession": func(a remint.Actor, id remint.ID) (remint.Grant, error) {
					return a.StartSession(ctxBG, id, remint.Session{})
				},
				"Rotate of another token": func(a remint.Actor, id remint.ID) (remint.Grant, error) {
					return a.Rotate(ctxBG, id, remint.Rotation{})
				},
				"Rotate to a successor": func(a remint.Actor, id remint.ID) (remint.Grant, error) {
					return a.Rotate(ctxBG, id, remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(24 * time.Hour)})
				},
			} {
				for _, off := range []time.Duration{-time.Microsecond, 0, time.Microsecond} {
					t.Run(fmt.Sprintf("%s, keyed %v, %s, %+v", name, keyed, w.name, off), func(t *testing.T) {
						clock := newModelClock()
						world := newMWorld("w", newMapStore(), clock, remint.Options{RetryWindow: window})
						root := world.iss.Operator("op")
						caller := must(root.Issue(ctxBG, remint.Spec{Owner: "a", Capabilities: remint.Allow("*")}))(t)
						target := must(root.Issue(ctxBG, remint.Spec{Owner: "a", Capabilities: remint.Allow("r")}))(t)
						a := world.iss.Bearer(caller.Secret.Reveal(), mAddrs[0])
						if keyed {
							a = a.WithRetryKey("a retry key that nobody guesses", w.within)
						} else if w.within != 0 {
							a = a.Repeatable(w.within)
						} else {
							a = a.Repeatable(window)
						}
						first := must(op(a, target.Token.ID()))(t)
						clock.advance(w.want + off)
						again, err := op(a, target.Token.ID())
						same := err == nil && again.Token.ID() == first.Token.ID() && again.Secret.Equal(first.Secret)
						if same != (off < 0) {
							t.Errorf("the same: %v, %v", same, err)
						}
						if !same && err != nil && !errors.Is(err, remint.ErrConflict) {
							t.Errorf("afterwards it is %v, and no new request", err)
						}
						if _, err := world.iss.Verify(ctxBG, first.Secret.Reveal(), mAddrs[0]); off < 0 && err != nil {
							t.Errorf("what was handed out twice gets %v", err)
						}
					})
				}
			}
		}
	}
}
