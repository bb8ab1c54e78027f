package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/remint-go/remint"
)

const racers = 32

var raceChecks = []check{
	{"of many who put one new record one wins", func(x *suite) {
		for round := range 4 {
			x.oneWins(func(n int) remint.Batch {
				r := record(fields{ID: id(round), Owner: "o", Payload: fmt.Sprint(n)})
				return remint.Batch{Put: puts(0, r), Log: events(change(plain(n, n)[0], uint64(round+1), ""))}
			})
		}
	}},
	{"of many who replace one revision one wins", func(x *suite) {
		x.put(plain(1, 1)...)
		for revision := range uint64(4) {
			revision++
			x.oneWins(func(n int) remint.Batch {
				r := record(fields{ID: id(1), Revision: revision + 1, Owner: "o", Payload: fmt.Sprint(n)})
				own := plain(1000*int(revision)+n, 1000*int(revision)+n)[0]
				return remint.Batch{Put: append(puts(0, own), puts(revision, r)...), Log: events(own)}
			})
		}
	}},
	{"of many who guard and change one record one wins", func(x *suite) {
		g := plain(1, 1)[0]
		x.put(g)
		for revision := range uint64(4) {
			revision++
			x.oneWins(func(n int) remint.Batch {
				own := plain(1000*int(revision)+n, 1000*int(revision)+n)[0]
				return remint.Batch{
					Guard: []*remint.Record{change(g, revision, "")},
					Put:   append(puts(0, own), puts(revision, change(g, revision+1, fmt.Sprint(n)))...),
					Log:   events(own),
				}
			})
		}
	}},
	{"of many who delete one record one wins", func(x *suite) {
		r := plain(1, 1)
		x.put(r...)
		x.oneWins(func(n int) remint.Batch {
			return remint.Batch{Delete: r, Log: events(plain(n, n)...)}
		})
	}},
	{"who begins after a guard was changed loses", func(x *suite) {
		g := plain(1, 1)[0]
		x.put(g)
		var changed atomic.Bool
		won := x.race(racers, func(n int) (remint.Batch, error) {
			if n == 0 {
				b := remint.Batch{Put: puts(1, change(g, 2, ""))}
				err := x.s.Commit(x.Context(), b)
				changed.Store(true)
				return b, err
			}
			late := changed.Load()
			b := remint.Batch{Guard: []*remint.Record{g}, Put: puts(0, plain(100+n, 100+n)...)}
			err := x.s.Commit(x.Context(), b)
			if late && err == nil {
				x.Errorf("a commit passed whose guard had been changed before")
			}
			return b, err
		})
		for _, b := range won { // who did not begin late came before the change
			b.Guard = nil
			x.m.commit(b)
		}
	}},
	{"a conflict fails no other commit", func(x *suite) {
		x.put(plain(0, racers-1)...)
		for revision := range uint64(4) {
			revision++
			won := x.race(racers, func(n int) (remint.Batch, error) {
				b := remint.Batch{Put: puts(revision, change(plain(n, n)[0], revision+1, "")), Log: events(change(plain(n, n)[0], revision+1, ""))}
				if n%4 == 3 { // with no such guard
					b.Guard = plain(5000, 5000)
				}
				err := x.s.Commit(x.Context(), b)
				if n%4 != 3 && err != nil {
					x.Errorf("a commit that conflicts with nothing: %v", err)
				}
				if n%4 == 3 && err == nil {
					x.Errorf("a commit with a missing guard passed")
				}
				return b, err
			})
			for _, b := range won {
				x.m.commit(b)
			}
			for n := 3; n < racers; n += 4 {
				x.ok(remint.Batch{Put: puts(revision, change(plain(n, n)[0], revision+1, "late"))})
			}
		}
	}},
	{"a commit that has returned is seen by all", func(x *suite) {
		const commits = 50
		r := plain(1, 1)[0]
		x.put(r)
		var seen atomic.Uint64 // the revision whose commit has returned
		seen.Store(1)
		x.race(5, func(n int) (remint.Batch, error) {
			for revision := uint64(1); n == 0 && revision <= commits && !x.Failed(); revision++ {
				next := change(r, revision+1, "")
				if err := x.s.Commit(x.Context(), remint.Batch{Put: puts(revision, next), Log: events(next)}); err != nil {
					x.Errorf("Commit: %v", err)
				}
				seen.Store(revision + 1)
			}
			for n != 0 && seen.Load() <= commits && !x.Failed() {
				x.sees(seen.Load())
			}
			return remint.Batch{}, nil
		})
		x.sees(commits + 1)
		x.m.records[r.ID()] = change(r, commits+1, "")
		for revision := uint64(2); revision <= commits+1; revision++ {
			x.m.commit(remint.Batch{Log: events(change(r, revision, ""))})
		}
	}},
	{"pages that are read between commits miss and double nothing", func(x *suite) {
		stay := x.settle()
		n := 0
		between := func(next pager) pager {
			return func(after remint.ID, limit int) ([]*remint.Record, error) {
				if n++; n%2 == 0 { // before what was read, and after
					x.ok(remint.Batch{Put: puts(0, plain(1, 2)...)})
					x.ok(remint.Batch{Put: puts(0, plain(391, 392)...)})
				} else if n > 1 {
					x.ok(remint.Batch{Delete: append(plain(1, 2), plain(391, 392)...)})
				}
				return next(after, limit)
			}
		}
		for range 2 {
			x.meets(stay, between(x.scan))
			x.meets(every(stay, 0), between(x.list("o", remint.ID{})))
		}
	}},
	{"pages that are read while others commit miss and double nothing", func(x *suite) {
		stay := x.settle()
		var done atomic.Bool
		x.race(3, func(n int) (remint.Batch, error) {
			if n == 0 {
				defer done.Store(true)
				for round := 0; round < 10 && !x.Failed(); round++ {
					x.meets(stay, x.scan)
					x.meets(every(stay, 0), x.list("o", remint.ID{}))
					x.meets(every(stay, 1), x.list("o", id(9999)))
				}
				return remint.Batch{}, nil
			}
			for round := 0; !done.Load(); round++ {
				at := 10*(round*7%40) + n
				come := plain(at, at)
				x.mustCommit(remint.Batch{Put: puts(0, come...), Touch: []*remint.Record{stay[round%40]}})
				x.mustCommit(remint.Batch{Delete: come})
			}
			return remint.Batch{}, nil
		})
	}},
	{"events that are read while others commit come once and in order", func(x *suite) {
		x.follow(false)
	}},
	{"events that are read while others commit and trim come once and in order", func(x *suite) {
		x.follow(true)
	}},
}

