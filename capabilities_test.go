package remint

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestACapabilityCoversItselfAndEverythingBelow(t *testing.T) {
	for _, tt := range []struct {
		member, asked Capability
		want          bool
	}{
		{"reports", "reports", true},
		{"reports", "reports:read", true},
		{"reports", "reports:read:all", true},
		{"reports:read", "reports", false},
		{"reports:read", "reports:write", false},
		{"reports", "reports2", false},
		{"reports", "report", false},
		{"reports2", "reports", false},
		{"reports", "Reports", false},

		{"*", "reports", true},
		{"*", "reports:read:all", true},
		{"dataset:*:query", "dataset:logs:query", true},
		{"dataset:*:query", "dataset:logs:query:read", true},
		{"dataset:*:query", "dataset:logs:ingest", false},
		{"dataset:*:query", "dataset:logs", false},
		{"dataset:*:query", "dataset:logs:more:query", false},
		{"dataset:*", "dataset", false},
		{"dataset:*", "dataset:logs", true},
		{"dataset:*", "dataset:logs:query", true},
		{"*:*", "reports", false},
		{"*:*", "reports:read", true},
		{"*:read", "reports:read", true},
		{"*:read", "reports:write", false},
		{"a:*:*:d", "a:b:c:d", true},
		{"a:*:*:d", "a:b:d", false},

		{"dataset:%2A", "dataset:%2A", true},
		{"dataset:%2A", "dataset:logs", false},
		{"dataset:*", "dataset:%2A", true},
		{"a%3Ab", "a:b", false},
		{"a", "a%3Ab", false},
		{"a", "a%20", false},
		{"é", "é:ü", true},
		{"*", "%FF", true},
	} {
		if got := Allow(tt.member).Allows(tt.asked); got != tt.want {
			t.Errorf("Allow(%q).Allows(%q) = %v", tt.member, tt.asked, got)
		}
	}
}

func TestAStarAskedForIsCoveredOnlyByAStar(t *testing.T) {
	for _, tt := range []struct {
		member, asked Capability
		want          bool
	}{
		{"*", "*", true},
		{"*", "*:read", true},
		{"*:read", "*:read", true},
		{"*:read", "*", false},
		{"reports", "*", false},
		{"reports:read", "*:read", false},
		{"reports", "reports:*", true}, // the star is below what is given
		{"reports:read", "reports:*", false},
		{"a:*:c", "a:*:c", true},
		{"a:*:c", "a:*:*", false},
		{"%2A", "*", false},
	} {
		if got := Allow(tt.member).Allows(tt.asked); got != tt.want {
			t.Errorf("Allow(%q).Allows(%q) = %v", tt.member, tt.asked, got)
		}
	}
}

// It fails without the emptiness of a set without members (internal/mutants).
func TestTheEmptySetAllowsNothing(t *testing.T) {
	for _, c := range []Capabilities{{}, Allow(), Allow([]Capability{}...), Allow("a").Intersect(Allow("b"))} {
		if c.Allows("a") || c.Allows("*") || c.Allows("") {
			t.Errorf("%#v allows something", c)
		}
		if c.Len() != 0 || c.String() != "" || !reflect.DeepEqual(c, Capabilities{}) {
			t.Errorf("%#v is not the zero value", c)
		}
	}
}

