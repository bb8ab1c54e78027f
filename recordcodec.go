package remint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"time"
	"unique"
)

// The stored form of a Record and of an Event.
//
//	version (1 byte: 1), fields, CRC-32C of all before (4 bytes, big-endian)
//
// A field is a tag byte and a value: for an even tag an unsigned varint, for an odd
// one a varint length and as many bytes. Fields come in the order of their tags; one
// that may be repeated says so; one with the zero value is left out. Times are zigzag
// varints of microseconds. A version of remint that adds a field takes a new tag; one
// that does not know it refuses the record, because it could not keep it.
const codecVersion = 1

const (
	tagID          = 1<<1 | 1
	tagRevision    = 2 << 1
	tagOwner       = 3<<1 | 1
	tagParent      = 4<<1 | 1
	tagParentEpoch = 5 << 1
	tagStartedBy   = 6 << 1
	tagFlags       = 7 << 1
	tagPrefix      = 8<<1 | 1
	tagNewest      = 9<<1 | 1
	tagPrev        = 10<<1 | 1
	tagOlder       = 11<<1 | 1
	tagRetired     = 12<<1 | 1 // repeated
	tagGrace       = 13 << 1
	tagLapseAt     = 14 << 1
	tagLastGen     = 15 << 1
	tagEpoch       = 16 << 1
	tagPruneEpoch  = 17 << 1
	tagPruneAt     = 18 << 1
	tagExpires     = 19 << 1
	tagUntil       = 20 << 1
	tagStoppedAt   = 21 << 1
	tagRevokedAt   = 22 << 1
	tagCreatedAt   = 23 << 1
	tagRotatedAt   = 24 << 1
	tagChangedAt   = 25 << 1
	tagPredecessor = 26<<1 | 1
	tagSuccessor   = 27<<1 | 1
	tagIssuedBy    = 28<<1 | 1
	tagName        = 29<<1 | 1
	tagDescription = 30<<1 | 1
	tagCapability  = 31<<1 | 1 // repeated
	tagNetwork     = 32<<1 | 1 // repeated
	tagAttribute   = 33<<1 | 1 // repeated: name and value, each with its length
	tagStamp       = 34 << 1
	tagSealed      = 35<<1 | 1 // repeated
	tagPayload     = 63<<1 | 1
)

const (
	flagUsedUp = 1 << iota
	flagManages
	flagFirstUse
	flagMadeForTests
	flagsKnown = 1<<iota - 1
)

// Slot fields, within tagNewest, tagPrev and tagOlder.
const (
	slotDigest     = 1<<1 | 1
	slotAlgorithm  = 2 << 1
	slotPepper     = 3 << 1
	slotCreatedAt  = 4 << 1
	slotUntil      = 5 << 1
	slotUsedAt     = 6 << 1
	slotGeneration = 7 << 1
	slotSessions   = 8 << 1
	slotConfirmed  = 9 << 1
	slotReported   = 10 << 1 // of a retired one
)

