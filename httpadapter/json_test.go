package httpadapter

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestABodyIsReadStrictly(t *testing.T) {
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, c := range []struct {
		name, types, body string
		problem           string // empty: it is read
	}{
		{"an object", "application/json", `{"a":1}`, ""},
		{"blanks around it", "application/json", " \r\n\t{}\n", ""},
		{"no type", "", `{}`, ""},
		{"a type with a charset", "application/json; charset=UTF-8", `{}`, ""},
		{"a type that is JSON, too", "application/merge-patch+json", `{}`, ""},
		{"nothing, of any type", "text/plain", ``, ""},
		{"blanks, of any type", "text/plain", " \n", ""},
		{"as deep as may be", "", deep(maxDepth), ""},
		{"escapes", "", `{"a\u0062":"\ud83d\ude00"}`, ""},
		{"another type", "text/plain", `{}`, "Content-Type"},
		{"a form's type", "application/x-www-form-urlencoded", `{}`, "Content-Type"},
		{"a type that only ends in json", "text/x+json", `{}`, "Content-Type"},
		{"another charset", "application/json; charset=latin1", `{}`, "Content-Type"},
		{"a broken type", "application/json; charset", `{}`, "Content-Type"},
		{"an empty type", " ", `{}`, "Content-Type"},
		{"cut off", "", `{"a":`, "not JSON"},
		{"a trailing comma", "", `{"a":1,}`, "not JSON"},
		{"a comment", "", `{} // x`, "not JSON"},
		{"single quotes", "", `{'a':1}`, "not JSON"},
		{"NaN", "", `NaN`, "not JSON"},
		{"a number with a leading zero", "", `01`, "not JSON"},
		{"a byte order mark", "", "\ufeff{}", "not JSON"},
		{"a control character in a string", "", "\"a\nb\"", "not JSON"},
		{"garbage behind it", "", `{} x`, "not JSON"},
		{"another value behind it", "", `{}{}`, "not JSON"},
		{"not UTF-8", "", "\"\xff\"", "UTF-8"},
		{"a key twice", "", `{"a":1,"a":1}`, `key "a" twice`},
		{"a key twice, escaped", "", `{"a":1,"\u0061":1}`, `key "a" twice`},
		{"a key twice, far down", "", `{"x":[{"a":{"b":1,"b":2}}]}`, `key "b" twice`},
		{"a long key twice", "", `{"` + strings.Repeat("k", 99) + `":1,"` + strings.Repeat("k", 99) + `":1}`, `kkk…" twice`},
		{"too deep", "", deep(maxDepth + 1), "nested"},
		{"very deep", "", deep(30000), ""},
		{"as large as may be", "", `"` + strings.Repeat("a", maxBody-2) + `"`, ""},
		{"larger", "", `"` + strings.Repeat("a", maxBody-1) + `"`, "larger than 64 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
			if c.types != "" {
				r.Header.Set("Content-Type", strings.TrimSpace(c.types))
			}
			_, err := readJSON(r)
			if c.name == "very deep" {
				if err == nil {
					t.Error("no error")
				}
				return
			}
			if (err == nil) != (c.problem == "") || err != nil && !strings.Contains(err.Error(), c.problem) {
				t.Errorf("got %v, want %q", err, c.problem)
			}
		})
	}
}

