package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/remint-go/remint"
)

// issueMaster gives a database without any token its master, and prints it. In any other
// it does nothing, even if the master is gone: who can start the service need not be who
// may hold its master.
//
// A crash between the commit and the print loses the secret, and no other order would keep
// it: -reset-master is the way back.
func issueMaster(ctx context.Context, issuer *remint.Issuer, stdout io.Writer) error {
	setup := issuer.Operator("setup")
	first, stop := iter.Pull2(setup.List(ctx, remint.Query{AllOwners: true, Ended: true}))
	defer stop()
	if _, err, found := first(); found {
		return err
	}
	grant, err := setup.Issue(ctx, remint.Spec{
		Name:         masterName,
		Owner:        owner,
		Capabilities: remint.Allow("*"),
		Prefix:       masterPrefix,
	})
	if err != nil {
		return err
	}
	return printMaster(stdout, grant)
}

// resetMaster gives the master a new secret, and prints it. The old one and all of its
// sessions stop at once.
func resetMaster(ctx context.Context, issuer *remint.Issuer, stdout io.Writer) error {
	operator := issuer.Operator("reset-master")
	master, err := findMaster(ctx, operator)
	if err != nil {
		return err
	}
	grant, err := operator.Rotate(ctx, master, remint.Rotation{})
	if err != nil {
		return err
	}
	return printMaster(stdout, grant)
}

// findMaster returns the first live token that is a master by its name, prefix and place, or
// what that was rotated to, if it lives.
func findMaster(ctx context.Context, operator remint.Actor) (id remint.ID, err error) {
	var successor remint.ID
	for tok, err := range operator.List(ctx, remint.Query{Owner: owner}) {
		if err != nil {
			return remint.ID{}, err
		}
		spec := tok.Spec()
		if spec.Name != masterName || spec.Prefix != masterPrefix {
			continue
		}
		if id.IsZero() || tok.ID() == successor {
			id, successor = tok.ID(), tok.State().Successor
		}
	}
	if id.IsZero() {
		return id, errors.New("-reset-master: the database has no live master token")
	}
	return id, nil
}

// printMaster is the one place that prints a secret.
func printMaster(stdout io.Writer, grant remint.Grant) error {
	if _, err := fmt.Fprintf(stdout, "token: %s\n", grant.Secret.Reveal()); err != nil {
		return fmt.Errorf("the master token was issued but could not be printed: start again with -reset-master: %w", err)
	}
	return nil
}
