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
	grant, err := newMaster(ctx, setup)
	if err != nil {
		return err
	}
	return printMaster(stdout, grant)
}

// resetMaster leaves one master, with a new secret, and prints it. Every other secret that
// is as good as the master's stops at once, with all sessions: the old one, and a master that
// this one succeeded and that had time left. If no master lives, there is a new one.
func resetMaster(ctx context.Context, issuer *remint.Issuer, stdout io.Writer) error {
	operator := issuer.Operator("reset-master")
	masters, err := findMasters(ctx, operator)
	if err != nil {
		return err
	}
	var grant remint.Grant
	if len(masters) == 0 {
		grant, err = newMaster(ctx, operator)
	} else {
		last := len(masters) - 1
		grant, err = operator.Rotate(ctx, masters[last], remint.Rotation{})
		for _, other := range masters[:last] {
			err = errors.Join(err, operator.Revoke(ctx, other))
		}
	}
	if err != nil {
		return err
	}
	return printMaster(stdout, grant)
}

// findMasters returns the live tokens that are masters by their prefix, place and power: the
// latest is the last.
func findMasters(ctx context.Context, operator remint.Actor) (ids []remint.ID, err error) {
	for tok, err := range operator.List(ctx, remint.Query{Owner: owner}) {
		if err != nil {
			return nil, err
		}
		if tok.Prefix() == masterPrefix && tok.Allows("*") {
			ids = append(ids, tok.ID())
		}
	}
	return ids, nil
}

func newMaster(ctx context.Context, operator remint.Actor) (remint.Grant, error) {
	return operator.Issue(ctx, remint.Spec{
		Name:         masterName,
		Owner:        owner,
		Capabilities: remint.Allow("*"),
		Prefix:       masterPrefix,
	})
}

// printMaster is the one place that prints a secret.
func printMaster(stdout io.Writer, grant remint.Grant) error {
	if _, err := fmt.Fprintf(stdout, "token: %s\n", grant.Secret.Reveal()); err != nil {
		return fmt.Errorf("the master token was issued but could not be printed: start again with -reset-master: %w", err)
	}
	return nil
}
