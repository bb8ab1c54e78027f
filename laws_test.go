package remint_test

import (
	"context"
	"errors"
	"fmt"
	"go/build"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
	"github.com/remint-go/remint/store/storetest"
)

// One test for each law of docs/design.md. What takes more than a page stands in files of
// its own, which these name.

// lawWorld is an Issuer on a store that counts, with a clock that a test moves.
type lawWorld struct {
	*testing.T
	store  *lawStore
	issuer *remint.Issuer
	op     remint.Actor
	now    time.Time
	seen   []remint.Event
}

// lawStore counts commits, and can run something before one.
type lawStore struct {
	remint.Store
	mu      sync.Mutex
	batches []remint.Batch
	before  func()
}

func (s *lawStore) Commit(ctx context.Context, b remint.Batch) error {
	s.mu.Lock()
	before := s.before
	s.before = nil
	s.mu.Unlock()
	if before != nil {
		before()
	}
	s.mu.Lock()
	s.batches = append(s.batches, b)
	s.mu.Unlock()
	return s.Store.Commit(ctx, b)
}

var lawAddr = netip.MustParseAddr("192.0.2.7")

func newLawWorld(t *testing.T, o remint.Options) *lawWorld {
	w := &lawWorld{T: t, store: &lawStore{Store: new(store.Memory)}, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	o.Now = func() time.Time { return w.now }
	o.Observe = func(_ context.Context, e remint.Event) { w.seen = append(w.seen, e) }
	issuer, err := remint.New(w.store, &o)
	if err != nil {
		t.Fatal(err)
	}
	w.issuer, w.op = issuer, issuer.Operator("op")
	return w
}

func (w *lawWorld) issue(s remint.Spec) remint.Grant {
	w.Helper()
	return w.must(w.op.Issue(w.Context(), s))
}

func (w *lawWorld) must(g remint.Grant, err error) remint.Grant {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
	return g
}

func (w *lawWorld) bearer(g remint.Grant) remint.Actor {
	return w.issuer.Bearer(g.Secret.Reveal(), lawAddr)
}

// works and fails check what Verify says of a grant's secret.
func (w *lawWorld) works(g remint.Grant, what string) {
	w.Helper()
	if _, err := w.issuer.Verify(w.Context(), g.Secret.Reveal(), lawAddr); err != nil {
		w.Errorf("%s: Verify says %v, want that it works", what, err)
	}
}

func (w *lawWorld) fails(g remint.Grant, what string) {
	w.Helper()
	if _, err := w.issuer.Verify(w.Context(), g.Secret.Reveal(), lawAddr); !errors.Is(err, remint.ErrDenied) {
		w.Errorf("%s: Verify says %v, want ErrDenied", what, err)
	}
}

func (w *lawWorld) is(err, want error, what string) {
	w.Helper()
	if !errors.Is(err, want) {
		w.Errorf("%s: %v, want %v", what, err, want)
	}
}

// It fails without a store that reads no clock (internal/mutants).
func TestLaw1_OneJudge(t *testing.T) {
	// A store has no clock to judge by, and no part of the core beside it decides: what the
	// stores call shows the first, and that nothing in them names an expiry the second.
	// A Cache knows how old what it has read is, and nothing else: law 10.
	for _, dir := range []string{"store", "store_bolt"} {
		pkg, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range pkg.GoFiles {
			out, err := exec.Command("grep", "-nE", `time\.(Now|Since|Until|After|Tick)|ExpiresAt|RevokedAt|crypto/subtle`, dir+"/"+file).CombinedOutput()
			if err == nil && file != "age.go" {
				t.Errorf("%s judges: %s", file, out)
			}
		}
	}
}

// It fails without each of these (internal/mutants): a guard for each record that was read; an
// event for each record; the one commit.
func TestLaw2_OneCommitGuardedByWhatWasRead(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	root := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	child := w.issue(remint.Spec{Capabilities: remint.Allow("*"), Parent: root.Token.ID()})
	other := w.issue(remint.Spec{Capabilities: remint.Allow("a"), Parent: root.Token.ID()})

	w.store.batches = nil
	grant := w.must(w.bearer(child).Rotate(t.Context(), other.Token.ID(), remint.Rotation{Successor: &remint.Successor{}}))
	if len(w.store.batches) != 1 {
		t.Fatalf("a rotation is %d commits, want 1", len(w.store.batches))
	}
	b := w.store.batches[0]
	if len(b.Put) != 2 || len(b.Log) != 2 {
		t.Errorf("the commit has %d records and %d events, want 2 and 2", len(b.Put), len(b.Log))
	}
	for _, id := range []remint.ID{root.Token.ID(), child.Token.ID()} {
		if !slices.ContainsFunc(b.Guard, func(r *remint.Record) bool { return r.ID() == id }) {
			t.Errorf("%s, which was read to judge, does not guard the commit", id)
		}
	}

	// THREATS.md line 30: the caller's ancestor ends between the judgement and the commit.
	w.store.before = func() {
		if err := w.op.EndSessions(t.Context(), root.Token.ID()); err != nil {
			t.Error(err)
		}
	}
	_, err := w.bearer(child).Rotate(t.Context(), grant.Token.ID(), remint.Rotation{})
	w.is(err, remint.ErrDenied, "rotating as one whose ancestor ends meanwhile")
	tok, err := w.op.Get(t.Context(), grant.Token.ID())
	if err != nil || tok.State().Revision != grant.Token.State().Revision {
		t.Errorf("it changed the token all the same: %v, %v", tok.State(), err)
	}
}

// It fails without the digest in the place of the secret (internal/mutants).
func TestLaw3_NothingSecretAtRest(t *testing.T) {
	// leak_test.go has the matrix. Here: what a copy of the store yields is no credential.
	w := newLawWorld(t, remint.Options{})
	g := w.issue(remint.Spec{})
	r, err := w.store.Load(t.Context(), g.Token.ID())
	if err != nil {
		t.Fatal(err)
	}
	data, _ := r.AppendBinary(nil)
	secret := g.Secret.Reveal()[30:73]
	if strings.Contains(string(data), secret) {
		t.Error("the stored record has the secret in it")
	}
}

// It fails without a Token that holds no secret (internal/mutants).
func TestLaw4_ASecretIsShownOnce(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	g := w.issue(remint.Spec{})
	tok, err := w.op.Get(t.Context(), g.Token.ID())
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%+v %#v %+v %+v", tok, tok, tok.Spec(), tok.State())
	if strings.Contains(text, g.Secret.Reveal()[30:73]) {
		t.Error("a token that was read has the secret in it")
	}
}

// It fails without each of these (internal/mutants): the wait of the outgoing secret for a first
// use; the life of the old secret after its rotation has lapsed; rule 5, that what nobody has used
// is replaced.
func TestLaw5_ALostAnswerLocksNobodyOut(t *testing.T) {
	w := newLawWorld(t, remint.Options{Lapse: time.Hour})
	old := w.issue(remint.Spec{})
	for range 3 { // three answers that never arrive
		w.must(w.bearer(old).Rotate(t.Context(), old.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Minute)}))
		w.works(old, "the old secret after a lost answer")
		w.now = w.now.Add(40 * time.Minute)
	}
	w.now = w.now.Add(time.Hour)
	w.works(old, "the old secret after the rotation has lapsed")
	fresh := w.must(w.bearer(old).Rotate(t.Context(), old.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Minute)}))
	w.works(fresh, "the new secret")
	w.works(old, "the old secret in its grace")
	w.now = w.now.Add(time.Minute)
	w.fails(old, "the old secret after its grace")
	w.works(fresh, "the new secret after the grace")
}

