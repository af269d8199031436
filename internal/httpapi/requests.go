package httpapi

import (
	"context"
	"encoding/json"

	"github.com/mess-exchange/mess-exchange/gen/server"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// CreateRequest implements POST …/requests.
func (h *handlers) CreateRequest(ctx context.Context, r server.CreateRequestRequestObject) (server.CreateRequestResponseObject, error) {
	b := r.Body.(*body)
	cmd := &exchange.Create{
		Once:         callOf(ctx).once,
		Intent:       b.text("intent"),
		Context:      compactOrNil(b.get("context").raw),
		Priority:     b.text("priority"),
		ResponseHint: compactOrNil(b.get("response_hint").raw),
		Request:      b.block(),
	}
	if err := h.exchange.Create(ctx, callOf(ctx).caller, cmd); err != nil {
		return nil, err
	}
	return threadState{cmd.Result.Ref, cmd.Result.Status}, nil
}

// GetRequest implements GET …/requests/{ref}.
func (h *handlers) GetRequest(ctx context.Context, r server.GetRequestRequestObject) (server.GetRequestResponseObject, error) {
	c := callOf(ctx)
	query := c.answer.request.URL.RawQuery
	view := viewOf(query)
	if err := h.awaitNews(ctx, r.Ref, view); err != nil {
		return nil, err
	}
	var (
		tag  string
		held bool
	)
	thread, err := h.exchange.ThreadUnless(ctx, c.caller, r.Ref, func(t *exchange.Thread) bool {
		tag = threadTag(t, query)
		held = c.holds(tag)
		return held
	})
	if err != nil {
		return nil, err
	}
	if held {
		return notModified(tag), nil
	}
	if view.links {
		linkMedia(thread, r.ExchangeID)
	}
	return threadAnswer{thread, tag, ctx}, nil
}

// UpdateRequest implements PATCH …/requests/{ref}.
func (h *handlers) UpdateRequest(ctx context.Context, r server.UpdateRequestRequestObject) (server.UpdateRequestResponseObject, error) {
	b := r.Body.(*body)
	cmd := &exchange.Update{Once: callOf(ctx).once, Ref: r.Ref, Status: b.text("status"), Message: b.text("message")}
	for _, block := range b.get("mess").items {
		cmd.Mess = append(cmd.Mess, compact(block))
	}
	if err := h.exchange.Update(ctx, callOf(ctx).caller, cmd); err != nil {
		return nil, err
	}
	return threadState{cmd.Result.Ref, cmd.Result.Status}, nil
}

// block is the body as the content of a request block.
func (b *body) block() json.RawMessage {
	size := 2
	for _, m := range b.members {
		size += len(m.key) + len(m.raw) + 2
	}
	text := append(make([]byte, 0, size), '{')
	for i, m := range b.members {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(append(text, m.key...), ':')
		text = appendCompact(text, m.raw)
	}
	return append(text, '}')
}

func compactOrNil(raw json.RawMessage) json.RawMessage {
	if raw == nil {
		return nil
	}
	return compact(raw)
}
