package httpadapter

import (
	"net/http"
	"net/netip"
	"strings"
)

// clientAddr returns the address that the request came from, as far as it can be
// believed. The zero Addr stands for unknown: it is in no network, so that a token that is
// bound to networks is refused, and any other is not.
//
// Without trusted proxies it is RemoteAddr. Where that is a trusted proxy, it is the
// address that this proxy saw, which it appended to X-Forwarded-For; if that is a trusted
// proxy, too, then the one before it, and so on from right to left over all lines of the
// header. What stands left of the first address that is not trusted was written by a
// client, and is not looked at. An element that is no address ends the search: going on to
// the left of it would believe a client, and taking the proxy for the client would
// admit anybody to the networks that the proxy is in. So the client is unknown then.
func (a *Adapter) clientAddr(r *http.Request) netip.Addr {
	addr := remoteAddr(r.RemoteAddr)
	if len(a.proxies) == 0 || !a.trusts(addr) {
		return addr
	}
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		for line, more := lines[i], true; more; {
			var hop string
			if cut := strings.LastIndexByte(line, ','); cut >= 0 {
				line, hop = line[:cut], line[cut+1:]
			} else {
				hop, more = line, false
			}
			addr = forwardedAddr(strings.Trim(hop, " \t"))
			if !addr.IsValid() || !a.trusts(addr) {
				return addr
			}
		}
	}
	return addr // the request was made by a trusted proxy itself
}

func (a *Adapter) trusts(addr netip.Addr) bool {
	for _, p := range a.proxies {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// remoteAddr parses [http.Request.RemoteAddr]: "ip:port" over TCP. Over a unix socket it is
// "@" or "", and there is no address.
func remoteAddr(text string) netip.Addr {
	ap, err := netip.ParseAddrPort(text)
	if err != nil {
		return netip.Addr{}
	}
	return plainAddr(ap.Addr())
}

// forwardedAddr parses an element of X-Forwarded-For: an address, which some proxies put
// into brackets or follow with a port.
func forwardedAddr(text string) netip.Addr {
	if strings.HasPrefix(text, "[") && strings.Count(text, "]") > 1 {
		return netip.Addr{} // package netip takes one for the name of a zone
	}
	if inner, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(inner, "]") {
		text = inner[:len(inner)-1]
		if !strings.Contains(text, ":") {
			return netip.Addr{} // brackets are for IPv6
		}
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		return plainAddr(addr)
	}
	return remoteAddr(text)
}

// plainAddr returns the one form of an address that networks are compared with: IPv4 not
// mapped into IPv6, and no zone, which is a name on this machine and in no prefix.
func plainAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// plainPrefix returns the same form of a network, masked. It is not ok if p is invalid, or
// holds mapped IPv4 addresses beside others.
func plainPrefix(p netip.Prefix) (plain netip.Prefix, ok bool) {
	if !p.IsValid() {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}
