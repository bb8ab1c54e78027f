package remint_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// What the thief can do at most, and until when: the answers that docs/never-locked-out.md gives.

// most returns the most that the thief can do in w, with everything that it has.
func (l *thiefLab) most(w *thiefWorld) string {
	var all []string
	can := func(what string, yes bool) {
		if yes && (len(all) == 0 || all[len(all)-1] != what) {
			all = append(all, what)
		}
	}
	tries := func(try func(k int) bool) (yes bool) {
		for k, c := range w.creds {
			if l.show(w); c.know&tThief != 0 && try(k) {
				yes = true
			}
		}
		return yes
	}
	everything := tries(func(k int) bool {
		id := w.ids[w.model.secs[k].tok]
		_, err := l.bearer(w, tThief, k).Rotate(ctxBG, id, remint.Rotation{})
		return err == nil
	})
	can("all", everything)
	can("uses", !everything && tries(func(k int) bool {
		_, err := l.iss.Verify(ctxBG, w.creds[k].text, thiefFrom[tThief])
		return err == nil
	}))
	can("repeats", tries(func(k int) bool {
		for _, e := range w.entries {
			if e.know&tThief == 0 {
				continue
			}
			g, err := l.bearer(w, tThief, k).WithRetryKey(e.key, 0).Rotate(ctxBG, w.ids[e.target], e.how.rotation())
			if err == nil && g.Secret.Reveal() == w.creds[e.made].text {
				return true
			}
		}
		return false
	}))
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, ", ")
}

// play does the moves one after the other.
func (l *thiefLab) play(w *thiefWorld, moves ...tMove) *thiefWorld {
	for _, m := range moves {
		n := l.do(w, m)
		if n == nil {
			l.failf(w, "%v changed nothing", m)
		}
		l.check(n)
		w = n
	}
	return w
}

var thiefUses = tMove{op: tUse, who: tOwner, cred: 1}

func TestWhatTheThiefCanDoAtMostAndUntilWhen(t *testing.T) {
	// Before the rotation; after it; after the owner's use of the new secret; a grace later. And if
	// nobody uses it: a grace, the window and the lapse after the rotation.
	type row struct{ before, rotated, used, later, grace, window, lapse string }
	for _, c := range []struct {
		stolen string
		know   int
		move   tMove // the owner's rotation
		keys   bool
		want   map[int]row
	}{
		{"the old secret", tOwner | tThief, tMove{}, false, map[int]row{
			thiefNow:   {"all", "-", "-", "-", "-", "-", "-"},
			thiefAfter: {"all", "all", "uses", "-", "-", "-", "-"},
			thiefFirst: {"all", "all", "uses", "-", "all", "all", "all"},
		}},
		{"the old secret, and the rotation has a key that is not stolen", tOwner | tThief, tMove{key: thiefKey}, false, map[int]row{
			thiefNow:   {"all", "-", "-", "-", "-", "-", "-"},
			thiefAfter: {"all", "all", "uses", "-", "-", "-", "-"},
			thiefFirst: {"all", "all", "uses", "-", "all", "all", "all"},
		}},
		{"the old secret and a short key", tOwner | tThief, tMove{key: "short"}, true, map[int]row{
			thiefNow:   {"all", "-", "-", "-", "-", "-", "-"},
			thiefAfter: {"all", "all, repeats", "uses", "-", "-", "-", "-"},
			thiefFirst: {"all", "all, repeats", "uses", "-", "all, repeats", "all", "all"},
		}},
		{"the old secret and the key", tOwner | tThief, tMove{key: thiefKey}, true, map[int]row{
			thiefNow:   {"all", "repeats", "-", "-", "repeats", "-", "-"},
			thiefAfter: {"all", "all, repeats", "uses", "-", "repeats", "-", "-"},
			thiefFirst: {"all", "all, repeats", "uses", "-", "all, repeats", "all", "all"},
		}},
		{"the key", tOwner, tMove{key: thiefKey}, true, map[int]row{
			thiefNow:   {"-", "-", "-", "-", "-", "-", "-"},
			thiefAfter: {"-", "-", "-", "-", "-", "-", "-"},
			thiefFirst: {"-", "-", "-", "-", "-", "-", "-"},
		}},
		{"the new secret in transit", tOwner, tMove{seen: true}, false, map[int]row{
			thiefNow:   {"-", "all", "all", "all", "all", "all", "all"},
			thiefAfter: {"-", "all", "all", "all", "all", "all", "all"},
			thiefFirst: {"-", "all", "all", "all", "all", "all", "-"},
		}},
	} {
		for mode, name := range []string{"at once", "with an overlap", "until the first use"} {
			for _, succ := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, rotated %s, to a successor %v", c.stolen, name, succ), func(t *testing.T) {
					l := newThiefLab(t.Fatalf)
					w := l.start(c.know)
					w.knowsKey = c.keys
					m := c.move
					m.op, m.who, m.how = tRotate, tOwner, thiefHow{mode: mode, succ: succ}
					var got row
					got.before = l.most(w)
					rotated := l.play(w, m)
					got.rotated = l.most(rotated)
					used := l.play(rotated, thiefUses)
					got.used = l.most(used)
					got.later = l.most(l.play(used, tMove{op: tWait, wait: thiefGrace}))
					got.grace = l.most(l.play(rotated, tMove{op: tWait, wait: thiefGrace}))
					late := l.play(rotated, tMove{op: tWait, wait: thiefWindow})
					got.window = l.most(late)
					got.lapse = l.most(l.play(late, tMove{op: tWait, wait: thiefLapse}))
					if got != c.want[mode] {
						t.Errorf("the thief can do at most %+v, want %+v", got, c.want[mode])
					}
					// Whatever was stolen, another rotation at once, whose answer is not seen, ends it; but
					// an overlap of the predecessor, which is another token, goes on.
					m = tMove{op: tRotate, who: tOwner, cred: 1, target: used.model.secs[1].tok}
					again := l.play(used, m)
					if most := l.most(again); most != "-" && !(most == "uses" && succ && mode != thiefNow && c.know&tThief != 0) {
						t.Errorf("after another rotation: %v", most)
					}
				})
			}
		}
	}
}

