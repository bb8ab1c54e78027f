package remint_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"math/bits"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/remint-go/remint"
)

// A golden file is made once and never again: what is in it must be readable for ever.
// Those that are missing are made by go test -run Golden -update.
var updateGolden = flag.Bool("update", false, "make golden files that are missing")

// A goldenState makes a record be in some state, and says which.
type goldenState struct {
	name string
	make func(b *bed) remint.ID
}

func goldenStates() []goldenState {
	inPlace := func(r remint.Rotation, then ...func(*bed, remint.Grant)) func(*bed) remint.ID {
		return func(b *bed) remint.ID {
			g := b.issue(remint.Spec{Owner: "o", Name: "n", ExpiresAt: b.in(1000 * time.Hour)})
			b.wait(time.Minute)
			next := b.rotate(g.Token.ID(), r)
			b.wait(time.Minute)
			for _, f := range then {
				f(b, next)
			}
			return g.Token.ID()
		}
	}
	toSuccessor := func(r remint.Retirement, successor bool, then ...func(*bed, remint.Grant)) func(*bed) remint.ID {
		return func(b *bed) remint.ID {
			g := b.issue(remint.Spec{Owner: "o", Name: "n"})
			b.wait(time.Minute)
			next := b.rotate(g.Token.ID(), remint.Rotation{Retire: r, Successor: &remint.Successor{}})
			b.wait(time.Minute)
			for _, f := range then {
				f(b, next)
			}
			if successor {
				return next.Token.ID()
			}
			return g.Token.ID()
		}
	}
	confirm := func(b *bed, g remint.Grant) { b.accepted(g) }
	again := func(r remint.Rotation) func(*bed, remint.Grant) {
		return func(b *bed, g remint.Grant) { b.rotate(g.Token.ID(), r) }
	}
	restored := func(r remint.Restore) func(*bed) remint.ID {
		return func(b *bed) remint.ID {
			id := b.issue(remint.Spec{Parent: b.issue(remint.Spec{}).Token.ID()}).Token.ID()
			b.op.EndSessions(b.Context(), id)
			b.wait(time.Minute)
			r.At = b.now()
			if _, err := b.op.AfterRestore(b.Context(), r); err != nil {
				b.Fatal(err)
			}
			return id
		}
	}
	after, firstUse := remint.RetireAfter(time.Hour), remint.RetireAfterFirstUse(time.Hour)
	return []goldenState{
		{"issued", func(b *bed) remint.ID { return b.issue(remint.Spec{}).Token.ID() }},
		{"issued-full", func(b *bed) remint.ID {
			return b.issue(remint.Spec{
				Name: "naïve", Description: "a description", Owner: "owner", Capabilities: remint.Allow("a:b", "c:*", "%3A"),
				Networks:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("0.0.0.0/0")},
				ExpiresAt: b.in(time.Hour), Attributes: map[string]string{"plan": "free", "empty": "", "bytes": "\x00\n"}, Prefix: "xaat-",
			}).Token.ID()
		}},
		{"issued-at-the-edges", func(b *bed) remint.ID {
			return b.issue(remint.Spec{
				Owner: strings.Repeat("o", 255), Name: strings.Repeat("n", 256), ExpiresAt: time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
			}).Token.ID()
		}},
		{"issued-peppered", func(b *bed) remint.ID {
			return bedOver(b, b.store, b.clock, &remint.Options{Peppers: [][]byte{bytes.Repeat([]byte{1}, 32)}}).issue(remint.Spec{}).Token.ID()
		}},
		{"issued-child", func(b *bed) remint.ID {
			root := b.issue(remint.Spec{Owner: "o"})
			b.op.EndSessions(b.Context(), root.Token.ID())
			return b.issue(remint.Spec{Parent: root.Token.ID()}).Token.ID()
		}},
		{"updated", func(b *bed) remint.ID {
			id := b.issue(remint.Spec{Name: "a"}).Token.ID()
			b.wait(time.Second)
			if _, err := b.op.Update(b.Context(), id, func(s *remint.Spec) error { s.Name = "b"; return nil }); err != nil {
				b.Fatal(err)
			}
			return id
		}},
		{"used", func(b *bed) remint.ID {
			g := b.issue(remint.Spec{})
			b.wait(time.Second)
			b.accepted(g)
			b.sweep()
			return g.Token.ID()
		}},
		{"session", func(b *bed) remint.ID {
			return b.session(b.issue(remint.Spec{}).Token.ID(), remint.Session{}).Token.ID()
		}},
		{"session-managing", func(b *bed) remint.ID {
			g := b.issue(remint.Spec{Capabilities: remint.Allow("a")})
			b.rotate(g.Token.ID(), remint.Rotation{KeepSessions: true})
			return b.session(g.Token.ID(), remint.Session{Manages: true, Capabilities: remint.Allow("a:b")}).Token.ID()
		}},
		{"sealed-grants", func(b *bed) remint.ID {
			g := b.issue(remint.Spec{Capabilities: remint.Allow("a")})
			me := b.Bearer(g.Secret.Reveal(), netip.MustParseAddr("192.0.2.1"))
			for _, key := range []string{"the first key of 22 characters", "the second"} {
				if _, err := me.WithRetryKey(key, 0).Issue(b.Context(), remint.Spec{}); err != nil {
					b.Fatal(err)
				}
			}
			return g.Token.ID()
		}},
		{"rotated-at-once", inPlace(remint.Rotation{})},
		{"rotated-at-once-confirmed", inPlace(remint.Rotation{}, confirm)},
		{"rotated-keeping-sessions", inPlace(remint.Rotation{KeepSessions: true}, confirm)},
		{"rotated-after", inPlace(remint.Rotation{Retire: after})},
		{"rotated-after-confirmed", inPlace(remint.Rotation{Retire: after}, confirm)},
		{"rotated-first-use", inPlace(remint.Rotation{Retire: firstUse})},
		{"rotated-first-use-confirmed", inPlace(remint.Rotation{Retire: firstUse}, confirm)},
		{"rotated-first-use-with-an-older", inPlace(remint.Rotation{Retire: after}, confirm, again(remint.Rotation{Retire: firstUse}))},
		{"rotated-first-use-again", inPlace(remint.Rotation{Retire: firstUse}, confirm, again(remint.Rotation{Retire: firstUse}), again(remint.Rotation{Retire: after}))},
		{"rotated-lapsed", inPlace(remint.Rotation{Retire: firstUse}, func(b *bed, g remint.Grant) {
			b.wait(8 * 24 * time.Hour)
			b.op.EndSessions(b.Context(), g.Token.ID()) // which settles it
		})},
		{"rotated-cancelled", inPlace(remint.Rotation{Retire: firstUse}, func(b *bed, g remint.Grant) { b.op.CancelRotation(b.Context(), g.Token.ID()) })},
		{"rotated-finished", inPlace(remint.Rotation{Retire: after}, confirm, func(b *bed, g remint.Grant) { b.op.FinishRotation(b.Context(), g.Token.ID()) })},
		{"rotated-often", inPlace(remint.Rotation{}, func(b *bed, g remint.Grant) {
			for range 12 {
				b.accepted(b.rotate(g.Token.ID(), remint.Rotation{}))
				b.wait(time.Second)
			}
		})},
		{"reused", func(b *bed) remint.ID {
			g := b.issue(remint.Spec{})
			b.rotate(g.Token.ID(), remint.Rotation{})
			b.denied(g, remint.ReasonRetired)
			return g.Token.ID()
		}},
		{"predecessor-at-once", toSuccessor(remint.Retirement{}, false)},
		{"predecessor-after", toSuccessor(after, false)},
		{"predecessor-after-confirmed", toSuccessor(after, false, confirm)},
		{"predecessor-first-use", toSuccessor(firstUse, false)},
		{"predecessor-first-use-confirmed", toSuccessor(firstUse, false, confirm)},
		{"predecessor-finished", toSuccessor(after, false, confirm, func(b *bed, g remint.Grant) { b.op.FinishRotation(b.Context(), g.Token.State().Predecessor) })},
		{"successor-after", toSuccessor(after, true)},
		{"successor-first-use", toSuccessor(firstUse, true)},
		{"successor-confirmed", toSuccessor(firstUse, true, confirm)},
		{"successor-cancelled", toSuccessor(after, true, func(b *bed, g remint.Grant) { b.op.CancelRotation(b.Context(), g.Token.State().Predecessor) })},
		{"revoked", func(b *bed) remint.ID {
			id := b.issue(remint.Spec{}).Token.ID()
			b.wait(time.Second)
			b.revoke(id)
			return id
		}},
		{"sessions-ended", func(b *bed) remint.ID {
			id := b.issue(remint.Spec{}).Token.ID()
			b.wait(time.Second)
			b.op.EndSessions(b.Context(), id)
			b.wait(time.Second)
			b.op.EndSessions(b.Context(), id)
			return id
		}},
		{"restored", restored(remint.Restore{Log: eventSeq(nil)})},
		{"restored-without-a-secret", restored(remint.Restore{StopSecrets: true})},
		{"without-a-live-secret", func(b *bed) remint.ID {
			g := b.issue(remint.Spec{ExpiresAt: b.in(time.Hour)})
			b.rotate(g.Token.ID(), remint.Rotation{})
			b.rotate(g.Token.ID(), remint.Rotation{Successor: &remint.Successor{}})
			return g.Token.ID()
		}},
	}
}

