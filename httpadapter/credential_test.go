package httpadapter

import (
	"net/http"
	"strings"
	"testing"
)

func TestACredentialIsOneBearerTokenInOneHeader(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []string
		text    string
		what    presented
	}{
		{"none", nil, "", nothing},
		{"empty", []string{""}, "", nothing},
		{"another scheme", []string{"Basic dXNlcjpwYXNz"}, "", nothing},
		{"a scheme that begins with Bearer", []string{"BearerX abc"}, "", nothing},
		{"a scheme of letters that fold to Bearer", []string{"ſearer abc"}, "", nothing},
		{"the word without a token", []string{"Bearer"}, "", nothing},
		{"the word and spaces", []string{"Bearer   "}, "", nothing},
		{"a token without the word", []string{"pk_abc"}, "", nothing},
		{"usual", []string{"Bearer pk_abc"}, "pk_abc", token},
		{"lower case", []string{"bearer pk_abc"}, "pk_abc", token},
		{"upper case", []string{"BEARER pk_abc"}, "pk_abc", token},
		{"several spaces", []string{"Bearer   pk_abc"}, "pk_abc", token},
		{"all characters of token68", []string{"Bearer aZ09-._~+/=="}, "aZ09-._~+/==", token},
		{"a tab", []string{"Bearer\tpk_abc"}, "", nothing},
		{"a space within", []string{"Bearer pk_ abc"}, "pk_ abc", token}, // of no form: the issuer's to judge
		{"a list", []string{"Bearer pk_abc,Bearer pk_def"}, "pk_abc,Bearer pk_def", token},
		{"not ASCII", []string{"Bearer pk_äbc"}, "pk_äbc", token},
		{"two", []string{"Bearer pk_abc", "Bearer pk_def"}, "", garbage},
		{"the same twice", []string{"Bearer pk_abc", "Bearer pk_abc"}, "", garbage},
		{"two, one of another scheme", []string{"Basic dXNlcjpwYXNz", "Bearer pk_abc"}, "", garbage},
	} {
		t.Run(c.name, func(t *testing.T) {
			text, what := credential(http.Header{"Authorization": c.headers})
			if text != c.text || what != c.what {
				t.Errorf("got %q, %d; want %q, %d", text, what, c.text, c.what)
			}
		})
	}
}

func FuzzACredentialIsWhatFollowsTheWord(f *testing.F) {
	f.Add("Bearer pk_abc")
	f.Add("bearer  a==")
	f.Add("Basic x")
	f.Fuzz(func(t *testing.T, value string) {
		text, what := credential(http.Header{"Authorization": {value}})
		if (what == token) != (text != "") {
			t.Fatalf("%q: %q, %d", value, text, what)
		}
		if what != token {
			return
		}
		word, ok := strings.CutSuffix(value, text)
		if !ok || text[0] == ' ' || !strings.EqualFold(strings.TrimRight(word, " "), "bearer") || !strings.HasSuffix(word, " ") {
			t.Errorf("%q gave %q", value, text)
		}
	})
}
