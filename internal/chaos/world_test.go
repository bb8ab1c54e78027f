package chaos_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/internal/chaos"
	"github.com/remint-go/remint/store"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// Times of the services in these tests.
const (
	overlap = time.Hour
	grace   = time.Minute
	window  = 10 * time.Minute // of remint.Options.RetryWindow
	lapse   = 2 * time.Hour    // of remint.Options.Lapse

	// Clients that come back late do so when the window is over and the overlap is not, or when
	// everything is.
	afterWindow = 30 * time.Minute
	afterAll    = 3 * time.Hour
)

// A world is a service behind a proxy, and what a client has to do with it.
type world struct {
	testing.TB
	clock   *chaos.Clock
	options *remint.Options
	mount   func(mux *http.ServeMux, web *httpadapter.Adapter)

	inner  remint.Store // what there is
	path   string       // of its file, or ""
	store  *chaos.Store // what the service sees of it
	issuer *remint.Issuer
	server *httptest.Server
	tap    *chaos.Tap
	proxy  *chaos.Proxy
	opened []io.Closer
	dying  sync.Mutex

	client *chaos.Client
	had    []string    // the secrets that there were before, the client's or whoever's it acts for
	aside  []remint.ID // tokens that are not rotated
	most   int         // strays at a time
}

// newWorld returns a service with routes that mount puts on its mux. With durable, it keeps its
// tokens in a file, and can be killed.
func newWorld(t testing.TB, durable bool, mount func(*http.ServeMux, *httpadapter.Adapter)) *world {
	w := &world{TB: t, clock: new(chaos.Clock), mount: mount, inner: new(store.Memory)}
	w.options = &remint.Options{
		Prefixes: []string{"pk_", "xaat-", "kat_", "pp_", "nat_"},
		Lapse:    lapse, RetryWindow: window, Now: w.clock.Now,
	}
	if durable {
		w.path = filepath.Join(t.TempDir(), "0")
		w.inner = w.open(w.path)
	}
	var err error
	w.proxy, err = chaos.NewProxy()
	w.must(err)
	w.serve()
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) open(path string) remint.Store {
	db, err := storebolt.Open(path, nil)
	w.must(err)
	w.opened = append(w.opened, db)
	return db
}

// serve starts a service over what is stored.
func (w *world) serve() {
	w.store = chaos.NewStore(w.inner)
	issuer, err := remint.New(w.store, w.options)
	w.must(err)
	w.issuer = issuer
	if w.tap == nil {
		w.tap = chaos.NewTap(issuer.Pattern())
	}
	web := httpadapter.New(issuer, nil)
	mux := http.NewServeMux()
	mux.Handle("GET /me", web.Authenticate(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	w.mount(mux, web)
	w.server = httptest.NewServer(w.tap.Handler(mux))
	w.proxy.Serve(w.server.Listener.Addr().String())
}

// kill ends the service as a signal would, and starts it anew: it has nothing but the file as
// that is now. Nothing is saved, and nobody closes it.
func (w *world) kill() {
	w.dying.Lock() // it is the proxy that calls this
	defer w.dying.Unlock()
	w.server.Close()
	image, err := os.ReadFile(w.path)
	w.must(err)
	w.path += "+"
	w.must(os.WriteFile(w.path, image, 0o600))
	w.inner = w.open(w.path)
	w.serve()
}

func (w *world) end() {
	w.proxy.Close()
	w.server.Close()
	for _, c := range w.opened {
		if err := c.Close(); err != nil {
			w.Error(err)
		}
	}
}

// issue makes a token as the service itself.
func (w *world) issue(spec remint.Spec) remint.Grant {
	w.Helper()
	spec.Owner = "acme"
	g, err := w.issuer.Operator("test").Issue(w.Context(), spec)
	w.must(err)
	return g
}

func (w *world) request(method, path, bearer, body string) *http.Request {
	r, err := http.NewRequestWithContext(w.Context(), method, w.proxy.URL()+path, strings.NewReader(body))
	w.must(err)
	r.Header.Set("Authorization", "Bearer "+bearer)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// newClient makes the client, whose requests to rotate are as given, with the ID of its token for
// {id}: with its own secret, if bearer is empty.
func (w *world) newClient(own remint.Grant, bearer, path, body string, secret func([]byte) string) {
	w.client = &chaos.Client{
		HTTP: chaos.NewClient(), Tries: 4, Old: own.Secret.Reveal(), Secret: secret,
		Rotate: func(old string) *http.Request {
			id, err := w.issuer.Identify(old)
			w.must(err)
			if bearer != "" {
				old = bearer
			}
			named := strings.NewReplacer("{id}", id.String())
			return w.request("POST", named.Replace(path), old, named.Replace(body))
		},
		Use: func(secret string) *http.Request { return w.request("GET", "/me", secret, "") },
	}
}

func (w *world) census() chaos.Census {
	return chaos.Census{Options: w.options, From: netip.MustParseAddr("127.0.0.1")}
}

func (w *world) works(secret string) bool {
	w.Helper()
	ok, err := w.census().Works(w.Context(), w.inner, secret)
	w.must(err)
	return ok
}

// count returns how many secrets are live, and how many of them nobody has.
func (w *world) count() (live, stray int) {
	w.Helper()
	w.dying.Lock()
	defer w.dying.Unlock()
	live, err := w.census().Live(w.Context(), w.inner, w.aside...)
	w.must(err)
	known := 0
	for _, secret := range append(slices.Clone(w.had), w.client.New) {
		if secret != "" && w.works(secret) {
			known++
		}
	}
	// What tokens say of themselves, against every secret that was ever written. Some are live
	// that were not: their service failed before it could.
	written := 0
	for _, secret := range append(w.tap.Secrets(), w.had[0]) {
		if w.works(secret) {
			written++
		}
	}
	if written > live || known > live {
		w.Errorf("%d secrets of those that were written are accepted, %d of the client's, and the tokens say %d", written, known, live)
	}
	return live, live - known
}

// watch counts strays: live secrets that nobody has.
func (w *world) watch() {
	w.Helper()
	_, stray := w.count()
	w.most = max(w.most, stray)
}
