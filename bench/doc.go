// Command bench measures remint beside its peers and beside what one would write by hand, in
// one process and one run.
//
//	go run . > bench.md                    # about five minutes on two cores
//	go run . -quick                        # ten seconds: that everything runs
//	go run . -only '^peers$' -rounds 20    # one part, longer
//	go run . -scale 1e3,1e5,1e6,1e7        # up to ten million tokens, where memory allows
//	go run . -plots ../docs -json all.json # plots, and every sample
//
// The tables on standard output are Markdown. What is under way is told on standard error.
//
// # How it measures
//
// The subjects of a table do the same work. In each round every one has its turn, in a new
// order, for -time, with a garbage collection before. A figure is the median of the rounds, with
// the quartiles beside it. A ratio is taken within each round, and its median is given:
// what slows the machine for a while slows both sides of it.
//
// Before anything is timed it is checked: every token is accepted, and is its owner's, one with
// a changed character is refused, and so is a revoked one, of whoever can revoke.
//
// # Yardsticks
//
//   - R: parse, CRC-32C, ULID, a map behind a RWMutex, SHA-256, constant-time compare, expiry.
//   - F: the same with a flat table of entries of one cache line.
//   - R2: R and its parent, which is what a session needs at least.
//   - S: an append of 4 KiB and a sync.
//   - L: a loop around bbolt that commits together whatever waits, and does nothing else.
//   - U: a transaction of bbolt for each rotation.
//   - H: an HTTP handler that answers with the same bytes and does nothing for it.
//
// What they check is remint's own text, so that both read the same tokens.
//
// # What to look out for
//
// Files are made in a directory under TMPDIR, or under -dir: it must be on the disk that
// matters. The machine should have nothing else to do.
//
// PASETO is by hand, from its specification, without a library's checks and options. So
// it is a bound for what a library can reach, and no library's figure. The sessions of scs on bbolt
// are by a store for it that does what its own does: one transaction for each commit.
package main
