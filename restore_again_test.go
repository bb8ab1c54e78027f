package remint_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// What AfterRestore is told when things are not as they should be: a change before it is called, a
// clock that is behind, the same backup twice, a log that begins too late.

func TestAChangeByAClockThatIsBehindHidesNoRevocation(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"half a second behind": 500 * time.Millisecond, "in the same millisecond": 0} {
		t.Run(name, func(t *testing.T) {
			b := newRestoreBed(t, nil)
			g := b.issue(remint.Spec{Owner: "o", Capabilities: remint.Allow("*")})
			b.backUp()
			b.revoke(g.Token.ID())
			log := b.lose()
			b.at = b.now().Add(ahead)
			me := b.Bearer(g.Secret.Reveal(), netip.Addr{}).WithRetryKey("a key of enough characters", 0)
			if _, err := me.Issue(t.Context(), remint.Spec{Name: "x"}); err != nil {
				t.Fatal(err) // the thief is faster than the operator, and takes the lost revision's place
			}
			b.wait(10 * time.Second)
			n := b.restore(remint.Restore{Log: eventSeq(log)})
			if _, err := b.Verify(t.Context(), g.Secret.Reveal(), netip.Addr{}); err == nil {
				t.Errorf("the log shows that it was revoked, and it lives: %+v", n)
			}
		})
	}
}

// A capabilities token names the epoch that it was signed in.
func TestNoEpochBetweenTwoRestoresOfOneBackupIsGivenAgain(t *testing.T) {
	for lost := range 2 {
		t.Run(fmt.Sprint(lost, " lost"), func(t *testing.T) {
			b := newRestoreBed(t, nil)
			id := b.issue(remint.Spec{Owner: "o"}).Token.ID()
			seen := map[uint64]bool{b.get(id).State().Epoch: true}
			end := func() {
				if err := b.op.EndSessions(t.Context(), id); err != nil {
					t.Fatal(err)
				}
				seen[b.get(id).State().Epoch] = true
			}
			b.backUp()
			for range lost {
				end()
			}
			var log []remint.Event
			for n := range 4 {
				log = append(log, b.lose()...)
				b.restore(remint.Restore{Log: eventSeq(log)})
				if e := b.get(id).State().Epoch; seen[e] {
					t.Fatalf("after restore %d the epoch is %d again", n+1, e)
				}
				seen[b.get(id).State().Epoch] = true
				b.wait(time.Minute)
				for range n {
					end()
				}
			}
		})
	}
}

// The log of the new store alone does not tell what the first restore knew.
func TestTheEventOfAnEarlierRestoreHidesNoGap(t *testing.T) {
	b := newRestoreBed(t, nil)
	g := b.issue(remint.Spec{Owner: "o"})
	child := b.issue(remint.Spec{Parent: g.Token.ID()})
	other := b.issue(remint.Spec{Owner: "o"})
	b.backUp()
	if err := b.op.EndSessions(t.Context(), g.Token.ID()); err != nil {
		t.Fatal(err)
	}
	b.restore(remint.Restore{Log: eventSeq(b.lose())})
	b.denied(child, remint.ReasonParent)
	second := b.log()
	b.lose()
	b.restore(remint.Restore{Log: eventSeq(second)})
	if _, err := b.Verify(t.Context(), child.Secret.Reveal(), netip.Addr{}); err == nil {
		t.Error("the child lives again, and events of its parent are missing in the log")
	}
	b.accepted(other) // of which nothing is missing
}
