package remint_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// A bed is an Issuer over a store that is watched, with a clock that stands still.
type bed struct {
	testing.TB
	*remint.Issuer
	op      remint.Actor
	store   *spyStore
	clock   *atomic.Int64 // microseconds
	options remint.Options

	mu       sync.Mutex
	observed []remint.Event
}

var bedStart = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

func newBed(t testing.TB, o *remint.Options) *bed {
	t.Helper()
	clock := new(atomic.Int64)
	clock.Store(bedStart.UnixMicro())
	s := &spyStore{Store: &mapStore{recs: map[remint.ID]*remint.Record{}}, t: t}
	return bedOver(t, s, clock, o)
}

// bedOver returns a bed with another Issuer over the same store and clock.
func bedOver(t testing.TB, s *spyStore, clock *atomic.Int64, o *remint.Options) *bed {
	t.Helper()
	b := &bed{TB: t, store: s, clock: clock}
	if o != nil {
		b.options = *o
	}
	if b.options.Prefixes == nil {
		b.options.Prefixes = []string{"pk_", "xaat-"}
	}
	b.options.Now = func() time.Time { return time.UnixMicro(clock.Load()) }
	b.options.Observe = func(_ context.Context, e remint.Event) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.observed = append(b.observed, e)
	}
	i, err := remint.New(s, &b.options)
	if err != nil {
		t.Fatal(err)
	}
	b.Issuer, b.op = i, i.Operator("root")
	return b
}

func (b *bed) now() time.Time               { return time.UnixMicro(b.clock.Load()).UTC() }
func (b *bed) wait(d time.Duration)         { b.clock.Add(d.Microseconds()) }
func (b *bed) in(d time.Duration) time.Time { return b.now().Add(d) }

// took returns what was observed since the last call.
func (b *bed) took() []remint.Event {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.observed
	b.observed = nil
	return o
}

func (b *bed) issue(s remint.Spec) remint.Grant {
	b.Helper()
	g, err := b.op.Issue(b.Context(), s)
	if err != nil {
		b.Fatal(err)
	}
	return g
}

func (b *bed) session(id remint.ID, s remint.Session) remint.Grant {
	b.Helper()
	g, err := b.op.StartSession(b.Context(), id, s)
	if err != nil {
		b.Fatal(err)
	}
	return g
}

func (b *bed) rotate(id remint.ID, r remint.Rotation) remint.Grant {
	b.Helper()
	g, err := b.op.Rotate(b.Context(), id, r)
	if err != nil {
		b.Fatal(err)
	}
	return g
}

