package remint_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"go.etcd.io/bbolt"
	"pgregory.net/rapid"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/store"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// A twin is an Issuer over one of several stores. All of them have the same clock, are asked for
// the same, and get the same random numbers: so they make the same secrets, and must store the same
// bytes.
type twin struct {
	name     string
	store    remint.Store
	iss      *remint.Issuer
	cursor   remint.Cursor
	observed []string
}

type twins struct {
	t       *testing.T
	rt      *rapid.T
	clock   *modelClock
	list    []*twin
	seed    uint64
	ids     []remint.ID
	secrets []string
	log     []string
	met     map[string]bool // kinds of answers, and of events
}

// twinStores are every store of this repository, and what keeps records in front of one. A new one
// is added here.
func twinStores(t *rapid.T, db *bbolt.DB, bucket string) map[string]remint.Store {
	bolt := func(name string) remint.Store {
		s, err := storebolt.New(db, &storebolt.Options{Bucket: bucket + name})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	return map[string]remint.Store{
		"a map": newMapStore(), "memory": new(store.Memory), "bolt": bolt("bolt"),
		"a cache":         store.NewCache(new(store.Memory), time.Hour, nil),
		"a cache of none": store.NewCache(newMapStore(), 0, nil),
		"a small cache":   store.NewCache(bolt("small"), time.Hour, &store.CacheOptions{MaxBytes: 2 << 10}),
	}
}

func (x *twins) add(name string, s remint.Store) {
	w := &twin{name: name, store: s}
	iss, err := remint.New(s, &remint.Options{
		Now: x.clock.now, Lapse: modelLapse, Retention: modelRetention, RevokeOnReuse: true,
		Observe: func(_ context.Context, e remint.Event) { w.observed = append(w.observed, fmt.Sprintf("%+v", e)) },
	})
	if err != nil {
		x.rt.Fatal(err)
	}
	w.iss = iss
	x.list = append(x.list, w)
}

func (x *twins) fatalf(format string, args ...any) {
	x.rt.Helper()
	x.rt.Fatalf("%s\nhistory:\n\t%s", fmt.Sprintf(format, args...), strings.Join(x.log, "\n\t"))
}

// same asks every twin, and fails unless all answers are the same to the byte.
func (x *twins) same(what string, ask func(w *twin) string) string {
	x.rt.Helper()
	var first string
	for i, w := range x.list {
		x.seed++
		cryptotest.SetGlobalRandom(x.t, x.seed-uint64(i)) // the same for all
		if got := ask(w); i == 0 {
			first = got
		} else if got != first {
			x.fatalf("%s:\n%s: %s\n%s: %s", what, x.list[0].name, first, w.name, got)
		}
	}
	return first
}

// do is an operation in all of them.
func (x *twins) do(what string, op func(i *remint.Issuer) (any, error)) {
	x.rt.Helper()
	var grants []remint.Grant
	text := x.same(what, func(w *twin) string {
		out, err := op(w.iss)
		return w.answer(out, err, &grants)
	})
	answer, observed, _ := strings.Cut(text, "\n")
	x.log = append(x.log, fmt.Sprintf("%s  %s -> %.200s", x.clock.now().Format("01-02 15:04:05.000000"), what, answer))
	class, _, _ := strings.Cut(answer, " ")
	x.met[class] = true
	for _, m := range regexp.MustCompile(`Kind:([a-z-]+)`).FindAllStringSubmatch(observed, -1) {
		x.met[m[1]] = true
	}
	if len(grants) > 0 {
		x.ids, x.secrets = append(x.ids, grants[0].Token.ID()), append(x.secrets, grants[0].Secret.Reveal())
	}
	x.compare()
}

// answer is all that can be told of an answer, and of what its Issuer was observed to do.
func (w *twin) answer(out any, err error, grants *[]remint.Grant) string {
	text := fmt.Sprintf("%s (%v) ", mClassOf(err), err)
	token := func(tok remint.Token) string {
		data, jerr := tok.MarshalJSON()
		return fmt.Sprintf("%s %v %v %v %v;", data, jerr, tok.Retiring(), tok.RetiresAt(), tok.IsSession())
	}
	switch v := out.(type) {
	case remint.Grant:
		if err == nil {
			*grants = append(*grants, v)
			text += token(v.Token) + v.Secret.Reveal()
		}
	case remint.Token:
		text += token(v)
	case []remint.Token:
		for _, tok := range v {
			text += token(tok)
		}
	}
	text += "\n" + strings.Join(w.observed, "\n")
	w.observed = nil
	return text
}

// compare looks at all that is stored, and at each way of reading it.
func (x *twins) compare() {
	x.rt.Helper()
	page := func(list []*remint.Record, err error) string {
		var b strings.Builder
		for _, r := range list {
			fmt.Fprintf(&b, "%v@%d %x\n", r.ID(), r.Revision(), withoutStamp(x.rt, r))
		}
		return fmt.Sprintf("%s%v", b.String(), err)
	}
	limit := rapid.SampledFrom([]int{1, 2, 100}).Draw(x.rt, "limit")
	var after, parent remint.ID
	if len(x.ids) > 0 {
		after, parent = rapid.SampledFrom(x.ids).Draw(x.rt, "after"), rapid.SampledFrom(x.ids).Draw(x.rt, "parent")
	}
	x.same("Scan", func(w *twin) string { return page(w.store.Scan(ctxBG, remint.ID{}, 1000)) })
	x.same(fmt.Sprintf("Scan(%v, %d)", after, limit), func(w *twin) string { return page(w.store.Scan(ctxBG, after, limit)) })
	for _, owner := range []string{"", "a", "b"} {
		x.same(fmt.Sprintf("List(%q)", owner), func(w *twin) string { return page(w.store.List(ctxBG, owner, remint.ID{}, after, limit)) })
		x.same(fmt.Sprintf("List(%q, %v)", owner, parent), func(w *twin) string { return page(w.store.List(ctxBG, owner, parent, remint.ID{}, limit)) })
	}
	before := x.clock.now().Add(rapid.SampledFrom([]time.Duration{-time.Hour, 0, time.Microsecond, time.Hour}).Draw(x.rt, "before"))
	x.same(fmt.Sprintf("Due(%v)", before), func(w *twin) string { return page(w.store.Due(ctxBG, before, limit)) })
	if len(x.ids) > 0 {
		x.same(fmt.Sprintf("Load(%v)", after), func(w *twin) string {
			r, err := w.store.Load(ctxBG, after)
			if err != nil {
				return fmt.Sprint(err)
			}
			return page([]*remint.Record{r}, nil)
		})
	}
	// Cursors are a store's own, and the events after them are not.
	x.same("Events", func(w *twin) string {
		var b strings.Builder
		for {
			events, next, err := w.store.Events(ctxBG, w.cursor, limit)
			for _, e := range events {
				data, _ := e.AppendBinary(nil)
				fmt.Fprintf(&b, "%+v %x\n", e, data)
			}
			if w.cursor = next; len(events) == 0 || err != nil {
				return fmt.Sprintf("%s%v", b.String(), err)
			}
		}
	})
}

// withoutStamp is a record as it is stored, but for the number that tells its commit from all
// others: that is random, and not a secret, so that it does not come from where secrets do.
func withoutStamp(t *rapid.T, r *remint.Record) []byte {
	const stamp = 34 << 1
	data, err := r.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	out, rest, stamps := data[:1:1], data[1:len(data)-4], 0 // the version first, and the checksum last
	for len(rest) > 0 {
		v, n := binary.Uvarint(rest[1:])
		if rest[0]&1 == 1 {
			n += int(v)
		}
		if field := rest[:1+n]; field[0] == stamp {
			stamps++
		} else {
			out = append(out, field...)
		}
		rest = rest[1+n:]
	}
	if stamps != 1 {
		t.Fatalf("%x has %d stamps", data, stamps)
	}
	return out
}

// caller returns a way to be somebody, the same one in each world, and its name.
func (x *twins) caller() (string, func(i *remint.Issuer) remint.Actor) {
	switch k := rapid.IntRange(0, 9).Draw(x.rt, "caller"); {
	case k < 4 || len(x.secrets) == 0:
		return "operator", func(i *remint.Issuer) remint.Actor { return i.Operator("op") }
	case k == 4:
		owner, caps := rapid.SampledFrom([]string{"a", "b"}).Draw(x.rt, "member of"), remint.Allow(mDrawCaps(x.rt)...)
		return fmt.Sprintf("member of %s with %v", owner, caps), func(i *remint.Issuer) remint.Actor { return i.Member(owner, "mem", caps) }
	}
	n := x.pick("secret")
	text, from := x.secrets[n], rapid.SampledFrom(mAddrs).Draw(x.rt, "from")
	key := ""
	if rapid.IntRange(0, 3).Draw(x.rt, "keyed") == 0 {
		key = rapid.SampledFrom([]string{"k", "a retry key that nobody guesses"}).Draw(x.rt, "key")
	}
	return fmt.Sprintf("#%d from %v with the key %q", n, from, key), func(i *remint.Issuer) remint.Actor {
		a := i.Bearer(text, from)
		if key != "" {
			a = a.WithRetryKey(key, 0)
		}
		return a
	}
}

// pick returns the number of a grant, often of the last one.
func (x *twins) pick(label string) int {
	if rapid.IntRange(0, 2).Draw(x.rt, label+" is new") == 0 {
		return len(x.ids) - 1
	}
	return rapid.IntRange(0, len(x.ids)-1).Draw(x.rt, label)
}

// step draws an operation, and does it.
func (x *twins) step() {
	t := x.rt
	who, act := x.caller()
	id := remint.ID{1} // of no token
	if len(x.ids) > 0 && rapid.IntRange(0, 19).Draw(t, "known") > 0 {
		id = x.ids[x.pick("target")]
	}
	on := func(what string, op func(a remint.Actor) (any, error)) {
		x.do(who+": "+what, func(i *remint.Issuer) (any, error) { return op(act(i)) })
	}
	switch op := rapid.SampledFrom([]string{
		"issue", "issue", "issue", "rotate", "rotate", "rotate", "rotate", "verify", "verify", "verify", "verify", "session", "session",
		"update", "end", "revoke", "revoke secret", "cancel", "finish", "get", "list", "wait", "wait", "wait", "sweep",
		"overlap", "overlap", "repeat", "bury", // which chance makes too seldom
	}).Draw(t, "op"); op {
	case "issue":
		s := drawSpec(t)
		s.Owner = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "owner")
		if rapid.Bool().Draw(t, "child") {
			s.Parent, s.Owner = id, ""
		}
		if d := rapid.IntRange(0, 300).Draw(t, "minutes"); d > 60 {
			s.ExpiresAt = x.clock.now().Add(time.Duration(d) * time.Minute)
		}
		on(fmt.Sprintf("Issue(%+v)", s), func(a remint.Actor) (any, error) { return a.Issue(ctxBG, s) })
	case "rotate":
		how, d, retire := drawRetirement(t, x.clock.now())
		r := remint.Rotation{Retire: retire, IfRevision: rapid.SampledFrom([]uint64{0, 0, 0, 1, 2}).Draw(t, "if")}
		switch rapid.IntRange(0, 3).Draw(t, "successor") {
		case 0:
			r.Successor = &remint.Successor{}
		case 1:
			r.Successor = &remint.Successor{Spec: &remint.Spec{Capabilities: remint.Allow("r:a")}, Inherit: true, ExpiresAt: new(x.clock.now().Add(time.Hour))}
		default:
			r.KeepSessions = rapid.Bool().Draw(t, "keep")
		}
		on(fmt.Sprintf("Rotate(%v, %s %v, %+v)", id, how, d, r.Successor), func(a remint.Actor) (any, error) { return a.Rotate(ctxBG, id, r) })
	case "session":
		s := remint.Session{Manages: rapid.Bool().Draw(t, "manages"), Lifetime: rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "lifetime")}
		on(fmt.Sprintf("StartSession(%v, %+v)", id, s), func(a remint.Actor) (any, error) { return a.StartSession(ctxBG, id, s) })
	case "update":
		caps, nets := mDrawCaps(t), mDrawNets(t)
		on(fmt.Sprintf("Update(%v, %v, %v)", id, caps, nets), func(a remint.Actor) (any, error) {
			return a.Update(ctxBG, id, func(s *remint.Spec) error { s.Capabilities, s.Networks = remint.Allow(caps...), nets; return nil })
		})
	case "end":
		on(fmt.Sprintf("EndSessions(%v)", id), func(a remint.Actor) (any, error) { return nil, a.EndSessions(ctxBG, id) })
	case "revoke":
		on(fmt.Sprintf("Revoke(%v)", id), func(a remint.Actor) (any, error) { return nil, a.Revoke(ctxBG, id) })
	case "cancel":
		on(fmt.Sprintf("CancelRotation(%v)", id), func(a remint.Actor) (any, error) { return a.CancelRotation(ctxBG, id) })
	case "finish":
		on(fmt.Sprintf("FinishRotation(%v)", id), func(a remint.Actor) (any, error) { return a.FinishRotation(ctxBG, id) })
	case "get":
		on(fmt.Sprintf("Get(%v)", id), func(a remint.Actor) (any, error) { return a.Get(ctxBG, id) })
	case "list":
		q := remint.Query{Ended: rapid.Bool().Draw(t, "ended"), Expired: rapid.Bool().Draw(t, "expired")}
		q.Owner = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "owner")
		switch rapid.IntRange(0, 2).Draw(t, "of") {
		case 0:
			q.Owner, q.Parent = "", id
		case 1:
			q.Owner, q.AllOwners = "", true
		}
		on(fmt.Sprintf("List(%+v)", q), func(a remint.Actor) (any, error) {
			var list []remint.Token
			for tok, err := range a.List(ctxBG, q) {
				if err != nil {
					return list, err
				}
				list = append(list, tok)
			}
			return list, nil
		})
	case "verify", "revoke secret":
		if len(x.secrets) == 0 {
			return
		}
		n := x.pick("presented")
		text, from := x.secrets[n], rapid.SampledFrom(mAddrs).Draw(t, "at")
		if op == "verify" {
			x.do(fmt.Sprintf("Verify(#%d, %v)", n, from), func(i *remint.Issuer) (any, error) { return i.Verify(ctxBG, text, from) })
		} else {
			on(fmt.Sprintf("RevokeSecret(#%d)", n), func(a remint.Actor) (any, error) { return nil, a.RevokeSecret(ctxBG, text) })
		}
	case "overlap":
		before := len(x.secrets)
		x.do(fmt.Sprintf("operator: Rotate(%v, an hour)", id), func(i *remint.Issuer) (any, error) {
			return i.Operator("op").Rotate(ctxBG, id, remint.Rotation{Retire: remint.RetireAfter(time.Hour)})
		})
		if len(x.secrets) > before {
			if rapid.Bool().Draw(t, "cancelled") {
				x.do("operator: CancelRotation of that", func(i *remint.Issuer) (any, error) { return i.Operator("op").CancelRotation(ctxBG, id) })
				return
			}
			text, from := x.secrets[before], rapid.SampledFrom(mAddrs).Draw(t, "at")
			x.do("Verify of that", func(i *remint.Issuer) (any, error) { return i.Verify(ctxBG, text, from) })
			x.do("operator: FinishRotation of that", func(i *remint.Issuer) (any, error) { return i.Operator("op").FinishRotation(ctxBG, id) })
		}
	case "repeat":
		if len(x.secrets) == 0 {
			return
		}
		n := x.pick("bearer")
		text, from, key := x.secrets[n], rapid.SampledFrom(mAddrs).Draw(t, "at"), fmt.Sprint("a key of 22 characters ", len(x.log))
		r := remint.Rotation{Retire: rapid.SampledFrom([]remint.Retirement{{}, remint.RetireAfterFirstUse(0)}).Draw(t, "retire")}
		for range 2 {
			x.do(fmt.Sprintf("#%d from %v: Rotate of itself, with a key", n, from), func(i *remint.Issuer) (any, error) {
				return i.Bearer(text, from).WithRetryKey(key, 0).Rotate(ctxBG, x.ids[n], r)
			})
		}
	case "bury":
		x.do(fmt.Sprintf("operator: Revoke(%v), and much later Sweep", id), func(i *remint.Issuer) (any, error) { return nil, i.Operator("op").Revoke(ctxBG, id) })
		x.clock.advance(modelRetention + time.Hour)
		x.do("Sweep", func(i *remint.Issuer) (any, error) { return nil, i.Sweep(ctxBG) })
	case "wait":
		d := rapid.SampledFrom([]time.Duration{
			time.Microsecond, time.Minute, 2 * time.Minute, time.Hour - time.Microsecond, time.Hour, 25 * time.Hour, modelRetention,
		}).Draw(t, "wait")
		x.clock.advance(d)
		x.log = append(x.log, fmt.Sprint("waited for ", d))
	case "sweep":
		x.do("Sweep", func(i *remint.Issuer) (any, error) { return nil, i.Sweep(ctxBG) })
	}
}

