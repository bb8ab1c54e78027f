package remint_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store/storetest"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// Threat 6. A random history, a backup in the midst of it, and the operation on what was restored:
// whoever holds any secret that was ever handed out gets no further with it than it would
// have got, had nothing been lost.

// disaster loses what came after the backup, and returns what the log shows of that, in one
// of the orders in which it may have been shipped.
func (w *pastWorld) disaster(from int) (at time.Time, log []remint.Event) {
	w.clock.advance(2 * time.Millisecond)
	at = w.clock.now()
	w.clock.advance(2 * time.Millisecond)
	log = slices.Clone(w.shipped[rapid.IntRange(0, from).Draw(w.t, "overlap"):])
	switch rapid.IntRange(0, 2).Draw(w.t, "order") {
	case 1: // a part was shipped twice
		if len(log) > 0 {
			n := rapid.IntRange(0, len(log)).Draw(w.t, "twice from")
			log = append(log, log[n:]...)
		}
	case 2: // by token
		slices.SortStableFunc(log, func(a, b remint.Event) int { return b.Token.Compare(a.Token) })
	}
	w.tell("--- the store is lost, and the backup put in its place")
	return at, log
}

func (w *pastWorld) afterRestore(r remint.Restore) remint.Restored {
	w.t.Helper()
	n, err := w.op.AfterRestore(ctxBG, r)
	if err != nil {
		w.fatalf("AfterRestore: %v", err)
	}
	w.ship()
	w.tell("AfterRestore: %+v", n)
	return n
}

// noFurther compares what the lost world's secrets can do with what they could, now and later.
func (w *pastWorld) noFurther(lost *pastWorld) {
	w.t.Helper()
	now := w.clock.now()
	defer w.clock.set(now)
	for _, later := range []time.Duration{0, time.Hour, 3 * time.Hour, 40 * 24 * time.Hour} {
		w.clock.set(now.Add(later))
		is, was := w.standing(lost.held), lost.standing(lost.held)
		for n := range is {
			if what := is[n].beyond(was[n]); what != "" {
				w.fatalf("%v later, %s: %s", later, lost.name(n), what)
			}
		}
	}
}

// untouched checks that what nothing in the log casts doubt on is as it was.
func (w *pastWorld) untouched(lost *pastWorld, backup remint.Store, log []remint.Event) {
	w.t.Helper()
	had := cloneStore(backup)
	byToken := map[remint.ID][]remint.Event{}
	for _, e := range log {
		if r := had.recs[e.Token]; r != nil && e.Revision > r.Revision() {
			byToken[e.Token] = append(byToken[e.Token], e)
		}
	}
	exact := func(id remint.ID, kinds ...remint.EventKind) bool {
		return !slices.ContainsFunc(byToken[id], func(e remint.Event) bool {
			if e.Kind == remint.EventRestore && e.Reason == "" {
				return false
			}
			return !slices.Contains(kinds, e.Kind) || e.Actor != "op" && e.Kind != remint.EventConfirm && e.Kind != remint.EventSeal
		})
	}
	op := bareOperator(w, had)
	is, was := w.standing(lost.held), lost.standing(lost.held)
	for n, g := range lost.held {
		id := g.Token.ID()
		if had.recs[id] == nil {
			continue
		}
		sure := exact(id, remint.EventConfirm, remint.EventSeal, remint.EventCancel, remint.EventFinish, remint.EventEndSessions)
		for at := id; !at.IsZero(); {
			tok, err := op.Get(ctxBG, at)
			if errors.Is(err, remint.ErrNotFound) {
				break
			}
			sure = sure && !tok.IsSession()
			if at = tok.Parent(); !at.IsZero() {
				sure = sure && exact(at, remint.EventConfirm, remint.EventSeal, remint.EventCancel, remint.EventFinish)
			}
		}
		if sure && (is[n].accepted != was[n].accepted || is[n].may != was[n].may) {
			w.fatalf("%s, which nothing casts doubt on: %+v, and was %+v", lost.name(n), is[n], was[n])
		}
	}
}

