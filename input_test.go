package remint_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/remint-go/remint"
)

// inputFields returns the fields of all the InputErrors in err, each once and in order.
func inputFields(err error) (fields []string) {
	for _, e := range inputErrors(err) {
		fields = append(fields, e.Field)
	}
	return slices.Compact(fields)
}

func inputErrors(err error) (all []*remint.InputError) {
	if one, ok := err.(*remint.InputError); ok {
		return []*remint.InputError{one}
	}
	switch err := err.(type) {
	case interface{ Unwrap() []error }:
		for _, e := range err.Unwrap() {
			all = append(all, inputErrors(e)...)
		}
	case interface{ Unwrap() error }:
		all = inputErrors(err.Unwrap())
	}
	return all
}

// wellSaid checks what is true of every error's text. Joined ones have a line each, as
// errors.Join makes them.
func wellSaid(t testing.TB, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	lines := strings.Split(err.Error(), "\n")
	if joined := inputErrors(err); len(joined) > 1 && len(lines) != len(joined) {
		t.Errorf("%s: %d problems on %d lines", what, len(joined), len(lines))
	}
	if len(lines) > 512 {
		t.Errorf("%s: the error has %d lines", what, len(lines))
		lines = lines[:512]
	}
	for _, line := range lines {
		if !strings.HasPrefix(line, "remint: ") || len(line) < len("remint: ")+5 {
			t.Errorf("%s: the error is %q", what, line)
		}
		if len(line) >= 600 {
			t.Errorf("%s: the error has %d bytes: %.100q…", what, len(line), line)
		}
		if k := strings.IndexFunc(line, unicode.IsControl); k >= 0 {
			t.Errorf("%s: the error has a control character: %.100q", what, line)
		}
		if !strings.HasSuffix(line, strings.TrimSpace(line)) {
			t.Errorf("%s: the error ends with a space: %q", what, line)
		}
	}
}

// It fails without each of these (internal/mutants): the least length of a pepper; the least
// duration of an option; the refusal of a nil store.
func TestOptionsThatCannotBeUsedAreAnInputErrorEach(t *testing.T) {
	good := remint.Store(&mapStore{recs: map[remint.ID]*remint.Record{}})
	key := func(c byte, n int) []byte { return bytes.Repeat([]byte{c}, n) }
	var none *mapStore
	for _, tt := range []struct {
		name  string
		store remint.Store
		o     *remint.Options
		want  []string
	}{
		{"nothing wrong, nil", good, nil, nil},
		{"nothing wrong, zero", good, &remint.Options{}, nil},
		{"no store", nil, nil, []string{"store"}},
		{"a nil pointer for a store", none, nil, []string{"store"}},
		{"an empty prefix", good, &remint.Options{Prefixes: []string{""}}, []string{"Options.Prefixes[0]"}},
		{"a prefix without its separator", good, &remint.Options{Prefixes: []string{"pk"}}, []string{"Options.Prefixes[0]"}},
		{"a separator alone", good, &remint.Options{Prefixes: []string{"_"}}, []string{"Options.Prefixes[0]"}},
		{"a prefix that begins with a digit", good, &remint.Options{Prefixes: []string{"1a_"}}, []string{"Options.Prefixes[0]"}},
		{"a prefix with a space", good, &remint.Options{Prefixes: []string{"a b_"}}, []string{"Options.Prefixes[0]"}},
		{"a prefix with a dot", good, &remint.Options{Prefixes: []string{"a.b_"}}, []string{"Options.Prefixes[0]"}},
		{"a prefix with a pattern", good, &remint.Options{Prefixes: []string{"a|b_"}}, []string{"Options.Prefixes[0]"}},
		{"a prefix that is not ASCII", good, &remint.Options{Prefixes: []string{"é_"}}, []string{"Options.Prefixes[0]"}},
		{"a prefix with a control character", good, &remint.Options{Prefixes: []string{"a\n_"}}, []string{"Options.Prefixes[0]"}},
		{"a prefix of 16 bytes", good, &remint.Options{Prefixes: []string{strings.Repeat("a", 15) + "_"}}, nil},
		{"a prefix of 17 bytes", good, &remint.Options{Prefixes: []string{strings.Repeat("a", 16) + "_"}}, []string{"Options.Prefixes[0]"}},
		{"a huge prefix", good, &remint.Options{Prefixes: []string{strings.Repeat("\x00", 1<<20)}}, []string{"Options.Prefixes[0]"}},
		{"a prefix twice", good, &remint.Options{Prefixes: []string{"a_", "b_", "a_"}}, []string{"Options.Prefixes[2]"}},
		{"the second prefix", good, &remint.Options{Prefixes: []string{"a_", "b"}}, []string{"Options.Prefixes[1]"}},
		{"an unusable session prefix", good, &remint.Options{SessionPrefix: "s"}, []string{"Options.SessionPrefix"}},
		{"a session prefix that is another's", good, &remint.Options{Prefixes: []string{"a_"}, SessionPrefix: "a_"}, []string{"Options.SessionPrefix"}},
		{"the default session prefix that is another's", good, &remint.Options{Prefixes: []string{"rms_"}}, []string{"Options.SessionPrefix"}},
		{"the default prefix that is another's", good, &remint.Options{SessionPrefix: "rmt_"}, []string{"Options.SessionPrefix"}},
		{"an empty pepper", good, &remint.Options{Peppers: [][]byte{nil}}, []string{"Options.Peppers[0]"}},
		{"a pepper of 31 bytes", good, &remint.Options{Peppers: [][]byte{key(1, 31)}}, []string{"Options.Peppers[0]"}},
		{"a pepper of 32 bytes", good, &remint.Options{Peppers: [][]byte{key(1, 32)}}, nil},
		{"a huge pepper", good, &remint.Options{Peppers: [][]byte{key(1, 1<<20)}}, nil},
		{"a pepper twice", good, &remint.Options{Peppers: [][]byte{key(1, 32), key(2, 32), key(1, 32)}}, []string{"Options.Peppers[2]"}},
		{"a second pepper that is short", good, &remint.Options{Peppers: [][]byte{key(1, 32), key(2, 3)}}, []string{"Options.Peppers[1]"}},
		{"negative durations", good, &remint.Options{Lapse: -1, MaxLifetime: -1, RetryWindow: -1, Retention: -1},
			[]string{"Options.Lapse", "Options.MaxLifetime", "Options.RetryWindow", "Options.Retention"}},
		{"the most negative durations", good, &remint.Options{Lapse: math.MinInt64, MaxLifetime: math.MinInt64, RetryWindow: math.MinInt64, Retention: math.MinInt64},
			[]string{"Options.Lapse", "Options.MaxLifetime", "Options.RetryWindow", "Options.Retention"}},
		{"durations below a microsecond", good, &remint.Options{Lapse: 999, MaxLifetime: 1, RetryWindow: 999, Retention: 1},
			[]string{"Options.Lapse", "Options.MaxLifetime", "Options.RetryWindow", "Options.Retention"}},
		{"durations of a microsecond", good, &remint.Options{Lapse: 1000, MaxLifetime: 1000, RetryWindow: 1000, Retention: 1000}, nil},
		{"a lapse of 90 days", good, &remint.Options{Lapse: 90 * 24 * time.Hour}, nil},
		{"a lapse that is too long", good, &remint.Options{Lapse: 90*24*time.Hour + 1}, []string{"Options.Lapse"}},
		{"the longest durations", good, &remint.Options{Lapse: math.MaxInt64, MaxLifetime: math.MaxInt64, RetryWindow: math.MaxInt64, Retention: math.MaxInt64},
			[]string{"Options.Lapse"}},
		{"everything at once", nil, &remint.Options{
			Prefixes: []string{"x", "y_", "y_"}, SessionPrefix: "-", Peppers: [][]byte{key(1, 5), key(2, 32), key(2, 32)},
			Lapse: -1, MaxLifetime: -1, RetryWindow: -1, Retention: -1,
		}, []string{
			"store", "Options.Prefixes[0]", "Options.Prefixes[2]", "Options.SessionPrefix", "Options.Peppers[0]", "Options.Peppers[2]",
			"Options.Lapse", "Options.MaxLifetime", "Options.RetryWindow", "Options.Retention",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i, err := remint.New(tt.store, tt.o)
			if got := inputFields(err); !slices.Equal(got, tt.want) {
				t.Errorf("the problems are of %q, want %q: %v", got, tt.want, err)
			}
			if (i == nil) != (err != nil) {
				t.Errorf("New = %v, %v", i, err)
			}
			wellSaid(t, "New", err)
			var one *remint.InputError
			if len(tt.want) > 0 && (!errors.As(err, &one) || one.Field != tt.want[0]) {
				t.Errorf("errors.As finds %v", one)
			}
		})
	}
}

