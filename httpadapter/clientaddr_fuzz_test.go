package httpadapter

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
)

// refElement is what an element of X-Forwarded-For may be: an address, one in brackets if it is
// IPv6, and either with a port.
func refElement(text string) (netip.Addr, bool) {
	host := text
	if rest, ok := strings.CutPrefix(text, "["); ok {
		inner, after, closed := strings.Cut(rest, "]")
		if !closed || !strings.Contains(inner, ":") || after != "" && !isPort(after) {
			return netip.Addr{}, false
		}
		host = inner
	} else if strings.Count(text, ":") == 1 {
		before, _, _ := strings.Cut(text, ":")
		if !isPort(text[len(before):]) {
			return netip.Addr{}, false
		}
		host = before
	}
	addr, err := netip.ParseAddr(host)
	return addr.Unmap().WithZone(""), err == nil
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(strings.TrimPrefix(text, ":"), 10, 16)
	return err == nil && text[0] == ':' && text != ":" && n <= 65535
}

// FuzzForwardedFor: the client is the connection's other end, unless that is a trusted proxy: then
// the last element that is none. Nothing that stands left of it, whatever it is, makes a
// difference.
func FuzzForwardedFor(f *testing.F) {
	for _, c := range [][3]string{
		{"192.0.2.7:80", "10.9.9.9", "1"}, {"10.0.0.1:80", "192.0.2.7", ""}, {"10.0.0.1:80", "203.0.113.1, 192.0.2.7, 10.0.0.2", "10.0.0.3"},
		{"10.0.0.1:80", "203.0.113.1\n192.0.2.7\n10.0.0.2", ""}, {"[fd00::1]:80", "[2001:db8::7]:4711", "x"},
		{"[::ffff:10.0.0.1]:80", "::ffff:192.0.2.7", ","},
		{"10.0.0.1:80", "fe80::7%eth0", ""}, {"10.0.0.1:80", "[192.0.2.7]", ""}, {"10.0.0.1:80", "unknown, 10.0.0.2", "192.0.2.7"},
		{"10.0.0.1:80", "192.0.2.7,", ""},
		{"10.0.0.1:80", "\t192.0.2.7 \t,\n", ""}, {"@", "192.0.2.7", ""}, {"", "", ""}, {"10.0.0.1", "192.0.2.7", ""},
		{"10.0.0.1:80", "192.0.2.07:+1", ""}, {"10.0.0.1:80", "for=192.0.2.7", ""},
		{"10.0.0.1:80", "192.0.2.7:", ""}, {"10.0.0.1:80", "[2001:db8::7", ""}, {"10.0.0.1:80", "[fe80::1%25eth0]:1", ""},
		{"[fe80::1%eth0]:80", "", ""}, {"10.0.0.0:0", "[::%]]", "0"}, {"10.0.0.0:0", "[::%]]:1", "0"}, {"10.0.0.0:0", "::%]]", "0"},
	} {
		f.Add(c[0], c[1], c[2])
	}
	a := &Adapter{}
	for _, text := range []string{"10.0.0.0/8", "fd00::/8", "::ffff:172.16.0.0/108"} {
		p, ok := plainPrefix(netip.MustParsePrefix(text))
		if !ok {
			f.Fatal(text)
		}
		a.proxies = append(a.proxies, p)
	}
	trusted := func(addr netip.Addr) bool {
		return addr.Is4() && (addr.As4()[0] == 10 || addr.As4()[0] == 172 && addr.As4()[1]&0xf0 == 16) || addr.Is6() && addr.As16()[0] == 0xfd
	}
	f.Fuzz(func(t *testing.T, remote, header, left string) {
		h := http.Header{}
		if header != "" {
			h["X-Forwarded-For"] = strings.Split(header, "\n")
		}
		h["Forwarded"], h["X-Real-Ip"] = []string{"for=203.0.113.99"}, []string{"203.0.113.99"} // nobody reads these
		got := a.clientAddr(&http.Request{RemoteAddr: remote, Header: h})
		if got.Is4In6() || got.Zone() != "" {
			t.Fatalf("%q, %q: %v is not the plain form", remote, header, got)
		}

		want := netip.Addr{}
		if peer, err := netip.ParseAddrPort(remote); err == nil {
			want = peer.Addr().Unmap().WithZone("")
		}
		if trusted(want) {
			elements := strings.Split(strings.ReplaceAll(header, "\n", ","), ",")
			if header == "" {
				elements = nil
			}
			for i := len(elements) - 1; i >= 0; i-- {
				addr, ok := refElement(strings.Trim(elements[i], " \t"))
				if !ok {
					want = netip.Addr{}
					break
				}
				if want = addr; !trusted(addr) {
					break
				}
			}
		}
		if got != want {
			t.Fatalf("%q, %q: %v, want %v", remote, header, got, want)
		}

		// Whoever sends what is on the left gains nothing by it.
		if !trusted(got) {
			more := http.Header{"X-Forwarded-For": append(strings.Split(left, "\n"), h["X-Forwarded-For"]...)}
			if header == "" && trusted(peerOf(remote)) {
				return
			}
			if again := a.clientAddr(&http.Request{RemoteAddr: remote, Header: more}); again != got {
				t.Fatalf("%q, %q: %v, and with %q on the left %v", remote, header, got, left, again)
			}
		}
		// Without trusted proxies no header counts.
		if alone := (&Adapter{}).clientAddr(&http.Request{RemoteAddr: remote, Header: h}); alone != peerOf(remote) {
			t.Fatalf("%q, %q, trusting nobody: %v", remote, header, alone)
		}
	})
}

func peerOf(remote string) netip.Addr {
	peer, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap().WithZone("")
}
