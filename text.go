package remint

import (
	"crypto/rand"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"unique"

	"github.com/oklog/ulid/v2"
)

// A token's text is its prefix, its ID, its secret and a checksum of all before:
//
//	pk_01JCZ3T8M6RZ6Y0S2V4W8X9YABk3J…43 base62 characters…x9Q0aZ4T1
//
// The ID finds the record; the secret's text is what is digested; the checksum is
// CRC-32C in base62 and no defence: it refuses typos and garbage before any I/O.
const (
	secretLen = 43 // base62 characters: 256 bits
	sumLen    = 6  // base62 characters: 32 bits
	bodyLen   = idLen + secretLen + sumLen
	maxPrefix = 16
)

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// A parsed text is well-formed, and proves nothing yet.
type parsed struct {
	id     ID
	prefix unique.Handle[string]
	secret string
}

// parse reads a token's text: the form with one of the Issuer's prefixes, and no other.
func (p *parsed) parse(i *Issuer, text string) (ok bool) {
	n := len(text) - bodyLen
	if n < 1 || n > maxPrefix || !sumMatches(text) {
		return false
	}
	for k := range i.prefixes {
		if h := &i.prefixes[k]; text[:n] == h.text {
			p.prefix = h.handle
			ok = parseID(&p.id, text[n:n+idLen])
			p.secret = text[n+idLen : len(text)-sumLen]
			return ok && !p.id.IsZero()
		}
	}
	return false
}

// A prefix is one that an Issuer's tokens may begin with.
type prefix struct {
	text   string
	handle unique.Handle[string]
}

// newText returns a new token's text, and the part of it that is digested.
func newText(prefix string, id ID) (text, secret string) {
	b := texts.Get().(*textBuffer)
	defer texts.Put(b)
	defer clear(b[:])
	text = string(appendSum(appendRandom(appendName(b[:0], prefix, id), secretLen)))
	return text, text[len(prefix)+idLen : len(text)-sumLen]
}

// textOf returns the text of a token with that secret.
func textOf(prefix string, id ID, secret string) string {
	b := texts.Get().(*textBuffer)
	defer texts.Put(b)
	defer clear(b[:])
	return string(appendSum(append(appendName(b[:0], prefix, id), secret...)))
}

// appendName appends what a text begins with.
func appendName(b []byte, prefix string, id ID) []byte {
	b = append(b, prefix...)
	b = append(b, make([]byte, idLen)...)
	ulid.ULID(id).MarshalTextTo(b[len(prefix):]) // its error is of another length
	return b
}

// appendRandom appends n random base62 characters, each as likely as any other.
func appendRandom(b []byte, n int) []byte {
	var random [64]byte
	for end := len(b) + n; ; {
		rand.Read(random[:]) // never fails: crypto/rand
		for _, r := range random {
			if len(b) == end {
				return b
			}
			if r < 4*62 { // the rest of a byte would favour the first eight
				b = append(b, base62[r%62])
			}
		}
	}
}

func appendSum(b []byte) []byte {
	sum := crc32.Checksum(b, castagnoli)
	var digits [sumLen]byte
	for i := sumLen - 1; i >= 0; i-- {
		digits[i] = base62[sum%62]
		sum /= 62
	}
	return append(b, digits[:]...)
}

// texts are buffers for the checksum: what package crc32 is given escapes, and a
// verification should allocate nothing.
var texts = sync.Pool{New: func() any { return new(textBuffer) }}

type textBuffer [maxPrefix + bodyLen]byte

// sumMatches reports whether text, of more than sumLen bytes and at most as many as fit, ends
// with the checksum of the rest.
func sumMatches(text string) bool {
	body, tail := text[:len(text)-sumLen], text[len(text)-sumLen:]
	b := texts.Get().(*textBuffer)
	sum := crc32.Checksum(b[:copy(b[:], body)], castagnoli)
	clear(b[:]) // it may be somebody's secret
	texts.Put(b)
	var stated uint64
	for i := range sumLen {
		digit := base62Digits[tail[i]]
		if digit == notBase62 {
			return false
		}
		stated = stated*62 + uint64(digit)
	}
	return stated == uint64(sum)
}

const notBase62 = 0xff

// base62Digits maps the characters of base62 to what they stand for.
var base62Digits = func() (t [256]byte) {
	for i := range t {
		t[i] = notBase62
	}
	for i := range len(base62) {
		t[base62[i]] = byte(i)
	}
	return t
}()

// Identify returns the ID in text, having checked its form and checksum only:
// enough to look a leaked token up, and proof of nothing. Its error is [ErrNotFound].
func (i *Issuer) Identify(text string) (ID, error) {
	var p parsed
	ok := p.parse(i, text)
	if !ok {
		return ID{}, ErrNotFound
	}
	return p.id, nil
}

// Pattern returns a regular expression (RE2) that matches this Issuer's tokens,
// for secret scanners.
func (i *Issuer) Pattern() string {
	texts := make([]string, len(i.prefixes)) // of characters that stand for themselves
	for k, p := range i.prefixes {
		texts[k] = p.text
	}
	return fmt.Sprintf(`\b(?:%s)[0-7][0-9A-HJKMNP-TV-Z]{%d}[0-9A-Za-z]{%d}\b`,
		strings.Join(texts, "|"), idLen-1, secretLen+sumLen)
}

// prefixProblem says what makes p unusable as a prefix, or "".
func prefixProblem(p string) string {
	switch {
	case p == "":
		return "is empty"
	case len(p) > maxPrefix:
		return fmt.Sprintf("is longer than %d bytes", maxPrefix)
	case !isLetter(p[0]):
		return "does not begin with a letter"
	case p[len(p)-1] != '_' && p[len(p)-1] != '-':
		return "does not end with its separator, _ or -"
	}
	for k := range len(p) {
		if c := p[k]; !isLetter(c) && !(c >= '0' && c <= '9') && c != '_' && c != '-' {
			return fmt.Sprintf("has a character other than letters, digits, _ and - (at byte %d)", k)
		}
	}
	return ""
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
