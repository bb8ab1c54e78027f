package crash

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"os"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// A spoiler makes something wrong.
type spoiler struct {
	*campaign
	ledger *ledger
	before string // the file that the first victim left
}

// A life is one that a victim ended by itself.
type life struct {
	said []byte
	file string // a copy of what it left
}

func (c *campaign) live(seed uint64) life {
	p := plan{Path: c.path, Start: c.now, First: c.first, Seed: seed, Workers: 4, CloseAfter: 400, Holdings: c.holdings(4), Sweeps: true}
	said, killed, err := run(p, moment{after: func([]byte) bool { return false }, longest: time.Minute})
	c.must(err)
	if killed {
		c.Fatal("the victim did not close its file")
	}
	l := life{said, fmt.Sprintf("%s/life%d", c.dir, seed)}
	c.first += 1e6
	copyFile(c, l.file, c.path)
	return l
}

func (l life) ledger(t *testing.T) *ledger {
	read, err := readLedger(l.said)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func copyFile(t testing.TB, to, from string) {
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// store opens the file for a moment.
func (x *spoiler) store(do func(s remint.Store) error) {
	s, err := storebolt.Open(x.path, nil)
	x.must(err)
	x.must(do(s))
	x.must(s.Close())
}

// bucket opens the file past the Store (its layout is in package storebolt's layout.go).
func (x *spoiler) bucket(path, name string, do func(b *bbolt.Bucket) error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Nanosecond})
	x.must(err)
	x.must(db.Update(func(tx *bbolt.Tx) error { return do(tx.Bucket([]byte("remint")).Bucket([]byte(name))) }))
	x.must(db.Close())
}

// put writes a key, or deletes it if there is no value.
func (x *spoiler) put(bucket string, key, value []byte) {
	x.bucket(x.path, bucket, func(b *bbolt.Bucket) error {
		if value == nil {
			return b.Delete(key)
		}
		return b.Put(key, value)
	})
}

func (x *spoiler) get(path, bucket string, key []byte) (value []byte) {
	x.bucket(path, bucket, func(b *bbolt.Bucket) error {
		value = slices.Clone(b.Get(key))
		return nil
	})
	return value
}

func (x *spoiler) keys(path, bucket string) (keys [][]byte) {
	x.bucket(path, bucket, func(b *bbolt.Bucket) error {
		return b.ForEach(func(k, _ []byte) error {
			keys = append(keys, slices.Clone(k))
			return nil
		})
	})
	return keys
}

func (x *spoiler) first(bucket string) []byte { return x.keys(x.path, bucket)[0] }

func (x *spoiler) last(bucket string) []byte {
	k := x.keys(x.path, bucket)
	return k[len(k)-1]
}

// middle is an event of the second victim's.
func (x *spoiler) middle(bucket string) []byte {
	k := x.keys(x.path, bucket)
	return k[len(k)-40]
}

func (x *spoiler) page(s remint.Store) []*remint.Record {
	page, err := s.Scan(x.Context(), remint.ID{}, 1000)
	x.must(err)
	return page
}

// changed is a record that both victims left, in different revisions.
func (x *spoiler) changed() (id remint.ID) {
	for _, k := range x.keys(x.path, "t") {
		was, err := remint.ParseRecord(x.get(x.before, "t", k))
		if err != nil {
			continue // there was none
		}
		is, err := remint.ParseRecord(x.get(x.path, "t", k))
		x.must(err)
		if is.Revision() != was.Revision() {
			return is.ID()
		}
	}
	x.Fatal("no record was changed")
	return id
}

// stranger is a record of another store.
func (x *spoiler) stranger() *remint.Record {
	var s store.Memory
	issuer, err := remint.New(&s, options(func() time.Time { return toTime(x.now) }))
	x.must(err)
	_, err = issuer.Operator("somebody").Issue(x.Context(), remint.Spec{})
	x.must(err)
	return x.page(&s)[0]
}

// lives reports whether a secret is live for an hour more.
func (x *spoiler) lives(text string) (ok bool) {
	x.store(func(s remint.Store) error {
		issuer, err := remint.New(frozen{s}, options(func() time.Time { return toTime(x.ledger.latest + 60*minute) }))
		x.must(err)
		_, err = issuer.Verify(x.Context(), text, (&step{}).from())
		ok = err == nil
		return nil
	})
	return ok
}

// alive is a token that was revoked by nobody.
func (x *spoiler) alive() (id remint.ID) {
	x.store(func(s remint.Store) error {
		for _, r := range x.page(s) {
			if r.SweepAt().IsZero() {
				id = r.ID()
			}
		}
		return nil
	})
	return id
}

// events are those of the second victim.
func (x *spoiler) events() (list []remint.Event) {
	x.store(func(s remint.Store) (err error) {
		list, _, err = readEvents(x.Context(), s, x.cursor)
		return err
	})
	return list
}

func (x *spoiler) log(e remint.Event) {
	x.store(func(s remint.Store) error { return s.Commit(x.Context(), remint.Batch{Log: []remint.Event{e}}) })
}

// said adds a step that was begun and acknowledged.
func (x *spoiler) said(s step, a ack) {
	s.N, a.N = 1e9, 1e9
	s.At, a.At = max(s.At, x.ledger.latest), max(a.At, x.ledger.latest)
	x.ledger.begun[s.N], x.ledger.acked[s.N] = &s, &a
	x.ledger.order = append(x.ledger.order, s.N)
}

// acked is what came of the last step of that kind that changed something. It may be made another.
func (x *spoiler) acked(k kind) *ack {
	for _, e := range slices.Backward(x.events()) {
		n, _ := tag(e)
		if s := x.ledger.begun[n]; s != nil && s.Kind == k && x.ledger.succeeded(n) != nil {
			return x.ledger.acked[n]
		}
	}
	x.Fatalf("there was no %s", k)
	return nil
}

// fresh is what came of issuing a token that has not ended since.
func (x *spoiler) fresh() *ack {
	for _, a := range x.ledger.acked {
		if s := x.ledger.begun[a.N]; s.Kind == kindIssue && a.Err == "" && x.lives(a.Text) {
			return a
		}
	}
	x.Fatal("no token lives")
	return nil
}

// lose makes room in the file for one page more, which is neither used nor free. (Layout: bbolt's
// internal/common, Meta: 40 is the number of pages; the checksum at 56 is of what stands before.)
func (x *spoiler) lose() {
	content, err := os.ReadFile(x.path)
	x.must(err)
	for page := range 2 {
		meta := content[page*os.Getpagesize()+16:]
		binary.NativeEndian.PutUint64(meta[40:], binary.NativeEndian.Uint64(meta[40:])+1)
		sum := fnv.New64a()
		sum.Write(meta[:56])
		binary.NativeEndian.PutUint64(meta[56:], sum.Sum64())
	}
	x.must(os.WriteFile(x.path, append(content, make([]byte, os.Getpagesize())...), 0o600))
}
