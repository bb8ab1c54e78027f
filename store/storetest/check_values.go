package storetest

import (
	"strings"

	"github.com/remint-go/remint"
)

// Owners that are easily confused: with one another, with a separator, with a pattern,
// or by a collation.
var owners = []string{
	"", "a", "ab", "a\x01", "a\x01\x01", "a\xff", "a\xffb", "a/", "a/b", "a:", "a:b", "/", ":", "//", "\x01", "\x01\x02",
	"\xff", "\xff\xff", "\x80\xfe", "\xc3", "\xc3\xa9", "e\xcc\x81", "A", "a ", " a", "a%", "%", "_", "*", "a\\", "'", `"`, "\n", "0", "null",
	strings.Repeat("o", 255), strings.Repeat("o", 254), strings.Repeat("\xff", 255), strings.Repeat("\x01", 255),
}

var valueChecks = []check{
	{"an owner is any bytes but NUL", func(x *suite) {
		n := 0
		for round := range 2 {
			for _, owner := range owners {
				n++
				x.put(
					record(fields{ID: id(n), Owner: owner, SweepAt: noon}),
					record(fields{ID: id(n + 1000), Owner: owner, Parent: id(2000)}),
				)
				if round == 1 {
					x.put(record(fields{ID: id(n + 3000), Owner: owner, Parent: id(2001)}))
				}
			}
		}
	}},
	{"an owner whose name goes on with a parent's bytes is another owner", func(x *suite) {
		// A key that joins owner and ID must not be another owner's.
		for n, id := range []remint.ID{id(1), {0: 0xff, 15: 0xff}, {0: 1, 1: 1, 2: 1, 3: 1}, remint.ID([]byte("abcdefghijklmnop"))} {
			tail := strings.ReplaceAll(string(id[:]), "\x00", "\x01")
			for _, owner := range []string{"o", "o" + tail, "o" + tail + tail, "o" + tail[:1], "o" + tail[:8]} {
				for _, parent := range []remint.ID{{}, id} {
					next := remint.ID{0: tail[0], 8: byte(n), 15: byte(len(x.m.records))}
					x.put(record(fields{ID: next, Owner: owner, Parent: parent}))
				}
			}
		}
	}},
	{"a record may be 64 KiB long", func(x *suite) {
		big := func(n int, revision uint64, fill string) *remint.Record {
			f := fields{ID: id(n), Revision: revision, Owner: "o", SweepAt: noon, Payload: strings.Repeat(fill, 64<<10)}
			f.Payload = f.Payload[:64<<10-(len(encode(record(f)))-64<<10)]
			r := record(f)
			if len(encode(r)) != 64<<10 {
				panic("storetest: wrong size")
			}
			return r
		}
		x.put(big(1, 1, "a"), big(2, 1, "\x00"))
		x.put(big(3, 1, "\xff"))
		x.ok(remint.Batch{Put: puts(1, big(2, 2, "b"), big(3, 2, "c")), Touch: []*remint.Record{big(1, 1, "d")}})
		x.compare()
		x.ok(remint.Batch{Put: puts(2, change(big(2, 1, "b"), 3, "short")), Delete: []*remint.Record{big(3, 2, "c")}})
	}},
	{"a record keeps its bytes", func(x *suite) {
		for n, payload := range []string{"", "\x00", "\xff\xfe", "\u2028", "{}", strings.Repeat("\x00", 300)} {
			x.put(record(fields{ID: id(n), Owner: "o", Payload: payload}))
		}
	}},
}
