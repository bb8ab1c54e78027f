package httpadapter

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestADescriptionIsMountedWhereAnOptionSaysSo(t *testing.T) {
	for _, c := range []struct{ path, base string }{{"/openapi.yaml", ""}, {"/api/v1/openapi.yaml", "/api/v1"}} {
		mux := http.NewServeMux()
		describe(mux, "Native.OpenAPI", c.path, c.base, NativeDescription)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", c.path, nil))
		want := `default: "/"`
		if c.base != "" {
			want = `default: "` + c.base + `"`
		}
		if w.Code != 200 || strings.Count(w.Body.String(), want) != 1 || w.Header().Get("Content-Type") != descriptionType {
			t.Errorf("%s: %d %s", c.path, w.Code, w.Header())
		}
		if c.base == "" && !bytes.Equal(w.Body.Bytes(), NativeDescription.YAML()) {
			t.Errorf("%s: another text", c.path)
		}
	}
	describe(nil, "Native.OpenAPI", "", "", NativeDescription) // nothing is mounted
	for _, path := range []string{"openapi.yaml", "/openapi/", "/{x}", "/a b"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q: no panic", path)
				}
			}()
			describe(http.NewServeMux(), "Native.OpenAPI", path, "", NativeDescription)
		}()
	}
}
