package httpadapter

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/remint-go/remint"
)

// drawVerbs draws some of the resources, each with some of its verbs in any order.
func drawVerbs(t *rapid.T, resources map[string][]string, label string) axiomVerbs {
	v := axiomVerbs{}
	names := slices.Sorted(maps.Keys(resources))
	for _, r := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, len(names), rapid.ID).Draw(t, label) {
		verbs := rapid.Permutation(resources[r]).Draw(t, r)
		v[r] = verbs[:rapid.IntRange(1, len(verbs)).Draw(t, r+" has")]
	}
	return v
}

// drawNamed draws resources of datasets or views with any names, every one of them included.
func drawNamed(t *rapid.T, resources map[string][]string, label string) map[string]axiomVerbs {
	name := rapid.OneOf(
		rapid.SampledFrom([]string{"*", "%2A", "**", "*:*", "a:b", "a b", "%", "é", "logs", "org", " ", "�"}),
		rapid.StringOf(rapid.Rune()).Filter(func(s string) bool {
			return s != "" && len(s) <= maxAxiomName && !strings.ContainsFunc(s, isControl)
		}),
	)
	named := map[string]axiomVerbs{}
	for _, n := range rapid.SliceOfNDistinct(name, 0, 4, rapid.ID).Draw(t, label) {
		if v := drawVerbs(t, resources, label+" "+n); len(v) > 0 {
			named[n] = v
		}
	}
	return named
}

func TestDocumentedAxiomCapabilitiesAreRenderedAsTheyWereRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sent := axiomCapabilities{
			Dataset: drawNamed(t, axiomDataset, "dataset"),
			Org:     drawVerbs(t, axiomOrg, "org"),
			View:    drawNamed(t, axiomView, "view"),
		}
		if len(sent.Dataset)+len(sent.Org)+len(sent.View) == 0 {
			return // a token without any is refused, which has a test of its own
		}
		body, err := json.Marshal(sent)
		if err != nil {
			t.Fatal(err)
		}
		n, err := parseJSON(body)
		if err != nil {
			t.Fatal(err)
		}
		var f form
		caps := readAxiomCapabilities(&f, n, "")
		if err := f.err(); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if diff := cmp.Diff(sent, encodeAxiomCapabilities(caps)); diff != "" {
			t.Errorf("%s: sent, and rendered:\n%s", body, diff)
		}
		// And what is rendered is what is stored, no more and no less.
		again, err := remint.ParseCapabilities(textsOf(caps))
		if err != nil || !again.Equal(caps) {
			t.Errorf("%v became %v, %v", caps, again, err)
		}
	})
}

func textsOf(caps remint.Capabilities) (list []string) {
	for c := range caps.All() {
		list = append(list, string(c))
	}
	return list
}
