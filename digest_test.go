package remint_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

var pepperA, pepperB = bytes.Repeat([]byte("A"), 32), bytes.Repeat([]byte("B"), 40)

func withPeppers(keys ...[]byte) *remint.Options { return &remint.Options{Peppers: keys} }

// unavailable checks that a secret is not refused for a pepper that is missing, and not accepted.
func (b *bed) unavailable(g remint.Grant) {
	b.Helper()
	_, err := b.Verify(b.Context(), g.Secret.Reveal(), netip.Addr{})
	if !errors.Is(err, remint.ErrUnavailable) || errors.Is(err, remint.ErrDenied) {
		b.Errorf("Verify without the pepper = %v, want ErrUnavailable", err)
	}
	wellSaid(b, "Verify", err)
}

func (b *bed) counts(want map[string]int) {
	b.Helper()
	got, err := b.CheckPeppers(b.Context())
	if err != nil || !maps.Equal(got, want) {
		b.Errorf("CheckPeppers = %v, %v, want %v", got, err, want)
	}
}

// It fails without the digest, of a secret's characters and nothing less (internal/mutants).
func TestADigestIsTheSHA256OrTheHMACOfTheSecretsCharacters(t *testing.T) {
	for name, keys := range map[string][][]byte{"plain": nil, "peppered": {pepperB, pepperA}} {
		b := newBed(t, withPeppers(keys...))
		g := b.issue(remint.Spec{})
		secret := []byte(g.Secret.Reveal()[29:72])
		sum := sha256.Sum256(secret)
		want := sum[:]
		if keys != nil {
			mac := hmac.New(sha256.New, keys[0])
			mac.Write(secret)
			want = mac.Sum(nil)
		}
		if data, _ := b.raw(g.Token.ID()).AppendBinary(nil); !bytes.Contains(data, want) {
			t.Errorf("%s: the record does not hold the digest", name)
		}
		b.accepted(g)
	}
}

func TestAWrongSecretIsDeniedUnderAnyPepper(t *testing.T) {
	for name, keys := range map[string][][]byte{"plain": nil, "one": {pepperA}, "two": {pepperB, pepperA}} {
		b := newBed(t, withPeppers(keys...))
		g := b.issue(remint.Spec{})
		other := b.issue(remint.Spec{})
		text := g.Secret.Reveal()
		crossed := sealText(text[:29] + other.Secret.Reveal()[29:72])
		if _, err := b.Verify(t.Context(), crossed, netip.Addr{}); err != remint.ErrDenied {
			t.Errorf("%s: another token's secret: %v", name, err)
		}
		for k := 29; k < 72; k++ {
			wrong := []byte(text[:72])
			wrong[k] = base62Digits[(strings.IndexByte(base62Digits, wrong[k])+1)%62]
			if _, err := b.Verify(t.Context(), sealText(string(wrong)), netip.Addr{}); err != remint.ErrDenied {
				t.Errorf("%s: a secret with another character %d: %v", name, k, err)
			}
		}
		b.accepted(g)
	}
}

func TestATokenMovesToTheFirstPepperWhenItIsUsed(t *testing.T) {
	a := newBed(t, withPeppers(pepperA))
	g, idle := a.issue(remint.Spec{}), a.issue(remint.Spec{})
	a.counts(map[string]int{remint.PepperID(pepperA): 2})
	a.wait(time.Second)

	both := bedOver(t, a.store, a.clock, withPeppers(pepperB, pepperA))
	both.accepted(g)
	both.accepted(idle)
	onlyB := bedOver(t, a.store, a.clock, withPeppers(pepperB))
	onlyB.unavailable(g) // nothing is written yet
	both.counts(map[string]int{remint.PepperID(pepperA): 2})
	both.sweep()
	both.counts(map[string]int{remint.PepperID(pepperB): 2})
	both.accepted(g)
	onlyB.accepted(g)
	onlyB.accepted(idle)
	a.unavailable(g)
	if got := onlyB.get(g.Token.ID()); got.State().Revision != 1 || !got.State().Current.LastUsedAt.Equal(a.now()) {
		t.Errorf("the state is %+v: a new digest is no change", got.State())
	}
	if n := len(a.log()); n != 2 {
		t.Errorf("%d events", n)
	}
	// It is a token like any other.
	next := onlyB.rotate(g.Token.ID(), remint.Rotation{})
	onlyB.accepted(next)
	onlyB.denied(g, remint.ReasonRetired)
}

func TestATokenIsMovedThoughItsUseIsNotWorthNoting(t *testing.T) {
	a := newBed(t, withPeppers(pepperA))
	g := a.issue(remint.Spec{})
	a.accepted(g)
	a.sweep()
	both := bedOver(t, a.store, a.clock, withPeppers(pepperB, pepperA))
	a.wait(time.Second) // within the hour in which a use is not noted again
	both.accepted(g)
	both.sweep()
	bedOver(t, a.store, a.clock, withPeppers(pepperB)).accepted(g)
}

