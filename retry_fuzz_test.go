package remint

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"
)

// FuzzASealedGrantOpensForItsOwnRequestAlone: what was kept of a grant opens when everything is as
// it was, and with any part of it changed, or of the request, it does not.
func FuzzASealedGrantOpensForItsOwnRequestAlone(f *testing.F) {
	bearer, target, made := ID{1}, ID{2}, ID{3}
	_, presented := newText("rmt_", bearer)
	_, granted := newText("rmt_", made)
	q := request{requestRotate, target, digest{4}}
	s := sealer{presented, bearer, "a retry key", &q}
	e := s.seal(s.name(), &q, made, granted, plainDigest(granted), 100)
	stored := appendSealed(nil, &e)
	stored = stored[len(stored)-sealedLen:]

	f.Add([]byte{}, presented, "a retry key", byte(requestRotate), target[:], bearer[:], q.arguments[:])
	for _, part := range []int{
		0, len(e.name), len(e.name) + len(e.salt), sealedLen - len(e.box) - len(e.sum) - len(e.token),
		sealedLen - len(e.box) - len(e.sum), sealedLen - len(e.box), sealedLen - 1,
	} {
		f.Add(append(make([]byte, part), 1), presented, "a retry key", byte(requestRotate), target[:], bearer[:], q.arguments[:])
	}
	f.Add([]byte{}, presented, "a retry key", byte(requestIssue), target[:], bearer[:], q.arguments[:])
	f.Add([]byte{}, presented, "a retry key", byte(requestRotate), made[:], bearer[:], q.arguments[:])
	f.Add([]byte{}, presented, "a retry key", byte(requestRotate), target[:], made[:], q.arguments[:])
	f.Add([]byte{}, presented, "a retry key", byte(requestRotate), target[:], bearer[:], made[:])
	f.Add([]byte{}, presented, "another", byte(requestRotate), target[:], bearer[:], q.arguments[:])
	f.Add([]byte{}, granted, "a retry key", byte(requestRotate), target[:], bearer[:], q.arguments[:])
	f.Add(make([]byte, sealedLen+1), presented, "", byte(requestIssue), target[:], bearer[:], q.arguments[:])
	f.Add([]byte{}, "", "a retry ke", byte(requestSession), []byte("y"), []byte{}, []byte{})
	f.Add(stored, string(e.salt[:]), string(e.name[:]), byte(0), e.sum[:16], e.box[:16], e.sum[:])
	f.Fuzz(func(t *testing.T, flip []byte, secret, key string, operation byte, target2, bearer2, arguments []byte) {
		// flip is what the stored form is changed by; what is beyond its length makes it longer.
		changed := bytes.Clone(stored)
		for i, b := range flip[:min(len(flip), len(changed))] {
			changed[i] ^= b
		}
		changed = append(changed, flip[min(len(flip), len(stored)):]...)
		d := &decoder{what: "record", bytes: changed}
		e := d.sealed()
		if (d.err == nil) != (len(changed) == sealedLen) {
			t.Fatalf("%d bytes: %v", len(changed), d.err)
		}
		if d.err == nil {
			again := appendSealed(nil, &e)
			if !bytes.Equal(again[len(again)-sealedLen:], changed) {
				t.Fatalf("%x is written as %x", changed, again)
			}
		}
		q2 := request{operation: operation}
		copy(q2.target[:], target2)
		copy(q2.arguments[:], arguments)
		s2 := sealer{secret: secret, key: key, q: &q2}
		copy(s2.bearer[:], bearer2)

		// The name is how it is found, and no part of what is sealed.
		same := bytes.Equal(changed[len(e.name):], stored[len(e.name):]) && secret == presented && key == s.key && s2.bearer == bearer && q2 == q
		got, ok := s2.open(&e, &q2)
		if ok != same || same && got != granted || !ok && got != "" {
			t.Fatalf("opened: %v %q; the same: %v", ok, got, same)
		}
		found := s2.name() == s.name()
		if key != "" && found != (secret == presented && key == s.key && s2.bearer == bearer) {
			t.Fatalf("it has the same name: %v", found)
		}
		if key == "" && found {
			t.Fatal("a request without a key has a key's name")
		}
	})
}

