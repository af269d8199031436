package send

import (
	"fmt"
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

// ParseNetworks reads the value of NOTIFY_ALLOW_NETWORKS: networks as in 10.0.0.0/8 or fd00::/8, or single addresses,
// with commas or blanks between them.
func ParseNetworks(list string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, field := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		network, err := netip.ParsePrefix(field)
		if err != nil {
			address, err := netip.ParseAddr(field)
			if err != nil || address.Zone() != "" {
				return nil, fmt.Errorf("%q is no network such as 10.0.0.0/8", field)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		if network.Addr().Is4In6() {
			return nil, fmt.Errorf("%q must be written as an IPv4 network", field)
		}
		if network != network.Masked() {
			return nil, fmt.Errorf("%q is an address in a network; the network is %v", field, network.Masked())
		}
		all = append(all, network)
	}
	return all, nil
}
