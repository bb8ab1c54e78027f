package soak

import (
	"context"
	"fmt"
	"time"

	"github.com/remint-go/remint"
)

// After the clients have stopped: what the store holds is what they believe in, and when all that ends has ended,
// sweeping leaves the rest and nothing else.

// audit compares the store with the clients' worlds.
func (s *Soak) audit(clients []*client) error {
	ctx := context.Background()
	if wrong, _ := s.Wrong(); wrong > 0 {
		return nil // a client that began anew has forgotten what it had
	}
	// A day later, nothing is left of what ever ends.
	later, err := remint.New(s.service.db, &remint.Options{
		Prefixes: []string{masterPrefix, axiomPrefix, katapultPrefix, keyPrefix, nativePrefix},
		Lapse:    lapse, RetryWindow: window, Retention: retention,
		Now: func() time.Time { return time.Now().Add(24 * time.Hour) },
	})
	if err != nil {
		return err
	}
	for before := int64(-1); ; {
		if err := later.Sweep(ctx); err != nil {
			return err
		}
		x, err := s.sample(ctx)
		if err != nil {
			return err
		}
		if x.records == before {
			break
		}
		before = x.records
	}
	left := map[string]map[string]bool{}
	for after := (remint.ID{}); ; {
		page, err := s.service.db.Scan(ctx, after, 512)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			if left[r.Owner()] == nil {
				left[r.Owner()] = map[string]bool{}
			}
			left[r.Owner()][r.ID().String()] = true
		}
		after = page[len(page)-1].ID()
	}
	known := map[string]bool{}
	for _, c := range clients {
		known[c.owner] = true
		why := "it believes in nothing"
		for _, w := range c.belief {
			if why = w.audit(left[c.owner]); why == "" {
				break
			}
		}
		if why != "" {
			return fmt.Errorf("%s, seed %d: in the end %s; it believes in\n%s", c.owner, s.Seed, why, c.belief)
		}
	}
	for owner := range left {
		if !known[owner] {
			return fmt.Errorf("there are tokens of %q, who is nobody", owner)
		}
	}
	return nil
}

// audit compares the IDs of an owner's tokens that will never end with a world.
func (w *world) audit(left map[string]bool) string {
	at := time.Now().Add(24 * time.Hour).UnixMicro()
	r := &run{w: w, from: at, to: at}
	unnamed, found := 0, 0
	for _, t := range w.tokens {
		stays := !r.removable(t)
		switch {
		case t.id == "" && stays:
			unnamed++
		case t.id == "":
		case stays != left[t.id]:
			return fmt.Sprintf("the store has %s: %v, and it should be %v", t.id, left[t.id], stays)
		case stays:
			found++
		}
	}
	if len(left) != found+unnamed {
		return fmt.Sprintf("the store has %d tokens, and there should be %d", len(left), found+unnamed)
	}
	return ""
}