// A draw takes values out of the fuzzer's bytes. When they are used up, all are zero.
type draw struct{ b []byte }

func (d *draw) byte() (v byte) {
	if len(d.b) > 0 {
		v, d.b = d.b[0], d.b[1:]
	}
	return v
}

func (d *draw) text() string {
	n := min(int(d.byte()%6), len(d.b))
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *draw) flag() bool { return d.byte()&1 == 1 }

func (d *draw) number() int64 {
	n := int64(int8(d.byte()))
	switch d.byte() % 4 {
	case 1:
		return n << 32
	case 2:
		return n << 56
	case 3:
		return math.MaxInt64 - n
	}
	return n
}

func (d *draw) time() time.Time {
	switch d.byte() % 3 {
	case 0:
		return time.Time{}
	case 1:
		return time.Unix(d.number()>>8, d.number()%1e9).UTC()
	}
	return time.Unix(d.number()>>8, 0).In(time.FixedZone("", int(d.byte())*60))
}

func (d *draw) capabilities() Capabilities {
	var list []Capability
	for range d.byte() % 3 {
		list = append(list, Join("c"+d.text())) // never empty
	}
	return setOf(list)
}

func (d *draw) spec() *Spec {
	s := &Spec{Name: d.text(), Description: d.text(), Owner: d.text(), Capabilities: d.capabilities(), ExpiresAt: d.time(), Prefix: d.text()}
	for range d.byte() % 3 {
		s.Networks = append(s.Networks, netip.PrefixFrom(netip.AddrFrom4([4]byte{d.byte(), d.byte()}), int(d.byte()%33)))
	}
	for range d.byte() % 3 {
		if s.Attributes == nil {
			s.Attributes = map[string]string{}
		}
		s.Attributes[d.text()] = d.text()
	}
	copy(s.Parent[:], d.text())
	return s
}

func (d *draw) rotation() *Rotation {
	r := &Rotation{KeepSessions: d.flag(), IfRevision: uint64(d.number())}
	r.Retire = Retirement{mode: retireMode(d.byte() % 4), at: d.time(), after: time.Duration(d.number())}
	r.Retire.past, r.Retire.pastAfter = retireMode(d.byte()%4), time.Duration(d.number())
	if d.flag() {
		r.Successor = &Successor{Inherit: d.flag()}
		if d.flag() {
			r.Successor.Spec = d.spec()
		}
		if d.flag() {
			r.Successor.ExpiresAt = new(d.time())
		}
	}
	return r
}

// plainText says all of v. What an operation takes for the same says the same: a time wherever it
// is, an empty map and none.
func plainText(v any) string {
	plain := func(t time.Time) string { return fmt.Sprint(t.IsZero(), " ", t.Unix(), " ", t.Nanosecond()) }
	specText := func(s *Spec) string {
		if s == nil {
			return "none"
		}
		return fmt.Sprintf("%q %q %q %q %q %v %s %v %q", s.Name, s.Description, s.Owner, s.Capabilities.list(), s.Prefix, s.Networks, plain(s.ExpiresAt),
			fmt.Sprintf("%q", attributesOf(s.Attributes)), s.Parent[:])
	}
	switch v := v.(type) {
	case *Spec:
		return specText(v)
	case *Session:
		return fmt.Sprintf("%d %q %v", v.Lifetime, v.Capabilities.list(), v.Manages)
	case *Rotation:
		how := v.Retire
		text := fmt.Sprintf("%d %s %d %d %d", how.mode, plain(how.at), how.after, how.past, how.pastAfter)
		text += fmt.Sprintf(" %v %d %v", v.KeepSessions, v.IfRevision, v.Successor != nil)
		if s := v.Successor; s != nil {
			text += fmt.Sprintf(" %v %s %v", s.Inherit, specText(s.Spec), s.ExpiresAt != nil)
			if s.ExpiresAt != nil {
				text += plain(*s.ExpiresAt)
			}
		}
		return text
	}
	panic(reflect.TypeOf(v))
}

