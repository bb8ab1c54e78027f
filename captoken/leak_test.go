package captoken_test

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"testing"
	"text/template"

	"github.com/remint-go/remint"
	"github.com/remint-go/remint/captoken"
)

// forms are the ways in which somebody might write bytes down.
func forms(b []byte) map[string]string {
	all := map[string]string{
		"raw": string(b), "hex": hex.EncodeToString(b), "HEX": strings.ToUpper(hex.EncodeToString(b)),
		"base64":    strings.TrimRight(base64.StdEncoding.EncodeToString(b), "="),
		"base64url": base64.RawURLEncoding.EncodeToString(b),
		"quoted":    strings.Trim(fmt.Sprintf("%q", b), `"`),
	}
	for name, how := range map[string][2]string{
		"bytes": {"%d", " "}, "json": {"%d", ","}, "Go": {"0x%x", ", "}, "HEX list": {"%X", " "}, "hex list": {"%x", " "}, "octal": {"%o", " "},
	} {
		var list []string
		for _, x := range b {
			list = append(list, fmt.Sprintf(how[0], x))
		}
		all[name] = strings.Join(list, how[1])
	}
	return all
}

type failure struct{ v any }

func (f failure) Error() string { return fmt.Sprintf("failed with %+v", f.v) }

// placements puts a value where printers look: and where they look without calling methods.
func placements[T any](v T) map[string]any {
	return map[string]any{
		"itself": v, "a pointer": &v, "a field": struct{ V T }{v}, "an unexported field": struct{ v T }{v},
		"a pointer in an unexported field": struct{ v *T }{&v}, "a slice": []T{v}, "a map": map[string]T{"k": v},
		"a slice in an unexported field": struct{ s []T }{[]T{v}}, "a map in an unexported field": struct{ m map[string]T }{map[string]T{"k": v}},
		"an array in an unexported field": struct{ a [2]T }{[2]T{v, v}}, "an any in an unexported field": struct{ v any }{v},
		"nested": &struct{ a struct{ b []any } }{struct{ b []any }{[]any{v, &v}}}, "an error": failure{v}, "a wrapped error": fmt.Errorf("x: %w", failure{v}),
	}
}

func printers() map[string]func(any) string {
	all := map[string]func(any) string{
		"Sprint": func(v any) string { return fmt.Sprint(v) },
		"Errorf": func(v any) string { return fmt.Errorf("bad: %v %+v %#v", v, v, v).Error() },
		"json":   func(v any) string { b, err := json.Marshal(v); return string(b) + fmt.Sprint(err) },
		"xml":    func(v any) string { b, err := xml.Marshal(v); return string(b) + fmt.Sprint(err) },
		"gob": func(v any) string {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(v)
			return b.String() + fmt.Sprint(err)
		},
		"template": func(v any) string {
			var b strings.Builder
			err := template.Must(template.New("").Parse("{{.}} {{printf `%#v` .}}")).Execute(&b, v)
			return b.String() + fmt.Sprint(err)
		},
		"panic": func(v any) (out string) {
			defer func() { out = fmt.Sprint(recover()) + string(debug.Stack()) }()
			panic(v)
		},
		"joined": func(v any) string { return fmt.Sprintf("%+v", errors.Join(failure{v}, errors.New("x"))) },
	}
	for _, verb := range []string{
		"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%#x", "%d", "%T", "%p", "%t", "%c", "%U", "%e", "%o", "%O", "%b", "%100v", "%-20s", "%z",
	} {
		all[verb] = func(v any) string { return fmt.Sprintf(verb, v) }
	}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"slog json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		all[name] = func(v any) string {
			var b bytes.Buffer
			log := slog.New(handler(&b))
			log.Info("m", "v", v)
			log.With("v", v).Info("m", slog.Group("g", "v", v))
			return b.String()
		}
	}
	return all
}

// printed returns what is printed, or what a printer that does not know what to do panics with.
func printed(print func(any) string, v any) (out string) {
	defer func() {
		if p := recover(); p != nil {
			out = fmt.Sprint(p)
		}
	}()
	return print(v)
}