func goldenStateOf(t testing.TB, name string) func(*bed) remint.ID {
	k := slices.IndexFunc(goldenStates(), func(s goldenState) bool { return s.name == name })
	if k < 0 {
		t.Fatalf("there is no golden state %q", name)
	}
	return goldenStates()[k].make
}

func goldenBed(t testing.TB) *bed {
	b := newBed(t, nil)
	b.clock.Store(bedStart.UnixMicro())
	return b
}

func goldenFiles(t testing.TB, kind string) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/" + kind + "-v*.bin")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files of %ss: %v", kind, err)
	}
	return files
}

func writeGolden(t testing.TB, path string, data []byte) {
	if _, err := os.Stat(path); !*updateGolden || !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// goldenEvents are one of each kind, from real operations, and the extremes.
func goldenEvents(t testing.TB) map[string]remint.Event {
	b := goldenBed(t)
	root := b.issue(remint.Spec{Owner: "o", ExpiresAt: b.in(30 * 24 * time.Hour)})
	id := root.Token.ID()
	child := b.issue(remint.Spec{Parent: id})
	retrying := b.Bearer(child.Secret.Reveal(), netip.MustParseAddr("192.0.2.1")).WithRetryKey("a key", 0)
	for range 2 {
		if _, err := retrying.Issue(b.Context(), remint.Spec{}); err != nil {
			t.Fatal(err)
		}
	}
	b.op.Update(t.Context(), id, func(s *remint.Spec) error { s.Name = "x"; return nil })
	next := b.rotate(id, remint.Rotation{Retire: remint.RetireAfter(time.Hour)})
	if _, err := b.Verify(t.Context(), next.Secret.Reveal(), netip.MustParseAddr("2001:db8::1%eth0")); err != nil {
		t.Fatal(err)
	}
	b.op.FinishRotation(t.Context(), id)
	b.wait(time.Hour)
	b.Verify(t.Context(), root.Secret.Reveal(), netip.MustParseAddr("::ffff:192.0.2.1"))
	b.rotate(id, remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Hour)})
	b.op.CancelRotation(t.Context(), id)
	b.op.EndSessions(t.Context(), id)
	b.revoke(b.issue(remint.Spec{Owner: "p"}).Token.ID())
	b.wait(200 * 24 * time.Hour)
	all := map[string]remint.Event{}
	for _, e := range b.log() {
		all[string(e.Kind)] = e
	}
	b.sweep()
	for _, e := range b.log() {
		all[string(e.Kind)] = e
	}
	restored := goldenBed(t)
	goldenStateOf(t, "restored-without-a-secret")(restored)
	all[string(remint.EventRestore)] = restored.log()[3]
	all["full"] = remint.Event{
		Revision: math.MaxUint64, At: time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC), Kind: "x",
		Token: id, Other: child.Token.ID(), Owner: strings.Repeat("o", 255), Actor: strings.Repeat("a", 256),
		From: netip.MustParseAddr("255.255.255.255"), Generation: math.MaxUint64, Age: math.MaxInt64, Reason: "a reason",
	}
	all["early"] = remint.Event{At: time.UnixMicro(-1).UTC(), Kind: "x", Age: -1}
	all["bare"] = remint.Event{Kind: "x"}
	return all
}