// What is malformed, and what is said about it.
var malformedCapabilities = []struct{ text, problem string }{
	{"", "segment 1 is empty"},
	{":", "segment 1 is empty"},
	{":a", "segment 1 is empty"},
	{"a:", "segment 2 is empty"},
	{"a:b::d", "segment 3 is empty"},
	{"a:b*", `segment 2: "*" must stand alone; a literal one is written %2A`},
	{"**", `segment 1: "*" must stand alone; a literal one is written %2A`},
	{"*a", `segment 1: "*" must stand alone; a literal one is written %2A`},
	{"a b", "segment 1: a space is written %20"},
	{"a: ", "segment 2: a space is written %20"},
	{"a\nb", "segment 1: each byte of a control character is written as % and two upper-case hex digits"},
	{"a\x00", "segment 1: each byte of a control character is written as % and two upper-case hex digits"},
	{"\x7f", "segment 1: each byte of a control character is written as % and two upper-case hex digits"},
	{"\u0085", "segment 1: each byte of a control character is written as % and two upper-case hex digits"},
	{"a\xff", "segment 1: not UTF-8; each such byte is written as % and two upper-case hex digits"},
	{"\xc3%A9", "segment 1: not UTF-8; each such byte is written as % and two upper-case hex digits"},
	{"%C3\xa9", "segment 1: not UTF-8; each such byte is written as % and two upper-case hex digits"},
	{"%", `segment 1: "%" must be followed by two upper-case hex digits; a literal one is written %25`},
	{"a:%2", `segment 2: "%" must be followed by two upper-case hex digits; a literal one is written %25`},
	{"%2:A", `segment 1: "%" must be followed by two upper-case hex digits; a literal one is written %25`},
	{"%2a", `segment 1: "%" must be followed by two upper-case hex digits; a literal one is written %25`},
	{"%FF%f", `segment 1: "%" must be followed by two upper-case hex digits; a literal one is written %25`},
	{"%41", "segment 1: %41 encodes what is written as itself"},
	{"a:x%2F", "segment 2: %2F encodes what is written as itself"},
	{"%C3%A9", "segment 1: %C3%A9 encodes what is written as itself"},
	{"%FF%F0%9F%94%91", "segment 1: %F0%9F%94%91 encodes what is written as itself"},
	{"%EF%BF%BD", "segment 1: %EF%BF%BD encodes what is written as itself"},
	{strings.Repeat("a:", 16) + "a", "more than 16 segments"},
	{strings.Repeat("a", 513), "longer than 512 bytes"},
	{strings.Repeat("\n", 1<<20), "longer than 512 bytes"},
}

var wellFormedCapabilities = []string{
	"a", "*", "*:*", "reports:read", "dataset:*:query:read", "é", "日本:語", "a/b.c-d_e+f@g",
	"%3A", "%2A", "%25", "%20", "%00", "%0A", "%7F", "%C2%85", // encoded, as they must be
	"%FF", "%C3", "%C3a", "%C3é", "%C3%C3%C2%85", "%E2%82", "%ED%A0%80", "%C0%80", // not UTF-8
	"\uFFFD", "\u00A0", "\u2028",
	strings.Repeat("a:", 15) + "*", strings.Repeat("a", 512),
}

