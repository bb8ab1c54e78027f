package remint_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// Ways into retries that a review found open. Each is one test, so that none opens again.

// It fails without the memory that a request was a repeat when it was judged first
// (internal/mutants).
func TestARepeatThatLosesItsRaceIsNoNewRequest(t *testing.T) {
	ctx := t.Context()
	for name, retrying := range map[string]func(*lawWorld, remint.Grant) remint.Actor{
		"without a key": func(w *lawWorld, g remint.Grant) remint.Actor { return w.bearer(g).Repeatable(time.Minute) },
		"with a key":    func(w *lawWorld, g remint.Grant) remint.Actor { return w.retrying(g, longKey) },
	} {
		w := newLawWorld(t, remint.Options{})
		caller, target := w.issue(remint.Spec{Capabilities: remint.Allow("*")}), w.issue(remint.Spec{})
		me := retrying(w, caller)
		w.must(me.Rotate(ctx, target.Token.ID(), remint.Rotation{}))
		var winner remint.Grant
		w.store.before = func() { winner = w.must(w.op.Rotate(ctx, target.Token.ID(), remint.Rotation{})) }
		_, err := me.Rotate(ctx, target.Token.ID(), remint.Rotation{})
		w.is(err, remint.ErrConflict, name)
		w.works(winner, name+": the winner's secret")
	}
}

func TestASessionThatAnythingElseEndedRepeatsNothing(t *testing.T) {
	ctx := t.Context()
	for name, c := range map[string]struct {
		how remint.Rotation
		end func(w *lawWorld, parent, session remint.Grant)
	}{
		"its own secret was replaced": {remint.Rotation{KeepSessions: true}, func(w *lawWorld, _, session remint.Grant) {
			w.must(w.op.Rotate(ctx, session.Token.ID(), remint.Rotation{}))
		}},
		"its own secret is superseded, and stops": {remint.Rotation{Retire: remint.RetireAfter(10 * time.Second)}, func(w *lawWorld, _, session remint.Grant) {
			w.works(w.must(w.op.Rotate(ctx, session.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)})), "its new secret")
			w.now = w.now.Add(10 * time.Second)
		}},
		"its parent's attributes changed": {remint.Rotation{Retire: remint.RetireAfter(time.Hour)}, func(w *lawWorld, parent, _ remint.Grant) {
			for _, role := range []string{"x", ""} {
				if _, err := w.op.Update(ctx, parent.Token.ID(), func(s *remint.Spec) error {
					s.Attributes = map[string]string{"role": role}
					if role == "" {
						s.Attributes = nil
					}
					return nil
				}); err != nil {
					w.Fatal(err)
				}
			}
		}},
	} {
		w := newLawWorld(t, remint.Options{})
		parent := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
		session := w.must(w.op.StartSession(ctx, parent.Token.ID(), remint.Session{Manages: true}))
		me := w.retrying(session, longKey)
		w.must(me.Rotate(ctx, parent.Token.ID(), c.how))
		c.end(w, parent, session)
		w.fails(session, name)
		_, err := me.Rotate(ctx, parent.Token.ID(), c.how)
		w.is(err, remint.ErrDenied, name)
	}
}

func TestAKeyIsDoneOnceWhateverBecameOfItsGrant(t *testing.T) {
	ctx := t.Context()
	w := newLawWorld(t, remint.Options{})
	g := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	how := remint.Rotation{Retire: remint.RetireAfter(time.Hour)}
	w.must(w.retrying(g, "the first key").Rotate(ctx, g.Token.ID(), how))
	second := w.must(w.retrying(g, "the second key").Rotate(ctx, g.Token.ID(), how))
	w.must(w.retrying(g, "the third key").Issue(ctx, remint.Spec{})) // another change of the record
	_, err := w.retrying(g, "the first key").Rotate(ctx, g.Token.ID(), how)
	w.is(err, remint.ErrConflict, "the first key again")
	w.works(second, "the second secret")

	// Cancelled, and delivered twice.
	g = w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	w.must(w.retrying(g, longKey).Rotate(ctx, g.Token.ID(), how))
	if _, err := w.op.CancelRotation(ctx, g.Token.ID()); err != nil {
		t.Fatal(err)
	}
	if _, err := w.op.Update(ctx, g.Token.ID(), func(s *remint.Spec) error { s.Name = "n"; return nil }); err != nil {
		t.Fatal(err)
	}
	_, err = w.retrying(g, longKey).Rotate(ctx, g.Token.ID(), how)
	w.is(err, remint.ErrConflict, "what was cancelled")
	w.now = w.now.Add(2 * time.Hour)
	w.works(g, "the old secret")
}