func TestOptionsAreTheCallersAgainAfterNew(t *testing.T) {
	pepper := bytes.Repeat([]byte{1}, 32)
	prefixes := []string{"pk_"}
	b := newBed(t, &remint.Options{Peppers: [][]byte{pepper}, Prefixes: prefixes})
	g := b.issue(remint.Spec{})
	clear(pepper)
	prefixes[0] = "xx_"
	b.accepted(g)
	if got := b.issue(remint.Spec{}); got.Token.Prefix() != "pk_" {
		t.Errorf("the prefix is %q", got.Token.Prefix())
	}
	b.accepted(b.issue(remint.Spec{}))
}

// specCases are bad Specs, and which fields are named.
func specCases(b *bed) []specCase {
	nets := func(texts ...string) (all []netip.Prefix) {
		for _, s := range texts {
			all = append(all, netip.MustParsePrefix(s))
		}
		return all
	}
	many := map[string]string{}
	for k := range 65 {
		many[fmt.Sprint(k)] = ""
	}
	var wide []netip.Prefix
	for k := range 257 {
		wide = append(wide, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(k >> 8), byte(k), 0}), 24))
	}
	huge := strings.Repeat("\x00\xff", 1<<19)
	return []specCase{
		{"a name of 256 bytes", remint.Spec{Name: strings.Repeat("é", 128)}, nil},
		{"a name of 257 bytes", remint.Spec{Name: strings.Repeat("é", 128) + "x"}, []string{"Name"}},
		{"a huge name", remint.Spec{Name: huge}, []string{"Name"}},
		{"a name with a newline", remint.Spec{Name: "a\nb"}, []string{"Name"}},
		{"a name with a NUL", remint.Spec{Name: "\x00"}, []string{"Name"}},
		{"a name with a DEL", remint.Spec{Name: "a\x7f"}, []string{"Name"}},
		{"a name with a C1 control", remint.Spec{Name: "a\u0085"}, []string{"Name"}},
		{"a name that is not UTF-8", remint.Spec{Name: "a\xff"}, []string{"Name"}},
		{"a description of 4096 bytes", remint.Spec{Description: strings.Repeat("x", 4096)}, nil},
		{"a description of 4097 bytes", remint.Spec{Description: strings.Repeat("x", 4097)}, []string{"Description"}},
		{"a description with a tab", remint.Spec{Description: "a\tb"}, []string{"Description"}},
		{"a description that is not UTF-8", remint.Spec{Description: "\xc3"}, []string{"Description"}},
		{"an owner of 255 bytes", remint.Spec{Owner: strings.Repeat("x", 255)}, nil},
		{"an owner of 256 bytes", remint.Spec{Owner: strings.Repeat("x", 256)}, []string{"Owner"}},
		{"an owner with a NUL", remint.Spec{Owner: "a\x00b"}, []string{"Owner"}},
		{"a huge owner", remint.Spec{Owner: huge}, []string{"Owner"}},
		{"the widest networks", remint.Spec{Networks: nets("0.0.0.0/0", "::/0")}, nil},
		{"256 networks", remint.Spec{Networks: wide[:256]}, nil},
		{"257 networks", remint.Spec{Networks: wide}, []string{"Networks"}},
		{"a network with bits beyond its length", remint.Spec{Networks: nets("10.0.0.0/8", "10.1.2.3/8")}, []string{"Networks[1]"}},
		{"a network of IPv4 in IPv6", remint.Spec{Networks: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("::ffff:10.0.0.0"), 104)}}, []string{"Networks[0]"}},
		{"no network", remint.Spec{Networks: []netip.Prefix{{}}}, []string{"Networks[0]"}},
		{"a network that is longer than its address", remint.Spec{Networks: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("10.0.0.0"), 33)}}, []string{"Networks[0]"}},
		{"three bad networks", remint.Spec{Networks: []netip.Prefix{{}, netip.MustParsePrefix("::1/8"), {}}}, []string{"Networks[0]", "Networks[1]", "Networks[2]"}},
		{"64 attributes", remint.Spec{Attributes: func() map[string]string {
			m := map[string]string{}
			for k := range 64 {
				m[fmt.Sprint(k)] = "x"
			}
			return m
		}()}, nil},
		{"65 attributes", remint.Spec{Attributes: many}, []string{"Attributes"}},
		{"an attribute of 4096 bytes", remint.Spec{Attributes: map[string]string{"a": strings.Repeat("x", 4095)}}, nil},
		{"an attribute of 4097 bytes", remint.Spec{Attributes: map[string]string{"a": strings.Repeat("x", 4096)}}, []string{"Attributes"}},
		{"an attribute without a name", remint.Spec{Attributes: map[string]string{"": "x"}}, []string{"Attributes"}},
		{"an attribute's name that is not UTF-8", remint.Spec{Attributes: map[string]string{"\xff\n": "x"}}, []string{"Attributes"}},
		{"an attribute's value that is not UTF-8", remint.Spec{Attributes: map[string]string{"a": "\xff"}}, []string{"Attributes"}},
		{"an attribute with control characters", remint.Spec{Attributes: map[string]string{"a\n": "\x00"}}, nil},
		{"a huge attribute", remint.Spec{Attributes: map[string]string{huge: huge}}, []string{"Attributes"}},
		{"a prefix that is not the Issuer's", remint.Spec{Prefix: "no_"}, []string{"Prefix"}},
		{"the session prefix", remint.Spec{Prefix: "rms_"}, []string{"Prefix"}},
		{"a huge prefix", remint.Spec{Prefix: huge}, []string{"Prefix"}},
		{"expiring in the past", remint.Spec{ExpiresAt: b.in(-time.Hour)}, []string{"ExpiresAt"}},
		{"expiring now", remint.Spec{ExpiresAt: b.now()}, []string{"ExpiresAt"}},
		{"expiring in a nanosecond", remint.Spec{ExpiresAt: b.now().Add(1)}, []string{"ExpiresAt"}},
		{"expiring in 999 nanoseconds", remint.Spec{ExpiresAt: b.now().Add(999)}, []string{"ExpiresAt"}},
		{"expiring in a microsecond", remint.Spec{ExpiresAt: b.in(time.Microsecond)}, nil},
		{"expiring at the Unix epoch", remint.Spec{ExpiresAt: time.Unix(0, 0)}, []string{"ExpiresAt"}},
		{"expiring a nanosecond after the Unix epoch", remint.Spec{ExpiresAt: time.Unix(0, 1)}, []string{"ExpiresAt"}},
		{"expiring before the Unix epoch", remint.Spec{ExpiresAt: time.Unix(-1, 0)}, []string{"ExpiresAt"}},
		{"expiring in the year 1", remint.Spec{ExpiresAt: time.Time{}.Add(1)}, []string{"ExpiresAt"}},
		{"expiring at the end of 9999", remint.Spec{ExpiresAt: time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC)}, nil},
		{"expiring in the year 10000", remint.Spec{ExpiresAt: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, []string{"ExpiresAt"}},
		{"expiring in the year 10000, UTC", remint.Spec{ExpiresAt: time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))}, []string{"ExpiresAt"}},
		{"expiring in the year 292277026596", remint.Spec{ExpiresAt: time.Unix(1<<62, 0)}, []string{"ExpiresAt"}},
		{"expiring at the end of seconds", remint.Spec{ExpiresAt: time.Unix(math.MaxInt64, 0)}, []string{"ExpiresAt"}},
		{"expiring where microseconds are full", remint.Spec{ExpiresAt: time.UnixMicro(math.MaxInt64)}, []string{"ExpiresAt"}},
		{"everything at once", remint.Spec{
			Name: "\n", Description: "\n", Owner: "\x00", Networks: []netip.Prefix{{}}, ExpiresAt: b.now(),
			Attributes: map[string]string{"": ""}, Prefix: "no_",
		}, []string{"Name", "Description", "Owner", "Networks[0]", "Attributes", "ExpiresAt", "Prefix"}},
	}
}

