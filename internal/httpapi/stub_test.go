package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

const (
	goodKey    = "mess_home_0123456789abcdef0123456789abcdef"
	foreignKey = "mess_office_0123456789abcdef0123456789abcdef"
)

// willing is an exchange that does whatever it is asked, where the point of a test is what comes to
// it, or that something goes wrong in it: called, where set, is what its methods do first.
type willing struct{ called func(context.Context) error }

func (w willing) do(ctx context.Context) error {
	if w.called == nil {
		return nil
	}
	return w.called(ctx)
}

func (w willing) Authenticate(_ context.Context, exchangeID, key string) (engine.Caller, error) {
	switch {
	case key == foreignKey && exchangeID == "office", key == goodKey && exchangeID == "home":
		return engine.Caller{Exchange: exchangeID, Caller: exchange.Caller{Executor: "phone"}}, nil
	case key == goodKey, key == foreignKey:
		return engine.Caller{}, &exchange.Error{Code: exchange.CodeWrongExchange, Message: "This API key belongs to another exchange"}
	}
	return engine.Caller{}, &exchange.Error{Code: exchange.CodeUnauthorized, Message: "Invalid or missing API key"}
}

func (w willing) Register(ctx context.Context, _ string, _ engine.Registration) (string, error) {
	return goodKey, w.do(ctx)
}

func (w willing) Create(ctx context.Context, _ engine.Caller, cmd *exchange.Create) error {
	cmd.Result.Ref, cmd.Result.Status = "2026-02-01-XY1Z", "pending"
	return w.do(ctx)
}

func (w willing) Update(ctx context.Context, _ engine.Caller, cmd *exchange.Update) error {
	cmd.Result.Ref, cmd.Result.Status = cmd.Ref, "claimed"
	return w.do(ctx)
}

func (w willing) ThreadUnless(ctx context.Context, _ engine.Caller, ref string, known func(*exchange.Thread) bool) (*engine.Thread, error) {
	t := someThread(ref)
	if known(&t.Thread) {
		t.Messages = nil
	}
	return t, w.do(ctx)
}

func (w willing) ListUnless(ctx context.Context, _ engine.Caller, _ exchange.Filter, known func(engine.ListVersion) bool) (engine.List, error) {
	list := engine.List{Version: engine.ListVersion{Head: 7, Updated: someTime, Now: someTime}}
	if !known(list.Version) {
		list.Threads = []exchange.Thread{someThread("2026-02-01-XY1Z").Thread}
	}
	return list, w.do(ctx)
}

func (w willing) Import(ctx context.Context, _ engine.Caller, threads []*messeaf.Thread) ([]exchange.ThreadState, error) {
	var all []exchange.ThreadState
	for _, t := range threads {
		all = append(all, exchange.ThreadState{Ref: t.Ref(), Status: t.View().Status})
	}
	return all, w.do(ctx)
}

func (w willing) Export(ctx context.Context, _ engine.Caller, ref string) (*messeaf.Thread, error) {
	t, err := messeaf.New(messeaf.View{Envelope: messeaf.Envelope{Ref: ref, Requestor: "agent", Status: "pending", Created: someTime, Updated: someTime, Intent: "Look"}})
	return t, errors.Join(err, w.do(ctx))
}

// aPhoto is content that needs no closing.
type aPhoto struct{ *strings.Reader }

func (aPhoto) Close() error { return nil }

func (w willing) Attachment(ctx context.Context, _ engine.Caller, _, name string) (*engine.Attachment, error) {
	return &engine.Attachment{Name: name, Type: "image/png", Tag: "1", Content: aPhoto{strings.NewReader("a photo")}}, w.do(ctx)
}

func (w willing) Upload(ctx context.Context, _ engine.Caller, ref, name, mediaType string, content io.Reader) (exchange.Attachment, error) {
	size, err := io.Copy(io.Discard, content)
	if err != nil {
		return exchange.Attachment{}, err
	}
	return exchange.Attachment{Key: "attachments/exchange=home/" + ref + "/1", Name: name, Type: mediaType, Size: size}, w.do(ctx)
}

func (w willing) AwaitThread(ctx context.Context, _ engine.Caller, _ string, _ int64, _ time.Duration) error {
	return w.do(ctx)
}

