package captoken_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/captoken"
	"github.com/remint-go/remint/store/storetest"
)

func TestVerifyLiveHonoursWhatEndedSince(t *testing.T) {
	ctx := t.Context()
	for what, x := range map[string]struct {
		end   func(b *bed, parent, id remint.ID) error
		words string
	}{
		"revoked":               {func(b *bed, _, id remint.ID) error { return b.op.Revoke(ctx, id) }, "ended"},
		"its parent is revoked": {func(b *bed, parent, _ remint.ID) error { return b.op.Revoke(ctx, parent) }, "ended"},
		"its parent's descendants are ended": {
			func(b *bed, parent, _ remint.ID) error { return b.op.EndSessions(ctx, parent) }, "ended",
		},
		"its own descendants are ended": {func(b *bed, _, id remint.ID) error { return b.op.EndSessions(ctx, id) }, "was ended"},
		"a capability is taken from it": {func(b *bed, _, id remint.ID) error {
			_, err := b.op.Update(ctx, id, func(s *remint.Spec) error { s.Capabilities = remint.Allow("x"); return nil })
			return err
		}, "was ended"},
		"it is bound to a network": {func(b *bed, _, id remint.ID) error {
			_, err := b.op.Update(ctx, id, func(s *remint.Spec) error { s.Networks = prefixes("10.0.0.0/8"); return nil })
			return err
		}, "was ended"},
		"its expiry comes sooner": {func(b *bed, _, id remint.ID) error {
			_, err := b.op.Update(ctx, id, func(s *remint.Spec) error { s.ExpiresAt = start.Add(time.Second); return nil })
			b.now = start.Add(time.Second)
			return err
		}, "ended"},
		"it is replaced": {func(b *bed, _, id remint.ID) error {
			_, err := b.op.Rotate(ctx, id, remint.Rotation{Successor: &remint.Successor{}})
			return err
		}, "ended"},
	} {
		t.Run(what, func(t *testing.T) {
			b := newBed(t)
			parent := b.issue(remint.Spec{Capabilities: remint.Allow("x", "y")})
			id := b.issue(remint.Spec{Capabilities: remint.Allow("x", "y"), Parent: parent.Token.ID()}).Token.ID()
			text := b.sign(id, request())
			c, err := b.verifier.VerifyLive(ctx, b.op, text, nowhere)
			if err != nil || c.Token != id || !c.Capabilities.Allows("reports:read") {
				t.Fatal(c, err)
			}
			if err := x.end(b, parent.Token.ID(), id); err != nil {
				t.Fatal(err)
			}
			c, err = b.verifier.VerifyLive(ctx, b.op, text, nowhere)
			b.refused(err, x.words)
			if !c.Token.IsZero() {
				t.Error("there are claims beside the error")
			}
			if errors.Is(err, remint.ErrEnded) || errors.Is(err, remint.ErrNotFound) || errors.Is(err, remint.ErrDenied) {
				t.Errorf("%v is another error, too", err)
			}
			b.accepts(text, nowhere) // offline, until it expires
			b.now = start.Add(5 * time.Minute)
			b.refuses(text, nowhere, "expired")
		})
	}
}

func TestVerifyLiveJudgesAllThatVerifyDoes(t *testing.T) {
	b := newBed(t)
	ctx := t.Context()
	g := b.issue(remint.Spec{Networks: prefixes("10.0.0.0/8")})
	text := b.sign(g.Token.ID(), request())
	if _, err := b.verifier.VerifyLive(ctx, b.op, text, inside); err != nil {
		t.Error(err)
	}
	for _, from := range []netip.Addr{outside, nowhere} {
		_, err := b.verifier.VerifyLive(ctx, b.op, text, from)
		b.refused(err, "from where")
	}
	_, err := b.verifier.VerifyLive(ctx, b.op, text[1:], inside)
	b.refused(err, "")
	b.now = start.Add(5 * time.Minute)
	_, err = b.verifier.VerifyLive(ctx, b.op, text, inside)
	b.refused(err, "expired")
}

func TestATokenOfAnotherStoreOrOwnerIsInvalidLive(t *testing.T) {
	b, other := newBed(t), newBed(t)
	text := b.sign(b.issue(remint.Spec{}).Token.ID(), request())
	_, err := other.verifier.VerifyLive(t.Context(), other.op, text, nowhere)
	other.refused(err, "not found")
	_, err = b.verifier.VerifyLive(t.Context(), b.issuer.Member("other", "", remint.Allow("*")), text, nowhere)
	b.refused(err, "not found")

	// A key that signs for the wrong owner, or the wrong epoch.
	id := b.issue(remint.Spec{}).Token.ID()
	for words, payload := range map[string]string{
		"its owner": claims(id).with("owner", `"other"`).String(), "was ended": claims(id).with("epoch", "2").String(),
	} {
		any := b.key
		any.Owner, any.AnyOwner = "", true
		_, err := b.newVerifier(0, any).VerifyLive(t.Context(), b.op, raw(goodHeader, payload, "k1"), nowhere)
		b.refused(err, words)
	}
}

func TestAStoreThatFailsAnywhereIsUnavailableAndNoDenial(t *testing.T) {
	b := newBed(t)
	root := b.issue(remint.Spec{})
	id := b.issue(remint.Spec{Parent: root.Token.ID()}).Token.ID()
	text := b.sign(id, request())
	for _, when := range []storetest.When{storetest.Before, storetest.After} {
		for what, use := range map[string]func(op remint.Actor) error{
			"VerifyLive": func(op remint.Actor) error {
				_, err := b.verifier.VerifyLive(t.Context(), op, text, nowhere)
				return err
			},
			"Sign": func(op remint.Actor) error {
				s, err := captoken.NewSigner(op, &captoken.SignerOptions{
					Keys: []captoken.SigningKey{signingKey(t, "k1", "k1")}, Issuer: issuerName, May: remint.Allow("*"), Now: b.clock,
				})
				if err == nil {
					_, err = s.Sign(t.Context(), id, request())
				}
				return err
			},
		} {
			failed := 0
			for n := 0; ; n++ {
				faulty := storetest.Faulty(b.store, n, when)
				issuer, err := remint.New(faulty, &remint.Options{Now: b.clock})
				if err != nil {
					t.Fatal(err)
				}
				err = use(issuer.Operator("x"))
				if !faulty.(interface{ Fired() bool }).Fired() {
					if err != nil {
						t.Errorf("%s with a store that works: %v", what, err)
					}
					break
				}
				failed++
				if !errors.Is(err, remint.ErrUnavailable) || !errors.Is(err, storetest.ErrFault) || errors.Is(err, captoken.ErrInvalid) {
					t.Errorf("%s, operation %d: %v", what, n, err)
				}
			}
			if failed < 2 {
				t.Errorf("%s: only %d operations failed", what, failed)
			}
		}
	}
}