type specCase struct {
	name string
	spec remint.Spec
	want []string
}

func (c specCase) fields(prefix string) (all []string) {
	for _, f := range c.want {
		all = append(all, prefix+f)
	}
	return all
}

func TestASpecThatCannotBeUsedIsAnInputErrorForEachProblem(t *testing.T) {
	b := newBed(t, nil)
	for _, tt := range specCases(b) {
		t.Run(tt.name, func(t *testing.T) {
			b := newBed(t, nil)
			g, err := b.op.Issue(t.Context(), tt.spec)
			if got := inputFields(err); !slices.Equal(got, tt.fields("Spec.")) {
				t.Errorf("Issue: the problems are of %q, want %q: %.400v", got, tt.fields("Spec."), err)
			}
			wellSaid(t, "Issue", err)
			if err != nil && (!g.Token.IsZero() || g.Secret.Reveal() != "") {
				t.Error("a failed Issue returns something")
			}
			if err == nil && len(tt.spec.Networks) == 0 {
				b.accepted(g)
			}

			old := b.issue(remint.Spec{})
			before := b.bytes()
			_, err = b.op.Rotate(t.Context(), old.Token.ID(), remint.Rotation{Successor: &remint.Successor{Spec: &tt.spec}})
			if len(tt.want) > 0 {
				if got := inputFields(err); !slices.Equal(got, tt.fields("Rotation.Successor.Spec.")) && tt.spec.Owner == "" {
					t.Errorf("Rotate: the problems are of %q, want %q: %.400v", got, tt.fields("Rotation.Successor.Spec."), err)
				}
				if err == nil || !bytes.Equal(before, b.bytes()) {
					t.Errorf("Rotate = %v, or it changed something", err)
				}
			}
			wellSaid(t, "Rotate", err)

			before = b.bytes()
			_, err = b.op.Update(t.Context(), old.Token.ID(), func(s *remint.Spec) error {
				*s = tt.spec
				s.Prefix = cmpOr(s.Prefix, "pk_")
				return nil
			})
			if len(tt.want) > 0 {
				if err == nil || len(inputFields(err)) == 0 || !bytes.Equal(before, b.bytes()) {
					t.Errorf("Update = %v, or it changed something", err)
				}
			}
			wellSaid(t, "Update", err)
		})
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func TestProblemsWithoutEndAreNotReportedWithoutEnd(t *testing.T) {
	b := newBed(t, nil)
	attributes := map[string]string{}
	for k := range 20000 {
		attributes[fmt.Sprintf("%d\xff", k)] = "x"
	}
	_, err := b.op.Issue(t.Context(), remint.Spec{
		Attributes: attributes, Networks: make([]netip.Prefix, 100_000),
	})
	if err == nil {
		t.Fatal("it was issued")
	}
	if n := len(inputErrors(err)); n > 400 {
		t.Errorf("%d problems are reported, in %d bytes", n, len(err.Error()))
	}
}

func TestTheLargestSpecFitsIntoARecord(t *testing.T) {
	b := newBed(t, nil) // whose store checks the size of records
	var caps []string
	for k := range 256 {
		caps = append(caps, fmt.Sprintf("c%03d", k)+strings.Repeat("x", 124))
	}
	set, err := remint.ParseCapabilities(caps)
	if err != nil {
		t.Fatal(err)
	}
	attributes := map[string]string{}
	for k := range 64 {
		attributes[fmt.Sprintf("%02d", k)] = strings.Repeat("x", 62)
	}
	var networks []netip.Prefix
	for k := range 256 {
		networks = append(networks, netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, byte(k)}), 24))
	}
	member := b.Member(strings.Repeat("o", 255), strings.Repeat("m", 256), remint.Allow("*"))
	g, err := member.Issue(t.Context(), remint.Spec{
		Name: strings.Repeat("n", 256), Description: strings.Repeat("d", 4096), Capabilities: set,
		Networks: networks, Attributes: attributes, ExpiresAt: b.in(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	from := netip.MustParseAddr("2001::1")
	for range 12 {
		next := b.rotate(g.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Minute)})
		if _, err := b.Verify(t.Context(), next.Secret.Reveal(), from); err != nil {
			t.Fatal(err)
		}
	}
	more, err := remint.ParseCapabilities(append([]string{strings.Repeat("y", 512)}, caps[1:]...))
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.op.Issue(t.Context(), remint.Spec{Capabilities: more})
	if got := inputFields(err); !slices.Equal(got, []string{"Spec.Capabilities"}) {
		t.Errorf("33 KiB of capabilities: %v", err)
	}
	wellSaid(t, "Issue", err)
	many := make([]remint.Capability, 300)
	for k := range many {
		many[k] = remint.Capability(fmt.Sprint(k))
	}
	_, err = b.op.Issue(t.Context(), remint.Spec{Capabilities: remint.Allow(many...)})
	if got := inputFields(err); !slices.Equal(got, []string{"Spec.Capabilities"}) {
		t.Errorf("300 capabilities: %v", err)
	}
}

