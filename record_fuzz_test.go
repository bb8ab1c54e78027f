package remint_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// knownSecrets are what the slots of the seeds are given, so that what is presented is found in them.
var knownSecrets = func() (list []string) {
	for n := range 4 {
		list = append(list, strings.Repeat(string(rune('a'+n)), 43))
	}
	return list
}()

// withKnownSecrets puts the digests of the known secrets in the place of those that a golden
// record has, in their order, and gives it a body to be sealed again.
func withKnownSecrets(data []byte) []byte {
	body := bytes.Clone(data[:len(data)-4])
	field := []byte{1<<1 | 1, sha256.Size} // the digest of a slot
	n := 0
	for at := 0; n < len(knownSecrets); n++ {
		next := bytes.Index(body[at:], field)
		if next < 0 {
			break
		}
		at += next + len(field)
		sum := sha256.Sum256([]byte(knownSecrets[n]))
		at += copy(body[at:], sum[:])
	}
	return body
}

// FuzzARecordOfAnyContentIsJudgedOrRefused: what reads as a record, however odd, can be asked for
// everything and done anything to: nothing panics, each error is one of the documented ones, what is
// stored again can be read, and what says that it has ended is not accepted.
func FuzzARecordOfAnyContentIsJudgedOrRefused(f *testing.F) {
	for _, path := range goldenFiles(f, "record") {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(withKnownSecrets(data), int64(2*time.Minute/time.Microsecond), byte(len(path)))
		f.Add(withKnownSecrets(data), int64(3*time.Hour/time.Microsecond), byte(len(path)+7))
	}
	f.Add([]byte{1, 3, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, int64(0), byte(0))
	f.Add([]byte{1, 3, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 19 << 1, 1}, int64(math.MaxInt64), byte(1))
	f.Fuzz(func(t *testing.T, body []byte, later int64, op byte) {
		stored := sealBytes(body)
		rec, err := remint.ParseRecord(stored)
		if err != nil {
			return // FuzzParseRecord looks at that
		}
		if rec.Revision() == math.MaxUint64 {
			return // there is no next one, nor has a record so many changes
		}
		b := newBed(t, nil)
		b.clock.Add(later & (1<<53 - 1)) // up to the year 2311
		recs := b.store.Store.(*mapStore).recs
		recs[rec.ID()] = rec
		if p := rec.Parent(); !p.IsZero() && p != rec.ID() {
			above := slices.Concat([]byte{1, 3, 16}, p[:], []byte{2 << 1, 1})
			if recs[p], err = remint.ParseRecord(sealBytes(above)); err != nil {
				t.Fatal(err)
			}
		}

		tok, err := b.op.Get(t.Context(), rec.ID())
		if err != nil || tok.ID() != rec.ID() || tok.Owner() != rec.Owner() || tok.State().Revision != rec.Revision() {
			t.Fatalf("Get = %v, %v", tok, err)
		}
		checkShown(t, tok)
		for _, secret := range knownSecrets {
			text := sealText(tok.Prefix() + tok.ID().String() + secret)
			for _, from := range []netip.Addr{{}, netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2001:db8::1")} {
				was := b.get(rec.ID())
				got, err := b.Verify(t.Context(), text, from)
				known(t, "Verify", err)
				if err != nil {
					continue
				}
				digest := sha256.Sum256([]byte(secret))
				if !bytes.Contains(stored, digest[:]) && !bytes.Contains(stored, []byte{2 << 1, 2}) {
					t.Errorf("%s is accepted, and is in no slot", text)
				}
				revoked := !got.State().RevokedAt.IsZero() || !was.State().RevokedAt.IsZero()
				if s := got.State(); s.Ended != "" || revoked || mPassed(was.Spec().ExpiresAt, b.now()) {
					t.Errorf("%s is accepted, and has ended: %+v", text, s)
				}
				if nets := was.Spec().Networks; len(nets) > 0 && !slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Contains(from) }) {
					t.Errorf("%s is accepted from %v, and is for %v", text, from, nets)
				}
				checkShown(t, got)
			}
			operate(t, b, b.Bearer(text, netip.MustParseAddr("10.0.0.1")), rec.ID(), op)
		}
		operate(t, b, b.op, rec.ID(), op)
		known(t, "Sweep", b.Sweep(t.Context()))
		if next := recs[rec.ID()]; next != nil {
			data, _ := next.AppendBinary(nil)
			if _, err := remint.ParseRecord(data); err != nil {
				t.Errorf("what is stored cannot be read: %v", err)
			}
		}
	})
}

// operate does one thing to a token on somebody's authority.
func operate(t *testing.T, b *bed, a remint.Actor, id remint.ID, op byte) {
	t.Helper()
	ctx := t.Context()
	retire := []remint.Retirement{{}, remint.RetireAfter(time.Hour), remint.RetireAfterFirstUse(time.Minute)}[op/16%3]
	var err error
	var g remint.Grant
	switch op % 10 {
	case 0:
		g, err = a.Rotate(ctx, id, remint.Rotation{Retire: retire, KeepSessions: op >= 128})
	case 1:
		g, err = a.Rotate(ctx, id, remint.Rotation{Retire: retire, Successor: &remint.Successor{}})
	case 2:
		g, err = a.StartSession(ctx, id, remint.Session{Manages: op >= 128})
	case 3:
		g, err = a.Issue(ctx, remint.Spec{Parent: id})
	case 4:
		_, err = a.Update(ctx, id, func(s *remint.Spec) error { s.Name = "another"; return nil })
	case 5:
		_, err = a.CancelRotation(ctx, id)
	case 6:
		_, err = a.FinishRotation(ctx, id)
	case 7:
		err = a.EndSessions(ctx, id)
	case 8:
		err = a.Revoke(ctx, id)
	case 9:
		for tok, e := range a.List(ctx, remint.Query{Ended: true}) {
			checkShown(t, tok)
			err = e
		}
	}
	known(t, fmt.Sprint("operation ", op%10), err)
	if err == nil && !g.Token.IsZero() && op%10 != 3 {
		checkShown(t, g.Token)
	}
	if err == nil && op%10 == 8 && b.get(id).State().Ended == "" {
		t.Error("it was revoked, and has not ended")
	}
}

// checkShown asks a token for all that it says of itself.
func checkShown(t *testing.T, tok remint.Token) {
	t.Helper()
	tok.State().RetiringIdle(bedStart)
	tok.Retiring()
	spec := tok.Spec()
	if spec.Owner != tok.Owner() || !spec.Capabilities.Equal(tok.Capabilities()) || spec.Parent != tok.Parent() {
		t.Errorf("%v says two things of itself", tok)
	}
	data, err := tok.MarshalJSON()
	if err == nil && !json.Valid(data) {
		t.Errorf("%v is written as %s", tok, data)
	}
	for _, secret := range knownSecrets {
		if digest := sha256.Sum256([]byte(secret)); bytes.Contains(data, digest[:]) {
			t.Errorf("%s has a digest", data)
		}
	}
}

// known fails unless err is nil or one that the package promises.
func known(t *testing.T, what string, err error) {
	t.Helper()
	if c := mClassOf(err); strings.HasPrefix(string(c), "unknown") || errors.Is(err, context.Canceled) {
		t.Errorf("%s: %v", what, err)
	}
}
