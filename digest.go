package remint

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"
)

// A digest is the SHA-256, or the HMAC-SHA-256 under a pepper, of a secret's 43
// characters as they stand: they fit into one block of the hash, and have one form.
// They are 256 random bits, so no slow hash is needed.
type digest [sha256.Size]byte

// equal takes the same time whatever d and e hold. Words, and not bytes, are what saves a
// twentieth of a verification.
func (d *digest) equal(e *digest) bool {
	var differ uint64
	for k := 0; k < len(d); k += 8 {
		differ |= binary.LittleEndian.Uint64(d[k:]) ^ binary.LittleEndian.Uint64(e[k:])
	}
	return subtle.ConstantTimeEq(int32(differ>>32)|int32(differ), 0) == 1
}

// A pepper is a key of the digests, kept outside the store.
type pepper struct {
	id     uint64
	states sync.Pool // of *pepperState: making one costs more than the digest
}

type pepperState struct {
	mac hash.Hash
	in  [secretLen]byte
	out digest
}

// minPepper is the length of the shortest pepper that is accepted: the key of an
// HMAC should be as long as its output (RFC 2104, section 3).
const minPepper = 32

func newPepper(key []byte) *pepper {
	key = append([]byte(nil), key...) // the caller's to change
	p := &pepper{id: pepperID(key)}
	p.states.New = func() any { return &pepperState{mac: hmac.New(sha256.New, key)} }
	return p
}

func pepperID(key []byte) uint64 {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("remint pepper ID 1"))
	// An ID is never 0, which stands for no pepper.
	return max(1, binary.BigEndian.Uint64(mac.Sum(nil)))
}

// PepperID returns the name of a pepper as [Issuer.CheckPeppers] reports it: 16
// hexadecimal digits that do not yield the key.
func PepperID(key []byte) string { return fmt.Sprintf("%016x", pepperID(key)) }

func (p *pepper) digest(secret string) (d digest) {
	s := p.states.Get().(*pepperState)
	s.mac.Reset()
	copy(s.in[:], secret)
	s.mac.Write(s.in[:])
	s.mac.Sum(s.out[:0])
	d = s.out
	s.in, s.out = [secretLen]byte{}, digest{}
	p.states.Put(s)
	return d
}

func plainDigest(secret string) digest {
	var in [secretLen]byte
	copy(in[:], secret)
	return sha256.Sum256(in[:])
}

// digest returns the digest of a secret under the pepper of the given ID. It is not ok if
// the Issuer does not have that pepper.
func (i *Issuer) digest(secret string, pepperID uint64) (d digest, ok bool) {
	if pepperID == 0 {
		return plainDigest(secret), true
	}
	for _, p := range i.peppers {
		if p.id == pepperID {
			return p.digest(secret), true
		}
	}
	return d, false
}

// firstPepper returns the ID of the pepper that digests are made with; 0 is none.
func (i *Issuer) firstPepper() uint64 {
	if len(i.peppers) == 0 {
		return 0
	}
	return i.peppers[0].id
}