// It fails without MaxLifetime where no expiry is asked for (internal/mutants).
func TestMaxLifetimeBoundsEveryToken(t *testing.T) {
	ctx := t.Context()
	b := newBed(t, &remint.Options{MaxLifetime: time.Hour})
	free := bedOver(t, b.store, b.clock, nil)
	eternal := free.issue(remint.Spec{})
	for _, tt := range []struct {
		name string
		at   time.Time
		ok   bool
	}{
		{"never", time.Time{}, false},
		{"an hour", b.in(time.Hour), true},
		{"a microsecond more", b.in(time.Hour + time.Microsecond), false},
		{"a nanosecond more", b.in(time.Hour).Add(999), true}, // it is truncated
		{"a century", b.in(100 * 365 * 24 * time.Hour), false},
		{"a microsecond", b.in(time.Microsecond), true},
	} {
		_, err := b.op.Issue(ctx, remint.Spec{ExpiresAt: tt.at})
		if (err == nil) != tt.ok || !tt.ok && !slices.Equal(inputFields(err), []string{"Spec.ExpiresAt"}) {
			t.Errorf("Issue with %s: %v", tt.name, err)
		}
		wellSaid(t, tt.name, err)
		old := b.issue(remint.Spec{ExpiresAt: b.in(time.Hour)})
		_, err = b.op.Rotate(ctx, old.Token.ID(), remint.Rotation{Successor: &remint.Successor{ExpiresAt: &tt.at}})
		if (err == nil) != tt.ok || !tt.ok && len(inputFields(err)) != 1 {
			t.Errorf("a Successor with %s: %v", tt.name, err)
		}
		old = b.issue(remint.Spec{ExpiresAt: b.in(time.Minute)})
		got, err := b.op.Update(ctx, old.Token.ID(), func(s *remint.Spec) error { s.ExpiresAt = tt.at; return nil })
		if (err == nil) != tt.ok || !tt.ok && !slices.Equal(inputFields(err), []string{"Spec.ExpiresAt"}) {
			t.Errorf("Update with %s: %v", tt.name, err)
		}
		if err == nil && got.ExpiresAt() != tt.at.Truncate(time.Microsecond) {
			t.Errorf("it expires at %v", got.ExpiresAt())
		}
	}
	// What it had before stands, and does not become more.
	if _, err := b.op.Update(ctx, eternal.Token.ID(), func(s *remint.Spec) error { s.Name = "x"; return nil }); err != nil {
		t.Errorf("renaming: %v", err)
	}
	if _, err := b.op.Rotate(ctx, eternal.Token.ID(), remint.Rotation{Successor: &remint.Successor{}}); len(inputFields(err)) != 1 {
		t.Errorf("a clone that never expires: %v", err)
	}
	// It counts from the token's making: updates cannot be strung together.
	g := b.issue(remint.Spec{ExpiresAt: b.in(time.Hour)})
	b.wait(30 * time.Minute)
	_, err := b.op.Update(ctx, g.Token.ID(), func(s *remint.Spec) error { s.ExpiresAt = b.in(31 * time.Minute); return nil })
	if !slices.Equal(inputFields(err), []string{"Spec.ExpiresAt"}) {
		t.Errorf("Update after half an hour: %v", err)
	}
}

// It fails without each of these (internal/mutants): the time zero, and no other, as never; the
// comparison of an expiry as it is kept, in microseconds; the least lifetime of a session.
func TestALifetimeIsNeverForeverByAccident(t *testing.T) {
	ctx := t.Context()
	for _, d := range []time.Duration{
		math.MinInt64, -time.Hour, -time.Microsecond, -1, 1, 2, 500, 999, 1000, 1001, 1999, time.Millisecond - 1,
		time.Second - 1, time.Second + 1, time.Hour, math.MaxInt64 - 1, math.MaxInt64,
	} {
		b := newBed(t, nil)
		at := b.now().Add(d)
		g, err := b.op.Issue(ctx, remint.Spec{ExpiresAt: at})
		if (err == nil) != (d >= 1000) {
			t.Errorf("Issue for %v: %v", d, err)
		}
		if err == nil && g.Token.ExpiresAt() != at.Truncate(time.Microsecond) {
			t.Errorf("Issue for %v expires at %v", d, g.Token.ExpiresAt())
		}
		root := b.issue(remint.Spec{})
		s, err := b.op.StartSession(ctx, root.Token.ID(), remint.Session{Lifetime: d})
		if (err == nil) != (d >= 1000) {
			t.Errorf("StartSession for %v: %v", d, err)
		}
		wellSaid(t, "StartSession", err)
		if err == nil && s.Token.ExpiresAt() != at.Truncate(time.Microsecond) {
			t.Errorf("a session for %v expires at %v", d, s.Token.ExpiresAt())
		}
		next, err := b.op.Rotate(ctx, root.Token.ID(), remint.Rotation{Successor: &remint.Successor{ExpiresAt: &at}})
		if (err == nil) != (d >= 1000) {
			t.Errorf("a Successor for %v: %v", d, err)
		}
		if err == nil && next.Token.ExpiresAt() != at.Truncate(time.Microsecond) {
			t.Errorf("a Successor for %v expires at %v", d, next.Token.ExpiresAt())
		}
	}
}

