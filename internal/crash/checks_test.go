package crash

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/remint-go/remint"
)

// A test of the checks: two victims live and close their file; then something is made wrong by
// hand, in the file or in what was said, and the check must find it.

func TestTheCheckFindsWhateverIsMissingOrTooMuchOrByHalves(t *testing.T) {
	const seed = 7
	c := newCampaign(t, seed)
	c.renew(false)
	var lives []life
	for n := range 2 {
		lives = append(lives, c.live(uint64(n)))
		if n == 0 {
			wantNone(t, c.check(lives[0].ledger(t)))
		}
	}
	again := func(t *testing.T) *spoiler {
		x := &spoiler{campaign: newCampaign(t, seed), ledger: lives[1].ledger(t), before: lives[0].file}
		x.renew(false)
		copyFile(t, x.path, lives[0].file)
		wantNone(t, x.check(lives[0].ledger(t)))
		x.now = max(x.now, x.ledger.latest)
		copyFile(t, x.path, lives[1].file)
		return x
	}
	t.Run("nothing is wrong", func(t *testing.T) {
		x := again(t)
		wantNone(t, x.check(x.ledger))
	})
	for name, x := range map[string]struct {
		spoil func(x *spoiler)
		want  string // "": whatever it is
	}{
		"a record is gone": {func(x *spoiler) {
			x.store(func(s remint.Store) error {
				return s.Commit(x.Context(), remint.Batch{Delete: x.page(s)[:1]})
			})
		}, "the tokens are"},
		"a record is as it was before": {func(x *spoiler) {
			id := x.changed()
			x.put("t", id[:], x.get(x.before, "t", id[:]))
		}, "the state of"},
		"a record is there that nobody made": {func(x *spoiler) {
			x.store(func(s remint.Store) error {
				return s.Commit(x.Context(), remint.Batch{Put: []remint.Put{{Record: x.stranger()}}})
			})
		}, "the tokens are"},
		"a token is missing in its list": {func(x *spoiler) {
			x.put("o", x.first("o"), nil)
		}, "List of"},
		"a token is missing in what is due": {func(x *spoiler) {
			x.put("x", x.first("x"), nil)
		}, "Due has"},
		"the last event is gone": {func(x *spoiler) {
			x.put("e", x.last("e"), nil)
		}, ""},
		"an event is gone from the middle": {func(x *spoiler) {
			x.put("e", x.middle("e"), nil)
		}, ""},
		"an event that was read is gone": {func(x *spoiler) {
			x.put("e", x.first("e"), nil)
		}, "trimmed too soon"},
		"an event is there twice": {func(x *spoiler) {
			x.log(x.events()[len(x.events())-1])
		}, "has the events"},
		"an event has no step": {func(x *spoiler) {
			e := x.events()[0]
			e.Actor, e.From = "step 999999999", netip.Addr{}
			x.log(e)
		}, "which nobody began"},
		"an event has nobody": {func(x *spoiler) {
			e := x.events()[0]
			e.Actor, e.From = "somebody", netip.Addr{}
			x.log(e)
		}, "nobody did what this event tells"},
		"what was acknowledged has not happened": {func(x *spoiler) {
			x.said(step{Kind: kindRevoke, ID: x.alive()}, ack{})
		}, "was acknowledged, and has no event"},
		"a rotation that was acknowledged has not happened": {func(x *spoiler) {
			id := x.alive()
			x.said(step{Kind: kindRotate, ID: id}, ack{ID: id, Revision: 1e6, Text: "text"})
		}, "was acknowledged with revision 1000000"},
		"what failed has happened": {func(x *spoiler) {
			x.acked(kindRotate).Err = remint.ErrConflict.Error()
		}, "failed ("},
		"a revision is not that which was told": {func(x *spoiler) {
			x.acked(kindUpdate).Revision++
		}, ", and made "},
		"the store was not available": {func(x *spoiler) {
			x.said(step{Kind: kindCancel, ID: x.alive()}, ack{Err: remint.ErrUnavailable.Error()})
		}, "failed, though nothing was in its way"},
		"a live secret was denied": {func(x *spoiler) {
			a := x.fresh()
			x.said(step{Kind: kindVerify, ID: a.ID, Text: a.Text}, ack{Err: remint.ErrDenied.Error()})
		}, "was denied, and yet it was"},
		"a secret is not the one that was told": {func(x *spoiler) {
			a := x.fresh()
			a.Text = a.Text[:len(a.Text)-1]
		}, "is denied, want accepted"},
		"a time of use goes back": {func(x *spoiler) {
			for u := range x.used {
				x.used[u] = toTime(x.now)
			}
		}, "and now never after"},
		"a page is lost": {func(x *spoiler) {
			x.lose()
		}, "unreachable unfreed"},
		"something else is beside the file": {func(x *spoiler) {
			x.must(os.WriteFile(x.path+"-stray", nil, 0o600))
		}, "beside the file there is"},
	} {
		t.Run(name, func(t *testing.T) {
			s := again(t)
			x.spoil(s)
			found := s.check(s.ledger)
			if !slices.ContainsFunc(found, func(p string) bool { return strings.Contains(p, x.want) }) {
				t.Errorf("it found %q, and not %q", found, x.want)
			}
		})
	}
}

func wantNone(t *testing.T, found problems) {
	t.Helper()
	if len(found) > 0 {
		t.Fatal(found[0])
	}
}