func TestGoldenRecordsAreReadAndWrittenAsTheyAre(t *testing.T) {
	missing := map[string]bool{}
	for _, s := range goldenStates() {
		b := goldenBed(t)
		id := s.make(b)
		data, err := b.raw(id).AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		path := "testdata/record-v1-" + s.name + ".bin"
		writeGolden(t, path, data)
		missing[path] = true
	}
	files := goldenFiles(t, "record")
	b := goldenBed(t)
	b.wait(2 * time.Minute)
	for _, path := range files {
		delete(missing, path)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		r, err := remint.ParseRecord(data)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if again, err := r.AppendBinary(nil); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s is written as\n%x, %v, and was\n%x", path, again, err, data)
		}
		if after, _ := r.AppendBinary([]byte("before")); !bytes.Equal(after, append([]byte("before"), data...)) {
			t.Errorf("%s: AppendBinary does not append", path)
		}
		// What it says, in words that will be read the same.
		if err := b.store.Store.Commit(t.Context(), remint.Batch{Put: []remint.Put{{Record: r}}}); err != nil {
			t.Fatal(err)
		}
		text, err := b.get(r.ID()).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, fmt.Sprintf("\nsweep at %v, revision %d, owner %q, parent %q\n", r.SweepAt(), r.Revision(), r.Owner(), r.Parent())...)
		words := strings.TrimSuffix(path, ".bin") + ".txt"
		writeGolden(t, words, text)
		if want, err := os.ReadFile(words); err != nil || !bytes.Equal(text, want) {
			t.Errorf("%s: %v: it says\n%s, and said\n%s", words, err, text, want)
		}
	}
	for path := range missing {
		t.Errorf("%s is missing: run with -update", path)
	}
}

