package remint_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
)

// Ways in that stood open once. Each is one test, so that none opens again.

func TestARevocationIsNoSuccessBecauseSomebodyElseConfirmedTheSecret(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	x := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	victim := w.issue(remint.Spec{})
	fresh := w.must(w.op.Rotate(t.Context(), x.Token.ID(), remint.Rotation{}))
	w.store.before = func() { w.works(fresh, "the same secret, at the same moment") }
	if err := w.bearer(fresh).Revoke(t.Context(), victim.Token.ID()); err != nil {
		t.Fatal(err)
	}
	w.fails(victim, "what was revoked")
}

// It fails without rule 6 for what manages as an ancestor (internal/mutants).
func TestNobodyActsAsItsAncestorThroughThatOnesManagingSession(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	caps := remint.Allow("reports")
	root := w.issue(remint.Spec{Capabilities: caps})
	parent := w.issue(remint.Spec{Capabilities: caps, Parent: root.Token.ID()})
	child := w.issue(remint.Spec{Capabilities: caps, Parent: parent.Token.ID()})
	session := w.must(w.bearer(parent).StartSession(t.Context(), parent.Token.ID(), remint.Session{Manages: true}))
	_, err := w.bearer(child).Rotate(t.Context(), session.Token.ID(), remint.Rotation{})
	w.is(err, remint.ErrForbidden, "rotating a session that manages as one's parent")
}

// It fails without the right to end the successor that a rotation replaces (internal/mutants).
func TestNobodyReplacesItsAncestorThroughThatOnesSuccessor(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	caps := remint.Allow("reports")
	parent := w.issue(remint.Spec{Capabilities: caps})
	child := w.issue(remint.Spec{Capabilities: caps, Parent: parent.Token.ID()})
	to := remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfterFirstUse(0)}
	next := w.must(w.op.Rotate(ctx, parent.Token.ID(), to))
	_, err := w.bearer(child).Rotate(ctx, next.Token.ID(), to)
	w.is(err, remint.ErrForbidden, "taking the place of one's parent's successor")

	// And nobody drops its own ancestor by cancelling the rotation that made it.
	below := w.issue(remint.Spec{Capabilities: caps, Parent: next.Token.ID()})
	for what, err := range map[string]error{
		"cancelling": second(w.bearer(below).CancelRotation(ctx, parent.Token.ID())),
		"rotating":   second(w.bearer(below).Rotate(ctx, parent.Token.ID(), remint.Rotation{})),
	} {
		w.is(err, remint.ErrForbidden, what)
	}
	w.works(next, "the ancestor")
}

func second[T any](_ T, err error) error { return err }

func TestNobodyGetsASecretThatEscapesWhatEndsIt(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	parent := w.issue(remint.Spec{Capabilities: remint.Allow("reports")})
	child := w.issue(remint.Spec{Capabilities: remint.Allow("reports"), Parent: parent.Token.ID()})
	beside := w.issue(remint.Spec{Capabilities: remint.Allow("reports:read"), Parent: parent.Token.ID()})
	free := w.issue(remint.Spec{Capabilities: remint.Allow("reports:read")})
	me := w.bearer(child)
	for what, err := range map[string]error{
		"issuing":            second(me.Issue(ctx, remint.Spec{Parent: free.Token.ID()})),
		"rotating":           second(me.Rotate(ctx, free.Token.ID(), remint.Rotation{})),
		"succeeding":         second(me.Rotate(ctx, free.Token.ID(), remint.Rotation{Successor: &remint.Successor{}})),
		"starting a session": second(me.StartSession(ctx, free.Token.ID(), remint.Session{Manages: true})),
	} {
		w.is(err, remint.ErrForbidden, what+" outside of what ends it")
	}
	if _, err := me.Rotate(ctx, beside.Token.ID(), remint.Rotation{}); err != nil {
		t.Errorf("rotating within: %v", err)
	}
}

// slowStore lets time pass when a record is loaded.
type slowStore struct {
	remint.Store
	loaded func(remint.ID)
}

func (s *slowStore) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	r, err := s.Store.Load(ctx, id)
	s.loaded(id)
	return r, err
}

// It fails without the second look at the clock (internal/mutants).
func TestNobodyActsWithASecretThatStoppedBeforeTheCommitBegan(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	caps := remint.Allow("*")
	short := w.issue(remint.Spec{Capabilities: caps, ExpiresAt: w.now.Add(time.Second)})
	target := w.issue(remint.Spec{Capabilities: caps})
	w.store.Store = &slowStore{w.store.Store, func(id remint.ID) {
		if id == short.Token.ID() {
			w.now = w.now.Add(time.Minute)
		}
	}}
	_, err := w.bearer(short).Rotate(t.Context(), target.Token.ID(), remint.Rotation{})
	w.is(err, remint.ErrDenied, "rotating with what expired while the store was slow")
}

func TestASessionOfTheOldSecretDoesNotTakeTheTokenBackWithKeepSessions(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	old := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	fresh := w.must(w.op.Rotate(ctx, old.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour), KeepSessions: true}))
	session := w.must(w.bearer(old).StartSession(ctx, old.Token.ID(), remint.Session{Manages: true}))
	w.works(fresh, "the new secret")
	_, err := w.bearer(session).Rotate(ctx, old.Token.ID(), remint.Rotation{})
	w.is(err, remint.ErrForbidden, "rotating as a session that the old secret started")
	w.works(fresh, "the new secret")

	w.now = w.now.Add(time.Hour) // the old secret has stopped: what is left bears the new one's standing
	if _, err := w.bearer(session).Rotate(ctx, old.Token.ID(), remint.Rotation{}); err != nil {
		t.Errorf("rotating as a kept session after the overlap: %v", err)
	}
}

