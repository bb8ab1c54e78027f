package remint_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store/storetest"
)

// A restoreBed is a service whose store can be backed up, lost and restored. What the rules of
// AfterRestore's comment are is tried here one by one; restore_property_test.go has them all
// together.
type restoreBed struct {
	*bed
	backup *mapStore
	at     time.Time
}

func newRestoreBed(t testing.TB, o *remint.Options) *restoreBed {
	return &restoreBed{bed: newBed(t, o)}
}

func (b *restoreBed) backUp() {
	b.backup = cloneStore(b.store.Store)
	b.wait(time.Second)
}

// lose puts the backup in the place of the store, and returns the log of what was lost.
func (b *restoreBed) lose() []remint.Event {
	log := b.log()
	b.wait(time.Second)
	b.at = b.now()
	b.wait(time.Second)
	b.store.Store = cloneStore(b.backup)
	return log
}

func (b *restoreBed) restore(r remint.Restore) remint.Restored {
	b.Helper()
	if r.At.IsZero() {
		r.At = b.at
	}
	n, err := b.op.AfterRestore(b.Context(), r)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// restored loses the store, restores the backup, and runs the operation with the whole log.
func (b *restoreBed) restored() remint.Restored {
	b.Helper()
	return b.restore(remint.Restore{Log: eventSeq(b.lose())})
}

// reasonOf returns what the operation says that it has done to a token.
func (b *restoreBed) reasonOf(id remint.ID) string {
	b.Helper()
	reason, n := "untouched", 0
	for _, e := range b.log() {
		if e.Kind == remint.EventRestore && e.Token == id {
			reason, n = e.Reason, n+1
		}
	}
	if n > 1 {
		b.Errorf("%s was restored %d times", id, n)
	}
	return reason
}

// A restoreCase has secrets by names: those that work afterwards, and those that are denied.
type restoreCase struct {
	name string
	// before and lost are what the backup has, and what comes after it.
	before, lost  func(b *restoreBed, g map[string]remint.Grant)
	works, denied []string
	reason        string // of the token "it"
}

func restoreCases() []restoreCase {
	type (
		bedOf  = *restoreBed
		grants = map[string]remint.Grant
	)
	firstUse, planned := remint.RetireAfterFirstUse(time.Hour), remint.RetireAfter(time.Hour)
	id := func(g grants) remint.ID { return g["it"].Token.ID() }
	none := func(bedOf, grants) {}
	rotated := func(r remint.Rotation) func(bedOf, grants) {
		return func(b bedOf, g grants) { g["new"] = b.rotate(id(g), r) }
	}
	to := func(r remint.Retirement) remint.Rotation {
		return remint.Rotation{Retire: r, Successor: &remint.Successor{}}
	}
	use := func(b bedOf, g grants) { b.accepted(g["new"]) }
	update := func(change func(*remint.Spec)) func(bedOf, grants) {
		return func(b bedOf, g grants) {
			if _, err := b.op.Update(b.Context(), id(g), func(s *remint.Spec) error { change(s); return nil }); err != nil {
				b.Fatal(err)
			}
		}
	}
	then := func(all ...func(bedOf, grants)) func(bedOf, grants) {
		return func(b bedOf, g grants) {
			for _, f := range all {
				f(b, g)
				b.wait(time.Second)
			}
		}
	}
	mustDo := func(f func(bedOf, grants) error) func(bedOf, grants) {
		return func(b bedOf, g grants) {
			if err := f(b, g); err != nil {
				b.Fatal(err)
			}
		}
	}
	cancel := mustDo(func(b bedOf, g grants) error { return second(b.op.CancelRotation(b.Context(), id(g))) })
	finish := mustDo(func(b bedOf, g grants) error { return second(b.op.FinishRotation(b.Context(), id(g))) })
	revoke := func(name string) func(bedOf, grants) {
		return func(b bedOf, g grants) { b.revoke(g[name].Token.ID()) }
	}
	end := func(by string) func(bedOf, grants) {
		return mustDo(func(b bedOf, g grants) error {
			who := b.op
			if by != "" {
				who = b.Bearer(g[by].Secret.Reveal(), netip.Addr{})
			}
			return who.EndSessions(b.Context(), id(g))
		})
	}
	return []restoreCase{
		{"nothing was lost", none, none, []string{"it", "child"}, []string{"session", "child's session"}, ""},
		{"it was revoked", none, revoke("it"), nil, []string{"it", "child", "session"}, remint.ReasonRevoked},
		{"its parent was revoked", none, revoke("root"), nil, []string{"it", "child", "session", "root"}, ""},
		{"it was removed", none, func(b bedOf, g grants) {
			revoke("it")(b, g)
			b.wait(100 * 24 * time.Hour)
			b.sweep()
		}, nil, []string{"it", "child"}, remint.ReasonRevoked},
		{"its sessions were ended", none, end(""), []string{"it"}, []string{"child", "session"}, remint.ReasonCaughtUp},
		{"its parent's were", none, mustDo(func(b bedOf, g grants) error { return b.op.EndSessions(b.Context(), g["root"].Token.ID()) }), []string{"root"}, []string{"it", "child"}, ""},
		{"it ended them itself", none, end("it"), []string{"it"}, []string{"child"}, remint.ReasonCaughtUp},

		{"it was rotated", none, rotated(remint.Rotation{}), []string{"child"}, []string{"it", "new", "session"}, remint.ReasonStopped},
		{"it was rotated with an overlap", none, rotated(remint.Rotation{Retire: planned}), []string{"child"}, []string{"it", "new"}, remint.ReasonStopped},
		{"it was rotated and cancelled", none, then(rotated(remint.Rotation{Retire: firstUse}), cancel), []string{"child"}, []string{"it", "new"}, remint.ReasonStopped},
		{"it was rotated to a successor", none, rotated(to(planned)), nil, []string{"it", "new", "child"}, remint.ReasonStopped},
		{"it was renamed", none, update(func(s *remint.Spec) { s.Name = "other" }), nil, []string{"it", "child"}, remint.ReasonStopped},
		{"its parent was narrowed", none, mustDo(func(b bedOf, g grants) error {
			return second(b.op.Update(b.Context(), g["root"].Token.ID(), func(s *remint.Spec) error {
				s.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
				return nil
			}))
		}), nil, []string{"it", "child", "root"}, ""},

		{"a rotation waits", rotated(remint.Rotation{Retire: firstUse}), none, []string{"it", "new"}, nil, ""},
		{"its new secret was used", rotated(remint.Rotation{Retire: firstUse}), use, []string{"it", "new"}, nil, remint.ReasonCaughtUp},
		{"it was used, and the grace is over", rotated(remint.Rotation{Retire: firstUse}), then(use, func(b bedOf, _ grants) { b.wait(time.Hour) }), []string{"new"}, []string{"it"}, remint.ReasonCaughtUp},
		{"it was used at once", rotated(remint.Rotation{Retire: remint.RetireAfterFirstUse(0)}), use, []string{"new"}, []string{"it"}, remint.ReasonCaughtUp},
		{"the waiting rotation was cancelled", rotated(remint.Rotation{Retire: firstUse}), cancel, []string{"it"}, []string{"new"}, remint.ReasonCaughtUp},
		{"the overlap was finished", then(rotated(remint.Rotation{Retire: planned}), use), finish, []string{"new"}, []string{"it"}, remint.ReasonCaughtUp},
		{"the new secret was used and the overlap finished", rotated(remint.Rotation{Retire: planned}), then(use, finish), []string{"new"}, []string{"it"}, remint.ReasonCaughtUp},
		{"the waiting rotation was repeated", rotated(remint.Rotation{Retire: firstUse}), func(b bedOf, g grants) {
			g["newer"] = b.rotate(id(g), remint.Rotation{Retire: firstUse})
		}, []string{"child"}, []string{"it", "new", "newer"}, remint.ReasonStopped},
		{"a rotation waits during an overlap", func(b bedOf, g grants) {
			g["mid"] = b.rotate(id(g), remint.Rotation{Retire: planned})
			b.accepted(g["mid"])
			rotated(remint.Rotation{Retire: firstUse})(b, g)
		}, none, []string{"it", "mid", "new"}, nil, ""},
		{"it was repeated then", func(b bedOf, g grants) {
			g["mid"] = b.rotate(id(g), remint.Rotation{Retire: planned})
			b.accepted(g["mid"])
			rotated(remint.Rotation{Retire: firstUse})(b, g)
		}, func(b bedOf, g grants) { b.rotate(id(g), remint.Rotation{}) }, nil, []string{"it", "mid", "new"}, remint.ReasonStopped},
		{"a bearer, with one of two secrets, ended its sessions", rotated(remint.Rotation{Retire: firstUse}), end("new"), nil, []string{"it", "new"}, remint.ReasonStopped},

		{"a successor waits", rotated(to(firstUse)), none, []string{"it", "new", "child"}, nil, ""},
		{"its successor was used", rotated(to(firstUse)), use, []string{"it", "new", "child"}, nil, remint.ReasonCaughtUp},
		{"its successor was used, and the grace is over", rotated(to(firstUse)), then(use, func(b bedOf, _ grants) { b.wait(time.Hour) }), []string{"new"}, []string{"it", "child"}, remint.ReasonCaughtUp},
		{"its successor was used, with a planned end", rotated(to(planned)), use, []string{"it", "new"}, nil, remint.ReasonCaughtUp},
		{"its successor's overlap was finished", then(rotated(to(planned)), use), finish, []string{"new"}, []string{"it", "child"}, remint.ReasonCaughtUp},
		{"its successor was cancelled", rotated(to(firstUse)), cancel, []string{"it", "child"}, []string{"new"}, remint.ReasonCaughtUp},
		{"its successor was replaced", rotated(to(firstUse)), func(b bedOf, g grants) { g["newer"] = b.rotate(id(g), to(firstUse)) }, nil, []string{"it", "new", "newer", "child"}, remint.ReasonStopped},
		{"its successor's successor took the place", rotated(to(firstUse)), func(b bedOf, g grants) {
			g["newer"] = b.rotate(g["new"].Token.ID(), to(firstUse))
		}, nil, []string{"it", "new", "newer"}, remint.ReasonStopped},
		{"its successor was rotated and used", rotated(to(firstUse)), func(b bedOf, g grants) {
			g["newer"] = b.rotate(g["new"].Token.ID(), remint.Rotation{})
			b.accepted(g["newer"])
		}, []string{"it", "child"}, []string{"new", "newer"}, remint.ReasonCaughtUp},
		{"its successor ended its sessions, as its first use", rotated(to(firstUse)), end("new"), []string{"new"}, []string{"it", "child"}, remint.ReasonStopped},
		{"an overlap was finished by rotating in place", rotated(to(planned)), rotated(remint.Rotation{}), nil, []string{"it", "new", "child"}, remint.ReasonStopped},
	}
}

func TestWhatTheLogShowsIsWhatBecomesOfARestoredToken(t *testing.T) {
	for _, tt := range restoreCases() {
		t.Run(tt.name, func(t *testing.T) {
			b := newRestoreBed(t, nil)
			g := map[string]remint.Grant{"root": b.issue(remint.Spec{Owner: "o", Capabilities: remint.Allow("*")})}
			g["it"] = b.issue(remint.Spec{Parent: g["root"].Token.ID(), Capabilities: remint.Allow("*")})
			g["child"] = b.issue(remint.Spec{Parent: g["it"].Token.ID()})
			g["session"] = b.session(g["it"].Token.ID(), remint.Session{})
			g["child's session"] = b.session(g["child"].Token.ID(), remint.Session{})
			tt.before(b, g)
			b.backUp()
			tt.lost(b, g)
			b.restored()
			if got := b.reasonOf(g["it"].Token.ID()); got != tt.reason {
				t.Errorf("the reason is %q, want %q", got, tt.reason)
			}
			// On a copy, so that the first to be looked at changes nothing for the others.
			for name, g := range g {
				real := b.store.Store
				b.store.Store = cloneStore(real)
				_, err := b.Verify(t.Context(), g.Secret.Reveal(), netip.Addr{})
				b.store.Store = real
				if slices.Contains(tt.works, name) && err != nil {
					t.Errorf("%s: %v, want that it works", name, err)
				}
				if slices.Contains(tt.denied, name) && !errors.Is(err, remint.ErrDenied) {
					t.Errorf("%s: %v, want ErrDenied", name, err)
				}
			}
		})
	}
}

func TestATokenThatWasLeftWithoutASecretGetsANewOneByRotatingIt(t *testing.T) {
	for _, name := range []string{"rotated", "updated", "rotated to a successor", "all secrets stopped"} {
		t.Run(name, func(t *testing.T) {
			b := newRestoreBed(t, nil)
			root := b.issue(remint.Spec{Owner: "o"})
			child := b.issue(remint.Spec{Parent: root.Token.ID()})
			id := child.Token.ID()
			b.backUp()
			r := remint.Restore{}
			switch name {
			case "rotated":
				b.rotate(id, remint.Rotation{})
			case "updated":
				b.op.Update(t.Context(), id, func(s *remint.Spec) error { s.Name = "x"; return nil })
			case "rotated to a successor":
				b.rotate(id, remint.Rotation{Successor: &remint.Successor{}})
			default:
				r.StopSecrets = true
			}
			r.Log = eventSeq(b.lose())
			n := b.restore(r)
			if want := map[bool]int{false: 1, true: 2}[r.StopSecrets]; n.Stopped != want || n.Tokens != 2 {
				t.Errorf("%+v, want 2 tokens and %d stopped", n, want)
			}
			b.denied(child, remint.ReasonSecret)
			if s := b.get(id).State(); s.Current != (remint.SecretState{}) || s.Ended != "" {
				t.Errorf("its state is %+v", s)
			}
			b.accepted(b.rotate(id, remint.Rotation{}))
			b.denied(child, remint.ReasonSecret)
		})
	}
}

// What an earlier rotation planned for a token that was rotated since, and that has no secret now, is no
// deadline for whoever gives it one.
func TestATokenThatWasRotatedSinceDoesNotEndAsAnEarlierRotationPlanned(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{})
	b.rotate(g.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour), Successor: &remint.Successor{}})
	b.backUp()
	b.rotate(g.Token.ID(), remint.Rotation{})
	b.restored()
	b.wait(2 * time.Hour)
	b.accepted(b.rotate(g.Token.ID(), remint.Rotation{}))
}

