package remint_test

import (
	"errors"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

func TestATimeThatIsPastRetiresAsItsAlternativeSays(t *testing.T) {
	ctx := t.Context()
	for _, c := range []struct {
		name   string
		retire func(now time.Time) remint.Retirement
		works  []bool // the old secret: at once, after a first use, a minute after that
	}{
		{"now, without one", func(now time.Time) remint.Retirement { return remint.RetireAt(now) }, []bool{false, false, false}},
		{"now, after first use", func(now time.Time) remint.Retirement {
			return remint.RetireAt(now).IfPast(remint.RetireAfterFirstUse(time.Minute))
		}, []bool{true, true, false}},
		{"the zero time, after a time", func(time.Time) remint.Retirement {
			return remint.RetireAt(time.Time{}).IfPast(remint.RetireAfter(time.Minute))
		}, []bool{true, true, false}},
		{"a microsecond ahead", func(now time.Time) remint.Retirement {
			return remint.RetireAt(now.Add(time.Microsecond)).IfPast(remint.RetireAfterFirstUse(time.Hour))
		}, []bool{true, false, false}},
		{"not a RetireAt", func(time.Time) remint.Retirement {
			return remint.Retirement{}.IfPast(remint.RetireAfter(time.Hour))
		}, []bool{false, false, false}},
	} {
		for _, successor := range []bool{false, true} {
			w := newLawWorld(t, remint.Options{})
			old := w.issue(remint.Spec{})
			r := remint.Rotation{Retire: c.retire(w.now)}
			if successor {
				r.Successor = &remint.Successor{}
			}
			next := w.must(w.op.Rotate(ctx, old.Token.ID(), r))
			for n, step := range []func(){
				func() {}, func() { w.now = w.now.Add(time.Microsecond); w.works(next, c.name) }, func() { w.now = w.now.Add(time.Minute) },
			} {
				step()
				if _, err := w.issuer.Verify(ctx, old.Secret.Reveal(), lawAddr); (err == nil) != c.works[n] {
					t.Errorf("%s, successor %v, step %d: %v", c.name, successor, n, err)
				}
			}
		}
	}
	for name, r := range map[string]remint.Retirement{
		"negative":      remint.RetireAt(time.Time{}).IfPast(remint.RetireAfter(-1)),
		"another such":  remint.RetireAt(time.Time{}).IfPast(remint.RetireAt(time.Time{})),
		"its own grace": remint.RetireAfterFirstUse(-1).IfPast(remint.RetireAfter(1)),
	} {
		var input *remint.InputError
		if err := r.Validate(); !errors.As(err, &input) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATokenTellsThatWhatWasShownIsBeingRetired(t *testing.T) {
	ctx := t.Context()
	w := newLawWorld(t, remint.Options{})
	retiring := func(g remint.Grant) bool {
		t.Helper()
		tok, err := w.issuer.Verify(ctx, g.Secret.Reveal(), lawAddr)
		if err != nil {
			t.Fatal(err)
		}
		return tok.Retiring()
	}
	for _, successor := range []bool{false, true} {
		for _, retire := range []remint.Retirement{remint.RetireAfter(time.Hour), remint.RetireAfterFirstUse(time.Hour)} {
			old := w.issue(remint.Spec{})
			if retiring(old) {
				t.Error("nothing was rotated")
			}
			r := remint.Rotation{Retire: retire}
			if successor {
				r.Successor = &remint.Successor{}
			}
			next := w.must(w.op.Rotate(ctx, old.Token.ID(), r))
			waits := successor && retire == remint.RetireAfterFirstUse(time.Hour)
			if retiring(old) == waits || retiring(next) || !retiring(old) {
				t.Errorf("successor %v: the old secret is not, or the new one is", successor)
			}
		}
	}
	for _, successor := range []*remint.Successor{nil, {}} {
		old := w.issue(remint.Spec{})
		w.must(w.op.Rotate(ctx, old.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0), Successor: successor}))
		w.now = w.now.AddDate(0, 1, 0)
		if retiring(old) {
			t.Errorf("successor %v: the rotation has lapsed", successor != nil)
		}
	}
	if (remint.Token{}).Retiring() {
		t.Error("the zero Token is")
	}
}

func TestWhatIsRetiringIsIdleOnlyForSure(t *testing.T) {
	ctx := t.Context()
	for _, successor := range []bool{false, true} {
		w := newLawWorld(t, remint.Options{})
		old := w.issue(remint.Spec{})
		r := remint.Rotation{Retire: remint.RetireAfter(24 * time.Hour)}
		if successor {
			r.Successor = &remint.Successor{}
		}
		idle := func() time.Duration {
			t.Helper()
			if err := w.issuer.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
			tok, err := w.op.Get(ctx, old.Token.ID())
			if err != nil {
				t.Fatal(err)
			}
			return tok.State().RetiringIdle(w.now)
		}
		if got := idle(); got != 0 {
			t.Errorf("before any rotation: %v", got)
		}
		w.now = w.now.Add(time.Hour)
		w.works(w.must(w.op.Rotate(ctx, old.Token.ID(), r)), "the new one")
		for _, step := range []struct {
			wait time.Duration
			use  bool
			want time.Duration
		}{
			{time.Minute, false, 0}, {time.Minute, false, 0}, {time.Minute, false, time.Minute},
			{time.Hour, true, 0}, {2 * time.Minute, false, 0}, {3 * time.Minute, false, 3 * time.Minute},
		} {
			w.now = w.now.Add(step.wait)
			if step.use {
				w.works(old, "the old one")
			}
			if got := idle(); got != step.want {
				t.Errorf("successor %v: idle for %v, want %v", successor, got, step.want)
			}
		}
	}
}
