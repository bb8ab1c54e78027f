package chaos

import (
	"net/http"
	"regexp"
	"slices"
	"sync"
)

// A Tap remembers every secret that a service has written, whoever received it.
type Tap struct {
	pattern *regexp.Regexp

	mu      sync.Mutex
	secrets []string
}

// NewTap returns a Tap for tokens that match pattern: [remint.Issuer.Pattern].
func NewTap(pattern string) *Tap { return &Tap{pattern: regexp.MustCompile(pattern)} }

// Handler listens to what h writes. A secret that h writes in two pieces is missed: no
// handler of package httpadapter does.
func (t *Tap) Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(&tapped{w, t}, r)
	})
}

// Secrets returns them in the order in which they were first written.
func (t *Tap) Secrets() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.secrets)
}

type tapped struct {
	http.ResponseWriter
	tap *Tap
}

func (w *tapped) Write(b []byte) (int, error) {
	w.tap.mu.Lock()
	for _, s := range w.tap.pattern.FindAll(b, -1) {
		if !slices.Contains(w.tap.secrets, string(s)) {
			w.tap.secrets = append(w.tap.secrets, string(s))
		}
	}
	w.tap.mu.Unlock()
	return w.ResponseWriter.Write(b)
}

func (w *tapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }
