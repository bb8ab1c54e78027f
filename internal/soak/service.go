package soak

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// Prefixes of the service's tokens.
const (
	masterPrefix   = "pk_"
	axiomPrefix    = "xaat-"
	katapultPrefix = "kat_"
	keyPrefix      = "pp_"
	nativePrefix   = "svc_"
	sessionPrefix  = "rms_"
)

// Times of the service: short enough that all of it happens within seconds.
const (
	lapse      = 1500 * time.Millisecond // remint.Options.Lapse
	window     = 1500 * time.Millisecond // remint.Options.RetryWindow
	retention  = 2 * time.Second         // remint.Options.Retention: longer than window, as a service's should be
	pawSession = 3 * time.Second         // httpadapter.PocketPaw.SessionLifetime
	gentleTime = time.Second             // for which the gentle routes let what they replace work on
	sweepEvery = time.Second
	repeatable = window // for which Axiom's regenerate is repeated: less than its 30 seconds
)

// A Setup is what a test of the harness does to the service to make it wrong. The zero value does nothing.
type Setup struct {
	Wrap      func(*Service, http.Handler) http.Handler
	Now       func() time.Time // the service's clock
	Retention time.Duration    // instead of retention
}

// A Service is one with all formats, on a file, with its cache, and sweeping.
type Service struct {
	path   string
	db     *storebolt.Store
	issuer *remint.Issuer
	url    string
	server *http.Server
	served chan struct{} // closed when the server has ended

	stopSweeping context.CancelFunc
	swept        chan struct{} // closed when the sweeper has ended
	sweeps       atomic.Int64

	connections connections
	events      [len(kinds)]atomic.Int64

	mu     sync.Mutex
	faults []string // what the service itself says went wrong
}

// kinds are the events that are counted.
var kinds = [...]remint.EventKind{
	remint.EventIssue, remint.EventUpdate, remint.EventRotate, remint.EventConfirm, remint.EventCancel, remint.EventFinish,
	remint.EventEndSessions, remint.EventRevoke, remint.EventSeal, remint.EventReplay, remint.EventReuse, remint.EventRemove,
	remint.EventVerify, remint.EventDeny,
}

// StartService starts a service whose file is in dir.
func StartService(dir string, setup Setup) (_ *Service, err error) {
	s := &Service{path: filepath.Join(dir, "tokens.db"), served: make(chan struct{}), swept: make(chan struct{})}
	if s.db, err = storebolt.Open(s.path, nil); err != nil {
		return nil, err
	}
	s.issuer, err = remint.New(s.db, &remint.Options{
		Prefixes: []string{masterPrefix, axiomPrefix, katapultPrefix, keyPrefix, nativePrefix},
		Lapse:    lapse, RetryWindow: window, Retention: cmp.Or(setup.Retention, retention), Now: setup.Now, Observe: s.count,
	})
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	s.url = "http://" + listener.Addr().String()
	handler := s.routes()
	if setup.Wrap != nil {
		handler = setup.Wrap(s, handler)
	}
	s.server = &http.Server{Handler: cutting(handler), ConnState: s.connections.state}
	go func() {
		defer close(s.served)
		if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.fault("serving: %v", err)
		}
	}()
	ctx, cancel := context.WithCancel(context.Background())
	s.stopSweeping = cancel
	go s.sweep(ctx)
	return s, nil
}

// gentle is the header that asks for the routes of which none stops a secret at once.
const gentle = "Soak-Gentle"

// routes are all formats twice: as documented, and so that nobody can be locked out by a lost answer.
func (s *Service) routes() http.Handler {
	web := httpadapter.New(s.issuer, &httpadapter.Options{
		Cookie: &httpadapter.Cookie{InsecureHTTP: true}, Deprecation: true,
		Error: func(r *http.Request, err error) { s.fault("%s: %v", r.Pattern, err) },
	})
	mount := func(paw, axiom, katapult remint.Retirement) http.Handler {
		mux := http.NewServeMux()
		whoami := http.HandlerFunc(whoami)
		mux.Handle("GET /app/any", web.Authenticate(whoami))
		mux.Handle("GET /app/read", web.Require("app:read", whoami))
		mux.Handle("GET /app/write", web.Require("app:write", whoami))
		web.MountPocketPaw(mux, &httpadapter.PocketPaw{Prefix: masterPrefix, APIKeyPrefix: keyPrefix, SessionLifetime: pawSession, Retire: paw})
		web.MountAxiom(mux, &httpadapter.Axiom{Prefix: axiomPrefix, RetireNow: axiom})
		web.MountKatapult(mux, &httpadapter.Katapult{Prefix: katapultPrefix, Retire: katapult})
		web.MountNative(mux, &httpadapter.Native{Prefix: nativePrefix, Path: "/v1"})
		return mux
	}
	plain := mount(remint.Retirement{}, remint.Retirement{}, remint.Retirement{})
	lenient := mount(remint.RetireAfterFirstUse(gentleTime), remint.RetireAfterFirstUse(gentleTime), remint.RetireAfter(gentleTime))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(gentle) != "" {
			lenient.ServeHTTP(w, r)
			return
		}
		plain.ServeHTTP(w, r)
	})
}

// whoami tells who is calling.
func whoami(w http.ResponseWriter, r *http.Request) {
	tok, _ := httpadapter.TokenFromContext(r.Context())
	writeWhoami(w, tok)
}

func writeWhoami(w http.ResponseWriter, tok remint.Token) {
	caps := []string{}
	for c := range tok.Capabilities().All() {
		caps = append(caps, string(c))
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"id": tok.ID(), "name": tok.Name(), "owner": tok.Owner(), "capabilities": caps, "session": tok.IsSession(),
	})
}

func (s *Service) count(_ context.Context, e remint.Event) {
	for k, kind := range kinds {
		if kind == e.Kind {
			s.events[k].Add(1)
		}
	}
}

// Events returns how many events of a kind there were.
func (s *Service) Events(kind remint.EventKind) int64 {
	for k := range kinds {
		if kinds[k] == kind {
			return s.events[k].Load()
		}
	}
	return 0
}

func (s *Service) fault(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) < 20 {
		s.faults = append(s.faults, fmt.Sprintf(format, args...))
	}
}

// Faults returns what the service said went wrong on its side.
func (s *Service) Faults() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.faults...)
}

// sweep keeps house until ctx ends.
func (s *Service) sweep(ctx context.Context) {
	defer close(s.swept)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.issuer.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.fault("sweep: %v", err)
		}
		s.sweeps.Add(1)
	}
}

// Stop ends the server and the sweeper, and leaves the store open.
func (s *Service) Stop() {
	s.stopSweeping()
	<-s.swept
	s.server.Close()
	<-s.served
	s.connections.wait()
}

// Close closes the store.
func (s *Service) Close() error { return s.db.Close() }

// size returns how many bytes the file has.
func (s *Service) size() int64 {
	info, err := os.Stat(s.path)
	if err != nil {
		return 0
	}
	return info.Size()
}