// settle puts records that stay, with room between them.
func (x *suite) settle() (stay []*remint.Record) {
	x.Helper()
	for n := range 40 {
		f := fields{ID: id(10 * n), Owner: "o"}
		if n%2 == 1 {
			f.Parent = id(9999)
		}
		stay = append(stay, record(f))
	}
	x.put(stay...)
	return stay
}

// race calls f(0) to f(n-1) at once and returns the batches of those that gave no error.
// The only error that may be given is ErrConflict.
func (x *suite) race(n int, f func(n int) (remint.Batch, error)) (won []remint.Batch) {
	x.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			b, err := f(i)
			if err != nil && !errors.Is(err, remint.ErrConflict) {
				x.Errorf("Commit(%s) = %v", describe(b), err)
			}
			mu.Lock()
			defer mu.Unlock()
			x.m.see(b)
			if err == nil {
				won = append(won, b)
			}
		})
	}
	close(start)
	all.Wait()
	if x.Failed() {
		x.FailNow()
	}
	return won
}

// oneWins commits many batches at once, of which one must win.
func (x *suite) oneWins(batch func(n int) remint.Batch) {
	x.Helper()
	won := x.race(racers, func(n int) (remint.Batch, error) {
		b := batch(n)
		return b, x.s.Commit(x.Context(), b)
	})
	if len(won) != 1 {
		x.fatalf("%d of %d won", len(won), racers)
	}
	x.m.commit(won[0])
	x.compare()
}

// mustCommit is commit for goroutines.
func (x *suite) mustCommit(b remint.Batch) {
	if err := x.s.Commit(x.Context(), b); err != nil {
		x.Errorf("Commit(%s) = %v", describe(b), err)
	}
}