// Two stores that are driven with the same operations are told apart by nothing: not by an answer,
// an error, an event, a page, nor by a byte of what they store. That includes those that a Cache
// stands in front of.
func TestAllStoresAgreeOnEveryAnswerEventAndByte(t *testing.T) {
	db := openUnsynced(t)
	runs, met := 0, map[string]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		x := &twins{t: t, rt: rt, clock: newModelClock(), seed: uint64(runs) << 32, met: met}
		bucket := fmt.Sprint(runs)
		stores := twinStores(rt, db, bucket)
		for _, name := range sortedKeys(stores) {
			x.add(name, stores[name])
		}
		for range rapid.IntRange(15, 35).Draw(rt, "steps") {
			x.step()
		}
		for _, w := range x.list {
			if c, ok := w.store.(interface{ Close() error }); ok {
				if err := c.Close(); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if err := db.Update(func(tx *bbolt.Tx) error {
			for _, name := range []string{"bolt", "small"} {
				if err := tx.DeleteBucket([]byte(bucket + name)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			rt.Fatal(err)
		}
	})
	// What is compared must have happened.
	for _, c := range []mClass{mOK, mDenied, mNetwork, mForbidden, mNotFound, mConflict, mEnded, mInput} {
		if !met[string(c)] && !t.Failed() {
			t.Errorf("nothing was ever answered with %s", c)
		}
	}
	for _, k := range []remint.EventKind{
		remint.EventIssue, remint.EventUpdate, remint.EventRotate, remint.EventConfirm, remint.EventCancel, remint.EventFinish, remint.EventEndSessions,
		remint.EventRevoke, remint.EventSeal, remint.EventReplay, remint.EventReuse, remint.EventRemove, remint.EventVerify, remint.EventDeny,
	} {
		if !met[string(k)] && !t.Failed() {
			t.Errorf("there never was an event %q", k)
		}
	}
}

func sortedKeys[V any](m map[string]V) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
