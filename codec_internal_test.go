package remint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net/netip"
	"reflect"
	"testing"
	"unique"
)

// A field that is added to a record and not to its stored form would be lost without a word.
func TestNoFieldOfARecordIsLostInItsStoredForm(t *testing.T) {
	base := newRecord()
	base.id = ID{1}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[record]()) {
		if f.Name == "fast" || f.Name == "alone" || f.Name == "id" || f.Type.Kind() == reflect.Pointer && f.Anonymous || f.Type.Kind() == reflect.Struct && f.Anonymous {
			continue // derived; always there; what the others are in
		}
		t.Run(f.Name, func(t *testing.T) {
			r := base.clone()
			r.ownOrigin()
			// Fields of another kind need a line here.
			switch f.Name {
			case "newest":
				r.newest = fullSlot()
			case "prev":
				r.prev = new(fullSlot())
			case "older":
				r.older = new(fullSlot())
			case "retired":
				r.retired = []retired{{digest: digest{1}, pepper: 2, generation: 3, at: 4, reported: true}, {digest: digest{5}, generation: 6}}
			case "prefix":
				r.prefix = unique.Make("pk_")
			case "parent":
				r.parent = ID{2}
			case "successor":
				r.successor = ID{3}
			case "predecessor":
				r.predecessor = ID{4}
			case "networks":
				r.networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::/0")}
			case "caps":
				r.caps = Allow("a:b", "*")
			case "attributes":
				r.attributes = []attribute{{"a", "b"}, {"c", ""}}
			case "epoch":
				r.epoch = 7
			case "parentEpoch":
				r.parentEpoch = 8
			case "startedBy":
				r.parent, r.startedBy = ID{2}, 9
			case "revision":
				r.revision = 1<<64 - 1
			case "last":
				r.birth.last = 11
			case "pruneEpoch":
				r.pruneEpoch = 12
			case "expires":
				r.expires = 1<<63 - 1
			case "until":
				r.until = -1 << 63
			case "stoppedAt":
				r.stoppedAt = -1
			case "revokedAt":
				r.revokedAt = 13
			case "at":
				r.birth.at = 14
			case "rotatedAt":
				r.rotatedAt = 15
			case "changedAt":
				r.changedAt = 16
			case "pruneAt":
				r.pruneAt = 17
			case "grace":
				r.grace = 18
			case "lapseAt":
				r.lapseAt = 19
			case "usedUp":
				r.usedUp = true
			case "manages":
				r.manages = true
			case "firstUse":
				r.firstUse = true
			case "madeForTests":
				r.madeForTests = true
			case "tenant":
				r.tenant = unique.Make("owner")
			case "label":
				r.setLabel("", "somebody")
			case "description":
				r.description = "description"
			case "nameLen":
				r.setLabel("name", "somebody")
			case "stamp":
				r.stamp = 7
			case "sealed":
				r.sealed = []sealed{fullSealed(), {until: -1}}
			case "payload":
				r.payload = "payload"
			}
			if reflect.DeepEqual(r, base) {
				t.Fatal("this test does not know the field")
			}
			want := r.seal()
			data, err := want.AppendBinary(nil)
			if err != nil {
				t.Fatal(err)
			}
			got, err := ParseRecord(data)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.record, want.record) {
				t.Errorf("it comes back as\n%s, want\n%s", fmt.Sprintf("%+v", &got.record), fmt.Sprintf("%+v", &want.record))
			}
		})
	}
}

func fullSlot() slot {
	return slot{
		digest: digest{31: 1}, pepper: 1<<64 - 1, createdAt: 1, until: 2, usedAt: 3,
		generation: 4, sessions: 5, confirmed: true,
	}
}

func fullSealed() sealed {
	return sealed{
		name: [16]byte{15: 1}, salt: [32]byte{31: 2}, until: 3, token: ID{15: 4}, sum: digest{31: 5},
		box: [len(sealed{}.box)]byte{0: 6, len(sealed{}.box) - 1: 7},
	}
}

func TestNoFieldOfASecretIsLostInItsStoredForm(t *testing.T) {
	v := reflect.ValueOf(fullSlot())
	for k := range v.NumField() {
		if v.Field(k).IsZero() {
			t.Errorf("this test does not know the field %s", v.Type().Field(k).Name)
		}
	}
	if n := reflect.TypeFor[retired]().NumField(); n != 5 {
		t.Errorf("a retired secret has %d fields, and this test knows 5", n)
	}
}

// Who acts with a session acts as its parent: a record that says of itself that it is a session
// and has no parent was not written by this package.
func TestASessionWithoutAParentIsRefused(t *testing.T) {
	r := newRecord()
	r.id, r.startedBy = ID{1}, 1
	data, err := r.seal().AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseRecord(data); err == nil {
		t.Error("it was read")
	}
}

// Members of a set are separated by spaces: one that had a space would be two others, which
// may allow more. It fails without the refusal of a stored capability that would be two
// (internal/mutants).
func TestACapabilityInARecordIsOne(t *testing.T) {
	r := newRecord()
	r.id, r.caps = ID{1}, Allow("axb", "c")
	data, err := r.seal().AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Replace(data[:len(data)-4], []byte("axb"), []byte("a b"), 1)
	if bytes.Equal(body, data[:len(data)-4]) {
		t.Fatal("the capability is not in the record")
	}
	data = binary.BigEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
	if got, err := ParseRecord(data); err == nil {
		t.Errorf("it was read as %q", got.caps)
	}
}

// A million tokens of which nothing special is to be said take 240 MB and their texts.
func TestARecordFitsInItsSizeClass(t *testing.T) {
	for _, x := range []struct {
		of    reflect.Type
		class uintptr // of the allocator's: see runtime/sizeclasses.go
	}{{reflect.TypeFor[Record](), 240}, {reflect.TypeFor[origin](), 112}, {reflect.TypeFor[history](), 192}} {
		if x.of.Size() > x.class {
			t.Errorf("%v has %d bytes, and would take more than %d", x.of, x.of.Size(), x.class)
		}
	}
	g := newRecord()
	g.id, g.newest, g.expires = ID{1}, fullSlot(), 1
	g.birth = birth{g.newest.createdAt, g.newest.generation}
	if r := g.seal(); r.origin != noOrigin || r.history != noHistory {
		t.Error("a plain record has something of its own for what it does not say")
	}
}

// WroteToShared reports whether anybody wrote to what sealed records share, which would revoke
// every token: TestMain asks when all tests have run.
func WroteToShared() bool {
	return !reflect.DeepEqual(noOrigin, new(origin)) || !reflect.DeepEqual(noHistory, new(history))
}
