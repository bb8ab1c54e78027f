package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/remint-go/remint"
)

var contextChecks = []check{
	{"a canceled context is its own error and changes nothing", func(x *suite) {
		ctx, cancel := context.WithCancel(x.Context())
		cancel()
		x.refuses(ctx, context.Canceled)
	}},
	{"a context past its deadline is its own error and changes nothing", func(x *suite) {
		ctx, cancel := context.WithDeadline(x.Context(), time.Unix(1, 0))
		defer cancel()
		x.refuses(ctx, context.DeadlineExceeded)
	}},
	{"a context that is canceled after a commit undoes nothing", func(x *suite) {
		ctx, cancel := context.WithCancel(x.Context())
		r := plain(1, 2)
		b := remint.Batch{Put: puts(0, r...), Log: events(r...)}
		if err := x.s.Commit(ctx, b); err != nil {
			x.fatalf("Commit: %v", err)
		}
		cancel()
		x.m.commit(b)
	}},
}

// refuses checks that all methods return the error of ctx.
func (x *suite) refuses(ctx context.Context, want error) {
	x.Helper()
	r := swept(plain(1, 3))
	x.ok(remint.Batch{Put: puts(0, r...), Log: events(r...)})
	tail := x.drain("")
	load := func(_ *remint.Record, err error) error { return err }
	page := func(_ []*remint.Record, err error) error { return err }
	log := func(_ []remint.Event, _ remint.Cursor, err error) error { return err }
	for _, op := range []struct {
		name string
		err  error
	}{
		{"Load", load(x.s.Load(ctx, id(1)))},
		{"Load of a missing record", load(x.s.Load(ctx, id(9)))},
		{"List", page(x.s.List(ctx, "o", remint.ID{}, remint.ID{}, 10))},
		{"List of nobody", page(x.s.List(ctx, "nobody", remint.ID{}, remint.ID{}, 10))},
		{"Scan", page(x.s.Scan(ctx, remint.ID{}, 10))},
		{"Due", page(x.s.Due(ctx, end, 10))},
		{"Events", log(x.s.Events(ctx, "", 10))},
		{"Events at the end", log(x.s.Events(ctx, tail, 10))},
		{"Commit of a new record", x.s.Commit(ctx, remint.Batch{Put: puts(0, plain(5, 5)...)})},
		{"Commit of a change", x.s.Commit(ctx, remint.Batch{Guard: r[1:2], Put: puts(1, change(r[0], 2, "q")), Log: events(change(r[0], 2, "")), Trim: tail})},
		{"Commit of a delete", x.s.Commit(ctx, remint.Batch{Delete: r[:1]})},
		{"Commit of a touch", x.s.Commit(ctx, remint.Batch{Touch: []*remint.Record{change(r[0], 1, "touched")}})},
		{"Commit of an event", x.s.Commit(ctx, remint.Batch{Log: events(plain(7, 7)...)})},
		{"Commit of a trim", x.s.Commit(ctx, remint.Batch{Trim: tail})},
		{"Commit of a conflict", x.s.Commit(ctx, remint.Batch{Put: puts(0, r[0])})},
		{"Commit of nothing", x.s.Commit(ctx, remint.Batch{})},
	} {
		if !errors.Is(op.err, want) || errors.Is(op.err, remint.ErrConflict) || errors.Is(op.err, remint.ErrNotFound) {
			x.fatalf("%s = %v, want %v", op.name, op.err, want)
		}
	}
	x.m.ever[id(5)] = true
}
