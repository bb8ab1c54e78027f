package remint_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"runtime/debug"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/remint-go/remint"
)

// A canary is a secret, and all the forms in which it may not appear.
type canary struct {
	name  string
	forms map[string]string
}

// newCanary returns the forms of a token's text. The digest is that of a plain one.
func newCanary(name, text string) canary {
	secret := text[len(text)-49 : len(text)-6]
	sum := sha256.Sum256([]byte(secret))
	c := canary{name, map[string]string{
		"the text": text, "the secret": secret, "the secret in hex": hex.EncodeToString([]byte(secret)),
		"the secret in HEX":    strings.ToUpper(hex.EncodeToString([]byte(secret))),
		"the secret in base64": strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(secret)), "="),
		"the secret as bytes":  listed([]byte(secret), "%d", " "),
		"the secret in Go":     listed([]byte(secret), "0x%x", ", "),
		"half of the secret":   secret[:21], "the other half": secret[22:],
	}}
	for how, form := range encodings(sum[:]) {
		c.forms["the digest "+how] = form
	}
	c.forms["the digest as bytes"] = listed(sum[:], "%d", " ")
	c.forms["the digest as json"] = listed(sum[:], "%d", ",")
	c.forms["the digest in Go"] = listed(sum[:], "0x%x", ", ")
	c.forms["the digest in HEX list"] = listed(sum[:], "%X", " ")
	return c
}

func listed(b []byte, verb, between string) string {
	var all []string
	for _, x := range b {
		all = append(all, fmt.Sprintf(verb, x))
	}
	return strings.Join(all, between)
}

// encodings are the ways in which somebody might write a digest down.
func encodings(b []byte) map[string]string {
	return map[string]string{
		"raw":                b2s(b),
		"in hex":             hex.EncodeToString(b),
		"in HEX":             strings.ToUpper(hex.EncodeToString(b)),
		"in base64":          base64.StdEncoding.EncodeToString(b),
		"in unpadded base64": base64.RawStdEncoding.EncodeToString(b),
		"in URL base64":      base64.RawURLEncoding.EncodeToString(b),
		"in base32":          base32.StdEncoding.EncodeToString(b),
	}
}

func b2s(b []byte) string { return string(b) }

// absent checks that an output holds no form of the canary, but for those that may be there.
func (c canary) absent(t testing.TB, where, output string, allowed ...string) {
	t.Helper()
	for form, text := range c.forms {
		if strings.Contains(output, text) && !contains(allowed, form) {
			t.Errorf("%s holds %s of %s:\n%.300q", where, form, c.name, output)
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// placements puts v where printers look: and where they look without calling methods.
func placements(v any) map[string]any {
	type exported struct{ V any }
	type unexported struct{ v any }
	type embedding struct{ exported }
	var err error = canaryError{v}
	all := map[string]any{
		"itself":                      v,
		"a pointer":                   pointerTo(v),
		"an exported field":           exported{v},
		"an unexported field":         unexported{v},
		"a pointer to such a struct":  &unexported{v},
		"an embedded struct":          embedding{exported{v}},
		"a slice":                     []any{v},
		"a map":                       map[string]any{"k": v},
		"an array in a struct":        struct{ a [1]any }{[1]any{v}},
		"a map in a struct":           struct{ m map[string]any }{map[string]any{"k": v}},
		"a pointer in a struct":       struct{ p any }{pointerTo(v)},
		"a slice of it in a struct":   struct{ s any }{sliceOf(v)},
		"a slice of it":               sliceOf(v),
		"a map of it":                 mapOf(v),
		"a map of it in a struct":     struct{ m any }{mapOf(v)},
		"a struct of it":              structOf(v),
		"a pointer to a struct of it": pointerTo(structOf(v)),
		"an error":                    err,
	}
	switch v := v.(type) {
	case remint.Secret:
		all["a Secret in an unexported field"] = struct{ s remint.Secret }{v}
		all["a Secret embedded"] = struct{ remint.Secret }{v}
		all["a *Secret in an unexported field"] = struct{ s *remint.Secret }{&v}
		all["Secrets in an unexported field"] = struct {
			s []remint.Secret
			m map[string]remint.Secret
			a [2]remint.Secret
		}{[]remint.Secret{v}, map[string]remint.Secret{"k": v}, [2]remint.Secret{v, v}}
	case remint.Grant:
		all["a Grant in an unexported field"] = struct{ g remint.Grant }{v}
		all["a Grant embedded"] = struct{ remint.Grant }{v}
		all["a *Grant in an unexported field"] = struct{ g *remint.Grant }{&v}
	case remint.Actor:
		all["an Actor in an unexported field"] = struct{ a remint.Actor }{v}
		all["an Actor embedded"] = struct{ remint.Actor }{v}
		all["an *Actor in an unexported field"] = struct{ a *remint.Actor }{&v}
	case remint.Token:
		all["a Token in an unexported field"] = struct{ t remint.Token }{v}
		all["a Token embedded"] = struct{ remint.Token }{v}
		all["a *Token in an unexported field"] = struct{ t *remint.Token }{&v}
	}
	return all
}

type canaryError struct{ v any }

func (e canaryError) Error() string { return fmt.Sprintf("failed with %+v", e.v) }

func pointerTo(v any) any {
	p := reflect.New(reflect.TypeOf(v))
	p.Elem().Set(reflect.ValueOf(v))
	return p.Interface()
}

func sliceOf(v any) any {
	s := reflect.MakeSlice(reflect.SliceOf(reflect.TypeOf(v)), 1, 1)
	s.Index(0).Set(reflect.ValueOf(v))
	return s.Interface()
}

func mapOf(v any) any {
	m := reflect.MakeMap(reflect.MapOf(reflect.TypeFor[string](), reflect.TypeOf(v)))
	m.SetMapIndex(reflect.ValueOf("k"), reflect.ValueOf(v))
	return m.Interface()
}

func structOf(v any) any {
	s := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "V", Type: reflect.TypeOf(v)}})).Elem()
	s.Field(0).Set(reflect.ValueOf(v))
	return s.Interface()
}

