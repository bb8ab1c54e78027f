package httpadapter

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// maxBody bounds a request's body, in bytes.
	maxBody = 64 << 10

	// bodyTime bounds the sending of a body, where the server does not.
	bodyTime = 10 * time.Second

	// unreadWait is how long a refusal waits for a body that nobody will read: enough for
	// one that is under way.
	unreadWait = 250 * time.Millisecond
)

// A bodyError says why a body is not the JSON that a route needs.
type bodyError struct{ problem string }

func (e *bodyError) Error() string { return "the request body " + e.problem }

var (
	errTooLarge   = &bodyError{"is larger than " + strconv.Itoa(maxBody>>10) + " KiB"}
	errUnreadable = &bodyError{"could not be read"}
	errNoObject   = &bodyError{"must be a JSON object"}
)

// readBody reads a request's body, of at most maxBody bytes.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.Body == nil { // a server's never is
		return nil, nil
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, maxBody), r.ContentLength)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, errTooLarge
		}
		return nil, errUnreadable
	}
	return body, nil
}

// parseBody parses a JSON body. An empty one is no value.
func parseBody(r *http.Request, body []byte) (node, error) {
	if len(bytes.Trim(body, " \t\r\n")) == 0 {
		return node{}, nil
	}
	if !isJSON(r.Header["Content-Type"]) {
		return node{}, &bodyError{"must have the Content-Type application/json"}
	}
	return parseJSON(body)
}

// readAll reads a body of that length, or of one that is not declared.
func readAll(r io.Reader, length int64) ([]byte, error) {
	if length <= 0 || length > maxBody {
		return io.ReadAll(r)
	}
	body := make([]byte, length) // a server lets nobody send more
	_, err := io.ReadFull(r, body)
	return body, err
}

// object reads a body, which must be a JSON object or, if it is optional, nothing.
func (c *call) object(optional bool) (node, error) {
	c.read = true
	text, err := readBody(c.w, c.r)
	if err != nil {
		return node{}, err
	}
	body, err := parseBody(c.r, text)
	if err == nil && body.kind != '{' && !(optional && body.kind == 0) {
		err = errNoObject
	}
	return body, err
}

// isJSON reports whether a body's declared type is JSON in UTF-8, or is not declared.
func isJSON(types []string) bool {
	if len(types) == 0 {
		return true
	}
	t, params, err := mime.ParseMediaType(types[0])
	if err != nil || len(types) > 1 {
		return false
	}
	charset, declared := params["charset"]
	return (t == "application/json" || strings.HasPrefix(t, "application/") && strings.HasSuffix(t, "+json")) &&
		(!declared || strings.EqualFold(charset, "utf-8"))
}

// limitBody sets bodyTime as the bound. A server with a ReadTimeout has one that its owner chose.
func limitBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok && server.ReadTimeout == 0 {
		// An error means that w is wrapped in something that has no deadlines.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
	}
}

// leaveBody is called where a request is refused before its body was read. The server reads
// up to 256 KiB of it before it sends the answer, to use the connection again; a client
// that sends it slowly, or never, is not to be waited for until the server's own timeout.
func leaveBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		// An error means that w is no server's: then there is nothing to wait for.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(unreadWait))
	}
}

// ignoreBody is for routes whose body may be anything: only a body that is too large is an
// error. One whose length is declared is not waited for.
func (c *call) ignoreBody() error {
	switch n := c.r.ContentLength; {
	case n > maxBody:
		return errTooLarge
	case n >= 0 || c.r.Body == nil:
		return nil
	}
	c.read = true
	_, err := io.Copy(io.Discard, http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge
	}
	if err != nil {
		return errUnreadable
	}
	return nil
}