func (b *bed) revoke(id remint.ID) {
	b.Helper()
	if err := b.op.Revoke(b.Context(), id); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) get(id remint.ID) remint.Token {
	b.Helper()
	t, err := b.op.Get(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	return t
}

func (b *bed) sweep() {
	b.Helper()
	if err := b.Sweep(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) accepted(g remint.Grant) remint.Token {
	b.Helper()
	t, err := b.Verify(b.Context(), g.Secret.Reveal(), netip.Addr{})
	if err != nil {
		b.Fatalf("%s is refused: %v", g.Token.ID(), err)
	}
	return t
}

// denied checks that the secret is refused for that reason.
func (b *bed) denied(g remint.Grant, reason string) {
	b.Helper()
	b.mu.Lock()
	from := len(b.observed)
	b.mu.Unlock()
	_, err := b.Verify(b.Context(), g.Secret.Reveal(), netip.Addr{})
	if !errors.Is(err, remint.ErrDenied) {
		b.Errorf("Verify = %v, want ErrDenied for %q", err, reason)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.observed[from:] {
		if e.Kind == remint.EventDeny {
			if e.Reason != reason {
				b.Errorf("denied for %q, want %q", e.Reason, reason)
			}
			return
		}
	}
	b.Errorf("a denial was not observed")
}

// log returns all the events that are stored.
func (b *bed) log() []remint.Event {
	b.Helper()
	var all []remint.Event
	for at := remint.Cursor(""); ; {
		page, next, err := b.Events(b.Context(), at)
		if err != nil {
			b.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all, at = append(all, page...), next
	}
}

// raw returns the stored record.
func (b *bed) raw(id remint.ID) *remint.Record {
	b.Helper()
	r, err := b.store.Store.Load(b.Context(), id)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// all returns all stored records.
func (b *bed) all() []*remint.Record {
	b.Helper()
	var all []*remint.Record
	for after := (remint.ID{}); ; {
		page, err := b.store.Store.Scan(b.Context(), after, 1000)
		if err != nil {
			b.Fatal(err)
		}
		if len(page) == 0 {
			return all
		}
		all, after = append(all, page...), page[len(page)-1].ID()
	}
}

// bytes returns what a store would have on its disk.
func (b *bed) bytes() []byte {
	var all []byte
	for _, r := range b.all() {
		all, _ = r.AppendBinary(all)
	}
	for _, e := range b.log() {
		all, _ = e.AppendBinary(all)
	}
	return all
}

// A spyStore counts what is asked of a Store, and holds every Commit to the Batch's
// contract and to the law that each record changed has one event in the same commit.
type spyStore struct {
	remint.Store
	t              testing.TB
	loads, commits atomic.Int64
	before         func(remint.Batch) // a Commit; without locks
	fails          func(remint.Batch) error

	mu      sync.Mutex
	removed map[remint.ID]int // by events that were stored; the log is trimmed
}

func (s *spyStore) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	s.loads.Add(1)
	return s.Store.Load(ctx, id)
}

func (s *spyStore) Commit(ctx context.Context, b remint.Batch) error {
	s.commits.Add(1)
	s.check(b)
	if s.before != nil {
		s.before(b)
	}
	if s.fails != nil {
		if err := s.fails(b); err != nil {
			return err
		}
	}
	count := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, e := range b.Log {
			if e.Kind == remint.EventRemove {
				if s.removed == nil {
					s.removed = map[remint.ID]int{}
				}
				s.removed[e.Token]++
			}
		}
	}
	// Whatever the store says of a failure, what it removed is gone.
	err := s.Store.Commit(ctx, b)
	if err == nil || len(b.Delete) > 0 && !errors.Is(err, remint.ErrConflict) && s.gone(b.Delete[0]) {
		count()
	}
	return err
}

func (s *spyStore) gone(r *remint.Record) bool {
	_, err := s.Store.Load(context.Background(), r.ID())
	return errors.Is(err, remint.ErrNotFound)
}

func (s *spyStore) check(b remint.Batch) {
	if n := len(b.Guard) + len(b.Put) + len(b.Delete) + len(b.Touch) + len(b.Log); n > 64 {
		s.t.Errorf("a Batch has %d records and events, and may have 64", n)
	}
	once := map[remint.ID]bool{}
	var records []*remint.Record
	for _, p := range b.Put {
		records = append(records, p.Record)
		restored := slices.ContainsFunc(b.Log, func(e remint.Event) bool { return e.Token == p.Record.ID() && e.Kind == remint.EventRestore })
		if next := p.Replaces + 1; p.Record.Revision() != next && !(restored && p.Record.Revision() > next) {
			s.t.Errorf("revision %d replaces %d", p.Record.Revision(), p.Replaces)
		}
	}
	changed := map[remint.ID]uint64{}
	for _, r := range slices.Concat(records, b.Delete) {
		changed[r.ID()] = r.Revision()
	}
	for _, r := range slices.Concat(records, b.Delete, b.Touch) {
		if once[r.ID()] {
			s.t.Errorf("%v is in a Batch twice", r)
		}
		once[r.ID()] = true
		data, err := r.AppendBinary(nil)
		if err != nil || len(data) > 64<<10 {
			s.t.Errorf("%v has %d bytes, %v", r, len(data), err)
		}
		back, err := remint.ParseRecord(data)
		if err != nil {
			s.t.Errorf("%v: %v", r, err)
		} else if again, _ := back.AppendBinary(nil); string(again) != string(data) {
			s.t.Errorf("%v is not what was written", r)
		}
	}
	for _, e := range b.Log {
		if e.Kind == remint.EventReplay { // no record changes, and what was handed out again is guarded
			if !slices.ContainsFunc(append(b.Guard, records...), func(r *remint.Record) bool { return r.ID() == e.Token && r.Revision() == e.Revision }) {
				s.t.Errorf("the replay of %v@%d is not guarded", e.Token, e.Revision)
			}
		} else if at, ok := changed[e.Token]; !ok || at != e.Revision {
			s.t.Errorf("event %q of %v@%d is not of a record in the same Batch", e.Kind, e.Token, e.Revision)
		}
		delete(changed, e.Token)
		data, err := e.AppendBinary(nil)
		if err != nil {
			s.t.Error(err)
		}
		if back, err := remint.ParseEvent(data); err != nil || back != e {
			s.t.Errorf("event %+v comes back as %+v, %v", e, back, err)
		}
	}
	for id := range changed {
		s.t.Errorf("a change of %v has no event", id)
	}
}

// sealText returns text with its checksum: six base62 digits of its CRC-32C.
func sealText(text string) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := crc32.Checksum([]byte(text), crc32.MakeTable(crc32.Castagnoli))
	var tail [6]byte
	for k := range tail {
		tail[5-k] = digits[sum%62]
		sum /= 62
	}
	return text + string(tail[:])
}

// sealBytes returns a stored form's body with its checksum.
func sealBytes(body []byte) []byte {
	return binary.BigEndian.AppendUint32(slices.Clip(body), crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli)))
}

// An eventLine is what a test says of an event: kind token@revision #generation other actor.
func eventLine(names map[remint.ID]string, e remint.Event) string {
	name := func(id remint.ID) string {
		if id.IsZero() {
			return "-"
		}
		if n, ok := names[id]; ok {
			return n
		}
		return id.String()
	}
	actor := e.Actor
	if id, err := remint.ParseID(actor); err == nil {
		actor = name(id)
	}
	line := fmt.Sprintf("%s %s@%d #%d %s by %s", e.Kind, name(e.Token), e.Revision, e.Generation, name(e.Other), actor)
	if e.Age != 0 {
		line += fmt.Sprintf(" age %v", e.Age)
	}
	if e.Reason != "" {
		line += " reason " + e.Reason
	}
	return line
}

