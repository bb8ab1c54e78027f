package soak

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// racers is how many requests compete.
const racers = 3

// race rotates a token with its own secret several times at once, so that the secret stops: one rotation wins, and
// the others change nothing.
func (c *client) race() {
	t := c.some(func(t *token) bool {
		return t.id != "" && t.slots[newest].text != "" && t.slots[newest].confirmed && t.limit == 0
	})
	if t == nil {
		return
	}
	text, id := t.slots[newest].text, t.id
	a := c.nativeRotateAs("self", text, id, rotation{}, false, "")
	a.kind = "native rotate, in a race"
	c.serial++
	a.serial = c.serial

	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	var all sync.WaitGroup
	var replies [racers]*reply
	var errs [racers]error
	from, begun := now(), time.Now()
	for k := range racers {
		r := a.request(c.service.url).WithContext(ctx)
		all.Go(func() { replies[k], errs[k] = c.send(r) })
	}
	all.Wait()
	to, took := now(), time.Since(begun)

	for k, s := range replies {
		got := describe(s, "", errs[k])
		c.note(from, a, fmt.Sprintf("racer %d: %s", k, got), false)
		if s == nil {
			c.wrong(a, from, got, []string{"there should be an answer"})
			return
		}
	}
	winner := slices.IndexFunc(replies[:], func(s *reply) bool { return s.status == http.StatusOK })
	for k, s := range replies {
		switch {
		case k == winner, winner < 0: // that all are refused is right only if one alone would be
			if c.judge(a, from, to, took, s, describe(s, "", nil)) == nil {
				return
			}
		case s.status != http.StatusUnauthorized && s.status != http.StatusConflict:
			c.wrong(a, from, describe(s, "", nil), []string{fmt.Sprintf("racer %d has won, so that this is 401 or 409", winner)})
			return
		}
	}
	// That a loser presented what has stopped was written down.
	c.belief.each(from, to, 0, func(r *run) {
		if t := r.w.byID(id); t != nil {
			t.changed()
		}
	})
}
