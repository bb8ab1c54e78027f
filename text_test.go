package remint_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/remint-go/remint"
)

const base62Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

func TestATokensTextIsPrefixIDSecretAndChecksum(t *testing.T) {
	b := newBed(t, &remint.Options{Prefixes: []string{"pk_", "xaat-", "a_very_long_one_"}})
	for _, prefix := range []string{"", "pk_", "xaat-", "a_very_long_one_"} {
		g := b.issue(remint.Spec{Prefix: prefix})
		text := g.Secret.Reveal()
		head := cmpOr(prefix, "pk_")
		if len(text) != len(head)+75 || !strings.HasPrefix(text, head) {
			t.Errorf("%q has %d characters", prefix, len(text))
		}
		if id := text[len(head) : len(head)+26]; id != g.Token.ID().String() {
			t.Errorf("the ID is %s, want %s", id, g.Token.ID())
		}
		if sealText(text[:len(text)-6]) != text {
			t.Error("the checksum is not CRC-32C in base62")
		}
		for _, c := range text[len(head)+26:] {
			if !strings.ContainsRune(base62Digits, c) {
				t.Errorf("%q is no base62 digit", c)
			}
		}
		if id, err := b.Identify(text); err != nil || id != g.Token.ID() {
			t.Errorf("Identify = %v, %v", id, err)
		}
	}
	if text := b.issue(remint.Spec{}).Secret.Reveal(); len(text) != 78 {
		t.Errorf("a text with pk_ has %d characters", len(text))
	}
	root := b.issue(remint.Spec{})
	if text := b.session(root.Token.ID(), remint.Session{}).Secret.Reveal(); !strings.HasPrefix(text, "rms_") || len(text) != 79 {
		t.Errorf("a session's text has %d characters", len(text))
	}
}

func TestTheIDSaysWhenTheTokenWasMade(t *testing.T) {
	b := newBed(t, nil)
	var last remint.ID
	for range 10 {
		id := b.issue(remint.Spec{}).Token.ID()
		if ms := ulid.ULID(id).Time(); ms != uint64(b.now().UnixMilli()) {
			t.Errorf("%v was made at %d", id, ms)
		}
		if id.Compare(last) != 1 || last.Compare(id) != -1 || id.Compare(id) != 0 {
			t.Error("IDs are not in the order of their making")
		}
		last = id
		b.wait(time.Millisecond)
	}
}

func TestPatternMatchesTokensAndNothingElse(t *testing.T) {
	b := newBed(t, nil)
	re := regexp.MustCompile(b.Pattern())
	pk := b.issue(remint.Spec{})
	texts := []string{pk.Secret.Reveal(), b.issue(remint.Spec{Prefix: "xaat-"}).Secret.Reveal(), b.session(pk.Token.ID(), remint.Session{}).Secret.Reveal()}
	for _, s := range texts {
		for _, around := range []string{"%s", " %s ", "Authorization: Bearer %s\r\n", `{"token":"%s"}`, "https://x/?t=%s&u=1", "(%s)", "%s.", "=%s;", "/%s/"} {
			in := fmt.Sprintf(around, s)
			if got := re.FindString(in); got != s {
				t.Errorf("in %q it finds %q", in, got)
			}
		}
		for _, not := range []string{
			"x" + s, s + "x", s + "0", "_" + s, s + "_", s[1:], s[:len(s)-1], strings.ToLower(s),
			s[:5] + "U" + s[6:], s[:5] + "i" + s[6:], s[:len(s)-9] + "-" + s[len(s)-8:], s[:40] + " " + s[41:],
			strings.Replace(s, "0", "8", 1), // the first digit of the ID
		} {
			if got := re.FindString(not); got != "" {
				t.Errorf("in %q it finds %q", not, got)
			}
		}
	}
	many := strings.Join(texts, " ") + "\n" + strings.Join(texts, ",")
	if got := re.FindAllString(many, -1); len(got) != 6 {
		t.Errorf("it finds %d of 6", len(got))
	}
}