// wantEvents compares events, however ordered within a commit, with their lines.
func wantEvents(t testing.TB, what string, names map[remint.ID]string, got []remint.Event, want ...string) {
	t.Helper()
	var lines []string
	for _, e := range got {
		lines = append(lines, eventLine(names, e))
	}
	slices.Sort(lines)
	slices.Sort(want)
	if !slices.Equal(lines, want) {
		t.Errorf("%s: events\n\t%s\nwant\n\t%s", what, strings.Join(lines, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// An eventCase does one thing, and says which events that makes.
type eventCase struct {
	name string
	do   func(*eventBed) error
	want []string
}

// An eventBed has a few tokens that have names in events.
type eventBed struct {
	*bed
	names  map[remint.ID]string
	grants map[string]remint.Grant
	from   int // the first event of what is tested
}

var errUnchanged = errors.New("no change, please")

// mark begins what is tested: what came before is preparation.
func (b *eventBed) mark() {
	b.from = len(b.log())
	b.took()
}

func (b *eventBed) call(name string, g remint.Grant) remint.Grant {
	b.names[g.Token.ID()] = name
	b.grants[name] = g
	return g
}

func (b *eventBed) id(name string) remint.ID { return b.grants[name].Token.ID() }

func (b *eventBed) bearer(name string) remint.Actor {
	return b.Bearer(b.grants[name].Secret.Reveal(), netip.MustParseAddr("192.0.2.1"))
}

// It fails without each of these (internal/mutants): the event of each record; the one event of a
// change that implies a confirmation; the look whether there is anything to change.
func TestEachRecordThatAnOperationChangesHasOneEventInTheSameCommit(t *testing.T) {
	ctx := t.Context()
	for _, tt := range []eventCase{
		{"issue", func(b *eventBed) error {
			b.call("new", b.issue(remint.Spec{Owner: "o"}))
			return nil
		}, []string{"issue new@1 #1 - by root"}},
		{"issue a child", func(b *eventBed) error {
			b.call("new", b.issue(remint.Spec{Parent: b.id("a")}))
			return nil
		}, []string{"issue new@1 #1 a by root"}},
		{"issue by a member", func(b *eventBed) error {
			g, err := b.Member("o", "ada", remint.Allow("*")).Issue(ctx, remint.Spec{})
			b.call("new", g)
			return err
		}, []string{"issue new@1 #1 - by ada"}},
		{"issue by a bearer", func(b *eventBed) error {
			g, err := b.bearer("a").Issue(ctx, remint.Spec{})
			b.call("new", g)
			return err
		}, []string{"issue new@1 #1 - by a"}},
		{"issue by a bearer whose secret is not confirmed", func(b *eventBed) error {
			b.call("a", b.rotate(b.id("a"), remint.Rotation{}))
			b.mark()
			g, err := b.bearer("a").Issue(ctx, remint.Spec{})
			b.call("new", g)
			return err
		}, []string{"issue new@1 #1 - by a", "confirm a@3 #2 - by a"}},
		{"update", func(b *eventBed) error {
			_, err := b.op.Update(ctx, b.id("child"), func(s *remint.Spec) error { s.Name = "x"; return nil })
			return err
		}, []string{"update child@2 #1 a by root"}},
		{"an update that changes nothing", func(b *eventBed) error {
			_, err := b.op.Update(ctx, b.id("child"), func(s *remint.Spec) error { return nil })
			return err
		}, nil},
		{"an update that changes less than a microsecond", func(b *eventBed) error {
			_, err := b.op.Update(ctx, b.id("mortal"), func(s *remint.Spec) error {
				s.ExpiresAt = s.ExpiresAt.Add(time.Nanosecond)
				return nil
			})
			return err
		}, nil},
		{"rotate in place", func(b *eventBed) error {
			b.rotate(b.id("a"), remint.Rotation{})
			return nil
		}, []string{"rotate a@2 #2 - by root"}},
		{"rotate in place, a child", func(b *eventBed) error {
			b.rotate(b.id("child"), remint.Rotation{Retire: remint.RetireAfter(time.Hour)})
			return nil
		}, []string{"rotate child@2 #2 a by root"}},
		{"rotate oneself with a secret that is not confirmed", func(b *eventBed) error {
			b.call("a", b.rotate(b.id("a"), remint.Rotation{}))
			b.mark()
			_, err := b.bearer("a").Rotate(ctx, b.id("a"), remint.Rotation{})
			return err
		}, []string{"rotate a@3 #3 - by a"}},
		{"rotate to a successor", func(b *eventBed) error {
			b.call("next", b.rotate(b.id("a"), remint.Rotation{Successor: &remint.Successor{}}))
			return nil
		}, []string{"rotate a@2 #1 next by root", "issue next@1 #1 a by root"}},
		{"rotate to another successor", func(b *eventBed) error {
			b.call("next", b.rotate(b.id("a"), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(time.Hour)}))
			b.mark()
			b.call("other", b.rotate(b.id("a"), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(time.Hour)}))
			return nil
		}, []string{"rotate a@3 #1 other by root", "issue other@1 #1 a by root", "cancel next@2 #1 a by root"}},
		{"confirm", func(b *eventBed) error {
			b.call("a", b.rotate(b.id("a"), remint.Rotation{Retire: remint.RetireAfterFirstUse(0)}))
			b.mark()
			b.accepted(b.grants["a"])
			return nil
		}, []string{"confirm a@3 #2 - by a"}},
		{"confirm a successor", func(b *eventBed) error {
			b.call("next", b.rotate(b.id("a"), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(time.Hour)}))
			b.mark()
			b.accepted(b.grants["next"])
			return nil
		}, []string{"confirm next@2 #1 a by next", "confirm a@3 #1 next by next"}},
		{"the second use of a secret", func(b *eventBed) error {
			b.call("a", b.rotate(b.id("a"), remint.Rotation{}))
			b.accepted(b.grants["a"])
			b.mark()
			b.accepted(b.grants["a"])
			return nil
		}, nil},
		{"reading with a secret that is not confirmed", func(b *eventBed) error {
			b.call("a", b.rotate(b.id("a"), remint.Rotation{}))
			b.mark()
			_, err := b.bearer("a").Get(ctx, b.id("child"))
			return err
		}, []string{"confirm a@3 #2 - by a"}},
		{"a refusal after the secret passed", func(b *eventBed) error {
			b.call("a", b.rotate(b.id("a"), remint.Rotation{}))
			b.mark()
			if err := b.bearer("a").Revoke(ctx, b.id("stranger")); !errors.Is(err, remint.ErrNotFound) {
				return fmt.Errorf("revoking a stranger's: %v", err)
			}
			return nil
		}, []string{"confirm a@3 #2 - by a"}},
		{"cancel", func(b *eventBed) error {
			b.rotate(b.id("a"), remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
			b.mark()
			_, err := b.op.CancelRotation(ctx, b.id("a"))
			return err
		}, []string{"cancel a@3 #2 - by root"}},
		{"cancel a successor", func(b *eventBed) error {
			b.call("next", b.rotate(b.id("a"), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(time.Hour)}))
			b.mark()
			_, err := b.op.CancelRotation(ctx, b.id("a"))
			return err
		}, []string{"cancel a@3 #1 next by root", "cancel next@2 #1 a by root"}},
		{"cancel nothing", func(b *eventBed) error {
			_, err := b.op.CancelRotation(ctx, b.id("a"))
			return err
		}, nil},
		{"finish", func(b *eventBed) error {
			b.accepted(b.rotate(b.id("a"), remint.Rotation{Retire: remint.RetireAfter(time.Hour)}))
			b.mark()
			_, err := b.op.FinishRotation(ctx, b.id("a"))
			return err
		}, []string{"finish a@4 #2 - by root"}},
		{"finish for a successor", func(b *eventBed) error {
			b.accepted(b.call("next", b.rotate(b.id("a"), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(time.Hour)})))
			b.mark()
			_, err := b.op.FinishRotation(ctx, b.id("a"))
			return err
		}, []string{"finish a@4 #1 next by root"}},
		{"finish nothing", func(b *eventBed) error {
			_, err := b.op.FinishRotation(ctx, b.id("a"))
			return err
		}, nil},
		{"finish too early", func(b *eventBed) error {
			b.rotate(b.id("a"), remint.Rotation{Retire: remint.RetireAfter(time.Hour)})
			b.mark()
			if _, err := b.op.FinishRotation(ctx, b.id("a")); !errors.Is(err, remint.ErrConflict) {
				return fmt.Errorf("FinishRotation = %v", err)
			}
			return nil
		}, nil},
		{"revoke", func(b *eventBed) error { return b.op.Revoke(ctx, b.id("child")) },
			[]string{"revoke child@2 #1 a by root"}},
		{"revoke oneself with a secret that is not confirmed", func(b *eventBed) error {
			b.call("a", b.rotate(b.id("a"), remint.Rotation{}))
			b.mark()
			return b.bearer("a").Revoke(ctx, b.id("a"))
		}, []string{"revoke a@3 #2 - by a"}},
		{"revoke what is revoked", func(b *eventBed) error {
			b.revoke(b.id("a"))
			b.mark()
			return b.op.Revoke(ctx, b.id("a"))
		}, nil},
		{"end sessions", func(b *eventBed) error { return b.op.EndSessions(ctx, b.id("a")) },
			[]string{"end-sessions a@2 #1 - by root"}},
		{"start a session", func(b *eventBed) error {
			b.call("session", b.session(b.id("a"), remint.Session{}))
			return nil
		}, []string{"issue session@1 #1 a by root"}},
		{"start a session from a session's bearer", func(b *eventBed) error {
			b.call("boss", b.session(b.id("a"), remint.Session{Manages: true}))
			b.mark()
			g, err := b.bearer("boss").StartSession(ctx, b.id("a"), remint.Session{})
			b.call("session", g)
			return err
		}, []string{"issue session@1 #1 a by boss"}},
		{"what is refused", func(b *eventBed) error {
			_, e1 := b.bearer("a").Issue(ctx, remint.Spec{Owner: "x"})
			_, e2 := b.bearer("a").Get(ctx, b.id("stranger"))
			_, e3 := b.op.Rotate(ctx, b.id("a"), remint.Rotation{IfRevision: 9})
			_, e4 := b.op.Update(ctx, b.id("a"), func(s *remint.Spec) error { return errUnchanged })
			_, e5 := b.op.Issue(ctx, remint.Spec{Name: "\x00"})
			for k, e := range []error{e1, e2, e3, e4, e5} {
				if e == nil {
					return fmt.Errorf("operation %d was not refused", k+1)
				}
			}
			return nil
		}, nil},
		{"what only reads", func(b *eventBed) error {
			for range b.op.List(ctx, remint.Query{AllOwners: true, Ended: true}) {
			}
			b.accepted(b.grants["a"])
			_, e1 := b.bearer("a").Get(ctx, b.id("a"))
			_, e2 := b.CheckPeppers(ctx)
			_, e3 := b.Identify(b.grants["a"].Secret.Reveal())
			return errors.Join(e1, e2, e3)
		}, nil},
		{"a sweep that finds nothing to remove", func(b *eventBed) error {
			b.accepted(b.grants["a"])
			return b.Sweep(ctx)
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &eventBed{bed: newBed(t, nil), names: map[remint.ID]string{}, grants: map[string]remint.Grant{}}
			b.call("a", b.issue(remint.Spec{Owner: "o", Capabilities: remint.Allow("x")}))
			b.call("child", b.issue(remint.Spec{Parent: b.id("a")}))
			b.call("mortal", b.issue(remint.Spec{Owner: "o", ExpiresAt: b.in(time.Hour)}))
			b.call("stranger", b.issue(remint.Spec{Owner: "other"}))
			b.wait(time.Second)
			b.mark()
			if err := tt.do(b); err != nil {
				t.Fatal(err)
			}
			stored := b.log()[b.from:]
			wantEvents(t, "stored", b.names, stored, slices.Clone(tt.want)...)
			wantEvents(t, "observed", b.names, storable(b.took()), slices.Clone(tt.want)...)
			for _, e := range stored {
				if !e.At.Equal(b.now()) || e.At.Location() != time.UTC || e.Owner != "o" {
					t.Errorf("event %+v is not of now or not of its owner", e)
				}
				if _, err := remint.ParseID(e.Actor); err == nil && e.Kind != remint.EventConfirm && e.From != netip.MustParseAddr("192.0.2.1") {
					t.Errorf("event %+v does not say from where", e)
				}
			}
		})
	}
}