func TestAWellFormedCapabilityIsParsedAsItIs(t *testing.T) {
	c, err := ParseCapabilities(wellFormedCapabilities)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.String(), strings.Join(wellFormedCapabilities, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestEveryMalformedCapabilityIsPointedAt(t *testing.T) {
	texts := []string{"fine"}
	for _, m := range malformedCapabilities {
		texts = append(texts, m.text)
	}
	c, err := ParseCapabilities(texts)
	if c.Len() != 0 {
		t.Errorf("some were kept: %s", c)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != len(malformedCapabilities) {
		t.Fatalf("not %d joined errors: %v", len(malformedCapabilities), err)
	}
	for i, err := range joined.Unwrap() {
		want := InputError{Field: fmt.Sprintf("Capabilities[%d]", i+1), Problem: malformedCapabilities[i].problem}
		if got, ok := errors.AsType[*InputError](err); !ok || *got != want {
			t.Errorf("%.40q: got %v, want %v", malformedCapabilities[i].text, err, &want)
		}
	}
}

// It fails without the refusal of the empty capability, and without the look at the form of what is
// asked for (internal/mutants).
func TestAMalformedCapabilityIsNeverCovered(t *testing.T) {
	c := Allow("*", "*:*", "a")
	for _, m := range malformedCapabilities {
		x := Capability(m.text)
		if c.Allows(x) {
			t.Errorf("%.40q is covered", x)
		}
		for _, text := range wellFormedCapabilities {
			if x.covers(Capability(text)) {
				t.Errorf("%.40q covers %q", x, text)
			}
		}
		if m.text == "" || strings.Contains(m.text, " ") {
			continue // no set has it: see TestACapabilityInARecordIsOne
		}
		// Nor by itself, and it covers nothing, if a damaged record has it.
		bad := Capabilities{text: m.text}
		if bad.Allows(x) || c.Contains(bad) || c.Intersect(bad).Len() > 0 || bad.Intersect(bad).Len() > 0 {
			t.Errorf("a malformed member %.40q counts", x)
		}
		for _, text := range wellFormedCapabilities {
			if bad.Allows(Capability(text)) {
				t.Errorf("a malformed member %.40q covers %q", x, text)
			}
		}
	}
	for _, x := range []Capability{"ab", "a:b", "ab:c", "ba"} {
		for _, glob := range []Capability{"a*", "*a", "**", "a*:c", "*b", "a:b*", "a:*b"} {
			if (Capabilities{text: string(glob)}).Allows(x) {
				t.Errorf("a malformed member %q covers %q", glob, x)
			}
		}
	}
}

func TestTooManyCapabilitiesAreRefusedUnparsed(t *testing.T) {
	texts := slices.Repeat([]string{"*a"}, 257)
	_, err := ParseCapabilities(texts)
	if got, ok := err.(*InputError); !ok || *got != (InputError{"Capabilities", "257 of them; at most 256"}) {
		t.Errorf("got %v", err)
	}
	if _, err := ParseCapabilities(slices.Repeat([]string{"a"}, 256)); err != nil {
		t.Errorf("256: %v", err)
	}
}

func TestAllowPanicsSayingWhichAndWhere(t *testing.T) {
	for _, tt := range []struct {
		caps []Capability
		want string
	}{
		{[]Capability{"a", "b:"}, `remint: Allow: malformed capability "b:": segment 2 is empty`},
		{[]Capability{""}, `remint: Allow: malformed capability "": segment 1 is empty`},
		{[]Capability{"a\n"}, `remint: Allow: malformed capability "a\n": segment 1: each byte of a control character is written as % and two upper-case hex digits`},
		{[]Capability{Capability(strings.Repeat("x", 1e6))}, `remint: Allow: malformed capability "` + strings.Repeat("x", 80) + `": longer than 512 bytes`},
	} {
		func() {
			defer func() {
				if got := recover(); got != tt.want {
					t.Errorf("got panic %v\nwant %v", got, tt.want)
				}
			}()
			Allow(tt.caps...)
		}()
	}
	mustCapability("Require", "a:*")
}

func TestASetIsImmutableAndKeepsTheOrderWithoutDuplicates(t *testing.T) {
	given := []Capability{"b", "a", "b", "a:x", "a"}
	c := Allow(given...)
	given[0], given[1] = "*", "*"
	want := []Capability{"b", "a", "a:x"}
	got := slices.Collect(c.All())
	if !slices.Equal(got, want) || c.Len() != 3 || c.String() != "b a a:x" {
		t.Errorf("got %q: %s", got, c)
	}
	got[0] = "*"
	if c.Allows("c") {
		t.Error("changed from outside")
	}
	for m := range c.All() {
		if m == "b" {
			break
		}
		t.Error("All does not stop")
	}
}

func TestSetsWithTheSameMembersAreEqual(t *testing.T) {
	for _, tt := range []struct {
		c, d Capabilities
		want bool
	}{
		{Capabilities{}, Allow(), true},
		{Allow("a", "b"), Allow("b", "a", "b"), true},
		{Allow("a", "b"), Allow("a"), false},
		{Allow("a"), Allow("b"), false},
		{Allow("a", "a:b"), Allow("a"), false}, // though each contains the other
	} {
		if tt.c.Equal(tt.d) != tt.want || tt.d.Equal(tt.c) != tt.want {
			t.Errorf("%q and %q: want %v", tt.c, tt.d, tt.want)
		}
	}
}

func TestIntersectHasOnlyWhatIsNeededInOrder(t *testing.T) {
	long := Capability(strings.Repeat("x", 300))
	for _, tt := range []struct{ c, d, want Capabilities }{
		{Allow("a"), Allow("b"), Allow()},
		{Allow("a"), Allow("a:b"), Allow("a:b")},
		{Allow("*"), Allow("b", "a:*"), Allow("b", "a:*")},
		{Allow("b", "a"), Allow("a:x", "b:x", "a:y"), Allow("b:x", "a:x", "a:y")},
		{Allow("a:*"), Allow("*:b"), Allow("a:b")},
		{Allow("a:*:c"), Allow("*:b"), Allow("a:b:c")},
		{Allow("a:b", "a"), Allow("a"), Allow("a")},
		{Allow("a:*", "*:b"), Allow("*:b", "a:*"), Allow("a:*", "*:b")},
		{Allow("*:" + long), Allow(long + ":*"), Allow()}, // nothing that both allow is short enough
	} {
		if got := tt.c.Intersect(tt.d); got.String() != tt.want.String() {
			t.Errorf("%q and %q: got %q, want %q", tt.c, tt.d, got, tt.want)
		}
	}

	var c, d []Capability
	for i := range 40 {
		c = append(c, Capability(fmt.Sprintf("*:%d", i)))
		d = append(d, Capability(fmt.Sprintf("%d:*", i)))
	}
	if got := Allow(c...).Intersect(Allow(d...)); got.Len() != 40*40 {
		t.Errorf("got %d members", got.Len())
	}
}

// Where many pairs meet in one capability, each of them is looked for once: with 64 members on
// either side, 4,096 pairs and a search for each would take a quarter of a minute.
func TestPairsThatMeetInOneCapabilityAreOne(t *testing.T) {
	var c, d []Capability
	for n := range 64 {
		a, b := make([]string, 16), make([]string, 16)
		for i := range a {
			a[i], b[i] = "x", "x"
			if n>>i&1 == 1 {
				a[i], b[15-i] = "*", "*"
			}
		}
		c, d = append(c, Capability(strings.Join(a, ":"))), append(d, Capability(strings.Join(b, ":")))
	}
	met := Allow(c...).Intersect(Allow(d...))
	if want := "x" + strings.Repeat(":x", 15); met.String() != want {
		t.Errorf("got %q, want %q", met, want)
	}
}

func TestCapabilitiesAreAnArrayInJSON(t *testing.T) {
	type holder struct {
		C Capabilities `json:"c"`
	}
	for _, tt := range []struct {
		c    Capabilities
		want string
	}{
		{Capabilities{}, `{"c":[]}`},
		{Allow("b:*", "a"), `{"c":["b:*","a"]}`},
		{Allow(Join("<&>\"\\é\u2028\n\xff")), `{"c":["\u003c\u0026\u003e\"\\é\u2028%0A%FF"]}`},
	} {
		text, err := json.Marshal(holder{tt.c})
		if err != nil || string(text) != tt.want {
			t.Errorf("%q: got %s, %v", tt.c, text, err)
		}
		var back holder
		if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(back.C, tt.c) {
			t.Errorf("%s: got %q, %v", text, back.C, err)
		}
	}
}

func TestCapabilitiesFromJSONAreParsedStrictly(t *testing.T) {
	for _, tt := range []struct{ text, want, err string }{
		{`["a","b","a"]`, "a b", ""},
		{`[]`, "", ""},
		{`null`, "", ""},
		{`["a","b:"]`, "", "remint: Capabilities[1]: segment 2 is empty"},
		{`["a",null]`, "", "remint: Capabilities[1]: segment 1 is empty"},
		{`["a",1]`, "", "remint: Capabilities: not an array of strings"},
		{`"a"`, "", "remint: Capabilities: not an array of strings"},
		{`{}`, "", "remint: Capabilities: not an array of strings"},
	} {
		c := Allow("*") // nothing of what was there may stay
		err := json.Unmarshal([]byte(tt.text), &c)
		_, isInput := errors.AsType[*InputError](err)
		if c.String() != tt.want || (err == nil) != (tt.err == "") || err != nil && (err.Error() != tt.err || !isInput) {
			t.Errorf("%s: got %q, %v", tt.text, c, err)
		}
	}
}

func TestJoinEncodesWhateverItIsGiven(t *testing.T) {
	for _, tt := range []struct {
		segments []string
		want     Capability
		ok       bool
	}{
		{[]string{"dataset", "logs", "query"}, "dataset:logs:query", true},
		{[]string{"*"}, "%2A", true},
		{[]string{"a:b", "100%", "c d"}, "a%3Ab:100%25:c%20d", true},
		{[]string{"é\u0085\x00\xc3"}, "é%C2%85%00%C3", true},
		{[]string{"%2A"}, "%252A", true},
		{nil, "", false},
		{[]string{""}, "", false},
		{[]string{"a", "", "b"}, "a::b", false},
		{slices.Repeat([]string{"a"}, 17), Capability(strings.Repeat("a:", 16) + "a"), false},
	} {
		got := Join(tt.segments...)
		if got != tt.want || (got.problem() == "") != tt.ok || Allow("*").Allows(got) != tt.ok {
			t.Errorf("%q: got %q (%s)", tt.segments, got, got.problem())
		}
	}
}

func TestAllowsAllocatesNothing(t *testing.T) {
	c := Allow("reports:read", "dataset:*:query", "a:%20:*", "%C2%85")
	for _, x := range []Capability{
		"dataset:logs:query:read", "dataset:logs:ingest", "a:%20:é%FF", "%C2%85",
		"", "reports:read:", "reports:read:%41", "dataset:*:query:\xff", Capability(strings.Repeat("a", 600)),
	} {
		if n := testing.AllocsPerRun(100, func() { c.Allows(x) }); n != 0 {
			t.Errorf("%.40q: %v allocations", x, n)
		}
	}
}

// The rules once more, slowly and from decoded segments.

// refStar stands for the segment "*"; no decoded segment is empty.
const refStar = ""

var refEscape = regexp.MustCompile("%[0-9A-F]{2}")

func refSplit(x Capability) (segments []string, ok bool) {
	if len(x) > 512 {
		return nil, false
	}
	for text := range strings.SplitSeq(string(x), ":") {
		if text == "*" {
			segments = append(segments, refStar)
			continue
		}
		decoded := refEscape.ReplaceAllStringFunc(text, func(s string) string {
			var b byte
			if _, err := fmt.Sscanf(s, "%%%02X", &b); err != nil {
				panic(err)
			}
			return string([]byte{b})
		})
		if decoded == "" || refEncode(decoded) != text {
			return nil, false
		}
		segments = append(segments, decoded)
	}
	return segments, len(segments) <= 16
}

func refEncode(s string) (text string) {
	for i, r := range s {
		_, size := utf8.DecodeRuneInString(s[i:])
		if strings.ContainsRune(":*% ", r) || unicode.Is(unicode.Cc, r) || r == utf8.RuneError && size == 1 {
			for _, b := range []byte(s[i : i+size]) {
				text += fmt.Sprintf("%%%02X", b)
			}
		} else {
			text += s[i : i+size]
		}
	}
	return text
}

func refAllows(members []Capability, x Capability) bool {
	asked, ok := refSplit(x)
	return ok && slices.ContainsFunc(members, func(m Capability) bool {
		given, _ := refSplit(m)
		if len(given) > len(asked) {
			return false
		}
		for i, s := range given {
			if s != refStar && s != asked[i] {
				return false
			}
		}
		return true
	})
}

func genCapability() *rapid.Generator[Capability] {
	return rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "*"}), 1, 3), func(s []string) Capability {
		return Capability(strings.Join(s, ":"))
	})
}