// printers are all the ways in which a program writes a value down without meaning to.
func printers() map[string]func(any) string {
	all := map[string]func(any) string{
		"Sprint":   func(v any) string { return fmt.Sprint(v) },
		"Sprintln": func(v any) string { return fmt.Sprintln("x", v) },
		"Errorf":   func(v any) string { return fmt.Errorf("bad: %v, %+v", v, v).Error() },
		"Errorf %w": func(v any) string {
			err, _ := v.(error)
			return fmt.Errorf("bad: %w", err).Error()
		},
		"json": func(v any) string {
			b, err := json.Marshal(v)
			return string(b) + fmt.Sprint(err)
		},
		"json, indented": func(v any) string {
			b, err := json.MarshalIndent(v, "", " ")
			return string(b) + fmt.Sprint(err)
		},
		"xml": func(v any) string {
			b, err := xml.Marshal(v)
			return string(b) + fmt.Sprint(err)
		},
		"gob": func(v any) (out string) {
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
		"panic in a group of errors": func(v any) (out string) {
			defer func() { out = fmt.Sprintf("%+v", recover()) }()
			panic(errors.Join(fmt.Errorf("%v", v), canaryError{v}))
		},
	}
	for _, verb := range []string{
		"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%t", "%c", "%U", "%e", "%g", "%o", "%O", "%b", "%w",
		"% x", "%#x", "%+q", "%#q", "%100v", "%.3v", "%-20s", "%[1]v%[1]d", "%!", "%z",
	} {
		all[verb] = func(v any) string { return fmt.Sprintf(verb, v) }
	}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"slog text": func(b *bytes.Buffer) slog.Handler {
			return slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true})
		},
		"slog json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		log := func(write func(*slog.Logger, any)) func(any) string {
			return func(v any) string {
				var b bytes.Buffer
				write(slog.New(handler(&b)), v)
				return b.String()
			}
		}
		all[name] = log(func(l *slog.Logger, v any) { l.Info("m", "v", v) })
		all[name+", in a group"] = log(func(l *slog.Logger, v any) { l.WithGroup("g").Info("m", slog.Group("h", "v", v)) })
		all[name+", as an any"] = log(func(l *slog.Logger, v any) { l.Info("m", slog.Any("v", v)) })
		all[name+", with"] = log(func(l *slog.Logger, v any) { l.With("v", v).Warn("m") })
		all[name+", as a value"] = log(func(l *slog.Logger, v any) { l.Info("m", "v", slog.AnyValue(v)) })
		all[name+", without a key"] = log(func(l *slog.Logger, v any) { l.Info("m", v) })
		all[name+", in the message"] = log(func(l *slog.Logger, v any) { l.Error(fmt.Sprint(v), "err", fmt.Errorf("%v", v)) })
	}
	return all
}

