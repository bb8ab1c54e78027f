package soak

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A journal is what a client did of late, so that a wrong answer can be judged by who reads of it.
type journal []entered

// An entered request. Its texts are short; the IDs are all that it or its answer had.
type entered struct {
	text   string
	bearer string   // the ID of whose token it came with
	about  []string // the others
	lost   bool     // nobody knows whether it was served
}

const (
	manyEntered = 300  // requests in a journal
	manyTold    = 60   // of them in a report
	lastTold    = 12   // of those, whatever they were about
	longEntered = 1000 // bytes of an answer
)

var anyID = regexp.MustCompile(`[0-7][0-9A-HJKMNP-TV-Z]{25}`)

// note enters a request and its answer.
func (c *client) note(from int64, a *act, got string, lost bool) {
	e := entered{bearer: idIn(a.presents()), lost: lost}
	for _, id := range anyID.FindAllString(a.path+" "+a.body+" "+got, -1) {
		if id != e.bearer && !slices.Contains(e.about, id) {
			e.about = append(e.about, strings.Clone(id))
		}
	}
	if len(got) > longEntered {
		got = got[:longEntered] + "…"
	}
	e.text = fmt.Sprintf("%s %s\n    → %s", formatTime(from), a, got)
	if len(c.journal) >= 2*manyEntered {
		c.journal = slices.Clone(c.journal[len(c.journal)-manyEntered:])
	}
	c.journal = append(c.journal, e)
}

// of tells the last requests, and before them those about any of these tokens or with one of them, and those of which
// nobody knows whether they were served.
func (j journal) of(ids []string) string {
	var told []string
	skipped := 0
	for k := len(j) - 1; k >= 0 && len(told) < manyTold; k-- {
		e := j[k]
		has := func(id string) bool { return id == e.bearer || slices.Contains(e.about, id) }
		if len(j)-k <= lastTold || e.lost || slices.ContainsFunc(ids, has) {
			told = append(told, e.text)
		} else {
			skipped++
		}
	}
	slices.Reverse(told)
	return fmt.Sprintf("%s\n(%d requests about other tokens were left out between these)", strings.Join(told, "\n"), skipped)
}

// concerned are the IDs of the tokens that a wrong answer is about. A master is only if there is nothing else: it is
// about everything.
func (c *client) concerned(a *act, want []string) []string {
	ids := anyID.FindAllString(strings.Join(want, " "), -1)
	for _, text := range append([]string{a.presents()}, anyID.FindAllString(a.path+" "+a.body, -1)...) {
		id := text
		if len(text) > idLen {
			id = idIn(text)
		}
		if t := c.world().byID(id); id != "" && !t.isMaster() {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		ids = []string{idIn(a.presents())}
	}
	return ids
}
