package httpadapter

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/remint-go/remint"
)

// A form takes values out of a body, and collects what is wrong with them: each problem is
// a [remint.InputError] with the path of a value in the body.
type form struct{ problems []error }

// maxProblems bounds an answer: who sends thousands of wrong values learns of some.
const maxProblems = 20

func (f *form) wrong(path, format string, args ...any) {
	if len(f.problems) < maxProblems {
		f.problems = append(f.problems, &remint.InputError{Field: path, Problem: fmt.Sprintf(format, args...)})
	}
}

// also collects the problems in err, but those of fields that are wrong already: what else
// is said of them is about a value that was not sent.
func (f *form) also(err error) {
	before := inputs(f.err())
	for _, e := range inputs(err) {
		known := slices.ContainsFunc(before, func(k *remint.InputError) bool { return k.Field == e.Field })
		if !known {
			f.wrong(e.Field, "%s", e.Problem)
		}
	}
}

// err returns all problems, joined, or nil.
func (f *form) err() error { return errors.Join(f.problems...) }

// object reports whether n is an object. Where it is neither that nor absent, it is wrong.
func (f *form) object(n node, path string) bool {
	if !n.absent() && n.kind != '{' {
		f.wrong(path, "must be an object")
	}
	return n.kind == '{'
}

// text returns a string, or "" if it is absent or wrong.
func (f *form) text(n node, path string) string {
	if !n.absent() && n.kind != '"' {
		f.wrong(path, "must be a string")
	}
	if n.kind != '"' {
		return ""
	}
	return n.text
}

// texts returns a list of strings, or nil if it is absent or wrong.
func (f *form) texts(n node, path string) (list []string) {
	if !n.absent() && n.kind != '[' {
		f.wrong(path, "must be a list of strings")
	}
	if n.kind != '[' {
		return nil
	}
	for i, v := range n.values {
		if v.kind != '"' {
			f.wrong(path+"["+strconv.Itoa(i)+"]", "must be a string")
		}
		list = append(list, v.text)
	}
	return list
}

// time returns a date-time of RFC 3339, or the zero time if it is absent, wrong or
// "0001-01-01T00:00:00Z", which is how Go's clients say that there is none.
func (f *form) time(n node, path string) (t time.Time) {
	text := f.text(n, path)
	if n.kind != '"' {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || !isRFC3339(text) {
		f.wrong(path, "must be a date and time as in RFC 3339, such as \"2030-01-02T15:04:05Z\"")
		return time.Time{}
	}
	return t
}

// isRFC3339 refuses what time.Parse takes beyond RFC 3339 (https://go.dev/issue/54580): an
// hour of one digit, a comma before the fraction, an offset of 24 hours or more.
func isRFC3339(text string) bool {
	return text[len("2006-01-02T1")] != ':' && text[len("2006-01-02T15:04:05")] != ',' &&
		(text[len(text)-1] == 'Z' || text[len(text)-len("07:00"):] < "24:00" && text[len(text)-len("00"):] < "60")
}

// unix returns a time in whole seconds since 1970, or the zero time if it is absent or wrong.
func (f *form) unix(n node, path string) time.Time {
	if n.absent() {
		return time.Time{}
	}
	const most = 253402300799 // the end of the year 9999: nothing prints a later one
	sec, err := strconv.ParseUint(n.text, 10, 64)
	if n.kind != '0' || err != nil || sec > most {
		f.wrong(path, "must be a Unix time: a whole number of seconds from 0 to %d", int64(most))
		return time.Time{}
	}
	return time.Unix(int64(sec), 0).UTC()
}
