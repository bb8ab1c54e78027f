package httpadapter_test

import (
	"context"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/store"
)

// A service is an issuer on a memory store, with all formats and two guarded routes mounted.
type service struct {
	t       *testing.T
	issuer  *remint.Issuer
	handler *http.ServeMux
	url     string            // of a server, if there is one, …
	client  http.RoundTripper // … and what it is reached with
	store   *outage
	clock   *clock
	faults  *faults // what Options.Error was told
	events  *events // what Options.Observe was told
}

// A setup says how a service differs from the usual one.
type setup struct {
	issuer    remint.Options
	adapter   httpadapter.Options
	pocketPaw httpadapter.PocketPaw
	axiom     httpadapter.Axiom
	katapult  httpadapter.Katapult
	native    httpadapter.Native
}

// start returns a service behind real TCP on loopback.
func start(t *testing.T, changes ...func(*setup)) *service {
	t.Helper()
	s := newService(t, changes...)
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	s.url, s.client = server.URL, http.DefaultTransport
	return s
}

// newService returns one without a server.
func newService(t *testing.T, changes ...func(*setup)) *service {
	t.Helper()
	s := &service{
		t: t, store: &outage{Store: new(store.Memory)}, faults: new(faults), events: new(events),
		clock: &clock{start: time.Now()},
	}
	u := setup{
		issuer: remint.Options{
			Prefixes: []string{"pk_", "xaat-", "kat_", "pp_", "nat_"},
			Now:      s.clock.now,
			Observe:  s.events.observe,
		},
		adapter:  httpadapter.Options{Error: s.faults.add, Limiter: &httpadapter.MemoryLimiter{Now: s.clock.now}},
		katapult: httpadapter.Katapult{Prefix: "kat_"},
	}
	for _, change := range changes {
		change(&u)
	}
	var err error
	s.issuer, err = remint.New(s.store, &u.issuer)
	if err != nil {
		t.Fatal(err)
	}
	web := httpadapter.New(s.issuer, &u.adapter)
	s.handler = http.NewServeMux()
	mux := recording(t, s.handler)
	mux.Handle("GET /me", web.Authenticate(http.HandlerFunc(me)))
	mux.Handle("GET /reports", web.Require("reports:read", http.HandlerFunc(me)))
	web.MountPocketPaw(mux, &u.pocketPaw)
	web.MountAxiom(mux, &u.axiom)
	web.MountKatapult(mux, &u.katapult)
	web.MountNative(mux, &u.native)
	return s
}

// routed reports whether a format's route serves the request.
func (s *service) routed(method, path string) bool {
	_, pattern := s.handler.Handler(httptest.NewRequest(method, path, nil))
	return strings.Contains(pattern, " ")
}

// me answers with the ID of the token that let the request through.
func me(w http.ResponseWriter, r *http.Request) {
	tok, ok := httpadapter.TokenFromContext(r.Context())
	if !ok {
		panic("no token in the context")
	}
	io.WriteString(w, tok.ID().String())
}

// issue makes a token as the operator.
func (s *service) issue(spec remint.Spec) remint.Grant {
	s.t.Helper()
	if spec.Owner == "" {
		spec.Owner = "acme"
	}
	g, err := s.issuer.Operator("test").Issue(s.t.Context(), spec)
	if err != nil {
		s.t.Fatal(err)
	}
	return g
}

// master is a token that may do everything, and says so in PocketPaw's words.
func (s *service) master() remint.Grant {
	s.t.Helper()
	return s.issue(remint.Spec{Name: "master", Capabilities: remint.Allow("*"), Prefix: "pk_"})
}

func (s *service) get(id remint.ID) remint.Token {
	s.t.Helper()
	tok, err := s.issuer.Operator("test").Get(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return tok
}

// works reports whether a secret is accepted now.
func (s *service) works(secret string) bool {
	s.t.Helper()
	_, err := s.issuer.Verify(s.t.Context(), secret, netip.MustParseAddr("127.0.0.1"))
	if err != nil && !errors.Is(err, remint.ErrDenied) {
		s.t.Fatal(err)
	}
	return err == nil
}

// An answer is a response that was read.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// call makes a request with a bearer token, if secret is not empty. headers are names and values.
func (s *service) call(method, path, secret, body string, headers ...string) answer {
	s.t.Helper()
	h := http.Header{}
	if secret != "" {
		h.Set("Authorization", "Bearer "+secret)
	}
	if body != "" {
		h.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if h.Del(headers[i]); headers[i+1] != "" {
			h.Set(headers[i], headers[i+1])
		}
	}
	return s.do(method, path, h, strings.NewReader(body))
}

func (s *service) do(method, path string, h http.Header, body io.Reader) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header = h
	resp, err := s.client.RoundTrip(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{s.t, resp.StatusCode, resp.Header, string(b)}
}

// want fails unless the answer has this status, and returns its JSON body.
func (a answer) want(status int) map[string]any {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d; body %s", a.status, status, a.body)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		a.t.Errorf("Cache-Control: %q, want no-store", got)
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		a.t.Errorf("Content-Type: %q", got)
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(a.body), &m); err != nil {
		a.t.Fatalf("body %q: %v", a.body, err)
	}
	return m
}

