package httpadapter

import (
	"net/http"
	"net/netip"
	"testing"
)

// It fails without each of these (internal/mutants): the reading of X-Forwarded-For from the right;
// the end of the search at what is no address; the stop at the first hop that is not trusted; the
// one form of an address that networks are compared with.
func TestTheClientsAddressIsTheLastThatATrustedHopSaw(t *testing.T) {
	proxies := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"),
		netip.MustParsePrefix("fd00::/8"),
		netip.MustParsePrefix("::ffff:172.16.0.0/108"), // 172.16.0.0/12
	}
	for _, c := range []struct {
		name    string
		proxies []netip.Prefix
		remote  string
		header  []string
		want    string // empty: unknown
	}{
		{"direct", nil, "192.0.2.7:80", nil, "192.0.2.7"},
		{"direct, over IPv6", nil, "[2001:db8::7]:80", nil, "2001:db8::7"},
		{"IPv4 mapped into IPv6", nil, "[::ffff:192.0.2.7]:80", nil, "192.0.2.7"},
		{"with a zone", nil, "[fe80::7%eth0]:80", nil, "fe80::7"},
		{"a unix socket", nil, "@", nil, ""},
		{"nothing", nil, "", nil, ""},
		{"without a port", nil, "192.0.2.7", nil, ""},
		{"no proxy is trusted: the header is not looked at", nil, "10.0.0.1:80", []string{"192.0.2.7"}, "10.0.0.1"},
		{"an untrusted peer: the header is not looked at", proxies, "192.0.2.7:80", []string{"10.9.9.9"}, "192.0.2.7"},
		{"a unix socket is trusted by nobody", proxies, "@", []string{"192.0.2.7"}, ""},
		{"one proxy", proxies, "10.0.0.1:80", []string{"192.0.2.7"}, "192.0.2.7"},
		{"one proxy, over IPv6", proxies, "[fd00::1]:80", []string{"2001:db8::7"}, "2001:db8::7"},
		{"a proxy whose address is mapped", proxies, "[::ffff:10.0.0.1]:80", []string{"192.0.2.7"}, "192.0.2.7"},
		{"a proxy whose network is written mapped", proxies, "172.16.0.1:80", []string{"192.0.2.7"}, "192.0.2.7"},
		{"two proxies", proxies, "10.0.0.1:80", []string{"192.0.2.7, 10.0.0.2"}, "192.0.2.7"},
		{"what the client wrote itself is not believed", proxies, "10.0.0.1:80", []string{"203.0.113.1, 192.0.2.7, 10.0.0.2"}, "192.0.2.7"},
		{"nor if it claims to be a proxy", proxies, "10.0.0.1:80", []string{"10.0.0.9, 192.0.2.7"}, "192.0.2.7"},
		{"nor in a line of its own", proxies, "10.0.0.1:80", []string{"203.0.113.1", "192.0.2.7", "10.0.0.2"}, "192.0.2.7"},
		{"no header: the proxy itself", proxies, "10.0.0.1:80", nil, "10.0.0.1"},
		{"only proxies: the farthest", proxies, "10.0.0.1:80", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"mapped", proxies, "10.0.0.1:80", []string{"::ffff:192.0.2.7"}, "192.0.2.7"},
		{"with a zone", proxies, "10.0.0.1:80", []string{"fe80::7%eth0"}, "fe80::7"},
		{"with a port", proxies, "10.0.0.1:80", []string{"192.0.2.7:4711"}, "192.0.2.7"},
		{"in brackets", proxies, "10.0.0.1:80", []string{"[2001:db8::7]"}, "2001:db8::7"},
		{"in brackets, with a port", proxies, "10.0.0.1:80", []string{"[2001:db8::7]:4711"}, "2001:db8::7"},
		{"IPv4 in brackets", proxies, "10.0.0.1:80", []string{"[192.0.2.7]"}, ""},
		{"blanks", proxies, "10.0.0.1:80", []string{" 192.0.2.7\t ,\t10.0.0.2 "}, "192.0.2.7"},
		{"garbage", proxies, "10.0.0.1:80", []string{"unknown"}, ""},
		{"garbage hides what is left of it", proxies, "10.0.0.1:80", []string{"192.0.2.7, unknown, 10.0.0.2"}, ""},
		{"an empty header", proxies, "10.0.0.1:80", []string{""}, ""},
		{"an empty element", proxies, "10.0.0.1:80", []string{"192.0.2.7,"}, ""},
		{"octal", proxies, "10.0.0.1:80", []string{"0300.0.2.7"}, ""},
		{"a leading zero", proxies, "10.0.0.1:80", []string{"192.0.02.7"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &Adapter{}
			for _, p := range c.proxies {
				q, ok := plainPrefix(p)
				if !ok {
					t.Fatal(p)
				}
				a.proxies = append(a.proxies, q)
			}
			got := a.clientAddr(&http.Request{RemoteAddr: c.remote, Header: http.Header{"X-Forwarded-For": c.header}})
			want := netip.Addr{}
			if c.want != "" {
				want = netip.MustParseAddr(c.want)
			}
			if got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
