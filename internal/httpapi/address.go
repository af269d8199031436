package httpapi

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwardedFor is the only header that is asked for where a client is. A proxy appends to it, so what its
// client wrote there stands to the left. Of others (Forwarded, X-Real-Ip …) a proxy may know nothing and pass
// on what a client invented.
const forwardedFor = "X-Forwarded-For"

// clientAddress returns where a request comes from: the other end of its connection; where that is one of the
// trusted proxies, the last address in X-Forwarded-For that is none of them. An IPv6 address stands for
// its /64, which is what one client has at least. It is the zero Addr where the connection has no address.
func clientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	at, ok := parseAddress(r.RemoteAddr)
	if !ok {
		return netip.Addr{}
	}
	headers := r.Header[forwardedFor]
	for i := len(headers) - 1; i >= 0; i-- {
		rest := headers[i]
		for more := true; more; {
			if !within(at, trusted) {
				return subscriber(at)
			}
			var hop string
			if cut := strings.LastIndexByte(rest, ','); cut >= 0 {
				rest, hop = rest[:cut], rest[cut+1:]
			} else {
				hop, more = rest, false
			}
			before, ok := parseAddress(strings.TrimSpace(hop))
			if !ok {
				return subscriber(at) // what is left of it was not written by a proxy that can be trusted
			}
			at = before
		}
	}
	return subscriber(at)
}

// parseAddress reads an address, with or without a port, in brackets or not.
func parseAddress(text string) (netip.Addr, bool) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr().Unmap().WithZone(""), true
	}
	text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	at, err := netip.ParseAddr(text)
	return at.Unmap().WithZone(""), err == nil
}

func within(at netip.Addr, prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(at) })
}

// subscriber is what counts as one client.
func subscriber(at netip.Addr) netip.Addr {
	if !at.Is6() {
		return at
	}
	net, err := at.Prefix(64)
	if err != nil {
		return at // not reached: an IPv6 address has 128 bits
	}
	return net.Addr()
}
