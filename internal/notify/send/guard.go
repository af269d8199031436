package send

import (
	"net/netip"
	"slices"
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