func genCapabilities() *rapid.Generator[Capabilities] {
	return rapid.Map(rapid.SliceOfN(genCapability(), 0, 5), func(s []Capability) Capabilities { return Allow(s...) })
}

// genText makes texts that are often malformed, and often only just.
func genText() *rapid.Generator[Capability] {
	pieces := rapid.SampledFrom([]string{
		"a", "b", ":", ":", "*", ":*:", " ", "\n", "%", "%2", "%20", "%2A", "%2a", "%41",
		"é", "\xc3", "\xa9", "%C3", "%A9", "\u0085", "%C2", "%85", "\uFFFD", "%EF", "%BF", "%BD", "%FF", "\xff",
	})
	return rapid.Map(rapid.SliceOfN(pieces, 0, 6), func(s []string) Capability { return Capability(strings.Join(s, "")) })
}

// genSegments makes lists of literal segments, none of them empty.
func genSegments() *rapid.Generator[[]string] {
	piece := rapid.SampledFrom([]string{"a", ":", "*", "%", "2A", " ", "\n", "é", "\xc3", "\xa9", "\u0085", "\xff"})
	segment := rapid.Map(rapid.SliceOfN(piece, 1, 4), func(s []string) string { return strings.Join(s, "") })
	return rapid.SliceOfN(segment, 1, 4)
}

