package crash

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// A campaign kills one victim after another. What it expects of a file is carried from one to the
// next.
type campaign struct {
	testing.TB
	seed   uint64
	random *rand.Rand
	dir    string
	files  int
	totals totals

	path   string // of the file, of which
	left   int    // so many victims are left, and
	first  uint64 // the next begins with this step
	now    int64
	world  *world
	used   map[use]time.Time
	log    []remint.Event // all that was ever read
	cut    int            // so many of them are trimmed
	cursor remint.Cursor  // behind the log
	again  []step         // what was cut off, and is to be repeated
}

func newCampaign(t testing.TB, seed uint64) *campaign {
	return &campaign{TB: t, seed: seed, random: rand.New(rand.NewPCG(seed, 0)), dir: t.TempDir(), totals: newTotals()}
}

// renew begins with a new file: one in three has many free pages, and the others are not there yet.
func (c *campaign) renew(absent bool) {
	c.files++
	dir := filepath.Join(c.dir, fmt.Sprint(c.files))
	c.must(os.Mkdir(dir, 0o700))
	if c.path != "" {
		c.must(os.RemoveAll(filepath.Dir(c.path)))
	}
	c.path = filepath.Join(dir, "tokens.db")
	c.left = 3 + c.random.IntN(20)
	c.now, c.world, c.used = dawn, newWorld(), map[use]time.Time{}
	c.log, c.cut, c.cursor, c.again = nil, 0, "", nil
	if !absent && c.files%3 == 0 {
		c.must(fragment(c.path))
	}
}

func (c *campaign) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// kill lets a victim work and die, and checks what it leaves.
func (c *campaign) kill() {
	m := drawMoment(c.random)
	if c.left == 0 || m.fresh {
		c.renew(m.fresh)
	}
	c.left--
	p := plan{
		Path: c.path, Start: c.now, First: c.first, Seed: c.random.Uint64(), Workers: 2 + c.random.IntN(7),
		Sweeps: m.sweeps, CloseAfter: m.closeAfter,
	}
	p.Holdings, p.Again = c.holdings(p.Workers), c.again
	c.again = nil
	said, killed, err := run(p, m)
	c.must(err)
	l, err := readLedger(said)
	c.must(err)
	if !killed && !l.closed {
		c.Fatal("the victim ended by itself")
	}
	c.first += uint64(len(l.order))
	c.now = max(c.now, l.latest)
	c.totals.victim(m, l, killed)
	if found := c.check(l); len(found) > 0 {
		c.Fatalf("after %d kills, the last %v after %q, with REMINT_CRASH_SEED=%d:\n%s", c.totals.kills, m.wait, m.name, c.seed, found[0])
	}
}

// check compares the file with all that was acknowledged.
func (c *campaign) check(l *ledger) (found problems) {
	switch _, err := os.Stat(c.path); {
	case errors.Is(err, fs.ErrNotExist) && !l.ready && len(c.log) == 0:
		c.totals.absent++
		return nil // it was killed before there was a file
	case err != nil:
		found.add("the file: %v", err)
		return found
	}
	if names, err := strays(c.path); err != nil || slices.ContainsFunc(names, func(name string) bool {
		return !strings.HasPrefix(name, "storebolt-new-")
	}) {
		found.add("beside the file there is %v, %v", names, err)
	}
	if err := checkPages(c.path); err != nil {
		found.add("the pages of the file: %v", err)
	}
	if listed, err := isListed(c.path); err != nil || !listed {
		c.totals.unlisted++
	}
	// Half of the time the next victim finds the file as the kill left it.
	store, err := storebolt.Open(c.path, &storebolt.Options{ReadOnly: c.random.IntN(2) == 0})
	if err != nil {
		found.add("the file cannot be opened: %v", err)
		return found
	}
	defer func() { c.must(store.Close()) }()

	events := c.read(store, &found)
	r := newReplay(c.world, l, &found)
	r.run(events)
	c.totals.repeats(r)
	c.totals.replay(r)
	for _, e := range events {
		c.now = max(c.now, e.At.UnixMicro())
	}
	downtime := c.downtime()
	c.now += 1 + downtime
	if downtime < minute { // nobody asks after the retry window
		for _, n := range l.order {
			if s := *l.begun[n]; l.untold(n) && (s.Kind == kindSelf || s.Kind == kindAgain) {
				s.Kind, s.Of = kindAgain, s.first()
				c.again = append(c.again, s)
			}
		}
	}
	s, err := newSurvey(c.world, store, c.now, c.used, &found)
	c.must(err)
	if err := s.run(c.Context()); err != nil {
		found.add("what is stored cannot be read: %v", err)
	}
	return found
}

// downtime is how long nobody works on the file: sometimes longer than anything is kept.
func (c *campaign) downtime() int64 {
	switch n := c.random.IntN(100); {
	case n < 70:
		return c.random.Int64N(second)
	case n < 95:
		return c.random.Int64N(5 * minute)
	default:
		return c.random.Int64N(45 * minute)
	}
}

// read returns the new events, and checks that of the others none is missing that was not trimmed.
func (c *campaign) read(s remint.Store, found *problems) []remint.Event {
	whole, _, err := readEvents(c.Context(), s, "")
	if err != nil {
		found.add("the log: %v", err)
		return nil
	}
	events, cursor, err := readEvents(c.Context(), s, c.cursor)
	if err != nil {
		found.add("the log from %q: %v", c.cursor, err)
		return nil
	}
	c.log, c.cursor = append(c.log, events...), cursor
	cut := len(c.log) - len(whole)
	if cut < c.cut || !slices.Equal(whole, c.log[cut:]) {
		found.add("the log has %d events, which are not those of the last %d that there were", len(whole), len(c.log))
		return events
	}
	for _, e := range c.log[c.cut:cut] {
		if e.At.Add(retention).UnixMicro() >= c.now {
			found.add("an event was trimmed too soon: %+v", e)
		}
	}
	c.totals.trimmed += cut - c.cut
	c.cut = cut
	return events
}

// holdings are what the next victim starts with: what lives, and some of what does not.
func (c *campaign) holdings(workers int) (list []holding) {
	texts := map[remint.ID][]string{}
	gens := map[string]uint64{}
	for text, x := range c.world.texts {
		texts[x.token] = append(texts[x.token], text)
		gens[text] = x.gen
	}
	for _, id := range c.world.ids() {
		t := c.world.tokens[id]
		if !c.world.live(t, c.now) && c.random.IntN(4) > 0 {
			continue
		}
		h := holding{ID: id, Session: t.startedBy != 0, Home: c.home(t, workers), Texts: texts[id]}
		slices.SortFunc(h.Texts, func(a, b string) int { return int(gens[a]) - int(gens[b]) })
		h.Texts = h.Texts[max(0, len(h.Texts)-mostTexts):]
		list = append(list, h)
	}
	return list
}

// home returns whose a token is: that of the first of its line.
func (c *campaign) home(t *token, workers int) int {
	for {
		switch p, q := c.world.tokens[t.parent], c.world.tokens[t.predecessor]; {
		case p != nil:
			t = p
		case q != nil:
			t = q
		case t.name == everybodys:
			return everybody
		default:
			return int(t.id[15]) % workers
		}
	}
}
