package remint

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// A Secret holds a token's text: what its bearer presents. Nothing prints,
// logs or encodes it; [Secret.Reveal] is the one way to the text, and its calls
// are the places to audit. The zero Secret holds the empty text.
type Secret struct {
	// A closure is the one form that fmt, which reads unexported fields of a
	// struct that holds a Secret without calling its methods, cannot look into.
	reveal func() string
}

func newSecret(text string) Secret { return Secret{func() string { return text }} }

// Reveal returns the token's text.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// Equal reports, in a time that depends on their lengths only, whether s and t hold
// the same text. Two empty secrets are not equal.
func (s Secret) Equal(t Secret) bool {
	a, b := s.Reveal(), t.Reveal()
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

const redacted = "[redacted]"

// Format implements [fmt.Formatter]: every verb prints "[redacted]".
func (s Secret) Format(f fmt.State, verb rune) { io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer] with "[redacted]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText always fails: a redacted secret that was stored is a lost one.
func (s Secret) MarshalText() ([]byte, error) {
	return nil, errors.New("remint: a Secret is not encoded: write its Reveal where it must be shown")
}

// GobEncode always fails, as MarshalText does.
func (s Secret) GobEncode() ([]byte, error) { return s.MarshalText() }