// It fails without the bound of a parent on its children's capabilities (internal/mutants).
func TestAParentMustBeLiveOfTheSameOwnerAndWiderAndNotTooDeep(t *testing.T) {
	ctx := t.Context()
	b := newBed(t, nil)
	root := b.issue(remint.Spec{Owner: "o", Capabilities: remint.Allow("a:b", "c"), Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	two := b.issue(remint.Spec{Parent: root.Token.ID(), Capabilities: remint.Allow("a:b", "c")})
	three := b.issue(remint.Spec{Parent: two.Token.ID()})
	four := b.issue(remint.Spec{Parent: three.Token.ID()})
	open := b.issue(remint.Spec{Owner: "o"})
	revoked := b.issue(remint.Spec{Owner: "o"})
	b.revoke(revoked.Token.ID())
	expired := b.issue(remint.Spec{Owner: "o", ExpiresAt: b.in(time.Second)})
	top := b.issue(remint.Spec{Owner: "o"})
	orphan := b.issue(remint.Spec{Parent: top.Token.ID()})
	b.op.EndSessions(ctx, top.Token.ID())
	replaced := b.issue(remint.Spec{Owner: "o"})
	b.rotate(replaced.Token.ID(), remint.Rotation{Successor: &remint.Successor{}})
	unknown := newBed(t, nil).issue(remint.Spec{}).Token.ID()
	b.wait(time.Second)

	net := func(s string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(s)} }
	for _, tt := range []struct {
		name   string
		spec   remint.Spec
		fields []string
		err    error
	}{
		{"within", remint.Spec{Parent: root.Token.ID(), Capabilities: remint.Allow("a:b:x"), Networks: net("10.1.0.0/16")}, nil, nil},
		{"with no networks of its own", remint.Spec{Parent: root.Token.ID()}, nil, nil},
		{"naming the owner", remint.Spec{Parent: root.Token.ID(), Owner: "o"}, nil, nil},
		{"naming another owner", remint.Spec{Parent: root.Token.ID(), Owner: "p"}, []string{"Spec.Owner"}, nil},
		{"of a parent with networks, wider", remint.Spec{Parent: root.Token.ID(), Networks: net("0.0.0.0/0")}, []string{"Spec.Networks"}, nil},
		{"of a parent with networks, beside", remint.Spec{Parent: root.Token.ID(), Networks: net("11.0.0.0/8")}, []string{"Spec.Networks"}, nil},
		{"with networks, of a parent without", remint.Spec{Parent: open.Token.ID(), Networks: net("0.0.0.0/0")}, nil, nil},
		{"with another capability", remint.Spec{Parent: root.Token.ID(), Capabilities: remint.Allow("d")}, []string{"Spec.Capabilities"}, nil},
		{"with a wider capability", remint.Spec{Parent: root.Token.ID(), Capabilities: remint.Allow("a")}, []string{"Spec.Capabilities"}, nil},
		{"with a star", remint.Spec{Parent: root.Token.ID(), Capabilities: remint.Allow("*")}, []string{"Spec.Capabilities"}, nil},
		{"with both wider", remint.Spec{Parent: root.Token.ID(), Capabilities: remint.Allow("*"), Networks: net("::/0")}, []string{"Spec.Capabilities", "Spec.Networks"}, nil},
		{"at level 5", remint.Spec{Parent: four.Token.ID()}, []string{"Spec.Parent"}, nil},
		{"of an unknown parent", remint.Spec{Parent: unknown}, nil, remint.ErrNotFound},
		{"of a revoked parent", remint.Spec{Parent: revoked.Token.ID()}, nil, remint.ErrEnded},
		{"of an expired parent", remint.Spec{Parent: expired.Token.ID()}, nil, remint.ErrEnded},
		{"of a parent that its own has ended", remint.Spec{Parent: orphan.Token.ID()}, nil, remint.ErrEnded},
		{"of a parent that retired", remint.Spec{Parent: replaced.Token.ID()}, nil, remint.ErrEnded},
	} {
		before := b.bytes()
		_, err := b.op.Issue(ctx, tt.spec)
		switch {
		case tt.err != nil:
			if !errors.Is(err, tt.err) {
				t.Errorf("a child %s: %v, want %v", tt.name, err, tt.err)
			}
		case !slices.Equal(inputFields(err), tt.fields):
			t.Errorf("a child %s: %v, want %q", tt.name, err, tt.fields)
		}
		wellSaid(t, tt.name, err)
		if err != nil && !bytes.Equal(before, b.bytes()) {
			t.Errorf("a child %s: something changed", tt.name)
		}
	}
	// The wider child that an update makes.
	_, err := b.op.Update(ctx, two.Token.ID(), func(s *remint.Spec) error {
		s.Capabilities, s.Networks = remint.Allow("*"), net("::/0")
		return nil
	})
	if got := inputFields(err); !slices.Equal(got, []string{"Spec.Capabilities", "Spec.Networks"}) {
		t.Errorf("Update = %v", err)
	}
	_, err = b.op.Update(ctx, two.Token.ID(), func(s *remint.Spec) error {
		s.Owner, s.Parent, s.Prefix, s.Name = "p", remint.ID{}, "xaat-", "\n"
		return nil
	})
	if got := inputFields(err); !slices.Equal(got, []string{"Spec.Name", "Spec.Owner", "Spec.Parent", "Spec.Prefix"}) {
		t.Errorf("Update = %v", err)
	}
	// A member sees no parent of another owner, and cannot name another owner.
	for name, spec := range map[string]remint.Spec{"unknown": {Parent: unknown}, "another owner's": {Parent: root.Token.ID()}} {
		_, err := b.Member("p", "ada", remint.Allow("*")).Issue(ctx, spec)
		if err == nil || err.Error() != remint.ErrNotFound.Error() {
			t.Errorf("a member's child of %s: %v", name, err)
		}
	}
	if _, err := b.Member("p", "ada", remint.Allow("*")).Issue(ctx, remint.Spec{Owner: "o"}); !errors.Is(err, remint.ErrForbidden) {
		t.Errorf("a member's token for another owner: %v", err)
	}
	// Sessions: they take a level, too.
	_, err = b.op.StartSession(ctx, four.Token.ID(), remint.Session{})
	if len(inputFields(err)) != 1 {
		t.Errorf("a session at level 5: %v", err)
	}
	wellSaid(t, "StartSession", err)
}

func TestABadSessionIsAnInputErrorForEachProblem(t *testing.T) {
	ctx := t.Context()
	b := newBed(t, &remint.Options{MaxLifetime: 48 * time.Hour})
	parent := b.issue(remint.Spec{Capabilities: remint.Allow("a"), ExpiresAt: b.in(40 * time.Hour)})
	session := b.session(parent.Token.ID(), remint.Session{})
	for _, tt := range []struct {
		name string
		id   remint.ID
		s    remint.Session
		want []string
	}{
		{"a nanosecond", parent.Token.ID(), remint.Session{Lifetime: 1}, []string{"Session.Lifetime"}},
		{"less than nothing", parent.Token.ID(), remint.Session{Lifetime: -1}, []string{"Session.Lifetime"}},
		{"far less than nothing", parent.Token.ID(), remint.Session{Lifetime: math.MinInt64}, []string{"Session.Lifetime"}},
		{"more than MaxLifetime", parent.Token.ID(), remint.Session{Lifetime: 48*time.Hour + 1}, []string{"Session.Lifetime"}},
		{"the longest", parent.Token.ID(), remint.Session{Lifetime: math.MaxInt64}, []string{"Session.Lifetime"}},
		{"MaxLifetime", parent.Token.ID(), remint.Session{Lifetime: 48 * time.Hour}, nil},
		{"a wider capability", parent.Token.ID(), remint.Session{Capabilities: remint.Allow("*")}, []string{"Session.Capabilities"}},
		{"a session's", session.Token.ID(), remint.Session{}, []string{"id"}},
		{"everything", session.Token.ID(), remint.Session{Lifetime: -1, Capabilities: remint.Allow("*")}, []string{"id", "Session.Capabilities", "Session.Lifetime"}},
	} {
		before := b.bytes()
		g, err := b.op.StartSession(ctx, tt.id, tt.s)
		if got := inputFields(err); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		wellSaid(t, tt.name, err)
		if err != nil && !bytes.Equal(before, b.bytes()) {
			t.Errorf("%s: something changed", tt.name)
		}
		if err == nil && g.Token.ExpiresAt() != parent.Token.ExpiresAt() {
			t.Errorf("%s: it outlives its parent: %v", tt.name, g.Token.ExpiresAt())
		}
	}
	// The default is a day, or MaxLifetime.
	if want := b.in(24 * time.Hour); session.Token.ExpiresAt() != want {
		t.Errorf("a session ends at %v, want %v", session.Token.ExpiresAt(), want)
	}
	short := bedOver(t, b.store, b.clock, &remint.Options{MaxLifetime: time.Hour})
	if s := short.session(parent.Token.ID(), remint.Session{}); s.Token.ExpiresAt() != b.in(time.Hour) {
		t.Errorf("a session ends at %v", s.Token.ExpiresAt())
	}
}

func TestABadRotationIsAnInputErrorForEachProblem(t *testing.T) {
	ctx := t.Context()
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	session := b.session(g.Token.ID(), remint.Session{})
	for _, tt := range []struct {
		name string
		id   remint.ID
		r    remint.Rotation
		want []string
	}{
		{"negative", g.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(-1)}, []string{"Rotation.Retire"}},
		{"most negative", g.Token.ID(), remint.Rotation{Retire: remint.RetireAfter(math.MinInt64)}, []string{"Rotation.Retire"}},
		{"a negative grace", g.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(-time.Hour)}, []string{"Rotation.Retire"}},
		{"sessions and a successor", g.Token.ID(), remint.Rotation{KeepSessions: true, Successor: &remint.Successor{}}, []string{"Rotation.KeepSessions"}},
		{"both", g.Token.ID(), remint.Rotation{KeepSessions: true, Successor: &remint.Successor{}, Retire: remint.RetireAfter(-1)}, []string{"Rotation.Retire", "Rotation.KeepSessions"}},
		{"a session's successor", session.Token.ID(), remint.Rotation{Successor: &remint.Successor{}}, []string{"Rotation.Successor"}},
		{"another owner", g.Token.ID(), remint.Rotation{Successor: &remint.Successor{Spec: &remint.Spec{Owner: "x"}}}, []string{"Rotation.Successor.Spec.Owner"}},
		{"another parent", g.Token.ID(), remint.Rotation{Successor: &remint.Successor{Spec: &remint.Spec{Parent: session.Token.ID()}}}, []string{"Rotation.Successor.Spec.Parent"}},
		{"itself as the parent", g.Token.ID(), remint.Rotation{Successor: &remint.Successor{Spec: &remint.Spec{Parent: g.Token.ID()}}}, []string{"Rotation.Successor.Spec.Parent"}},
	} {
		before := b.bytes()
		_, err := b.op.Rotate(ctx, tt.id, tt.r)
		if got := inputFields(err); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		wellSaid(t, tt.name, err)
		if !bytes.Equal(before, b.bytes()) {
			t.Errorf("%s: something changed", tt.name)
		}
	}
}

