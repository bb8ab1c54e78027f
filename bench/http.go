package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/store"
)

const connections = 64

// A format is one of the documented wire formats, and how a token is regenerated in it.
type format struct {
	name string
	// request is what a caller posts next.
	request func(s *service, caller *caller) (path, body string, err error)
}

// A caller is who uses one connection.
type caller struct {
	secret string      // of its own token
	id     remint.ID   // of a token that it regenerates
	ready  []remint.ID // and of some that have not been regenerated yet
}

var formats = []format{
	{"PocketPaw", func(*service, *caller) (string, string, error) { return "/api/token/regenerate", "", nil }},
	{"Axiom", func(s *service, c *caller) (string, string, error) {
		// A regenerated token has a successor: each is regenerated once.
		if len(c.ready) == 0 {
			return "", "", fmt.Errorf("no token is left")
		}
		id := c.ready[0]
		if !s.bare {
			c.ready = c.ready[1:]
		}
		return "/v2/tokens/" + id.String() + "/regenerate", `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`, nil
	}},
	{"Katapult", func(_ *service, c *caller) (string, string, error) {
		return "/core/v1/api_tokens/api_token/regenerate_secret", `{"api_token":{"id":"` + c.id.String() + `"}}`, nil
	}},
}

// A service is an adapter on loopback, and its clients.
type service struct {
	ctx     context.Context
	format  format
	bare    bool
	issuer  *remint.Issuer
	server  *httptest.Server
	client  *http.Client
	callers [connections]*caller
}

// httpPart regenerates over loopback, beside a handler that does nothing for its answer.
func httpPart(r *run) error {
	for _, f := range formats {
		err := func() error {
			db, closeFile, err := r.bolt("http-" + f.name + ".db")
			if err != nil {
				return err
			}
			defer closeFile()
			const yardH = "H: a bare handler"
			tab := &table{
				name: "http/" + f.name, title: fmt.Sprintf("Regenerate over HTTP in the format of %s, %d connections", f.name, connections),
				against: []string{yardH}, rates: true,
				notes: []string{"Server and clients are in one process."},
			}
			for _, x := range []struct {
				name  string
				store remint.Store
				bare  bool
			}{{yardH, new(store.Memory), true}, {"remint, memory", new(store.Memory), false}, {"remint, bbolt", db, false}} {
				s, err := newService(r.ctx, x.store, f, x.bare)
				if err != nil {
					return err
				}
				defer s.server.Close()
				tab.subjects = append(tab.subjects, subject{name: x.name, run: s.run, least: connections, before: s.before})
			}
			return r.measure(tab)
		}()
		if err != nil {
			return err
		}
	}
	return nil
}

func newService(ctx context.Context, db remint.Store, f format, bare bool) (*service, error) {
	issuer, err := newIssuer(db, remint.Options{Prefixes: []string{prefix, "xaat-", "kat_", "pp_"}})
	if err != nil {
		return nil, err
	}
	s := &service{ctx: ctx, format: f, bare: bare, issuer: issuer}
	for i := range s.callers {
		g, err := s.issue(prefix)
		if err != nil {
			return nil, err
		}
		kat, err := s.issue("kat_")
		if err != nil {
			return nil, err
		}
		s.callers[i] = &caller{secret: g.Secret.Reveal(), id: kat.Token.ID()}
	}
	web, mux := httpadapter.New(issuer, nil), http.NewServeMux()
	web.MountPocketPaw(mux, nil)
	web.MountAxiom(mux, nil)
	web.MountKatapult(mux, &httpadapter.Katapult{Prefix: "kat_"})
	var handler http.Handler = mux
	if bare {
		if handler, err = s.record(mux); err != nil {
			return nil, err
		}
	}
	s.server = httptest.NewServer(handler)
	s.client = &http.Client{Transport: &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}}
	return s, nil
}

func (s *service) issue(prefix string) (remint.Grant, error) {
	return s.issuer.Operator("bench").Issue(s.ctx, remint.Spec{Name: "ci", Owner: "acme", Prefix: prefix, Capabilities: remint.Allow("*")})
}

// before issues what n requests use up.
func (s *service) before(n int) error {
	if s.format.name != "Axiom" {
		return nil
	}
	for _, c := range s.callers {
		for want := n/connections + 1; len(c.ready) < want; {
			g, err := s.issue("xaat-")
			if err != nil {
				return err
			}
			c.ready = append(c.ready, g.Token.ID())
			if s.bare {
				break
			}
		}
	}
	return nil
}

func (s *service) run(n int) error {
	return parallel(connections, n, func(worker, _ int) error {
		c := s.callers[worker]
		path, body, err := s.format.request(s, c)
		if err != nil {
			return err
		}
		answer, err := s.post(path, c.secret, body)
		if err == nil && body == "" && !s.bare { // it is the caller's own secret
			c.secret = field(answer, "token")
		}
		return err
	})
}

func newPost(url, secret, body string) (*http.Request, error) {
	req, err := http.NewRequest("POST", url, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+secret)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return req, nil
}

func (s *service) post(path, secret, body string) ([]byte, error) {
	req, err := newPost(s.server.URL+path, secret, body)
	if err != nil {
		return nil, err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %d %s", path, resp.StatusCode, answer)
	}
	return answer, err
}

// record regenerates once, and returns a handler that answers as that was answered.
func (s *service) record(mux http.Handler) (http.Handler, error) {
	g, err := s.issue("xaat-")
	if err != nil {
		return nil, err
	}
	kat, err := s.issue("kat_")
	if err != nil {
		return nil, err
	}
	who, err := s.issue(prefix)
	if err != nil {
		return nil, err
	}
	path, body, err := s.format.request(s, &caller{id: kat.Token.ID(), ready: []remint.ID{g.Token.ID()}})
	if err != nil {
		return nil, err
	}
	req, err := newPost(path, who.Secret.Reveal(), body)
	if err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		return nil, fmt.Errorf("%s: %d %s", path, w.Code, w.Body)
	}
	answer, header := w.Body.Bytes(), w.Header()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		for name, values := range header {
			w.Header()[name] = values
		}
		w.Write(answer)
	}), nil
}

// field returns a string of a JSON object, without parsing the rest.
func field(object []byte, name string) string {
	_, rest, _ := bytes.Cut(object, []byte(`"`+name+`":"`))
	value, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(value)
}
