package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/remint-go/remint"
)

// watched is a store with a feed that a test moves by hand.
type watched struct {
	*shared
	watches chan *watch
}

// A watch is one call of Watch. What comes from lose is its error.
type watch struct {
	fresh   func(time.Time)
	changed func(remint.ID)
	lose    chan error
}

func (w *watched) Watch(ctx context.Context, fresh func(time.Time), changed func(remint.ID)) error {
	f := &watch{fresh, changed, make(chan error)}
	select {
	case w.watches <- f:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-f.lose:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// follow returns a Cache that follows a feed, until the end of the test.
func follow(t *testing.T, bound time.Duration) (*Cache, *watched) {
	s := &watched{newShared(), make(chan *watch)}
	c := NewCache(s, bound, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Follow(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Follow: %v", err)
		}
	})
	return c, s
}

func TestWhatTheFeedVouchesForIsNotReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := follow(t, time.Minute)
		feed := <-s.watches
		feed.fresh(time.Now())
		becomes(t, s, 1, 0, 1)
		becomes(t, s, 2, 0, 1)
		has(t, c, 1, 1)
		has(t, c, 2, 1)
		for range 10 {
			time.Sleep(50 * time.Second)
			feed.fresh(time.Now())
			has(t, c, 1, 1)
		}
		if n := s.loads.Load(); n != 2 {
			t.Errorf("%d reads", n)
		}
		becomes(t, s, 1, 1, 2)
		feed.changed(sequential(1))
		has(t, c, 1, 2)
		has(t, c, 2, 1)
		if n := s.loads.Load(); n != 3 {
			t.Errorf("%d reads: one record has changed", n)
		}
		if age := c.Stats().FeedAge; age != 0 {
			t.Errorf("the feed is %v old", age)
		}
	})
}

// A feed that is alive and late proves nothing.
// It fails without the bound of what a feed has vouched for (internal/mutants).
func TestTheBoundHoldsWithoutTheFeed(t *testing.T) {
	for name, lose := range map[string]func(*watched, *watch){
		"silent":                func(*watched, *watch) {},
		"late":                  func(_ *watched, f *watch) { f.fresh(time.Now().Add(-30 * time.Second)) },
		"lost":                  func(_ *watched, f *watch) { f.lose <- errors.New("lost"); f.fresh(time.Now().Add(time.Second)) },
		"lost and found":        func(s *watched, f *watch) { f.lose <- errors.New("lost"); (<-s.watches).fresh(time.Now()) },
		"of the future's clock": func(_ *watched, f *watch) { f.fresh(time.Now().Add(time.Hour)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := follow(t, time.Minute)
				feed := <-s.watches
				becomes(t, s, 1, 0, 1)
				has(t, c, 1, 1)
				feed.fresh(time.Now())
				lose(s, feed)
				becomes(t, s, 1, 1, 2) // and nobody tells
				time.Sleep(time.Minute + 1)
				if name == "lost and found" || name == "lost" {
					time.Sleep(10 * time.Second) // it took a moment
				}
				has(t, c, 1, 2)
			})
		})
	}
}

// What was read before a feed began may have changed unheard.
// It fails without the age of what was read before a feed began (internal/mutants).
func TestAFeedDoesNotVouchForWhatWasReadBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := follow(t, time.Minute)
		feed := <-s.watches
		becomes(t, s, 1, 0, 1)
		has(t, c, 1, 1)
		feed.lose <- errors.New("lost")
		becomes(t, s, 1, 1, 2) // unheard
		feed = <-s.watches
		for range 5 {
			time.Sleep(20 * time.Second)
			feed.fresh(time.Now())
		}
		has(t, c, 1, 2)
	})
}

// A Watch has begun when it says so, and not when it is called.
func TestAFeedDoesNotVouchForWhatWasReadBeforeItsFirstWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := follow(t, time.Minute)
		feed := <-s.watches
		becomes(t, s, 1, 0, 1)
		has(t, c, 1, 1)
		becomes(t, s, 1, 1, 2) // unheard
		for range 5 {
			time.Sleep(20 * time.Second)
			feed.fresh(time.Now())
		}
		has(t, c, 1, 2)
	})
}

func TestFollowNeedsAWatcherAndIsOne(t *testing.T) {
	if err := NewCache(new(Memory), time.Minute, nil).Follow(t.Context()); err == nil {
		t.Error("a store without a feed was followed")
	}
	synctest.Test(t, func(t *testing.T) {
		c, s := follow(t, time.Minute)
		<-s.watches
		if err := c.Follow(t.Context()); err == nil {
			t.Error("it is followed twice")
		}
	})
}

// Two processes with a feed that is late, lost and found: nobody is given what was replaced
// longer ago than the bound, nor what is older than what it committed itself.
func TestNoAnswerIsOlderThanTheBound(t *testing.T) {
	const bound, records, steps = time.Second, 5, 400
	for range 20 {
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		synctest.Test(t, func(t *testing.T) {
			a, s := follow(t, bound)
			b := NewCache(s.shared, bound, &CacheOptions{MaxBytes: 3 * 600})
			feed := <-s.watches
			var unheard []remint.ID
			type version struct {
				revision uint64
				until    time.Time // when its successor's commit had returned
			}
			history := make([][]version, records)
			own := make([][2]uint64, records) // what each has committed, or been given fresh
			for n := range records {
				becomes(t, s, n, 0, 1)
				history[n] = []version{{revision: 1}}
			}
			for range steps {
				n := random.IntN(records)
				last := &history[n][len(history[n])-1]
				who := random.IntN(2)
				c := [2]*Cache{a, b}[who]
				switch random.IntN(8) {
				case 0, 1:
					becomes(t, c, n, last.revision, last.revision+1)
					last.until = time.Now()
					history[n] = append(history[n], version{revision: last.revision + 1})
					own[n][who] = last.revision + 1
					unheard = append(unheard, sequential(n))
				case 2:
					time.Sleep(time.Duration(random.Int64N(int64(bound))))
				case 3: // the feed catches up, wholly or in part
					heard := random.IntN(len(unheard) + 1)
					for _, id := range unheard[:heard] {
						feed.changed(id)
					}
					if unheard = unheard[heard:]; len(unheard) == 0 {
						feed.fresh(time.Now())
					}
				case 4:
					if random.IntN(4) == 0 {
						feed.lose <- errors.New("lost")
						unheard = nil // for ever
						feed = <-s.watches
					}
				case 5:
					if r, err := c.Refresh(t.Context(), sequential(n)); err != nil || r.Revision() != last.revision {
						t.Fatalf("seed %d: Refresh = %v, %v, want revision %d", seed, r, err, last.revision)
					}
				default:
					r, err := c.Load(t.Context(), sequential(n))
					if err != nil {
						t.Fatalf("seed %d: %v", seed, err)
					}
					v := history[n][r.Revision()-1]
					if !v.until.IsZero() && time.Since(v.until) > bound {
						t.Fatalf("seed %d: got %v, which was replaced %v ago", seed, r, time.Since(v.until))
					}
					if r.Revision() < own[n][who] {
						t.Fatalf("seed %d: got %v, having committed revision %d", seed, r, own[n][who])
					}
				}
			}
		})
	}
}