// everyCapability is every one over a, b and "*", deeper than genCapability goes.
var everyCapability = func() (all []Capability) {
	level := []Capability{""}
	for range 4 {
		var next []Capability
		for _, c := range level {
			for _, s := range []Capability{"a", "b", "*"} {
				next = append(next, belowSegment(c, s))
			}
		}
		all, level = append(all, next...), next
	}
	return all
}()

func belowSegment(above, segment Capability) Capability {
	if above == "" {
		return segment
	}
	return above + ":" + segment
}

func TestAllowsAgreesWithTheRulesReadNaively(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genCapabilities().Draw(t, "c")
		for _, x := range everyCapability {
			if got, want := c.Allows(x), refAllows(c.list(), x); got != want {
				t.Fatalf("%q allows %q: %v", c, x, got)
			}
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		x := genText().Draw(t, "x")
		_, want := refSplit(x)
		if got := x.problem() == ""; got != want {
			t.Fatalf("%q is well formed: %v (%s)", x, got, x.problem())
		}
		m := genText().Filter(func(m Capability) bool { return m.problem() == "" }).Draw(t, "m")
		if got, want := Allow(m).Allows(x), refAllows([]Capability{m}, x); got != want {
			t.Fatalf("%q allows %q: %v", m, x, got)
		}
		below := m + ":" + x
		if got, want := Allow(m).Allows(below), refAllows([]Capability{m}, below); got != want {
			t.Fatalf("%q allows %q: %v", m, below, got)
		}
	})
}