func TestEveryTypoIsRefusedBeforeAnyStoreAccess(t *testing.T) {
	b := newBed(t, nil)
	good := b.issue(remint.Spec{}).Secret.Reveal()
	loads, commits := b.store.loads.Load(), b.store.commits.Load()
	tried := 0
	refused := func(how, text string) {
		t.Helper()
		tried++
		if text == good {
			return
		}
		if _, err := b.Verify(t.Context(), text, netip.Addr{}); !errors.Is(err, remint.ErrDenied) {
			t.Errorf("%s: %v", how, err)
		}
		if id, err := b.Identify(text); !errors.Is(err, remint.ErrNotFound) || !id.IsZero() {
			t.Errorf("%s: Identify = %v, %v", how, id, err)
		}
		if b.store.loads.Load() != loads || b.store.commits.Load() != commits {
			t.Fatalf("%s: the store was asked", how)
		}
	}
	for k := range len(good) {
		for c := range 256 {
			refused(fmt.Sprintf("character %d changed to %q", k, byte(c)), good[:k]+string([]byte{byte(c)})+good[k+1:])
		}
		refused(fmt.Sprintf("character %d deleted", k), good[:k]+good[k+1:])
		refused(fmt.Sprintf("cut at %d", k), good[:k])
		refused(fmt.Sprintf("begun at %d", k+1), good[k+1:])
		for m := range k {
			swapped := []byte(good)
			swapped[k], swapped[m] = swapped[m], swapped[k]
			refused(fmt.Sprintf("characters %d and %d swapped", m, k), string(swapped))
		}
	}
	for k := range len(good) + 1 {
		for c := range 256 {
			refused(fmt.Sprintf("%q inserted at %d", byte(c), k), good[:k]+string([]byte{byte(c)})+good[k:])
		}
	}
	for _, text := range []string{
		good + "\n", good + " ", " " + good, "Bearer " + good, good + good, good + good[3:], `"` + good + `"`, good + "\x00",
		strings.ToUpper(good), strings.ToLower(good), strings.Repeat("A", 78), strings.Repeat("0", 78), strings.Repeat("\x00", 78),
		"", "p", "pk", "pk_", strings.Repeat("pk_", 26), strings.Repeat(good, 1000),
	} {
		refused(fmt.Sprintf("%.30q", text), text)
	}
	if tried < 20000 {
		t.Errorf("only %d were tried", tried)
	}
	if _, err := b.Verify(t.Context(), good, netip.Addr{}); err != nil {
		t.Error(err)
	}
}

