package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/store"
)

// middlewarePart has guarded handlers answer, in the process. What a guard costs is the difference to
// the first.
func middlewarePart(r *run) error {
	issuer, err := newIssuer(new(store.Memory), remint.Options{})
	if err != nil {
		return err
	}
	op := issuer.Operator("bench")
	g, err := op.Issue(r.ctx, remint.Spec{Owner: ownerOf(0), Capabilities: remint.Allow("reports")})
	if err != nil {
		return err
	}
	session, err := op.StartSession(r.ctx, g.Token.ID(), remint.Session{})
	if err != nil {
		return err
	}
	web := httpadapter.New(issuer, nil)
	limited := httpadapter.New(issuer, &httpadapter.Options{RateLimit: 1 << 30})
	cookies := httpadapter.New(issuer, &httpadapter.Options{Cookie: &httpadapter.Cookie{Name: "s"}})
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })
	const name = "bare handler"
	bearer := "Bearer " + g.Secret.Reveal()
	tab := &table{name: "middleware", title: "Answer one request in the process, with a guard", over: name}
	for _, x := range []struct {
		name, header, value string
		h                   http.Handler
	}{
		{name, "Authorization", bearer, bare},
		{"Authenticate", "Authorization", bearer, web.Authenticate(bare)},
		{"Require", "Authorization", bearer, web.Require("reports:read", bare)},
		{"Require, with a rate limit", "Authorization", bearer, limited.Require("reports:read", bare)},
		{"Authenticate, a session in a cookie", "Cookie", "s=" + session.Secret.Reveal(), cookies.Authenticate(bare)},
	} {
		if x.name != name {
			w := httptest.NewRecorder()
			x.h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
			if w.Code != http.StatusUnauthorized {
				return fmt.Errorf("%s: nobody is answered with %d", x.name, w.Code)
			}
		}
		req := httptest.NewRequest("GET", "/", nil)
		req.Header.Set(x.header, x.value)
		w := &discard{header: http.Header{}}
		tab.subjects = append(tab.subjects, subject{name: x.name, run: func(n int) error {
			w.written = 0
			for range n {
				x.h.ServeHTTP(w, req)
			}
			if w.written != 2*n || w.status != 0 {
				return fmt.Errorf("a request was answered with %d", w.status)
			}
			return nil
		}})
	}
	return r.measure(tab)
}

// A discard counts what is written.
type discard struct {
	header  http.Header
	status  int
	written int
}

func (d *discard) Header() http.Header { return d.header }

func (d *discard) Write(p []byte) (int, error) {
	d.written += len(p)
	return len(p), nil
}

func (d *discard) WriteString(s string) (int, error) {
	d.written += len(s)
	return len(s), nil
}

func (d *discard) WriteHeader(status int) { d.status = status }