func TestGoldenEventsAreReadAndWrittenAsTheyAre(t *testing.T) {
	for name, e := range goldenEvents(t) {
		data, err := e.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := remint.ParseEvent(data); err != nil || back != e {
			t.Errorf("%s: %+v comes back as %+v, %v", name, e, back, err)
		}
		path := "testdata/event-v1-" + name + ".bin"
		writeGolden(t, path, data)
		if _, err := os.Stat(path); err != nil {
			t.Errorf("%s is missing: run with -update", path)
		}
	}
	for _, kind := range []remint.EventKind{
		remint.EventIssue, remint.EventUpdate, remint.EventRotate, remint.EventConfirm, remint.EventCancel, remint.EventFinish,
		remint.EventEndSessions, remint.EventRevoke, remint.EventSeal, remint.EventReplay, remint.EventReuse, remint.EventRemove, remint.EventRestore,
	} {
		if _, err := os.Stat("testdata/event-v1-" + string(kind) + ".bin"); err != nil {
			t.Error(err)
		}
	}
	for _, path := range goldenFiles(t, "event") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		e, err := remint.ParseEvent(data)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if again, err := e.AppendBinary(nil); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%s is written as\n%x, %v, and was\n%x", path, again, err, data)
		}
		text := fmt.Sprintf("%+v\n", e)
		words := strings.TrimSuffix(path, ".bin") + ".txt"
		writeGolden(t, words, []byte(text))
		if want, err := os.ReadFile(words); err != nil || text != string(want) {
			t.Errorf("%s: %v: it says\n%s, and said\n%s", words, err, text, want)
		}
	}
}

// parseStored reads a record or an event, and returns how it is written.
func parseStored(kind string, data []byte) (again []byte, err error) {
	if kind == "event" {
		e, err := remint.ParseEvent(data)
		if err != nil {
			return nil, err
		}
		return e.AppendBinary(nil)
	}
	r, err := remint.ParseRecord(data)
	if err != nil {
		return nil, err
	}
	return r.AppendBinary(nil)
}

