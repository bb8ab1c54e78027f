package soak

import (
	"fmt"
	"strings"
	"testing"
)

// A token that a repeated request made has the number of the request that made it: of the first in one world, of the
// second in another. So a number means something in its own world only, and a request names a token by its ID.

// renumbered is a world with other numbers for all that it has.
func (w *world) renumbered(other func(int) int) *world {
	w = w.clone()
	for _, t := range w.tokens {
		for _, n := range []*int{&t.n, &t.parent, &t.succ, &t.pred, &t.startedBy} {
			*n = other(*n)
		}
		for k := range t.slots {
			t.slots[k].n, t.slots[k].bears = other(t.slots[k].n), other(t.slots[k].bears)
		}
		stopped, list := make([]int, len(t.stopped)), make([]kept, len(t.kept))
		for k, n := range t.stopped {
			stopped[k] = other(n)
		}
		for k, e := range t.kept {
			e.by.n, e.by.bears, e.token, e.secret = other(e.by.n), other(e.by.bears), other(e.token), other(e.secret)
			list[k] = e
		}
		t.stopped, t.kept = stopped, list
	}
	return w
}

func TestARequestMeansTheSameWhateverNumbersTokensHave(t *testing.T) {
	const far = 1_000_000 // more than there are requests
	there := func(n int) int {
		if n == 0 { // none
			return 0
		}
		return n + far
	}
	back := func(n int) int {
		if n < far { // made by the request
			return n
		}
		return n - far
	}
	randomRequests(t, func(t *testing.T, c *client, a *act, w *world, at int64) {
		is, should := map[string]bool{}, map[string]bool{}
		a.ways(w, at, at, func(r *run) { should[fmt.Sprint(r.outcome.why, "\n", r.w.shape())] = true })
		a.ways(w.renumbered(there), at, at, func(r *run) {
			is[fmt.Sprint(r.outcome.why, "\n", r.w.renumbered(back).shape())] = true
		})
		for end := range should {
			if !is[end] {
				t.Fatalf("%s\nends only with some numbers as %s\nat %s in %s", a, end, formatTime(at), c.belief)
			}
		}
		if len(is) != len(should) {
			t.Fatalf("%s\nends in %d ways, and with other numbers in %d\nat %s in %s", a, len(should), len(is), formatTime(at), c.belief)
		}
	})
}

func TestWhatARepeatedRequestMadeMayHaveTokensBelowIt(t *testing.T) {
	const first, second = int64(1_800_000_038_761_342), int64(1_800_000_038_781_186)
	for _, x := range []struct {
		name string
		made int64 // as an answer tells in the end
		n    int   // of the request that made it
	}{
		{"the first request made it", first + 900, 10},
		{"the second request made it", second + 2003, 11},
	} {
		c, _, id := limitedClient()
		text, next, child := testText(masterPrefix, strings.Repeat("3", idLen), 1), strings.Repeat("4", idLen), strings.Repeat("5", idLen)
		w := c.world()
		w.tokens = w.tokens[1:]
		w.tokens[0].made = exactly(first - 10e6)
		w.add(token{n: 1, id: idIn(text), prefix: masterPrefix, caps: []string{"*"}, made: exactly(first - 10e6),
			slots: [3]secret{{n: 1, text: text, confirmed: true}}})
		serial := 10
		judge := func(a *act, from int64, s *reply) {
			t.Helper()
			a.serial = serial
			serial++
			if v := c.belief.judge(a, from, from+3183, s); v.wrong != nil {
				t.Fatalf("%s: %s: %v", x.name, a, v.wrong)
			}
		}
		shown := func(id, of, made, more string) string {
			return `{"id":"` + id + `","owner":"client-0","prefix":"` + nativePrefix + `","secret":"` + testText(nativePrefix, id, 7) + `",` + of +
				`,"state":{"created_at":"` + made + `","current":{"created_at":"` + made + `"},"revision":1` + more + `}}`
		}

		a := c.axiomRegenerate(text, id, first+800_000, -1, nil, false, "Q7PZOTTQ")
		judge(a, first, nil) // given up
		// That it was made is in the answer, and when is not.
		judge(a, second, answered(200, `{"id":"`+next+`","token":"`+testText(nativePrefix, next, 7)+`"}`))
		var s spec
		for s.parent != next || s.expires.set() || s.nets != nil {
			s = c.someSpec([][]string{{}})
		}
		s.name = ""
		born := second + 160_000
		created := answered(201, shown(child, `"parent":"`+next+`"`, formatTime(born), ""))
		created.header.Set("ETag", `"1"`)
		judge(c.nativeCreate(text, s, ""), born, created)
		made := formatTime(x.made)
		judge(c.nativeGet(text, next), born+20_000, answered(200,
			shown(next, `"name":""`, made, `,"unconfirmed":{"created_at":"`+made+`"},"predecessor":"`+id+`"`)))
		if len(c.belief) != 1 || c.world().byID(next).n != x.n {
			t.Errorf("%s: it believes in\n%s", x.name, c.belief)
		}
	}
}