// What the thief of the old secret started or issued with it, before the owner rotated.
func TestWhatTheThiefMadeBeforeTheRotation(t *testing.T) {
	for _, c := range []struct {
		name                           string
		how                            thiefHow
		manages                        bool
		rotated, used, grace           string // with its session
		issued, issuedUsed, issuedLast string // with a token that it issued
	}{
		{"at once, a session that manages", thiefHow{mode: thiefNow}, true, "-", "-", "-", "all", "all", "all"},
		{"with an overlap, a session that manages", thiefHow{mode: thiefAfter}, true, "all", "uses", "-", "all", "all", "all"},
		{"until the first use, a session that manages", thiefHow{mode: thiefFirst}, true, "all", "uses", "-", "all", "all", "all"},
		{"at once, a session", thiefHow{mode: thiefNow}, false, "-", "-", "-", "all", "all", "all"},
		{"with an overlap, a session", thiefHow{mode: thiefAfter}, false, "uses", "uses", "-", "all", "all", "all"},
		{"until the first use, a session", thiefHow{mode: thiefFirst}, false, "uses", "uses", "-", "all", "all", "all"},
		// Sessions that are handed on are, when the old secret has stopped, the new one's.
		{"at once with KeepSessions, a session that manages", thiefHow{mode: thiefNow, keep: true}, true, "all", "all", "all", "all", "all", "all"},
		{"with an overlap and KeepSessions, a session that manages", thiefHow{mode: thiefAfter, keep: true}, true, "all", "uses", "all", "all", "all", "all"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newThiefLab(t.Fatalf)
			w := l.start(tOwner | tThief)
			w = l.play(w, tMove{op: tSession, who: tThief, does: c.manages})
			w.creds[0].know = tOwner // to see what the session can do
			l.show(w)
			issued, err := l.bearer(w, tThief, 0).Issue(ctxBG, remint.Spec{Capabilities: thiefCaps, Networks: thiefNets})
			if err != nil {
				t.Fatal(err)
			}
			if by := issued.Token.State().IssuedBy; by != w.ids[0].String() {
				t.Errorf("it was issued by %q", by)
			}
			w.recs = l.store.recs
			can := func(w *thiefWorld) string {
				l.show(w)
				_, err := l.iss.Bearer(issued.Secret.Reveal(), thiefFrom[tThief]).Rotate(ctxBG, w.ids[0], remint.Rotation{})
				if err == nil {
					return "all"
				}
				return err.Error()
			}
			is := func(w *thiefWorld, when, session, token string) {
				t.Helper()
				if got := l.most(w); got != session {
					t.Errorf("%s, with the session: %v, want %v", when, got, session)
				}
				if got := can(w); got != token {
					t.Errorf("%s, with what was issued: %v, want %v", when, got, token)
				}
			}
			w = l.play(w, tMove{op: tRotate, who: tOwner, how: c.how})
			is(w, "rotated", c.rotated, c.issued)
			w = l.play(w, tMove{op: tUse, who: tOwner, cred: 2})
			is(w, "used", c.used, c.issuedUsed)
			w = l.play(w, tMove{op: tWait, wait: thiefGrace})
			is(w, "after the grace", c.grace, c.issuedLast)
			// Ending the sessions ends them; what was issued is revoked by whoever finds it.
			w = l.play(w, tMove{op: tEnd, who: tOwner, cred: 2})
			is(w, "after EndSessions", "-", "all")
			l.show(w)
			var found []remint.ID
			for tok, err := range l.iss.Operator("op").List(ctxBG, remint.Query{Owner: "o"}) {
				if err != nil {
					t.Fatal(err)
				}
				if tok.State().IssuedBy == w.ids[0].String() {
					found = append(found, tok.ID())
					if err := l.iss.Operator("op").Revoke(ctxBG, tok.ID()); err != nil {
						t.Fatal(err)
					}
				}
			}
			if len(found) != 1 || found[0] != issued.Token.ID() {
				t.Errorf("issued by the stolen token: %v", found)
			}
			if _, err := l.iss.Verify(ctxBG, issued.Secret.Reveal(), thiefFrom[tThief]); !errors.Is(err, remint.ErrDenied) {
				t.Errorf("what was found lives on: %v", err)
			}
		})
	}
}

