package remint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/internal/recordtest"
	"github.com/remint-go/remint/store"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// A layoutDraw makes records and questions of the fuzzer's bytes: few IDs and owners, which are
// beginnings and ends of each other.
type layoutDraw struct{ b []byte }

func (d *layoutDraw) byte() (v byte) {
	if len(d.b) > 0 {
		v, d.b = d.b[0], d.b[1:]
	}
	return v
}

func (d *layoutDraw) id() (id remint.ID) {
	v := d.byte()
	switch v % 4 {
	case 0:
		id[15] = v
	case 1:
		id[0] = v
	case 2:
		id = remint.ID{'a', 'a', 'a'}
		id[3] = v
	case 3:
		for i := range id {
			id[i] = v | 0xfc
		}
	}
	return id
}

func (d *layoutDraw) owner() string {
	n := min(int(d.byte()%4), len(d.b))
	if n == 3 {
		n = min(16, len(d.b)) // as long as an ID
	}
	text := string(d.b[:n])
	d.b = d.b[n:]
	return strings.ReplaceAll(text, "\x00", "a") // no owner has one
}

func (d *layoutDraw) time() time.Time {
	micros := int64(d.byte())<<56 | int64(d.byte())
	if d.byte()&1 == 1 {
		micros = int64(int8(micros)) * 1000
	}
	return time.UnixMicro(micros).UTC()
}

