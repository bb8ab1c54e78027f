package remint_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/remint-go/remint"
)

// The three retirements.
func ExampleActor_Rotate() {
	ctx := context.Background()
	issuer := newIssuer()
	admin := issuer.Operator("alice")
	first, err := admin.Issue(ctx, remint.Spec{Name: "ci", Capabilities: remint.Allow("deploy")})
	if err != nil {
		log.Fatal(err)
	}
	id := first.Token.ID()
	works := func(g remint.Grant) bool {
		_, err := issuer.Verify(ctx, g.Secret.Reveal(), addr)
		return err == nil
	}

	// A leak: the old secret and every session stop now.
	second, err := admin.Rotate(ctx, id, remint.Rotation{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("at once:", works(first), works(second))

	// A planned change: both secrets work for a day.
	third, err := admin.Rotate(ctx, id, remint.Rotation{Retire: remint.RetireAfter(24 * time.Hour)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("overlap:", works(second), works(third))

	// One that can lock nobody out: the old secret works until the new one was
	// used, and five minutes more.
	fourth, err := admin.Rotate(ctx, id, remint.Rotation{Retire: remint.RetireAfterFirstUse(5 * time.Minute)})
	switch {
	case errors.Is(err, remint.ErrConflict):
		log.Fatal("somebody else is rotating it")
	case err != nil:
		log.Fatal(err)
	}
	fmt.Println("after first use:", works(third), works(fourth))
	// Output:
	// at once: false true
	// overlap: true true
	// after first use: true true
}

// Has the new secret arrived, and does anybody still use the old one?
func ExampleActor_FinishRotation() {
	ctx := context.Background()
	issuer := newIssuer()
	admin := issuer.Operator("alice")
	old, err := admin.Issue(ctx, remint.Spec{Name: "ci"})
	if err != nil {
		log.Fatal(err)
	}
	id := old.Token.ID()
	fresh, err := admin.Rotate(ctx, id, remint.Rotation{Retire: remint.RetireAfter(24 * time.Hour)})
	if err != nil {
		log.Fatal(err)
	}

	_, err = admin.FinishRotation(ctx, id)
	fmt.Println("before it was used:", errors.Is(err, remint.ErrConflict))

	if _, err := issuer.Verify(ctx, fresh.Secret.Reveal(), addr); err != nil {
		log.Fatal(err)
	}
	tok, err := admin.Get(ctx, id)
	if err != nil {
		log.Fatal(err)
	}
	s := tok.State()
	fmt.Println("the old one stops in", s.Retiring.Until.Sub(s.RotatedAt))
	// Uses are written down within two minutes: what is idle for longer is not needed any more.
	fmt.Println("idle now:", s.RetiringIdle(issuer.Now()), "in three hours:", s.RetiringIdle(s.RotatedAt.Add(3*time.Hour)))

	if _, err = admin.FinishRotation(ctx, id); err != nil {
		log.Fatal(err)
	}
	_, err = issuer.Verify(ctx, old.Secret.Reveal(), addr)
	fmt.Println("finished:", errors.Is(err, remint.ErrDenied))
	// Output:
	// before it was used: true
	// the old one stops in 24h0m0s
	// idle now: 0s in three hours: 2h58m0s
	// finished: true
}

// A rotation that nobody has used yet can be taken back.
func ExampleActor_CancelRotation() {
	ctx := context.Background()
	issuer := newIssuer()
	admin := issuer.Operator("alice")
	old, err := admin.Issue(ctx, remint.Spec{Name: "ci"})
	if err != nil {
		log.Fatal(err)
	}
	fresh, err := admin.Rotate(ctx, old.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := admin.CancelRotation(ctx, old.Token.ID())
	if err != nil {
		log.Fatal(err)
	}
	_, err = issuer.Verify(ctx, fresh.Secret.Reveal(), addr)
	fmt.Println(errors.Is(err, remint.ErrDenied), tok.State().Current.Until.IsZero())
	// Output: true true
}

// A successor has an ID and, if that is said, capabilities and an expiry of its own.
func ExampleSuccessor() {
	ctx := context.Background()
	admin := newIssuer().Operator("alice")
	old, err := admin.Issue(ctx, remint.Spec{Name: "ci", Capabilities: remint.Allow("deploy")})
	if err != nil {
		log.Fatal(err)
	}
	next := old.Token.Spec()
	next.Capabilities = remint.Allow("deploy:staging")
	grant, err := admin.Rotate(ctx, old.Token.ID(), remint.Rotation{
		Successor: &remint.Successor{Spec: &next},
		Retire:    remint.RetireAfter(time.Hour),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(grant.Token.State().Predecessor == old.Token.ID(), grant.Token.Capabilities())
	// Output: true deploy:staging
}

// Whoever holds a token can rotate it with its own authority, and nothing stronger.
func ExampleIssuer_Bearer() {
	ctx := context.Background()
	issuer := newIssuer()
	admin := issuer.Operator("alice")
	mine, err := admin.Issue(ctx, remint.Spec{Capabilities: remint.Allow("reports")})
	if err != nil {
		log.Fatal(err)
	}
	strong, err := admin.Issue(ctx, remint.Spec{Capabilities: remint.Allow("*")})
	if err != nil {
		log.Fatal(err)
	}

	me := issuer.Bearer(mine.Secret.Reveal(), addr)
	_, err = me.Rotate(ctx, strong.Token.ID(), remint.Rotation{})
	fmt.Println(errors.Is(err, remint.ErrForbidden))
	_, err = me.Rotate(ctx, mine.Token.ID(), remint.Rotation{})
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

// A client whose rotation was done, but which never heard the answer, asks again with the
// secret that the rotation has stopped: it gets the same answer, until the new secret is used.
func ExampleActor_WithRetryKey() {
	ctx := context.Background()
	issuer := newIssuer()
	grant, err := issuer.Operator("alice").Issue(ctx, remint.Spec{Name: "ci", Capabilities: remint.Allow("deploy")})
	if err != nil {
		log.Fatal(err)
	}
	id, presented := grant.Token.ID(), grant.Secret.Reveal()
	key := rand.Text() // the client's, one for each request: 26 characters, 130 bits

	me := issuer.Bearer(presented, addr).WithRetryKey(key, 0)
	lost, err := me.Rotate(ctx, id, remint.Rotation{})
	if err != nil {
		log.Fatal(err)
	}
	again, err := me.Rotate(ctx, id, remint.Rotation{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(again.Secret.Equal(lost.Secret))

	_, err = issuer.Verify(ctx, presented, addr)
	fmt.Println(errors.Is(err, remint.ErrDenied))
	_, err = issuer.Verify(ctx, again.Secret.Reveal(), addr)
	fmt.Println(err)
	_, err = me.Rotate(ctx, id, remint.Rotation{})
	fmt.Println(errors.Is(err, remint.ErrDenied)) // it has arrived
	// Output:
	// true
	// true
	// <nil>
	// true
}
