package pocketpaw_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A browser is PocketPaw's dashboard in one window, as far as tokens go. The published
// client is JavaScript (src/pocketpaw/frontend/js/app.js), and this is what it does:
//
//   - Its fetch puts the token of localStorage into Authorization, whatever the request;
//     the browser adds the cookie, and says that the page is of the same origin.
//   - On any 401 or 403, even a late one, it drops the token and shows the login form.
//   - What it posts has no body, but for the login.
type browser struct {
	testing.TB
	url     string
	token   string // in localStorage
	cookie  string // in the jar, where scripts cannot read it
	isOut   bool   // the login form is shown
	refused int    // the last status that was none of success
}

// fetch makes a request as the page's scripts do, and returns the status and the JSON.
func (b *browser) fetch(method, path, body string) (status int, answer map[string]any) {
	b.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(b.Context(), method, b.url+path, reader)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	if method != http.MethodGet {
		req.Header.Set("Origin", b.url)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if b.token != "" {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	if b.cookie != "" {
		req.Header.Set("Cookie", "theme=dark; pocketpaw_session="+b.cookie)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	for _, c := range resp.Cookies() {
		if !c.HttpOnly || c.Path != "/" || c.SameSite != http.SameSiteLaxMode || c.Name != "pocketpaw_session" {
			b.Errorf("%s %s sets the cookie %v", method, path, c)
		}
		if b.cookie = c.Value; c.MaxAge < 0 {
			b.cookie = ""
		}
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		b.Fatalf("%s %s: %d %s: %v", method, path, resp.StatusCode, text, err)
	}
	answer, _ = value.(map[string]any)
	if resp.StatusCode >= 400 {
		b.refused = resp.StatusCode
		// What the client shows to people: it takes detail for a text.
		if detail, _ := answer["detail"].(string); detail == "" {
			b.Errorf("%s %s: %s", method, path, text)
		}
	}
	if resp.StatusCode == 401 || resp.StatusCode == 403 {
		b.token, b.isOut = "", true
	}
	return resp.StatusCode, answer
}

// open is the page with a master in its URL: it is stored, and exchanged for a session.
func (b *browser) open(master string) {
	b.Helper()
	b.token = master
	if _, data := b.fetch("POST", "/api/auth/session", ""); data["session_token"] != nil {
		b.token, _ = data["session_token"].(string)
	}
}

// submit is the login form. If it is accepted, the page is loaded anew.
func (b *browser) submit(token string) (ok bool) {
	b.Helper()
	body, err := json.Marshal(map[string]string{"token": strings.TrimSpace(token)})
	if err != nil {
		b.Fatal(err)
	}
	status, _ := b.fetch("POST", "/api/auth/login", string(body))
	if status == 200 {
		b.isOut = false
	}
	return status == 200
}

// regenerate is the button. A token counts if it is truthy; the page then stores it.
func (b *browser) regenerate() (token string) {
	b.Helper()
	_, data := b.fetch("POST", "/api/token/regenerate", "")
	if token, _ = data["token"].(string); token != "" {
		b.token = token
	}
	return token
}

// poll is what the page does every few seconds, by itself.
func (b *browser) poll() (status int) {
	b.Helper()
	status, _ = b.fetch("GET", "/api/channels/status", "")
	return status
}
