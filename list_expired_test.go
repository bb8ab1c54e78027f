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
