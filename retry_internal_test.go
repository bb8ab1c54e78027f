package remint

import (
	"crypto/rand"
	"testing"
)

func TestOnlyThePresentedSecretOpensAGrant(t *testing.T) {
	bearer, target, made := newID(1), newID(2), newID(3)
	_, presented := newText("rmt_", bearer)
	_, granted := newText("rmt_", made)
	pepper := []byte("a pepper of at least thirty-two bytes")
	q := &request{requestRotate, target, digest{1}}
	s := sealer{presented, bearer, "a retry key", q}
	sum := plainDigest(granted)
	e := s.seal(s.name(), q, made, granted, sum, 100)
	if got, ok := s.open(&e, q); !ok || got != granted {
		t.Fatalf("the bearer: %q, %v", got, ok)
	}

	// All that the store, the pepper and the key yield, as the secret that opens it.
	stored, peppered := plainDigest(presented), newPepper(pepper).digest(presented)
	for what, secret := range map[string]string{
		"nothing": "", "the stored digest": string(stored[:]), "the peppered digest": string(peppered[:]), "the pepper": string(pepper),
		"the key": "a retry key", "the salt": string(e.salt[:]), "the name": string(e.name[:]), "the grant's digest": string(sum[:]),
		"another secret": rand.Text() + rand.Text(),
	} {
		other := s
		other.secret = secret
		if _, ok := other.open(&e, q); ok {
			t.Errorf("%s opens it", what)
		}
	}
	for what, change := range map[string]func(*sealer, *request, *sealed){
		"another bearer":    func(s *sealer, _ *request, _ *sealed) { s.bearer = newID(4) },
		"another key":       func(s *sealer, _ *request, _ *sealed) { s.key = "another" },
		"another operation": func(_ *sealer, q *request, _ *sealed) { q.operation = requestIssue },
		"another target":    func(_ *sealer, q *request, _ *sealed) { q.target = made },
		"other arguments":   func(_ *sealer, q *request, _ *sealed) { q.arguments[31]++ },
		"a later end":       func(_ *sealer, _ *request, e *sealed) { e.until++ },
		"another token":     func(_ *sealer, _ *request, e *sealed) { e.token = target },
		"another digest":    func(_ *sealer, _ *request, e *sealed) { e.sum[0]++ },
		"another salt":      func(_ *sealer, _ *request, e *sealed) { e.salt[0]++ },
		"another box":       func(_ *sealer, _ *request, e *sealed) { e.box[0]++ },
	} {
		s, q, e := s, *q, e
		change(&s, &q, &e)
		if _, ok := s.open(&e, &q); ok {
			t.Errorf("%s opens it", what)
		}
	}
	if again := s.seal(s.name(), q, made, granted, sum, 100); again.box == e.box || again.salt == e.salt || again.name != e.name {
		t.Error("two boxes are alike, or one key has two names")
	}
	if (sealer{presented, bearer, "another", q}).name() == s.name() || (sealer{granted, bearer, "a retry key", q}).name() == s.name() {
		t.Error("two keys, or two secrets, have one name")
	}
}

// A copy of the database has no secret that somebody uses, sealed or not.
// It fails without the end of a kept answer when its secret is used (internal/mutants).
func TestAnAnswerThatWasKeptIsGoneWhenItsSecretIsUsed(t *testing.T) {
	mine, other := newID(1), newID(2)
	of := func(id ID, sum digest) sealed {
		e := sealed{name: [16]byte{1}, salt: [32]byte{2}, until: 1000, token: id, sum: sum}
		e.box[0] = 3
		return e
	}
	sum := digest{4}
	r := newRecord()
	r.id, r.newest, r.sealed = mine, slot{digest: sum, generation: 1}, []sealed{of(mine, sum), of(other, digest{5})}
	if r.dropSealed(1); r.sealed[0].box[0] == 0 || r.sealed[1].box[0] == 0 {
		t.Fatal("they are gone before anybody has used them")
	}
	gone := sealed{name: [16]byte{1}, until: 1000}
	if r.confirm(1, 1000); r.sealed[0] != gone || r.sealed[1].box[0] == 0 {
		t.Errorf("after the first use of its own secret: %v", r.sealed)
	}
	if r.dropSealedOf(other); r.sealed[1] != gone {
		t.Errorf("after the first use of the other's: %v", r.sealed[1])
	}
}