// storable returns those of the events that are not only observed; a later reuse is one.
func storable(events []remint.Event) (kept []remint.Event) {
	for _, e := range events {
		if e.Kind != remint.EventVerify && e.Kind != remint.EventDeny {
			kept = append(kept, e)
		}
	}
	return kept
}

// It fails without a log in which there are no denials (internal/mutants).
func TestADenialWritesNothing(t *testing.T) {
	b := newBed(t, nil)
	ctx := t.Context()
	a := b.issue(remint.Spec{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	root := b.issue(remint.Spec{Capabilities: remint.Allow("*")})
	child := b.issue(remint.Spec{Parent: root.Token.ID()})
	b.op.EndSessions(ctx, root.Token.ID())
	expired := b.issue(remint.Spec{ExpiresAt: b.in(time.Minute)})
	revoked := b.issue(remint.Spec{})
	b.revoke(revoked.Token.ID())
	rotated := b.issue(remint.Spec{})
	lapsing := b.rotate(rotated.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
	cancelled := b.issue(remint.Spec{})
	dropped := b.rotate(cancelled.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
	b.op.CancelRotation(ctx, cancelled.Token.ID())
	session := b.session(root.Token.ID(), remint.Session{})
	b.accepted(b.rotate(root.Token.ID(), remint.Rotation{}))
	unborn := newBed(t, nil).issue(remint.Spec{})
	forged := a.Secret.Reveal()
	forged = sealText(forged[:29] + strings.Repeat("A", 43))
	b.wait(8 * 24 * time.Hour)

	b.sweep() // whatever may be remembered of those that were accepted
	commits, n := b.store.commits.Load(), len(b.log())
	for _, tt := range []struct{ text, reason string }{
		{"", remint.ReasonForm},
		{"pk_", remint.ReasonForm},
		{strings.Repeat("x", 1<<20), remint.ReasonForm},
		{forged[:77] + "~", remint.ReasonForm},
		{forged, remint.ReasonSecret},
		{unborn.Secret.Reveal(), remint.ReasonUnknown},
		{sealText("xaat-" + forged[3:72]), remint.ReasonUnknown},
		{a.Secret.Reveal(), remint.ReasonNetwork},
		{child.Secret.Reveal(), remint.ReasonParent},
		{expired.Secret.Reveal(), remint.ReasonExpired},
		{revoked.Secret.Reveal(), remint.ReasonRevoked},
		{lapsing.Secret.Reveal(), remint.ReasonLapsed},
		{dropped.Secret.Reveal(), remint.ReasonSecret},
	} {
		for range 2 {
			b.took()
			for name, err := range map[string]error{
				"Verify": func() error { _, err := b.Verify(ctx, tt.text, netip.Addr{}); return err }(),
				"Get":    func() error { _, err := b.Bearer(tt.text, netip.Addr{}).Get(ctx, a.Token.ID()); return err }(),
				"Revoke": b.Bearer(tt.text, netip.Addr{}).Revoke(ctx, a.Token.ID()),
			} {
				want := remint.ErrDenied
				if tt.reason == remint.ReasonNetwork {
					want = remint.ErrNetwork
				}
				if err != want {
					t.Errorf("%s of %q = %v, want %v and nothing more", name, tt.reason, err, want)
				}
			}
			seen := b.took()
			for _, e := range seen {
				if e.Kind != remint.EventDeny || e.Reason != tt.reason {
					t.Errorf("observed %q %q, want a denial for %q", e.Kind, e.Reason, tt.reason)
				}
			}
			if len(seen) != 3 {
				t.Errorf("%d events of three denials", len(seen))
			}
		}
	}
	_ = session
	if c := b.store.commits.Load(); c != commits {
		t.Errorf("denials made %d commits", c-commits)
	}
	if len(b.log()) != n {
		t.Errorf("denials stored %d events", len(b.log())-n)
	}
}

func TestASessionIsDeniedForThatWhenItsSecretStops(t *testing.T) {
	b := newBed(t, nil)
	root := b.issue(remint.Spec{})
	session := b.session(root.Token.ID(), remint.Session{})
	b.rotate(root.Token.ID(), remint.Rotation{})
	commits := b.store.commits.Load()
	b.denied(session, remint.ReasonSession)
	if b.store.commits.Load() != commits {
		t.Error("the denial wrote something")
	}
}

// It fails without the mark that the reuse of a secret is in the log (internal/mutants).
func TestTheFirstReuseOfEachRetiredSecretIsStoredAndLaterOnesAreObserved(t *testing.T) {
	b := newBed(t, nil)
	one := b.issue(remint.Spec{Owner: "o"})
	id := one.Token.ID()
	names := map[remint.ID]string{id: "a"}
	b.wait(time.Minute)
	two := b.rotate(id, remint.Rotation{})
	b.accepted(two)
	b.wait(time.Minute)
	three := b.rotate(id, remint.Rotation{})
	b.accepted(three)
	for _, tt := range []struct {
		of   remint.Grant
		wait time.Duration
		line string
		rev  int
		new  bool
	}{
		{one, time.Second, "reuse a@6 #1 - by  age 1m1s reason stale", 6, true},
		{one, time.Hour, "reuse a@6 #1 - by  age 1h1m1s reason old", 6, false},
		{two, 0, "reuse a@7 #2 - by  age 1h0m1s reason old", 7, true},
		{one, 0, "reuse a@7 #1 - by  age 1h1m1s reason old", 7, false},
		{two, time.Second, "reuse a@7 #2 - by  age 1h0m2s reason old", 7, false},
	} {
		b.wait(tt.wait)
		b.took()
		stored, commits := len(b.log()), b.store.commits.Load()
		b.denied(tt.of, remint.ReasonRetired)
		wantEvents(t, "observed", names, storable(b.took()), tt.line)
		if tt.new {
			wantEvents(t, "stored", names, b.log()[stored:], tt.line)
		} else if len(b.log()) != stored || b.store.commits.Load() != commits {
			t.Errorf("a later reuse of #%s wrote something", tt.line)
		}
	}
	b.accepted(three) // the default never kills
	if !b.get(id).State().RevokedAt.IsZero() {
		t.Error("a reuse revoked the token")
	}
}

func TestAReuseByABearerIsReportedAsOneByVerify(t *testing.T) {
	b := newBed(t, nil)
	one := b.issue(remint.Spec{})
	id := one.Token.ID()
	b.rotate(id, remint.Rotation{})
	b.wait(time.Second)
	n := len(b.log())
	from := netip.MustParseAddr("192.0.2.7")
	for range 2 {
		if err := b.Bearer(one.Secret.Reveal(), from).Revoke(t.Context(), id); !errors.Is(err, remint.ErrDenied) {
			t.Fatal(err)
		}
	}
	got := b.log()[n:]
	wantEvents(t, "stored", map[remint.ID]string{id: "a"}, got, "reuse a@3 #1 - by  age 1s reason stale")
	if len(got) == 1 && got[0].From != from {
		t.Errorf("the reuse was from %v", got[0].From)
	}
}

// Those of a successor's predecessor are retired with the whole token.
func TestThePredecessorsSecretIsReusedOnceItHasStopped(t *testing.T) {
	for _, tt := range []struct {
		name   string
		retire remint.Retirement
		age    time.Duration
	}{
		{"at once", remint.Retirement{}, 2 * time.Hour},
		{"after an hour", remint.RetireAfter(time.Hour), time.Hour},
		{"an hour after the first use", remint.RetireAfterFirstUse(time.Hour), time.Hour},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, nil)
			old := b.issue(remint.Spec{})
			next := b.rotate(old.Token.ID(), remint.Rotation{Successor: &remint.Successor{}, Retire: tt.retire})
			b.accepted(next)
			b.wait(2 * time.Hour)
			for k := range 3 {
				n := len(b.log())
				b.took()
				b.denied(old, remint.ReasonRetired)
				observed := storable(b.took())
				if len(observed) != 1 || observed[0].Kind != remint.EventReuse || observed[0].Age != tt.age ||
					observed[0].Generation != 1 || observed[0].Token != old.Token.ID() {
					t.Errorf("observed %+v", observed)
				}
				if stored := b.log()[n:]; (len(stored) == 1) != (k == 0) {
					t.Errorf("presentation %d stored %d events", k+1, len(stored))
				}
			}
			b.accepted(next)
		})
	}
}

func TestWhatNobodyEverUsedIsNoReuse(t *testing.T) {
	ctx := t.Context()
	for _, tt := range []struct {
		name string
		dead func(*bed, remint.ID) remint.Grant
	}{
		{"lapsed", func(b *bed, id remint.ID) remint.Grant {
			g := b.rotate(id, remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
			b.wait(7 * 24 * time.Hour)
			return g
		}},
		{"lapsed, and something came after", func(b *bed, id remint.ID) remint.Grant {
			g := b.rotate(id, remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
			b.wait(7 * 24 * time.Hour)
			b.rotate(id, remint.Rotation{})
			return g
		}},
		{"cancelled", func(b *bed, id remint.ID) remint.Grant {
			g := b.rotate(id, remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
			if _, err := b.op.CancelRotation(ctx, id); err != nil {
				b.Fatal(err)
			}
			return g
		}},
		{"replaced before it was delivered", func(b *bed, id remint.ID) remint.Grant {
			g := b.rotate(id, remint.Rotation{Retire: remint.RetireAfter(time.Hour)})
			b.rotate(id, remint.Rotation{})
			return g
		}},
		{"replaced twice", func(b *bed, id remint.ID) remint.Grant {
			g := b.rotate(id, remint.Rotation{})
			b.rotate(id, remint.Rotation{})
			b.accepted(b.rotate(id, remint.Rotation{}))
			return g
		}},
		{"a lapsed successor", func(b *bed, id remint.ID) remint.Grant {
			g := b.rotate(id, remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfterFirstUse(0)})
			b.wait(7 * 24 * time.Hour)
			return g
		}},
		{"a cancelled successor", func(b *bed, id remint.ID) remint.Grant {
			g := b.rotate(id, remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(time.Hour)})
			if _, err := b.op.CancelRotation(ctx, id); err != nil {
				b.Fatal(err)
			}
			return g
		}},
		{"a replaced successor", func(b *bed, id remint.ID) remint.Grant {
			g := b.rotate(id, remint.Rotation{Successor: &remint.Successor{}})
			b.rotate(id, remint.Rotation{Successor: &remint.Successor{}})
			return g
		}},
		{"the secret of a successor that was replaced by its own", func(b *bed, id remint.ID) remint.Grant {
			g := b.rotate(id, remint.Rotation{Successor: &remint.Successor{}})
			b.rotate(g.Token.ID(), remint.Rotation{})
			return g
		}},
		{"an unused successor that its own successor replaced", func(b *bed, id remint.ID) remint.Grant {
			g := b.rotate(id, remint.Rotation{Successor: &remint.Successor{}})
			b.rotate(g.Token.ID(), remint.Rotation{Successor: &remint.Successor{}})
			return g
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, &remint.Options{RevokeOnReuse: true})
			g := b.issue(remint.Spec{})
			b.accepted(g)
			dead := tt.dead(b, g.Token.ID())
			b.wait(time.Hour)
			n, commits := len(b.log()), b.store.commits.Load()
			b.took()
			for range 2 {
				if _, err := b.Verify(ctx, dead.Secret.Reveal(), netip.Addr{}); !errors.Is(err, remint.ErrDenied) {
					t.Fatalf("Verify = %v", err)
				}
			}
			for _, e := range b.took() {
				if e.Kind != remint.EventDeny || e.Reason == remint.ReasonRetired && e.Generation != 0 {
					t.Errorf("observed %+v", e)
				}
			}
			if len(b.log()) != n || b.store.commits.Load() != commits {
				t.Errorf("stored %+v", b.log()[n:])
			}
		})
	}
}

// It fails without the window in which whoever presents an old secret may be honest
// (internal/mutants).
func TestRevokeOnReuseRevokesOnlyAfterTheRetryWindow(t *testing.T) {
	for _, window := range []time.Duration{0, time.Second} {
		b := newBed(t, &remint.Options{RevokeOnReuse: true, RetryWindow: window})
		if window == 0 {
			window = 10 * time.Minute
		}
		one := b.issue(remint.Spec{})
		two := b.rotate(one.Token.ID(), remint.Rotation{})
		b.accepted(two)
		b.wait(window)
		b.denied(one, remint.ReasonRetired) // somebody honest may still be late, and it is in the log by now
		b.accepted(two)
		b.wait(time.Microsecond)
		b.took()
		n := len(b.log())
		b.denied(one, remint.ReasonRetired)
		b.denied(two, remint.ReasonRevoked)
		wantEvents(t, "stored", map[remint.ID]string{one.Token.ID(): "a"}, b.log()[n:], "revoke a@5 #2 - by ")
		reuses := 0
		for _, e := range b.took() {
			if e.Kind == remint.EventReuse {
				reuses++
			}
		}
		if reuses != 1 {
			t.Errorf("the reuse that revoked was observed %d times", reuses)
		}
	}
}

func TestAFirstReuseThatRevokesIsOneEventOfTheToken(t *testing.T) {
	b := newBed(t, &remint.Options{RevokeOnReuse: true})
	one := b.issue(remint.Spec{})
	two := b.rotate(one.Token.ID(), remint.Rotation{})
	b.accepted(two)
	b.wait(time.Hour)
	n := len(b.log())
	b.denied(one, remint.ReasonRetired)
	b.denied(two, remint.ReasonRevoked)
	b.denied(one, remint.ReasonRetired)
	wantEvents(t, "stored", map[remint.ID]string{one.Token.ID(): "a"}, b.log()[n:], "reuse a@4 #1 - by  age 1h0m0s reason old")
	if b.get(one.Token.ID()).State().RevokedAt.IsZero() {
		t.Error("the token is not revoked")
	}
}

func TestRevokeOnReuseReachesEverySuccessor(t *testing.T) {
	for _, n := range []int{1, 2, 5, 31, 40} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := newBed(t, &remint.Options{RevokeOnReuse: true})
			zero := b.issue(remint.Spec{})
			chain := []remint.Grant{b.rotate(zero.Token.ID(), remint.Rotation{})}
			b.accepted(chain[0])
			for range n {
				last := chain[len(chain)-1]
				next := b.rotate(last.Token.ID(), remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(24 * time.Hour)})
				b.accepted(next)
				chain = append(chain, next)
			}
			b.wait(time.Hour)
			for _, g := range chain {
				b.accepted(g)
			}
			b.denied(zero, remint.ReasonRetired)
			for k, g := range chain {
				if _, err := b.Verify(t.Context(), g.Secret.Reveal(), netip.Addr{}); !errors.Is(err, remint.ErrDenied) {
					t.Errorf("successor %d of %d lives on: %v", k, n, err)
					break
				}
			}
		})
	}
}