func TestWhatOnlyAuthenticatedDoesNoMoreAfterARestore(t *testing.T) {
	for name, r := range map[string]remint.Rotation{
		"a secret": {Retire: remint.RetireAfter(time.Hour)}, "a secret, after first use": {Retire: remint.RetireAfterFirstUse(time.Hour)},
		"a token": {Retire: remint.RetireAfter(time.Hour), Successor: &remint.Successor{}}, "a token, after first use": {Retire: remint.RetireAfterFirstUse(time.Hour), Successor: &remint.Successor{}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newRestoreBed(t, nil)
			g := b.issue(remint.Spec{Capabilities: remint.Allow("*")})
			next := b.rotate(g.Token.ID(), r)
			b.backUp()
			b.accepted(next)
			b.restored()
			b.accepted(g)
			if _, err := b.Bearer(g.Secret.Reveal(), netip.Addr{}).Rotate(t.Context(), g.Token.ID(), remint.Rotation{}); !errors.Is(err, remint.ErrForbidden) {
				t.Errorf("it rotates: %v, want ErrForbidden", err)
			}
			b.accepted(next)
			b.wait(time.Hour)
			b.denied(g, remint.ReasonRetired)
			b.accepted(next)
		})
	}
}

// Threat 14: an honest client does not know that there was a restore.
// It fails without the oblivion of what a restore has stopped (internal/mutants).
func TestASecretThatARestoreHasStoppedIsNoReuse(t *testing.T) {
	b := newRestoreBed(t, &remint.Options{RevokeOnReuse: true})
	rotated, updated, used, succeeded := b.issue(remint.Spec{}), b.issue(remint.Spec{}), b.issue(remint.Spec{}), b.issue(remint.Spec{})
	pending := b.rotate(used.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
	next := b.rotate(succeeded.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0), Successor: &remint.Successor{}})
	b.backUp()
	second := b.rotate(rotated.Token.ID(), remint.Rotation{})
	b.op.Update(t.Context(), updated.Token.ID(), func(s *remint.Spec) error { s.Name = "x"; return nil })
	b.accepted(pending)
	b.accepted(next)
	b.restored()
	b.wait(time.Hour)
	b.took()
	for _, g := range []remint.Grant{rotated, second, updated, used, succeeded} {
		if _, err := b.Verify(t.Context(), g.Secret.Reveal(), netip.Addr{}); !errors.Is(err, remint.ErrDenied) {
			t.Errorf("%v, want ErrDenied", err)
		}
	}
	for _, e := range b.took() {
		if e.Kind != remint.EventDeny {
			t.Errorf("observed %+v", e)
		}
	}
	b.accepted(pending)
	b.accepted(next)
	b.accepted(b.rotate(rotated.Token.ID(), remint.Rotation{}))
	b.accepted(b.rotate(updated.Token.ID(), remint.Rotation{}))
}

