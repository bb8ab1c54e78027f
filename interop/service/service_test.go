// Package service_test drives the example service, as it is built and started, with the
// published clients over real TCP.
package service_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/axiomhq/axiom-go/axiom"
	"github.com/krystal/go-katapult/next/core"
)

// start builds and runs the service, and returns its address and the master token.
func start(t *testing.T) (url, master string) {
	t.Helper()
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/remint-go/remint").Output()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), "service")
	build := exec.Command("go", "build", "-o", binary, "./examples/service")
	build.Dir = strings.TrimSpace(string(root))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var stdout, stderr output
	service := exec.Command(binary, "-addr", "localhost:0", "-db", filepath.Join(t.TempDir(), "tokens.db"))
	service.Stdout, service.Stderr = &stdout, &stderr
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		service.Process.Signal(syscall.SIGTERM)
		if err := service.Wait(); err != nil {
			t.Errorf("the service: %v\n%s", err, stderr.text())
		}
	})
	for range 100 {
		at := regexp.MustCompile(`msg=listening addr=(\S+)`).FindStringSubmatch(stderr.text())
		token, ok := strings.CutPrefix(stdout.text(), "token: ")
		if at != nil && ok && strings.HasSuffix(token, "\n") {
			return "http://" + at[1], strings.TrimSpace(token)
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the service does not start: %s%s", stdout.text(), stderr.text())
	return "", ""
}

// An output is what a process has written so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// whoami is the status that the service's own handler answers a token with.
func whoami(t *testing.T, url, token string) int {
	t.Helper()
	status, _ := call(t, "GET", url+"/whoami", token, "")
	return status
}

func call(t *testing.T, method, url, token, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if len(text) > 0 && json.Unmarshal(text, &m) != nil {
		m = nil // a list
	}
	return resp.StatusCode, m
}

func TestAxiomsClientManagesTokensOfTheExampleService(t *testing.T) {
	url, master := start(t)
	ctx := t.Context()
	// The client takes no token that does not begin as Axiom's do.
	status, admin := call(t, "POST", url+"/v2/tokens", master,
		`{"name":"admin","orgCapabilities":{"apiTokens":["create","read","update","delete"],"users":["read"]}}`)
	if status != 200 {
		t.Fatalf("%d %v", status, admin)
	}
	c, err := axiom.NewClient(axiom.SetNoEnv(), axiom.SetURL(url), axiom.SetToken(admin["token"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	made, err := c.Tokens.Create(ctx, axiom.CreateTokenRequest{
		Name: "ci", OrganisationCapabilities: axiom.OrganisationCapabilities{Users: []axiom.Action{axiom.ActionRead}},
	})
	if err != nil {
		t.Fatal(err)
	}
	next, err := c.Tokens.Regenerate(ctx, made.ID, axiom.RegenerateTokenRequest{ExistingTokenExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Tokens.List(ctx)
	if err != nil || len(list) != 3 {
		t.Fatalf("%v, %v", list, err)
	}
	if whoami(t, url, made.Token) != 200 || whoami(t, url, next.Token) != 200 {
		t.Error("one of the two does not work")
	}
	if err := c.Tokens.Delete(ctx, made.ID); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Tokens.Get(ctx, next.ID); err != nil || got.Name != "ci" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := c.Tokens.Get(ctx, made.ID); !errors.Is(err, axiom.ErrNotFound) {
		t.Errorf("what was deleted: %v", err)
	}
	if whoami(t, url, made.Token) != 401 {
		t.Error("what was deleted works")
	}
}

func TestKatapultsClientManagesTokensOfTheExampleService(t *testing.T) {
	url, master := start(t)
	ctx := t.Context()
	c, err := core.NewClientWithResponses(url+"/core/v1", master)
	if err != nil {
		t.Fatal(err)
	}
	made, err := c.PostOrganizationApiTokensWithResponse(ctx, core.PostOrganizationApiTokensJSONRequestBody{
		Organization: core.OrganizationLookup{Id: new("default")},
		Properties:   core.APITokenArguments{Name: new("deploy"), Scopes: &[]string{}},
	})
	if err != nil || made.JSON200 == nil {
		t.Fatalf("%v %s", err, made.Body)
	}
	id := core.APITokenLookup{Id: made.JSON200.ApiToken.Id}
	patched, err := c.PatchApiTokenWithResponse(ctx, core.PatchApiTokenJSONRequestBody{ApiToken: id, Properties: core.APITokenArguments{Name: new("deploys")}})
	if err != nil || patched.JSON200 == nil || *patched.JSON200.ApiToken.Name != "deploys" {
		t.Fatalf("%v %s", err, patched.Body)
	}
	fresh, err := c.PostApiTokenRegenerateSecretWithResponse(ctx, core.PostApiTokenRegenerateSecretJSONRequestBody{ApiToken: id})
	if err != nil || fresh.JSON200 == nil {
		t.Fatalf("%v %s", err, fresh.Body)
	}
	old, now := made.JSON200.ApiToken.Secret.MustGet(), fresh.JSON200.ApiToken.Secret.MustGet()
	if whoami(t, url, old) != 401 || whoami(t, url, now) != 200 {
		t.Error("the old secret works, or the new one does not")
	}
	list, err := c.GetOrganizationApiTokensWithResponse(ctx, &core.GetOrganizationApiTokensParams{OrganizationId: new("default")})
	if err != nil || list.JSON200 == nil || len(list.JSON200.ApiTokens) != 1 {
		t.Fatalf("%v %s", err, list.Body)
	}
	gone, err := c.DeleteApiTokenWithResponse(ctx, core.DeleteApiTokenJSONRequestBody{ApiToken: id})
	if err != nil || gone.JSON200 == nil {
		t.Fatalf("%v %s", err, gone.Body)
	}
	if _, err := c.DeleteApiTokenWithResponse(ctx, core.DeleteApiTokenJSONRequestBody{ApiToken: id}); !errors.Is(err, core.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestPocketPawsAndTheNativeRoutesOfTheExampleService(t *testing.T) {
	url, master := start(t)
	want := func(status int, method, path, token, body string) map[string]any {
		t.Helper()
		got, m := call(t, method, url+path, token, body)
		if got != status {
			t.Fatalf("%s %s: %d %v", method, path, got, m)
		}
		return m
	}
	key := want(200, "POST", "/api/v1/auth/api-keys", master, `{"name":"bot"}`)
	want(200, "GET", "/api/v1/auth/api-keys", master, "")
	want(403, "GET", "/api/v1/auth/api-keys", key["key"].(string), "")
	want(200, "DELETE", "/api/v1/auth/api-keys/"+key["id"].(string), master, "")
	want(404, "DELETE", "/api/v1/auth/api-keys/"+key["id"].(string), master, "")

	made := want(201, "POST", "/v1/tokens", master, `{"name":"reader","capabilities":["reports:read"]}`)
	id := made["id"].(string)
	want(200, "PATCH", "/v1/tokens/"+id, master, `{"description":"nightly"}`)
	want(422, "PATCH", "/v1/tokens/"+id, master, `{"nmae":"x"}`)
	fresh := want(200, "POST", "/v1/tokens/self/rotate", made["secret"].(string), `{"retire":{"after_first_use":0}}`)
	if state := want(200, "GET", "/v1/tokens/"+id+"/rotation", master, "")["state"]; state != "unconfirmed" {
		t.Errorf("state %v", state)
	}
	want(200, "GET", "/v1/tokens/self", fresh["secret"].(string), "")
	want(401, "GET", "/v1/tokens/self", made["secret"].(string), "")
	want(200, "GET", "/v1/tokens", master, "")
	want(204, "DELETE", "/v1/tokens/"+id, master, "")

	session := want(200, "POST", "/api/auth/session", master, "")["session_token"].(string)
	next := want(200, "POST", "/api/token/regenerate", session, "")["token"].(string)
	want(401, "POST", "/api/token/regenerate", session, "")
	want(200, "GET", "/whoami", next, "")
}
