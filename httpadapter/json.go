package httpadapter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a body; no documented one has more than five levels.
const maxDepth = 32

// A node is a JSON value. encoding/json's own mapping is not used: it takes keys in any
// case, so that one body means different things to different readers, and it stops at the
// first wrong type.
type node struct {
	kind   byte     // one of { [ " 0 t f n, and 0: there is no value
	text   string   // of a string, decoded, or of a number
	keys   []string // of an object, in the order sent
	values []node   // of an object or a list
}

// absent reports whether there is no value, or null: the formats do not tell them apart.
func (n node) absent() bool { return n.kind == 0 || n.kind == 'n' }

// get returns the value of a key, or none.
func (n node) get(key string) node {
	for i, k := range n.keys {
		if k == key {
			return n.values[i]
		}
	}
	return node{}
}

// parseJSON parses one JSON value and nothing after it. A key that appears twice is
// refused: which of the two counts is not said anywhere (RFC 8259 section 4).
func parseJSON(body []byte) (node, error) {
	if !utf8.Valid(body) {
		return node{}, &bodyError{"is not valid UTF-8"}
	}
	// The decoder below tells tokens apart; that they are in order is checked first, and
	// without recursion.
	if !json.Valid(body) {
		var whole json.RawMessage
		if syntax, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(body, &whole)); ok {
			return node{}, &bodyError{fmt.Sprintf("is not JSON, from byte %d on", syntax.Offset)}
		}
		return node{}, &bodyError{"is not JSON"}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	return parseNode(d, 1)
}

func parseNode(d *json.Decoder, depth int) (n node, err error) {
	tok, err := d.Token()
	if err != nil {
		return n, &bodyError{"is not JSON"}
	}
	switch v := tok.(type) {
	case json.Delim:
		n.kind = byte(v)
	case string:
		return node{kind: '"', text: v}, nil
	case json.Number:
		return node{kind: '0', text: v.String()}, nil
	case bool:
		if v {
			return node{kind: 't'}, nil
		}
		return node{kind: 'f'}, nil
	default:
		return node{kind: 'n'}, nil
	}
	if depth > maxDepth {
		return n, &bodyError{fmt.Sprintf("is nested more than %d levels deep", maxDepth)}
	}
	var seen map[string]bool // for more keys than are quickly compared
	for d.More() {
		if n.kind == '{' {
			tok, err := d.Token()
			key, ok := tok.(string)
			if err != nil || !ok {
				return n, &bodyError{"is not JSON"}
			}
			const few = 8
			if seen[key] || seen == nil && slices.Contains(n.keys, key) {
				return n, &bodyError{"has the key " + quote(key) + " twice"}
			}
			n.keys = append(n.keys, key)
			if seen == nil && len(n.keys) > few {
				seen = make(map[string]bool)
				for _, k := range n.keys {
					seen[k] = true
				}
			} else if seen != nil {
				seen[key] = true
			}
		}
		v, err := parseNode(d, depth+1)
		if err != nil {
			return n, err
		}
		n.values = append(n.values, v)
	}
	if _, err := d.Token(); err != nil { // the closing one
		return n, &bodyError{"is not JSON"}
	}
	return n, nil
}

// quote returns text that a client sent as it can stand in a message.
func quote(text string) string {
	const most = 64
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strconv.Quote(text)
}
