package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
)

const (
	yardR = "R: a Go map, by hand"
	yardF = "F: a flat table, by hand"
)

// What a token takes, at most, in all the stores of verifyPart with their yardsticks and the room that the
// garbage collector wants (GOGC=40 for ten million), and in those that hold it in memory only. Other parts
// go by it, too.
const (
	bytesInAll    = 2600
	bytesInMemory = 1300
)

// verifyPart verifies tokens of each store, by their number.
func verifyPart(r *run) error {
	for _, n := range r.scale {
		if err := r.verify(n); err != nil {
			return err
		}
		runtime.GC()
	}
	return nil
}

func (r *run) verify(n int) error {
	memory, known := availableMemory(), availableMemory() > 0
	if known && int64(n)*bytesInMemory > memory {
		r.tell("verify: %d tokens want %d MiB, of which %d are free: left out", n, int64(n)*bytesInMemory>>20, memory>>20)
		return nil
	}
	r.tell("verify: issuing %d tokens", n)
	t, err := issueTokens(r.ctx, n, remint.Options{})
	if err != nil {
		return err
	}
	tab := &table{
		name: fmt.Sprintf("verify/tokens=%d", n), title: "Verify one of " + count(float64(n)) + " tokens",
		against: []string{yardR, yardF},
	}
	add := func(name string, check func(string) (string, error)) error {
		if err := errors.Join(t.prove(check), t.warm(check)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		tab.subjects = append(tab.subjects, subject{name: name, run: t.walk(check)})
		return nil
	}
	yard, flat := t.yardstick(1), t.flatTable()
	if err := errors.Join(
		add(yardR, func(text string) (string, error) { return yard.verify(text, t.prefix) }),
		add(yardF, func(text string) (string, error) { return flat.verify(text, t.prefix) }),
		add("remint, memory", check(r.ctx, t.issuer)),
	); err != nil {
		return err
	}
	if known && int64(n)*bytesInAll > memory {
		tab.notes = append(tab.notes, "There was no memory for bbolt and the cache beside these.")
		return r.measure(tab)
	}
	cached, err := t.over(r.ctx, store.NewCache(t.store, time.Hour, &store.CacheOptions{MaxBytes: roomForAll}))
	if err != nil {
		return err
	}
	db, closeFile, err := r.bolt(fmt.Sprintf("verify-%d.db", n))
	if err != nil {
		return err
	}
	defer closeFile()
	if err := copyRecords(r.ctx, db, t.store); err != nil {
		return err
	}
	bolt, err := t.over(r.ctx, db)
	if err != nil {
		return err
	}
	if err := errors.Join(
		add("remint, memory behind store.Cache, warm", cached),
		add("remint, bbolt, warm", bolt),
	); err != nil {
		return err
	}
	return r.measure(tab)
}

// warm has every token checked once.
func (t *tokens) warm(check func(string) (string, error)) error { return t.walk(check)(len(t.texts)) }

// sessionsPart verifies sessions of one token, beside two look-ups by hand.
func sessionsPart(r *run) error {
	for _, n := range ends(r.scale) {
		t, err := issueSessions(r, n)
		if err != nil {
			return err
		}
		tab, err := r.sessionTable(t)
		if err == nil {
			err = r.measure(tab)
		}
		if err != nil {
			return err
		}
		// At last, that it was a session's life that was judged.
		if err := t.issuer.Operator("bench").EndSessions(r.ctx, t.ids[0]); err != nil {
			return err
		}
		if _, err := check(r.ctx, t.issuer)(t.texts[0]); err == nil {
			return errors.New("a session that was ended is accepted")
		}
	}
	return nil
}

func (r *run) sessionTable(t *tokens) (*table, error) {
	const yardR2 = "R2: two look-ups in a Go map, by hand"
	yard, master := newYardstick(1, t.owners), ulid.ULID(t.ids[0])
	yard.shards[0].m[master] = &yardToken{expires: time.Now().Add(day).UnixMicro()}
	for _, i := range rand.Perm(len(t.texts)) { // see atHand
		yard.add(t.texts[i], t.prefix, master, 0)
	}
	byHand := func(text string) (string, error) { return yard.verify(text, t.prefix) }
	remints := check(r.ctx, t.issuer)
	return &table{
		name:    fmt.Sprintf("sessions/tokens=%d", len(t.texts)),
		title:   "Verify one of " + count(float64(len(t.texts))) + " sessions of a token",
		against: []string{yardR2},
		subjects: []subject{
			{name: yardR2, run: t.walk(byHand)},
			{name: "remint, memory", run: t.walk(remints)},
		},
	}, errors.Join(t.prove(byHand), t.prove(remints), t.warm(remints))
}

// ends returns the first size and the last, of at most a million.
func ends(scale []int) []int {
	last := scale[0]
	for _, n := range scale {
		if n <= 1e6 {
			last = n
		}
	}
	if last == scale[0] {
		return scale[:1]
	}
	return []int{scale[0], last}
}

// issueSessions starts n sessions of one token, whose ID is the only one of ids.
func issueSessions(r *run, n int) (*tokens, error) {
	m := new(store.Memory)
	issuer, err := newIssuer(m, remint.Options{})
	if err != nil {
		return nil, err
	}
	t := &tokens{store: m, issuer: issuer, prefix: len("rms_"), owners: manyOwners()[:1], whose: make([]uint32, n)}
	op := issuer.Operator("bench")
	master, err := op.Issue(r.ctx, spec(0, t.owners[0], time.Now().Add(2*day)))
	if err != nil {
		return nil, err
	}
	t.ids = []remint.ID{master.Token.ID()}
	for range n {
		g, err := op.StartSession(r.ctx, t.ids[0], remint.Session{})
		if err != nil {
			return nil, err
		}
		t.texts = append(t.texts, g.Secret.Reveal())
	}
	shuffle(t.texts)
	t.texts = atHand(t.texts)
	return t, nil
}

// kindsPart verifies with what a service may ask for, and refuses what is none.
func kindsPart(r *run) error {
	const n = 1000
	const plain = "valid"
	t, err := issueTokens(r.ctx, n, remint.Options{})
	if err != nil {
		return err
	}
	peppered, err := issueTokens(r.ctx, n, remint.Options{Peppers: [][]byte{random(32)}})
	if err != nil {
		return err
	}
	observed, err := newIssuer(t.store, remint.Options{Observe: func(context.Context, remint.Event) {}})
	if err != nil {
		return err
	}
	op := t.issuer.Operator("bench")
	bounded := &tokens{issuer: t.issuer, owners: t.owners[:1], whose: make([]uint32, n)}
	for i := range n {
		s := spec(i, t.owners[0], time.Now().Add(day))
		s.Networks = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}
		g, err := op.Issue(r.ctx, s)
		if err != nil {
			return err
		}
		bounded.texts = append(bounded.texts, g.Secret.Reveal())
	}
	shuffle(bounded.texts)
	client := netip.MustParseAddr("192.0.2.7")
	fromThere := func(text string) (string, error) {
		tok, err := t.issuer.Verify(r.ctx, text, client)
		return tok.Owner(), err
	}
	yard := t.yardstick(1)
	for _, w := range []struct {
		t     *tokens
		check func(string) (string, error)
	}{{t, check(r.ctx, t.issuer)}, {t, check(r.ctx, observed)}, {peppered, check(r.ctx, peppered.issuer)}, {bounded, fromThere}} {
		if err := errors.Join(w.t.prove(w.check), w.t.warm(w.check)); err != nil {
			return err
		}
	}
	if err := r.measure(&table{
		name: "kinds", title: "Verify one of 1,000 tokens of several kinds, in memory", against: []string{yardR, plain},
		subjects: []subject{
			{name: yardR, run: t.walk(func(text string) (string, error) { return yard.verify(text, t.prefix) })},
			{name: plain, run: t.walk(check(r.ctx, t.issuer))},
			{name: "with Options.Observe", run: t.walk(check(r.ctx, observed))},
			{name: "with a pepper", run: peppered.walk(check(r.ctx, peppered.issuer))},
			{name: "with networks", run: bounded.walk(fromThere)},
		},
	}); err != nil {
		return err
	}
	return r.refuse(t, yard, plain)
}