func TestTheReuseOfAPredecessorRevokesItsSuccessor(t *testing.T) {
	b := newBed(t, &remint.Options{RevokeOnReuse: true})
	old := b.issue(remint.Spec{})
	next := b.rotate(old.Token.ID(), remint.Rotation{Successor: &remint.Successor{}})
	last := b.rotate(next.Token.ID(), remint.Rotation{})
	b.accepted(last)
	names := map[remint.ID]string{old.Token.ID(): "old", next.Token.ID(): "next"}
	b.wait(10 * time.Minute)
	b.denied(old, remint.ReasonRetired)
	b.accepted(last)
	b.wait(time.Microsecond)
	n := len(b.log())
	b.denied(old, remint.ReasonRetired)
	b.denied(last, remint.ReasonRevoked)
	wantEvents(t, "stored", names, b.log()[n:], "revoke next@4 #2 - by ")
}

// It fails without the option without which a reuse ends nothing (internal/mutants).
func TestReuseByDefaultNeverKills(t *testing.T) {
	b := newBed(t, nil)
	secrets := []remint.Grant{b.issue(remint.Spec{})}
	for range 12 {
		g := b.rotate(secrets[0].Token.ID(), remint.Rotation{})
		b.accepted(g)
		secrets = append(secrets, g)
		b.wait(24 * time.Hour)
	}
	last := secrets[len(secrets)-1]
	for range 3 {
		for k, g := range secrets[:len(secrets)-1] {
			want := remint.ReasonRetired
			if k < len(secrets)-1-8 {
				want = remint.ReasonSecret // older than the newest eight
			}
			b.denied(g, want)
		}
		b.accepted(last)
	}
	n := 0
	for _, e := range b.log() {
		if e.Kind == remint.EventReuse {
			n++
		}
	}
	if n != 8 {
		t.Errorf("%d reuses are stored of 8 secrets that are remembered", n)
	}
}

