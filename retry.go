package remint

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// A grant that a retry can ask for again: the new secret, sealed under the secret that was
// presented for it. Neither the store, nor a pepper, nor the retry key opens it, nor
// all of them together.

// WithRetryKey returns an Actor whose Issue, Rotate and StartSession can be repeated when
// their answer was lost: the same bearer, key and arguments return the same Grant, until its
// secret is first used or the window ends. From its first use on it is [ErrConflict], or
// [ErrDenied] to a bearer that the rotation has stopped. The same key with other arguments is
// an [InputError].
//
// Keys should be random, and one for each request: a bearer whose secret this very rotation retired,
// or a session that it ended, may repeat it, and do nothing else, with a key of at least 22
// characters. Such a key is a secret. A bearer has its newest 8 grants kept: a key that is older than
// these, or than the window, is one for a new request again.
//
// The window is within, or [Options.RetryWindow] if that is shorter or within is 0. A key has 1 to
// 255 bytes. Only a Bearer can use one, as the answer is sealed under its secret: on an
// Operator or a Member every method is an InputError.
func (a Actor) WithRetryKey(key string, within time.Duration) Actor {
	a.retry = &retry{key: newSecret(key), within: within}
	return a
}

// Repeatable returns an Actor that takes an identical Issue, Rotate or StartSession within that
// time for a repeat, though nothing says so: for clients that repeat by themselves what was
// not answered. It is one while the bearer is live and not being retired, and nobody has used or
// replaced what was handed out; otherwise it is a request like any other. Who means to make two
// alike must not be given this Actor. A bearer that retires itself is not served: whoever presents
// what has been replaced may be somebody else. within is as of [Actor.WithRetryKey].
func (a Actor) Repeatable(within time.Duration) Actor {
	a.retry = &retry{implicit: true, within: within}
	return a
}

const (
	maxRetryKey  = 255
	safeRetryKey = 22 // characters of base64 that hold 128 bits
	maxSealed    = 8
)

// A retry is a key and its window.
type retry struct {
	key      Secret
	implicit bool // there is no key: the request is known by itself
	within   time.Duration
}

func (r *retry) check(kind actorKind, p *problems) {
	key := r.key.Reveal()
	switch {
	case kind != actorBearer:
		p.add("WithRetryKey", "is for a Bearer: the answer is sealed under its secret")
	case r.implicit:
	case key == "" || len(key) > maxRetryKey:
		p.add("WithRetryKey.key", fmt.Sprintf("has %d bytes, and must have 1 to %d", len(key), maxRetryKey))
	}
	if r.within < 0 || r.within > 0 && r.within < time.Microsecond {
		p.add("WithRetryKey.within", fmt.Sprintf("is %v, and must be at least a microsecond; 0 stands for Options.RetryWindow", r.within))
	}
}

// window returns how long a grant is kept, in microseconds.
func (r *retry) window(i *Issuer) int64 {
	if r.within == 0 {
		return i.retryWindow
	}
	return min(r.within.Microseconds(), i.retryWindow)
}

// A request is what a retry must repeat.
type request struct {
	operation byte
	target    ID
	arguments digest
}

// Operations of a request.
const (
	requestIssue   = 1
	requestRotate  = 2
	requestSession = 3
)

// sealed is a grant's secret, in the record of the bearer that asked for it.
type sealed struct {
	name  [16]byte // of the retry key
	salt  [32]byte
	until int64 // of the window
	token ID    // whose secret it is
	sum   digest
	box   [secretLen + chacha20poly1305.Overhead]byte
}

// A sealer derives what a bearer's grants are sealed with from the secret that it presented.
type sealer struct {
	secret string
	bearer ID
	key    string
	q      *request // which stands for the key, if there is none
}

// name returns what a retry key is found by: an HMAC-SHA-256 under the presented secret,
// without which it tells nothing of the key.
func (s sealer) name() (name [16]byte) {
	mac := hmac.New(sha256.New, []byte(s.secret))
	if s.key != "" {
		mac.Write(s.info("remint retry name 1", s.bearer[:], []byte(s.key)))
	} else {
		mac.Write(s.info("remint repeat name 1", s.bearer[:], []byte{s.q.operation}, s.q.target[:], s.q.arguments[:]))
	}
	var sum digest
	copy(name[:], mac.Sum(sum[:0]))
	return name
}

