package httpadapter_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/remint-go/remint"
)

// axiomAnswer sends a body to a route, without a server, and returns the answer if it is
// well-formed: a token with a secret that works, or an error of the format that changed nothing.
func (s *service) axiomAnswer(path, secret, body string) (status int, m map[string]any) {
	s.t.Helper()
	before := s.snapshot()
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+secret)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil || w.Header().Get("Content-Type") != "application/json" {
		s.t.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	if f := s.faults.take(); f != nil {
		s.t.Errorf("reported %v", f)
	}
	if strings.Contains(w.Body.String(), secret[len(secret)-49:]) && !strings.Contains(body, secret[len(secret)-49:]) {
		s.t.Errorf("the credential is in %s", w.Body)
	}
	switch w.Code {
	case http.StatusOK:
		if text, _ := m["token"].(string); !s.works(text) {
			s.t.Errorf("token %v", m)
		}
	case http.StatusBadRequest, http.StatusForbidden:
		if text, _ := m["message"].(string); text == "" || len(text) > 8<<10 || m["code"] != float64(w.Code) || len(m) != 2 {
			s.t.Errorf("error %v", m)
		}
		if s.snapshot() != before {
			s.t.Error("a refused request changed something")
		}
	default:
		s.t.Errorf("%d %v", w.Code, m)
	}
	return w.Code, m
}

func FuzzAxiomCreate(f *testing.F) {
	f.Add(everything)
	f.Add(`{"name":"","description":"","expiresAt":"0001-01-01T00:00:00Z","datasetCapabilities":null,` + onlyUsers + `}`)
	f.Add(`{"expiresAt":"2099-01-02T03:04:05.999999999+05:30",` + onlyUsers + `}`)
	f.Add(`{"datasetCapabilities":{"a%b:*":{"query":["read"]}},"viewCapabilities":{"*":{"share":["read","read"]}}}`)
	f.Add(`{"orgCapabilities":{"x":["read"],"users":["write",1]},"orgCapabilities":{}}`)
	f.Add(`[{}`)
	f.Fuzz(func(t *testing.T, body string) {
		s := newService(t)
		// Not quite everything, so that a body may ask for too much.
		caller := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org", "dataset", "view:v1")}).Secret.Reveal()
		status, m := s.axiomAnswer("/v2/tokens", caller, body)
		list, _ := s.listWithoutServer(caller)
		if status != http.StatusOK {
			if len(list) != 1 {
				t.Errorf("listed: %v", list)
			}
			return
		}
		delete(m, "token")
		if len(list) != 2 || !sameJSON(list[0], m) && !sameJSON(list[1], m) {
			t.Errorf("created: %v, listed: %v", m, list)
		}
	})
}

func FuzzAxiomRegenerate(f *testing.F) {
	f.Add(`{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`)
	f.Add(`{"existingTokenExpiresAt":"2001-01-01T00:00:00.000000001-23:59","newTokenExpiresAt":null,"newToken":null}`)
	f.Add(`{"existingTokenExpiresAt":"9999-12-31T23:59:59.999999999-23:59","newTokenExpiresAt":"2098-01-01T00:00:00Z"}`)
	f.Add(`{"existingTokenExpiresAt":"2099-01-01T00:00:00Z","newToken":` + everything + `,"newTokenExpiresAt":"0001-01-01T00:00:00Z"}`)
	f.Add(`{"existingTokenExpiresAt":"2099-01-01T00:00:00Z","newToken":{` + onlyUsers + `}}`)
	f.Add(`{"existingTokenExpiresAt":1,"newToken":[]}`)
	f.Fuzz(func(t *testing.T, body string) {
		s := newService(t)
		caller := s.issue(remint.Spec{Prefix: "pk_", Capabilities: remint.Allow("org", "dataset", "view:v1")}).Secret.Reveal()
		end := s.clock.now().Add(time.Hour).UTC().Truncate(time.Microsecond)
		old := s.issue(remint.Spec{Prefix: "xaat-", Capabilities: remint.Allow("org:users:read"), ExpiresAt: end})
		status, m := s.axiomAnswer("/v2/tokens/"+old.Token.ID().String()+"/regenerate", caller, body)
		if status != http.StatusOK {
			return
		}
		// The successor is another token; the old one lives no longer than it would have.
		if m["id"] == old.Token.ID().String() || m["expiresAt"] == nil {
			t.Errorf("successor %v", m)
		}
		if at := s.get(old.Token.ID()).ExpiresAt(); at.IsZero() || at.After(end) {
			t.Errorf("the old token stops at %v, and would have at %v", at, end)
		}
	})
}

// listWithoutServer is axiomList by way of the handler.
func (s *service) listWithoutServer(secret string) (list []map[string]any, status int) {
	s.t.Helper()
	r := httptest.NewRequest("GET", "/v2/tokens", nil)
	r.Header.Set("Authorization", "Bearer "+secret)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil {
		s.t.Fatalf("%d %q: %v", w.Code, w.Body, err)
	}
	return list, w.Code
}

func sameJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}