// The event of a reuse stands for the revocation of its token as well.
func TestAReuseThatRevokedATokenIsOneThatStopsIt(t *testing.T) {
	for _, revokes := range []bool{false, true} {
		b := newRestoreBed(t, &remint.Options{RevokeOnReuse: revokes})
		old := b.issue(remint.Spec{})
		g := b.rotate(old.Token.ID(), remint.Rotation{})
		b.accepted(g)
		b.backUp()
		b.wait(time.Hour)
		b.denied(old, remint.ReasonRetired)
		b.restored()
		if _, err := b.Verify(t.Context(), g.Secret.Reveal(), netip.Addr{}); (err == nil) == revokes {
			t.Errorf("RevokeOnReuse %v: %v", revokes, err)
		}
	}
}

func TestAGapInTheLogIsAsBadAsWhatItMayHide(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{Owner: "o"})
	child := b.issue(remint.Spec{Parent: g.Token.ID()})
	other := b.issue(remint.Spec{})
	b.backUp()
	next := b.rotate(g.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Hour)})
	b.accepted(next)
	if err := b.op.EndSessions(t.Context(), g.Token.ID()); err != nil {
		t.Fatal(err)
	}
	if err := b.op.EndSessions(t.Context(), g.Token.ID()); err != nil {
		t.Fatal(err)
	}
	log := slices.DeleteFunc(b.lose(), func(e remint.Event) bool { return e.Token == g.Token.ID() && e.Revision < 5 })
	if len(log) != 3 || log[2].Kind != remint.EventEndSessions {
		t.Fatalf("the log is %+v", log)
	}
	b.restore(remint.Restore{Log: eventSeq(log)})
	b.denied(g, remint.ReasonSecret)
	b.denied(child, remint.ReasonParent)
	b.accepted(other)
}