func TestKeysAreTakenAsTheyAreWritten(t *testing.T) {
	n, err := parseJSON([]byte(`{"Name":"a","name":"b","NAME":"c"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := n.get("name").text; got != "b" {
		t.Errorf("name is %q", got)
	}
}

func TestABrokenBodyIsNotReadToItsEnd(t *testing.T) {
	r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("{"), &endless{}))
	if _, err := readJSON(r); err != errTooLarge {
		t.Errorf("got %v", err)
	}
}

type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	if e.read += len(p); e.read > 1<<20 {
		panic("read far beyond the limit")
	}
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestAnUnreadableBodyIsABadRequest(t *testing.T) {
	r := httptest.NewRequest("POST", "/", io.MultiReader(strings.NewReader("{"), broken{}))
	if _, err := readJSON(r); kindOf(err) != badInput {
		t.Errorf("got %v", err)
	}
	r.Body = nil
	if n, err := readJSON(r); err != nil || n.kind != 0 {
		t.Errorf("no body: %v, %v", n, err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestTimesAreReadStrictly(t *testing.T) {
	for text, want := range map[string]string{
		`"2030-01-02T03:04:05Z"`:                "2030-01-02T03:04:05Z",
		`"2030-01-02T03:04:05.123456789+05:30"`: "2030-01-01T21:34:05.123456789Z",
		`"0001-01-01T00:00:00Z"`:                "0001-01-01T00:00:00Z",
		`null`:                                  "0001-01-01T00:00:00Z",
		`"9999-12-31T23:59:59Z"`:                "9999-12-31T23:59:59Z",
		`""`:                                    "",
		`"10000-01-01T00:00:00Z"`:               "",
		`"2030-01-02 03:04:05Z"`:                "",
		`"2030-01-02T3:04:05Z"`:                 "",
		`"2030-01-02T03:04:05,5Z"`:              "",
		`"2030-02-30T03:04:05Z"`:                "",
		`"2030-01-02T03:04:05"`:                 "",
		`"2030-01-02T03:04:05+25:00"`:           "",
		`1893553445`:                            "",
		`["2030-01-02T03:04:05Z"]`:              "",
	} {
		n, err := parseJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var f form
		got := f.time(n, "at")
		if want == "" {
			if f.err() == nil {
				t.Errorf("%s was read as %v", text, got)
			}
			continue
		}
		if s := got.UTC().Format(time.RFC3339Nano); s != want || f.err() != nil {
			t.Errorf("%s: %s, %v; want %s", text, s, f.err(), want)
		}
	}
}

func TestUnixTimesAreWholeAndNotNegative(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1893553445": 1893553445, "253402300799": 253402300799,
		"253402300800": -1, "-1": -1, "1.5": -1, "1e9": -1, `"1893553445"`: -1, "1e999": -1,
		"99999999999999999999999": -1, "true": -1,
	} {
		n, err := parseJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var f form
		if got := f.unix(n, "at"); want >= 0 && (got.Unix() != want || f.err() != nil) || want < 0 && f.err() == nil {
			t.Errorf("%s: %v, %v", text, got, f.err())
		}
	}
}

func TestWrongTypesAreNamedByTheirPathsAndAreNotEndless(t *testing.T) {
	n, err := parseJSON([]byte(`{"name":1,"list":["a",2,null],"when":true}`))
	if err != nil {
		t.Fatal(err)
	}
	var f form
	f.text(n.get("name"), "name")
	f.texts(n.get("list"), "list")
	f.time(n.get("when"), "when")
	got := sentences(inputs(f.err()))
	want := []string{"name must be a string", "list[1] must be a string", "list[2] must be a string", "when must be a string"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	for i := range 1000 {
		f.wrong(strconv.Itoa(i), "is wrong")
	}
	if got := len(inputs(f.err())); got != maxProblems {
		t.Errorf("%d problems", got)
	}
}

// plain returns what encoding/json makes of the same text.
func (n node) plain() any {
	switch n.kind {
	case '{':
		m := map[string]any{}
		for i, k := range n.keys {
			m[k] = n.values[i].plain()
		}
		return m
	case '[':
		list := []any{}
		for _, v := range n.values {
			list = append(list, v.plain())
		}
		return list
	case '"':
		return n.text
	case '0':
		return json.Number(n.text)
	case 't', 'f':
		return n.kind == 't'
	}
	return nil
}

// plainlyJSON reports of what is JSON whether no object in it has a key twice, and nothing is nested too deeply.
func plainlyJSON(body []byte) bool {
	d := json.NewDecoder(bytes.NewReader(body))
	type level struct {
		keys  map[string]bool // nil: a list
		value bool            // what comes next is no key
	}
	var levels []level
	for {
		tok, err := d.Token()
		if err != nil {
			return true
		}
		top := len(levels) - 1
		if text, ok := tok.(string); ok && top >= 0 && levels[top].keys != nil && !levels[top].value {
			if levels[top].keys[text] {
				return false
			}
			levels[top].keys[text], levels[top].value = true, true
			continue
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			l := level{}
			if tok == json.Delim('{') {
				l.keys = map[string]bool{}
			}
			if levels = append(levels, l); len(levels) > maxDepth {
				return false
			}
			continue
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:top]
			top--
		}
		if top >= 0 {
			levels[top].value = false
		}
	}
}

func FuzzABodyIsRefusedOrReadAsJSON(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,2.5e3,null,true,"x\u0000"]}`, `[[[]]]`, `{"a":1,"a":2}`, `"`, `{"a":{"b":[]}} `, "\xff",
		`{"a":{"a":1},"b":{"a":1}}`, `[{"a":1},{"a":1}]`, `{"":1}`, `{"":1,"":2}`, `{"a":"a","\u0061":1}`, `{"a":"\ud800"}`, "{} {}", "[1,]", "\ufeff{}",
		strings.Repeat("[", 32) + strings.Repeat("]", 32), strings.Repeat("[", 33) + strings.Repeat("]", 33), strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 32),
		`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"a":2}`, `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":2}`,
		`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":2,"k":3}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := parseJSON(body)
		if err != nil {
			if _, ok := err.(*bodyError); !ok || kindOf(err) != badInput || len(err.Error()) > 1<<10 {
				t.Errorf("%T: %v", err, err)
			}
			if utf8.Valid(body) && json.Valid(body) && plainlyJSON(body) {
				t.Errorf("%q is refused: %v", body, err)
			}
			return
		}
		if !plainlyJSON(body) {
			t.Errorf("%q was read", body)
		}
		var want any
		d := json.NewDecoder(strings.NewReader(string(body)))
		d.UseNumber()
		if err := d.Decode(&want); err != nil || !json.Valid(body) {
			t.Fatalf("%q was read, and is not JSON: %v", body, err)
		}
		if got := n.plain(); !reflect.DeepEqual(got, want) {
			t.Errorf("%q was read as %v, want %v", body, got, want)
		}
	})
}

func FuzzAnAxiomBodyIsRefusedOrRoundTrips(f *testing.F) {
	f.Add([]byte(`{"name":"a","expiresAt":"2030-01-02T03:04:05.5+01:00","orgCapabilities":{"apiTokens":["read","create"]}}`))
	f.Add([]byte(`{"datasetCapabilities":{"*":{"ingest":["create"]},"a:b*%":{"query":["read"]}},"viewCapabilities":{"v":{"share":["read"]}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := parseJSON(body)
		if err != nil || n.kind != '{' {
			return
		}
		var fm form
		spec := readAxiomToken(&fm, n, "")
		if fm.err() != nil {
			problemText(fm.err())
			return
		}
		// What is rendered reads as the same again.
		text, err := json.Marshal(encodeAxiomCapabilities(spec.Capabilities))
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseJSON(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := readAxiomCapabilities(&fm, again, ""); fm.err() != nil || !got.Equal(spec.Capabilities) {
			t.Errorf("%s: %v became %v, %v", body, spec.Capabilities, got, fm.err())
		}
	})
}

func TestABodyThatIsIgnoredIsBoundedAllTheSame(t *testing.T) {
	for _, c := range []struct {
		length int64
		body   io.Reader
		want   error
	}{
		{0, nil, nil},
		{5, strings.NewReader("hello"), nil},
		{maxBody, &endless{}, nil},
		{maxBody + 1, &endless{}, errTooLarge},
		{-1, strings.NewReader("hello"), nil},
		{-1, &endless{}, errTooLarge},
	} {
		r := httptest.NewRequest("POST", "/", c.body)
		r.ContentLength = c.length
		call := &call{r: r, w: httptest.NewRecorder()}
		err := call.ignoreBody()
		if fmt.Sprint(err) != fmt.Sprint(c.want) && !(err == nil && c.want == nil) {
			t.Errorf("%d bytes: %v", c.length, err)
		}
	}
	r := httptest.NewRequest("POST", "/", broken{})
	r.ContentLength = -1
	if err := (&call{r: r, w: httptest.NewRecorder()}).ignoreBody(); kindOf(err) != badInput {
		t.Errorf("broken: %v", err)
	}
}

// readJSON is what a route reads of a request.
func readJSON(r *http.Request) (node, error) {
	body, err := readBody(httptest.NewRecorder(), r)
	if err != nil {
		return node{}, err
	}
	return parseBody(r, body)
}