// printed returns what is printed, or what a printer that does not know what to do panics with:
// encoding/xml does, for an unnamed struct that embeds a TextMarshaler.
func printed(print func(any) string, v any) (out string) {
	defer func() {
		if p := recover(); p != nil {
			out = fmt.Sprint(p)
		}
	}()
	return print(v)
}

// It fails without each of these (internal/mutants): the redaction of a Secret by every verb; the
// closure, into which fmt cannot look; the redaction of a Secret in a log; the pointer at which fmt
// stops before a Token's record.
func TestASecretIsInNothingThatIsPrintedLoggedOrEncoded(t *testing.T) {
	b := newBed(t, nil)
	parent := b.issue(remint.Spec{Owner: "o", Name: "n", Capabilities: remint.Allow("a"), Attributes: map[string]string{"k": "v"}})
	older := b.rotate(parent.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(time.Hour)})
	b.accepted(older)
	g := b.rotate(parent.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Hour)})
	session := b.session(parent.Token.ID(), remint.Session{Manages: true})
	canaries := []canary{
		newCanary("the first secret", parent.Secret.Reveal()),
		newCanary("the second secret", older.Secret.Reveal()),
		newCanary("the third secret", g.Secret.Reveal()),
		newCanary("the session", session.Secret.Reveal()),
	}
	bearer := b.Bearer(g.Secret.Reveal(), netip.MustParseAddr("192.0.2.1"))
	values := map[string]any{
		"Secret": g.Secret, "Grant": g, "session's Grant": session, "Token": g.Token, "verified Token": b.accepted(g),
		"Actor": bearer, "needing Actor": bearer.Needing("a"), "Operator": b.op, "Member": b.Member("o", "n", remint.Allow("a")),
		"Spec": g.Token.Spec(), "State": g.Token.State(), "Issuer": b.Issuer, "Event": b.log()[0],
	}
	b.accepted(g) // so that the Issuer has uses to write
	b.accepted(session)
	for what, v := range values {
		t.Run(what, func(t *testing.T) {
			for where, placed := range placements(v) {
				for how, print := range printers() {
					output := printed(print, placed)
					for _, c := range canaries {
						c.absent(t, fmt.Sprintf("%s of %s", how, where), output)
					}
					if t.Failed() {
						return // one example of it is enough
					}
				}
			}
		})
	}
}

func TestEncodingASecretFails(t *testing.T) {
	g := newBed(t, nil).issue(remint.Spec{})
	for name, v := range map[string]any{
		"a Secret": g.Secret, "a *Secret": &g.Secret, "a Grant": g, "a slice": []remint.Secret{g.Secret},
		"a map": map[string]remint.Secret{"k": g.Secret}, "a field": struct{ S remint.Secret }{g.Secret},
		"an any": struct{ S any }{g.Secret}, "a zero Secret": remint.Secret{},
	} {
		if out, err := json.Marshal(v); err == nil {
			t.Errorf("json of %s = %s", name, out)
		}
		if strings.HasPrefix(name, "a map") || name == "an any" {
			continue // xml encodes no maps, gob no unregistered types
		}
		if out, err := xml.Marshal(v); err == nil {
			t.Errorf("xml of %s = %s", name, out)
		}
		var buf bytes.Buffer
		if err := gob.NewEncoder(&buf).Encode(v); err == nil {
			t.Errorf("gob of %s has %d bytes", name, buf.Len())
		}
	}
	if text, err := g.Secret.MarshalText(); err == nil || len(text) != 0 {
		t.Errorf("MarshalText = %q, %v", text, err)
	}
}

// It fails without the refusal of two empty secrets as equal, and without the sense of the
// comparison (internal/mutants).
func TestASecretIsEqualToItselfOnly(t *testing.T) {
	b := newBed(t, nil)
	one, two := b.issue(remint.Spec{}).Secret, b.issue(remint.Spec{}).Secret
	var zero remint.Secret
	if !one.Equal(one) || one.Equal(two) || two.Equal(one) || one.Equal(zero) || zero.Equal(one) {
		t.Error("Equal is wrong")
	}
	if zero.Equal(zero) || zero.Reveal() != "" {
		t.Error("an empty secret equals something")
	}
	if fmt.Sprint(zero) != "[redacted]" || fmt.Sprint(one) != "[redacted]" {
		t.Errorf("Secrets print as %v, %v", zero, one)
	}
}