func TestTwoEventsOfOneRevisionAreAsBadAsEither(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{})
	b.backUp()
	if err := b.op.EndSessions(t.Context(), g.Token.ID()); err != nil {
		t.Fatal(err)
	}
	log := b.lose()
	fork := log[len(log)-1]
	fork.Kind = remint.EventSeal
	for _, order := range [][]remint.Event{{fork}, {fork, fork}} {
		b.store.Store = cloneStore(b.backup)
		b.restore(remint.Restore{Log: eventSeq(append(order, log...))})
		b.denied(g, remint.ReasonSecret)
	}
	b.store.Store = cloneStore(b.backup)
	b.restore(remint.Restore{Log: eventSeq(append(log, log...))})
	b.accepted(g)

	// Of two histories after one backup, one of them since the restore, neither hides the other.
	gone := log[len(log)-1]
	gone.Kind = remint.EventRevoke
	b.store.Store = cloneStore(b.backup)
	from := len(b.log())
	b.op.Update(t.Context(), g.Token.ID(), func(s *remint.Spec) error { s.Name = "x"; return nil })
	b.restore(remint.Restore{Log: eventSeq(append(b.log()[from:], gone))})
	b.denied(g, remint.ReasonRevoked)
}

// A successor that nobody has used lapses; one that was rotated since the backup cannot, as nobody
// knows whether the other secret was used.
func TestASuccessorThatWasRotatedSinceWaitsForItsNewSecret(t *testing.T) {
	const lapse = time.Hour
	for name, stop := range map[string]bool{"by the log": false, "by StopSecrets": true} {
		t.Run(name, func(t *testing.T) {
			b := newRestoreBed(t, &remint.Options{Lapse: lapse})
			old := b.issue(remint.Spec{Owner: "o", Capabilities: remint.Allow("a")})
			next := b.rotate(old.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Minute), Successor: &remint.Successor{}})
			child := b.issue(remint.Spec{Parent: next.Token.ID()})
			b.backUp()
			b.rotate(next.Token.ID(), remint.Rotation{})
			log := b.lose()
			if b.restore(remint.Restore{Log: eventSeq(log), StopSecrets: stop}); !stop {
				b.accepted(old)
			}
			b.wait(2 * lapse)
			b.denied(child, map[bool]string{false: remint.ReasonParent, true: remint.ReasonSecret}[stop]) // which would have ended then
			fresh := b.rotate(next.Token.ID(), remint.Rotation{})
			b.accepted(fresh)
			b.wait(time.Minute)
			if ended := b.get(old.Token.ID()).State().Ended; ended != remint.ReasonRetired {
				t.Errorf("its predecessor has ended for %q", ended)
			}

			// What had lapsed by then stays so.
			b.store.Store = cloneStore(b.backup)
			b.restore(remint.Restore{Log: eventSeq(log), StopSecrets: stop})
			if ended := b.get(next.Token.ID()).State().Ended; ended != remint.ReasonLapsed {
				t.Errorf("it has ended for %q", ended)
			}
		})
	}
}

