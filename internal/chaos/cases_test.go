package chaos_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/internal/chaos"
)

// A retirement is when the old secret stops.
type retirement struct {
	name   string
	option remint.Retirement
	native string // the same, in the native routes' words
}

var (
	atOnce   = retirement{"at once", remint.Retirement{}, `"now"`}
	after    = retirement{"overlap", remint.RetireAfter(overlap), `{"after":3600}`}
	firstUse = retirement{"first use", remint.RetireAfterFirstUse(grace), `{"after_first_use":60}`}
)

// A keying is what a client says of its requests.
type keying struct {
	name string
	key  func() string
}

var (
	noKey    = keying{"no key", nil}
	shortKey = keying{"short key", func() string { return chaos.LongKey()[:8] }}
	longKey  = keying{"key", chaos.LongKey}
)

// A column is what a service and a client have chosen.
type column struct {
	retirement
	keying
}

// A short key is worth less only where the rotation retires the bearer that may repeat it.
var columns = []column{
	{atOnce, noKey}, {atOnce, shortKey}, {atOnce, longKey},
	{after, noKey}, {after, longKey},
	{firstUse, noKey}, {firstUse, longKey},
}

// promises reports whether a column is one of those that nobody is locked out by.
func (c column) promises() bool { return c.retirement.name == firstUse.name }

// A format is a rotation as one of the wire formats has it.
type format struct {
	name  string // of the table
	means string
	mount func(r retirement) func(*http.ServeMux, *httpadapter.Adapter)
	begin func(w *world, r retirement) // makes the tokens and the client
}

var formats = []format{
	{
		"PocketPaw, by the master", "`POST /api/token/regenerate`; `PocketPaw.Retire`", mountPocketPaw,
		func(w *world, _ retirement) {
			master := w.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("*")})
			w.had = append(w.had, master.Secret.Reveal())
			w.newClient(master, "", "/api/token/regenerate", "", member("token"))
		},
	},
	{
		"PocketPaw, by a session", "the same, as the browser client does it: what it gets is the master", mountPocketPaw,
		func(w *world, _ retirement) {
			master := w.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("*")})
			w.had = append(w.had, master.Secret.Reveal())
			session, err := w.issuer.Operator("test").StartSession(w.Context(), master.Token.ID(), remint.Session{Manages: true})
			w.must(err)
			w.newClient(session, "", "/api/token/regenerate", "", member("token"))
		},
	},
	{
		"Axiom, by the token itself", "`POST /v2/tokens/{id}/regenerate`; at once: `existingTokenExpiresAt` is now; first use: the same with `Axiom.RetireNow`", mountAxiom,
		func(w *world, r retirement) {
			own := w.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org")})
			w.had = append(w.had, own.Secret.Reveal())
			w.newClient(own, "", axiomPath, w.axiomBody(r), member("token"))
		},
	},
	{
		"Axiom, by another token", "the same, by a token that is not rotated; its client repeats by itself, with no key", mountAxiom,
		func(w *world, r retirement) {
			own := w.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org")})
			w.had = append(w.had, own.Secret.Reveal())
			other := w.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org")})
			w.aside = append(w.aside, other.Token.ID())
			w.newClient(own, other.Secret.Reveal(), axiomPath, w.axiomBody(r), member("token"))
		},
	},
	{
		"Katapult, by the token itself", "`POST …/regenerate_secret`; `Katapult.Retire`",
		func(r retirement) func(*http.ServeMux, *httpadapter.Adapter) {
			return func(mux *http.ServeMux, web *httpadapter.Adapter) {
				web.MountKatapult(mux, &httpadapter.Katapult{Prefix: "kat_", Retire: r.option})
			}
		},
		func(w *world, _ retirement) {
			own := w.issue(remint.Spec{Prefix: "kat_", Capabilities: remint.Allow("api_tokens")})
			w.had = append(w.had, own.Secret.Reveal())
			w.newClient(own, "", "/core/v1/api_tokens/api_token/regenerate_secret", `{"api_token":{"id":"{id}"}}`, member("api_token", "secret"))
		},
	},
	{
		"Native, in place", "`POST /tokens/self/rotate`; `retire` is `\"now\"`, `{\"after\":3600}` or `{\"after_first_use\":60}`", mountNative,
		func(w *world, r retirement) { w.beginNative(fmt.Sprintf(`{"retire":%s}`, r.native)) },
	},
	{
		"Native, to a successor", "the same with `\"successor\":true`", mountNative,
		func(w *world, r retirement) {
			w.beginNative(fmt.Sprintf(`{"retire":%s,"successor":true}`, r.native))
		},
	},
}

func mountPocketPaw(r retirement) func(*http.ServeMux, *httpadapter.Adapter) {
	return func(mux *http.ServeMux, web *httpadapter.Adapter) {
		web.MountPocketPaw(mux, &httpadapter.PocketPaw{Retire: r.option})
	}
}

func mountAxiom(r retirement) func(*http.ServeMux, *httpadapter.Adapter) {
	return func(mux *http.ServeMux, web *httpadapter.Adapter) {
		var o httpadapter.Axiom
		if r.name == firstUse.name {
			o.RetireNow = r.option
		}
		web.MountAxiom(mux, &o)
	}
}

const axiomPath = "/v2/tokens/{id}/regenerate"

func (w *world) axiomBody(r retirement) string {
	at := w.clock.Now()
	if r.name == after.name {
		at = at.Add(overlap)
	}
	return fmt.Sprintf(`{"existingTokenExpiresAt":%q}`, at.Format(time.RFC3339Nano))
}

func mountNative(retirement) func(*http.ServeMux, *httpadapter.Adapter) {
	return func(mux *http.ServeMux, web *httpadapter.Adapter) { web.MountNative(mux, nil) }
}

func (w *world) beginNative(body string) {
	own := w.issue(remint.Spec{Prefix: "nat_", Capabilities: remint.Allow("tokens")})
	w.had = append(w.had, own.Secret.Reveal())
	w.newClient(own, "", "/tokens/self/rotate", body, member("secret"))
}

// member returns a function that finds a string in an answer, and returns "" where the answer is
// not whole.
func member(path ...string) func([]byte) string {
	return func(answer []byte) string {
		var v any
		if json.Unmarshal(answer, &v) != nil {
			return ""
		}
		for _, name := range path {
			m, _ := v.(map[string]any)
			v = m[name]
		}
		s, _ := v.(string)
		return strings.TrimSpace(s)
	}
}