func TestAReuseThatCannotBeStoredIsDeniedAllTheSameAndStoredNextTime(t *testing.T) {
	b := newBed(t, nil)
	one := b.issue(remint.Spec{})
	b.rotate(one.Token.ID(), remint.Rotation{})
	b.store.fails = func(remint.Batch) error { return errors.New("disk full") }
	n := len(b.log())
	b.denied(one, remint.ReasonRetired)
	if len(b.log()) != n {
		t.Fatal("it was stored")
	}
	b.store.fails = nil
	b.denied(one, remint.ReasonRetired)
	if len(b.log()) != n+1 {
		t.Error("it was not stored the next time")
	}
}

func TestEventsComeInPagesAndMissNothing(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	for range 600 {
		b.rotate(g.Token.ID(), remint.Rotation{})
	}
	all := b.log()
	if len(all) != 601 {
		t.Fatalf("%d events", len(all))
	}
	for k, e := range all {
		if e.Revision != uint64(k+1) {
			t.Fatalf("event %d is of revision %d", k, e.Revision)
		}
	}
}

func TestVerifyingIsObservedAndNotStored(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{Owner: "o"})
	n := len(b.log())
	b.took()
	from := netip.MustParseAddr("192.0.2.1")
	if _, err := b.Verify(t.Context(), g.Secret.Reveal(), from); err != nil {
		t.Fatal(err)
	}
	want := remint.Event{Revision: 1, At: b.now(), Kind: remint.EventVerify, Token: g.Token.ID(), Owner: "o", From: from, Generation: 1}
	if got := b.took(); len(got) != 1 || got[0] != want {
		t.Errorf("observed %+v, want %+v", got, want)
	}
	if len(b.log()) != n {
		t.Error("it was stored")
	}
}
