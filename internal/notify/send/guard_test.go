package send

import (
	"net/netip"
	"strings"
	"testing"
)

func networks(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// Ensure which addresses may be called: public ones on the ports of the web, and what the operator allows.
func TestGuard(t *testing.T) {
	strict, open := newGuard(nil), newGuard(networks("10.1.0.0/16", "fd00:1::/32", "192.168.7.7/32"))
	for address, c := range map[string]struct{ strict, open bool }{
		"93.184.216.34:80":            {true, true},
		"93.184.216.34:443":           {true, true},
		"[2606:4700::1111]:443":       {true, true},
		"93.184.216.34:8080":          {false, false}, // odd ports
		"93.184.216.34:22":            {false, false},
		"93.184.216.34:25":            {false, false},
		"127.0.0.1:80":                {false, false},
		"127.8.9.1:80":                {false, false},
		"[::1]:80":                    {false, false},
		"0.0.0.0:80":                  {false, false},
		"[::]:80":                     {false, false},
		"169.254.169.254:80":          {false, false}, // metadata
		"[fd00:ec2::254]:80":          {false, false},
		"[fe80::1%eth0]:80":           {false, false},
		"100.100.100.200:80":          {false, false},
		"172.16.0.1:80":               {false, false},
		"192.168.7.8:80":              {false, false},
		"[::ffff:127.0.0.1]:80":       {false, false}, // mapped
		"[::ffff:169.254.169.254]:80": {false, false},
		"[::ffff:93.184.216.34]:80":   {false, false},
		"[64:ff9b::7f00:1]:80":        {false, false},
		"[2002:7f00:1::]:80":          {false, false},
		"224.0.0.1:80":                {false, false},
		"255.255.255.255:80":          {false, false},
		"10.1.2.3:80":                 {false, true},
		"10.1.2.3:8123":               {false, true},
		"[::ffff:10.1.2.3]:8123":      {false, true},
		"10.2.0.1:80":                 {false, false},
		"[fd00:1::5]:80":              {false, true},
		"192.168.7.7:2586":            {false, true},
		"no address":                  {false, false},
	} {
		network := "tcp4"
		if strings.HasPrefix(address, "[") {
			network = "tcp6"
		}
		if got := strict.control(network, address, nil) == nil; got != c.strict {
			t.Errorf("%s: %v", address, got)
		}
		if got := open.control(network, address, nil) == nil; got != c.open {
			t.Errorf("%s, with networks allowed: %v", address, got)
		}
	}
}