func bareOperator(w *pastWorld, s remint.Store) remint.Actor {
	iss, err := remint.New(s, &w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return iss.Operator("test")
}

// goesOn gives every token a secret that was left without one.
func (w *pastWorld) goesOn() {
	w.t.Helper()
	for tok, err := range w.op.List(ctxBG, remint.Query{AllOwners: true}) {
		if err != nil {
			w.fatalf("List: %v", err)
		}
		if _, err := w.op.Live(ctxBG, tok.ID()); err != nil || tok.State().Current != (remint.SecretState{}) {
			continue // a successor that nobody has used ends when its predecessor is rotated
		}
		g, err := w.op.Rotate(ctxBG, tok.ID(), remint.Rotation{})
		if errors.Is(err, remint.ErrConflict) && !tok.State().Successor.IsZero() {
			continue // its successor was just used, and goes on in its place
		}
		if err != nil {
			w.fatalf("rotating %s, which has no secret: %v", short(tok.ID()), err)
		}
		if _, err := w.iss.Verify(ctxBG, g.Secret.Reveal(), lawAddr); err != nil {
			w.fatalf("the new secret of %s: %v", short(tok.ID()), err)
		}
	}
	w.ship()
}

func (w *pastWorld) bytes() []byte {
	s := cloneStore(w.store)
	all, _ := s.Scan(ctxBG, remint.ID{}, len(s.recs))
	var b []byte
	for _, r := range all {
		b, _ = r.AppendBinary(b)
	}
	for _, e := range s.log {
		b, _ = e.AppendBinary(b)
	}
	return b
}

// lived returns a world with a history, its backup, and how much of the log that has.
func lived(t *rapid.T, s remint.Store, backUp func() remint.Store) (lost *pastWorld, backup remint.Store, from int) {
	lost = newPastWorld(t, s, rapid.Bool().Draw(t, "revoke on reuse"))
	lost.wander(rapid.IntRange(3, 25).Draw(t, "before"), pastOps)
	lost.tell("--- backup")
	backup, from = backUp(), len(lost.shipped)
	lost.wander(rapid.IntRange(0, 12).Draw(t, "after"), pastOps)
	return lost, backup, from
}

func livedInMemory(t *rapid.T) (lost *pastWorld, backup remint.Store, from int) {
	s := newMapStore()
	return lived(t, s, func() remint.Store { return cloneStore(s) })
}

// It fails without each of these (internal/mutants): the revocations that the log shows; the doubt
// over what the log shows to be rotated; the step by which an epoch rises where all that descends
// ends.
func TestNothingThatADisasterHasSeenDeadLivesAfterARestore(t *testing.T) {
	checkMany(t, 12, func(t *rapid.T) {
		lost, backup, from := livedInMemory(t)
		at, log := lost.disaster(from)
		w := lost.restored(cloneStore(backup))
		w.afterRestore(remint.Restore{At: at, Log: eventSeq(log)})
		w.noFurther(lost)
		w.untouched(lost, backup, log)

		// Once is enough.
		before := w.bytes()
		if n := w.afterRestore(remint.Restore{At: at, Log: eventSeq(append(log, w.shipped...))}); n != (remint.Restored{}) || !bytes.Equal(before, w.bytes()) {
			w.fatalf("the second call did %+v", n)
		}
		// And nothing that comes afterwards undoes it.
		w.goesOn()
		w.noFurther(lost)
		w.wander(8, pastOps)
		w.noFurther(lost)
	})
}

// It fails without StopSecrets (internal/mutants).
func TestWithoutALogEverySecretStops(t *testing.T) {
	checkMany(t, 3, func(t *rapid.T) {
		lost, backup, from := livedInMemory(t)
		at, log := lost.disaster(from)
		w := lost.restored(cloneStore(backup))
		r := remint.Restore{At: at, StopSecrets: true}
		if rapid.Bool().Draw(t, "a part of the log") {
			r.Log = eventSeq(log[:rapid.IntRange(0, len(log)).Draw(t, "part")])
		}
		w.afterRestore(r)
		none := func() {
			for n, s := range w.standing(lost.held) {
				if s.accepted {
					w.fatalf("%s is accepted", lost.name(n))
				}
			}
		}
		none()
		w.goesOn()
		w.noFurther(lost)
		if n := w.afterRestore(r); n != (remint.Restored{}) {
			w.fatalf("the second call did %+v", n)
		}
		w.wander(8, pastOps)
		none()
	})
}

// Whatever is missing from the midst of what the log has of a token: what comes last of it shows that
// something is.
// It fails without the doubt where the log lacks an event (internal/mutants).
func TestALogWithGapsRevivesNothing(t *testing.T) {
	checkMany(t, 5, func(t *rapid.T) {
		lost, backup, from := livedInMemory(t)
		at, log := lost.disaster(from)
		last := map[remint.ID]uint64{}
		for _, e := range log {
			last[e.Token] = e.Revision
		}
		log = slices.DeleteFunc(log, func(e remint.Event) bool {
			return e.Revision < last[e.Token] && rapid.IntRange(0, 2).Draw(t, "missing") == 0
		})
		w := lost.restored(cloneStore(backup))
		w.afterRestore(remint.Restore{At: at, Log: eventSeq(log)})
		w.noFurther(lost)
		w.goesOn()
		w.noFurther(lost)
	})
}

// With a file that is copied while it is in use, and opened as it is.
func TestWhatABackupOfAFileRevivesIsEndedToo(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		open := func(path string) *storebolt.Store {
			s, err := storebolt.Open(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		file, copied := filepath.Join(dir, "tokens.db"), filepath.Join(dir, "backup.db")
		s := open(file)
		defer os.Remove(file)
		defer s.Close()
		lost, backup, from := lived(t, s, func() remint.Store {
			to, err := os.Create(copied)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.Backup(ctxBG, to), to.Close()); err != nil {
				t.Fatal(err)
			}
			return cloneStore(s)
		})
		at, log := lost.disaster(from)
		restored := open(copied)
		defer restored.Close()
		w := lost.restored(restored)
		w.afterRestore(remint.Restore{At: at, Log: eventSeq(log)})
		w.noFurther(lost)
		w.untouched(lost, backup, log)
		w.goesOn()
		w.noFurther(lost)
	})
}

