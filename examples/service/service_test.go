package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/remint-go/remint"
	storebolt "github.com/remint-go/remint/store_bolt"
)

// binary is the service, built once for all tests.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "service")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "service")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// A child is the service in a process of its own.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string
	out    string // the file that is its standard output: it has a line once the next one is logged
	stderr bytes.Buffer
	logged chan struct{} // closed when standard error is
	ended  bool
}

var listening = regexp.MustCompile(`msg=listening addr=(\S+)`)

// startChild starts the service on a free port, and waits until it listens.
func startChild(t *testing.T, args ...string) *child {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, cmd: exec.Command(path, append([]string{"-addr", "127.0.0.1:0"}, args...)...), logged: make(chan struct{})}
	out, err := os.CreateTemp(t.TempDir(), "stdout")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	c.cmd.Stdout, c.out = out, out.Name()
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !c.ended {
			c.cmd.Process.Kill()
			c.cmd.Wait()
		}
	})
	up := make(chan string, 1)
	go func() {
		defer close(c.logged)
		lines := bufio.NewScanner(stderr)
		for lines.Scan() {
			c.stderr.WriteString(lines.Text() + "\n")
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				up <- m[1]
			}
		}
	}()
	select {
	case addr := <-up:
		c.url = "http://" + addr
	case <-c.logged:
		t.Fatalf("the service did not start: %v, %s", c.cmd.Wait(), &c.stderr)
	}
	return c
}

// stdout is what the service has written on standard output.
func (c *child) stdout() string {
	c.t.Helper()
	b, err := os.ReadFile(c.out)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b)
}

// stop sends the signal and returns what the service wrote on standard output.
func (c *child) stop(sig os.Signal) string {
	c.t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		c.t.Fatal(err)
	}
	<-c.logged
	err := c.cmd.Wait()
	c.ended = true
	if err != nil {
		c.t.Errorf("after %v: %v\n%s", sig, err, &c.stderr)
	}
	return c.stdout()
}

// once runs the service for one task.
func once(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if ok {
		code = exit.ExitCode()
	}
	return out.String(), log.String(), code
}

var printed = regexp.MustCompile(`^token: (pk_[0-9A-Za-z]{75})\n$`)

// token returns the token in what was printed, which must be all of it.
func token(t *testing.T, stdout string) string {
	t.Helper()
	m := printed.FindStringSubmatch(stdout)
	if m == nil {
		t.Fatalf("standard output is %q", stdout)
	}
	return m[1]
}

// call makes a request as curl would, and returns the status and the JSON body.
func (c *child) call(method, path, secret, body string) (int, map[string]any) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if secret != "" {
		req.Header.Set("Authorization", "Bearer "+secret)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	var m map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		c.t.Fatalf("%s %s: %d: %v", method, path, resp.StatusCode, err)
	}
	return resp.StatusCode, m
}

// whoami fails unless the service answers so to the secret.
func (c *child) whoami(secret string, want int) map[string]any {
	c.t.Helper()
	status, m := c.call("GET", "/whoami", secret, "")
	if status != want {
		c.t.Errorf("GET /whoami: %d, want %d", status, want)
	}
	return m
}

func TestABrowserLogsInAndOut(t *testing.T) {
	c := startChild(t, "-db", filepath.Join(t.TempDir(), "remint.db"))
	fetch := func(method, path, cookie, body string) *http.Response {
		t.Helper()
		req, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Content-Type": {"application/json"}, "Cookie": {cookie}, "Sec-Fetch-Site": {"same-origin"}}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp
	}
	resp := fetch("POST", "/api/auth/login", "", fmt.Sprintf(`{"token":%q}`, token(t, c.stdout())))
	if resp.StatusCode != 200 || len(resp.Cookies()) != 1 {
		t.Fatalf("login: %d, %v", resp.StatusCode, resp.Cookies())
	}
	cookie := resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value
	for _, x := range []struct {
		method, path string
		want         int
	}{{"GET", "/whoami", 200}, {"POST", "/api/auth/logout", 200}, {"GET", "/whoami", 401}} {
		if resp := fetch(x.method, x.path, cookie, ""); resp.StatusCode != x.want {
			t.Errorf("%s: %d, want %d", x.path, resp.StatusCode, x.want)
		}
	}
}

