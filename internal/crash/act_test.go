package crash

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/remint-go/remint"
)

// What an operation makes of the world, when it takes effect at that time: an act. The rules are in
// the files rules_*.
type act struct {
	*world
	*step
	now    int64
	made   remint.ID // the ID of the token that it issued
	drafts []*draft
	minted *secret // the secret that it made, or handed out again
	log    []remint.Event
}

// A draft is a token as it becomes, and the event of that.
type draft struct {
	*token
	was *token // nil: it is new
	ev  remint.Event
}

// errRefused: the operation does not take effect there.
var errRefused = errors.New("the rules refuse it")

// draft works out what an operation does; it changes nothing of the world.
func (w *world) draft(s *step, now int64, made remint.ID) (*act, error) {
	a := &act{world: w, step: s, now: now, made: made}
	do := map[kind]func() error{
		kindIssue: a.issue, kindSession: a.session, kindRotate: a.rotate, kindCancel: a.cancel, kindFinish: a.finish,
		kindUpdate: a.update, kindRevoke: a.revoke, kindEnd: a.end, kindVerify: a.verify,
		kindSelf: a.self, kindAgain: a.again,
	}[s.Kind]
	if do == nil {
		return nil, fmt.Errorf("a %s has no effect of its own", s.Kind)
	}
	if s.Kind != kindIssue || !s.ID.IsZero() {
		t := w.tokens[s.ID]
		if t == nil {
			return nil, fmt.Errorf("%w: there is no token %v", errRefused, s.ID)
		}
		if s.Kind != kindVerify {
			a.now = max(a.now, t.changed)
		}
	}
	if err := do(); err != nil {
		return nil, err
	}
	for _, d := range a.drafts {
		d.revision++
		d.changed = max(a.now, d.changed)
		e := &d.ev
		e.Revision, e.At, e.Token, e.Owner = d.revision, toTime(d.changed), d.id, d.owner
		e.Actor = s.operator()
		if s.presents() {
			e.Actor, e.From = s.ID.String(), s.from()
		}
		if e.Kind == remint.EventReuse { // whoever it was
			e.Actor = ""
		}
		if e.Other.IsZero() {
			e.Other = d.parent
		}
	}
	return a, nil
}

// events returns the events of the act, one for each token that it changed, in the order of their IDs.
func (a *act) events() (list []remint.Event) {
	list = append(list, a.log...)
	for _, d := range a.drafts {
		list = append(list, d.ev)
	}
	sortEvents(list)
	return list
}

func sortEvents(list []remint.Event) {
	slices.SortFunc(list, func(a, b remint.Event) int {
		return cmp.Or(a.Token.Compare(b.Token), cmp.Compare(a.Revision, b.Revision))
	})
}

// land lets the act have happened. text is that of the secret that it made, if anybody knows it.
func (a *act) land(text string) {
	for _, d := range a.drafts {
		a.tokens[d.id] = d.token
	}
	if text != "" {
		a.texts[text] = a.minted
	} else if a.minted != nil {
		a.lost[a.first()] = a.minted
	}
}

// first is the step itself, or the one that it repeats.
func (s *step) first() uint64 {
	if s.Of != 0 {
		return s.Of
	}
	return s.N
}

// change returns the draft of a token. The last change of it is what its event tells of.
func (a *act) change(t *token, k remint.EventKind, other remint.ID, gen uint64) *draft {
	for _, d := range a.drafts {
		if d.was == t {
			d.ev.Kind, d.ev.Other, d.ev.Generation = k, other, gen
			return d
		}
	}
	d := &draft{token: t.clone(), was: t}
	d.ev.Kind, d.ev.Other, d.ev.Generation = k, other, gen
	d.settle(a.now)
	a.drafts = append(a.drafts, d)
	return d
}

func (a *act) create(t *token, other remint.ID) {
	d := &draft{token: t}
	d.ev.Kind, d.ev.Other, d.ev.Generation = remint.EventIssue, other, t.newest.gen
	a.drafts = append(a.drafts, d)
}

func (a *act) mint(t *token, confirmed bool) {
	t.lastGen++
	t.newest = &slot{gen: t.lastGen, sessions: t.lastGen, created: a.now, confirmed: confirmed}
	a.minted = &secret{t.id, t.lastGen}
}

func (t *token) newestGen() uint64 {
	if t.newest == nil {
		return 0
	}
	return t.newest.gen
}

func (a *act) target() *token { return a.tokens[a.ID] }

// fresh returns a new token below p, or below nothing.
func (a *act) fresh(p *token) *token {
	t := &token{id: a.made, issuedBy: a.operator(), created: a.now, changed: a.now, epoch: 1}
	if p != nil {
		t.parent, t.parentEpoch, t.owner = p.id, p.epoch, p.owner
	}
	return t
}