// It fails without each of these (internal/mutants): rule 4 of Rotate, by which what has expired
// gets no new secret; the attributes of a clone; the expiry of a clone; the owner of a bounded
// actor in what it issues; the bound of networks for what a bearer issues.
func TestLaw6_NothingWidens(t *testing.T) {
	// model_test.go has the properties. Here: the doors by name.
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	in := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	weak := w.issue(remint.Spec{Owner: "a", Capabilities: remint.Allow("reports"), Networks: in})
	strong := w.issue(remint.Spec{Owner: "a", Capabilities: remint.Allow("*"), Networks: in})
	anywhere := w.issue(remint.Spec{Owner: "a", Capabilities: remint.Allow("reports")})
	foreign := w.issue(remint.Spec{Owner: "b", Capabilities: remint.Allow("reports")})
	me := w.bearer(weak)

	_, err := me.Issue(ctx, remint.Spec{Capabilities: remint.Allow("*"), Networks: in})
	w.is(err, remint.ErrForbidden, "issuing more capability")
	_, err = me.Issue(ctx, remint.Spec{Capabilities: remint.Allow("reports")})
	w.is(err, remint.ErrForbidden, "issuing more network")
	_, err = me.Issue(ctx, remint.Spec{Networks: in, Attributes: map[string]string{"plan": "gold"}})
	w.is(err, remint.ErrForbidden, "issuing an attribute")
	_, err = me.Issue(ctx, remint.Spec{Owner: "b", Networks: in})
	w.is(err, remint.ErrForbidden, "issuing for another owner")
	_, err = me.Rotate(ctx, strong.Token.ID(), remint.Rotation{})
	w.is(err, remint.ErrForbidden, "rotating a stronger token to read its secret")
	_, err = me.Rotate(ctx, anywhere.Token.ID(), remint.Rotation{})
	w.is(err, remint.ErrForbidden, "rotating a token that reaches further")
	_, err = me.Rotate(ctx, foreign.Token.ID(), remint.Rotation{})
	w.is(err, remint.ErrNotFound, "rotating another owner's token")
	_, err = me.StartSession(ctx, strong.Token.ID(), remint.Session{})
	w.is(err, remint.ErrForbidden, "starting a stronger token's session")
	_, err = me.Update(ctx, weak.Token.ID(), func(s *remint.Spec) error { s.Capabilities = remint.Allow("*"); return nil })
	w.is(err, remint.ErrForbidden, "loosening itself")
	all := remint.Allow("*")
	_, err = me.Rotate(ctx, weak.Token.ID(), remint.Rotation{Successor: &remint.Successor{Spec: &remint.Spec{Capabilities: all, Networks: in}}})
	w.is(err, remint.ErrForbidden, "a stronger successor")

	session := w.must(me.StartSession(ctx, weak.Token.ID(), remint.Session{}))
	_, err = w.bearer(session).Issue(ctx, remint.Spec{Capabilities: remint.Allow("reports"), Networks: in})
	w.is(err, remint.ErrForbidden, "a session that makes something lasting of itself")

	expires := w.now.Add(time.Hour)
	short := w.issue(remint.Spec{Owner: "a", ExpiresAt: expires, Networks: in, Attributes: map[string]string{"k": "v"}})
	for _, r := range []remint.Rotation{{}, {Retire: remint.RetireAfter(48 * time.Hour)}, {Successor: &remint.Successor{}}} {
		g := w.must(w.op.Rotate(ctx, short.Token.ID(), r))
		if s := g.Token.Spec(); !s.ExpiresAt.Equal(expires) || !slices.Equal(s.Networks, in) || s.Attributes["k"] != "v" {
			t.Errorf("%+v changed more than the secret: %+v", r, s)
		}
		short = g
	}
	w.now = expires
	w.fails(short, "at its expiry")
	_, err = w.op.Rotate(ctx, short.Token.ID(), remint.Rotation{})
	w.is(err, remint.ErrEnded, "reviving what has expired")
}