func TestANewDatabaseGetsAMasterAndEveryDocumentedRouteRotatesARealToken(t *testing.T) {
	db := filepath.Join(t.TempDir(), "remint.db")
	c := startChild(t, "-db", db)
	// The line is there before the service listens: it was printed before "listening" was logged.
	master := token(t, c.stdout())
	if m := c.whoami(master, 200); m["owner"] != "default" || m["name"] != "master" || fmt.Sprint(m["capabilities"]) != "[*]" {
		t.Errorf("GET /whoami: %v", m)
	}
	c.whoami("", 401)

	// PocketPaw
	status, m := c.call("POST", "/api/auth/session", master, "")
	session, _ := m["session_token"].(string)
	if status != 200 {
		t.Fatalf("%d %v", status, m)
	}
	c.whoami(session, 200)
	old := master
	status, m = c.call("POST", "/api/token/regenerate", master, "")
	master, _ = m["token"].(string)
	if status != 200 || !strings.HasPrefix(master, "pk_") {
		t.Fatalf("%d %v", status, m)
	}
	c.whoami(master, 200)
	c.whoami(old, 401)
	c.whoami(session, 401)
	status, m = c.call("POST", "/api/v1/auth/api-keys", master, `{"name":"ci"}`)
	key, _ := m["key"].(string)
	if status != 200 || !strings.HasPrefix(key, "pp_") {
		t.Fatalf("%d %v", status, m)
	}
	c.whoami(key, 200)
	status, m = c.call("POST", fmt.Sprintf("/api/v1/auth/api-keys/%v/rotate", m["id"]), master, "")
	if fresh, _ := m["key"].(string); status != 200 || fresh == "" {
		t.Fatalf("%d %v", status, m)
	} else {
		c.whoami(fresh, 200)
	}
	c.whoami(key, 401)

	// Axiom
	status, m = c.call("POST", "/v2/tokens", master, `{"name":"ci","datasetCapabilities":{"logs":{"ingest":["create"]}}}`)
	first, _ := m["token"].(string)
	if status != 200 || !strings.HasPrefix(first, "xaat-") {
		t.Fatalf("%d %v", status, m)
	}
	status, m = c.call("POST", fmt.Sprintf("/v2/tokens/%v/regenerate", m["id"]), master, `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`)
	second, _ := m["token"].(string)
	if status != 200 || !strings.HasPrefix(second, "xaat-") {
		t.Fatalf("%d %v", status, m)
	}
	c.whoami(second, 200)
	c.whoami(first, 200)

	// Katapult
	status, m = c.call("POST", "/core/v1/organizations/organization/api_tokens", master,
		`{"organization":{"id":"default"},"properties":{"name":"ci","scopes":["api_tokens"]}}`)
	made, _ := m["api_token"].(map[string]any)
	kat, _ := made["secret"].(string)
	if status != 200 || !strings.HasPrefix(kat, "kat_") {
		t.Fatalf("%d %v", status, m)
	}
	status, m = c.call("POST", fmt.Sprintf("/core/v1/api_tokens/%v/regenerate_secret", made["id"]), kat, "")
	made, _ = m["api_token"].(map[string]any)
	fresh, _ := made["secret"].(string)
	if status != 200 || !strings.HasPrefix(fresh, "kat_") {
		t.Fatalf("%d %v", status, m)
	}
	c.whoami(fresh, 200)
	c.whoami(kat, 401)

	stdout := c.stop(syscall.SIGTERM)
	if token(t, stdout) != old {
		t.Error("more was printed than the first master")
	}
	for _, secret := range []string{old, master, session, first, second, kat, fresh} {
		if strings.Contains(c.stderr.String(), secret[len(secret)-49:]) {
			t.Error("a secret was logged")
		}
	}
	if info, err := os.Stat(db); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}

	// Nothing is lost, and nothing is shown again.
	c = startChild(t, "-db", db)
	for _, secret := range []string{master, first, second, fresh} {
		c.whoami(secret, 200)
	}
	c.whoami(old, 401)
	if stdout := c.stop(syscall.SIGINT); stdout != "" {
		t.Errorf("printed %q with an existing database", stdout)
	}
}

func TestResetMasterPrintsANewMasterAndExits(t *testing.T) {
	db := filepath.Join(t.TempDir(), "remint.db")
	c := startChild(t, "-db", db)
	old := token(t, c.stdout())
	status, m := c.call("POST", "/api/auth/session", old, "")
	session, _ := m["session_token"].(string)
	if status != 200 {
		t.Fatalf("%d %v", status, m)
	}
	id := c.whoami(old, 200)["id"]

	stdout, stderr, code := once(t, "-db", db, "-reset-master")
	if code != 1 || stdout != "" || !strings.Contains(stderr, db) {
		t.Errorf("beside a running service: %d, %q, %q", code, stdout, stderr)
	}
	c.whoami(old, 200)
	c.stop(syscall.SIGTERM)

	stdout, stderr, code = once(t, "-db", db, "-reset-master")
	if code != 0 {
		t.Fatalf("%d, %q", code, stderr)
	}
	fresh := token(t, stdout)
	if strings.Contains(stderr, fresh[len(fresh)-49:]) {
		t.Error("a secret was logged")
	}
	c = startChild(t, "-db", db)
	if got := c.whoami(fresh, 200)["id"]; got != id {
		t.Errorf("the master was %v, and is %v", id, got)
	}
	c.whoami(old, 401)
	c.whoami(session, 401)
	c.stop(syscall.SIGTERM)
}

