package httpapi

import (
	"context"

	"github.com/mess-exchange/mess-exchange/gen/server"
)

// GetHealth implements GET /health. It says that the process answers; it asks nothing of the storage,
// so that a storage that is away for a moment does not make a supervisor restart all replicas.
func (h *handlers) GetHealth(context.Context, server.GetHealthRequestObject) (server.GetHealthResponseObject, error) {
	return server.GetHealth200JSONResponse{
		Status:  server.Ok,
		Service: server.MessExchange,
		Storage: h.options.Storage,
		Mode:    server.EventSourced,
		Version: h.options.Version,
	}, nil
}

// GetReady implements GET /ready. What keeps the server from being ready is answered like any refusal.
func (h *handlers) GetReady(ctx context.Context, _ server.GetReadyRequestObject) (server.GetReadyResponseObject, error) {
	if err := h.exchange.Ready(ctx); err != nil {
		return nil, err
	}
	return server.GetReady200JSONResponse{Status: server.Ready}, nil
}
