package remint

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
)

// FuzzCapabilitiesJSON: a document is a list of texts, which is read as ParseCapabilities reads it,
// or it is refused, and what was there before does not stay.
func FuzzCapabilitiesJSON(f *testing.F) {
	for _, doc := range []string{
		`[]`, `null`, ` [ "a:b" , "*" ] `, `["a","a","b"]`, `["*:*:*"]`, `["%3A","é","\ud83d\udd11","\u0041"]`,
		`["a",1]`, `["a",null]`, `[["a"]]`, `{"a":"b"}`, `"a"`, `["a"]x`, `["a",]`, `["\ud800"]`, "[\"\xff\"]", `["%41"]`, `[""]`, `["a b"]`,
		`["` + strings.Repeat(`a","`, 300) + `b"]`, `["` + strings.Repeat("a:", 17) + `b"]`,
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		c := Allow("was:there")
		err := json.Unmarshal(doc, &c)

		var texts []string
		if json.Unmarshal(doc, &texts) != nil {
			if err == nil {
				t.Fatalf("%q is no list of texts, and is read as %q", doc, c)
			}
			if json.Valid(doc) && c.Len() != 0 { // else the set is not asked at all
				t.Fatalf("%q is refused, and %q stays", doc, c)
			}
			return
		}
		want, wantErr := ParseCapabilities(texts)
		if (err == nil) != (wantErr == nil) || c.text != want.text {
			t.Fatalf("%q is %q, %v; its texts are %q, %v", doc, c, err, want, wantErr)
		}
		if err != nil {
			if _, ok := errors.AsType[*InputError](err); !ok || c.Len() != 0 {
				t.Fatalf("%q: %q, %v", doc, c, err)
			}
			return
		}
		seen := map[Capability]bool{}
		for _, text := range texts {
			seen[Capability(text)] = true
			if !c.Allows(Capability(text)) {
				t.Fatalf("%q of %q is not allowed", text, doc)
			}
		}
		if c.Len() != len(seen) {
			t.Fatalf("%q has %d different members, and is read as %q", doc, len(seen), c)
		}
		encoded, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back Capabilities
		if err := json.Unmarshal(encoded, &back); err != nil || back.text != c.text {
			t.Fatalf("%q came back from %s as %q, %v", c, encoded, back, err)
		}
	})
}

// FuzzJoin: segments, whatever is in them, are one path and no other, which covers what is below it
// and nothing else.
func FuzzJoin(f *testing.F) {
	for _, text := range []string{"a", "a\x00b", "*\x00:\x00%", "%2A\x00*", " \x00\n\x00\x7f", "\xff\xc3\x00\xa9", "é\x00\u0085\x00\uFFFD", "", "\x00", "a\x00\x00b",
		strings.Repeat("a\x00", 16) + "a", strings.Repeat(":", 171), strings.Repeat("a", 513)} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var segments []string
		for s := range bytes.SplitSeq(text, []byte{0}) { // a 0 is what no segment here has
			segments = append(segments, string(s))
		}
		size := len(segments) - 1
		for _, s := range segments {
			size += len(refEncode(s))
		}
		want := size <= 512 && len(segments) <= 16 && !slices.Contains(segments, "")
		c := Join(segments...)
		back, ok := refSplit(c)
		if ok != want || want && !slices.Equal(back, segments) {
			t.Fatalf("%q is joined to %q, which is %q, %v", segments, c, back, ok)
		}
		if (c.problem() == "") != want || Allow("*").Allows(c) != want {
			t.Fatalf("%q is joined to %q: %s", segments, c, c.problem())
		}
		if !want {
			return
		}
		for n := 1; n <= len(segments); n++ {
			above := Join(segments[:n]...)
			if !Allow(above).Allows(c) || n < len(segments) && Allow(c).Allows(above) {
				t.Fatalf("%q and %q", above, c)
			}
		}
		if other := Join(append(slices.Clone(segments[:len(segments)-1]), segments[len(segments)-1]+"x")...); Allow(c).Allows(other) {
			t.Fatalf("%q covers %q", c, other)
		}
	})
}