// Algorithms of a digest.
const (
	algSHA256 = 1
	algHMAC   = 2 // HMAC-SHA-256 under the pepper that is named
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendBinary implements [encoding.BinaryAppender]. Its error is always nil.
func (r *Record) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, codecVersion)
	b = appendBytes(b, tagID, r.id[:])
	b = appendUint(b, tagRevision, r.revision)
	b = appendBytes(b, tagOwner, r.owner())
	b = appendID(b, tagParent, r.parent)
	b = appendUint(b, tagParentEpoch, r.parentEpoch)
	b = appendUint(b, tagStartedBy, r.startedBy)
	b = appendUint(b, tagFlags, r.flags())
	b = appendBytes(b, tagPrefix, r.prefix.Value())
	if r.newest.generation != 0 {
		b = appendSlot(b, tagNewest, &r.newest)
	}
	if r.prev != nil {
		b = appendSlot(b, tagPrev, r.prev)
	}
	if r.older != nil {
		b = appendSlot(b, tagOlder, r.older)
	}
	for i := range r.retired {
		b = appendRetired(b, &r.retired[i])
	}
	b = appendInt(b, tagGrace, r.grace)
	b = appendInt(b, tagLapseAt, r.lapseAt)
	b = appendUint(b, tagLastGen, r.lastGen())
	b = appendUint(b, tagEpoch, r.epoch)
	b = appendUint(b, tagPruneEpoch, r.pruneEpoch)
	b = appendInt(b, tagPruneAt, r.pruneAt)
	b = appendInt(b, tagExpires, r.expires)
	b = appendInt(b, tagUntil, r.until)
	b = appendInt(b, tagStoppedAt, r.stoppedAt)
	b = appendInt(b, tagRevokedAt, r.revokedAt)
	b = appendInt(b, tagCreatedAt, r.createdAt())
	b = appendInt(b, tagRotatedAt, r.rotatedAt)
	b = appendInt(b, tagChangedAt, r.changedAt)
	b = appendID(b, tagPredecessor, r.predecessor)
	b = appendID(b, tagSuccessor, r.successor)
	b = appendBytes(b, tagIssuedBy, r.issuedBy())
	b = appendBytes(b, tagName, r.name())
	b = appendBytes(b, tagDescription, r.description)
	for c := range r.caps.All() {
		b = appendBytes(b, tagCapability, c)
	}
	for _, n := range r.networks {
		b = append(b, tagNetwork)
		at := len(b)
		b = append(b, 0)
		b, _ = n.AppendBinary(b) // its error is always nil
		b[at] = byte(len(b) - at - 1)
	}
	for _, a := range r.attributes {
		n := uvarintLen(uint64(len(a.name))) + len(a.name) + uvarintLen(uint64(len(a.value))) + len(a.value)
		b = binary.AppendUvarint(append(b, tagAttribute), uint64(n))
		b = append(binary.AppendUvarint(b, uint64(len(a.name))), a.name...)
		b = append(binary.AppendUvarint(b, uint64(len(a.value))), a.value...)
	}
	b = appendUint(b, tagStamp, r.stamp)
	for i := range r.sealed {
		b = appendSealed(b, &r.sealed[i])
	}
	b = appendBytes(b, tagPayload, r.payload)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli)), nil
}

func (r *record) flags() (f uint64) {
	for i, set := range []bool{r.usedUp, r.manages, r.firstUse, r.madeForTests} {
		if set {
			f |= 1 << i
		}
	}
	return f
}

func appendSlot(b []byte, tag byte, s *slot) []byte {
	b, at := openField(b, tag)
	b = appendDigest(b, s.digest, s.pepper)
	b = appendInt(b, slotCreatedAt, s.createdAt)
	b = appendInt(b, slotUntil, s.until)
	b = appendInt(b, slotUsedAt, s.usedAt)
	b = appendUint(b, slotGeneration, s.generation)
	b = appendUint(b, slotSessions, s.sessions)
	b = appendUint(b, slotConfirmed, boolUint(s.confirmed))
	return closeField(b, at)
}

func appendRetired(b []byte, r *retired) []byte {
	b, at := openField(b, tagRetired)
	b = appendDigest(b, r.digest, r.pepper)
	b = appendInt(b, slotUntil, r.at)
	b = appendUint(b, slotGeneration, r.generation)
	b = appendUint(b, slotReported, boolUint(r.reported))
	return closeField(b, at)
}

// sealedLen is the length of a sealed grant: its parts stand one after another.
const sealedLen = len(sealed{}.name) + len(sealed{}.salt) + 8 + len(ID{}) + len(digest{}) + len(sealed{}.box)

