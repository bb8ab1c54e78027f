package crash

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/remint-go/remint"
)

// totals are what a campaign has done.
type totals struct {
	kills, opened int
	moments       map[string]int
	done          map[kind]int // acknowledged
	refused       int          // acknowledged, with an error
	landed, not   int          // of what was under way at a kill: it had taken effect, or had not
	events        int
	swept         int
	trimmed       int
	closed        int
	absent        int // files that were not there yet
	unlisted      int // and that had no list of their free pages
	// Of the rotations by bearers that were cut off and repeated: they got the secret that was
	// there already, or a new one; or it was not theirs any more.
	same, anew, none int
}

func newTotals() totals {
	return totals{moments: map[string]int{}, done: map[kind]int{}}
}

func (t *totals) victim(m moment, l *ledger, killed bool) {
	if killed {
		t.kills++
		t.moments[m.name]++
	} else {
		t.closed++
	}
	if l.ready {
		t.opened++
	}
	for n, s := range l.begun {
		switch {
		case l.untold(n):
		case l.acked[n].Err != "":
			t.refused++
		default:
			t.done[s.Kind]++
		}
	}
}

func (t *totals) replay(r *replay) {
	for n, s := range r.begun {
		switch {
		case !r.untold(n), s.Kind == kindSweep, s.Kind == kindVerify && !r.landed[n]:
		case r.landed[n]:
			t.landed++
		default:
			t.not++
		}
	}
	for _, list := range r.past {
		t.events += len(list)
	}
	t.swept += r.gone
}

func (t *totals) repeats(r *replay) {
	for n, s := range r.begun {
		switch a := r.acked[n]; {
		case s.Kind != kindAgain || r.untold(n):
		case a.Err != "":
			t.none++
		case slices.ContainsFunc(r.past[s.ID], func(e remint.Event) bool { return isOf(e, n) && e.Kind == remint.EventReplay }):
			t.same++
		default:
			t.anew++
		}
	}
}

func (t *totals) acknowledged() (n int) {
	for _, k := range t.done {
		n += k
	}
	return n
}

func (t *totals) String() string {
	b := new(strings.Builder)
	fmt.Fprintf(b, "%d kills (", t.kills)
	for k, name := range slices.Sorted(maps.Keys(t.moments)) {
		fmt.Fprintf(b, "%s%s %d", strings.Repeat(", ", min(k, 1)), name, t.moments[name])
	}
	fmt.Fprintf(b, "), %d acknowledged operations (", t.acknowledged())
	for k, kind := range slices.Sorted(maps.Keys(t.done)) {
		fmt.Fprintf(b, "%s%s %d", strings.Repeat(", ", min(k, 1)), kind, t.done[kind])
	}
	fmt.Fprintf(b, "), %d refused; under way at a kill: %d had taken effect, %d had not; rotations cut off and repeated: %d got the secret that was there, %d a new one, %d were refused; %d events, %d tokens swept, %d events trimmed; %d victims closed their file in time, %d left none yet, %d one without its list of free pages",
		t.refused, t.landed, t.not, t.same, t.anew, t.none, t.events, t.swept, t.trimmed, t.closed, t.absent, t.unlisted)
	return b.String()
}

// readEvents reads the log from a cursor to its end.
func readEvents(ctx context.Context, s remint.Store, from remint.Cursor) (events []remint.Event, cursor remint.Cursor, err error) {
	for cursor = from; ; {
		page, next, err := s.Events(ctx, cursor, surveyPage)
		if err != nil || len(page) == 0 {
			return events, cursor, err
		}
		events, cursor = append(events, page...), next
	}
}
