package httpapi

import (
	"context"

	"github.com/mess-exchange/mess-exchange/gen/server"
	"github.com/mess-exchange/mess-exchange/internal/capabilities"
)

// ListCapabilities implements GET …/capabilities. The catalogue is the server's and no part of the exchange,
// so only here a handler has to see to it that the key still holds.
func (h *handlers) ListCapabilities(ctx context.Context, r server.ListCapabilitiesRequestObject) (server.ListCapabilitiesResponseObject, error) {
	if err := h.exchange.Prove(ctx, callOf(ctx).caller); err != nil {
		return nil, err
	}
	tag := ""
	if r.Params.Tag != nil {
		tag = *r.Params.Tag
	}
	var all []capabilities.Capability
	if h.options.Capabilities != nil {
		all = h.options.Capabilities.List(tag)
	}
	return document(appendCapabilities(takeBuffer(), all)), nil
}