// It fails without the redaction of a SigningKey (internal/mutants).
func TestAPrivateKeyIsInNothingThatIsPrintedLoggedOrEncoded(t *testing.T) {
	b := newBed(t)
	k1, k2 := signingKey(t, "k1", "k1"), signingKey(t, "k2", "k2")
	s := b.newSigner(k1, k2)
	options := captoken.SignerOptions{Keys: []captoken.SigningKey{k1, k2}, Issuer: "i", May: remint.Allow("a")}
	_, err := captoken.NewSigner(b.op, &captoken.SignerOptions{Keys: []captoken.SigningKey{k1, k1}})
	values := map[string]map[string]any{
		"SigningKey": placements(k1), "Signer": placements(s), "a copied Signer": placements(*s), "SignerOptions": placements(options),
		"NewSigner's error": placements(err), "the sealing Sign": placements(s.Sign), "a JWK Set": placements(s.JWKS()),
	}
	outputs := 0
	for what, places := range values {
		t.Run(what, func(t *testing.T) {
			for where, v := range places {
				for how, print := range printers() {
					out := printed(print, v)
					outputs++
					for _, name := range []string{"k1", "k2"} {
						seed := keyOf(name).Seed()
						for form, text := range forms(seed) {
							if strings.Contains(out, text) {
								t.Fatalf("%s of %s in %s holds the private key (%s): %.200q", how, what, where, form, out)
							}
						}
						for form, text := range forms(seed[:12]) {
							if strings.Contains(out, text) {
								t.Fatalf("%s of %s in %s holds the beginning of the private key (%s): %.200q", how, what, where, form, out)
							}
						}
					}
				}
			}
		})
	}
	if outputs < 1000 {
		t.Errorf("only %d outputs: the matrix is not what it was", outputs)
	}
	if got := fmt.Sprintf("%v %s %x", k1, &k1, k1); got != strings.TrimSpace(strings.Repeat("captoken.SigningKey(k1, redacted) ", 3)) {
		t.Error(got)
	}
	if got := fmt.Sprintf("%v %+v %#v", s, s, s); got != "captoken.Signer captoken.Signer captoken.Signer" {
		t.Error(got)
	}
}

// That the forms are those of a key which is printed: else the test above proves nothing.
func TestTheFormsFindAKeyThatIsPrinted(t *testing.T) {
	begin := keyOf("k1").Seed()[:12]
	for form, print := range map[string]string{"bytes": "%v", "Go": "%#v", "hex": "%x", "HEX": "%X", "raw": "%s", "quoted": "%q"} {
		if out := fmt.Sprintf(print, struct{ k []byte }{keyOf("k1")}); !strings.Contains(out, forms(begin)[form]) {
			t.Errorf("%s is not found in %s: %.200q", form, print, out)
		}
	}
}

func TestEncodingASigningKeyFails(t *testing.T) {
	k := signingKey(t, "k1", "k1")
	for what, v := range map[string]any{"itself": k, "a pointer": &k, "a field": struct{ K captoken.SigningKey }{k}, "zero": captoken.SigningKey{}} {
		if out, err := json.Marshal(v); err == nil {
			t.Errorf("json of %s = %s", what, out)
		}
		if err := gob.NewEncoder(new(bytes.Buffer)).Encode(v); err == nil {
			t.Errorf("gob of %s went through", what)
		}
	}
}

// An error goes to logs, and the text is a credential.
func TestNoErrorHoldsTheToken(t *testing.T) {
	b := newBed(t)
	g := b.issue(remint.Spec{})
	text := b.sign(g.Token.ID(), request())
	p := strings.Split(text, ".")
	good := claims(g.Token.ID())
	secret := "sk-a-credential-of-something-else-0123456789"
	var errs []error
	try := func(text string) {
		_, err := b.verifier.Verify(text, nowhere)
		if err == nil {
			t.Errorf("%s was accepted", text)
		}
		_, live := b.verifier.VerifyLive(t.Context(), b.op, text, nowhere)
		_, extra := b.verifier.Extra(t.Context(), text, g.Token, nowhere)
		errs = append(errs, err, live, extra)
	}
	for i := range text {
		try(text[:i])
	}
	try(secret)
	try(secret + "." + secret + "." + secret)
	try(p[0] + "." + p[1] + "." + b64(strings.Repeat("s", 64)))
	for _, name := range []string{"iss", "sub", "aud", "owner", "cap", "net", "iat", "exp", "epoch", secret} {
		try(raw(goodHeader, good.with(name, quote(secret)).String(), "k1"))
		try(raw(goodHeader, good.with(name, "["+quote(secret)+"]").String(), "k1"))
		try(raw(goodHeader, good.with(name, "[["+quote(secret)+"]]").String(), "k1"))
	}
	for _, header := range []object{{"alg": quote(secret)}, {"alg": `"EdDSA"`, "typ": quote(secret), "kid": `"k1"`}, {secret: "1", "alg": `"EdDSA"`, "typ": `"remint-cap+jwt"`, "kid": `"k1"`}} {
		try(raw(header.String(), good.String(), "k1"))
	}
	b.now = start.Add(captoken.MaxLifetime)
	try(text)
	for _, err := range errs {
		out := fmt.Sprintf("%v %+v %#v", err, err, err)
		for _, bad := range []string{p[0][:8], p[1][:8], p[1][len(p[1])-8:], p[2][:8], secret, secret[:10], b64(secret)[:10]} {
			if strings.Contains(out, bad) {
				t.Fatalf("an error holds %s: %s", bad, out)
			}
		}
	}
}