// What somebody may do at a store that is half restored, without knowing it.
var meanwhileOps = []string{"issue", "child", "session", "rotate", "use"}

// It fails without the mark of what a restore has done already (internal/mutants).
func TestARestoreThatWasInterruptedIsFinishedAndHarmsNothingThatCameSince(t *testing.T) {
	checkMany(t, 8, func(t *rapid.T) {
		lost, backup, from := livedInMemory(t)
		at, log := lost.disaster(from)
		s := cloneStore(backup)
		w := lost.restored(s)
		w.held = slices.Clone(lost.held)
		mine, was := len(w.held), lost.standing(lost.held)
		stop := rapid.IntRange(0, 3).Draw(t, "stop") == 0
		restore := func() remint.Restore {
			return remint.Restore{At: at, Log: eventSeq(append(slices.Clone(log), w.shipped...)), StopSecrets: stop}
		}
		for range rapid.IntRange(1, 3).Draw(t, "faults") {
			n, when := rapid.IntRange(0, 60).Draw(t, "fault"), storetest.When(rapid.Bool().Draw(t, "after"))
			w.op = bareOperator(w, storetest.Faulty(s, n, when))
			_, err := w.op.AfterRestore(ctxBG, restore())
			w.op = w.iss.Operator("op")
			if err != nil && !errors.Is(err, remint.ErrUnavailable) {
				w.fatalf("with a fault: %v", err)
			}
			w.ship()
			w.tell("AfterRestore with a fault at %d: %v", n, err)
			w.wander(rapid.IntRange(0, 5).Draw(t, "meanwhile"), meanwhileOps)
			w.clock.advance(time.Second)
		}
		w.afterRestore(restore())
		is := w.standing(w.held)
		for n, s := range was {
			if is[n].accepted && (stop || !s.accepted) {
				w.fatalf("%s is accepted, and was dead", w.name(n))
			}
		}

		// What was handed out since works, unless its token or what that hangs on has ended.
		for n, g := range w.held[mine:] {
			if is[mine+n].accepted || w.replacedSince(mine+n) {
				continue
			}
			tok, err := w.op.Get(ctxBG, g.Token.ID())
			if err != nil {
				w.fatalf("%s: %v", w.name(mine+n), err)
			}
			if _, err := w.op.Live(ctxBG, tok.ID()); err == nil {
				w.fatalf("%s was handed out since, and does not work", w.name(mine+n))
			}
			if !w.endedByLog(lost, log, tok) {
				w.fatalf("%s was issued since, and has ended", w.name(mine+n))
			}
		}
		before := w.bytes()
		if n := w.afterRestore(restore()); n != (remint.Restored{}) || !bytes.Equal(before, w.bytes()) {
			w.fatalf("a further call did %+v", n)
		}
	})
}