// refuse measures what it costs to refuse.
func (r *run) refuse(t *tokens, yard *yardstick, plain string) error {
	var changed, garbage, unknown, wrong []string
	for _, text := range t.texts {
		changed = append(changed, tamper(text, 40))
		garbage = append(garbage, "eyJhbGciOiJIUzI1NiJ9."+text[:40])
		unknown = append(unknown, withChecksum(prefix+ulid.Make().String()+text[t.prefix+26:len(text)-6]))
		wrong = append(wrong, withChecksum(tamper(text[:len(text)-6], 40)))
	}
	tab := &table{
		name: "refuse", title: "Refuse what is no token, of 1,000 in memory", against: []string{plain},
		subjects: []subject{{name: plain, run: t.walk(check(r.ctx, t.issuer))}},
	}
	byHand := func(text string) (string, error) { return yard.verify(text, t.prefix) }
	for _, k := range []struct {
		name  string
		texts []string
	}{{"garbage", garbage}, {"a wrong character", changed}, {"an unknown ID, and a right checksum", unknown}, {"a wrong secret, and a right checksum", wrong}} {
		tab.subjects = append(tab.subjects,
			subject{name: k.name, run: refusals(k.texts, check(r.ctx, t.issuer))},
			subject{name: k.name + ", by hand", run: refusals(k.texts, byHand)})
	}
	return r.measure(tab)
}