func TestABearerKeepsItsOwnNetworksWhateverItsParentHas(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	in := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	parent := w.issue(remint.Spec{Capabilities: remint.Allow("*"), Networks: in})
	child := w.issue(remint.Spec{Capabilities: remint.Allow("*"), Networks: in, Parent: parent.Token.ID()})
	open := func(s *remint.Spec) error { s.Networks = nil; return nil }
	_, err := w.bearer(child).Update(ctx, child.Token.ID(), open)
	w.is(err, remint.ErrForbidden, "dropping one's own networks")
	_, err = w.bearer(child).Issue(ctx, remint.Spec{})
	w.is(err, remint.ErrForbidden, "issuing what only the parent's networks bound")
}

func TestAnIPv4AddressInIPv6WithAZoneIsInNoNetwork(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	g := w.issue(remint.Spec{Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	mapped := netip.MustParseAddr("::ffff:192.0.2.7")
	if _, err := w.issuer.Verify(t.Context(), g.Secret.Reveal(), mapped); err != nil {
		t.Errorf("an IPv4 address in IPv6: %v", err)
	}
	_, err := w.issuer.Verify(t.Context(), g.Secret.Reveal(), mapped.WithZone("eth0"))
	w.is(err, remint.ErrNetwork, "with a zone")
}

func TestTheYear1970IsNoSpecialTime(t *testing.T) {
	for _, now := range []time.Time{time.Unix(0, 0), time.Unix(-10, 0)} {
		issuer, err := remint.New(new(store.Memory), &remint.Options{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		w := &lawWorld{T: t, issuer: issuer, op: issuer.Operator("op")}
		g := w.issue(remint.Spec{})
		if err := w.op.Revoke(t.Context(), g.Token.ID()); err != nil {
			t.Fatal(err)
		}
		w.fails(g, "what was revoked")
		if _, err := w.op.Issue(t.Context(), remint.Spec{ExpiresAt: time.Unix(0, 0)}); err == nil {
			t.Error("an expiry at the epoch was taken for never")
		}
	}
}

func TestWhatIsNeededTwiceIsNeededBoth(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	g := w.issue(remint.Spec{Capabilities: remint.Allow("b")})
	me := w.bearer(g).Needing("a").Needing("b")
	_, err := me.Get(t.Context(), g.Token.ID())
	w.is(err, remint.ErrMissingCapability, "with one of two")
	lend := func(context.Context, remint.Token) (remint.Capabilities, error) { return remint.Allow("a"), nil }
	if _, err := me.WithCheck(lend).Get(t.Context(), g.Token.ID()); err != nil {
		t.Errorf("with both: %v", err)
	}
}

func TestAnEventOfTheFutureDoesNotKeepOlderOnesFromBeingTrimmed(t *testing.T) {
	w := newLawWorld(t, remint.Options{Retention: time.Hour})
	ctx := t.Context()
	start := w.now
	g := w.issue(remint.Spec{})
	w.now = start.AddDate(10, 0, 0)
	if _, err := w.op.Update(ctx, g.Token.ID(), func(s *remint.Spec) error { s.Name = "n"; return nil }); err != nil {
		t.Fatal(err)
	}
	w.now = start
	for range 10 {
		w.issue(remint.Spec{})
	}
	w.now = start.Add(2 * time.Hour)
	if err := w.issuer.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	if page, _, err := w.issuer.Events(ctx, ""); err != nil || len(page) != 0 {
		t.Errorf("%d events are left (%v), want none", len(page), err)
	}
}

// loadHook runs something before a record is loaded.
type loadHook struct {
	remint.Store
	before func(remint.ID)
}

func (s *loadHook) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if s.before != nil {
		s.before(id)
	}
	return s.Store.Load(ctx, id)
}

func TestARotationThatLosesToAnotherIsAConflictAndNoEnd(t *testing.T) {
	hook := &loadHook{Store: new(store.Memory)}
	issuer, err := remint.New(hook, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, op := t.Context(), issuer.Operator("op")
	g, err := op.Issue(ctx, remint.Spec{})
	if err != nil {
		t.Fatal(err)
	}
	how := remint.Rotation{Successor: &remint.Successor{}}
	first, err := op.Rotate(ctx, g.Token.ID(), how)
	if err != nil {
		t.Fatal(err)
	}
	hook.before = func(id remint.ID) {
		if id == first.Token.ID() { // the old token was read, and its unused successor is next
			hook.before = nil
			if _, err := op.Rotate(ctx, g.Token.ID(), how); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := op.Rotate(ctx, g.Token.ID(), how); !errors.Is(err, remint.ErrConflict) {
		t.Errorf("%v, want a conflict", err)
	}
}

func TestWhatWasPlannedForAPredecessorOutlivesARotationOfItsUnusedSuccessor(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	old := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	firstUse := remint.RetireAfterFirstUse(time.Minute)
	next := w.must(w.op.Rotate(ctx, old.Token.ID(), remint.Rotation{Retire: firstUse, Successor: &remint.Successor{}}))
	again := w.must(w.op.Rotate(ctx, next.Token.ID(), remint.Rotation{}))
	w.works(old, "the old token, before")
	w.works(again, "the successor's second secret")
	w.works(old, "the old token, in its grace")
	w.now = w.now.Add(time.Minute)
	w.fails(old, "the old token, after it")
}