func TestWhatStandsBelowASuccessorThatWasRotatedAndUsedGoesOn(t *testing.T) {
	b := newRestoreBed(t, &remint.Options{Lapse: time.Hour})
	old := b.issue(remint.Spec{Owner: "o"})
	next := b.rotate(old.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Minute), Successor: &remint.Successor{}})
	child := b.issue(remint.Spec{Parent: next.Token.ID()})
	b.backUp()
	b.accepted(b.rotate(next.Token.ID(), remint.Rotation{}))
	b.restored()
	b.wait(2 * time.Hour)
	b.accepted(child)
	b.accepted(b.rotate(next.Token.ID(), remint.Rotation{}))
}

// Whoever gives each token without a secret a new one does no harm to another by that.
func TestATokenThatStoppedAndWhoseSuccessorWasUsedIsNotRotatedAgain(t *testing.T) {
	b := newRestoreBed(t, nil)
	old := b.issue(remint.Spec{})
	next := b.rotate(old.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour), Successor: &remint.Successor{}})
	b.backUp()
	b.op.Update(t.Context(), old.Token.ID(), func(s *remint.Spec) error { s.Name = "x"; return nil })
	b.accepted(next)
	b.restored()
	if _, err := b.op.Rotate(t.Context(), old.Token.ID(), remint.Rotation{}); err == nil {
		t.Error("it was rotated")
	}
	b.accepted(next)
}

func TestATokenThatStoppedAndWhoseSuccessorWasCancelledHasNoEnd(t *testing.T) {
	b := newRestoreBed(t, nil)
	old := b.issue(remint.Spec{})
	b.rotate(old.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour), Successor: &remint.Successor{}})
	b.backUp()
	b.op.Update(t.Context(), old.Token.ID(), func(s *remint.Spec) error { s.Name = "x"; return nil })
	if _, err := b.op.CancelRotation(t.Context(), old.Token.ID()); err != nil {
		t.Fatal(err)
	}
	b.restored()
	b.wait(2 * time.Hour)
	b.accepted(b.rotate(old.Token.ID(), remint.Rotation{}))
}

func TestATokenWhoseSuccessorWasUsedEndsWithItsSecrets(t *testing.T) {
	b := newRestoreBed(t, nil)
	old := b.issue(remint.Spec{})
	next := b.rotate(old.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour), Successor: &remint.Successor{}})
	b.accepted(next)
	b.backUp()
	b.lose()
	b.restore(remint.Restore{StopSecrets: true})
	if ended := b.get(old.Token.ID()).State().Ended; ended != remint.ReasonRetired {
		t.Errorf("it has ended for %q: nobody could give it a new secret", ended)
	}
	b.accepted(b.rotate(next.Token.ID(), remint.Rotation{}))
}

// The secret that a rotation since has made does not lapse, as there is none to go back to.
func TestASecretThatWasMadeSinceOutlivesTheOneThatStops(t *testing.T) {
	b := newRestoreBed(t, &remint.Options{Lapse: time.Hour})
	g := b.issue(remint.Spec{})
	b.backUp()
	b.op.Update(t.Context(), g.Token.ID(), func(s *remint.Spec) error { s.Name = "x"; return nil })
	log := b.lose()
	fresh := b.rotate(g.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Hour)})
	b.restore(remint.Restore{Log: eventSeq(log)})
	b.denied(g, remint.ReasonSecret)
	b.wait(2 * time.Hour)
	b.accepted(fresh)
}

// A log that was not read as it was written, or by a version that knows more.
func TestAnEventThatDoesNotFitStopsTheToken(t *testing.T) {
	for name, edit := range map[string]func(*remint.Event){
		"a kind that nobody knows":           func(e *remint.Event) { e.Kind = "anneal" },
		"no kind":                            func(e *remint.Event) { e.Kind = "" },
		"the first use of another secret":    func(e *remint.Event) { e.Generation = 7 },
		"the first use of another successor": func(e *remint.Event) { e.Generation, e.Other = 1, e.Token },
		"a first use long after its time":    func(e *remint.Event) { e.At = e.At.Add(30 * 24 * time.Hour) },
		"the end of what waits":              func(e *remint.Event) { e.Kind = remint.EventFinish },
	} {
		b := newRestoreBed(t, nil)
		g := b.issue(remint.Spec{})
		next := b.rotate(g.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Hour)})
		b.backUp()
		b.accepted(next)
		log := b.lose()
		edit(&log[len(log)-1])
		b.restore(remint.Restore{Log: eventSeq(log)})
		if got := b.reasonOf(g.Token.ID()); got != remint.ReasonStopped {
			t.Errorf("%s: the reason is %q", name, got)
		}
		b.denied(g, remint.ReasonSecret)
		b.denied(next, remint.ReasonSecret)
	}
}

