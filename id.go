package remint

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/oklog/ulid/v2"
)

// An ID is the public name of a token: a ULID (github.com/ulid/spec), 48 bits of
// time in milliseconds and 80 random ones. It is in the token's text, and it is
// safe to log. The zero ID names no token.
type ID [16]byte

// ParseID parses the 26-character canonical (upper-case) form and no other.
// Its error is [ErrNotFound]: no token has a malformed ID.
func ParseID(text string) (ID, error) {
	var id ID
	if !parseID(&id, text) || id.IsZero() {
		return ID{}, ErrNotFound
	}
	return id, nil
}

// idLen is the length of an ID's canonical form.
const idLen = ulid.EncodedSize

// crockford maps the characters of the canonical form to their five bits, and
// all others to 0xff. The ulid package's strict parser accepts lower case too, so
// that one ID would have many texts.
var crockford = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range len(ulid.Encoding) {
		t[ulid.Encoding[i]] = byte(i)
	}
	return t
}()

// parseID reads an ID where it is to be: to copy one that has just been written takes the
// processor as long as to read it.
func parseID[T string | []byte](id *ID, text T) bool {
	// 26 characters have two bits more than 16 bytes: the first is at most 7.
	if len(text) != idLen || text[0] > '7' {
		return false
	}
	var hi, lo uint64 // hi: the first 13 characters, lo: the others; 65 bits each
	var bad byte
	for i := range 13 {
		a, b := crockford[text[i]], crockford[text[13+i]]
		bad |= a | b
		hi = hi<<5 | uint64(a)
		lo = lo<<5 | uint64(b)
	}
	// lo lost its topmost bit, which is the fifth bit of the 14th character.
	top := uint64(crockford[text[13]] >> 4)
	if bad&0xe0 != 0 {
		return false
	}
	binary.BigEndian.PutUint64(id[:8], hi<<1|top)
	binary.BigEndian.PutUint64(id[8:], lo)
	return true
}

// newID returns a new ID that was made at the given time, in microseconds.
func newID(now int64) ID {
	var id ulid.ULID
	ms := uint64(max(now, 0) / 1000)
	if err := id.SetTime(min(ms, ulid.MaxTime())); err != nil {
		panic(err) // no time above MaxTime is passed
	}
	rand.Read(id[6:]) // never fails: crypto/rand
	return ID(id)
}

// millis returns the time at which it was made, in milliseconds.
func (id ID) millis() int64 { return int64(ulid.ULID(id).Time()) }

// String returns the canonical form, or "" for the zero ID.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	return ulid.ULID(id).String()
}

// IsZero reports whether id is the zero ID.
func (id ID) IsZero() bool { return id == ID{} }

// Compare returns -1, 0 or 1 as id sorts before, with or after other: the order of
// their texts and, to the millisecond, of their making.
func (id ID) Compare(other ID) int { return ulid.ULID(id).Compare(ulid.ULID(other)) }

// MarshalText implements [encoding.TextMarshaler] with [ID.String].
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler] with [ParseID]; the empty
// text is the zero ID.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	parsed, err := ParseID(string(text))
	if err != nil {
		return err
	}
	*id = parsed
	return nil
}