// everything is a run through all the operations, bad ones included, and returns the secrets
// that it met and the errors.
func everything(b *bed) (secrets []string, errs []error) {
	ctx := b.Context()
	note := func(g remint.Grant, err error) remint.Grant {
		if err == nil {
			secrets = append(secrets, g.Secret.Reveal())
		}
		errs = append(errs, err)
		return g
	}
	fail := func(err error) { errs = append(errs, err) }
	failed := func(_ remint.Token, err error) { errs = append(errs, err) }
	from := netip.MustParseAddr("192.0.2.1")
	a := note(b.op.Issue(ctx, remint.Spec{Owner: "o", Capabilities: remint.Allow("*")}))
	id := a.Token.ID()
	limited := note(b.op.Issue(ctx, remint.Spec{Owner: "o", Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}))
	stranger := note(b.op.Issue(ctx, remint.Spec{Owner: "p"}))
	for _, retire := range []remint.Retirement{{}, remint.RetireAfter(time.Hour), remint.RetireAt(b.in(time.Hour)), remint.RetireAfterFirstUse(time.Hour)} {
		for _, successor := range []*remint.Successor{nil, {}} {
			x := note(b.op.Issue(ctx, remint.Spec{Owner: "o"}))
			y := note(b.op.Rotate(ctx, x.Token.ID(), remint.Rotation{Retire: retire, Successor: successor}))
			failed(b.Verify(ctx, y.Secret.Reveal(), from))
			z := note(b.op.Rotate(ctx, y.Token.ID(), remint.Rotation{Retire: retire, Successor: successor}))
			failed(b.op.CancelRotation(ctx, y.Token.ID()))
			failed(b.op.FinishRotation(ctx, y.Token.ID()))
			failed(b.Verify(ctx, x.Secret.Reveal(), from))
			failed(b.Verify(ctx, z.Secret.Reveal(), from))
		}
	}
	for _, s := range append([]string(nil), secrets...) {
		me := b.Bearer(s, from)
		failed(me.Get(ctx, id))
		note(me.Issue(ctx, remint.Spec{}))
		note(me.Issue(ctx, remint.Spec{Owner: "p", Name: "\n"}))
		failed(me.Update(ctx, id, func(s *remint.Spec) error { s.Name += "x"; return nil }))
		note(me.StartSession(ctx, id, remint.Session{}))
		note(me.Rotate(ctx, stranger.Token.ID(), remint.Rotation{}))
		fail(me.Revoke(ctx, limited.Token.ID()))
		fail(me.EndSessions(ctx, id))
		for _, err := range me.List(ctx, remint.Query{}) {
			fail(err)
		}
	}
	for _, s := range append([]string(nil), secrets...) {
		failed(b.Verify(ctx, s+"x", from))
		failed(b.Verify(ctx, s[1:], from))
		failed(b.Verify(ctx, strings.ToLower(s), from))
		failed(b.Verify(ctx, s, netip.Addr{}))
		_, err := b.Identify(s)
		fail(err)
		_, err = b.Identify(s + s)
		fail(err)
		_, err = remint.ParseID(s)
		fail(err)
		fail(new(remint.ID).UnmarshalText([]byte(s)))
		_, err = remint.ParseRecord([]byte(s))
		fail(err)
		_, err = remint.ParseEvent([]byte(s))
		fail(err)
	}
	b.wait(time.Hour)
	fail(b.Sweep(ctx))
	for _, s := range append([]string(nil), secrets...) {
		failed(b.Verify(ctx, s, from))
	}
	_, err := b.CheckPeppers(ctx)
	fail(err)
	b.store.fails = func(remint.Batch) error { return errors.New("disk full") }
	for _, s := range append([]string(nil), secrets...) {
		me := b.Bearer(s, from)
		note(me.Rotate(ctx, id, remint.Rotation{}))
		fail(me.Revoke(ctx, id))
	}
	b.store.fails = nil
	return secrets, errs
}

