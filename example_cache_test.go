package remint_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
)

// Several processes share an engine, and each keeps records of it in memory. What one of
// them revokes is refused by the others within the bound; what one of them issues works at
// once everywhere.
func Example_severalProcesses() {
	ctx := context.Background()
	var engine store.Memory // stands for one that is reached over a network
	const bound = 5 * time.Second

	here := store.NewCache(&engine, bound, nil)
	issuer, err := remint.New(here, nil)
	if err != nil {
		panic(err)
	}
	elsewhere, err := remint.New(store.NewCache(&engine, bound, nil), nil)
	if err != nil {
		panic(err)
	}

	grant, err := elsewhere.Operator("admin").Issue(ctx, remint.Spec{Name: "ci"})
	if err != nil {
		panic(err)
	}
	for range 1000 {
		if _, err := issuer.Verify(ctx, grant.Secret.Reveal(), netip.Addr{}); err != nil {
			panic(err)
		}
	}
	fmt.Println("verified 1000 times; the engine was read", here.Stats().Reads, "times")
	// Output: verified 1000 times; the engine was read 1 times
}
