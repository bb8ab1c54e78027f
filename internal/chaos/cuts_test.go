package chaos_test

import (
	"github.com/remint-go/remint/internal/chaos"
)

// A cut is what goes wrong with a rotation, and when.
type cut struct {
	at, name string // the stage, and the row of the table
	means    string // in the page

	durable bool // the service is killed

	// run lets it go wrong, and does what the client has done by then. Where something fails at one
	// operation of many, run is called for n from 0 until it reports that there is no such
	// operation any more; otherwise once.
	each bool
	run  func(w *world, n int) (happened bool)
}

// Stages of a rotation.
const (
	request = "request"
	storing = "store"
	answer  = "answer"
	server  = "server"
	client  = "client"
	using   = "first use"
)

var cuts = []cut{
	{at: request, name: "nothing goes wrong", means: "for comparison",
		run: func(w *world, _ int) bool { return true }},
	{at: request, name: "does not arrive", means: "the connection ends before the service has the request; the client repeats it",
		run: once(func(w *world) { w.proxy.Next(chaos.Fault{Lose: true}) })},
	{at: request, name: "arrives late, after the new secret was used",
		means: "the client gives up and repeats the request, uses what it gets, and then the first request arrives",
		run: once(func(w *world) {
			w.proxy.Next(chaos.Fault{Late: true})
			if w.client.Fetch() {
				w.client.Works(w.client.New)
			}
			w.proxy.Release()
		})},
	{at: request, name: "arrives late, before the new secret was used",
		means: "the same, with the first request between the answer to the second and the first use",
		run: once(func(w *world) {
			w.proxy.Next(chaos.Fault{Late: true})
			w.client.Fetch()
			w.proxy.Release()
		})},
	{at: request, name: "arrives twice, first answer", means: "something on the way repeats the request, and the client gets the answer to the first",
		run: once(func(w *world) { w.proxy.Next(chaos.Fault{Twice: true}) })},
	{at: request, name: "arrives twice, second answer", means: "the same, and the client gets the answer to the second",
		run: once(func(w *world) { w.proxy.Next(chaos.Fault{Second: true}) })},
	{at: request, name: "arrives twice at a time", means: "the second overtakes the first between its judgement and its commit, and the client gets the answer to the first",
		run: once(func(w *world) { w.store.Meanwhile(w.proxy.Again) })},

	{at: storing, name: "fails once", each: true,
		means: "one operation of the store fails, before or after it took effect: each of those that the request makes, in turn; the worst of it is shown",
		run: func(w *world, n int) bool {
			w.store.Fail(failure(n, false))
			w.client.Fetch()
			return w.store.Recover()
		}},
	{at: storing, name: "is gone until the retry", each: true,
		means: "everything from that operation on fails, until the client repeats the request",
		run: func(w *world, n int) (happened bool) {
			w.store.Fail(failure(n, true))
			w.atFirst(func() { happened = w.store.Recover() })
			w.client.Fetch()
			return w.store.Recover() || happened
		}},

	{at: answer, name: "does not arrive", means: "the connection ends after the commit, before any byte of the answer",
		run: once(func(w *world) { w.proxy.Next(lost) })},
	{at: answer, name: "ends in the middle", means: "half of the answer's body arrives",
		run: once(func(w *world) { w.proxy.Next(chaos.Fault{Cut: chaos.Half}) })},
	{at: answer, name: "is lost, and the retry's, too", means: "the third answer arrives",
		run: once(func(w *world) { w.proxy.Next(lost, lost) })},
	{at: answer, name: "is lost, retry after 30 minutes", means: "later than `remint.Options.RetryWindow` (10 minutes)",
		run: once(func(w *world) {
			w.proxy.Next(lost)
			w.atFirst(func() { w.clock.Advance(afterWindow) })
			w.client.Fetch()
		})},
	{at: answer, name: "is lost, retry after 3 hours", means: "later than the overlap (1 hour) and than `remint.Options.Lapse` (here 2 hours)",
		run: once(func(w *world) {
			w.proxy.Next(lost)
			w.atFirst(func() { w.clock.Advance(afterAll) })
			w.client.Fetch()
		})},

	{at: server, name: "is killed during the request", each: true, durable: true,
		means: "it dies at one operation of the store, before or after that took effect: each in turn, the worst is shown; it is started again on its bbolt file",
		run: func(w *world, n int) (happened bool) {
			w.store.Fail(failure(n, true))
			w.proxy.Next(chaos.Fault{Cut: chaos.Nothing, Then: func() {
				happened = w.store.Recover()
				w.kill()
			}})
			w.client.Fetch()
			return happened
		}},
	{at: server, name: "is killed after the answer, which does not arrive", durable: true, means: "all is committed",
		run: once(func(w *world) { w.proxy.Next(chaos.Fault{Cut: chaos.Nothing, Then: w.kill}) })},
	{at: server, name: "is killed before the first use", durable: true, means: "the answer has arrived",
		run: once(func(w *world) {
			w.client.Fetch()
			w.kill()
		})},

	{at: client, name: "dies with the new secret", means: "before it wrote it down; it has the old one, and the retry key, which it wrote down before it sent the request",
		run: once(func(w *world) {
			w.client.Fetch()
			w.client.Crash(true)
		})},
	{at: client, name: "dies with the new secret and the key", means: "it has the old secret only",
		run: once(func(w *world) {
			w.client.Fetch()
			w.client.Crash(false)
		})},

	{at: using, name: "does not arrive", means: "the client has the new secret, and repeats the request with it",
		run: once(func(w *world) {
			w.client.Fetch()
			w.proxy.Next(chaos.Fault{Lose: true})
		})},
	{at: using, name: "is not answered", means: "the service has accepted the new secret, and the client does not know",
		run: once(func(w *world) {
			w.client.Fetch()
			w.proxy.Next(lost)
		})},
	{at: using, name: "meets a store that fails once", each: true, means: "at each operation in turn, as above",
		run: func(w *world, n int) bool {
			w.client.Fetch()
			w.store.Fail(failure(n, false))
			w.client.Works(w.client.New)
			return w.store.Recover()
		}},
	{at: using, name: "meets a store that is gone", each: true, means: "until the client repeats it, as above",
		run: func(w *world, n int) (happened bool) {
			w.client.Fetch()
			w.store.Fail(failure(n, true))
			w.atFirst(func() { happened = w.store.Recover() })
			w.client.Works(w.client.New)
			return w.store.Recover() || happened
		}},
	{at: using, name: "meets a server that is killed", each: true, durable: true, means: "at each operation in turn, as above",
		run: func(w *world, n int) (happened bool) {
			w.client.Fetch()
			w.store.Fail(failure(n, true))
			w.proxy.Next(chaos.Fault{Cut: chaos.Nothing, Then: func() {
				happened = w.store.Recover()
				w.kill()
			}})
			w.client.Works(w.client.New)
			return happened
		}},
	{at: using, name: "comes after 3 hours", means: "later than `remint.Options.Lapse`: the rotation has lapsed, and the old secret is what it was",
		run: once(func(w *world) {
			w.client.Fetch()
			w.clock.Advance(afterAll)
		})},
}

// lost is an answer of which no byte arrives.
var lost = chaos.Fault{Cut: chaos.Nothing}

func once(run func(w *world)) func(*world, int) bool {
	return func(w *world, _ int) bool { run(w); return true }
}

// failure is the n-th way in which a store fails: each operation, before and after.
func failure(n int, stays bool) chaos.Failure {
	return chaos.Failure{N: n / 2, After: n%2 == 1, Stays: stays}
}

// atFirst does something when the first try has not been answered, or with no try that was not.
func (w *world) atFirst(do func()) {
	usual := w.client.Unanswered
	w.client.Unanswered = func() {
		w.client.Unanswered = usual
		usual()
		do()
	}
}