// It fails without the digest in the place of a secret in its record (internal/mutants).
func TestASecretIsInNoErrorNoEventAndNoByteOfTheStore(t *testing.T) {
	b := newBed(t, nil)
	secrets, errs := everything(b)
	var errText strings.Builder
	for _, err := range errs {
		fmt.Fprintf(&errText, "%v\n%+v\n%#v\n", err, err, err)
	}
	var events strings.Builder
	for _, e := range append(b.log(), b.took()...) {
		data, _ := e.AppendBinary(nil)
		text, _ := json.Marshal(e)
		fmt.Fprintf(&events, "%v\n%+v\n%#v\n%s\n%s\n", e, e, e, text, data)
	}
	var records strings.Builder
	for _, r := range b.all() {
		data, _ := r.AppendBinary(nil)
		records.Write(data)
	}
	if len(secrets) < 20 || len(errs) < 200 {
		t.Fatalf("%d secrets, %d errors: the run is not what it was", len(secrets), len(errs))
	}
	digests := 0
	for k, s := range secrets {
		c := newCanary(fmt.Sprintf("secret %d", k), s)
		c.absent(t, "an error", errText.String())
		c.absent(t, "an event", events.String())
		c.absent(t, "a record", records.String(), "the digest raw")
		if strings.Contains(records.String(), c.forms["the digest raw"]) {
			digests++
		}
	}
	if digests < len(secrets)/2 {
		t.Errorf("only %d of %d digests are in the records: are they what this test takes them for?", digests, len(secrets))
	}
}

func TestAPepperAndAPepperedDigestAreInNothingButRecords(t *testing.T) {
	pepper := bytes.Repeat([]byte("pepper!!"), 4)
	b := newBed(t, &remint.Options{Peppers: [][]byte{pepper}})
	secrets, errs := everything(b)
	data := string(b.bytes())
	for how, form := range encodings(pepper) {
		if strings.Contains(data, form) || strings.Contains(fmt.Sprintf("%+v %#v", b.Issuer, errs), form) {
			t.Errorf("the pepper %s is at rest or printed", how)
		}
	}
	for k, s := range secrets {
		newCanary(fmt.Sprintf("secret %d", k), s).absent(t, "the store", data) // not even its plain SHA-256
	}
}

// It fails without the comparison of more than nothing, and without the hash, without which a
// digest is its own credential (internal/mutants).
func TestAStoredDigestIsNoCredential(t *testing.T) {
	for name, o := range map[string]*remint.Options{
		"plain":    nil,
		"peppered": {Peppers: [][]byte{bytes.Repeat([]byte{7}, 32)}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t, o)
			g := b.issue(remint.Spec{})
			b.accepted(g)
			text := g.Secret.Reveal()
			head := text[:29] // prefix and ID
			data, _ := b.raw(g.Token.ID()).AppendBinary(nil)
			tried := 0
			try := func(what, text string) {
				tried++
				if _, err := b.Verify(context.Background(), text, netip.Addr{}); !errors.Is(err, remint.ErrDenied) {
					t.Errorf("%s as a credential: %v", what, err)
				}
			}
			// The digest is 32 of the record's bytes, wherever they are.
			for at := 0; at+32 <= len(data); at++ {
				for how, form := range encodings(data[at : at+32]) {
					try(how, form)
					try(how+" after the head", head+form)
					try(how+" with a checksum", sealText(head+form))
					padded := (form + strings.Repeat("0", 43))[:43]
					try(how+" in the secret's place", head+padded+text[72:])
					try(how+" in the secret's place, with a checksum", sealText(head+padded))
				}
			}
			if tried < 1000 {
				t.Fatalf("only %d were tried", tried)
			}
			b.accepted(g)
		})
	}
}

func TestATokenTellsItsMetadataAndNoMore(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{Owner: "o", Name: "n"})
	out, err := json.Marshal(g.Token)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	for key := range m {
		switch key {
		case "id", "name", "owner", "capabilities", "prefix", "state":
		default:
			t.Errorf("metadata has %q", key)
		}
	}
	if err := json.Unmarshal(out, new(remint.Token)); err == nil {
		t.Error("a Token was read from JSON")
	}
	id := g.Token.ID().String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		if got := fmt.Sprintf(verb, g.Token); got != id {
			t.Errorf("%s of a Token = %s", verb, got)
		}
	}
}