// It fails without each of these (internal/mutants): the parent's epoch among what a child is
// judged by; the patience of what ends something, which no conflict stops; the one write that ends
// all; the perseverance of a revocation.
func TestLaw7_EndingIsOneWriteAndWins(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	master := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
	var sessions []remint.Grant
	for range 100 {
		sessions = append(sessions, w.must(w.op.StartSession(ctx, master.Token.ID(), remint.Session{Manages: true})))
	}
	deep := w.must(w.bearer(sessions[0]).Issue(ctx, remint.Spec{Parent: master.Token.ID()}))

	w.store.batches = nil
	if err := w.op.EndSessions(ctx, master.Token.ID()); err != nil {
		t.Fatal(err)
	}
	if b := w.store.batches; len(b) != 1 || len(b[0].Put) != 1 {
		t.Errorf("ending 100 sessions wrote %v, want one record in one commit", b)
	}
	for _, s := range append(sessions, deep) {
		w.fails(s, "what stood below")
	}
	w.works(master, "the master")

	// It wins against what is being issued at the same moment.
	before := w.must(w.op.StartSession(ctx, master.Token.ID(), remint.Session{Manages: true}))
	w.store.before = func() {
		if err := w.op.EndSessions(ctx, master.Token.ID()); err != nil {
			t.Error(err)
		}
	}
	_, err := w.bearer(before).Issue(ctx, remint.Spec{Parent: master.Token.ID()})
	w.is(err, remint.ErrDenied, "issuing as a session that ends meanwhile")

	// And revoking gives way to no conflict.
	n := 0
	var busy func()
	busy = func() {
		if n++; n > 150 {
			return
		}
		_, err := w.op.Update(ctx, master.Token.ID(), func(s *remint.Spec) error { s.Name = fmt.Sprint(n); return nil })
		if err != nil {
			t.Error(err)
		}
		w.store.before = busy
	}
	w.store.before = busy
	if err := w.op.Revoke(ctx, master.Token.ID()); err != nil {
		t.Errorf("revoking while others write: %v", err)
	}
	w.fails(master, "the master after it was revoked")
}