func refusals(texts []string, check func(string) (string, error)) func(n int) error {
	at := 0
	return func(n int) error {
		for range n {
			if _, err := check(texts[at]); err == nil {
				return fmt.Errorf("%q was accepted", texts[at])
			}
			if at++; at == len(texts) {
				at = 0
			}
		}
		return nil
	}
}

// nothingShared is what these cores allow: arithmetic without a look at any memory of others.
const nothingShared = "R without a look-up"

// coresPart verifies on one core and on all.
func coresPart(r *run) error {
	cores := runtime.GOMAXPROCS(0)
	t, err := issueTokens(r.ctx, 1000, remint.Options{})
	if err != nil {
		return err
	}
	one, many := "1 goroutine", fmt.Sprintf("%d goroutines", max(2, cores))
	yard, sharded := t.yardstick(1), t.yardstick(64)
	hash := func(text string) (string, error) {
		_, secret, ok := parse(text, t.prefix)
		d := sha256.Sum256(secret[:])
		return t.owners[0], unless(ok && d != [32]byte{})
	}
	for _, w := range []struct {
		name  string
		check func(string) (string, error)
	}{
		{"remint, memory", check(r.ctx, t.issuer)},
		{"R: a Go map, by hand", func(text string) (string, error) { return yard.verify(text, t.prefix) }},
		{"R with 64 shards", func(text string) (string, error) { return sharded.verify(text, t.prefix) }},
		{nothingShared, hash},
	} {
		if w.name != nothingShared { // which is no check
			if err := t.prove(w.check); err != nil {
				return err
			}
		}
		if err := t.warm(w.check); err != nil {
			return err
		}
		tab := &table{name: "cores/" + w.name, title: "On several cores: " + w.name, against: []string{one}, rates: true}
		for _, goroutines := range []int{1, max(2, cores)} {
			name := one
			if goroutines > 1 {
				name = many
			}
			tab.subjects = append(tab.subjects, subject{name: name, least: goroutines, run: func(n int) error {
				return parallel(goroutines, n, func(worker, i int) error {
					_, err := w.check(t.texts[(worker*331+i)%len(t.texts)])
					return err
				})
			}})
		}
		if err := r.measure(tab); err != nil {
			return err
		}
	}
	return nil
}
