// Package soak lets many clients use a service over HTTP for a long time, and holds every answer against what
// the client knows.
//
// Each client has an owner of its own, its own tokens, and a model of them that asks nothing of package remint: what
// there is, what works until when, and what a request does to it (model.go, rotation.go). A request may be cut off, so
// that its client does not know whether it was served; and it may be judged just before or just after something
// ends. So a client believes in several worlds at a time, one for each thing that may have happened
// (belief.go), and an answer that fits none of them is wrong. There may be none.
//
//	go test ./internal/soak                                             # three seconds
//	REMINT_SOAK=1m go test -v -run Soak ./internal/soak
//	REMINT_SOAK=1h go test -v -run Soak -timeout 90m ./internal/soak
//
// A wrong answer is told of at once, on the standard error: with the seed, the request, the answer, what it should have
// been, what was done before with the token, and what the client believed in. Twenty end the run.
//
// REMINT_SOAK_CLIENTS is how many clients there are, REMINT_SOAK_RATE how many requests each makes in a
// second, and REMINT_SOAK_SEED repeats their choices, as far as a real clock lets them be the same.
package soak
