package remint

import (
	"fmt"
	"slices"
	"strings"
)

// FutureForTest writes down everything of a record that decides what becomes of it, in a form
// in which two histories that lead to the same future read the same: times by their distance
// from now, digests and IDs by what the caller calls them, epochs by which are equal. It
// judges nothing.
func FutureForTest(r *Record, now int64, name func(ID) string, secret func([32]byte) string, parent *Record, epochs map[string]int) string {
	at := func(t int64) string {
		switch {
		case t == 0:
			return "-"
		case t <= now:
			return "over"
		}
		return fmt.Sprint(t - now)
	}
	epoch := func(id ID, value uint64) int {
		key := fmt.Sprint(id, value)
		if _, ok := epochs[key]; !ok {
			epochs[key] = len(epochs)
		}
		return epochs[key]
	}
	var b strings.Builder
	fmt.Fprint(&b, name(r.id), " in ", name(r.parent), " from ", name(r.predecessor), " to ", name(r.successor))
	for which := slotNewest; which <= slotOlder; which++ {
		if s := r.slot(which); s != nil {
			fmt.Fprint(&b, " [", which, secret(s.digest), s.confirmed, at(s.until), epoch(r.id, s.sessions), "]")
		}
	}
	for _, x := range r.retired {
		age := min(now-x.at, int64(10*60*1e6)) // beyond the window they are all as old
		fmt.Fprint(&b, " (", secret(x.digest), age, x.reported, ")")
	}
	for _, e := range r.sealed {
		if e.until > now {
			fmt.Fprint(&b, " {", name(e.token), secret(e.sum), at(e.until), "}")
		}
	}
	if parent != nil {
		fmt.Fprint(&b, r.parentEpoch == parent.epoch)
	}
	if r.startedBy != 0 {
		fmt.Fprint(&b, " by ", epoch(r.parent, r.startedBy))
	}
	fmt.Fprint(&b, at(r.expires), at(r.until), at(r.lapseAt), r.stoppedAt != 0, r.revokedAt != 0, r.usedUp, r.manages, r.firstUse, r.grace, r.caps)
	return b.String()
}

// PlaceForTest says where a record has a digest: "" is nowhere.
func PlaceForTest(r *Record, sum [32]byte) string {
	for which := slotNewest; which <= slotOlder; which++ {
		if s := r.slot(which); s != nil && s.digest == sum {
			return fmt.Sprint("slot ", which)
		}
	}
	if k := slices.IndexFunc(r.retired, func(x retired) bool { return x.digest == sum }); k >= 0 {
		return fmt.Sprint("retired ", len(r.retired)-k)
	}
	return ""
}
