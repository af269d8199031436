package send

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"code.dny.dev/ssrf"
)

// guard says which addresses may be called. It is asked by the dialer, with the address that the connection is about to
// be made to: what a name meant before, or where a redirect leads, makes no difference.
type guard struct {
	allowed []netip.Prefix
	public  *ssrf.Guardian
}

func newGuard(allowed []netip.Prefix) *guard { return &guard{allowed: allowed, public: ssrf.New()} }

// control is a net.Dialer's Control. In the networks that the operator allows, any port may be called, since a robot
// rarely listens on 80.
func (g *guard) control(network, address string, c syscall.RawConn) error {
	if a, err := netip.ParseAddrPort(address); err == nil {
		ip := a.Addr().Unmap().WithZone("")
		if slices.ContainsFunc(g.allowed, func(p netip.Prefix) bool { return p.Contains(ip) }) {
			return nil
		}
	}
	return g.public.Safe(network, address, c) //nolint:wrapcheck // told apart in outcomeWithout
}

// localNames are the ends of names that are never a public host's (RFC 6761, 6762, 8375 and what ICANN reserved): with a
// single word they are what somebody's own resolver may know.
var localNames = []string{".localhost", ".local", ".internal", ".home.arpa", ".lan", ".localdomain", ".test", ".invalid", ".onion"}

// host is what control is where another resolves names and no address is ever seen (transport_js.go). It is asked with
// the host and the port of a URL as the URL standard writes them, where every spelling of an address has become that
// address. An address is checked as control does. Of a name nothing is known but the name: what is somebody's own may be
// called where the operator allows a network, and all others, on the ports of the web, may lead to any address.
func (g *guard) host(name, port string) error {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if a, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		network := "tcp4"
		if a.Is6() {
			network = "tcp6"
		}
		return g.control(network, net.JoinHostPort(a.String(), port), nil)
	}
	switch {
	case name == "localhost" || strings.HasSuffix(name, ".localhost"):
		if !slices.ContainsFunc(g.allowed, func(p netip.Prefix) bool { return p.Contains(loopback4) || p.Contains(loopback6) }) {
			return fmt.Errorf("%w: a name of this machine", ssrf.ErrProhibitedIP)
		}
	case !strings.Contains(name, ".") || slices.ContainsFunc(localNames, func(end string) bool { return strings.HasSuffix(name, end) }):
		if len(g.allowed) == 0 {
			return fmt.Errorf("%w: a name of somebody's own network", ssrf.ErrProhibitedIP)
		}
	case port != "80" && port != "443":
		return fmt.Errorf("%w: %s", ssrf.ErrProhibitedPort, port)
	}
	return nil
}

var loopback4, loopback6 = netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