// It fails without each of these (internal/mutants): rule 11, by which whoever lost a race is not
// judged again; the generation of the secret among what rotations compete for; the revision that
// whoever rotates has seen; the second judgement after a race with what touched no secret.
func TestLaw8_ExactlyOneWinner(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	g := w.issue(remint.Spec{})
	id := g.Token.ID()

	// A race with something that touched no secret is judged again.
	w.store.before = func() {
		_, err := w.op.Update(ctx, id, func(s *remint.Spec) error { s.Name = "renamed"; return nil })
		if err != nil {
			t.Error(err)
		}
	}
	g = w.must(w.op.Rotate(ctx, id, remint.Rotation{}))
	if g.Token.Name() != "renamed" {
		t.Error("the rotation undid an update")
	}

	// One with another rotation is lost, and changes nothing.
	var winner remint.Grant
	w.store.before = func() { winner = w.must(w.op.Rotate(ctx, id, remint.Rotation{})) }
	_, err := w.op.Rotate(ctx, id, remint.Rotation{})
	w.is(err, remint.ErrConflict, "the loser of a race")
	w.works(winner, "the winner")

	w.store.before = func() { winner = w.must(w.op.Rotate(ctx, id, remint.Rotation{})) }
	_, err = w.bearer(winner).Rotate(ctx, id, remint.Rotation{})
	w.is(err, remint.ErrDenied, "the loser whose own secret died")

	tok, err := w.op.Get(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	revision := tok.State().Revision
	_, err = w.op.Rotate(ctx, id, remint.Rotation{IfRevision: revision - 1})
	w.is(err, remint.ErrConflict, "one who saw an earlier revision")
	w.must(w.op.Rotate(ctx, id, remint.Rotation{IfRevision: revision}))
}

// It fails without the difference between a store that failed and a token that is not there, and
// without ErrUnavailable for a store that failed (internal/mutants).
func TestLaw9_AnOutageIsNoDenial(t *testing.T) {
	// fault_test.go fails every operation of the store in turn.
	w := newLawWorld(t, remint.Options{})
	g := w.issue(remint.Spec{})
	w.store.Store = storetest.Faulty(w.store.Store, 0, storetest.Before)
	_, err := w.issuer.Verify(t.Context(), g.Secret.Reveal(), lawAddr)
	w.is(err, remint.ErrUnavailable, "verifying while the store fails")
	if errors.Is(err, remint.ErrDenied) {
		t.Error("an outage is a denial")
	}
	w.works(g, "afterwards")
}

// A cache that has an old record, and gets a new one when it is asked to.
type lawCache struct {
	remint.Store
	old map[remint.ID]*remint.Record
}

func (c *lawCache) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if r := c.old[id]; r != nil {
		return r, nil
	}
	return c.Store.Load(ctx, id)
}