// What was planned for a token is in its successor's record, which may have been restored before it:
// their IDs are in no order if they were issued in one millisecond.
func TestATokenWhoseSuccessorWasRestoredFirstStopsWhenThatWasUsed(t *testing.T) {
	b := newRestoreBed(t, nil)
	var all []remint.Grant
	for range 60 { // which are several commits
		all = append(all, b.issue(remint.Spec{}))
	}
	slices.SortFunc(all, func(x, y remint.Grant) int { return x.Token.ID().Compare(y.Token.ID()) })
	old, next := all[59], remint.Grant{}
	for next.Token.IsZero() || next.Token.ID().Compare(all[15].Token.ID()) > 0 {
		next = b.rotate(old.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Hour), Successor: &remint.Successor{}})
	}
	b.backUp()
	b.accepted(next)
	b.restored()
	b.accepted(next)
	b.denied(old, remint.ReasonSecret)
	if ended := b.get(old.Token.ID()).State().Ended; ended != remint.ReasonRetired {
		t.Errorf("it has ended for %q", ended)
	}
}

// What is observed and not stored says nothing of a record.
func TestWhatOnlyWasObservedIsNoChange(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{Capabilities: remint.Allow("*")})
	gone := b.rotate(g.Token.ID(), remint.Rotation{})
	g, gone = gone, g
	b.accepted(g)
	b.denied(gone, remint.ReasonRetired)
	me := b.Bearer(g.Secret.Reveal(), netip.Addr{}).WithRetryKey("a key", 0)
	rotate := func() {
		if _, err := me.Rotate(t.Context(), g.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0)}); err != nil {
			t.Fatal(err)
		}
	}
	rotate()
	b.backUp()
	b.took()
	if _, err := me.Issue(t.Context(), remint.Spec{}); err == nil {
		t.Fatal("a key was taken for two requests")
	}
	if err := b.op.EndSessions(t.Context(), g.Token.ID()); err != nil {
		t.Fatal(err)
	}
	rotate()
	b.denied(gone, remint.ReasonRetired)
	b.accepted(g)
	observed := b.took()
	b.lose()
	b.restore(remint.Restore{Log: eventSeq(observed)})
	b.accepted(g)
	if got := b.reasonOf(g.Token.ID()); got != remint.ReasonCaughtUp {
		t.Errorf("the reason is %q", got)
	}
}

// It fails without the step by which every epoch rises with a restore, and without the revision
// beyond all that were lost (internal/mutants).
func TestNoRevisionAndNoEpochOfALostHistoryIsGivenAgain(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{})
	id := g.Token.ID()
	b.backUp()
	revisions, epochs := map[uint64]bool{}, map[uint64]bool{}
	seen := func() {
		s := b.get(id).State()
		if revisions[s.Revision] {
			t.Errorf("revision %d was given before", s.Revision)
		}
		revisions[s.Revision], epochs[s.Epoch] = true, true
	}
	for range 5 {
		if err := b.op.EndSessions(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		seen()
	}
	lost := maps.Clone(epochs)
	for range 3 { // the same backup every time, with no word of what the others led to
		b.lose()
		b.restore(remint.Restore{StopSecrets: true})
		for range 5 {
			seen()
			if err := b.op.EndSessions(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		if lost[b.get(id).State().Epoch] {
			t.Errorf("the epoch %d was lost", b.get(id).State().Epoch)
		}
	}
	if r := b.get(id).State().Revision; r >= 1<<53 {
		t.Errorf("revision %d is none that every reader of JSON keeps", r)
	}

	// By a clock that was ahead of this one, an earlier restore has gone beyond it.
	log := b.lose()
	log[0].Kind, log[0].Revision = remint.EventEndSessions, 1<<52
	b.restore(remint.Restore{Log: eventSeq(log)})
	if r := b.get(id).State().Revision; r != 1<<52+1 {
		t.Errorf("after the revision %d comes %d", 1<<52, r)
	}
}

// It fails without the end of the answers that were kept for a retry (internal/mutants).
func TestAnAnswerThatWasKeptForARetryIsNotGivenAfterARestore(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{Capabilities: remint.Allow("*")})
	me := b.Bearer(g.Secret.Reveal(), netip.Addr{}).WithRetryKey("a key of enough characters", 0)
	made, err := me.Issue(t.Context(), remint.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	b.backUp()
	b.restored()
	if again, err := me.Issue(t.Context(), remint.Spec{}); !errors.Is(err, remint.ErrConflict) {
		t.Errorf("%v, %v, want ErrConflict", again.Token.ID(), err)
	}
	b.accepted(made)
	b.accepted(g)
}

func TestWhatWasIssuedAndRotatedSinceIsLeftAlone(t *testing.T) {
	b := newRestoreBed(t, nil)
	root := b.issue(remint.Spec{Owner: "o"})
	b.backUp()
	b.lose()
	r := remint.Restore{StopSecrets: true}
	b.wait(time.Second)
	// Somebody has not waited for it.
	fresh := b.issue(remint.Spec{Owner: "o"})
	child := b.issue(remint.Spec{Parent: root.Token.ID()})
	below := b.issue(remint.Spec{Parent: child.Token.ID()})
	rotated := b.rotate(root.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
	b.accepted(rotated)
	session := b.session(root.Token.ID(), remint.Session{})
	if n := b.restore(r); n.Tokens != 3 || n.Stopped != 0 { // root, and what follows it
		t.Errorf("%+v", n)
	}
	all := []remint.Grant{fresh, child, below, rotated, session}
	for range 2 {
		for _, g := range all {
			b.accepted(g)
		}
		later := b.issue(remint.Spec{Parent: root.Token.ID()})
		all = append(all, later, b.session(later.Token.ID(), remint.Session{}))
		if n := b.restore(r); n != (remint.Restored{}) {
			t.Errorf("a second call: %+v", n)
		}
	}
	b.denied(root, remint.ReasonRetired)
	// And what was ended since stays so, though its parent is restored only now.
	b.store.Store = cloneStore(b.backup)
	ended := b.issue(remint.Spec{Parent: root.Token.ID()})
	if err := b.op.EndSessions(t.Context(), root.Token.ID()); err != nil {
		t.Fatal(err)
	}
	kept := b.issue(remint.Spec{Parent: root.Token.ID()})
	b.restore(r)
	b.denied(ended, remint.ReasonParent)
	b.accepted(kept)
}

// The log may be read when it has what came since, too.
func TestWhatTheLogHasOfTheTimeSinceCastsNoDoubt(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{})
	b.backUp()
	log := b.lose()
	b.op.Update(t.Context(), g.Token.ID(), func(s *remint.Spec) error { s.Name = "x"; return nil })
	b.restore(remint.Restore{Log: eventSeq(slices.Concat(log[1:], b.log()[1:]))})
	b.accepted(g)
	if name := b.get(g.Token.ID()).Name(); name != "x" {
		t.Errorf("its name is %q", name)
	}
}

// A revocation of the lost store wins over whatever was done to the token since.
func TestATokenThatWasRevokedStaysSoWhateverIsDoneBeforeTheOperationIsRun(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{Capabilities: remint.Allow("*")})
	b.backUp()
	b.revoke(g.Token.ID())
	log := b.lose()
	next, err := b.Bearer(g.Secret.Reveal(), netip.Addr{}).Rotate(t.Context(), g.Token.ID(), remint.Rotation{})
	if err != nil {
		t.Fatal(err)
	}
	b.accepted(next)
	b.restore(remint.Restore{Log: eventSeq(log)})
	b.denied(next, remint.ReasonRevoked)
}

func TestASecretThatWasDroppedIsNotSavedByUsingItBeforeTheOperationIsRun(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{})
	dropped := b.rotate(g.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Hour)})
	b.backUp()
	if _, err := b.op.CancelRotation(t.Context(), g.Token.ID()); err != nil {
		t.Fatal(err)
	}
	log := b.lose()
	b.accepted(dropped)
	b.restore(remint.Restore{Log: eventSeq(log[len(log)-1:])})
	b.denied(dropped, remint.ReasonSecret)
}

