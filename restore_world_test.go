package remint_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/remint-go/remint"
)

// A pastWorld is a service whose history is drawn at random: what it knows of itself is every secret
// that it ever handed out, and its log, as somebody outside has it who reads it after every step.
type pastWorld struct {
	t       *rapid.T
	clock   *modelClock
	opts    remint.Options
	store   remint.Store
	iss     *remint.Issuer
	op      remint.Actor
	cursor  remint.Cursor
	shipped []remint.Event
	held    []remint.Grant
	keys    []string
	story   *[]string
}

func newPastWorld(t *rapid.T, s remint.Store, reuse bool) *pastWorld {
	w := &pastWorld{t: t, clock: newModelClock(), story: new([]string)}
	w.opts = remint.Options{Lapse: modelLapse, Retention: modelRetention, RevokeOnReuse: reuse, Now: w.clock.now}
	w.use(s)
	return w
}

func (w *pastWorld) use(s remint.Store) {
	iss, err := remint.New(s, &w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	w.store, w.iss, w.op, w.cursor = s, iss, iss.Operator("op"), ""
}

// restored returns the same service on what a backup has of it. What it is told of by its log
// begins after that.
func (w *pastWorld) restored(s remint.Store) *pastWorld {
	r := *w
	r.held, r.shipped = nil, nil
	r.use(s)
	r.ship()
	r.shipped = nil
	return &r
}

func (w *pastWorld) ship() {
	for {
		page, next, err := w.iss.Events(ctxBG, w.cursor)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page) == 0 {
			return
		}
		w.shipped, w.cursor = append(w.shipped, page...), next
	}
}

func (w *pastWorld) tell(format string, args ...any) {
	*w.story = append(*w.story, w.clock.now().Format("01-02 15:04:05.000000  ")+fmt.Sprintf(format, args...))
}

func (w *pastWorld) fatalf(format string, args ...any) {
	w.t.Helper()
	for _, e := range w.shipped {
		*w.story = append(*w.story, "log: "+short(e.Token)+" "+eventLine(nil, e))
	}
	w.t.Fatalf("%s\n\t%s", fmt.Sprintf(format, args...), strings.Join(*w.story, "\n\t"))
}

func short(id remint.ID) string { return id.String()[max(0, len(id.String())-4):] }

func (w *pastWorld) name(n int) string {
	return fmt.Sprintf("#%d of %s", n, short(w.held[n].Token.ID()))
}

func (w *pastWorld) add(g remint.Grant) string {
	w.held = append(w.held, g)
	return " -> " + w.name(len(w.held)-1)
}

// pick returns one of the secrets, the young ones more often.
func (w *pastWorld) pick(label string) int {
	n := len(w.held)
	if rapid.Bool().Draw(w.t, label+" young") {
		return rapid.IntRange(max(0, n-4), n-1).Draw(w.t, label)
	}
	return rapid.IntRange(0, n-1).Draw(w.t, label)
}

var pastOps = []string{
	"issue", "child", "child", "session", "use", "use", "use", "use", "use", "rotate", "rotate", "rotate", "rotate", "rotate",
	"cancel", "finish", "update", "end", "end", "revoke", "sweep", "wait", "wait", "wait",
}

// wander does some steps, each by whoever may or may not.
func (w *pastWorld) wander(steps int, ops []string) {
	for range steps {
		w.step(rapid.SampledFrom(ops).Draw(w.t, "op"))
		w.ship()
	}
}