// sees checks that every way of reading gives at least that revision of record 1.
func (x *suite) sees(revision uint64) {
	r, err := x.s.Load(x.Context(), id(1))
	if err != nil || r.Revision() < revision {
		x.Errorf("Load after revision %d was committed: %v, %v", revision, r, err)
	}
	for _, next := range []pager{x.scan, x.list("o", remint.ID{})} {
		page, err := next(remint.ID{}, 2)
		if err != nil || len(page) != 1 || page[0].Revision() < revision {
			x.Errorf("a page after revision %d was committed: %v, %v", revision, page, err)
		}
	}
}

// meets walks over pages that must have each of the records once, and in order.
func (x *suite) meets(records []*remint.Record, next pager) {
	var after remint.ID
	for {
		page, err := next(after, 3)
		if err != nil {
			x.Errorf("reading a page: %v", err)
			return
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			if r.ID().Compare(after) <= 0 {
				x.Errorf("%v came after %v", r.ID(), after)
				return
			}
			after = r.ID()
			if len(records) > 0 && equal(r, records[0]) {
				records = records[1:]
			}
		}
	}
	if len(records) > 0 {
		x.Errorf("%v was there all the time and did not come", records[0])
	}
}

// every returns every second record.
func every(records []*remint.Record, from int) (some []*remint.Record) {
	for ; from < len(records); from += 2 {
		some = append(some, records[from])
	}
	return some
}

// follow reads the log while several commit to it: each to a token of its own, and all
// to one. Each token's revisions must come one after the other.
func (x *suite) follow(trim bool) {
	x.Helper()
	const writers, commits = 8, 15
	shared := id(writers)
	var writing atomic.Int64
	writing.Store(writers)
	last := map[remint.ID]uint64{}
	x.race(writers+1, func(n int) (remint.Batch, error) {
		if n < writers {
			for revision := range uint64(commits) {
				x.advance(id(n), revision)
				for x.advance(shared, x.revision(shared)) != nil && !x.Failed() {
				}
			}
			writing.Add(-1)
			return remint.Batch{}, nil
		}
		for after := remint.Cursor(""); ; {
			finished := writing.Load() == 0
			page, next, err := x.s.Events(x.Context(), after, 5)
			if err != nil {
				x.Errorf("Events(%q): %v", after, err)
				break
			}
			if len(page) == 0 && (finished || x.Failed()) {
				break
			}
			for _, e := range page {
				if e.Revision != last[e.Token]+1 {
					x.Errorf("the event of revision %d of %v came after that of %d", e.Revision, e.Token, last[e.Token])
				}
				last[e.Token] = e.Revision
			}
			if after = next; trim && len(page) > 0 {
				x.mustCommit(remint.Batch{Trim: after})
			}
		}
		return remint.Batch{}, nil
	})
	for n := range writers + 1 {
		want := uint64(commits)
		if n == writers {
			want *= writers
		}
		if last[id(n)] != want {
			x.fatalf("%d of %d events of one token came", last[id(n)], want)
		}
		b := remint.Batch{Put: puts(0, change(plain(n, n)[0], want, ""))}
		for revision := uint64(1); revision <= want; revision++ {
			b.Log = append(b.Log, event(change(plain(n, n)[0], revision, "")))
		}
		x.m.commit(b)
	}
	for i := range x.m.log {
		if trim {
			x.m.trimmed[i] = true
		}
	}
}

// advance commits the next revision of a record after the given one, with its event.
// Its error is nil or ErrConflict.
func (x *suite) advance(id remint.ID, revision uint64) error {
	next := record(fields{ID: id, Revision: revision + 1, Owner: "o"})
	err := x.s.Commit(x.Context(), remint.Batch{Put: puts(revision, next), Log: events(next)})
	if err != nil && !errors.Is(err, remint.ErrConflict) {
		x.Errorf("Commit: %v", err)
	}
	return err
}

// revision loads a record's revision; 0: it is not there.
func (x *suite) revision(id remint.ID) uint64 {
	r, err := x.s.Load(x.Context(), id)
	switch {
	case errors.Is(err, remint.ErrNotFound):
		return 0
	case err != nil:
		x.Errorf("Load: %v", err)
		return 0
	}
	return r.Revision()
}
