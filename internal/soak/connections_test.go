package soak

import (
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
)

// A client that gave a request up goes on when it is not being served any more: so what the request did was done between its
// sending and then, however long the service took.
func TestWhatWasGivenUpIsServedUntilTheClientGoesOnAtTheLatest(t *testing.T) {
	var begun, ended atomic.Int64
	s := &Soak{denials: map[string]string{}, log: t.Logf}
	var err error
	s.service, err = StartService(t.TempDir(), Setup{Wrap: func(_ *Service, h http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			begun.Add(1)
			<-r.Context().Done() // the client has gone
			for range 2000 {
				runtime.Gosched() // as one that has much to do yet
			}
			ended.Add(1)
		})
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.service.Close()
	defer s.service.Stop()
	c := newClient(s, 0)
	defer c.close()
	for seed := uint64(0); begun.Load() < 10; seed++ { // some are given up before they are sent
		c.rng = rand.New(rand.NewPCG(seed, 0))
		if c.rng.IntN(100) >= 2 {
			continue // it would wait for its answer
		}
		c.rng = rand.New(rand.NewPCG(seed, 0))
		if c.perform(c.use("", "/app/any", ""), true) != nil {
			t.Fatal("there was an answer")
		}
		if b, e := begun.Load(), ended.Load(); b != e {
			t.Fatalf("%d were begun, and %d have ended", b, e)
		}
	}
	if n, wrong := s.Wrong(); n != 0 {
		t.Errorf("%d wrong answers: %q", n, wrong)
	}
}