// FuzzBoltFindsWhatMemoryFinds: whatever IDs, owners, parents and times records have, the keys
// under which a file finds them keep apart what is apart, and in order what has one.
func FuzzBoltFindsWhatMemoryFinds(f *testing.F) {
	f.Add([]byte{})
	// Owners of which one is the beginning of the other, with a parent and without.
	f.Add([]byte{0, 1, 1, 'a', 0, 0, 0, 0, 0, 1, 0, 5, 2, 'a', 'a', 0, 0, 0, 0, 0, 1, 3, 1, 'a', 0, 0, 7})
	f.Add([]byte{0, 1, 1, 'a', 4, 1, 0, 0, 0, 1, 0, 5, 2, 'a', 'a', 4, 1, 0, 0, 0, 1, 3, 1, 'a', 4, 0, 7})
	// A page that begins after a record which is there.
	f.Add([]byte{0, 4, 0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0, 1, 5, 4, 7, 3, 0, 0, 4, 7})
	// What was due before 1970, after it, and long after it.
	f.Add([]byte{0, 4, 0, 0, 0, 0, 0xf0, 1, 0, 0, 8, 0, 0, 0, 0, 0x10, 1, 0, 0, 12, 0, 0, 0, 0x7f, 0, 0, 0, 4, 0x7f, 1, 0, 7, 4, 0, 0, 0, 7})
	f.Add([]byte("\x00\x01\x01a\x00\x00\x00\x00\x00\x05\x02aa\x00\x00\x00\x00\x01\x05\x02\x01\x01a"))
	f.Add([]byte("\x00\x02\x03aaaaaaaaaaaaaaaa\x00\x01\x00\x00\x00\x06\x00\x02\x01\x00\x00\x00\x01\x02\x00\x03\x02\x00\x00\x04\x05\x01"))
	f.Add([]byte("\x00\xff\x02\xff\xff\x03\xff\x01\x00\x7f\xff\x01\x00\x03\x02\xff\xff\x03\x80\x00\x00\x05\xff\x02\xff\xff\x03\xff"))
	f.Add([]byte("\x00\x04\x00\x00\x01\x80\x01\x00\x00\x08\x00\x00\x01\x00\x00\x00\x01\x04\x02\x80\x01\x00\x04\x02\x00\x00\x00"))
	db := openUnsynced(f)
	n := 0
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 1<<10 {
			return
		}
		n++
		bucket := fmt.Sprintf("%d", n)
		bolt, err := storebolt.New(db, &storebolt.Options{Bucket: bucket, CacheBytes: -1})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := bolt.Close(); err != nil {
				t.Error(err)
			}
			if err := db.Update(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte(bucket)) }); err != nil {
				t.Error(err)
			}
		}()
		memory := new(store.Memory)
		stored := map[remint.ID]*remint.Record{}
		ctx := t.Context()
		commit := func(b remint.Batch) {
			t.Helper()
			for name, s := range map[string]remint.Store{"bolt": bolt, "memory": memory} {
				if err := s.Commit(ctx, b); err != nil {
					t.Fatalf("%s: %+v: %v", name, b, err)
				}
			}
		}
		same := func(what string, ask func(remint.Store) ([]*remint.Record, error)) {
			t.Helper()
			var texts []string
			for _, s := range []remint.Store{bolt, memory} {
				page, err := ask(s)
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				text := ""
				for _, r := range page {
					data, _ := r.AppendBinary(nil)
					text += fmt.Sprintf("%x\n", data)
				}
				texts = append(texts, text)
			}
			if texts[0] != texts[1] {
				t.Fatalf("%s: bolt finds\n%smemory finds\n%s", what, texts[0], texts[1])
			}
		}
		for d := (&layoutDraw{script}); len(d.b) > 0; {
			switch d.byte() % 6 {
			case 0, 1: // put
				fields := recordtest.Fields{ID: d.id(), Owner: d.owner(), Parent: d.id(), Payload: "p"}
				if d.byte()%2 == 0 {
					fields.Parent = remint.ID{}
				}
				if at := d.time(); d.byte()%2 == 0 && at.UnixMicro() != 0 {
					fields.SweepAt = at
				}
				if fields.ID == (remint.ID{}) {
					continue
				}
				old := stored[fields.ID]
				fields.Revision = 1
				if old != nil {
					fields.Revision = old.Revision() + 1
					fields.Owner, fields.Parent = old.Owner(), old.Parent() // these never change
				}
				r := recordtest.New(fields).(*remint.Record)
				commit(remint.Batch{Put: []remint.Put{{Record: r, Replaces: fields.Revision - 1}}})
				stored[fields.ID] = r
			case 2: // delete
				if r := stored[d.id()]; r != nil {
					commit(remint.Batch{Delete: []*remint.Record{r}})
					delete(stored, r.ID())
				}
			case 3:
				owner, parent, after, limit := d.owner(), d.id(), d.id(), int(d.byte()%8)
				same(fmt.Sprintf("List(%q, %v, %v, %d)", owner, parent, after, limit), func(s remint.Store) ([]*remint.Record, error) {
					return s.List(ctx, owner, parent, after, limit)
				})
			case 4:
				before, limit := d.time(), int(d.byte()%8)
				same(fmt.Sprintf("Due(%v, %d)", before, limit), func(s remint.Store) ([]*remint.Record, error) { return s.Due(ctx, before, limit) })
			case 5:
				after, limit := d.id(), int(d.byte()%8)
				same(fmt.Sprintf("Scan(%v, %d)", after, limit), func(s remint.Store) ([]*remint.Record, error) { return s.Scan(ctx, after, limit) })
			}
		}
		// And against what was put, which neither store had a part in.
		var all []*remint.Record
		for _, r := range stored {
			all = append(all, r)
		}
		slices.SortFunc(all, func(a, b *remint.Record) int { return a.ID().Compare(b.ID()) })
		for _, r := range all {
			var family []remint.ID
			for _, x := range all {
				if x.Owner() == r.Owner() && x.Parent() == r.Parent() {
					family = append(family, x.ID())
				}
			}
			page, err := bolt.List(ctx, r.Owner(), r.Parent(), remint.ID{}, 1<<10)
			var got []remint.ID
			for _, x := range page {
				got = append(got, x.ID())
			}
			if err != nil || !slices.Equal(got, family) {
				t.Fatalf("List(%q, %v) = %v, %v; want %v", r.Owner(), r.Parent(), got, err, family)
			}
		}
	})
}
