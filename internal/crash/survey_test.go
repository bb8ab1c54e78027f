package crash

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/remint-go/remint"
)

// A survey compares all that is stored with the world, at one time, and changes nothing.
type survey struct {
	*world
	problems *problems
	store    remint.Store
	issuer   *remint.Issuer
	now      int64
	used     map[use]time.Time // the times of use that were seen before
	records  map[remint.ID]*remint.Record
}

// A use is of the secret of a token that was made at that time.
type use struct {
	token   remint.ID
	created time.Time
}

func newSurvey(w *world, s remint.Store, now int64, used map[use]time.Time, p *problems) (*survey, error) {
	issuer, err := remint.New(frozen{s}, options(func() time.Time { return toTime(now) }))
	return &survey{world: w, problems: p, store: s, issuer: issuer, now: now, used: used, records: map[remint.ID]*remint.Record{}}, err
}

// frozen is a store to which nothing is committed. An Issuer over it accepts what was used before,
// and fails with errFrozen to confirm what was not.
type frozen struct{ remint.Store }

var errFrozen = errors.New("crash: this store is only looked at")

func (frozen) Commit(context.Context, remint.Batch) error { return errFrozen }

func (v *survey) run(ctx context.Context) error {
	if err := v.scan(ctx); err != nil {
		return err
	}
	for _, id := range v.ids() {
		if err := v.one(ctx, v.tokens[id]); err != nil {
			return err
		}
	}
	return errors.Join(v.lists(ctx), v.due(ctx), v.secrets(ctx))
}

const surveyPage = 50

// scan checks that exactly the tokens of the world are stored, and that Load agrees with Scan.
func (v *survey) scan(ctx context.Context) error {
	var found []remint.ID
	for after := (remint.ID{}); ; {
		page, err := v.store.Scan(ctx, after, surveyPage)
		if err != nil {
			return err
		}
		for _, r := range page {
			found = append(found, r.ID())
			v.records[r.ID()] = r
			loaded, err := v.store.Load(ctx, r.ID())
			if err != nil || !bytes.Equal(encode(loaded), encode(r)) {
				v.problems.add("Scan has %v, Load %v, %v", r, loaded, err)
			}
		}
		if len(page) < surveyPage {
			break
		}
		after = found[len(found)-1]
	}
	if want := v.ids(); !slices.Equal(found, want) {
		v.problems.add("the tokens are %v, want %v", found, want)
	}
	return nil
}

func encode(r *remint.Record) []byte {
	if r == nil {
		return nil
	}
	b, _ := r.AppendBinary(nil) // its error is always nil
	return b
}

// one checks one token.
func (v *survey) one(ctx context.Context, t *token) error {
	got, err := v.issuer.Operator("survey").Get(ctx, t.id)
	if errors.Is(err, remint.ErrNotFound) {
		return nil // scan has said so
	} else if err != nil {
		return err
	}
	state := got.State()
	for _, s := range []*remint.SecretState{&state.Current, &state.Unconfirmed, &state.Retiring} {
		v.use(t.id, s)
	}
	if want := t.state(v.now); state != want {
		v.problems.add("the state of %v is\n\t%+v, want\n\t%+v", t.id, state, want)
	}
	spec := got.Spec()
	have := fmt.Sprintf("%q %q %q %q %v %v", spec.Owner, spec.Name, spec.Capabilities, spec.Attributes["note"], spec.ExpiresAt, spec.Parent)
	want := fmt.Sprintf("%q %q %q %q %v %v", t.owner, t.name, t.caps, t.note, toTime(t.expires), t.parent)
	if have != want || got.IsSession() != (t.startedBy != 0) {
		v.problems.add("%v is %s, want %s", t.id, have, want)
	}
	v.coherent(got)
	switch _, err := v.issuer.Operator("survey").Live(ctx, t.id); {
	case err == nil != v.live(t, v.now), err != nil && !errors.Is(err, remint.ErrEnded):
		v.problems.add("%v lives: %v, want %t", t.id, err, v.live(t, v.now))
	}
	return nil
}

// use checks that no time of use goes back, and takes it out of s: a touch may be lost with the
// process, unlike all else.
func (v *survey) use(id remint.ID, s *remint.SecretState) {
	key := use{id, s.CreatedAt}
	if last := v.used[key]; s.LastUsedAt.Before(last) {
		v.problems.add("%v was used at %v, and now never after %v", id, last, s.LastUsedAt)
	}
	v.used[key], s.LastUsedAt = s.LastUsedAt, time.Time{}
}

