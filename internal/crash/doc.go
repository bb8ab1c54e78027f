// Package crash kills a process that keeps tokens in a bbolt file, again and again, and
// checks after each kill that nothing which it had acknowledged is lost, and that nothing
// is there by halves.
//
// The victim is this package's test binary, executed anew. Its workers issue, rotate,
// confirm, revoke, end and sweep; each says what it is about to do before it begins, and what
// came of it when it has returned. The parent kills it, takes what was said, replays the
// audit log of the file against that in a model of its own, and compares the model with all
// that is stored: every record, every index, every secret ever handed out. Then the next
// victim goes on with the same file.
//
// A killed process leaves to the disk all that it had written, synced or not. What a power
// cut leaves is tried in package storebolt, with every part of a transaction missing.
//
//	REMINT_CRASHES=3000 go test -run Killed -v -timeout 0 ./internal/crash
//	REMINT_CRASH_SEED=1 …   draws the same operations and moments again, as far as a race can be
package crash
