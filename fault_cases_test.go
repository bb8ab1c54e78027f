package remint_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
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
		{"RevokeSecret of a child", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return none, b.op.RevokeSecret(ctx, b.child.Secret.Reveal())
		}, func(b bedOf, _ remint.Grant) { refused(b, b.child); b.accepted(b.root) }, true},
		{"RevokeSecret", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return none, b.bearer(b.root).RevokeSecret(ctx, b.session.Secret.Reveal())
		}, func(b bedOf, _ remint.Grant) { refused(b, b.session); b.accepted(b.root) }, true},
		{"Live", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			chain, err := b.bearer(b.root).Live(ctx, b.session.Token.ID())
			if err == nil && len(chain) != 2 {
				err = fmt.Errorf("Live has %d tokens", len(chain))
			}
			return none, err
		}, nil, false},
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
		{"Issue with a retry key", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.bearer(b.root).WithRetryKey(faultKey, time.Minute).Issue(ctx, remint.Spec{})
		}, accepted, true},
		{"StartSession with a retry key", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.bearer(b.root).WithRetryKey(faultKey, time.Minute).StartSession(ctx, b.root.Token.ID(), remint.Session{})
		}, accepted, true},
		{"Rotate oneself with a retry key", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.bearer(b.root).WithRetryKey(faultKey, time.Minute).Rotate(ctx, b.root.Token.ID(), remint.Rotation{})
		}, func(b bedOf, g remint.Grant) { b.accepted(g); refused(b, b.root) }, true},
		{"Issue by a repeatable bearer", func(ctx ctxOf, b bedOf) (remint.Grant, error) {
			return b.bearer(b.root).Repeatable(time.Minute).Issue(ctx, remint.Spec{})
		}, accepted, true},
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

// faultKey is long enough to be a secret.
const faultKey = "a-key-of-22-characters-or-more"

// No public operation is left out.
func TestEveryOperationOnTheStoreHasAFaultCase(t *testing.T) {
	own := map[string]string{ // they may succeed in part
		"Sweep":        "TestASweepThatFailsAnywhereLosesNothing",
		"AfterRestore": "TestARestoreThatFailsAnywhereIsFinishedByCallingItAgain",
	}
	ctx := reflect.TypeFor[context.Context]()
	for _, of := range []reflect.Type{reflect.TypeFor[remint.Actor](), reflect.TypeFor[*remint.Issuer]()} {
	methods:
		for m := range of.Methods() {
			if m.Type.NumIn() < 2 || m.Type.In(1) != ctx || own[m.Name] != "" {
				continue
			}
			for _, c := range faultCases() {
				if strings.Fields(c.name)[0] == m.Name {
					continue methods
				}
			}
			t.Errorf("%v.%s has none", of, m.Name)
		}
	}
}