// It fails without the year beyond which a retirement has no microseconds (internal/mutants).
func TestARetirementIsNoSoonerThanAtOnceAndNoLaterThanTheExpiry(t *testing.T) {
	now := bedStart
	expiry := now.Add(10 * time.Hour)
	far := time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
	for _, tt := range []struct {
		name    string
		retire  remint.Retirement
		expires time.Time
		until   time.Time // zero: at once
	}{
		{"after nothing", remint.RetireAfter(0), expiry, time.Time{}},
		{"after a nanosecond", remint.RetireAfter(1), expiry, time.Time{}},
		{"after a microsecond", remint.RetireAfter(time.Microsecond), expiry, now.Add(time.Microsecond)},
		{"after an hour", remint.RetireAfter(time.Hour), expiry, now.Add(time.Hour)},
		{"after more than there is", remint.RetireAfter(11 * time.Hour), expiry, expiry},
		{"after the longest", remint.RetireAfter(math.MaxInt64), expiry, expiry},
		{"after the longest, without an expiry", remint.RetireAfter(math.MaxInt64), time.Time{}, now.Add(math.MaxInt64).Truncate(time.Microsecond)},
		{"at the zero time", remint.RetireAt(time.Time{}), expiry, time.Time{}},
		{"at the epoch", remint.RetireAt(time.Unix(0, 0)), expiry, time.Time{}},
		{"in the past", remint.RetireAt(now.Add(-time.Hour)), expiry, time.Time{}},
		{"now", remint.RetireAt(now), expiry, time.Time{}},
		{"in a nanosecond", remint.RetireAt(now.Add(1)), expiry, time.Time{}},
		{"in an hour", remint.RetireAt(now.Add(time.Hour)), expiry, now.Add(time.Hour)},
		{"late", remint.RetireAt(expiry.Add(1000)), expiry, expiry},
		{"in the year 10000", remint.RetireAt(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)), expiry, expiry},
		{"in the year 10000, without an expiry", remint.RetireAt(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)), time.Time{}, far},
		{"in the year 10000 of UTC", remint.RetireAt(time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -3600))), time.Time{}, far},
		{"at the end of seconds", remint.RetireAt(time.Unix(1<<60, 0)), expiry, expiry},
	} {
		for _, successor := range []*remint.Successor{nil, {}} {
			t.Run(fmt.Sprintf("%s, successor %v", tt.name, successor != nil), func(t *testing.T) {
				b := newBed(t, nil)
				old := b.issue(remint.Spec{ExpiresAt: tt.expires})
				next := b.rotate(old.Token.ID(), remint.Rotation{Retire: tt.retire, Successor: successor})
				if tt.until.IsZero() {
					b.denied(old, remint.ReasonRetired)
				} else {
					got := b.accepted(old)
					at := got.RetiresAt()
					if successor != nil {
						at = got.ExpiresAt()
					}
					if !at.Equal(tt.until) {
						t.Errorf("it retires at %v, want %v", at, tt.until)
					}
					if _, err := got.MarshalJSON(); err != nil {
						t.Error(err)
					}
					b.wait(tt.until.Sub(now) - time.Microsecond)
					if tt.until != far {
						b.accepted(old)
						b.wait(time.Microsecond)
						if _, err := b.Verify(t.Context(), old.Secret.Reveal(), netip.Addr{}); !errors.Is(err, remint.ErrDenied) {
							t.Errorf("at its end it is accepted: %v", err)
						}
					}
				}
				if tt.until != expiry && tt.until != far {
					b.accepted(next)
				}
			})
		}
	}
}

func TestWhatIsRevokedOrExpiredIsNotUpdatedOrRotated(t *testing.T) {
	ctx := t.Context()
	for _, tt := range []struct {
		name string
		end  func(*bed, remint.ID)
	}{
		{"revoked", func(b *bed, id remint.ID) { b.revoke(id) }},
		{"expired", func(b *bed, id remint.ID) { b.wait(time.Hour) }},
		{"under a revoked parent", func(b *bed, id remint.ID) { b.revoke(b.get(id).Parent()) }},
		{"under a parent that ended it", func(b *bed, id remint.ID) { b.op.EndSessions(ctx, b.get(id).Parent()) }},
		{"retired", func(b *bed, id remint.ID) {
			b.accepted(b.rotate(id, remint.Rotation{Successor: &remint.Successor{}, Retire: remint.RetireAfter(time.Minute)}))
			b.wait(time.Minute)
		}},
	} {
		b := newBed(t, nil)
		root := b.issue(remint.Spec{})
		g := b.issue(remint.Spec{Parent: root.Token.ID(), ExpiresAt: b.in(time.Hour)})
		id := g.Token.ID()
		tt.end(b, id)
		before := b.bytes()
		_, update := b.op.Update(ctx, id, func(s *remint.Spec) error { s.ExpiresAt = time.Time{}; return nil })
		_, rotate := b.op.Rotate(ctx, id, remint.Rotation{})
		_, late := b.op.Rotate(ctx, id, remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Hour), KeepSessions: true})
		_, cancel := b.op.CancelRotation(ctx, id)
		_, finish := b.op.FinishRotation(ctx, id)
		_, session := b.op.StartSession(ctx, id, remint.Session{})
		_, issue := b.op.Issue(ctx, remint.Spec{Parent: id})
		for name, err := range map[string]error{
			"Update": update, "Rotate": rotate, "Rotate with a grace": late, "CancelRotation": cancel,
			"FinishRotation": finish, "StartSession": session, "Issue": issue,
		} {
			want := remint.ErrEnded
			if tt.name == "retired" && strings.HasPrefix(name, "Rotate") {
				want = remint.ErrConflict // rule 3: its successor is confirmed
			}
			if !errors.Is(err, want) {
				t.Errorf("%s of what is %s: %v, want %v", name, tt.name, err, want)
			}
			wellSaid(t, name, err)
		}
		if !bytes.Equal(before, b.bytes()) {
			t.Errorf("something changed in what is %s", tt.name)
		}
		if _, err := b.op.Get(ctx, id); err != nil {
			t.Errorf("Get of what is %s: %v", tt.name, err)
		}
		if err := b.op.EndSessions(ctx, id); err != nil {
			t.Errorf("EndSessions of what is %s: %v", tt.name, err)
		}
		if err := b.op.Revoke(ctx, id); err != nil {
			t.Errorf("Revoke of what is %s: %v", tt.name, err)
		}
	}
}