func TestContainsMeansAllowingEverythingThatTheOtherAllows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, d, e := genCapabilities().Draw(t, "c"), genCapabilities().Draw(t, "d"), genCapabilities().Draw(t, "e")
		want := !slices.ContainsFunc(everyCapability, func(x Capability) bool { return d.Allows(x) && !c.Allows(x) })
		if got := c.Contains(d); got != want {
			t.Fatalf("%q contains %q: %v", c, d, got)
		}
		if !c.Contains(c) {
			t.Fatalf("%q does not contain itself", c)
		}
		if c.Contains(d) && d.Contains(e) && !c.Contains(e) {
			t.Fatalf("%q contains %q, which contains %q, which it does not", c, d, e)
		}
	})
}

// It holds for a "*" that is asked for as well: where one of two members has a
// literal instead of it, the meet of them has it too.
func TestIntersectAllowsExactlyWhatBothAllow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, d := genCapabilities().Draw(t, "c"), genCapabilities().Draw(t, "d")
		both := c.Intersect(d)
		for _, x := range everyCapability {
			if got, want := both.Allows(x), c.Allows(x) && d.Allows(x); got != want {
				t.Fatalf("%q and %q: %q allows %q: %v", c, d, both, x, got)
			}
		}
		for i, m := range both.list() {
			for j, other := range both.list() {
				if i != j && m.covers(other) {
					t.Fatalf("%q and %q: in %q, %q covers %q", c, d, both, m, other)
				}
			}
		}
		if !d.Intersect(c).Equal(both) {
			t.Fatalf("%q and %q: %q, and %q the other way round", c, d, both, d.Intersect(c))
		}
	})
}

