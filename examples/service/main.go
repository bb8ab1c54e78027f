// Service is a complete service with tokens: a durable store in one file, the documented
// routes of three formats, the native routes under /v1, and a handler of its own behind a
// token, or the session that a browser's login set.
//
//	go run ./examples/service
//
// With a new database it issues a master token and prints it, once: the line
// "token: pk_…" is all that it ever writes on standard output. Whoever lost it gets another
// one with -reset-master, while the service is stopped.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	storebolt "github.com/remint-go/remint/store_bolt"
)

const (
	owner        = "default" // the one organization of this service
	masterName   = "master"
	masterPrefix = "pk_"
	axiomPrefix  = "xaat-"
	katPrefix    = "kat_"
	apiKeyPrefix = "pp_"
	nativePrefix = "svc_"

	// A process that was asked to stop does so within 5 seconds: this long for the
	// requests under way, and the rest for the store.
	shutdownTime = 4 * time.Second
	sweepTime    = 500 * time.Millisecond
)

// prefixes are what tokens of this service may begin with.
var prefixes = []string{masterPrefix, axiomPrefix, katPrefix, apiKeyPrefix, nativePrefix}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the second signal kills
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

// run is the service: until ctx ends, or for one task.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("service", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "localhost:8000", "the `address` to listen on")
	path := flags.String("db", "remint.db", "the database `file`")
	reset := flags.Bool("reset-master", false, "give the master token a new secret, print it, and exit")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	log := slog.New(slog.NewTextHandler(stderr, nil))

	if *reset {
		// Opening would make a new database, and leave it without a master.
		if _, err := os.Stat(*path); err != nil {
			return fmt.Errorf("-reset-master: there is no database: %w", err)
		}
	}
	db, err := storebolt.Open(*path, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	issuer, err := remint.New(db, &remint.Options{
		Prefixes: prefixes,
		Observe:  observer(log),
	})
	if err != nil {
		return err
	}
	if *reset {
		return resetMaster(ctx, issuer, stdout)
	}

	// Listening comes before issuing: if the port is taken, nothing has happened yet. A
	// client that is early waits.
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	defer ln.Close() // for the returns before Serve, which closes it
	if err := issueMaster(ctx, issuer, stdout); err != nil {
		return err
	}
	return serve(ctx, ln, issuer, log)
}

// serve answers requests until ctx ends, then finishes those under way.
func serve(ctx context.Context, ln net.Listener, issuer *remint.Issuer, log *slog.Logger) error {
	server := &http.Server{
		Handler:           routes(issuer, log),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		// MaxHeaderBytes stays at its megabyte: below it, a credential of any length is
		// answered by its format.
	}
	sweeping, cancelSweeping := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	background.Go(func() { sweep(sweeping, issuer, log) })
	stopSweeping := func() {
		cancelSweeping()
		background.Wait()
	}
	defer stopSweeping()

	failed := make(chan error, 1)
	go func() { failed <- server.Serve(ln) }()
	log.Info("listening", "addr", ln.Addr().String())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}

	log.Info("stopping")
	deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := server.Shutdown(deadline); err != nil {
		log.Warn("requests were cut off", "err", err)
		server.Close()
	}
	// Times of last use are written down by sweeping: once more, after the sweep of the minute.
	stopSweeping()
	last, cancelLast := context.WithTimeout(context.WithoutCancel(ctx), sweepTime)
	defer cancelLast()
	if err := issuer.Sweep(last); err != nil {
		log.Warn("sweep", "err", err)
	}
	return nil
}

// routes are the three formats and the native routes on one mux, and one of the service's own.
func routes(issuer *remint.Issuer, log *slog.Logger) http.Handler {
	web := httpadapter.New(issuer, &httpadapter.Options{
		Cookie:      new(httpadapter.Cookie), // whoami takes the session that a login sets
		Deprecation: true,                    // for the log of a proxy: who has not fetched the new secret yet
		Error: func(r *http.Request, err error) {
			// The pattern, not the URL: people put secrets into URLs.
			log.Error("request failed", "route", r.Pattern, "err", err)
		},
	})
	mux := http.NewServeMux()
	mux.Handle("GET /whoami", web.Authenticate(http.HandlerFunc(whoami)))
	web.MountPocketPaw(mux, &httpadapter.PocketPaw{Prefix: masterPrefix, APIKeyPrefix: apiKeyPrefix, OpenAPI: "/openapi/pocketpaw.yaml"})
	web.MountAxiom(mux, &httpadapter.Axiom{Prefix: axiomPrefix, OpenAPI: "/openapi/axiom.yaml"})
	web.MountKatapult(mux, &httpadapter.Katapult{Prefix: katPrefix, OpenAPI: "/openapi/katapult.yaml"})
	web.MountNative(mux, &httpadapter.Native{Prefix: nativePrefix, Path: "/v1", OpenAPI: "/openapi/native.yaml"})
	return mux
}

// sweep keeps house until ctx ends.
func sweep(ctx context.Context, issuer *remint.Issuer, log *slog.Logger) {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := issuer.Sweep(ctx); err != nil && ctx.Err() == nil {
			log.Warn("sweep", "err", err)
		}
	}
}

// observer logs what changed, and secrets that were presented after their time. Verifications
// are too many to log, and denials are anybody's to cause.
func observer(log *slog.Logger) func(context.Context, remint.Event) {
	return func(_ context.Context, e remint.Event) {
		switch e.Kind {
		case remint.EventVerify, remint.EventDeny:
		default:
			log.Info("token", "event", string(e.Kind), "id", e.Token.String(), "owner", e.Owner, "by", e.Actor)
		}
	}
}
