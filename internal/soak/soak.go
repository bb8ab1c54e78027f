package soak

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Soak is clients and the service that they use.
type Soak struct {
	Duration time.Duration
	Clients  int
	Rate     float64 // requests of each client in a second; 0: as many as it can
	Seed     uint64
	Setup    Setup
	Enough   int           // wrong answers that end it before its time; 0: none do
	Loud     io.Writer     // is told of each wrong answer when it is found; nil: nobody
	Patience time.Duration // with goroutines that should end: how long they may take

	service *Service
	board   board
	stats   stats
	watch   watch
	stop    context.CancelFunc
	log     func(format string, args ...any)

	mu      sync.Mutex
	wrongs  []string
	wronged int
	denials map[string]string
}

// Run lets the clients act for the duration, on a service whose file is in dir. log is told how it goes on.
func (s *Soak) Run(dir string, log func(format string, args ...any)) (err error) {
	s.denials, s.log = map[string]string{}, log
	s.watch.goroutines()
	if s.service, err = StartService(dir, s.Setup); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.Duration)
	defer cancel()
	s.stop = cancel
	clients := make([]*client, s.Clients)
	var all sync.WaitGroup
	for k := range clients {
		clients[k] = newClient(s, k)
		all.Go(func() { clients[k].run(ctx) })
	}
	s.watch.begin(ctx, s, log)
	all.Wait()
	s.service.Stop()
	defer func() {
		if cerr := s.service.Close(); err == nil {
			err = cerr
		}
		s.watch.end(s.Patience)
	}()
	return s.audit(clients)
}

// report keeps a wrong answer, and tells of it at once: it may be an hour until the end.
func (s *Soak) report(c *client, a *act, from int64, got string, want []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wronged++
	head := fmt.Sprintf("wrong answer %d, to %s (client %d), seed %d, %s:\n  sent %s\n  got  %s\n  want %s",
		s.wronged, c.owner, c.k, s.Seed, formatTime(from), a, got, strings.Join(want, "\n    or "))
	if len(s.wrongs) < 8 {
		s.wrongs = append(s.wrongs, head)
	}
	if s.Loud != nil {
		fmt.Fprintf(s.Loud, "%s\nwhat it did before:\n%s\nwhat it believed in:\n%s\n", head, c.journal.of(c.concerned(a, want)), c.belief)
		s.log("%s", head)
	}
	if s.wronged == s.Enough {
		s.stop()
	}
}

// Wrong returns how many answers were wrong, and some of them.
func (s *Soak) Wrong() (int, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.wronged, slices.Clone(s.wrongs)
}

// Faults returns what the service said went wrong on its side.
func (s *Soak) Faults() []string { return s.service.Faults() }

// alike compares a denial with the first of its kind, which it returns if they differ.
func (s *Soak) alike(kind string, r *reply) string {
	text := fmt.Sprint(r.status, r.header["Www-Authenticate"], r.header["Content-Type"], string(r.body))
	s.mu.Lock()
	defer s.mu.Unlock()
	before, known := s.denials[kind]
	if !known {
		s.denials[kind] = text
		return ""
	}
	if before == text {
		return ""
	}
	return before
}
