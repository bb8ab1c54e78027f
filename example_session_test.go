package remint_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/remint-go/remint"
)

// Sessions live within their master and end with it.
func ExampleActor_StartSession() {
	ctx := context.Background()
	issuer := newIssuer()
	admin := issuer.Operator("setup")
	master, err := admin.Issue(ctx, remint.Spec{Name: "master", Capabilities: remint.Allow("*")})
	if err != nil {
		log.Fatal(err)
	}

	// With the master's own authority; an Operator can do it, too.
	id := master.Token.ID()
	session, err := issuer.Bearer(master.Secret.Reveal(), addr).StartSession(ctx, id, remint.Session{Lifetime: time.Hour})
	if err != nil {
		log.Fatal(err)
	}
	tok, err := issuer.Verify(ctx, session.Secret.Reveal(), addr)
	fmt.Println(tok.Allows("reports:read"), tok.Parent() == id, tok.IsSession(), err)

	for tok, err := range admin.List(ctx, remint.Query{Parent: id}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("ends at", tok.ExpiresAt().Format(time.TimeOnly))
	}

	// A session uses what it has, and manages nothing.
	_, err = issuer.Bearer(session.Secret.Reveal(), addr).Issue(ctx, remint.Spec{})
	fmt.Println(errors.Is(err, remint.ErrForbidden))
	// Output:
	// true true true <nil>
	// ends at 13:00:00
	// true
}

// Ten sessions or a million: one write.
func ExampleActor_EndSessions() {
	ctx := context.Background()
	issuer := newIssuer()
	admin := issuer.Operator("setup")
	master, err := admin.Issue(ctx, remint.Spec{Name: "master", Capabilities: remint.Allow("*")})
	if err != nil {
		log.Fatal(err)
	}
	session, err := admin.StartSession(ctx, master.Token.ID(), remint.Session{})
	if err != nil {
		log.Fatal(err)
	}
	if err := admin.EndSessions(ctx, master.Token.ID()); err != nil {
		log.Fatal(err)
	}
	_, err = issuer.Verify(ctx, session.Secret.Reveal(), addr)
	fmt.Println(errors.Is(err, remint.ErrDenied))
	// Output: true
}
