package captoken

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// members returns the members of the one JSON object that data is, as written. Package
// encoding/json alone would take the last of several members of one name, any case of a
// name, and null or nothing for any value.
func members(data []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil, errors.New("is not a JSON object")
	}
	all := make(map[string]json.RawMessage)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, errors.New("is not well-formed JSON")
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, errors.New("is not well-formed JSON")
		}
		key := name.(string) // the decoder lets nothing else be a name
		if _, again := all[key]; again {
			return nil, fmt.Errorf("has the member %s twice", shown(key))
		}
		all[key] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, errors.New("is not well-formed JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("has something after its JSON object")
	}
	return all, nil
}

// shown returns the name of a member for an error, if it is short and plain.
func shown(name string) string {
	if len(name) > 16 || strings.ContainsFunc(name, func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }) {
		return "of an unusual name"
	}
	return `"` + name + `"`
}

// text returns the JSON string that raw is. What has no code point, such as half of a surrogate
// pair, encoding/json reads as U+FFFD, the same for all: a string with that is refused.
func text(raw json.RawMessage) (string, error) {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", errors.New("is not a string")
	}
	if strings.ContainsRune(s, utf8.RuneError) {
		return "", errors.New("holds the replacement character U+FFFD")
	}
	return s, nil
}

// texts returns the JSON array of strings that raw is.
func texts(raw json.RawMessage) ([]string, error) {
	parts, err := list(raw)
	if err != nil {
		return nil, err
	}
	all := make([]string, len(parts))
	for i, part := range parts {
		if all[i], err = text(part); err != nil {
			return nil, fmt.Errorf("[%d] %w", i, err)
		}
	}
	return all, nil
}

// list returns the elements of the JSON array that raw is.
func list(raw json.RawMessage) ([]json.RawMessage, error) {
	var parts []json.RawMessage
	if len(raw) == 0 || raw[0] != '[' || json.Unmarshal(raw, &parts) != nil {
		return nil, errors.New("is not an array")
	}
	return parts, nil
}

// decimal is a JSON number (RFC 8259, section 6) that is a natural number written plainly.
var decimal = regexp.MustCompile(`^(0|[1-9][0-9]{0,19})$`)

func natural(raw json.RawMessage) (uint64, error) {
	if !decimal.Match(raw) {
		return 0, errors.New("is not a natural number in decimal digits")
	}
	n, err := strconv.ParseUint(string(raw), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("is more than %d", uint64(math.MaxUint64))
	}
	return n, nil
}

// maxName bounds an issuer, an audience and an owner; the last as package remint does.
const maxName = 255

// nameProblem says what is wrong with the name of an issuer, an audience or an owner, or "".
func nameProblem(s string) string {
	switch {
	case len(s) > maxName:
		return fmt.Sprintf("has %d bytes, and may have %d", len(s), maxName)
	case !utf8.ValidString(s) || strings.ContainsRune(s, utf8.RuneError):
		return "is not valid UTF-8, or holds the replacement character U+FFFD"
	case strings.ContainsFunc(s, unicode.IsControl):
		return "has a control character"
	}
	return ""
}
