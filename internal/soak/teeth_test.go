package soak

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// What the soak would be worth nothing without: a service that is wrong now and then is found out. Each of these does
// one thing wrong, between the clients and a service that is right.

// A wrong is how a service is made wrong.
type wrong struct {
	name  string
	setup func() Setup
}

// wrapped is wrong in how it serves requests. serve does, and may change what is answered.
func wrapped(serve func(s *Service, h http.Handler, w http.ResponseWriter, r *http.Request)) func() Setup {
	return func() Setup {
		return Setup{Wrap: func(s *Service, h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(s, h, w, r) })
		}}
	}
}

// record serves a request and keeps the answer.
func record(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func replay(w http.ResponseWriter, rec *httptest.ResponseRecorder) {
	for name, values := range rec.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(rec.Code)
	w.Write(rec.Body.Bytes())
}

var loopback = netip.MustParseAddr("127.0.0.1")

var idPattern = regexp.MustCompile(`[0-7][0-9A-HJKMNP-TV-Z]{25}`)

// idsIn are the IDs in a text, the first only.
func (s *Service) idsIn(text string) (list []remint.ID) {
	if id, err := remint.ParseID(idPattern.FindString(text)); err == nil {
		list = append(list, id)
	}
	return list
}

// now and then: one time in n.
func oneIn(n int) bool { return rand.IntN(n) == 0 }

func isApp(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/app/") }

// fresh is a request that can be served once more, with another body.
func fresh(r *http.Request, body string) *http.Request {
	c := r.Clone(r.Context())
	c.Body, c.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return c
}

// wouldDo reports whether a request to end something would be served: a master's is, if the token is there.
func wouldDo(h http.Handler, r *http.Request, path string) bool {
	look := fresh(r, "")
	look.Method, look.URL.Path = "GET", path
	return strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "+masterPrefix) && record(h, look).Code == 200
}

var wrongs = []wrong{
	{"it lets in, now and then, who was let in before", func() Setup {
		var seen sync.Map // the last good answer to each secret
		return wrapped(func(_ *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
			if !isApp(r) {
				h.ServeHTTP(w, r)
				return
			}
			rec, key := record(h, r), r.Header.Get("Authorization")
			if rec.Code == 200 {
				seen.Store(key, rec)
			}
			if was, known := seen.Load(key); known && key != "" && rec.Code == 401 && oneIn(4) {
				rec = was.(*httptest.ResponseRecorder)
			}
			replay(w, rec)
		})()
	}},
	{"it caches good answers for half a second", func() Setup {
		type kept struct {
			rec   *httptest.ResponseRecorder
			until time.Time
		}
		var cache sync.Map
		return wrapped(func(_ *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
			if !isApp(r) {
				h.ServeHTTP(w, r)
				return
			}
			key := r.Header.Get("Authorization") + r.URL.Path + r.Header.Get("Cookie")
			if k, known := cache.Load(key); known && time.Now().Before(k.(kept).until) {
				replay(w, k.(kept).rec)
				return
			}
			rec := record(h, r)
			if rec.Code == 200 {
				cache.Store(key, kept{rec, time.Now().Add(time.Second / 2)})
			}
			replay(w, rec)
		})()
	}},
	{"it refuses, now and then, who should be let in", wrapped(func(_ *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
		if isApp(r) && r.Header.Get("Authorization") != "" && oneIn(20) {
			r.Header.Set("Authorization", "Bearer nobody")
		}
		h.ServeHTTP(w, r)
	})},
	{"it says of some revocations that they were made, and does nothing", wrapped(func(_ *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
		if r.Method == "DELETE" && strings.HasPrefix(r.URL.Path, "/v1/tokens/") && strings.Count(r.URL.Path, "/") == 3 && wouldDo(h, r, r.URL.Path) {
			w.WriteHeader(204)
			return
		}
		h.ServeHTTP(w, r)
	})},
	{"it forgets to end sessions", wrapped(func(_ *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
		if path, is := strings.CutSuffix(r.URL.Path, "/sessions"); is && r.Method == "DELETE" && wouldDo(h, r, path) {
			w.WriteHeader(204)
			return
		}
		h.ServeHTTP(w, r)
	})},
	{"it lets an old secret live on for a second", wrapped(func(_ *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/rotate") && strings.HasPrefix(r.URL.Path, "/v1/") && r.ContentLength <= 0 {
			r = fresh(r, `{"retire":{"after":1}}`)
			r.Header.Set("Content-Type", "application/json")
		}
		h.ServeHTTP(w, r)
	})},
	{"it takes back, now and then, a rotation that it has answered", wrapped(func(s *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
		rec := record(h, r)
		if rec.Code == 200 && strings.HasSuffix(r.URL.Path, "/rotate") && oneIn(2) {
			for _, id := range s.idsIn(rec.Body.String()) {
				s.issuer.Operator("wrong").CancelRotation(r.Context(), id)
			}
		}
		replay(w, rec)
	})},
	{"it makes two of what is asked for twice", wrapped(func(_ *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Idempotency-Key")
		h.ServeHTTP(w, r)
	})},
	{"it serves some requests twice", wrapped(func(_ *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		if r.Method == "POST" && r.URL.Path == "/v1/tokens" {
			record(h, fresh(r, string(body)))
		}
		h.ServeHTTP(w, fresh(r, string(body)))
	})},
	{"it takes one client, now and then, for another", func() Setup {
		var last atomic.Value
		return wrapped(func(_ *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
			mine := r.Header.Get("Authorization")
			if other, _ := last.Load().(string); r.Method == "GET" && mine != "" && other != "" && oneIn(10) {
				r.Header.Set("Authorization", other)
			}
			if mine != "" {
				last.Store(mine)
			}
			h.ServeHTTP(w, r)
		})()
	}},
	{"it leaves the last out of its lists", wrapped(func(_ *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
		if q := r.URL.Query(); r.URL.Path == "/v1/tokens" && q.Get("limit") == "256" {
			rec := record(h, r)
			if at := bytes.LastIndex(rec.Body.Bytes(), []byte(`,{"id"`)); rec.Code == 200 && at > 0 {
				rec.Body.Truncate(at)
				rec.Body.WriteString("]}")
			}
			replay(w, rec)
			return
		}
		h.ServeHTTP(w, r)
	})},
	{"it says why it refuses", wrapped(func(s *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
		rec := record(h, r)
		if _, err := s.issuer.Identify(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")); rec.Code == 401 && err == nil {
			rec.Body.WriteString(" ")
		}
		replay(w, rec)
	})},
	{"it fails now and then", wrapped(func(_ *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
		if oneIn(50) {
			w.WriteHeader(503)
			return
		}
		h.ServeHTTP(w, r)
	})},
	{"it drops what it should answer", wrapped(func(_ *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		if r.Header.Get(cut) == "" && oneIn(50) {
			panic(http.ErrAbortHandler)
		}
	})},
	{"its clock is late by 50 ms", func() Setup {
		return Setup{Now: func() time.Time { return time.Now().Add(-50 * time.Millisecond) }}
	}},
	{"it removes what has just ended", func() Setup { return Setup{Retention: time.Millisecond} }},
	{"it has tokens that nobody asked for", wrapped(func(s *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
		if oneIn(50) {
			s.issuer.Operator("wrong").Issue(r.Context(), remint.Spec{Owner: "client-0", Prefix: nativePrefix, Name: "stray"})
		}
		h.ServeHTTP(w, r)
	})},
	{"it loses a token now and then", wrapped(func(s *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
		rec := record(h, r)
		if rec.Code == 201 && oneIn(4) {
			for _, id := range s.idsIn(rec.Header().Get("Location")) {
				if stored, err := s.db.Load(r.Context(), id); err == nil {
					s.db.Commit(r.Context(), remint.Batch{Delete: []*remint.Record{stored}})
				}
			}
		}
		replay(w, rec)
	})},
	{"it counts no requests", wrapped(func(s *Service, h http.Handler, w http.ResponseWriter, r *http.Request) {
		rec := record(h, r)
		if rec.Code == 429 {
			rec = httptest.NewRecorder()
			tok, err := s.issuer.Verify(r.Context(), strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), loopback)
			if err == nil {
				writeWhoami(rec, tok)
			}
		}
		replay(w, rec)
	})},
}

func TestAServiceThatIsWrongNowAndThenIsFoundOut(t *testing.T) {
	for _, x := range wrongs {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			s := &Soak{Duration: time.Minute, Clients: 4, Rate: 0, Seed: rand.Uint64(), Setup: x.setup(), Enough: 1}
			err := s.Run(t.TempDir(), t.Logf)
			n, some := s.Wrong()
			if n == 0 {
				t.Fatalf("seed %d: nothing was wrong in %d requests; %v", s.Seed, s.stats.requests(), err)
			}
			t.Logf("after %d requests: %s", s.stats.requests(), some[0])
		})
	}
}