func TestNoGenerationOfALostSecretIsGivenAgain(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{})
	b.backUp()
	for range 3 {
		b.rotate(g.Token.ID(), remint.Rotation{})
	}
	b.restored()
	b.rotate(g.Token.ID(), remint.Rotation{})
	if log := b.log(); log[len(log)-1].Generation != 5 {
		t.Errorf("after four secrets comes the generation %d", log[len(log)-1].Generation)
	}
}

func TestWhatARestoreHasEndedIsSwept(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{Owner: "o"})
	child := b.issue(remint.Spec{Parent: g.Token.ID()})
	gone := b.issue(remint.Spec{})
	b.backUp()
	if err := b.op.EndSessions(t.Context(), g.Token.ID()); err != nil {
		t.Fatal(err)
	}
	b.revoke(gone.Token.ID())
	b.restored()
	kept := b.issue(remint.Spec{Parent: g.Token.ID()})
	b.wait(91 * 24 * time.Hour)
	b.sweep()
	for _, g := range []remint.Grant{child, gone} {
		if _, err := b.op.Get(t.Context(), g.Token.ID()); !errors.Is(err, remint.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
	}
	b.accepted(g)
	b.accepted(kept)
}

// It fails without the refusal of whoever is no Operator (internal/mutants).
func TestOnlyAnOperatorCallsAfterRestore(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{Owner: "o", Capabilities: remint.Allow("*")})
	dead := b.issue(remint.Spec{Owner: "o"})
	b.revoke(dead.Token.ID())
	b.wait(time.Second)
	before := b.store.commits.Load()
	for name, tt := range map[string]struct {
		actor remint.Actor
		want  error
	}{
		"a bearer":      {b.Bearer(g.Secret.Reveal(), netip.Addr{}), remint.ErrForbidden},
		"a dead bearer": {b.Bearer(dead.Secret.Reveal(), netip.Addr{}), remint.ErrDenied},
		"a member":      {b.Member("o", "m", remint.Allow("*")), remint.ErrForbidden},
		"nobody":        {remint.Actor{}, remint.ErrForbidden},
	} {
		n, err := tt.actor.AfterRestore(t.Context(), remint.Restore{At: b.now(), StopSecrets: true})
		if !errors.Is(err, tt.want) || n != (remint.Restored{}) {
			t.Errorf("%s: %+v, %v, want %v", name, n, err, tt.want)
		}
	}
	if b.store.commits.Load() != before {
		t.Error("something was changed")
	}
}