// wantBody fails unless the answer has this status and JSON body.
func (a answer) wantBody(status int, body string) {
	a.t.Helper()
	a.want(status)
	if got := strings.TrimSuffix(a.body, "\n"); got != body {
		a.t.Errorf("body %s\nwant %s", got, body)
	}
}

// wantKatapult fails unless the answer is this error of Katapult's, whole and flat.
func (a answer) wantKatapult(status int, code string) map[string]any {
	a.t.Helper()
	m := a.want(status)
	if a.header.Get("X-Api-Schema") != "json-error" {
		a.t.Errorf("X-Api-Schema: %q", a.header.Get("X-Api-Schema"))
	}
	whole, _ := m["error"].(map[string]any)
	for _, m := range []map[string]any{m, whole} {
		if m["code"] != code {
			a.t.Errorf("code %v, want %s in %s", m["code"], code, a.body)
		}
		if text, _ := m["description"].(string); text == "" {
			a.t.Errorf("no description in %s", a.body)
		}
		if _, ok := m["detail"].(map[string]any); !ok {
			a.t.Errorf("no detail in %s", a.body)
		}
	}
	detail, _ := whole["detail"].(map[string]any)
	return detail
}

// snapshot is everything that the store holds.
func (s *service) snapshot() string {
	s.t.Helper()
	var b strings.Builder
	ctx := context.Background()
	records, err := s.store.Store.Scan(ctx, remint.ID{}, 1<<20)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, r := range records {
		bytes, err := r.AppendBinary(nil)
		if err != nil {
			s.t.Fatal(err)
		}
		b.Write(bytes)
	}
	list, _, err := s.store.Store.Events(ctx, "", 1<<20)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range list {
		b.WriteString(string(e.Kind) + e.Token.String())
	}
	return b.String()
}

// An outage is a store that can be down.
type outage struct {
	remint.Store
	err     atomic.Pointer[error]
	called  atomic.Int64
	commits atomic.Int64
	before  atomic.Pointer[func()] // a commit
}

func (o *outage) fail(err error) {
	if err == nil {
		o.err.Store(nil)
		return
	}
	o.err.Store(&err)
}

func (o *outage) down() error {
	o.called.Add(1)
	if err := o.err.Load(); err != nil {
		return *err
	}
	return nil
}

func (o *outage) Load(ctx context.Context, id remint.ID) (*remint.Record, error) {
	if err := o.down(); err != nil {
		return nil, err
	}
	return o.Store.Load(ctx, id)
}

func (o *outage) Commit(ctx context.Context, b remint.Batch) error {
	if err := o.down(); err != nil {
		return err
	}
	if f := o.before.Swap(nil); f != nil {
		(*f)()
	}
	o.commits.Add(1)
	return o.Store.Commit(ctx, b)
}

// A clock can be moved.
type clock struct {
	start time.Time
	ahead atomic.Int64
}

func (c *clock) now() time.Time          { return c.start.Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

type faults struct {
	mu   sync.Mutex
	list []error
}

func (f *faults) add(_ *http.Request, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list = append(f.list, err)
}

// take returns what was reported, and forgets it.
func (f *faults) take() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.list
	f.list = nil
	return list
}

type events struct {
	mu   sync.Mutex
	list []remint.Event
}

func (e *events) observe(_ context.Context, ev remint.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
}

func (e *events) last() remint.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.list) == 0 {
		return remint.Event{}
	}
	return e.list[len(e.list)-1]
}

// otherSecret returns the text of a secret that is not the token's, and has a right checksum.
func otherSecret(text string) string {
	body := []byte(text[:len(text)-6])
	at := len(body) - 20
	body[at] ^= 1 // of a digit or letter, that is another one but for z, Z, 9 and their like
	if body[at] == '{' || body[at] == '[' || body[at] == ':' || body[at] == '`' || body[at] == '@' || body[at] == '/' {
		body[at] = 'm'
	}
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	sum := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
	var tail [6]byte
	for i := 5; i >= 0; i-- {
		tail[i] = digits[sum%62]
		sum /= 62
	}
	return string(body) + string(tail[:])
}
