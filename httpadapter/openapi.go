package httpadapter

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A Description is an OpenAPI 3.1 description of everything that one Mount method mounts:
// routes, arguments, answers, errors and headers, whatever the options. It is written by
// hand, and every exchange in this package's tests is checked against it.
//
// It is a handler, which serves the text to anybody; there is nothing secret in it:
//
//	mux.Handle("GET /openapi.yaml", httpadapter.AxiomDescription)
type Description uint8

// The descriptions, each named for the method that mounts what it describes. The zero
// Description is none, and panics when it is used.
const (
	PocketPawDescription Description = iota + 1 // of [Adapter.MountPocketPaw]
	AxiomDescription                            // of [Adapter.MountAxiom]
	KatapultDescription                         // of [Adapter.MountKatapult]
	NativeDescription                           // of [Adapter.MountNative]
)

//go:embed openapi/*.yaml
var descriptions embed.FS

// descriptionType is that of RFC 9512.
const descriptionType = "application/yaml"

// String returns the format's name, in lower case.
func (d Description) String() string {
	return [...]string{"none", "pocketpaw", "axiom", "katapult", "native"}[d]
}

// YAML returns the description's text, which is the caller's to change. Its "servers" are
// paths: a service that publishes it elsewhere puts its own address before them.
func (d Description) YAML() []byte {
	text, err := descriptions.ReadFile("openapi/" + d.String() + ".yaml")
	if err != nil {
		panic("httpadapter: there is no such Description")
	}
	return text
}

// ServeHTTP implements [http.Handler]. Clients keep the answer and ask with its ETag whether
// it has changed.
func (d Description) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	serveDescription(w, r, d.YAML())
}

func serveDescription(w http.ResponseWriter, r *http.Request, text []byte) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	sum := sha256.Sum256(text)
	h.Set("Content-Type", descriptionType)
	h.Set("ETag", `"`+hex.EncodeToString(sum[:16])+`"`)
	h.Set("Cache-Control", "no-cache") // kept, and asked for again each time
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
}

// describe mounts d where an option says so, if it does. base is where the routes are below
// what the description says; those of most formats are nowhere else.
func describe(mux Mux, option, path, base string, d Description) {
	if path == "" {
		return
	}
	if !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") || strings.ContainsAny(path, "{} ") {
		panic(fmt.Sprintf("httpadapter: %s is %q; it must be a path, such as \"/openapi.yaml\"", option, path))
	}
	text := d.YAML()
	if base != "" {
		text = bytes.Replace(text, []byte(`default: "/"`), []byte(fmt.Sprintf("default: %q", base)), 1)
	}
	mux.Handle("GET "+path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serveDescription(w, r, text)
	}))
}