func TestADamagedGoldenFileIsAnErrorAndNeverAPanic(t *testing.T) {
	for _, kind := range []string{"record", "event"} {
		for _, path := range goldenFiles(t, kind) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for n := range data {
				if _, err := parseStored(kind, data[:n]); err == nil {
					t.Errorf("%s, cut at %d, is read", path, n)
				}
				if n > 0 {
					if _, err := parseStored(kind, data[n:]); err == nil {
						t.Errorf("%s, begun at %d, is read", path, n)
					}
				}
				for bit := range 8 {
					flipped := bytes.Clone(data)
					flipped[n] ^= 1 << bit
					_, err := parseStored(kind, flipped)
					if err == nil {
						t.Errorf("%s with bit %d of byte %d flipped is read", path, bit, n)
					}
					wellSaid(t, path, err)
				}
			}
			if _, err := parseStored(kind, append(bytes.Clone(data), 0)); err == nil {
				t.Errorf("%s with a byte more is read", path)
			}
			if _, err := parseStored(kind, append(bytes.Clone(data), data...)); err == nil {
				t.Errorf("%s twice is read", path)
			}
		}
		for _, data := range [][]byte{nil, {}, {1}, {1, 0, 0, 0, 0}, sealBytes([]byte{1}), sealBytes(nil), bytes.Repeat([]byte{1}, 1<<16)} {
			if _, err := parseStored(kind, data); err == nil {
				t.Errorf("%x is read as a %s", data, kind)
			} else {
				wellSaid(t, "damaged", err)
			}
		}
	}
}

// A checksum hides most damage from what follows it: here it is right, and the rest is not.
func TestATruncatedBodyWithARightChecksumIsNoRecordThatReadsDifferently(t *testing.T) {
	for _, kind := range []string{"record", "event"} {
		for _, path := range goldenFiles(t, kind) {
			data, _ := os.ReadFile(path)
			body := data[:len(data)-4]
			for n := range body {
				for bit := -1; bit < 8; bit++ {
					changed := body[:n]
					if bit >= 0 {
						changed = bytes.Clone(body)
						changed[n] ^= 1 << bit
					}
					stored := sealBytes(changed)
					if again, err := parseStored(kind, stored); err == nil && !bytes.Equal(again, stored) {
						t.Errorf("%s with byte %d, bit %d: %x is written as %x", path, n, bit, stored, again)
					}
				}
			}
		}
	}
}

func TestWhatANewerVersionWroteIsRefusedPolitely(t *testing.T) {
	record, err := os.ReadFile("testdata/record-v1-issued.bin")
	if err != nil {
		t.Fatal(err)
	}
	event, err := os.ReadFile("testdata/event-v1-issue.bin")
	if err != nil {
		t.Fatal(err)
	}
	body, eventBody := record[:len(record)-4], event[:len(event)-4]
	slot := bytes.Index(body, []byte{19, 0x2b}) // tag 9, odd; a length
	if slot < 0 {
		for n := 30; n < 127 && slot < 0; n++ {
			if at := bytes.Index(body, []byte{19, byte(n), 3, 32}); at >= 0 {
				slot = at
			}
		}
	}
	if slot < 0 {
		t.Fatal("the slot of the newest secret is not where it was")
	}
	algorithm := slot + 4 + 32
	if body[algorithm] != 2<<1 || body[algorithm+1] != 1 {
		t.Fatalf("the algorithm is not where it was: %x", body[slot:])
	}
	changed := func(at int, to byte) []byte {
		c := bytes.Clone(body)
		c[at] = to
		return c
	}
	// A field within the slot.
	grown := slices.Concat(body[:slot+1], []byte{body[slot+1] + 2}, body[slot+2:slot+2+int(body[slot+1])], []byte{40 << 1, 1}, body[slot+2+int(body[slot+1]):])
	// Flags come after the ID and the revision.
	flags := slices.Concat(body[:1+18+2], []byte{7 << 1, 1 << 5}, body[1+18+2:])
	for _, tt := range []struct {
		name, kind string
		data       []byte
	}{
		{"version 2", "record", sealBytes(changed(0, 2))},
		{"version 255", "record", sealBytes(changed(0, 255))},
		{"version 2 of another shape", "record", []byte{2}},
		{"version 2 with another checksum", "record", append(bytes.Clone(body[:0]), 2, 1, 2, 3, 4, 5, 6)},
		{"an unknown tag at the end", "record", sealBytes(append(bytes.Clone(body), 70<<1, 1))},
		{"an unknown tag of bytes", "record", sealBytes(append(bytes.Clone(body), 62<<1|1, 1, 'x'))},
		{"an unknown tag at the beginning", "record", sealBytes(slices.Concat(body[:1], []byte{1, 1, 1}, body[1:]))},
		{"an unknown flag", "record", sealBytes(flags)},
		{"an unknown digest algorithm", "record", sealBytes(changed(algorithm+1, 3))},
		{"an unknown field of a secret", "record", sealBytes(grown)},
		{"version 2 of an event", "event", sealBytes(append([]byte{2}, eventBody[1:]...))},
		{"an unknown tag of an event", "event", sealBytes(append(bytes.Clone(eventBody), 50<<1, 1))},
		{"an unknown tag of bytes of an event", "event", sealBytes(append(bytes.Clone(eventBody), 50<<1|1, 1, 'x'))},
	} {
		_, err := parseStored(tt.kind, tt.data)
		if err == nil || !strings.Contains(err.Error(), "newer") || !strings.Contains(err.Error(), "upgrade") {
			t.Errorf("%s: %v", tt.name, err)
		}
		wellSaid(t, tt.name, err)
	}
	// Damage is not called newer, nor is there an older version.
	for name, data := range map[string][]byte{
		"a wrong checksum": append(bytes.Clone(body), 0, 0, 0, 0), "version 0": sealBytes(changed(0, 0)), "zeros": make([]byte, 100),
	} {
		if _, err := parseStored("record", data); err == nil || strings.Contains(err.Error(), "newer") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func fuzzStored(f *testing.F, kind string, seeds ...[]byte) {
	for _, path := range goldenFiles(f, kind) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data[:len(data)-4])
	}
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, err := parseStored(kind, body); err == nil && (len(body) < 4 || !bytes.Equal(sealBytes(body[:len(body)-4]), body)) {
			t.Fatalf("%x is read with another checksum", body)
		}
		stored := sealBytes(body)
		before := bytes.Clone(stored)
		defer func() {
			if !bytes.Equal(stored, before) {
				t.Fatalf("reading %x has changed it", before)
			}
		}()
		if again, err := parseStored(kind, stored); err == nil && !bytes.Equal(again, stored) {
			t.Fatalf("%x is written as %x", stored, again)
		} else if err != nil && !strings.HasPrefix(err.Error(), "remint: ") {
			t.Fatal(err)
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	id := slices.Concat([]byte{1, 3, 16}, bytes.Repeat([]byte{7}, 16))
	network := func(b ...byte) []byte { return slices.Concat(id, []byte{32<<1 | 1, byte(len(b))}, b) }
	v6 := append([]byte{0xfe, 0x80}, make([]byte, 14)...)
	fuzzStored(f, "record", nil, []byte{1}, id,
		network(10, 0, 0, 0, 8), network(10, 1, 2, 3, 8), network(10, 0, 0, 0, 33), network(append(v6, 64)...),
		network(append(v6, 'e', 't', 'h', 64)...), network(0), network(8), network(1, 2, 3),
		slices.Concat(id, []byte{33<<1 | 1, 2, 0, 0}), slices.Concat(id, []byte{33<<1 | 1, 3, 1, 'a', 0}),
		slices.Concat(id, []byte{33<<1 | 1, 4, 0x81, 0, 'a', 0}), slices.Concat(id, []byte{19 << 1, 0x80, 0}),
		slices.Concat(id, []byte{19 << 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}),
		slices.Concat(id, []byte{19 << 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2}),
		slices.Concat(id, []byte{4<<1 | 1, 16}, make([]byte, 16)),
	)
}

func FuzzParseEvent(f *testing.F) {
	zero := uint64(-(time.Time{}).UnixMicro())*2 - 1 // the zero time, in zigzag
	var at []byte
	for v := zero; ; v >>= 7 {
		if bits.Len64(v) <= 7 {
			at = append(at, byte(v))
			break
		}
		at = append(at, byte(v)|0x80)
	}
	fuzzStored(f, "event", nil, []byte{1}, []byte{1, 3<<1 | 1, 1, 'x'},
		slices.Concat([]byte{1, 2 << 1}, at, []byte{3<<1 | 1, 1, 'x'}),
		slices.Concat([]byte{1, 2 << 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 3<<1 | 1, 1, 'x'}),
		slices.Concat([]byte{1, 3<<1 | 1, 1, 'x', 8<<1 | 1, 3}, []byte("::1")),
		slices.Concat([]byte{1, 3<<1 | 1, 1, 'x', 8<<1 | 1, 15}, []byte("0:0:0:0:0:0:0:1")),
		slices.Concat([]byte{1, 3<<1 | 1, 1, 'x', 8<<1 | 1, 5}, []byte("::1%%")),
		slices.Concat([]byte{1, 3<<1 | 1, 1, 'x', 8<<1 | 1, 9}, []byte("1.2.3.004")),
	)
}

func TestEveryRecordThatOperationsMakeIsReadAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBed(t, &remint.Options{RevokeOnReuse: rapid.Bool().Draw(rt, "revoke")}) // whose store reads back what is written
		peppered := bedOver(t, b.store, b.clock, &remint.Options{Peppers: [][]byte{bytes.Repeat([]byte{1}, 32)}})
		ctx := t.Context()
		grants := []remint.Grant{b.issue(remint.Spec{Capabilities: remint.Allow("*")})}
		some := func() remint.Grant { return rapid.SampledFrom(grants).Draw(rt, "token") }
		wait := rapid.SampledFrom([]time.Duration{0, time.Microsecond, time.Minute, time.Hour, 8 * 24 * time.Hour})
		keep := func(g remint.Grant, err error) {
			if err == nil {
				grants = append(grants, g)
			}
		}
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			b := b
			if rapid.Bool().Draw(rt, "peppered") {
				b = peppered
			}
			id := some().Token.ID()
			b.wait(wait.Draw(rt, "wait"))
			switch rapid.IntRange(0, 9).Draw(rt, "op") {
			case 0:
				spec := remint.Spec{
					Name: rapid.StringMatching(`[a-zé]{0,9}`).Draw(rt, "name"), Owner: rapid.SampledFrom([]string{"", "o", "ö"}).Draw(rt, "owner"),
					Attributes: rapid.MapOfN(rapid.StringN(1, 5, 20), rapid.StringN(0, 5, 20), 0, 5).Draw(rt, "attributes"),
				}
				if rapid.Bool().Draw(rt, "expires") {
					spec.ExpiresAt = b.in(time.Duration(rapid.Int64Range(1000, math.MaxInt64).Draw(rt, "lifetime")))
				}
				if rapid.Bool().Draw(rt, "child") {
					spec.Parent, spec.Owner = id, ""
				}
				if bitsOf := rapid.IntRange(-1, 32).Draw(rt, "bits"); bitsOf >= 0 {
					spec.Networks = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(rt, "net"))), bitsOf).Masked()}
				}
				keep(b.op.Issue(ctx, spec))
			case 1, 2, 3:
				var r remint.Rotation
				d := time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(rt, "after"))
				r.Retire = rapid.SampledFrom([]remint.Retirement{{}, remint.RetireAfter(d), remint.RetireAt(b.in(d)), remint.RetireAfterFirstUse(d)}).Draw(rt, "retire")
				if r.KeepSessions = rapid.Bool().Draw(rt, "keep"); !r.KeepSessions && rapid.Bool().Draw(rt, "successor") {
					r.Successor = &remint.Successor{}
				}
				keep(b.op.Rotate(ctx, id, r))
			case 4, 5:
				b.Verify(ctx, some().Secret.Reveal(), netip.Addr{})
			case 6:
				keep(b.op.StartSession(ctx, id, remint.Session{Manages: rapid.Bool().Draw(rt, "manages")}))
			case 7:
				b.op.CancelRotation(ctx, id)
				b.op.EndSessions(ctx, id)
			case 8:
				b.op.FinishRotation(ctx, id)
				b.Sweep(ctx)
			case 9:
				b.op.Revoke(ctx, id)
			}
		}
		if t.Failed() {
			rt.Fatal("see above")
		}
	})
}