func TestASessionOfWhatIsBeingRetiredIsNotServedARepeatWithoutAKey(t *testing.T) {
	ctx := t.Context()
	for name, how := range map[string]remint.Rotation{
		"later": {Retire: remint.RetireAfter(time.Hour)}, "after first use": {Retire: remint.RetireAfterFirstUse(time.Hour)},
		"to a successor": {Retire: remint.RetireAfter(time.Hour), Successor: &remint.Successor{}},
	} {
		w := newLawWorld(t, remint.Options{})
		parent := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
		session := w.must(w.op.StartSession(ctx, parent.Token.ID(), remint.Session{Manages: true}))
		me := w.bearer(session).Repeatable(time.Minute)
		first := w.must(me.Rotate(ctx, parent.Token.ID(), how))
		if again := w.must(me.Rotate(ctx, parent.Token.ID(), how)); again.Secret.Equal(first.Secret) {
			t.Errorf("%s: it is handed the same secret", name)
		}
	}
}

func TestNobodyRepeatsAnythingAfterItsExpiry(t *testing.T) {
	ctx := t.Context()
	w := newLawWorld(t, remint.Options{})
	g := w.issue(remint.Spec{Capabilities: remint.Allow("*"), ExpiresAt: w.now.Add(time.Minute)})
	later := w.now.Add(time.Hour)
	how := remint.Rotation{Successor: &remint.Successor{ExpiresAt: &later}}
	me := w.retrying(g, longKey)
	first := w.must(me.Rotate(ctx, g.Token.ID(), how))
	if again := w.must(me.Rotate(ctx, g.Token.ID(), how)); !again.Secret.Equal(first.Secret) {
		t.Error("another secret")
	}
	w.now = w.now.Add(time.Minute)
	_, err := me.Rotate(ctx, g.Token.ID(), how)
	w.is(err, remint.ErrDenied, "after its expiry")
}

func TestAPepperThatAReplicaLacksIsNoDenialOfARetry(t *testing.T) {
	ctx := t.Context()
	old, fresh := bytes.Repeat([]byte("o"), 32), bytes.Repeat([]byte("n"), 32)
	w := newLawWorld(t, remint.Options{Peppers: [][]byte{fresh, old}})
	replica, err := remint.New(w.store, &remint.Options{Peppers: [][]byte{old}, Now: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	g, err := replica.Operator("op").Issue(ctx, remint.Spec{Capabilities: remint.Allow("*")})
	if err != nil {
		t.Fatal(err)
	}
	first := w.must(w.retrying(g, longKey).Rotate(ctx, g.Token.ID(), remint.Rotation{}))
	_, err = replica.Bearer(g.Secret.Reveal(), lawAddr).WithRetryKey(longKey, 0).Rotate(ctx, g.Token.ID(), remint.Rotation{})
	w.is(err, remint.ErrUnavailable, "the retry where the new pepper is not known")
	if again := w.must(w.retrying(g, longKey).Rotate(ctx, g.Token.ID(), remint.Rotation{})); !again.Secret.Equal(first.Secret) {
		t.Error("another secret")
	}
}

func TestWhatWasAnsweredLastIsFoundAgain(t *testing.T) {
	ctx := t.Context()
	w := newLawWorld(t, remint.Options{})
	me := w.bearer(w.issue(remint.Spec{Capabilities: remint.Allow("*")})).Repeatable(time.Minute)
	w.works(w.must(me.Issue(ctx, remint.Spec{})), "the first")
	second := w.must(me.Issue(ctx, remint.Spec{}))
	if again := w.must(me.Issue(ctx, remint.Spec{})); !again.Secret.Equal(second.Secret) {
		t.Error("the second grant's repeat makes a third")
	}
}

func TestAUsedGrantIsNotKept(t *testing.T) {
	ctx := t.Context()
	w := newLawWorld(t, remint.Options{})
	g := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	next := w.must(w.retrying(g, "1").Rotate(ctx, g.Token.ID(), remint.Rotation{Successor: &remint.Successor{}}))
	size := func() int {
		t.Helper()
		r, err := w.store.Load(ctx, g.Token.ID())
		if err != nil {
			t.Fatal(err)
		}
		b, _ := r.AppendBinary(nil)
		return len(bytes.TrimRight(bytes.ReplaceAll(b, make([]byte, 59), nil), "\x00"))
	}
	before := size()
	w.works(next, "the successor")
	if after := size(); after >= before {
		t.Errorf("%d bytes that are not zero, and %d before the first use", after, before)
	}
}

// It fails without the mark of a request as its bearer's own repeat (internal/mutants).
func TestARetryOfWhatWasWidenedSinceIsDeniedAndNoReuse(t *testing.T) {
	ctx := t.Context()
	w := newLawWorld(t, remint.Options{RevokeOnReuse: true})
	g := w.issue(remint.Spec{Capabilities: remint.Allow("a")})
	me := w.retrying(g, longKey)
	how := remint.Rotation{Successor: &remint.Successor{}}
	next := w.must(me.Rotate(ctx, g.Token.ID(), how))
	if _, err := w.op.Update(ctx, next.Token.ID(), func(s *remint.Spec) error { s.Capabilities = remint.Allow("a", "b"); return nil }); err != nil {
		t.Fatal(err)
	}
	_, err := me.Rotate(ctx, g.Token.ID(), how)
	w.is(err, remint.ErrDenied, "the retry")
	for _, e := range w.seen {
		if e.Kind == remint.EventReuse {
			t.Errorf("one's own retry is a reuse: %+v", e)
		}
	}
	w.works(next, "the new secret")
}
