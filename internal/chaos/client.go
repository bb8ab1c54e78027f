package chaos

import (
	"crypto/rand"
	"io"
	"net/http"
)

// A Client is an honest one that rotates its secret, and does the obvious when something goes
// wrong. It keeps the old secret until the new one has worked.
type Client struct {
	HTTP   *http.Client
	Rotate func(old string) *http.Request    // each time the same request, but for the credential
	Secret func(answer []byte) string        // of an answer to that, or ""
	Use    func(secret string) *http.Request // presents a secret
	Key    func() string                     // returns a new retry key; nil: it uses none
	Tries  int                               // of each request that is not answered

	// Unanswered is called after each try that was not answered. Nil: nobody is told.
	Unanswered func()

	Old, New string // its secrets; New is "" where it has none
	WentBack bool   // it had a new secret, and needed the old one again
	key      string
}

// LongKey returns a key that nobody guesses, for a Client's Key.
func LongKey() string { return rand.Text() } // of 130 bits in 26 characters

// Fetch asks for a new secret, and repeats the request while there is no answer. It returns whether
// it got one.
func (c *Client) Fetch() bool {
	if c.key == "" && c.Key != nil {
		c.key = c.Key()
	}
	status, answer := c.do(func() *http.Request {
		r := c.Rotate(c.Old)
		if c.key != "" {
			r.Header.Set("Idempotency-Key", `"`+c.key+`"`)
		}
		return r
	})
	if status/100 == 2 {
		c.New = c.Secret(answer)
	}
	return c.New != ""
}

// Works presents a secret, and returns whether it was accepted.
func (c *Client) Works(secret string) bool {
	status, _ := c.do(func() *http.Request { return c.Use(secret) })
	return status/100 == 2
}

// Crash makes it forget what it had not written down: the new secret and, if it does not write that down
// before it sends the request, the retry key.
func (c *Client) Crash(keepsKey bool) {
	c.New = ""
	if !keepsKey {
		c.key = ""
	}
}

// GoOn does what is left to do until the new secret has worked, and returns whether the client came
// to that. If it did not, it is locked out.
func (c *Client) GoOn() bool {
	for range 3 {
		if c.New != "" || c.Fetch() {
			if c.Works(c.New) {
				return true
			}
			c.WentBack = true
		}
		c.New, c.key = "", "" // what comes next is another rotation
		if !c.Works(c.Old) {
			return false
		}
	}
	return false
}

// Next makes the new secret the old one, for another rotation.
func (c *Client) Next() { c.Old, c.New, c.key = c.New, "", "" }

// do returns the first answer that is one: neither a connection that ended nor a 5xx.
func (c *Client) do(request func() *http.Request) (status int, answer []byte) {
	for range c.Tries {
		status, answer = c.once(request())
		if status != 0 {
			return status, answer
		}
		if c.Unanswered != nil {
			c.Unanswered()
		}
	}
	return 0, nil
}

func (c *Client) once(r *http.Request) (status int, answer []byte) {
	resp, err := c.HTTP.Do(r)
	if err != nil {
		return 0, nil
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil || resp.StatusCode >= 500 {
		return 0, nil
	}
	return resp.StatusCode, answer
}
