package httpapi

import (
	"context"
	"encoding/json"

	"github.com/mess-exchange/mess-exchange/gen/server"
	"github.com/mess-exchange/mess-exchange/internal/engine"
)

const saveKey = "Save this API key - it cannot be retrieved again."

// RegisterExecutor implements POST …/register, the only operation of an exchange without a key.
func (h *handlers) RegisterExecutor(ctx context.Context, r server.RegisterExecutorRequestObject) (server.RegisterExecutorResponseObject, error) {
	b := r.Body.(*body)
	capabilities, _ := b.texts("capabilities")
	registration := engine.Registration{
		Once:         callOf(ctx).once,
		ExecutorID:   b.text("executor_id"),
		DisplayName:  b.text("display_name"),
		Capabilities: capabilities,
		Settings:     b.settings(),
	}
	key, err := h.exchange.Register(ctx, r.ExchangeID, registration)
	if err != nil {
		return nil, err
	}
	return server.RegisterExecutor201JSONResponse{
		ExecutorID: registration.ExecutorID,
		APIKey:     key,
		Message:    saveKey,
	}, nil
}

// ListExecutors implements GET …/executors.
func (h *handlers) ListExecutors(ctx context.Context, _ server.ListExecutorsRequestObject) (server.ListExecutorsResponseObject, error) {
	executors, err := h.exchange.Executors(ctx, callOf(ctx).caller)
	if err != nil {
		return nil, err
	}
	return document(appendExecutors(takeBuffer(), executors)), nil
}

// GetExecutor implements GET …/executors/{executor_id}.
func (h *handlers) GetExecutor(ctx context.Context, r server.GetExecutorRequestObject) (server.GetExecutorResponseObject, error) {
	profile, err := h.exchange.Profile(ctx, callOf(ctx).caller, r.ExecutorID)
	if err != nil {
		return nil, err
	}
	return document(appendProfile(takeBuffer(), profile)), nil
}

// RotateKey implements POST …/executors/{executor_id}/key.
func (h *handlers) RotateKey(ctx context.Context, r server.RotateKeyRequestObject) (server.RotateKeyResponseObject, error) {
	key, err := h.exchange.RotateKey(ctx, callOf(ctx).caller, r.ExecutorID)
	if err != nil {
		return nil, err
	}
	return server.RotateKey200JSONResponse{ExecutorID: r.ExecutorID, APIKey: key, Message: saveKey}, nil
}

// RemoveExecutor implements DELETE …/executors/{executor_id}.
func (h *handlers) RemoveExecutor(ctx context.Context, r server.RemoveExecutorRequestObject) (server.RemoveExecutorResponseObject, error) {
	if err := h.exchange.Remove(ctx, callOf(ctx).caller, r.ExecutorID); err != nil {
		return nil, err
	}
	return server.RemoveExecutor200JSONResponse{ExecutorID: r.ExecutorID, Removed: true}, nil
}

// UpdateExecutor implements PATCH …/executors/{executor_id}.
func (h *handlers) UpdateExecutor(ctx context.Context, r server.UpdateExecutorRequestObject) (server.UpdateExecutorResponseObject, error) {
	b := r.Body.(*body)
	update := engine.ProfileUpdate{Settings: b.settings()}
	if name, given := b.value["display_name"].(string); given {
		update.DisplayName = &name
	}
	if capabilities, given := b.texts("capabilities"); given {
		update.Capabilities = &capabilities
	}
	if err := h.exchange.UpdateProfile(ctx, callOf(ctx).caller, r.ExecutorID, update); err != nil {
		return nil, err
	}
	return server.UpdateExecutor200JSONResponse{ExecutorID: r.ExecutorID, Updated: true}, nil
}

// settings are the private settings of an executor: all members but those that everybody may see.
func (b *body) settings() map[string]json.RawMessage {
	settings := map[string]json.RawMessage{}
	for _, m := range b.members {
		switch m.name {
		case "executor_id", "display_name", "capabilities":
		default:
			settings[m.name] = compact(m.raw)
		}
	}
	return settings
}
