package remint_test

import (
	"slices"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

func TestAListOfExpiredTokensHasNothingElseThatEnded(t *testing.T) {
	w := newLawWorld(t, remint.Options{Lapse: 2 * time.Minute})
	ctx := t.Context()
	root := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	under := func(lifetime time.Duration) remint.ID {
		spec := remint.Spec{Parent: root.Token.ID()}
		if lifetime != 0 {
			spec.ExpiresAt = w.now.Add(lifetime)
		}
		return w.issue(spec).Token.ID()
	}
	ofThePast := under(time.Minute) // and under an epoch that is over
	if err := w.op.EndSessions(ctx, root.Token.ID()); err != nil {
		t.Fatal(err)
	}
	live, expired, revoked, replaced, both := under(0), under(time.Minute), under(time.Minute), under(0), under(time.Minute)
	if err := w.op.Revoke(ctx, revoked); err != nil {
		t.Fatal(err)
	}
	after := w.must(w.op.Rotate(ctx, replaced, remint.Rotation{Successor: &remint.Successor{}})).Token.ID()
	never := time.Time{}
	successor := w.must(w.op.Rotate(ctx, both, remint.Rotation{Successor: &remint.Successor{ExpiresAt: &never}, Retire: remint.RetireAfter(time.Hour)})).Token.ID()
	w.now = w.now.Add(time.Minute)

	list := func(q remint.Query) (ids []remint.ID) {
		q.Parent = root.Token.ID()
		for tok, err := range w.op.List(ctx, q) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, tok.ID())
		}
		return ids
	}
	same := func(got []remint.ID, want ...remint.ID) {
		t.Helper()
		slices.SortFunc(want, func(a, b remint.ID) int { return slices.Compare(a[:], b[:]) })
		if !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	same(list(remint.Query{}), live, after, successor)
	same(list(remint.Query{Expired: true}), live, expired, after, successor)
	same(list(remint.Query{Expired: true, Ended: true}), ofThePast, live, expired, revoked, replaced, both, after, successor)
}

func TestOfALiveTokenTheWholeLineIsReturned(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	root := w.issue(remint.Spec{Owner: "o", Capabilities: remint.Allow("*")})
	middle := w.issue(remint.Spec{Owner: "o", Parent: root.Token.ID(), Capabilities: remint.Allow("*")})
	session := w.must(w.op.StartSession(ctx, middle.Token.ID(), remint.Session{}))
	line, err := w.op.Live(ctx, session.Token.ID())
	if err != nil || len(line) != 3 || line[0].ID() != session.Token.ID() || line[1].ID() != middle.Token.ID() || line[2].ID() != root.Token.ID() {
		t.Fatalf("%v, %v", line, err)
	}
	if line, err := w.bearer(session).Live(ctx, root.Token.ID()); err != nil || len(line) != 1 {
		t.Errorf("a root: %v, %v", line, err)
	}
	_, err = w.issuer.Member("another", "m", remint.Allow("*")).Live(ctx, root.Token.ID())
	w.is(err, remint.ErrNotFound, "another owner's")

	w.must(w.op.Rotate(ctx, middle.Token.ID(), remint.Rotation{}))
	_, err = w.op.Live(ctx, session.Token.ID())
	w.is(err, remint.ErrEnded, "a session whose secret has stopped")
	if err := w.op.EndSessions(ctx, root.Token.ID()); err != nil {
		t.Fatal(err)
	}
	_, err = w.op.Live(ctx, middle.Token.ID())
	w.is(err, remint.ErrEnded, "under an epoch that is over")
	if err := w.op.Revoke(ctx, root.Token.ID()); err != nil {
		t.Fatal(err)
	}
	_, err = w.op.Live(ctx, root.Token.ID())
	w.is(err, remint.ErrEnded, "revoked")
}
