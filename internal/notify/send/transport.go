//go:build !js

package send

import (
	"net"
	"net/http"
	"net/netip"
)

func newCaller(allowed []netip.Prefix) *caller {
	return &caller{
		guarded: newTransport(&net.Dialer{Timeout: connectTime, Control: newGuard(allowed).control}),
		open:    newTransport(&net.Dialer{Timeout: connectTime}),
	}
}

func newTransport(dialer *net.Dialer) *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // it would be what is checked, instead of the receiver
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    connectTime,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           atOnce,
		MaxIdleConnsPerHost:    perHost,
		IdleConnTimeout:        idleTime,
		MaxResponseHeaderBytes: maxAnswerHeader,
		DisableCompression:     true, // an answer of 64 KiB is one
	}
}