func TestPeppersCanBeAddedToTokensWithoutOne(t *testing.T) {
	plain := newBed(t, nil)
	g := plain.issue(remint.Spec{})
	idle := plain.issue(remint.Spec{})
	plain.counts(map[string]int{"": 2})
	b := bedOver(t, plain.store, plain.clock, withPeppers(pepperA))
	b.accepted(g)
	b.sweep()
	b.counts(map[string]int{"": 1, remint.PepperID(pepperA): 1})
	b.accepted(g)
	b.accepted(idle)
	plain.unavailable(g) // all peppers dropped
	plain.accepted(idle)
	fresh := b.issue(remint.Spec{})
	plain.unavailable(fresh)
	b.accepted(fresh)
}

func TestAMissingPepperIsAnOutageOnlyForTokensThatNeedIt(t *testing.T) {
	a := newBed(t, withPeppers(pepperA))
	g := a.issue(remint.Spec{})
	b := bedOver(t, a.store, a.clock, withPeppers(pepperB))
	other := b.issue(remint.Spec{})
	b.unavailable(g)
	b.accepted(other)
	wrong := sealText(g.Secret.Reveal()[:29] + strings.Repeat("z", 43))
	if _, err := b.Verify(t.Context(), wrong, netip.Addr{}); !errors.Is(err, remint.ErrUnavailable) {
		t.Errorf("a wrong secret of it: %v", err) // who could tell that it is wrong?
	}
	for name, unknown := range map[string]remint.Grant{"plain": newBed(t, nil).issue(remint.Spec{}), "peppered": newBed(t, withPeppers(pepperA)).issue(remint.Spec{})} {
		if _, err := b.Verify(t.Context(), unknown.Secret.Reveal(), netip.Addr{}); err != remint.ErrDenied {
			t.Errorf("an unknown token, %s: %v", name, err)
		}
	}
	for _, op := range operations {
		if op.name == "Rotate to a Spec" {
			continue
		}
		if err := op.do(t.Context(), b.Bearer(g.Secret.Reveal(), netip.Addr{}), g.Token.ID()); !errors.Is(err, remint.ErrUnavailable) {
			t.Errorf("%s by a bearer whose pepper is missing: %v", op.name, err)
		}
	}
	// It can still be managed: what is wrong is a secret and not the token.
	next := b.rotate(g.Token.ID(), remint.Rotation{})
	b.accepted(next)
	b.counts(map[string]int{remint.PepperID(pepperB): 2})
	// Its old secret was under a pepper that is gone, and is simply wrong.
	b.denied(g, remint.ReasonSecret)
	a2 := bedOver(t, a.store, a.clock, withPeppers(pepperB, pepperA))
	a2.denied(g, remint.ReasonRetired)
}

func TestEachSecretOfATokenHasItsOwnPepper(t *testing.T) {
	a := newBed(t, withPeppers(pepperA))
	old := a.issue(remint.Spec{})
	b := bedOver(t, a.store, a.clock, withPeppers(pepperB, pepperA))
	next := b.rotate(old.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)})
	b.accepted(old)
	b.accepted(next)
	b.counts(map[string]int{remint.PepperID(pepperA): 1, remint.PepperID(pepperB): 1})
	onlyB := bedOver(t, a.store, a.clock, withPeppers(pepperB))
	onlyB.accepted(next)
	onlyB.unavailable(old)
	b.accepted(old)
	b.sweep()
	b.counts(map[string]int{remint.PepperID(pepperB): 1})
	onlyB.accepted(old)
	a.wait(time.Hour)
	onlyB.denied(old, remint.ReasonRetired)
}

func TestEndedTokensHoldNoPepperBack(t *testing.T) {
	b := newBed(t, withPeppers(pepperA))
	b.revoke(b.issue(remint.Spec{}).Token.ID())
	b.issue(remint.Spec{ExpiresAt: b.in(time.Second)})
	b.issue(remint.Spec{})
	b.wait(time.Second)
	b.counts(map[string]int{remint.PepperID(pepperA): 1})
}

func TestAPepperIDIsStableAndTellsKeysApart(t *testing.T) {
	// Fixed: it stands in every record.
	if got, want := remint.PepperID(pepperA), "a193bd3add1e6c8f"; got != want {
		t.Errorf("PepperID = %s, want %s", got, want)
	}
	seen := map[string]bool{}
	for _, key := range [][]byte{pepperA, pepperB, append(bytes.Clone(pepperA), 'x'), pepperB[:32]} {
		id := remint.PepperID(key)
		if len(id) != 16 || seen[id] || strings.Trim(id, "0123456789abcdef") != "" {
			t.Errorf("PepperID = %q", id)
		}
		seen[id] = true
	}
}
