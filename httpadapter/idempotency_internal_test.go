package httpadapter

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// sfString is a String of RFC 9651 section 3.3.3, and escaped a character of one.
var (
	sfString = regexp.MustCompile(`^ *"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*" *$`)
	escaped  = regexp.MustCompile(`\\["\\]`)
)

// FuzzIdempotencyKey: what is accepted is a text of printable ASCII that its quoted form gives again.
func FuzzIdempotencyKey(f *testing.F) {
	for _, seed := range []string{``, `"a"`, `"8e03978e-40d5-43e8-bc93-6894a57f9324"`, `"a\"b\\c"`, `"a`, `a`, `"a";b`, ` "a" `, `"\x"`, `""`, "\"\x7f\"", `"é"`, `"\"`, `"\\"`, `"\\\"`, `"""`, `"a""b"`, strings.Repeat("k", 255), `"` + strings.Repeat("k", 255) + `"`,
		`"` + strings.Repeat("k", 256) + `"`, `"` + strings.Repeat(`\"`, 255) + `"`, `"` + strings.Repeat(`\"`, 256) + `"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		key, err := retryKey(http.Header{idempotencyKey: {header}})
		if length := len(escaped.ReplaceAllString(strings.Trim(header, " "), "x")) - 2; (err == nil) != (sfString.MatchString(header) && length >= 1 && length <= maxRetryKey) {
			t.Errorf("%q: %v", header, err)
		}
		if err != nil {
			if key != "" {
				t.Errorf("%q: %q, %v", header, key, err)
			}
			return
		}
		if key == "" || len(key) > maxRetryKey || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q is %q", header, key)
		}
		again, err := retryKey(http.Header{idempotencyKey: {`"` + strings.NewReplacer(`"`, `\"`, `\`, `\\`).Replace(key) + `"`}})
		if err != nil || again != key {
			t.Errorf("%q, quoted again: %q, %v", key, again, err)
		}
	})
}

func TestAKeyIsLookedForInItsHeaderAlone(t *testing.T) {
	if key, err := retryKey(http.Header{}); key != "" || err != nil {
		t.Errorf("%q, %v", key, err)
	}
	if key, err := retryKey(http.Header{idempotencyKey: {`"a"`, `"a"`}}); key != "" || err == nil {
		t.Errorf("two headers: %q, %v", key, err)
	}
}