// FuzzArgumentsTellRequestsApart: two requests have the same bytes if and only if they ask for the
// same, so that no retry is answered with the grant of another request, and no repeat is
// taken for another.
func FuzzArgumentsTellRequestsApart(f *testing.F) {
	f.Add([]byte{}, []byte{}, byte(0))
	f.Add([]byte("\x01a\x00\x01b"), []byte("\x02ab\x00\x00"), byte(0))                                     // what a value begins with, and ends with
	f.Add([]byte("\x00\x00\x00\x02\x01a\x01b"), []byte("\x00\x00\x00\x01\x02ab"), byte(0))                 // one capability and two
	f.Add([]byte{0, 0, 0, 0, 1, 9, 0, 9, 0}, []byte{0, 0, 0, 0, 2, 9, 0, 0}, byte(0))                      // a time in two places
	f.Add([]byte{0, 0, 0, 1, 0, 7, 0, 0, 0, 0, 1}, []byte{0, 0, 0, 3, 0, 7, 0, 0, 0, 0, 1, 1, 1}, byte(1)) // two successors
	// Requests that differ in one value each, of all that there are.
	full := [3][]byte{
		[]byte("\x01a\x01b\x01c\x02\x01d\x01e\x01\x05\x00\x07\x00\x01p\x01\x0a\x00\x08\x02\x01n\x01v\x01m\x01w\x01P"),
		[]byte("\x01\x03\x00\x02\x01\x05\x00\x07\x00\x09\x00\x01\x09\x00\x01\x01\x01\x01a\x01b\x01c\x01\x01d\x01\x05\x00\x07\x00\x01p\x00\x00\x00\x01\x01\x05\x00\x07\x00"),
		[]byte("\x05\x00\x02\x01a\x01b\x01"),
	}
	for kind, one := range full {
		for at := range one {
			two := bytes.Clone(one)
			two[at] ^= 2
			f.Add(one, two, byte(kind))
			two[at] ^= 3
			f.Add(one, two, byte(kind))
		}
	}
	f.Fuzz(func(t *testing.T, one, two []byte, kind byte) {
		if len(one) > 1<<10 || len(two) > 1<<10 {
			return
		}
		make := func(b []byte) (any, arguments) {
			d, a := &draw{b}, arguments{}
			switch kind % 3 {
			case 0:
				s := d.spec()
				a.spec(s)
				return s, a
			case 1:
				r := d.rotation()
				a.rotation(r)
				return r, a
			}
			s := &Session{Lifetime: time.Duration(d.number()), Capabilities: d.capabilities(), Manages: d.flag()}
			a.session(s)
			return s, a
		}
		x, a := make(one)
		y, b := make(two)
		if same := plainText(x) == plainText(y); same != bytes.Equal(a.b, b.b) || same != (a.digest() == b.digest()) {
			t.Fatalf("the same: %v\n%s\n%x\n%s\n%x", same, plainText(x), a.b, plainText(y), b.b)
		}
		// None is the beginning of another: what is written behind one cannot make it the other.
		if !bytes.Equal(a.b, b.b) && (bytes.HasPrefix(a.b, b.b) || bytes.HasPrefix(b.b, a.b)) {
			t.Fatalf("%x and %x", a.b, b.b)
		}
	})
}

// FuzzInfoIsReadInOneWay: the parts that a sealer's key is derived from can be read back, so that no
// two lists of parts give one key.
func FuzzInfoIsReadInOneWay(f *testing.F) {
	f.Add("remint retry 1", []byte("a\x00b"), "key")
	f.Add("", []byte{}, "")
	f.Add("a", []byte("\x00\x00\x00\x00"), "\x00\x00\x00\x01x")
	f.Fuzz(func(t *testing.T, label string, parts []byte, key string) {
		want := append([][]byte{[]byte(label)}, bytes.Split(parts, []byte{0})...)
		want = append(want, []byte(key))
		b := sealer{key: key}.info(label, want[1:]...)
		var got [][]byte
		for len(b) >= 4 {
			n := binary.BigEndian.Uint32(b)
			if uint64(len(b)) < 4+uint64(n) {
				t.Fatalf("%x ends within a part", b)
			}
			got, b = append(got, b[4:4+n]), b[4+n:]
		}
		if len(b) > 0 || !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("%q came back as %q, and %x", want, got, b)
		}
	})
}
