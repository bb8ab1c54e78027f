package storetest

import (
	"github.com/remint-go/remint"
)

var atomicityChecks = []check{
	{"a conflict leaves nothing of its batch, whichever element it is of", func(x *suite) {
		r := plain(1, 9)
		x.ok(remint.Batch{Put: puts(0, r...), Log: events(r...)})
		tail := x.drain("")
		// Records 1 to 3 are guards, 4 to 6 are put, 7 and 8 are deleted, 9 is touched;
		// 11 to 13 are not there, of which 11 is put.
		fresh := plain(11, 13)
		whole := func() remint.Batch {
			return remint.Batch{
				Guard:  append([]*remint.Record{}, r[0], r[1], r[2]),
				Put:    append(puts(1, change(r[3], 2, "q"), change(r[4], 2, "q"), change(r[5], 2, "q")), puts(0, fresh[0])...),
				Delete: append([]*remint.Record{}, r[6], r[7]),
				Touch:  []*remint.Record{resweep(r[8], 1, "touched", noon)},
				Log:    append(events(change(r[3], 2, "")), events(fresh[0])...),
				Trim:   tail,
			}
		}
		spoil := func(change func(b *remint.Batch)) {
			x.Helper()
			b := whole()
			change(&b)
			x.conflict(b)
		}
		for i := range 3 {
			spoil(func(b *remint.Batch) { b.Guard[i] = change(r[i], 2, "") })
			spoil(func(b *remint.Batch) { b.Guard[i] = fresh[2] })
		}
		for i := range 3 {
			spoil(func(b *remint.Batch) { b.Put[i].Replaces = 0 })
			spoil(func(b *remint.Batch) { b.Put[i].Replaces = 2 })
			spoil(func(b *remint.Batch) { b.Put[i].Record = fresh[1] })
		}
		spoil(func(b *remint.Batch) { b.Put[3].Replaces = 1 })
		for i := range 2 {
			spoil(func(b *remint.Batch) { b.Delete[i] = change(r[6+i], 2, "") })
			spoil(func(b *remint.Batch) { b.Delete[i] = fresh[2] })
		}
		x.ok(whole())
	}},
	{"a conflict logs nothing", func(x *suite) {
		r := plain(1, 2)
		x.put(r[0])
		x.conflict(remint.Batch{Put: puts(2, change(r[0], 3, "")), Log: events(r[1])})
		x.conflict(remint.Batch{Guard: r[1:], Log: events(r[0])})
		x.ok(remint.Batch{Log: events(r...)})
	}},
	{"a conflict trims nothing", func(x *suite) {
		r := plain(1, 2)
		x.ok(remint.Batch{Put: puts(0, r[0]), Log: events(r[0])})
		x.conflict(remint.Batch{Guard: r[1:], Trim: x.drain("")})
	}},
	{"a conflict touches nothing", func(x *suite) {
		r := plain(1, 2)
		x.put(r[0])
		x.conflict(remint.Batch{Guard: r[1:], Touch: swept(r[:1])})
		x.conflict(remint.Batch{Delete: r[1:], Touch: swept(r[:1])})
	}},
}
