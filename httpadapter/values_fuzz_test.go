package httpadapter

import (
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var rfc3339 = regexp.MustCompile(`^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:Z|([+-])([0-9]{2}):([0-9]{2}))$`)

// refTime reads a date-time as section 5.6 of RFC 3339 has it, without leap seconds, which package
// time does not have.
func refTime(text string) (t time.Time, ok bool) {
	m := rfc3339.FindStringSubmatch(text)
	if m == nil {
		return t, false
	}
	n := func(i int) int { v, _ := strconv.Atoi(m[i]); return v }
	year, month, day, hour, minute, second := n(1), n(2), n(3), n(4), n(5), n(6)
	nanos, _ := strconv.Atoi((m[7] + "000000000")[:9])
	offset := (n(9)*60 + n(10)) * 60
	if m[8] == "-" {
		offset = -offset
	}
	t = time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	ok = t.Month() == time.Month(month) && t.Day() == day && month > 0 && hour < 24 && minute < 60 && second < 60 && n(9) < 24 && n(10) < 60
	return t.Add(-time.Duration(offset) * time.Second), ok
}

// FuzzATimeIsThatOfRFC3339OrWrong: a text in a body is the time that it says, and no other form is
// a time.
func FuzzATimeIsThatOfRFC3339OrWrong(f *testing.F) {
	for _, text := range []string{
		"2030-01-02T15:04:05Z", "2030-01-02T15:04:05.123456789+05:30", "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z",
		"9999-12-31T23:59:59.999999999-23:59", "2024-02-29T00:00:00Z",
		"2023-02-29T00:00:00Z", "2030-01-02T24:00:00Z", "2030-01-02T15:04:60Z", "2030-13-02T15:04:05Z", "2030-01-02t15:04:05z",
		"2030-01-02 15:04:05Z", "2030-01-02T15:04:05", "2030-01-02",
		"2030-01-02T1:04:05Z", "2030-01-02T15:04:05,5Z", "2030-01-02T15:04:05.Z", "2030-01-02T15:04:05+24:00",
		"2030-01-02T15:04:05+23:60", "2030-01-02T15:04:05+0530", "+2030-01-02T15:04:05Z",
		"10000-01-02T15:04:05Z", "2030-01-02T15:04:05.1234567890123Z", "", "Z", "2030-01-02T15:04:05Z ", "２030-01-02T15:04:05Z",
		"2030-01-02T15:04:05−05:00",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var fm form
		got := fm.time(node{kind: '"', text: text}, "at")
		want, ok := refTime(text)
		if (fm.err() == nil) != ok || ok && !got.Equal(want) || !ok && !got.IsZero() {
			t.Fatalf("%q: %v, %v; want %v, %v", text, got, fm.err(), want, ok)
		}
	})
}

// FuzzAWholeNumberIsOneInItsBoundsOrWrong: numbers of bodies and queries are decimal digits, within
// their bounds, and nothing wraps, rounds or is cut off.
func FuzzAWholeNumberIsOneInItsBoundsOrWrong(f *testing.F) {
	for _, text := range []string{
		"0", "1", "-1", "1.0", "1e3", "+1", "01", " 1", "1 ", "0x1", "1_0", "253402300799", "253402300800", "3153600000", "3153600001",
		"9223372036854775807", "9223372036854775808",
		"18446744073709551615", "18446744073709551616", "2147483647", "2147483648", "200", "201", "256", "257", "", "٣", "1\x00",
		strings.Repeat("9", 400), strings.Repeat("0", 400) + "1", "NaN",
	} {
		f.Add(text)
	}
	digits := regexp.MustCompile(`^[0-9]+$`)
	f.Fuzz(func(t *testing.T, text string) {
		value, whole := new(big.Int), digits.MatchString(text)
		if whole {
			value.SetString(text, 10)
		}
		in := func(least, most uint64) bool {
			return whole && value.Cmp(new(big.Int).SetUint64(least)) >= 0 && value.Cmp(new(big.Int).SetUint64(most)) <= 0
		}
		check := func(what string, f *form, got uint64, ok bool, wrong uint64) {
			t.Helper()
			if (f.err() == nil) != ok || ok && got != value.Uint64() || !ok && got != wrong {
				t.Fatalf("%s %q: %d, %v", what, text, got, f.err())
			}
		}
		number := node{kind: '0', text: text}
		for _, b := range [][2]uint64{{0, maxSeconds}, {1, 1<<64 - 1}, {1, maxPage}} {
			var nf nativeForm
			got := nf.whole(number, "n", b[0], b[1])
			check("whole", &nf.form, got, in(b[0], b[1]), 0)
		}
		var nf nativeForm
		if d := nf.seconds(number, "n", 1); in(1, maxSeconds) && (d <= 0 || int64(d/time.Second) != value.Int64()) || !in(1, maxSeconds) && d != 0 {
			t.Fatalf("seconds %q: %v", text, d)
		}
		var uf form
		if got := uf.unix(number, "at"); in(0, 253402300799) {
			check("unix", &uf, uint64(got.Unix()), true, 0)
			if got.Year() > 9999 {
				t.Fatalf("unix %q: %v", text, got)
			}
		} else if uf.err() == nil || !got.IsZero() {
			t.Fatalf("unix %q: %v, %v", text, got, uf.err())
		}
		var qf form
		got := qf.number(url.Values{"page": {text}}, "page", 30, katapultMaxPerPage)
		check("number", &qf, uint64(got), in(1, katapultMaxPerPage), 30)
	})
}