func (w *pastWorld) step(op string) {
	if len(w.held) == 0 {
		op = "issue"
	}
	n := 0
	var id remint.ID
	who, act := "op", w.op
	if op != "issue" {
		n = w.pick("secret")
		id = w.held[n].Token.ID()
		if rapid.Bool().Draw(w.t, "bearer") {
			by := n
			if rapid.IntRange(0, 3).Draw(w.t, "another") == 0 {
				by = w.pick("bearer")
			}
			who, act = w.name(by), w.iss.Bearer(w.held[by].Secret.Reveal(), lawAddr)
			if op != "use" && rapid.IntRange(0, 3).Draw(w.t, "key") == 0 {
				if len(w.keys) == 0 || rapid.Bool().Draw(w.t, "new key") {
					w.keys = append(w.keys, fmt.Sprintf("a retry key that is long, no. %d", len(w.keys)))
				}
				key := rapid.SampledFrom(w.keys).Draw(w.t, "which key")
				who, act = who+" with "+key[len(key)-1:], act.WithRetryKey(key, 0)
			}
		}
	}
	var g remint.Grant
	var err error
	what := op
	switch op {
	case "issue":
		spec := remint.Spec{Owner: "o", Capabilities: remint.Allow("a", "b")}
		if rapid.IntRange(0, 4).Draw(w.t, "expires") == 0 {
			spec.ExpiresAt = w.clock.now().Add(5 * time.Hour)
		}
		g, err = act.Issue(ctxBG, spec)
	case "child":
		what += " of " + short(id)
		g, err = act.Issue(ctxBG, remint.Spec{Parent: id, Capabilities: remint.Allow("a")})
	case "session":
		what += " of " + short(id)
		g, err = act.StartSession(ctxBG, id, remint.Session{Manages: rapid.Bool().Draw(w.t, "manages"), Lifetime: 100 * time.Hour})
	case "use":
		what += " " + w.name(n)
		_, err = w.iss.Verify(ctxBG, w.held[n].Secret.Reveal(), lawAddr)
	case "rotate":
		how, d, retire := drawRetirement(w.t, w.clock.now())
		r := remint.Rotation{Retire: retire}
		if rapid.IntRange(0, 2).Draw(w.t, "successor") == 0 {
			r.Successor = &remint.Successor{}
		} else {
			r.KeepSessions = rapid.IntRange(0, 3).Draw(w.t, "keep") == 0
		}
		what += fmt.Sprintf(" %s %s %v successor %v", short(id), how, d, r.Successor != nil)
		g, err = act.Rotate(ctxBG, id, r)
	case "cancel":
		what += " " + short(id)
		_, err = act.CancelRotation(ctxBG, id)
	case "finish":
		what += " " + short(id)
		_, err = act.FinishRotation(ctxBG, id)
	case "end":
		what += " " + short(id)
		err = act.EndSessions(ctxBG, id)
	case "revoke":
		what += " " + short(id)
		err = act.Revoke(ctxBG, id)
	case "update":
		k := rapid.IntRange(0, 4).Draw(w.t, "change")
		what += fmt.Sprintf(" %s %d", short(id), k)
		_, err = act.Update(ctxBG, id, func(s *remint.Spec) error {
			switch k {
			case 0:
				s.Capabilities = remint.Allow("a")
			case 1:
				s.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			case 2:
				s.ExpiresAt = w.clock.now().Add(2 * time.Hour)
			case 3:
				s.Attributes = map[string]string{"plan": fmt.Sprint(len(*w.story))}
			case 4:
				s.Name = fmt.Sprint("renamed ", len(*w.story))
			}
			return nil
		})
	case "sweep":
		err = w.iss.Sweep(ctxBG)
	case "wait":
		w.clock.advance(rapid.SampledFrom([]time.Duration{time.Microsecond, time.Second, 10 * time.Minute, 50 * time.Minute, 3 * time.Hour, 35 * 24 * time.Hour}).Draw(w.t, "wait"))
	}
	told := ""
	if err == nil && !g.Token.IsZero() {
		told = w.add(g)
	}
	w.tell("%s: %s: %v%s", who, what, mClassOf(err), told)
}

// A secretStanding says what a secret can do.
type secretStanding struct {
	accepted bool
	may      bool // rotate its own token
	spec     remint.Spec
}

// cloneStore returns a copy of a store, so that to look changes nothing.
func cloneStore(s remint.Store) *mapStore {
	c := &mapStore{recs: map[remint.ID]*remint.Record{}}
	if m, ok := s.(*mapStore); ok {
		c.recs, c.log, c.trimmed = maps.Clone(m.recs), slices.Clone(m.log), m.trimmed
		return c
	}
	for after := (remint.ID{}); ; {
		page, err := s.Scan(ctxBG, after, 1000)
		if err != nil {
			panic(err)
		}
		for _, r := range page {
			c.recs[r.ID()], after = r, r.ID()
		}
		if len(page) == 0 {
			break
		}
	}
	for at := remint.Cursor(""); ; {
		page, next, err := s.Events(ctxBG, at, 1000)
		if err != nil {
			panic(err)
		}
		if len(page) == 0 {
			return c
		}
		c.log, at = append(c.log, page...), next
	}
}

// standing tries the secrets, each on a copy of its own.
func (w *pastWorld) standing(held []remint.Grant) []secretStanding {
	base := cloneStore(w.store)
	list := make([]secretStanding, len(held))
	for n, g := range held {
		iss, err := remint.New(&mapStore{recs: maps.Clone(base.recs)}, &w.opts)
		if err != nil {
			w.t.Fatal(err)
		}
		tok, err := iss.Verify(ctxBG, g.Secret.Reveal(), lawAddr)
		if err != nil {
			continue
		}
		_, err = iss.Bearer(g.Secret.Reveal(), lawAddr).Rotate(ctxBG, tok.ID(), remint.Rotation{})
		list[n] = secretStanding{true, err == nil, tok.Spec()}
	}
	return list
}

// beyond says what a secret can do that it could not, or "".
func (s secretStanding) beyond(was secretStanding) string {
	switch {
	case !s.accepted:
		return ""
	case !was.accepted:
		return "it is accepted, and was dead"
	case s.may && !was.may:
		return "it may rotate its token, and could not"
	case !was.spec.Capabilities.Contains(s.spec.Capabilities):
		return "its capabilities are wider"
	case !mNetsWithin(s.spec.Networks, was.spec.Networks):
		return "its networks are wider"
	case !was.spec.ExpiresAt.IsZero() && (s.spec.ExpiresAt.IsZero() || s.spec.ExpiresAt.After(was.spec.ExpiresAt)):
		return "it lives longer"
	case !maps.Equal(s.spec.Attributes, was.spec.Attributes):
		return "its attributes are other ones"
	}
	return ""
}

func eventSeq(list []remint.Event) func(func(remint.Event, error) bool) {
	return func(yield func(remint.Event, error) bool) {
		for _, e := range list {
			if !yield(e, nil) {
				return
			}
		}
	}
}