// A thief with the owner's secret can rotate first. No rule tells it from the owner; what tells the owner
// are these.
func TestWhatTheOwnerSeesOfAThiefThatWasFirst(t *testing.T) {
	word := func(err error) string {
		for what, is := range map[string]error{"denied": remint.ErrDenied, "forbidden": remint.ErrForbidden, "conflict": remint.ErrConflict} {
			if errors.Is(err, is) {
				return what
			}
		}
		return fmt.Sprint(err)
	}
	const ok = "<nil>"
	for _, c := range []struct {
		name     string
		thief    []tMove
		verify   string // the owner, with the only secret that it has
		rotate   string
		observed string // at the owner's own use
		stored   string // by it
	}{
		{"rotated at once", []tMove{{op: tRotate, who: tThief}}, "denied", "denied", "reuse stale, deny retired", "reuse stale"},
		{"rotated at once to a successor", []tMove{{op: tRotate, who: tThief, how: thiefHow{succ: true}}}, "denied", "denied", "reuse stale, deny retired", "reuse stale"},
		{"rotated with an overlap", []tMove{{op: tRotate, who: tThief, how: thiefHow{mode: thiefAfter}}}, ok, ok, "verify grace", ""},
		{"and used it", []tMove{{op: tRotate, who: tThief, how: thiefHow{mode: thiefAfter}}, {op: tUse, who: tThief, cred: 1}}, ok, "forbidden", "verify grace", ""},
		{"and the overlap is over", []tMove{{op: tRotate, who: tThief, how: thiefHow{mode: thiefAfter}}, {op: tUse, who: tThief, cred: 1}, {op: tWait, wait: thiefGrace}},
			"denied", "denied", "reuse stale, deny retired", "reuse stale"},
		{"rotated until the first use", []tMove{{op: tRotate, who: tThief, how: thiefHow{mode: thiefFirst}}}, ok, ok, "verify ", ""},
		{"and used that", []tMove{{op: tRotate, who: tThief, how: thiefHow{mode: thiefFirst}}, {op: tUse, who: tThief, cred: 1}}, ok, "forbidden", "verify grace", ""},
		{"and that grace is over", []tMove{{op: tRotate, who: tThief, how: thiefHow{mode: thiefFirst}}, {op: tUse, who: tThief, cred: 1}, {op: tWait, wait: thiefGrace}},
			"denied", "denied", "reuse stale, deny retired", "reuse stale"},
		{"revoked it", []tMove{{op: tRevoke, who: tThief}}, "denied", "denied", "deny revoked", ""},
		// The owner rotated, and the thief took the answer, and used it.
		{"took the answer, at once", []tMove{{op: tRotate, who: tOwner, lost: true, seen: true}, {op: tUse, who: tThief, cred: 1}},
			"denied", "denied", "reuse stale, deny retired", "reuse stale"},
		{"took the answer, with an overlap", []tMove{{op: tRotate, who: tOwner, lost: true, seen: true, how: thiefHow{mode: thiefAfter}}, {op: tUse, who: tThief, cred: 1}},
			ok, "forbidden", "verify grace", ""},
		{"took the answer, and did not use it", []tMove{{op: tRotate, who: tOwner, lost: true, seen: true, how: thiefHow{mode: thiefAfter}}}, ok, ok, "verify grace", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newThiefLab(t.Fatalf)
			w := l.start(tOwner | tThief)
			tell := false // whether the log tells of the thief, with its address
			for _, m := range c.thief {
				w = l.play(w, m)
				for _, e := range w.events {
					tell = tell || e.From == thiefFrom[tThief] && (e.Kind == remint.EventRotate || e.Kind == remint.EventConfirm || e.Kind == remint.EventRevoke)
				}
			}
			if last := c.thief[len(c.thief)-1]; !tell && last.who == tThief {
				t.Error("the log does not tell of the thief")
			}
			l.show(w)
			_, err := l.iss.Verify(ctxBG, w.creds[0].text, thiefFrom[tOwner])
			var observed, stored []string
			for _, e := range l.seen {
				observed = append(observed, fmt.Sprintf("%s %s", e.Kind, e.Reason))
			}
			for _, e := range l.store.log {
				stored = append(stored, fmt.Sprintf("%s %s", e.Kind, e.Reason))
			}
			l.show(w)
			_, rotate := l.bearer(w, tOwner, 0).Rotate(ctxBG, w.ids[0], remint.Rotation{})
			if word(err) != c.verify || word(rotate) != c.rotate {
				t.Errorf("the owner verifies: %v, and rotates: %v; want %v and %v", err, rotate, c.verify, c.rotate)
			}
			if got := strings.Join(observed, ", "); got != c.observed {
				t.Errorf("observed: %s; want %s", got, c.observed)
			}
			if got := strings.Join(stored, ", "); got != c.stored {
				t.Errorf("stored: %s; want %s", got, c.stored)
			}
			// The owner that could rotate has put the thief out.
			if rotate == nil {
				for k, c := range w.creds {
					if _, err := l.iss.Verify(ctxBG, w.creds[k].text, thiefFrom[tThief]); c.know&tThief != 0 && err == nil {
						t.Errorf("the thief's #%d works on", k)
					}
				}
			}
		})
	}
}