func TestJoinedSegmentsMeanThemselvesAndNothingWider(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, u := genSegments().Draw(t, "s"), genSegments().Draw(t, "u")
		if rapid.Bool().Draw(t, "below") {
			u = append(slices.Clone(s), u...)
		}
		c, d := Join(s...), Join(u...)
		if back, ok := refSplit(c); !ok || !slices.Equal(back, s) {
			t.Fatalf("%q came back from %q as %q", s, c, back)
		}
		if parsed, err := ParseCapabilities([]string{string(c)}); err != nil || parsed.String() != string(c) {
			t.Fatalf("%q was parsed as %q, %v", c, parsed, err)
		}
		isBelow := len(u) >= len(s) && slices.Equal(u[:len(s)], s)
		if got := Allow(c).Allows(d); got != isBelow {
			t.Fatalf("%q covers %q: %v", c, d, got)
		}
		if (c == d) != slices.Equal(s, u) {
			t.Fatalf("%q is of both %q and %q, or not of the same", c, s, u)
		}
		if Allow(c).Allows("*") || strings.Contains(string(c), "*") {
			t.Fatalf("%q is a pattern", c)
		}
	})
}

func TestWhatIsSaidAboutInputIsShortAndPrintable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkProblem(t, Capability(rapid.SliceOfN(rapid.Byte(), 0, 600).Draw(t, "x")))
		checkProblem(t, genText().Draw(t, "text"))
	})
}

func checkProblem(t interface{ Fatalf(string, ...any) }, x Capability) {
	p := x.problem()
	if len(p) > 120 || strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Fatalf("%q: %q", x, p)
	}
}

func FuzzCapability(f *testing.F) {
	for _, m := range malformedCapabilities {
		f.Add(m.text)
	}
	for _, text := range wellFormedCapabilities {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		x := Capability(text)
		checkProblem(t, x)
		segments, want := refSplit(x)
		c, err := ParseCapabilities([]string{text})
		if (err == nil) != want {
			t.Fatalf("%q: %v", text, err)
		}
		if Allow("*").Allows(x) != want {
			t.Fatalf("* allows %q: %v", text, !want)
		}
		joined := Join(text) // no text is beyond Join, whatever it is as a capability
		if back, ok := refSplit(joined); ok && !slices.Equal(back, []string{text}) {
			t.Fatalf("%q came back from %q as %q", text, joined, back)
		}
		if err != nil {
			return
		}
		if c.String() != text || !c.Allows(x) {
			t.Fatalf("%q was parsed as %q", text, c)
		}
		var again Capability
		for _, s := range segments {
			if s == refStar {
				again = belowSegment(again, "*")
			} else {
				again = belowSegment(again, Join(s))
			}
		}
		if again != x {
			t.Fatalf("%q was put together as %q", text, again)
		}
		if m := x.meet(x); m != x {
			t.Fatalf("%q meets itself in %q", x, m)
		}
		encoded, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back Capabilities
		if err := json.Unmarshal(encoded, &back); err != nil || !back.Equal(c) {
			t.Fatalf("%q came back from %s as %q, %v", c, encoded, back, err)
		}
	})
}
