// Package histories has no code to use: its tests let clients verify, rotate, cancel, finish,
// revoke, update and end at the same time what belongs to one token, write down what each
// was answered and when, and ask porcupine (github.com/anishathalye/porcupine) whether there
// is one order of the operations that explains all the answers.
//
// What would have been the right answer is a model: the state machine of [remint.Actor.Rotate]'s
// comment, written from the documentation and without a look at how package remint does it.
//
// REMINT_HISTORIES=n lets n times as many histories happen, and REMINT_HISTORIES_SEED=n the one
// of that seed; the flag -artifacts of go test keeps the page of one that nothing explains.
//
// # What is exact and what is not
//
// An operation changes the state at one moment between its call and its return. It may
// read the clock at another one: the time that it judges by is any that the clock showed
// meanwhile, but none from before the last change of what it judges.
//
// An answer of ErrUnavailable stands for an effect or for none. A rotation's ErrConflict
// stands for a rotation, or its cancellation, of somebody else's between two moments of the call, or
// for another revision than IfRevision.
//
// Where the documentation leaves a choice, the model has both; the comments that
// begin with "Either" name these places.
package histories

import "github.com/remint-go/remint"

var _ remint.Actor // for the link above
