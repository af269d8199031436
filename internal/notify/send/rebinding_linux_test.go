package send

import (
	"context"
	"encoding/binary"
	"net"
	"net/url"
	"testing"
)

// In a file for Linux, where all of 127.0.0.0/8 is this machine.

// Ensure that a name which leads elsewhere the second time is not followed there.
func TestRebinding(t *testing.T) {
	good, goodHits := recorder(t, "127.0.0.2:0")
	u, err := url.Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	_, badHits := recorder(t, "127.0.0.1:"+u.Port())
	resolver := rebinding(t, net.IPv4(127, 0, 0, 2), net.IPv4(127, 0, 0, 1))
	dialer := &net.Dialer{Control: newGuard(networks("127.0.0.2/32")).control, Resolver: resolver}
	transport := newTransport(dialer)
	transport.DisableKeepAlives = true
	c := &caller{guarded: transport}
	r := post("http://rebinding.example:" + u.Port() + "/")
	if o := c.attempt(t.Context(), r); o.Verdict != Delivered || goodHits.Load() != 1 {
		t.Fatalf("%+v", o)
	}
	if o := c.attempt(t.Context(), r); o.Verdict != Failed || o.Reason != notAllowed || badHits.Load() != 0 {
		t.Errorf("%+v, %d requests", o, badHits.Load())
	}
}

// rebinding is a resolver that answers with one address after the other, and then always with the last.
func rebinding(t *testing.T, addresses ...net.IP) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		query, next := make([]byte, 512), 0
		for {
			n, from, err := server.ReadFrom(query)
			if err != nil {
				return
			}
			address := addresses[min(next, len(addresses)-1)]
			answer, isA := answerTo(query[:n], address)
			if isA {
				next++
			}
			_, _ = server.WriteTo(answer, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp4", server.LocalAddr().String())
	}}
}

// answerTo answers a question of the DNS (RFC 1035): with the address where it is about one of IPv4, else with nothing.
func answerTo(query []byte, address net.IP) (answer []byte, isA bool) {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	question := query[12 : end+5]
	isA = binary.BigEndian.Uint16(query[end+1:]) == 1
	count := byte(0)
	if isA {
		count = 1
	}
	answer = append(answer, query[0], query[1], 0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0)
	answer = append(answer, question...)
	if isA {
		answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		answer = append(answer, address.To4()...)
	}
	return answer, isA
}