// coherent checks a token by itself and against those that it names, whatever the world has.
func (v *survey) coherent(t remint.Token) {
	s := t.State()
	if s.Retiring != (remint.SecretState{}) && (s.Retiring == s.Current || s.Retiring == s.Unconfirmed) {
		v.problems.add("a secret of %v is retiring and not: %+v", t, s)
	}
	if !t.Parent().IsZero() && v.records[t.Parent()] == nil {
		if _, err := v.issuer.Operator("survey").Live(context.Background(), t.ID()); !errors.Is(err, remint.ErrEnded) {
			v.problems.add("%v has no parent, and lives: %v", t, err)
		}
	}
	other := func(id remint.ID) (remint.State, bool) {
		o, err := v.issuer.Operator("survey").Get(context.Background(), id)
		return o.State(), err == nil
	}
	if next, ok := other(s.Successor); ok && next.Predecessor != t.ID() {
		v.problems.add("%v has the successor %v, whose predecessor is %v", t, s.Successor, next.Predecessor)
	}
	// A successor that was dropped or replaced is not named any more.
	if before, ok := other(s.Predecessor); ok && before.Successor != t.ID() && s.Ended == "" {
		v.problems.add("%v has the predecessor %v, whose successor is %v", t, s.Predecessor, before.Successor)
	}
}

// lists checks that List has each token where it stands, and no others.
func (v *survey) lists(ctx context.Context) error {
	type place struct {
		owner  string
		parent remint.ID
	}
	want := map[place][]remint.ID{{"a", remint.ID{}}: nil, {"b", remint.ID{}}: nil}
	for _, id := range v.ids() {
		t := v.tokens[id]
		p := place{t.owner, t.parent}
		want[p] = append(want[p], id)
		want[place{t.owner, id}] = append([]remint.ID(nil), want[place{t.owner, id}]...)
	}
	for p, ids := range want {
		var found []remint.ID
		for after := (remint.ID{}); ; after = found[len(found)-1] {
			page, err := v.store.List(ctx, p.owner, p.parent, after, surveyPage)
			if err != nil {
				return err
			}
			for _, r := range page {
				found = append(found, r.ID())
				if !bytes.Equal(encode(r), encode(v.records[r.ID()])) {
					v.problems.add("List has another %v than Scan", r)
				}
			}
			if len(page) < surveyPage {
				break
			}
		}
		if !slices.Equal(found, ids) {
			v.problems.add("List of %q below %v has %v, want %v", p.owner, p.parent, found, ids)
		}
	}
	return nil
}

// due checks that Due has exactly the records that can be swept at some time, and that these are
// the ones that end, or ended something.
func (v *survey) due(ctx context.Context) error {
	var want []*remint.Record
	for id, r := range v.records {
		at := r.SweepAt()
		t := v.tokens[id]
		if t == nil {
			continue
		}
		ended := len(t.endings) > 0 // its descendants: they are to be swept, too, or have been
		if end := toTime(t.endsAt()); !at.Equal(end) && (!ended || !end.IsZero() && (at.IsZero() || at.After(end))) {
			v.problems.add("%v is to be swept at %v, and ends at %v", r, at, end)
		}
		if !at.IsZero() {
			want = append(want, r)
		}
	}
	slices.SortFunc(want, func(a, b *remint.Record) int {
		return cmp.Or(a.SweepAt().Compare(b.SweepAt()), a.ID().Compare(b.ID()))
	})
	got, err := v.store.Due(ctx, toTime(dawn+1e9*second), len(v.records)+1)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(got, want, func(a, b *remint.Record) bool { return bytes.Equal(encode(a), encode(b)) }) {
		v.problems.add("Due has %v, want %v", got, want)
	}
	return nil
}

// secrets presents every secret that was ever handed out.
func (v *survey) secrets(ctx context.Context) error {
	accepted := map[remint.ID]int{}
	for text, x := range v.texts {
		got := confirmed
		switch _, err := v.issuer.Verify(ctx, text, (&step{}).from()); {
		case errors.Is(err, errFrozen):
			got = unconfirmed
		case errors.Is(err, remint.ErrDenied):
			got = dead
		case err != nil:
			return err
		}
		if want := v.judge(text, v.now); got != want {
			v.problems.add("secret %d of %v is %s, want %s", x.gen, x.token, got, want)
		}
		if got != dead {
			accepted[x.token]++
		}
	}
	for id, n := range accepted {
		if n > 3 {
			v.problems.add("%d secrets of %v are accepted", n, id)
		}
	}
	return nil
}