// replacedSince reports whether a secret was to stop by what was done since.
func (w *pastWorld) replacedSince(n int) bool {
	for _, g := range w.held[n+1:] {
		if g.Token.ID() == w.held[n].Token.ID() || g.Token.State().Predecessor == w.held[n].Token.ID() {
			return true
		}
	}
	return false
}

// endedByLog reports whether a token, or what it hangs on, is one that the log casts doubt on, or
// whose time is over.
func (w *pastWorld) endedByLog(lost *pastWorld, log []remint.Event, tok remint.Token) bool {
	now := w.clock.now()
	for {
		if tok.State().Ended != "" || tok.IsSession() || mPassed(tok.ExpiresAt(), now) {
			return true
		}
		if slices.ContainsFunc(log, func(e remint.Event) bool { return e.Token == tok.ID() }) {
			return true
		}
		if s := tok.State(); !s.Predecessor.IsZero() && s.Current == (remint.SecretState{}) {
			return true // a successor that nobody had used, and that waits no longer
		}
		if tok.Parent().IsZero() {
			return false
		}
		parent, err := w.op.Get(ctxBG, tok.Parent())
		if err != nil {
			return true
		}
		tok = parent
	}
}

// The same backup is restored twice: what the first restore has done is a part of what the second
// one finds in the log.
func TestABackupThatIsRestoredAgainKnowsWhatCameOfTheFirstRestore(t *testing.T) {
	checkMany(t, 5, func(t *rapid.T) {
		lost, backup, from := livedInMemory(t)
		at, log := lost.disaster(from)
		w := lost.restored(cloneStore(backup))
		w.held = slices.Clone(lost.held)
		w.afterRestore(remint.Restore{At: at, Log: eventSeq(log), StopSecrets: rapid.IntRange(0, 4).Draw(t, "stop") == 0})
		w.wander(rapid.IntRange(0, 12).Draw(t, "between"), pastOps)

		w.clock.advance(2 * time.Millisecond)
		again := w.clock.now()
		w.clock.advance(2 * time.Millisecond)
		w.tell("--- the same backup once more")
		whole := slices.Concat(log, w.shipped)
		v := w.restored(cloneStore(backup))
		v.afterRestore(remint.Restore{At: again, Log: eventSeq(whole)})
		v.noFurther(w)
		v.untouched(w, backup, whole)
		v.goesOn()
		v.noFurther(w)
	})
}