// leadingZero is a length that package net takes and netip does not.
var leadingZero = regexp.MustCompile(`/0[0-9]`)

// FuzzANetworkIsWhatItSaysOrWrong: a text is an address or a CIDR prefix, as package net reads
// them, in one form: without the bits that it does not look at, IPv4 as IPv4, and without a zone.
func FuzzANetworkIsWhatItSaysOrWrong(f *testing.F) {
	for _, text := range []string{
		"192.0.2.1", "192.0.2.0/24", "192.0.2.7/24", "0.0.0.0/0", "::/0", "2001:db8::/32", "2001:DB8::1", "::1", "::ffff:1.2.3.4",
		"::ffff:1.2.3.4/128", "::ffff:1.2.3.4/96", "::ffff:1.2.3.4/95",
		"1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/", "1.2.3.4/08", "1.2.3.4/+8", "1.2.3", "1.2.3.04", "0x1.2.3.4", "fe80::1%eth0",
		"fe80::1%eth0/64", "[::1]", "1.2.3.4:80", "", "/", "localhost", "::/129", "1.2.3.4/8 ",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var want netip.Prefix
		ok := false
		if ip := net.ParseIP(text); ip != nil {
			addr, _ := netip.AddrFromSlice(ip)
			want, ok = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), true
		} else if _, n, err := net.ParseCIDR(text); err == nil && !leadingZero.MatchString(text) {
			addr, _ := netip.AddrFromSlice(n.IP)
			ones, bits := n.Mask.Size()
			want, ok = netip.PrefixFrom(addr, ones), true
			if bits == 128 && (addr.Is4In6() || ones < 96 && (netip.PrefixFrom(addr, ones)).Contains(netip.MustParseAddr("::ffff:0.0.0.0"))) {
				// What is mapped has one more form, and a prefix of it may be of both.
				want, ok = refMapped(text)
			}
		}
		p, got := parseNetwork(text)
		if got != ok || ok && p != want {
			t.Fatalf("%q: %v, %v; want %v, %v", text, p, got, want, ok)
		}
		if !ok {
			return
		}
		if !p.IsValid() || p != p.Masked() || p.Addr().Is4In6() || p.Addr().Zone() != "" {
			t.Fatalf("%q is %v", text, p)
		}
		if again, ok := parseNetwork(networkText(p)); !ok || again != p {
			t.Fatalf("%q is written as %q, which is %v, %v", text, networkText(p), again, ok)
		}
		// The native routes read the same, but refuse what is not in the one form already.
		var nf nativeForm
		list := nf.networks(node{kind: '[', values: []node{{kind: '"', text: text}}}, "networks")
		if nf.err() != nil || len(list) != 1 || list[0].Addr().Unmap() != p.Addr() && list[0].Masked().Addr().Unmap() != p.Addr() {
			t.Fatalf("%q: %v, %v; and %v", text, list, nf.err(), p)
		}
	})
}

// refMapped is a prefix that was written with a mapped address, or with one that has the mapped
// ones below it.
func refMapped(text string) (netip.Prefix, bool) {
	host, length, _ := strings.Cut(text, "/")
	addr, n := netip.MustParseAddr(host), 0
	for _, c := range length {
		n = n*10 + int(c-'0')
	}
	if !addr.Is4In6() {
		return netip.PrefixFrom(addr, n).Masked(), true
	}
	if n < 96 {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(addr.Unmap(), n-96).Masked(), true
}
