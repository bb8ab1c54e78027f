package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// tokens are live tokens in a store in memory, in random order.
type tokens struct {
	store  *store.Memory
	issuer *remint.Issuer
	prefix int // bytes of it
	texts  []string
	whose  []uint32 // indexes of owners
	owners []string
	ids    []remint.ID
}

// manyOwners are so few that their names stay in a cache.
func manyOwners() []string {
	owners := make([]string, 100)
	for i := range owners {
		owners[i] = fmt.Sprintf("organization-%02d", i)
	}
	return owners
}

const prefix = "pk_"

func newIssuer(s remint.Store, opts remint.Options) (*remint.Issuer, error) {
	if opts.Prefixes == nil {
		opts.Prefixes = []string{prefix}
	}
	return remint.New(s, &opts)
}

func spec(i int, owner string, expires time.Time) remint.Spec {
	return remint.Spec{Name: fmt.Sprint("token ", i), Owner: owner, Capabilities: remint.Allow("reports", "dns:read"), ExpiresAt: expires}
}

// issueTokens issues n tokens that live for a day.
func issueTokens(ctx context.Context, n int, opts remint.Options) (*tokens, error) {
	t := &tokens{
		store: new(store.Memory), prefix: len(prefix), owners: manyOwners(),
		texts: make([]string, n), whose: make([]uint32, n), ids: make([]remint.ID, n),
	}
	var err error
	if t.issuer, err = newIssuer(t.store, opts); err != nil {
		return nil, err
	}
	op, expires := t.issuer.Operator("bench"), time.Now().Add(day)
	for i, at := range rand.Perm(n) {
		owner := i % len(t.owners)
		g, err := op.Issue(ctx, spec(i, t.owners[owner], expires))
		if err != nil {
			return nil, err
		}
		t.texts[at], t.whose[at], t.ids[at] = g.Secret.Reveal(), uint32(owner), g.Token.ID()
	}
	t.texts = atHand(t.texts)
	return t, nil
}

// check verifies with an issuer over a store with these tokens.
func check(ctx context.Context, issuer *remint.Issuer) func(string) (string, error) {
	return func(text string) (string, error) {
		tok, err := issuer.Verify(ctx, text, netip.Addr{})
		return tok.Owner(), err
	}
}

// over makes an issuer over another store, which has the same tokens by now.
func (t *tokens) over(ctx context.Context, s remint.Store) (func(string) (string, error), error) {
	issuer, err := newIssuer(s, remint.Options{})
	return check(ctx, issuer), err
}

// walk runs a check over the tokens again and again, from where it ended the last time.
func (t *tokens) walk(check func(string) (string, error)) func(n int) error {
	at := 0
	return func(n int) error {
		for range n {
			if owner, err := check(t.texts[at]); err != nil || owner == "" {
				return errors.Join(errors.New("a valid token was refused"), err)
			}
			if at++; at == len(t.texts) {
				at = 0
			}
		}
		return nil
	}
}

// prove makes sure that a check is one: it accepts tokens and says whose they are, and refuses
// what was changed.
func (t *tokens) prove(check func(string) (string, error)) error {
	return proveCheck(t.texts[:min(100, len(t.texts))], func(i int) string { return t.owners[t.whose[i]] }, check)
}

func proveCheck(texts []string, owner func(i int) string, check func(string) (string, error)) error {
	for i, text := range texts {
		got, err := check(text)
		if err != nil {
			return fmt.Errorf("a valid token is refused: %w", err)
		}
		if want := owner(i); got != want {
			return fmt.Errorf("a token of %q is said to be one of %q", want, got)
		}
		if i > 3 {
			continue
		}
		for _, changed := range []string{tamper(text, len(text)/2), tamper(text, len(text)*3/4), text[:len(text)-8], ""} {
			if _, err := check(changed); err == nil {
				return fmt.Errorf("a changed token is accepted: %q instead of %q", changed, text)
			}
		}
	}
	return nil
}

// tamper changes one character to another that may stand there.
func tamper(text string, at int) string {
	b := []byte(text)
	for b[at] == '.' || b[at] == '$' || b[at] == '_' { // which separate
		at++
	}
	if b[at]++; b[at] == '9'+1 || b[at] == 'Z'+1 || b[at] == 'z'+1 || b[at] == '-'+1 {
		b[at] = 'A'
		if text[at] == 'Z' {
			b[at] = 'B'
		}
	}
	return string(b)
}

func (t *tokens) yardstick(shards int) *yardstick {
	y := newYardstick(shards, t.owners)
	for _, i := range rand.Perm(len(t.texts)) { // see atHand
		y.add(t.texts[i], t.prefix, [16]byte{}, t.whose[i])
	}
	return y
}

func (t *tokens) flatTable() *flatTable {
	f := newFlatTable(len(t.texts), t.owners)
	for i, text := range t.texts {
		f.add(text, t.prefix, t.whose[i])
	}
	return f
}

// roomForAll is a cache's size in which everything fits.
const roomForAll = 1 << 40

// bolt returns a store in a file, which keeps in memory whatever was read.
func (r *run) bolt(name string) (*storebolt.Store, func() error, error) {
	s, err := storebolt.Open(filepath.Join(r.dir, name), &storebolt.Options{CacheBytes: roomForAll})
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// copyRecords puts all records of one store into another that has none, with an event for each.
func copyRecords(ctx context.Context, to remint.Store, from remint.Store) error {
	const size = 32 // records in a batch, and as many events
	batches := make(chan remint.Batch, 64)
	var failed error
	var once sync.Once
	fail := func(err error) { once.Do(func() { failed = err }) }
	var writers sync.WaitGroup
	for range 16 * runtime.GOMAXPROCS(0) {
		writers.Go(func() {
			for b := range batches {
				if err := to.Commit(ctx, b); err != nil {
					fail(err)
				}
			}
		})
	}
	var after remint.ID
	for {
		page, err := from.Scan(ctx, after, size)
		if err != nil {
			fail(err)
		}
		if len(page) == 0 || err != nil {
			break
		}
		var b remint.Batch
		for _, record := range page {
			after = record.ID()
			b.Put = append(b.Put, remint.Put{Record: record})
			b.Log = append(b.Log, remint.Event{
				Kind: remint.EventIssue, Token: record.ID(), Revision: record.Revision(), Owner: record.Owner(),
				At: time.Now().UTC(), Actor: "bench", Generation: 1,
			})
		}
		batches <- b
	}
	close(batches)
	writers.Wait()
	return failed
}

// trimEvents removes all events of a store, as Sweep does when they are old.
func trimEvents(ctx context.Context, s remint.Store) error {
	var at remint.Cursor
	for {
		events, next, err := s.Events(ctx, at, 4096)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			break
		}
		at = next
	}
	if at == "" {
		return nil
	}
	return s.Commit(ctx, remint.Batch{Trim: at})
}