func TestResettingAMasterThatHasASuccessorStopsBoth(t *testing.T) {
	db := filepath.Join(t.TempDir(), "remint.db")
	c := startChild(t, "-db", db)
	old := token(t, c.stdout())
	status, m := c.call("POST", fmt.Sprintf("/v2/tokens/%v/regenerate", c.whoami(old, 200)["id"]), old, `{"existingTokenExpiresAt":"2099-01-01T00:00:00Z"}`)
	next, _ := m["token"].(string)
	if status != 200 {
		t.Fatalf("%d %v", status, m)
	}
	id := c.whoami(next, 200)["id"]
	c.stop(syscall.SIGTERM)
	stdout, stderr, code := once(t, "-db", db, "-reset-master")
	if code != 0 {
		t.Fatalf("%d, %q", code, stderr)
	}
	c = startChild(t, "-db", db)
	if got := c.whoami(token(t, stdout), 200)["id"]; got != id {
		t.Errorf("reset %v, want %v", got, id)
	}
	c.whoami(next, 401)
	c.whoami(old, 401)
}

func TestResetMasterIsTheWayBackInWithoutAMaster(t *testing.T) {
	db := filepath.Join(t.TempDir(), "remint.db")
	c := startChild(t, "-db", db)
	old := token(t, c.stdout())
	// A successor that is called like a master, and can do less.
	status, m := c.call("POST", fmt.Sprintf("/v2/tokens/%v/regenerate", c.whoami(old, 200)["id"]), old,
		`{"existingTokenExpiresAt":"2020-01-01T00:00:00Z","newToken":{"name":"master","orgCapabilities":{"users":["read"]}}}`)
	if status != 200 {
		t.Fatalf("%d %v", status, m)
	}
	c.stop(syscall.SIGTERM)
	stdout, stderr, code := once(t, "-db", db, "-reset-master")
	if code != 0 {
		t.Fatalf("%d, %q", code, stderr)
	}
	c = startChild(t, "-db", db)
	if got := fmt.Sprint(c.whoami(token(t, stdout), 200)["capabilities"]); got != "[*]" {
		t.Errorf("the new master may do %s", got)
	}
	c.whoami(old, 401)
}

func TestWhatCannotStartSaysWhyAndPrintsNothing(t *testing.T) {
	dir := t.TempDir()
	db := filepath.Join(dir, "remint.db")
	c := startChild(t, "-db", db)
	addr := strings.TrimPrefix(c.url, "http://")

	masterless := filepath.Join(dir, "masterless.db")
	s, err := storebolt.Open(masterless, nil)
	if err != nil {
		t.Fatal(err)
	}
	issuer, err := remint.New(s, &remint.Options{Prefixes: []string{"pk_", "xaat-", "kat_"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range []remint.Spec{{Owner: "default", Name: "ci"}, {Owner: "default", Name: "master", Prefix: "kat_"}, {Owner: "other", Name: "master"}} {
		if _, err := issuer.Operator("test").Issue(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	for _, x := range []struct {
		name string
		args []string
		want string
	}{
		{"the same database", []string{"-db", db, "-addr", "127.0.0.1:0"}, db},
		{"the same port", []string{"-db", filepath.Join(dir, "new.db"), "-addr", addr}, "address already in use"},
		{"no such folder", []string{"-db", filepath.Join(dir, "none", "x.db"), "-addr", "127.0.0.1:0"}, "none"},
		{"no such address", []string{"-db", filepath.Join(dir, "new.db"), "-addr", "nonsense"}, "nonsense"},
		{"an unknown flag", []string{"-frobnicate"}, "frobnicate"},
		{"an argument", []string{"start"}, `"start"`},
		{"a reset of no database", []string{"-reset-master", "-db", filepath.Join(dir, "absent.db")}, "there is no database"},
	} {
		t.Run(x.name, func(t *testing.T) {
			stdout, stderr, code := once(t, x.args...)
			if code != 1 || stdout != "" || !strings.Contains(stderr, x.want) {
				t.Errorf("%d, %q, %q", code, stdout, stderr)
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "absent.db")); err == nil {
		t.Error("a reset made a database")
	}

	// After a start that failed for its port, nothing was issued: the next one prints it.
	c2 := startChild(t, "-db", filepath.Join(dir, "new.db"))
	token(t, c2.stop(syscall.SIGTERM))
	// A database with tokens, and no master, does not get one.
	c3 := startChild(t, "-db", masterless)
	if stdout := c3.stop(syscall.SIGTERM); stdout != "" {
		t.Errorf("printed %q", stdout)
	}
	// Nor did a database that was held by another lose its service.
	c.whoami(token(t, c.stdout()), 200)
}

func TestHelpIsNoError(t *testing.T) {
	stdout, stderr, code := once(t, "-h")
	if code != 0 || stdout != "" || !strings.Contains(stderr, "-reset-master") {
		t.Errorf("%d, %q, %q", code, stdout, stderr)
	}
}

func TestAMasterThatCannotBePrintedIsAnError(t *testing.T) {
	db := filepath.Join(t.TempDir(), "remint.db")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := run(ctx, []string{"-addr", "127.0.0.1:0", "-db", db}, full{}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "-reset-master") {
		t.Errorf("got %v", err)
	}
	var out bytes.Buffer
	if err := run(ctx, []string{"-reset-master", "-db", db}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	token(t, out.String())
}

// full is a standard output that is closed, or a disk that is full.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, syscall.ENOSPC }
