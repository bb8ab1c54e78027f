package httpadapter

import (
	"regexp"
	"strings"
	"testing"
)

// What a client may say of a body that is UTF-8: the type alone, or with a charset, in any case.
var (
	jsonType1 = regexp.MustCompile(`(?i)^application/(json|[a-z0-9][a-z0-9.-]*\+json)( *; *charset=("utf-8"|utf-8))? *$`)
	formType1 = regexp.MustCompile(`(?i)^application/x-www-form-urlencoded( *; *charset=("utf-8"|utf-8))? *$`)
)

var charsetText = regexp.MustCompile(`(?i)^\s*charset\s*=\s*"?([a-z0-9_-]*)"?\s*$`)

// FuzzContentType: a body is read as JSON, or as a form, where its type says so, and in no other
// charset than UTF-8; what says something else is not read.
func FuzzContentType(f *testing.F) {
	for _, text := range []string{
		"application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=\"UTF-8\"", "application/merge-patch+json",
		"application/x-www-form-urlencoded", "application/x-www-form-urlencoded; charset=UTF-8",
		"", "text/plain", "text/json", "application/json; charset=utf-16", "application/json; charset=", "application/json; charset",
		"application/json; charset=utf-8; charset=utf-8", "application/json, text/plain", "application/jsonx",
		"application/json;", "application /json", "application/json/x", "application/+json", "json", "*/*",
		"application/json; boundary=x", "application/json\x00", "multipart/form-data",
		"application/x-www-form-urlencoded; charset=latin1",
		"application/json; charset*=utf-8''utf-8", "application/json; charset=\"utf-8", "application/x+json", "text/x+json",
	} {
		f.Add(text, "")
	}
	f.Add("application/json", "application/json")
	f.Add("application/json", "text/plain")
	f.Fuzz(func(t *testing.T, one, two string) {
		types := []string{one}
		if two != "" {
			types = append(types, two)
		}
		asJSON, asForm := isJSON(types), isForm(types)
		if asJSON && asForm {
			t.Fatalf("%q is both", types)
		}
		if len(types) > 1 {
			if asJSON || asForm {
				t.Fatalf("of %q one counts", types)
			}
			return
		}
		if jsonType1.MatchString(one) && !asJSON || formType1.MatchString(one) && !asForm {
			t.Fatalf("%q is refused", one)
		}
		// Whatever is after it, the type is what comes first.
		name, rest, _ := strings.Cut(one, ";")
		name = strings.ToLower(strings.TrimSpace(name))
		named := name == "application/json" || strings.HasPrefix(name, "application/") && strings.HasSuffix(name, "+json")
		if asJSON && !named || asForm && name != "application/x-www-form-urlencoded" {
			t.Fatalf("%q is read", one)
		}
		charset := charsetText.FindStringSubmatch(rest)
		if charset != nil && (asJSON || asForm) && !strings.EqualFold(charset[1], "utf-8") {
			t.Fatalf("%q is read", one)
		}
	})
}
