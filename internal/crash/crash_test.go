package crash

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// crashes is how many victims are killed, unless REMINT_CRASHES says otherwise.
const crashes = 20

func TestWhateverAKilledProcessAcknowledgedIsThereAndNothingByHalves(t *testing.T) {
	n := int(variable(t, "REMINT_CRASHES", crashes))
	seed := variable(t, "REMINT_CRASH_SEED", rand.Uint64())
	t.Logf("REMINT_CRASH_SEED=%d", seed)
	c := newCampaign(t, seed)
	c.renew(false)
	for c.totals.kills < n {
		c.kill()
	}
	t.Log(&c.totals)
	if c.totals.acknowledged() == 0 {
		t.Error("nothing was acknowledged")
	}
	if n >= 300 && (c.totals.swept == 0 || c.totals.trimmed == 0 || c.totals.landed == 0 || c.totals.same == 0) {
		t.Error("some of it was never done: nothing swept or trimmed, landed at a kill, or repeated after one")
	}
}

func variable(t *testing.T, name string, otherwise uint64) uint64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
