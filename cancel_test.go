package remint_test

import (
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// A successor that has expired could be made to live again, as a token that nobody asked for.
func TestACancelledRotationLeavesNoSuccessorThatCouldBeRevived(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	id := g.Token.ID()
	until := b.in(time.Hour)
	next := b.rotate(id, remint.Rotation{
		Retire:    remint.RetireAfter(24 * time.Hour),
		Successor: &remint.Successor{ExpiresAt: &until},
	})
	b.wait(2 * time.Hour)
	tok, err := b.op.CancelRotation(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if s := tok.State(); !s.Successor.IsZero() || !s.Retiring.Until.IsZero() || !s.Current.Until.IsZero() {
		t.Errorf("it is still to retire: %+v", s)
	}
	if s := b.get(next.Token.ID()).State(); s.RevokedAt.IsZero() {
		t.Errorf("its successor is not revoked: %+v", s)
	}
	if _, err := b.op.Rotate(t.Context(), next.Token.ID(), remint.Rotation{Successor: &remint.Successor{ExpiresAt: new(time.Time)}}); err == nil {
		t.Error("the successor could be made to live again")
	}
	b.accepted(g)
}
