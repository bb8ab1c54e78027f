package remint_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/remint-go/remint"
)

// specParts are a Spec as the fuzzer can make one: lists are lines.
type specParts struct {
	name, description, owner, networks, attributes, prefix string
	sec                                                    int64
	nsec                                                   int64
}

func (p *specParts) spec() remint.Spec {
	s := remint.Spec{Name: p.name, Description: p.description, Owner: p.owner, Prefix: p.prefix}
	for line := range strings.Lines(p.networks) {
		n, _ := netip.ParsePrefix(strings.TrimSuffix(line, "\n")) // an invalid one is one to refuse
		s.Networks = append(s.Networks, n)
	}
	for line := range strings.Lines(p.attributes) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if s.Attributes == nil {
			s.Attributes = map[string]string{}
		}
		s.Attributes[name] = value
	}
	if p.sec != math.MinInt64 { // which stands for never
		s.ExpiresAt = time.Unix(p.sec, p.nsec)
	}
	return s
}

// good says what Spec's comments say, and knows nothing of how it is judged.
func (p *specParts) good(now time.Time) bool {
	s := p.spec()
	text := func(s string, most int) bool {
		return len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Cc, r) })
	}
	ok := text(s.Name, 256) && text(s.Description, 4096) && text(s.Owner, 255)
	ok = ok && len(s.Networks) <= 256
	for _, n := range s.Networks {
		ok = ok && n.IsValid() && n == n.Masked() && !n.Addr().Is4In6()
	}
	size := 0
	for name, value := range s.Attributes {
		size += len(name) + len(value)
		ok = ok && name != "" && utf8.ValidString(name) && utf8.ValidString(value)
	}
	ok = ok && len(s.Attributes) <= 64 && size <= 4096
	ok = ok && slices.Contains([]string{"", "pk_", "xaat-"}, s.Prefix)
	if !s.ExpiresAt.IsZero() {
		const year10000 = 253402300800
		sec, micro := s.ExpiresAt.Unix(), s.ExpiresAt.Nanosecond()/1000
		nowSec, nowMicro := now.Unix(), now.Nanosecond()/1000
		ok = ok && sec < year10000 && (sec > nowSec || sec == nowSec && micro > nowMicro)
	}
	return ok
}

// FuzzASpecIsRefusedOrIssuedAsItIs: what the comments allow is issued, and what a token says of
// itself afterwards is what was asked for, until its expiry and not a microsecond more; anything
// else is an InputError, and nothing was stored.
func FuzzASpecIsRefusedOrIssuedAsItIs(f *testing.F) {
	never, start := int64(math.MinInt64), bedStart.Unix()
	f.Add("", "", "", "", "", "", never, int64(0))
	f.Add("ci", "for the nightly builds", "acme", "10.0.0.0/8\n2001:db8::/32\n", "plan=free\nempty=\n", "xaat-", start+3600, int64(999))
	long := strings.Repeat
	f.Add(long("n", 256), long("é", 2048), long("o", 255), long("10.0.0.1/32\n", 256), "a="+long("v", 4095), "pk_", int64(253402300799), int64(999999999))
	f.Add(long("n", 257), "", "", "", "", "", never, int64(0))
	f.Add("", long("d", 4097), "", "", "", "", never, int64(0))
	f.Add("", "", long("o", 256), "", "", "", never, int64(0))
	f.Add("", "", "", long("10.0.0.1/32\n", 257), "", "", never, int64(0))
	f.Add("", "", "", "", "a="+long("v", 4096), "", never, int64(0))
	f.Add("", "", "", "", "", "zz_", never, int64(0))
	f.Add("", "", "", "", "", "", int64(253402300800), int64(0))
	f.Add("a\x00", "", "", "", "", "", never, int64(0))
	f.Add("", "\u0085", "", "", "", "", never, int64(0))
	f.Add("", "", "\xff", "", "", "", never, int64(0))
	f.Add("", "", "", "10.1.2.3/8\n", "", "", never, int64(0))
	f.Add("", "", "", "::ffff:10.0.0.0/104\n", "", "", never, int64(0))
	f.Add("", "", "", "\n", "=x\n", "PK_", never, int64(0))
	f.Add("", "", "", "0.0.0.0/0\n::/0\nfe80::/64\n", "\xff=\n", "rms_", never, int64(0))
	for _, nsec := range []int64{0, 5999, 6000, 6001, 6999, 7000, 7001, 1e6} { // around now, which has 6 µs
		f.Add("", "", "", "", "", "", start, nsec)
	}
	for _, sec := range []int64{0, -1, 1, -62135596800, -62135596801, math.MaxInt64, math.MinInt64 + 1, start - 1, start + 1, 1 << 55, -1 << 55} {
		f.Add("", "", "", "", "", "", sec, int64(0))
		f.Add("", "", "", "", "", "", sec, int64(1))
	}
	f.Fuzz(func(t *testing.T, name, description, owner, networks, attributes, prefix string, sec, nsec int64) {
		b := newBed(t, nil)
		if nsec %= 1e9; nsec < 0 {
			nsec = -nsec
		}
		p := &specParts{name, description, owner, networks, attributes, prefix, sec, nsec}
		spec := p.spec()
		good := p.good(b.now())
		if err := b.CheckSpec(spec); (err == nil) != good {
			t.Fatalf("CheckSpec(%+v) = %v", spec, err)
		}
		g, err := b.op.Issue(t.Context(), spec)
		if (err == nil) != good {
			t.Fatalf("Issue(%+v) = %v", spec, err)
		}
		if err != nil {
			if in, ok := errors.AsType[*remint.InputError](err); !ok || in.Field == "" || len(err.Error()) > 1<<14 || !utf8.ValidString(err.Error()) {
				t.Fatalf("%T %q", err, err)
			}
			if b.store.commits.Load() != 0 || !g.Token.IsZero() {
				t.Fatal("it was refused, and something was made")
			}
			return
		}
		want := spec
		if want.ExpiresAt = want.ExpiresAt.UTC().Truncate(time.Microsecond); spec.ExpiresAt.IsZero() {
			want.ExpiresAt = time.Time{}
		}
		if want.Prefix == "" {
			want.Prefix = "pk_"
		}
		if got := b.get(g.Token.ID()).Spec(); !sameSpec(got, want) || !sameSpec(g.Token.Spec(), want) {
			t.Fatalf("it is\n%+v, and was to be\n%+v", got, want)
		}
		at := netip.Addr{}
		if len(spec.Networks) > 0 {
			at = spec.Networks[0].Addr()
		}
		if tok, err := b.Verify(t.Context(), g.Secret.Reveal(), at); err != nil || !sameSpec(tok.Spec(), want) {
			t.Fatalf("Verify = %v, %v", tok, err)
		}
		if end := want.ExpiresAt; !end.IsZero() {
			for _, off := range []int64{-1, 0, 1} {
				b.clock.Store(end.UnixMicro() + off)
				if _, err := b.Verify(t.Context(), g.Secret.Reveal(), at); (err == nil) != (off < 0) || err != nil && !errors.Is(err, remint.ErrDenied) {
					t.Fatalf("%d µs after its expiry: %v", off, err)
				}
			}
		}
	})
}

