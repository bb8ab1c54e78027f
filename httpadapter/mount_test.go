package httpadapter_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/httpadapter"
	"github.com/remint-go/remint/store"
)

func TestRoutesCanBeMountedBesideACatchAll(t *testing.T) {
	issuer, err := remint.New(new(store.Memory), &remint.Options{Prefixes: []string{"pk_", "xaat-", "pp_"}})
	if err != nil {
		t.Fatal(err)
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page") })
	for _, pattern := range []string{"/", "GET /", "GET /{path...}", "GET /core/v1/", "/core/v1/{rest...}", "GET /v2/{x}/"} {
		t.Run(pattern, func(t *testing.T) {
			mux := http.NewServeMux()
			mux.Handle(pattern, page)
			web := httpadapter.New(issuer, nil)
			web.MountPocketPaw(recording(t, mux), nil)
			web.MountAxiom(recording(t, mux), nil)
			web.MountKatapult(recording(t, mux), nil)
			web.MountNative(recording(t, mux), nil)
			for _, r := range mountedRoutes(remint.ID{1}) {
				w := httptest.NewRecorder()
				mux.ServeHTTP(w, httptest.NewRequest(r.method, r.path, nil))
				if w.Code != 401 && w.Code != 400 || w.Body.String() == "page" {
					t.Errorf("%s %s: %d %s", r.method, r.path, w.Code, w.Body)
				}
				w = httptest.NewRecorder()
				mux.ServeHTTP(w, httptest.NewRequest("PUT", r.path, nil))
				if w.Code != 405 && w.Code != 404 || !strings.HasSuffix(w.Header().Get("Content-Type"), "json") {
					t.Errorf("PUT %s: %d %s", r.path, w.Code, w.Body)
				}
			}
		})
	}
}

func TestEachFormatHasThePrefixOfItsOptionsOrADefault(t *testing.T) {
	for _, c := range []struct {
		name                         string
		prefixes                     []string
		pocketPaw, axiom, katapult   string // options
		master, axiomMade, katapults string // what tokens begin with
	}{
		{"defaults", []string{"acme_", "xaat-", "kat_"}, "", "", "", "acme_", "xaat-", "acme_"},
		{"an issuer without options", nil, "", "rmt_", "", "rmt_", "rmt_", "rmt_"},
		{"all of them said", []string{"a_", "b_", "c_", "d_"}, "b_", "c_", "d_", "b_", "c_", "d_"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, func(u *setup) {
				u.issuer.Prefixes = c.prefixes
				u.pocketPaw.WithoutAPIKeys = true
				u.pocketPaw.Prefix, u.axiom.Prefix, u.katapult.Prefix = c.pocketPaw, c.axiom, c.katapult
			})
			master := s.issue(remint.Spec{Capabilities: remint.Allow("*"), Prefix: c.master}).Secret.Reveal()
			fresh, _ := s.call("POST", regenerate, master, "").want(200)["token"].(string)
			_, axiom := s.axiomToken(fresh, `{`+onlyUsers+`}`)
			m, _ := s.call("POST", katapultCreate, fresh, `{"organization":{"id":"acme"},"properties":{}}`).want(200)["api_token"].(map[string]any)
			katapult, _ := m["secret"].(string)
			for secret, want := range map[string]string{fresh: c.master, axiom: c.axiomMade, katapult: c.katapults} {
				if !strings.HasPrefix(secret, want) {
					t.Errorf("%.8s, want %s", secret, want)
				}
			}
		})
	}
}