func (c *lawCache) Refresh(ctx context.Context, id remint.ID) (*remint.Record, error) {
	delete(c.old, id)
	return c.Store.Load(ctx, id)
}

// It fails without the second look, past the cache, before a denial, and without the Refresh in the
// place of a Load (internal/mutants).
func TestLaw10_ACachedRecordNeverDenies(t *testing.T) {
	cache := &lawCache{new(store.Memory), map[remint.ID]*remint.Record{}}
	issuer, err := remint.New(cache, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &lawWorld{T: t, issuer: issuer, op: issuer.Operator("op")}
	g := w.issue(remint.Spec{})
	stale, err := cache.Store.Load(t.Context(), g.Token.ID())
	if err != nil {
		t.Fatal(err)
	}
	g = w.must(w.op.Rotate(t.Context(), g.Token.ID(), remint.Rotation{}))
	cache.old[g.Token.ID()] = stale
	w.works(g, "a fresh secret on a replica with a stale cache")
}

// It fails without the one error for all denials (internal/mutants).
func TestLaw11_DenialsLookAlike(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	ctx := t.Context()
	at := w.now.Add(time.Minute)
	live := w.issue(remint.Spec{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	expired := w.issue(remint.Spec{ExpiresAt: at})
	revoked, retired := w.issue(remint.Spec{}), w.issue(remint.Spec{})
	if err := w.op.Revoke(ctx, revoked.Token.ID()); err != nil {
		t.Fatal(err)
	}
	w.must(w.op.Rotate(ctx, retired.Token.ID(), remint.Rotation{}))
	other := newLawWorld(t, remint.Options{})
	unknown := other.issue(remint.Spec{})
	w.now = at

	w.seen = nil
	for _, x := range []struct{ text, reason string }{
		{"", remint.ReasonForm},
		{"garbage", remint.ReasonForm},
		{unknown.Secret.Reveal(), remint.ReasonUnknown},
		{expired.Secret.Reveal(), remint.ReasonExpired},
		{revoked.Secret.Reveal(), remint.ReasonRevoked},
		{retired.Secret.Reveal(), remint.ReasonRetired},
	} {
		_, err := w.issuer.Verify(ctx, x.text, lawAddr)
		if err != remint.ErrDenied {
			t.Errorf("%s: %v, want exactly ErrDenied", x.reason, err)
		}
		if e := w.seen[len(w.seen)-1]; e.Kind != remint.EventDeny || e.Reason != x.reason {
			t.Errorf("the observer heard %s %q, want deny %q", e.Kind, e.Reason, x.reason)
		}
	}
	_, err := w.issuer.Verify(ctx, live.Secret.Reveal(), lawAddr)
	w.is(err, remint.ErrNetwork, "the right secret from elsewhere")
}

// It fails without the expiry among what ends a token, and without the truncation of a time to what
// is kept of it (internal/mutants).
func TestLaw12_TimeIsOneBoundary(t *testing.T) {
	w := newLawWorld(t, remint.Options{})
	end := w.now.Add(time.Hour)
	g := w.issue(remint.Spec{ExpiresAt: end.Add(999 * time.Nanosecond)})
	if got := g.Token.ExpiresAt(); !got.Equal(end) || got.Location() != time.UTC {
		t.Errorf("an expiry is %v, want it truncated to %v", got, end)
	}
	w.now = end.Add(-time.Nanosecond)
	w.works(g, "before its expiry")
	w.now = end
	w.fails(g, "at its expiry, with no sweeper")

	// What stops at once does so for a replica whose clock is behind.
	g = w.issue(remint.Spec{})
	w.now = w.now.Add(time.Minute)
	w.must(w.op.Rotate(t.Context(), g.Token.ID(), remint.Rotation{Successor: &remint.Successor{}}))
	w.now = w.now.Add(-time.Hour)
	w.fails(g, "for a clock that is an hour behind")
}
