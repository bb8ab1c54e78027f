package main

import (
	"fmt"

	"github.com/remint-go/remint"
)

// A peer checks credentials of its own kind: given one's text, it says whether it is valid now,
// and whose it is.
type peer struct {
	name  string
	texts []string // the last one is there to be revoked
	owner func(i int) string
	check func(text string) (owner string, err error)
	// revoke makes check refuse a text. Nil: it cannot.
	revoke func(text string) error
	// anonymous: check does not say whose it is.
	anonymous bool
}

// A maker makes a peer with n credentials.
type maker func(r *run, n int) (*peer, error)

var peers = []struct {
	make maker
	n    int // credentials; 0: a thousand
}{
	{fositeHMAC, 0}, {fositeIntrospection, 0}, {macaroons, 0}, {cookies, 0}, {scsSessions, 0},
	{jwtHS256, 0}, {jwtEdDSA, 0}, {pasetoLocal, 0}, {pasetoPublic, 0}, {argon2Keys, 3}, {bcryptKeys, 3},
}

// peersPart verifies with remint and with its peers.
func peersPart(r *run) error {
	const mine = "remint, memory"
	const n = 1000
	t, err := issueTokens(r.ctx, n, remint.Options{})
	if err != nil {
		return err
	}
	remints := check(r.ctx, t.issuer)
	yard := t.yardstick(1)
	byHand := func(text string) (string, error) { return yard.verify(text, t.prefix) }
	tab := &table{
		name: "peers", title: "Verify one of 1,000 credentials, beside peers",
		columns: []string{"sees a revocation", "says whose"}, against: []string{yardR, mine},
		notes: []string{"Of what argon2id and bcrypt check, there are 2."},
		subjects: []subject{
			{name: yardR, run: t.walk(byHand), cells: []string{"yes", "yes"}},
			{name: mine, run: t.walk(remints), cells: []string{"yes", "yes"}},
		},
	}
	mineToo := &peer{
		name: mine, texts: t.texts, owner: func(i int) string { return t.owners[t.whose[i]] }, check: remints,
		revoke: func(text string) error { return t.issuer.Operator("bench").RevokeSecret(r.ctx, text) },
	}
	if err := mineToo.prove(); err != nil {
		return err
	}
	yard.remove(t.texts[n-1], t.prefix)
	if _, err := byHand(t.texts[n-1]); err == nil {
		return fmt.Errorf("%s: a removed token is accepted", yardR)
	}
	t.texts = t.texts[:n-1]
	if err := t.prove(byHand); err != nil {
		return err
	}
	if err := t.warm(remints); err != nil {
		return err
	}
	for _, x := range peers {
		if x.n == 0 {
			x.n = n
		}
		p, err := x.make(r, x.n)
		if err != nil {
			return err
		}
		if err := p.prove(); err != nil {
			return err
		}
		tab.subjects = append(tab.subjects, p.subject())
	}
	return r.measure(tab)
}

// prove makes sure that the peer does what it is here for.
func (p *peer) prove() error {
	last := len(p.texts) - 1
	owner := p.owner
	if p.anonymous {
		owner = func(int) string { return "" }
	}
	if err := proveCheck(p.texts[:min(100, last)], owner, p.check); err != nil {
		return fmt.Errorf("%s: %w", p.name, err)
	}
	if _, err := p.check(p.texts[last]); err != nil {
		return fmt.Errorf("%s: a valid credential is refused: %w", p.name, err)
	}
	if p.revoke == nil {
		return nil
	}
	if err := p.revoke(p.texts[last]); err != nil {
		return fmt.Errorf("%s: revoke: %w", p.name, err)
	}
	if _, err := p.check(p.texts[last]); err == nil {
		return fmt.Errorf("%s: a revoked credential is accepted", p.name)
	}
	return nil
}

func (p *peer) subject() subject {
	texts := append([]string(nil), p.texts[:len(p.texts)-1]...)
	shuffle(texts)
	at := 0
	return subject{
		name: p.name, cells: []string{yes(p.revoke != nil), yes(!p.anonymous)},
		run: func(n int) error {
			for range n {
				if _, err := p.check(texts[at]); err != nil {
					return err
				}
				if at++; at == len(texts) {
					at = 0
				}
			}
			return nil
		},
	}
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// ownerOf is whose a peer's i-th credential is.
func ownerOf(i int) string { return fmt.Sprintf("organization-%02d", i%100) }