// operations are all the methods of an Actor, on the token of that ID.
var operations = []struct {
	name  string
	takes bool // an ID
	do    func(ctx context.Context, a remint.Actor, id remint.ID) error
}{
	{"Issue", false, func(ctx context.Context, a remint.Actor, id remint.ID) error {
		_, err := a.Issue(ctx, remint.Spec{})
		return err
	}},
	{"Issue a child", true, func(ctx context.Context, a remint.Actor, id remint.ID) error {
		_, err := a.Issue(ctx, remint.Spec{Parent: id})
		return err
	}},
	{"Get", true, func(ctx context.Context, a remint.Actor, id remint.ID) error {
		_, err := a.Get(ctx, id)
		return err
	}},
	{"Live", true, func(ctx context.Context, a remint.Actor, id remint.ID) error {
		_, err := a.Live(ctx, id)
		return err
	}},
	{"List", false, func(ctx context.Context, a remint.Actor, id remint.ID) error {
		for _, err := range a.List(ctx, remint.Query{}) {
			if err != nil {
				return err
			}
		}
		return nil
	}},
	{"List children", true, func(ctx context.Context, a remint.Actor, id remint.ID) error {
		for _, err := range a.List(ctx, remint.Query{Parent: id, Ended: true}) {
			if err != nil {
				return err
			}
		}
		return nil
	}},
	{"Update", true, func(ctx context.Context, a remint.Actor, id remint.ID) error {
		_, err := a.Update(ctx, id, func(s *remint.Spec) error { s.Name += "x"; return nil })
		return err
	}},
	{"Revoke", true, func(ctx context.Context, a remint.Actor, id remint.ID) error { return a.Revoke(ctx, id) }},
	{"Rotate", true, func(ctx context.Context, a remint.Actor, id remint.ID) error {
		_, err := a.Rotate(ctx, id, remint.Rotation{})
		return err
	}},
	{"Rotate after the first use", true, func(ctx context.Context, a remint.Actor, id remint.ID) error {
		_, err := a.Rotate(ctx, id, remint.Rotation{Retire: remint.RetireAfterFirstUse(time.Hour), KeepSessions: true})
		return err
	}},
	{"Rotate to a successor", true, func(ctx context.Context, a remint.Actor, id remint.ID) error {
		_, err := a.Rotate(ctx, id, remint.Rotation{Successor: &remint.Successor{}, IfRevision: 99})
		return err
	}},
	{"Rotate to a Spec", true, func(ctx context.Context, a remint.Actor, id remint.ID) error {
		_, err := a.Rotate(ctx, id, remint.Rotation{Successor: &remint.Successor{Spec: &remint.Spec{Name: "\n"}}})
		return err
	}},
	{"CancelRotation", true, func(ctx context.Context, a remint.Actor, id remint.ID) error {
		_, err := a.CancelRotation(ctx, id)
		return err
	}},
	{"FinishRotation", true, func(ctx context.Context, a remint.Actor, id remint.ID) error {
		_, err := a.FinishRotation(ctx, id)
		return err
	}},
	{"StartSession", true, func(ctx context.Context, a remint.Actor, id remint.ID) error {
		_, err := a.StartSession(ctx, id, remint.Session{Lifetime: 1})
		return err
	}},
	{"EndSessions", true, func(ctx context.Context, a remint.Actor, id remint.ID) error { return a.EndSessions(ctx, id) }},
}

// It fails without the owner among what a bounded actor sees, and without the answer that says no
// more than that there is no such token (internal/mutants).
func TestAnotherOwnersTokenAnswersExactlyAsAnUnknownOne(t *testing.T) {
	ctx := t.Context()
	b := newBed(t, nil)
	mine := b.issue(remint.Spec{Owner: "mine", Capabilities: remint.Allow("*")})
	theirs := b.issue(remint.Spec{Owner: "theirs"})
	child := b.issue(remint.Spec{Parent: theirs.Token.ID()})
	ended := b.issue(remint.Spec{Owner: "theirs"})
	b.revoke(ended.Token.ID())
	rotating := b.issue(remint.Spec{Owner: "theirs"})
	b.rotate(rotating.Token.ID(), remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
	nobodys := b.issue(remint.Spec{})
	session := b.session(mine.Token.ID(), remint.Session{Manages: true})
	small := b.session(mine.Token.ID(), remint.Session{})
	unknown := newBed(t, nil).issue(remint.Spec{}).Token.ID()
	before := b.bytes()
	for name, a := range map[string]remint.Actor{
		"a member":                b.Member("mine", "ada", remint.Allow("*")),
		"a member who may little": b.Member("mine", "ada", remint.Capabilities{}),
		"a bearer":                b.Bearer(mine.Secret.Reveal(), netip.Addr{}),
		"a managing session":      b.Bearer(session.Secret.Reveal(), netip.Addr{}),
		"a session":               b.Bearer(small.Secret.Reveal(), netip.Addr{}),
	} {
		for _, op := range operations {
			if !op.takes {
				continue
			}
			want := op.do(ctx, a, unknown)
			if !errors.Is(want, remint.ErrNotFound) && len(inputFields(want)) == 0 && !errors.Is(want, remint.ErrForbidden) {
				t.Errorf("%s by %s of an unknown ID: %v", op.name, name, want)
			}
			for which, id := range map[string]remint.ID{
				"another's": theirs.Token.ID(), "another's child": child.Token.ID(), "another's revoked": ended.Token.ID(),
				"another's rotating": rotating.Token.ID(), "nobody's": nobodys.Token.ID(), "the zero ID": {}, "one with all bits": {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255},
			} {
				if id.IsZero() && (op.name == "Issue a child" || op.name == "List children") {
					continue // no parent, then
				}
				if got := op.do(ctx, a, id); got == nil || got.Error() != want.Error() {
					t.Errorf("%s by %s of %s: %v, and of an unknown one: %v", op.name, name, which, got, want)
				}
			}
		}
		for _, q := range []remint.Query{{Owner: "theirs"}, {Owner: "theirs", Ended: true}, {Owner: "unknown"}} {
			for tok, err := range a.List(ctx, q) {
				t.Errorf("List of %+v by %s has %v, %v", q, name, tok, err)
			}
		}
		for _, err := range a.List(ctx, remint.Query{AllOwners: true}) {
			if !errors.Is(err, remint.ErrForbidden) {
				t.Errorf("List of all owners by %s: %v", name, err)
			}
		}
	}
	if !bytes.Equal(before, b.bytes()) {
		t.Error("something changed")
	}
	for _, op := range operations {
		if op.takes && op.name != "Rotate to a Spec" {
			if err := op.do(ctx, b.op, unknown); !errors.Is(err, remint.ErrNotFound) {
				t.Errorf("%s by an operator of an unknown ID: %v", op.name, err)
			}
		}
	}
}

func TestACanceledContextIsItsOwnErrorAndChangesNothing(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{Owner: "o", Capabilities: remint.Allow("*")})
	fresh := b.issue(remint.Spec{Owner: "o", Capabilities: remint.Allow("*")})
	fresh = b.rotate(fresh.Token.ID(), remint.Rotation{})
	b.accepted(g)
	late := b.issue(remint.Spec{})
	b.rotate(late.Token.ID(), remint.Rotation{})
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	before := b.bytes()
	for want, ctx := range map[error]context.Context{context.Canceled: canceled, context.DeadlineExceeded: expired} {
		check := func(name string, err error) {
			t.Helper()
			if !errors.Is(err, want) || errors.Is(err, remint.ErrUnavailable) || errors.Is(err, remint.ErrDenied) || errors.Is(err, remint.ErrNotFound) || errors.Is(err, remint.ErrConflict) {
				t.Errorf("%s = %v, want %v", name, err, want)
			}
			wellSaid(t, name, err)
		}
		for name, a := range map[string]remint.Actor{
			"an operator": b.op, "a member": b.Member("o", "ada", remint.Allow("*")), "a bearer": b.Bearer(g.Secret.Reveal(), netip.Addr{}),
			"a bearer who has not confirmed": b.Bearer(fresh.Secret.Reveal(), netip.Addr{}),
		} {
			for _, op := range operations {
				if op.name == "Rotate to a Spec" || op.name == "StartSession" {
					continue // bad input is an error whatever the context
				}
				check(op.name+" by "+name, op.do(ctx, a, g.Token.ID()))
			}
			_, err := a.StartSession(ctx, g.Token.ID(), remint.Session{})
			check("StartSession by "+name, err)
		}
		for name, s := range map[string]remint.Grant{"one": g, "an unconfirmed one": fresh, "a retired one": late} {
			_, err := b.Verify(ctx, s.Secret.Reveal(), netip.Addr{})
			check("Verify of "+name, err)
		}
		_, _, err := b.Events(ctx, "")
		check("Events", err)
		_, err = b.CheckPeppers(ctx)
		check("CheckPeppers", err)
		check("Sweep", b.Sweep(ctx))
	}
	if !bytes.Equal(before, b.bytes()) {
		t.Error("something changed")
	}
	b.sweep()
	if b.get(g.Token.ID()).State().Current.LastUsedAt.IsZero() {
		t.Error("the failed sweeps lost a use")
	}
}

