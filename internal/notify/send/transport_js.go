//go:build js

package send

import (
	"net/http"
	"net/netip"
)

// newCaller returns a caller that calls by fetch: a Worker has no sockets, and no names are resolved in it. What an
// address may be is not the program's to check there, since it never learns one. What keeps an executor from having
// it call what he can't reach himself is where a fetch leaves from: Cloudflare's network, in which there is nobody's
// private one, nor a machine of the Worker's own; and with the flag global_fetch_strictly_public (wrangler.jsonc) it
// reaches hosts of the operator's own zone as anybody does, through what protects them. So there is no network to
// allow either.
func newCaller([]netip.Prefix) *caller { return &caller{guarded: byFetch{}, open: byFetch{}} }

// byFetch is net/http's own way to fetch, less redirects.
type byFetch struct{}

func (byFetch) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("js.fetch:redirect", "manual")
	return http.DefaultTransport.RoundTrip(r)
}

// CloseIdleConnections: they are not the program's.
func (byFetch) CloseIdleConnections() {}