func appendSealed(b []byte, e *sealed) []byte {
	b = binary.AppendUvarint(append(b, tagSealed), uint64(sealedLen))
	b = append(b, e.name[:]...)
	b = append(b, e.salt[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(e.until))
	b = append(b, e.token[:]...)
	b = append(b, e.sum[:]...)
	return append(b, e.box[:]...)
}

func (d *decoder) sealed() (e sealed) {
	if len(d.bytes) != sealedLen {
		d.damaged("sealed grant")
		return e
	}
	b := d.bytes
	take := func(to []byte) { b = b[copy(to, b):] }
	take(e.name[:])
	take(e.salt[:])
	e.until, b = int64(binary.BigEndian.Uint64(b)), b[8:]
	take(e.token[:])
	take(e.sum[:])
	take(e.box[:])
	return e
}

// openField begins a field of at most 127 bytes, which closeField ends.
func openField(b []byte, tag byte) ([]byte, int) { return append(b, tag, 0), len(b) + 2 }

func closeField(b []byte, at int) []byte {
	b[at-1] = byte(len(b) - at)
	return b
}

func appendDigest(b []byte, d digest, pepper uint64) []byte {
	b = appendBytes(b, slotDigest, d[:])
	if pepper == 0 {
		return appendUint(b, slotAlgorithm, algSHA256)
	}
	return appendUint(appendUint(b, slotAlgorithm, algHMAC), slotPepper, pepper)
}

func appendUint(b []byte, tag byte, v uint64) []byte {
	if v == 0 {
		return b
	}
	return binary.AppendUvarint(append(b, tag), v)
}

func appendInt(b []byte, tag byte, v int64) []byte {
	return appendUint(b, tag, uint64(v)<<1^uint64(v>>63))
}

func appendBytes[T ~string | ~[]byte](b []byte, tag byte, v T) []byte {
	if len(v) == 0 {
		return b
	}
	return append(binary.AppendUvarint(append(b, tag), uint64(len(v))), v...)
}

func appendID(b []byte, tag byte, id ID) []byte {
	if id.IsZero() {
		return b
	}
	return appendBytes(b, tag, id[:])
}

func uvarintLen(v uint64) (n int) {
	for n = 1; v >= 0x80; n++ {
		v >>= 7
	}
	return n
}

func boolUint(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

// ParseRecord reads what [Record.AppendBinary] wrote, in this version or an
// earlier one. It keeps no reference to data. Its error says whether data is damaged
// or of a newer version.
func ParseRecord(data []byte) (*Record, error) {
	d, err := openCodec("record", data)
	if err != nil {
		return nil, err
	}
	r := newRecord()
	var caps, name, issuedBy []byte
	for d.next() {
		switch d.tag {
		case tagID:
			r.id = d.id()
		case tagRevision:
			r.revision = d.num
		case tagOwner:
			r.tenant = unique.Make(string(d.bytes))
		case tagParent:
			r.parent = d.id()
		case tagParentEpoch:
			r.parentEpoch = d.num
		case tagStartedBy:
			r.startedBy = d.num
		case tagFlags:
			if d.num > flagsKnown {
				d.newer()
			}
			r.usedUp = d.num&flagUsedUp != 0
			r.manages = d.num&flagManages != 0
			r.firstUse = d.num&flagFirstUse != 0
			r.madeForTests = d.num&flagMadeForTests != 0
		case tagPrefix:
			r.prefix = unique.Make(string(d.bytes))
		case tagNewest:
			r.newest = d.slot()
		case tagPrev:
			r.prev = new(d.slot())
		case tagOlder:
			r.older = new(d.slot())
		case tagRetired:
			r.retired = append(r.retired, d.retired())
		case tagGrace:
			r.grace = d.int()
		case tagLapseAt:
			r.lapseAt = d.int()
		case tagLastGen:
			r.birth.last = d.num
		case tagEpoch:
			r.epoch = d.num
		case tagPruneEpoch:
			r.pruneEpoch = d.num
		case tagPruneAt:
			r.pruneAt = d.int()
		case tagExpires:
			r.expires = d.int()
		case tagUntil:
			r.until = d.int()
		case tagStoppedAt:
			r.stoppedAt = d.int()
		case tagRevokedAt:
			r.revokedAt = d.int()
		case tagCreatedAt:
			r.birth.at = d.int()
		case tagRotatedAt:
			r.rotatedAt = d.int()
		case tagChangedAt:
			r.changedAt = d.int()
		case tagPredecessor:
			r.predecessor = d.id()
		case tagSuccessor:
			r.successor = d.id()
		case tagIssuedBy:
			issuedBy = d.bytes
		case tagName:
			if len(d.bytes) > maxName {
				d.damaged("name")
			}
			name = d.bytes
		case tagDescription:
			r.description = string(d.bytes)
		case tagCapability:
			if bytes.IndexByte(d.bytes, ' ') >= 0 {
				d.damaged("capability") // it would be two
			}
			if len(caps) > 0 {
				caps = append(caps, ' ')
			}
			caps = append(caps, d.bytes...)
		case tagNetwork:
			var n netip.Prefix
			if n.UnmarshalBinary(d.bytes) != nil || !n.IsValid() || len(d.bytes) != n.Addr().BitLen()/8+1 {
				d.damaged("network")
			}
			r.networks = append(r.networks, n)
		case tagAttribute:
			r.attributes = append(r.attributes, d.attribute())
		case tagStamp:
			r.stamp = d.num
		case tagSealed:
			r.sealed = append(r.sealed, d.sealed())
		case tagPayload:
			r.payload = string(d.bytes)
		default:
			d.newer()
		}
	}
	if d.err == nil && r.id.IsZero() {
		d.damaged("no ID")
	}
	if d.err == nil && r.startedBy != 0 && r.parent.IsZero() {
		d.damaged("a session without a parent") // who acts with it acts as its parent
	}
	if d.err != nil {
		return nil, d.err
	}
	r.caps.text = string(caps)
	r.setLabel(string(name), string(issuedBy))
	return r.seal(), nil
}

// A decoder walks over the fields of a record, an event or a slot.
type decoder struct {
	what  string
	data  []byte
	err   error
	tag   byte
	num   uint64 // of an even tag
	bytes []byte // of an odd one
}

func openCodec(what string, data []byte) (*decoder, error) {
	if len(data) == 0 {
		return nil, fmt.Errorf("remint: %s is damaged: empty", what)
	}
	if data[0] == 0 {
		return nil, fmt.Errorf("remint: %s is damaged: no format", what)
	}
	if data[0] != codecVersion {
		return nil, newerError(what, fmt.Sprintf("format %d", data[0]))
	}
	if len(data) < 5 {
		return nil, fmt.Errorf("remint: %s is damaged: truncated", what)
	}
	body, sum := data[:len(data)-4], data[len(data)-4:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(sum) {
		return nil, fmt.Errorf("remint: %s is damaged: checksum does not match", what)
	}
	return &decoder{what: what, data: body[1:]}, nil
}

func newerError(what, how string) error {
	return fmt.Errorf("remint: %s was written by a newer version of remint (%s; this one knows format %d): upgrade this program", what, how, codecVersion)
}

// repeatable says which tags may come more than once in a row.
var repeatable = map[byte]bool{tagRetired: true, tagCapability: true, tagNetwork: true, tagAttribute: true, tagSealed: true}

// next reads the next field, and reports whether there is one.
func (d *decoder) next() bool {
	if d.err != nil || len(d.data) == 0 {
		return false
	}
	tag := d.data[0]
	if tag < d.tag || tag == d.tag && !repeatable[tag] {
		return d.damaged("fields out of order")
	}
	d.tag = tag
	v, n := binary.Uvarint(d.data[1:])
	if n <= 0 || n != uvarintLen(v) {
		return d.damaged("bad number")
	}
	d.data = d.data[1+n:]
	if tag&1 == 0 {
		if v == 0 {
			return d.damaged("zero field")
		}
		d.num = v
		return true
	}
	if v > uint64(len(d.data)) || v == 0 {
		return d.damaged("bad length")
	}
	d.bytes, d.data = d.data[:v:v], d.data[v:]
	return true
}

func (d *decoder) damaged(how string) bool {
	if d.err == nil {
		d.err = fmt.Errorf("remint: %s is damaged: %s", d.what, how)
	}
	return false
}

func (d *decoder) newer() {
	if d.err == nil {
		d.err = newerError(d.what, fmt.Sprintf("field %d", d.tag>>1))
	}
}

func (d *decoder) int() int64 { return int64(d.num>>1) ^ -int64(d.num&1) }

func (d *decoder) id() (id ID) {
	if copy(id[:], d.bytes) != len(id) || len(d.bytes) != len(id) || id.IsZero() {
		d.damaged("bad ID")
	}
	return id
}

// nested runs read for each field of the present field's bytes.
func (d *decoder) nested(what string, read func(*decoder)) {
	in := decoder{what: d.what + "'s " + what, data: d.bytes}
	for in.next() {
		read(&in)
	}
	if d.err == nil {
		d.err = in.err
	}
}

func (d *decoder) slot() (s slot) {
	var alg uint64
	d.nested("secret", func(in *decoder) {
		switch in.tag {
		case slotDigest:
			s.digest = in.digest()
		case slotAlgorithm:
			alg = in.algorithm()
		case slotPepper:
			s.pepper = in.num
		case slotCreatedAt:
			s.createdAt = in.int()
		case slotUntil:
			s.until = in.int()
		case slotUsedAt:
			s.usedAt = in.int()
		case slotGeneration:
			s.generation = in.num
		case slotSessions:
			s.sessions = in.num
		case slotConfirmed:
			s.confirmed = in.bool()
		default:
			in.newer()
		}
	})
	d.checkSecret(s.digest, alg, s.pepper, s.generation)
	return s
}

func (d *decoder) retired() (r retired) {
	var alg uint64
	d.nested("retired secret", func(in *decoder) {
		switch in.tag {
		case slotDigest:
			r.digest = in.digest()
		case slotAlgorithm:
			alg = in.algorithm()
		case slotPepper:
			r.pepper = in.num
		case slotUntil:
			r.at = in.int()
		case slotGeneration:
			r.generation = in.num
		case slotReported:
			r.reported = in.bool()
		default:
			in.newer()
		}
	})
	d.checkSecret(r.digest, alg, r.pepper, r.generation)
	return r
}

func (d *decoder) checkSecret(sum digest, alg, pepper, generation uint64) {
	if sum == (digest{}) || generation == 0 || alg == 0 || (alg == algHMAC) != (pepper != 0) {
		d.damaged("incomplete secret")
	}
}

func (d *decoder) digest() (sum digest) {
	if len(d.bytes) != len(sum) {
		d.damaged("bad digest")
	}
	copy(sum[:], d.bytes)
	return sum
}

func (d *decoder) algorithm() uint64 {
	if d.num > algHMAC {
		d.err = newerError(d.what, fmt.Sprintf("digest algorithm %d", d.num))
	}
	return d.num
}

func (d *decoder) bool() bool {
	if d.num != 1 {
		d.newer()
	}
	return true
}

func (d *decoder) attribute() (a attribute) {
	rest := d.bytes
	for _, s := range []*string{&a.name, &a.value} {
		v, n := binary.Uvarint(rest)
		if n <= 0 || n != uvarintLen(v) || v > uint64(len(rest)-n) {
			d.damaged("bad attribute")
			return a
		}
		*s, rest = string(rest[n:n+int(v)]), rest[n+int(v):]
	}
	if len(rest) != 0 {
		d.damaged("bad attribute")
	}
	return a
}

// Event fields.
const (
	eventRevision   = 1 << 1
	eventAt         = 2 << 1
	eventKind       = 3<<1 | 1
	eventToken      = 4<<1 | 1
	eventOther      = 5<<1 | 1
	eventOwner      = 6<<1 | 1
	eventActor      = 7<<1 | 1
	eventFrom       = 8<<1 | 1
	eventGeneration = 9 << 1
	eventAge        = 10 << 1
	eventReason     = 11<<1 | 1
)

// AppendBinary implements [encoding.BinaryAppender] for stores. Its error is always nil.
func (e Event) AppendBinary(b []byte) ([]byte, error) {
	start := len(b)
	b = append(b, codecVersion)
	b = appendUint(b, eventRevision, e.Revision)
	b = appendInt(b, eventAt, fromTime(e.At))
	b = appendBytes(b, eventKind, e.Kind)
	b = appendID(b, eventToken, e.Token)
	b = appendID(b, eventOther, e.Other)
	b = appendBytes(b, eventOwner, e.Owner)
	b = appendBytes(b, eventActor, e.Actor)
	if e.From.IsValid() {
		b = appendBytes(b, eventFrom, e.From.String())
	}
	b = appendUint(b, eventGeneration, e.Generation)
	b = appendInt(b, eventAge, int64(e.Age))
	b = appendBytes(b, eventReason, e.Reason)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli)), nil
}

// ParseEvent reads what [Event.AppendBinary] wrote, in this version or an earlier
// one. It keeps no reference to data.
func ParseEvent(data []byte) (Event, error) {
	d, err := openCodec("event", data)
	if err != nil {
		return Event{}, err
	}
	var e Event
	for d.next() {
		switch d.tag {
		case eventRevision:
			e.Revision = d.num
		case eventAt:
			if e.At = toTime(d.int()); e.At.IsZero() {
				d.damaged("bad time")
			}
		case eventKind:
			e.Kind = EventKind(d.bytes)
		case eventToken:
			e.Token = d.id()
		case eventOther:
			e.Other = d.id()
		case eventOwner:
			e.Owner = unique.Make(string(d.bytes)).Value()
		case eventActor:
			e.Actor = string(d.bytes)
		case eventFrom:
			from, err := netip.ParseAddr(string(d.bytes))
			if err != nil || from.String() != string(d.bytes) {
				d.damaged("bad address")
			}
			e.From = from
		case eventGeneration:
			e.Generation = d.num
		case eventAge:
			e.Age = time.Duration(d.int())
		case eventReason:
			e.Reason = string(d.bytes)
		default:
			d.newer()
		}
	}
	if d.err == nil && e.Kind == "" {
		d.err = errors.New("remint: event is damaged: no kind")
	}
	if d.err != nil {
		return Event{}, d.err
	}
	return e, nil
}