func TestARestoreThatNothingMakesSafeIsAnInputError(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{})
	none := eventSeq(nil)
	for name, r := range map[string]remint.Restore{
		"Restore.At":      {Log: none},
		"Restore.At, too": {At: time.Unix(0, 0), Log: none},
		"a future":        {At: b.in(time.Microsecond), Log: none},
		"Restore.Log":     {At: b.now()},
	} {
		var in *remint.InputError
		if _, err := b.op.AfterRestore(t.Context(), r); !errors.As(err, &in) {
			t.Errorf("%s: %v, want an InputError", name, err)
		}
	}
	// A time from before the backup would leave all that was issued by then alone. Where the log
	// shows it, it is told.
	early := b.now()
	b.wait(time.Second)
	late := b.issue(remint.Spec{})
	b.backUp()
	b.revoke(late.Token.ID())
	log := b.lose()
	var in *remint.InputError
	if _, err := b.op.AfterRestore(t.Context(), remint.Restore{At: early, Log: eventSeq(log)}); !errors.As(err, &in) || in.Field != "Restore.At" {
		t.Errorf("before the backup: %v, want an InputError of Restore.At", err)
	}
	b.restore(remint.Restore{Log: eventSeq(log)})
	b.denied(late, remint.ReasonRevoked)
	b.accepted(g)
}

func TestALogThatCannotBeReadChangesNothing(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{})
	b.backUp()
	b.revoke(g.Token.ID())
	log := b.lose()
	before := b.store.commits.Load()
	broken := errors.New("line 2 is broken")
	for n := range 2 {
		_, err := b.op.AfterRestore(t.Context(), remint.Restore{At: b.at, Log: func(yield func(remint.Event, error) bool) {
			_ = (n == 0 || yield(log[0], nil)) && yield(remint.Event{}, broken)
		}})
		if !errors.Is(err, broken) {
			t.Errorf("after %d events: %v", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := b.op.AfterRestore(ctx, remint.Restore{At: b.at, Log: func(yield func(remint.Event, error) bool) {
		cancel()
		yield(log[0], nil)
	}}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if b.store.commits.Load() != before {
		t.Error("something was changed")
	}
	b.accepted(g)
}

func TestARestoreThatFailsAnywhereIsFinishedByCallingItAgain(t *testing.T) {
	for _, when := range []storetest.When{storetest.Before, storetest.After} {
		for n := 0; ; n++ {
			b := newRestoreBed(t, nil)
			var kept, gone []remint.Grant
			for range 50 { // more than a commit takes
				g := b.issue(remint.Spec{Owner: "o"})
				kept = append(kept, g, b.issue(remint.Spec{Parent: g.Token.ID()}))
				gone = append(gone, b.issue(remint.Spec{}), b.session(g.Token.ID(), remint.Session{}))
			}
			b.backUp()
			for k, g := range gone {
				if k%2 == 0 {
					b.revoke(g.Token.ID())
				}
			}
			log := b.lose()
			real := b.store.Store
			faulty := storetest.Faulty(real, n, when)
			b.store.Store = faulty
			first, err := b.op.AfterRestore(t.Context(), remint.Restore{At: b.at, Log: eventSeq(log)})
			b.store.Store = real
			fired := faulty.(interface{ Fired() bool }).Fired()
			if err != nil && (!fired || !errors.Is(err, remint.ErrUnavailable) || !errors.Is(err, storetest.ErrFault)) {
				t.Fatalf("operation %d: %v", n, err)
			}
			rest := b.restore(remint.Restore{Log: eventSeq(log)})
			if err == nil && rest != (remint.Restored{}) {
				t.Errorf("operation %d: nothing failed, and a second call did %+v", n, rest)
			}
			if sum := first.Tokens + rest.Tokens; sum > 150 || err == nil && sum != 150 {
				t.Errorf("operation %d: %+v and then %+v", n, first, rest)
			}
			for _, g := range kept {
				b.accepted(g)
				if got := b.reasonOf(g.Token.ID()); got != "" {
					t.Errorf("operation %d: the reason is %q", n, got)
				}
			}
			for k, g := range gone {
				b.denied(g, []string{remint.ReasonRevoked, remint.ReasonParent}[k%2])
			}
			if !fired {
				break
			}
		}
	}
}

func TestWhatARestoreChangesIsObservedAndStoredOnce(t *testing.T) {
	b := newRestoreBed(t, nil)
	root := b.issue(remint.Spec{Owner: "o"})
	b.issue(remint.Spec{Parent: root.Token.ID()})
	b.session(root.Token.ID(), remint.Session{})
	gone := b.issue(remint.Spec{Owner: "p"})
	stopped := b.issue(remint.Spec{Owner: "p"})
	b.revoke(b.issue(remint.Spec{}).Token.ID()) // of which nothing can come any more
	b.backUp()
	b.revoke(gone.Token.ID())
	b.rotate(stopped.Token.ID(), remint.Rotation{})
	log := b.lose()
	from := len(b.log())
	b.took()
	n := b.restore(remint.Restore{Log: eventSeq(log)})
	if want := (remint.Restored{Tokens: 4, Revoked: 1, Stopped: 1}); n != want {
		t.Errorf("%+v, want %+v", n, want)
	}
	stored := b.log()[from:]
	if fmt.Sprint(stored) != fmt.Sprint(b.took()) {
		t.Error("what was observed is not what is stored")
	}
	reasons := map[string]int{}
	for _, e := range stored {
		if e.Kind != remint.EventRestore || e.Actor != "root" || e.Revision != b.get(e.Token).State().Revision || e.At.Before(b.at) {
			t.Errorf("the event is %+v", e)
		}
		reasons[e.Reason]++
	}
	if len(stored) != 4 || reasons[""] != 2 || reasons[remint.ReasonRevoked] != 1 || reasons[remint.ReasonStopped] != 1 {
		t.Errorf("the reasons are %v", reasons)
	}
}