// The overlap of a predecessor is its own: rotating the successor at once does not end it.
// FinishRotation and Revoke do.
func TestAPredecessorsOverlapOutlivesARotationOfItsSuccessor(t *testing.T) {
	for name, end := range map[string]tMove{
		"finishing": {op: tFinish, who: tOwner, cred: 2},
		"revoking":  {op: tRevoke, who: tOwner, cred: 2},
	} {
		l := newThiefLab(t.Fatalf)
		w := l.play(l.start(tOwner|tThief), tMove{op: tRotate, who: tOwner, how: thiefHow{mode: thiefAfter, succ: true}}, thiefUses,
			tMove{op: tRotate, who: tOwner, cred: 1, target: 1}, tMove{op: tUse, who: tOwner, cred: 2, target: 1})
		if most := l.most(w); most != "uses" {
			t.Errorf("after the successor's rotation: %v", most)
		}
		if most := l.most(l.play(w, end)); most != "-" {
			t.Errorf("after %s: %v", name, most)
		}
	}
}

// Where repeats need no key (Actor.Repeatable), whoever has the bearer's secret gets what it was last
// answered, of others than itself, until that is used or the time is over. The log tells of it.
func TestARepeatWithoutAKeyGivesTheThiefWhatTheOwnerHasNotUsedYet(t *testing.T) {
	for _, used := range []bool{false, true} {
		w := newLawWorld(t, remint.Options{})
		ctx := t.Context()
		caller := w.issue(remint.Spec{Capabilities: remint.Allow("*")})
		other := w.issue(remint.Spec{Capabilities: remint.Allow("a")})
		owner := w.bearer(caller).Repeatable(30 * time.Second)
		thief := w.issuer.Bearer(caller.Secret.Reveal(), thiefFrom[tThief]).Repeatable(30 * time.Second)
		next := w.must(owner.Rotate(ctx, other.Token.ID(), remint.Rotation{}))
		if used {
			w.works(next, "the new secret")
		}
		g := w.must(thief.Rotate(ctx, other.Token.ID(), remint.Rotation{}))
		if g.Secret.Equal(next.Secret) == used {
			t.Errorf("used %v: the same secret %v", used, !used)
		}
		if e := w.seen[len(w.seen)-1]; !used && (e.Kind != remint.EventReplay || e.From != thiefFrom[tThief]) {
			t.Errorf("the log says %+v", e)
		}
		w.now = w.now.Add(30 * time.Second)
		if g := w.must(thief.Rotate(ctx, other.Token.ID(), remint.Rotation{})); g.Secret.Equal(next.Secret) {
			t.Error("after the time: the same secret")
		}
	}
}