func TestTheZeroActorMayDoNothing(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	before := b.bytes()
	for name, a := range map[string]remint.Actor{
		"the zero Actor": {}, "one that needs something": remint.Actor{}.Needing("a"),
	} {
		for _, op := range operations {
			if op.name == "Rotate to a Spec" {
				continue
			}
			err := op.do(t.Context(), a, g.Token.ID())
			if !errors.Is(err, remint.ErrForbidden) {
				t.Errorf("%s by %s: %v", op.name, name, err)
			}
			wellSaid(t, op.name, err)
		}
	}
	if !bytes.Equal(before, b.bytes()) {
		t.Error("something changed")
	}
	if s := (remint.Actor{}).String(); s != "" {
		t.Errorf("it is called %q", s)
	}
}

// It fails without the owner that a Member must have (internal/mutants).
func TestAnActorThatCannotBeUsedIsAnInputError(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	before := b.bytes()
	all := remint.Allow("*")
	for _, tt := range []struct {
		name string
		a    remint.Actor
		want string
	}{
		{"a member of no owner", b.Member("", "ada", all), "Member.owner"},
		{"a member of an owner with a NUL", b.Member("a\x00", "ada", all), "Member.owner"},
		{"a member of an owner that is too long", b.Member(strings.Repeat("x", 256), "ada", all), "Member.owner"},
		{"a member with a newline", b.Member("o", "a\nb", all), "Member.name"},
		{"a member with a huge name", b.Member("o", strings.Repeat("\xff", 1<<20), all), "Member.name"},
		{"an operator with a newline", b.Operator("a\nb"), "Operator.name"},
		{"an operator with a huge name", b.Operator(strings.Repeat("x", 1<<20)), "Operator.name"},
	} {
		for _, op := range operations {
			if op.name == "Rotate to a Spec" {
				continue
			}
			err := op.do(t.Context(), tt.a, g.Token.ID())
			if got := inputFields(err); !slices.Equal(got, []string{tt.want}) {
				t.Errorf("%s by %s: %v", op.name, tt.name, err)
			}
			wellSaid(t, op.name, err)
		}
	}
	if !bytes.Equal(before, b.bytes()) {
		t.Error("something changed")
	}
	for _, bad := range [][]remint.Capability{nil, {""}, {"a", "b*"}, {"\n"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Needing %q does not panic", bad)
				}
			}()
			b.op.Needing(bad...)
		}()
	}
}

func TestTheZeroTokensMethodsReturnZeroValues(t *testing.T) {
	var z remint.Token
	if !z.IsZero() || !z.ID().IsZero() || z.Owner() != "" || z.Name() != "" || !z.Parent().IsZero() || z.Prefix() != "" ||
		z.IsSession() || z.Attribute("a") != "" || z.Allows("a") || z.Allows("*") || z.Capabilities().Len() != 0 ||
		!z.ExpiresAt().IsZero() || !z.RetiresAt().IsZero() || z.String() != "" || fmt.Sprint(z) != "" {
		t.Errorf("the zero Token has something: %v", z)
	}
	if s := z.State(); s != (remint.State{}) {
		t.Errorf("its State is %+v", s)
	}
	s := z.Spec()
	if s.Name != "" || s.Owner != "" || s.Networks != nil || s.Attributes != nil || s.Capabilities.Len() != 0 || !s.ExpiresAt.IsZero() || s.Prefix != "" {
		t.Errorf("its Spec is %+v", s)
	}
	if out, err := z.MarshalJSON(); err != nil || len(out) == 0 {
		t.Errorf("its JSON is %s, %v", out, err)
	}
	z.LogValue()
	var none remint.Grant
	if none.Secret.Reveal() != "" || !none.Token.IsZero() {
		t.Error("the zero Grant has something")
	}
}

func TestABearerOfGarbageIsDeniedByEveryMethod(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	loads := b.store.loads.Load()
	for _, text := range []string{"", " ", "pk_", "Bearer " + g.Secret.Reveal(), g.Secret.Reveal() + "\n", strings.Repeat("\xff", 1<<20)} {
		for _, op := range operations {
			if op.name == "Rotate to a Spec" {
				continue
			}
			err := op.do(t.Context(), b.Bearer(text, netip.Addr{}), g.Token.ID())
			if err != remint.ErrDenied {
				t.Errorf("%s by %.20q: %v", op.name, text, err)
			}
		}
	}
	if b.store.loads.Load() != loads {
		t.Error("garbage was looked up")
	}
}

func TestAnErrorOfUpdatesOwnIsReturnedAsItIs(t *testing.T) {
	b := newBed(t, nil)
	g := b.issue(remint.Spec{})
	mine := errors.New("mine")
	if _, err := b.op.Update(t.Context(), g.Token.ID(), func(*remint.Spec) error { return mine }); err != mine {
		t.Errorf("Update = %v", err)
	}
}

func TestACursorThatTheStoreNeverGaveIsAnError(t *testing.T) {
	b := newBed(t, nil)
	for _, c := range []remint.Cursor{"x", "-1", "99", remint.Cursor(strings.Repeat("\n", 10))} {
		if page, next, err := b.Events(t.Context(), c); err == nil || len(page) != 0 || next != c {
			t.Errorf("Events after %q = %v, %q, %v", c, page, next, err)
		}
	}
}