// info has the length of each part before it.
func (s sealer) info(label string, parts ...[]byte) []byte {
	b := appendLengthPrefixed(make([]byte, 0, 128+len(s.key)), []byte(label))
	for _, p := range parts {
		b = appendLengthPrefixed(b, p)
	}
	return b
}

// seal keeps the secret of a grant until then.
func (s sealer) seal(name [16]byte, q *request, token ID, secret string, sum digest, until int64) sealed {
	e := sealed{name: name, until: until, token: token, sum: sum}
	rand.Read(e.salt[:])
	s.box(&e, q).Seal(e.box[:0], noNonce[:], []byte(secret), e.additional(q))
	return e
}

// open returns the secret, if the request is the one that it was sealed for.
func (s sealer) open(e *sealed, q *request) (secret string, ok bool) {
	plain, err := s.box(e, q).Open(nil, noNonce[:], e.box[:], e.additional(q))
	return string(plain), err == nil
}

// Each box has a key of its own, which is used once: it needs no nonce.
var noNonce [chacha20poly1305.NonceSizeX]byte

// box returns the cipher of a grant: its key is derived with HKDF-SHA-256 (RFC 5869) from the
// presented secret and a salt of its own.
func (s sealer) box(e *sealed, q *request) cipher.AEAD {
	info := s.info("remint retry 1", s.bearer[:], []byte{q.operation}, q.target[:], []byte(s.key))
	key, err := hkdf.Key(sha256.New, []byte(s.secret), e.salt[:], string(info), chacha20poly1305.KeySize)
	if err != nil {
		panic("remint: HKDF: " + err.Error()) // only for a length beyond its limit
	}
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		panic("remint: " + err.Error()) // only for a key of another length
	}
	return aead
}

func (e *sealed) additional(q *request) []byte {
	b := make([]byte, 0, len(q.arguments)+len(e.token)+len(e.sum)+8)
	b = append(b, q.arguments[:]...)
	b = append(b, e.token[:]...)
	b = append(b, e.sum[:]...)
	return binary.BigEndian.AppendUint64(b, uint64(e.until))
}

func (r *record) sealedAs(name [16]byte, now int64) *sealed {
	for k := range r.sealed {
		e := &r.sealed[k]
		if subtle.ConstantTimeCompare(e.name[:], name[:]) == 1 && !over(e.until, now) {
			return e
		}
	}
	return nil
}

// keepSealed adds a grant, and drops those beyond the newest maxSealed.
func (r *record) keepSealed(e sealed) {
	keep := make([]sealed, 0, maxSealed+1)
	for _, old := range r.sealed {
		if old.name != e.name {
			keep = append(keep, old)
		}
	}
	keep = append(keep, e)
	r.sealed = slices.Clone(keep[max(0, len(keep)-maxSealed):])
}

// dropSealed forgets the grants whose window is over. Of those for a secret of the record itself
// that was used or replaced, it keeps the name: the key is not one for a new request.
func (r *record) dropSealed(now int64) {
	gone := func(e *sealed) bool {
		return over(e.until, now)
	}
	spent := func(e *sealed) bool {
		return e.token == r.id && (e.sum != r.newest.digest || r.newest.confirmed)
	}
	if !slices.ContainsFunc(r.sealed, func(e sealed) bool { return gone(&e) || spent(&e) }) {
		return
	}
	keep := make([]sealed, 0, len(r.sealed))
	for _, e := range r.sealed {
		switch {
		case gone(&e):
			continue
		case spent(&e):
			e = sealed{name: e.name, until: e.until}
		}
		keep = append(keep, e)
	}
	r.sealed = keep
}

// dropSealedOf does the same for the grants of another token, which was used.
func (r *record) dropSealedOf(id ID) {
	if !slices.ContainsFunc(r.sealed, func(e sealed) bool { return e.token == id }) {
		return
	}
	r.sealed = slices.Clone(r.sealed)
	for k, e := range r.sealed {
		if e.token == id {
			r.sealed[k] = sealed{name: e.name, until: e.until}
		}
	}
}
