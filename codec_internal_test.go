package remint

import (
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"unique"
)

// A field that is added to a record and not to its stored form would be lost without a word.
func TestNoFieldOfARecordIsLostInItsStoredForm(t *testing.T) {
	base := record{id: ID{1}, prefix: unique.Make("")}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[record]()) {
		if f.Name == "fast" || f.Name == "alone" || f.Name == "id" {
			continue // derived; always there
		}
		t.Run(f.Name, func(t *testing.T) {
			r := base
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
			case "lastGen":
				r.lastGen = 11
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
			case "createdAt":
				r.createdAt = 14
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
			case "owner":
				r.owner = "owner"
			case "name":
				r.name = "name"
			case "description":
				r.description = "description"
			case "issuedBy":
				r.issuedBy = "somebody"
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
	r := (&record{id: ID{1}, prefix: unique.Make(""), startedBy: 1}).seal()
	data, err := r.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseRecord(data); err == nil {
		t.Error("it was read")
	}
}