func (w willing) Events(ctx context.Context, _ engine.Caller, _ engine.EventFilter, _ int64, _ int) (*engine.EventPage, error) {
	return &engine.EventPage{Next: 7}, w.do(ctx)
}

func (w willing) Follow(ctx context.Context, _ engine.Caller, _ engine.EventFilter, _ int64, deliver func(engine.EventBatch) error) error {
	if err := w.do(ctx); err != nil {
		return err
	}
	return deliver(engine.EventBatch{Seq: 7})
}

func (w willing) Executors(ctx context.Context, _ engine.Caller) ([]engine.Executor, error) {
	return []engine.Executor{{Executor: &exchange.Executor{ID: "phone", DisplayName: "Phone", CreatedAt: someTime}, LastSeen: someTime}}, w.do(ctx)
}

func (w willing) UpdateProfile(ctx context.Context, _ engine.Caller, _ string, _ engine.ProfileUpdate) error {
	return w.do(ctx)
}

func (w willing) Profile(ctx context.Context, _ engine.Caller, id string) (*engine.Profile, error) {
	return &engine.Profile{
		Executor: engine.Executor{Executor: &exchange.Executor{ID: id, DisplayName: "Phone", Capabilities: []string{"a", "b"}, CreatedAt: someTime}, LastSeen: someTime},
		Settings: map[string]json.RawMessage{"notifications": json.RawMessage(`[{"type":"ntfy"}]`), "a<b": json.RawMessage(`1.50`)},
	}, w.do(ctx)
}

func (w willing) RotateKey(ctx context.Context, _ engine.Caller, _ string) (string, error) {
	return goodKey, w.do(ctx)
}

func (w willing) Remove(ctx context.Context, _ engine.Caller, _ string) error { return w.do(ctx) }

func (w willing) TestNotifications(ctx context.Context, _ engine.Caller, _ string) ([]engine.TestResult, error) {
	return []engine.TestResult{
		{Channel: "channel 0 ntfy", Outcome: "delivered", Status: 200},
		{Channel: "channel 1 webhook", Outcome: "retry", Reason: "no answer in time"},
	}, w.do(ctx)
}

func (w willing) Deliveries(ctx context.Context, _ engine.Caller, _ string, before int64, limit int) (engine.DeliveryPage, error) {
	return engine.DeliveryPage{
		Deliveries: []engine.Delivery{
			{ID: "msg_A", Ref: "2026-02-01-XY1Z", EventType: "thread_created", Channel: "channel 0 ntfy", Status: "delivered", Attempts: 1, HTTPStatus: 200, Created: someTime, Updated: someTime},
			{
				ID: "msg_B", Ref: "2026-02-01-XY1Z", EventType: "status_changed", Channel: "on_request_claimed 1 linear", Status: "retry",
				Reason: "no answer in time", Next: someTime, Created: someTime, Updated: someTime,
			},
		},
		Next: before + int64(limit),
	}, w.do(ctx)
}

func (w willing) ReadLink(ctx context.Context, _ string) (*engine.LinkedThread, error) {
	return &engine.LinkedThread{Executor: "phone", Thread: someThread("2026-02-01-XY1Z").Thread}, w.do(ctx)
}

func (w willing) ClaimByLink(ctx context.Context, _ string) (*engine.LinkedThread, error) {
	t := someThread("2026-02-01-XY1Z").Thread
	t.Status, t.Executor = "claimed", "phone"
	return &engine.LinkedThread{Executor: "phone", Thread: t}, w.do(ctx)
}

func (w willing) Recognizes(key string) bool { return key == goodKey || key == foreignKey }

func (w willing) Prove(ctx context.Context, _ engine.Caller) error { return w.do(ctx) }

func (w willing) Ready(ctx context.Context) error { return w.do(ctx) }

var someTime = time.Date(2026, 2, 1, 23, 0, 0, 5_000_000, time.FixedZone("", 3600))

func someThread(ref string) *engine.Thread {
	return &engine.Thread{
		Thread: exchange.Thread{
			Ref: ref, Status: "pending", Intent: "Check <b>the door</b>", Requestor: "agent", Priority: "normal",
			CreatedAt: someTime, UpdatedAt: someTime,
		},
		Messages: []exchange.Message{{From: "agent", TS: someTime, Mess: []byte(`[{"request":{"intent":"Check the door","n":2.50}}]`)}},
	}
}