func TestATokenHasOneText(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	good := g.Secret.Reveal()
	body := good[:72]
	loads := b.store.loads.Load()
	for name, text := range map[string]string{
		"a lower-case ID":           sealText("pk_" + strings.ToLower(body[3:29]) + body[29:]),
		"a lower-case letter":       sealText("pk_" + body[3:5] + strings.ToLower(body[5:29]) + body[29:]),
		"an ID that overflows":      sealText("pk_8" + body[4:]),
		"an ID with an I":           sealText("pk_" + body[3:28] + "I" + body[29:]),
		"an ID with an O":           sealText("pk_" + body[3:28] + "O" + body[29:]),
		"the zero ID":               sealText("pk_" + strings.Repeat("0", 26) + body[29:]),
		"an upper-case prefix":      sealText("PK_" + body[3:]),
		"no prefix":                 sealText(body[3:]),
		"a prefix with a dash":      sealText("pk-" + body[3:]),
		"an unknown prefix":         sealText("zz_" + body[3:]),
		"a longer prefix":           sealText("ppk_" + body[3:]),
		"a prefix of 17":            sealText(strings.Repeat("p", 14) + "pk_" + body[3:]),
		"a secret of 42 characters": sealText(body[:71]),
		"a secret of 44 characters": sealText(body + "0"),
	} {
		if _, err := b.Verify(t.Context(), text, netip.Addr{}); err != remint.ErrDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b.store.loads.Load() != loads {
		t.Error("the store was asked")
	}
	// Well-formed, but not it.
	for name, text := range map[string]string{
		"another of the prefixes":       sealText("xaat-" + body[3:]),
		"the session prefix":            sealText("rms_" + body[3:]),
		"another secret":                sealText(body[:29] + strings.Repeat("z", 43)),
		"a secret with other letters":   sealText(body[:29] + strings.ToUpper(body[29:])),
		"a secret that is not base62":   sealText(body[:29] + strings.Repeat("\x00", 43)),
		"the last character is another": sealText(body[:71] + string(base62Digits[(strings.IndexByte(base62Digits, body[71])+1)%62])),
	} {
		if _, err := b.Verify(t.Context(), text, netip.Addr{}); err != remint.ErrDenied {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseIDTakesTheCanonicalFormAndNoOther(t *testing.T) {
	id := newBed(t, nil).issue(remint.Spec{}).Token.ID()
	good := id.String()
	if got, err := remint.ParseID(good); err != nil || got != id {
		t.Errorf("ParseID(%s) = %v, %v", good, got, err)
	}
	if got, err := remint.ParseID("7ZZZZZZZZZZZZZZZZZZZZZZZZZ"); err != nil || got.String() != "7ZZZZZZZZZZZZZZZZZZZZZZZZZ" {
		t.Errorf("the last ID is %v, %v", got, err)
	}
	for _, text := range []string{
		"", " ", good[1:], good[:25], good + "0", " " + good, good + "\n", strings.ToLower(good), good[:2] + strings.ToLower(good[2:]),
		"8" + good[1:], "Z" + good[1:], good[:25] + "I", good[:25] + "L", good[:25] + "O", good[:25] + "U", good[:25] + "-",
		good[:25] + "\xff", good[:24] + "é", strings.Repeat("0", 26), strings.Repeat("\x00", 26), strings.Repeat("0", 1<<20),
	} {
		if got, err := remint.ParseID(text); !errors.Is(err, remint.ErrNotFound) || !got.IsZero() {
			t.Errorf("ParseID(%.30q) = %v, %v", text, got, err)
		}
	}
}

func TestAnIDIsTheSameAfterItsTextAndItsJSON(t *testing.T) {
	type doc struct {
		ID   remint.ID            `json:"id"`
		None remint.ID            `json:"none"`
		Omit remint.ID            `json:"omit,omitzero"`
		Map  map[remint.ID]string `json:"map"`
	}
	id := newBed(t, nil).issue(remint.Spec{}).Token.ID()
	in := doc{ID: id, Map: map[remint.ID]string{id: "x"}}
	out, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(`{"id":"%[1]s","none":"","map":{"%[1]s":"x"}}`, id)
	if string(out) != want {
		t.Errorf("%s, want %s", out, want)
	}
	var back doc
	if err := json.Unmarshal(out, &back); err != nil || back.ID != id || !back.None.IsZero() || back.Map[id] != "x" {
		t.Errorf("%+v, %v", back, err)
	}
	for _, bad := range []string{`{"id":"x"}`, `{"id":"` + strings.ToLower(id.String()) + `"}`, `{"id":1}`, `{"id":[1]}`} {
		kept := doc{ID: id}
		if err := json.Unmarshal([]byte(bad), &kept); err == nil {
			t.Errorf("%s is read as %v", bad, kept.ID)
		}
		if kept.ID != id {
			t.Errorf("%s changed the ID to %v", bad, kept.ID)
		}
	}
	if err := back.ID.UnmarshalText(nil); err != nil || !back.ID.IsZero() {
		t.Errorf("the empty text is %v, %v", back.ID, err)
	}
	if text, err := (remint.ID{}).MarshalText(); err != nil || len(text) != 0 {
		t.Errorf("the zero ID is %q, %v", text, err)
	}
}

// The bound is more than ten standard deviations from what is expected: it does not flake,
// and a modulo without rejection (a quarter more for each of the first eight) is far beyond.
func TestEachCharacterOfASecretIsAsLikelyAsAnyOther(t *testing.T) {
	b := newBed(t, nil)
	var counts [62]float64
	const tokens = 2000
	seen := map[string]bool{}
	for range tokens {
		text := b.issue(remint.Spec{}).Secret.Reveal()
		secret := text[29:72]
		if seen[secret] {
			t.Fatal("a secret came twice")
		}
		seen[secret] = true
		for _, c := range secret {
			counts[strings.IndexRune(base62Digits, c)]++
		}
	}
	const expected = tokens * 43.0 / 62
	chi := 0.0
	for _, n := range counts {
		chi += (n - expected) * (n - expected) / expected
	}
	if chi > 61+10*11.05 { // 61 degrees of freedom: mean 61, deviation √122
		t.Errorf("chi-square is %.1f for 61 degrees of freedom", chi)
	}
}

func FuzzVerifyText(f *testing.F) {
	b := newBed(f, nil)
	good := b.issue(remint.Spec{})
	text := good.Secret.Reveal()
	for _, s := range []string{
		text, text[:77], text[1:], "", "pk_", "xaat-" + text[3:], "rms_" + text[3:], strings.ToLower(text),
		sealText(text[:29] + strings.Repeat("0", 43)), sealText("pk_" + strings.Repeat("Z", 69)), strings.Repeat("\xff", 78), "é" + text,
	} {
		f.Add(s)
	}
	re := regexp.MustCompile("^" + b.Pattern() + "$")
	f.Fuzz(func(t *testing.T, s string) {
		loads := b.store.loads.Load()
		for _, s := range []string{s, sealText(s)} {
			tok, err := b.Verify(t.Context(), s, netip.Addr{})
			switch {
			case s == text:
				if err != nil || tok.ID() != good.Token.ID() {
					t.Fatalf("Verify of the token = %v, %v", tok, err)
				}
			case err != remint.ErrDenied || !tok.IsZero():
				t.Fatalf("Verify(%q) = %v, %v", s, tok, err)
			}
			id, err := b.Identify(s)
			formed := err == nil
			if !formed && (!errors.Is(err, remint.ErrNotFound) || !id.IsZero()) {
				t.Fatalf("Identify(%q) = %v, %v", s, id, err)
			}
			if asked := b.store.loads.Load() != loads; asked != formed {
				t.Fatalf("Verify(%q): well-formed is %v, and the store was asked is %v", s, formed, asked)
			}
			loads = b.store.loads.Load()
			if formed && len(s) > 6 && sealText(s[:len(s)-6]) != s {
				t.Fatalf("%q is well-formed with a wrong checksum", s)
			}
			if re.MatchString(s) && sealText(s[:len(s)-6]) == s && !formed && !strings.Contains(s, strings.Repeat("0", 26)) {
				t.Fatalf("%q matches the Pattern and has a checksum, and is not well-formed", s)
			}
		}
	})
}

func FuzzParseID(f *testing.F) {
	for _, s := range []string{"", "01KDYAK348QZX25X3ARXT3E28X", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "80000000000000000000000000", "00000000000000000000000000", "01kdyak348qzx25x3arxt3e28x", "01KDYAK348QZX25X3ARXT3E28U"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := remint.ParseID(s)
		want, strict := ulid.ParseStrict(s)
		ok := strict == nil && s == strings.ToUpper(s) && want != ulid.ULID{}
		if (err == nil) != ok {
			t.Fatalf("ParseID(%q) = %v, %v; ulid says %v, %v", s, got, err, want, strict)
		}
		if err == nil && (got != remint.ID(want) || got.String() != s) {
			t.Fatalf("ParseID(%q) = %v", s, got)
		}
		if err != nil && (!errors.Is(err, remint.ErrNotFound) || !got.IsZero()) {
			t.Fatalf("ParseID(%q) = %v, %v", s, got, err)
		}
		// The codecs take the same texts, and the empty one, which is no ID.
		was := remint.ID{1}
		if err := was.UnmarshalText([]byte(s)); (err == nil) != (ok || s == "") || err != nil && was != (remint.ID{1}) || err == nil && was != got {
			t.Fatalf("UnmarshalText(%q) = %v, %v", s, was, err)
		}
		if text, err := got.MarshalText(); err != nil || string(text) != got.String() || ok && string(text) != s {
			t.Fatalf("%q is written as %q, %v", s, text, err)
		}
	})
}