func sameSpec(a, b remint.Spec) bool {
	ok := maps.Equal(a.Attributes, b.Attributes) && slices.Equal(a.Networks, b.Networks) && a.Capabilities.Equal(b.Capabilities) && a.ExpiresAt.Equal(b.ExpiresAt)
	for _, s := range []*remint.Spec{&a, &b} {
		s.Attributes, s.Networks, s.Capabilities, s.ExpiresAt = nil, nil, remint.Capabilities{}, time.Time{}
	}
	return ok && reflect.DeepEqual(a, b)
}

// refPrefix is a prefix as Options.Prefixes has it.
var refPrefix = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*[_-]$`)

// FuzzPrefixesAreRefusedOrTellTokensApart: each token of an Issuer, whatever prefixes it was given,
// is one that it knows again, that its Pattern finds, and that no other prefix makes another of.
func FuzzPrefixesAreRefusedOrTellTokensApart(f *testing.F) {
	for _, list := range []string{"pk_", "pk_ xaat-", "a_ aa_ a_a_", "a- a_ A_", "x_ x__ x_-", "pk_ pk_", "pk", "_", "1_", "é_", "p k_", "rms_", "rmt_ rms_", "", " ",
		"sixteen_bytes_x_", "seventeen_bytes__", "pk_\x00", "(a|b)_", "\\bpk_", "a.b_", "a$_"} {
		f.Add(list, "")
		f.Add(list, "s_")
	}
	f.Add("pk_", "pk_")
	f.Add("pk_", "s")
	f.Fuzz(func(t *testing.T, list, session string) {
		prefixes := strings.Split(list, " ")
		if len(prefixes) > 16 {
			return
		}
		all := append(slices.Clone(prefixes), cmpOr(session, "rms_"))
		good := true
		for i, p := range all {
			good = good && refPrefix.MatchString(p) && len(p) <= 16 && !slices.Contains(all[:i], p)
		}
		i, err := remint.New(newMapStore(), &remint.Options{Prefixes: prefixes, SessionPrefix: session})
		if (err == nil) != good {
			t.Fatalf("New with %q and %q: %v", prefixes, session, err)
		}
		if err != nil {
			if _, ok := errors.AsType[*remint.InputError](err); !ok {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		re := regexp.MustCompile(i.Pattern())
		op := i.Operator("root")
		for n, p := range all {
			var g remint.Grant
			if n < len(prefixes) {
				g, err = op.Issue(t.Context(), remint.Spec{Prefix: p})
			} else {
				if g, err = op.Issue(t.Context(), remint.Spec{}); err == nil {
					g, err = op.StartSession(t.Context(), g.Token.ID(), remint.Session{})
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			text := g.Secret.Reveal()
			if !strings.HasPrefix(text, p) || g.Token.Prefix() != p || re.FindString("<"+text+">") != text {
				t.Fatalf("%q: the pattern %q finds %q", text, re, re.FindString("<"+text+">"))
			}
			if id, err := i.Identify(text); err != nil || id != g.Token.ID() {
				t.Fatalf("Identify(%q) = %v, %v", text, id, err)
			}
			for _, other := range all {
				changed := sealText(other + text[len(p):len(text)-6])
				if tok, err := i.Verify(t.Context(), changed, netip.Addr{}); (err == nil) != (other == p) || err != nil && !tok.IsZero() {
					t.Fatalf("%q, with %q for %q: %v", changed, other, p, err)
				}
			}
		}
	})
}

// FuzzADurationIsABoundOrRefused: of what Options and operations take as a duration, zero is what the
// comments say, less than a microsecond is refused, and nothing lives for longer or for ever because
// it was rounded or too large.
func FuzzADurationIsABoundOrRefused(f *testing.F) {
	for _, d := range []time.Duration{
		0, 1, -1, 999, 1000, 1001, -1000, time.Second - 1, time.Second, time.Hour, 90 * 24 * time.Hour, 90*24*time.Hour + 1,
		math.MaxInt64, math.MaxInt64 - 1000, math.MinInt64,
	} {
		for kind := range 5 {
			f.Add(int64(d), byte(kind))
		}
	}
	f.Fuzz(func(t *testing.T, n int64, kind byte) {
		d := time.Duration(n)
		options := &remint.Options{Now: func() time.Time { return bedStart }, Lapse: time.Hour}
		least, most := time.Microsecond, time.Duration(math.MaxInt64)
		bound := d // how long what it bounds lives
		if kind %= 5; kind == 0 {
			options.MaxLifetime = d
		} else if kind == 1 {
			options.Lapse, most = d, 90*24*time.Hour
		}
		i, err := remint.New(newMapStore(), options)
		good := d == 0 || d >= least && d <= most
		if kind < 2 {
			if (err == nil) != good {
				t.Fatalf("New with %v: %v", d, err)
			}
			if err != nil {
				return
			}
		} else if err != nil {
			t.Fatal(err)
		}
		op := i.Operator("root")
		ctx := t.Context()
		root, err := op.Issue(ctx, remint.Spec{ExpiresAt: map[bool]time.Time{true: bedStart.Add(time.Microsecond)}[kind == 0 && d != 0]})
		if err != nil {
			t.Fatal(err)
		}
		id := root.Token.ID()
		var end time.Time
		switch kind {
		case 0: // MaxLifetime
			if d == 0 {
				return
			}
			last := bedStart.Add(d).Truncate(time.Microsecond)
			if last.Sub(bedStart) > d {
				t.Fatal("the test is wrong")
			}
			for _, at := range []time.Time{{}, last.Add(time.Microsecond), last.Add(2 * time.Microsecond)} {
				if _, err := op.Issue(ctx, remint.Spec{ExpiresAt: at}); err == nil {
					t.Fatalf("with a MaxLifetime of %v it lives until %v", d, at)
				}
			}
			g, err := op.Issue(ctx, remint.Spec{ExpiresAt: last})
			if err != nil || !g.Token.ExpiresAt().Equal(last) {
				t.Fatalf("until %v: %v, %v", last, g.Token.ExpiresAt(), err)
			}
			return
		case 1: // Lapse
			if d == 0 {
				bound = 7 * 24 * time.Hour
			}
			g, err := op.Rotate(ctx, id, remint.Rotation{Retire: remint.RetireAfterFirstUse(0)})
			if err != nil {
				t.Fatal(err)
			}
			end = g.Token.State().Unconfirmed.Until
		case 2: // a session's lifetime
			g, err := op.StartSession(ctx, id, remint.Session{Lifetime: d})
			if (err == nil) != good {
				t.Fatalf("a session of %v: %v", d, err)
			}
			if err != nil {
				return
			}
			if d == 0 {
				bound = 24 * time.Hour
			}
			end = g.Token.ExpiresAt()
		case 3, 4: // a retirement, and a grace
			retire := remint.RetireAfter(d)
			if kind == 4 {
				retire = remint.RetireAfterFirstUse(d)
			}
			g, err := op.Rotate(ctx, id, remint.Rotation{Retire: retire})
			if (err == nil) != (d >= 0) {
				t.Fatalf("a retirement after %v: %v", d, err)
			}
			if err != nil {
				return
			}
			if _, err := i.Verify(ctx, g.Secret.Reveal(), netip.Addr{}); err != nil {
				t.Fatal(err)
			}
			tok, err := i.Verify(ctx, root.Secret.Reveal(), netip.Addr{})
			if (err == nil) != (d >= time.Microsecond) {
				t.Fatalf("after a retirement in %v the old secret gets %v", d, err)
			}
			if err != nil {
				return
			}
			end = tok.RetiresAt()
		}
		if lives := end.UnixMicro() - bedStart.UnixMicro(); end.IsZero() || lives != bound.Microseconds() {
			t.Fatalf("of %v it lives for %v µs, until %v", d, lives, fmt.Sprint(end))
		}
	})
}
