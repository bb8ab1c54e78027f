package soak

import (
	"net/http"
	"strings"
	"testing"
)

// testText is the text of a token's secret with that number.
func testText(prefix, id string, n byte) string {
	text := prefix + id + strings.Repeat(string('0'+n), secretLen)
	return text + checksum(text)
}

// regenerating is a client with a master, whose newest secret nobody has received: its rotation lapses at that moment. Its
// request regenerates another token for as long as the secret before is what the master has.
func regenerating(lapses int64) (c *client, a *act) {
	c, _, id := limitedClient()
	master := strings.Repeat("3", idLen)
	text := testText(masterPrefix, master, 1)
	w := c.world()
	w.tokens = w.tokens[1:]
	t := w.byID(id)
	t.prefix, t.epoch, t.slots[newest].bears = axiomPrefix, 1, 2
	w.add(token{
		n: 3, id: master, prefix: masterPrefix, caps: []string{"*"}, epoch: 1, made: exactly(lapses - 60e6),
		slots:    [3]secret{{n: 5, bears: 5, made: exactly(lapses - lapse.Microseconds())}, {n: 4, bears: 4, text: text, confirmed: true}},
		firstUse: true, grace: gentleTime, lapse: exactly(lapses),
	})
	return c, c.axiomRegenerate(text, id, 1e15, -1, nil, false, "")
}

// answered is an answer with a token's new secret.
func answered(status int, body string) *reply {
	return newReply(status, http.Header{"Content-Type": {"application/json"}}, []byte(body))
}

func TestWhoseRotationHasLapsedMayHaveItsAnswerAgain(t *testing.T) {
	const lapses = int64(1_800_000_000e6)
	next := strings.Repeat("4", idLen)
	for _, x := range []struct {
		name  string
		after int64 // from the lapse to the first request
		again bool  // the third may have the answer of the first; else it has not
		anew  bool  // it may make another secret, though the first was served
	}{
		{"long before", -200_000, false, true},
		{"just before", -1000, true, true},
		{"just after", 1000, true, true},
		{"a while after", 118_000, true, false},
	} {
		c, a := regenerating(lapses)
		first := lapses + x.after
		// One is cut off, another given up, and the third is answered.
		for k, at := range []int64{first, first + 19_000} {
			if a.serial = 10 + k; c.belief.judge(a, at, at+400, nil).wrong != nil {
				t.Fatal("nothing was answered")
			}
		}
		a.serial = 12
		v := c.belief.judge(a, first+124_000, first+130_000, answered(200,
			`{"id":"`+next+`","token":"`+testText(axiomPrefix, next, 7)+`","orgCapabilities":{}}`))
		if v.wrong != nil {
			t.Fatalf("%s: %v", x.name, v.wrong)
		}
		again, anew := false, false
		for _, w := range c.belief {
			served := w.get(10) != nil // the first
			if n := w.byID(next).n; n == 10 {
				again = true
			} else if served && n == 12 && w.get(11) == nil {
				anew = true
			}
		}
		if again != x.again || anew != x.anew {
			t.Errorf("%s: it may be the answer of the first: %v, another: %v", x.name, again, anew)
		}
	}
}

func TestASessionOfWhatHasLapsedMayHaveItsAnswerAgain(t *testing.T) {
	const lapses = int64(1_800_000_000e6)
	c, _ := regenerating(lapses)
	id := strings.Repeat("5", idLen)
	text := testText(sessionPrefix, id, 6)
	c.world().add(token{
		n: 6, id: id, prefix: sessionPrefix, caps: []string{"*"}, parent: 3, parentEpoch: 1, epoch: 1, session: true, manages: true, startedBy: 4,
		made: exactly(lapses - 30e6), slots: [3]secret{{n: 6, bears: 6, text: text, confirmed: true}},
	})
	a := c.axiomRegenerate(text, c.world().tokens[0].id, 1e15, -1, nil, false, "")
	for after, want := range map[int64]int{-200_000: 0, 100_000: 1} {
		a.serial = 10
		a.ways(c.world(), lapses+after, lapses+after, func(r *run) {
			if got := len(r.w.byID(id).kept); r.outcome.why != ok || got != want {
				t.Errorf("%d µs after the lapse %d answers are kept, want %d (%s)", after, got, want, r.outcome.why)
			}
		})
	}
}

func TestARepeatOfWhatHasStoppedItsBearerIsCounted(t *testing.T) {
	for used := limit - 3; used < limit; used++ {
		c, text, _ := limitedClient()
		own := c.world().tokens[0]
		own.least, own.atMost, own.epoch = used, used, 1
		at := own.minute*60e6 + 30e6 // far from the next minute
		a := c.nativeRotate(text, idIn(text), rotation{}, false, strings.Repeat("k", longKey))
		for k := range 3 { // the first stops the bearer, and the others repeat it
			want := ok
			if used+k >= limit {
				want = limited
			}
			a.serial = 10 + k
			var got []class
			after := c.world()
			a.ways(c.world(), at, at, func(r *run) { got, after = append(got, r.outcome.why), r.w })
			if len(got) != 1 || got[0] != want {
				t.Errorf("request %d of this minute: %q, want %q", used+k+1, got, want)
			}
			c.belief = belief{after}
		}
	}
}
