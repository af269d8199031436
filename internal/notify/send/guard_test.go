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

// Ensure what is known of a host by its name alone, where nobody says which address it has.
func TestGuardOfNames(t *testing.T) {
	strict, open, own := newGuard(nil), newGuard(networks("10.1.0.0/16", "192.168.7.7/32")), newGuard(networks("127.0.0.0/8"))
	for address, c := range map[string]struct{ strict, open, own bool }{
		"example.org 443":             {true, true, true},
		"EXAMPLE.org. 80":             {true, true, true},
		"example.org 8080":            {false, false, false}, // whose address it has can't be known
		"localhost.example.org 443":   {true, true, true},
		"93.184.216.34 443":           {true, true, true},
		"93.184.216.34 22":            {false, false, false},
		"[2606:4700::1111] 443":       {true, true, true},
		"[::1] 80":                    {false, false, false},
		"[::ffff:127.0.0.1] 80":       {false, false, true},
		"[::ffff:a9fe:a9fe] 80":       {false, false, false},
		"127.0.0.1 8080":              {false, false, true},
		"169.254.169.254 80":          {false, false, false},
		"10.1.2.3 8123":               {false, true, false},
		"192.168.7.8 80":              {false, false, false},
		"localhost 3000":              {false, false, true},
		"LOCALHOST. 80":               {false, false, true},
		"a.localhost 80":              {false, false, true},
		"printer 80":                  {false, true, true},
		"robot.local 8123":            {false, true, true},
		"metadata.google.internal 80": {false, true, true},
		"nas.home.arpa 443":           {false, true, true},
		"router.lan. 443":             {false, true, true},
		" 80":                         {false, true, true}, // no URL has such a host
	} {
		host, port, _ := strings.Cut(address, " ")
		for name, got := range map[string][2]bool{
			"": {strict.host(host, port) == nil, c.strict}, "a network": {open.host(host, port) == nil, c.open}, "loopback": {own.host(host, port) == nil, c.own},
		} {
			if got[0] != got[1] {
				t.Errorf("%s, allowed: %q: %v", address, name, got[0])
			}
		}
	}
	if err := strict.host("localhost", "80"); outcomeWithout(err).Reason != notAllowed || outcomeWithout(err).Verdict != Failed {
		t.Errorf("%v", outcomeWithout(err))
	}
}
