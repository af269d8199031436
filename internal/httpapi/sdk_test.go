package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	sdk "github.com/mess-exchange/mess-exchange/gen/client"
)

func dialSDK(t *testing.T, url, key string) *sdk.ClientWithResponses {
	t.Helper()
	c, err := sdk.NewClientWithResponses(url, sdk.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		if key != "" {
			r.Header.Set("Authorization", "Bearer "+key)
		}
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// must takes a call of the SDK apart.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// Ensure the generated Go SDK can do the whole walk: register, create, claim, complete, read.
func TestSDK(t *testing.T) {
	server := httptest.NewServer(newSite(t).handler)
	t.Cleanup(server.Close)
	ctx := t.Context()
	var ntfy sdk.Channel
	if err := ntfy.FromNtfyChannel(sdk.NtfyChannel{Type: sdk.Ntfy, Topic: "mess-home"}); err != nil {
		t.Fatal(err)
	}
	register := func(id string) *sdk.ClientWithResponses {
		body := sdk.Registration{ExecutorID: id, Capabilities: &[]string{"photo:capture"}, Notifications: &sdk.Channels{ntfy}}
		got := must[*sdk.RegisterExecutorResponse](t)(dialSDK(t, server.URL, "").RegisterExecutorWithResponse(ctx, "home", nil, body))
		if got.JSON201 == nil {
			t.Fatalf("register: %s", got.Body)
		}
		return dialSDK(t, server.URL, got.JSON201.APIKey)
	}
	agent, phone := register("agent"), register("phone")

	priority := sdk.Urgent
	key := "5d1f7e3a-1c1e-4f0e-9a53-1f2e7d3f7c11"
	request := sdk.Request{
		Intent: "Check the door", Priority: &priority, Context: &[]sdk.Content{"bed time", map[string]any{"image": "data:,"}},
		AdditionalProperties: map[string]any{"floor": 2},
	}
	created := must[*sdk.CreateRequestResponse](t)(agent.CreateRequestWithResponse(ctx, "home", &sdk.CreateRequestParams{IdempotencyKey: &key}, request))
	if created.JSON201 == nil || created.JSON201.Status != sdk.Pending {
		t.Fatalf("create: %s", created.Body)
	}
	ref := created.JSON201.Ref
	again := must[*sdk.CreateRequestResponse](t)(agent.CreateRequestWithResponse(ctx, "home", &sdk.CreateRequestParams{IdempotencyKey: &key}, request))
	if again.JSON201 == nil || again.JSON201.Ref != ref {
		t.Fatalf("create again: %s", again.Body)
	}
	request.Intent = "Check the window"
	reused := must[*sdk.CreateRequestResponse](t)(agent.CreateRequestWithResponse(ctx, "home", &sdk.CreateRequestParams{IdempotencyKey: &key}, request))
	if reused.JSON422 == nil || reused.JSON422.Code != sdk.ErrorCodeIdempotencyKeyReused {
		t.Fatalf("another request with the same key: %s", reused.Body)
	}

	claim, done := sdk.WordClaimed, sdk.WordCompleted
	claimed := must[*sdk.UpdateRequestResponse](t)(phone.UpdateRequestWithResponse(ctx, "home", ref, nil, sdk.ThreadChange{Status: &claim}))
	if claimed.JSON200 == nil || claimed.JSON200.Status != sdk.Claimed {
		t.Fatalf("claim: %s", claimed.Body)
	}
	second := must[*sdk.UpdateRequestResponse](t)(agent.UpdateRequestWithResponse(ctx, "home", ref, nil, sdk.ThreadChange{Status: &claim}))
	if second.JSON409 == nil || second.JSON409.Code != sdk.ErrorCodeAlreadyClaimed {
		t.Fatalf("second claim: %d %s", second.StatusCode(), second.Body)
	}
	completed := must[*sdk.UpdateRequestResponse](t)(phone.UpdateRequestWithResponse(ctx, "home", ref, nil, sdk.ThreadChange{
		Status: &done, Mess: &[]sdk.Block{{Response: &sdk.ResponseBlock{Content: []any{"Closed"}}}},
	}))
	if completed.JSON200 == nil {
		t.Fatalf("complete: %s", completed.Body)
	}
	wantCompleted(t, agent, ref)
	wantLife(t, server.URL, phone)
}

// wantLife reads, rotates and removes the executor phone.
func wantLife(t *testing.T, url string, phone *sdk.ClientWithResponses) {
	t.Helper()
	ctx := t.Context()
	own := must[*sdk.GetExecutorResponse](t)(phone.GetExecutorWithResponse(ctx, "home", "phone"))
	if own.JSON200 == nil || own.JSON200.Executor.ID != "phone" || fmt.Sprint(own.JSON200.Executor.AdditionalProperties["notifications"]) != "[map[topic:*** type:ntfy]]" {
		t.Fatalf("own profile: %s", own.Body)
	}
	tag := "media"
	list := must[*sdk.ListCapabilitiesResponse](t)(phone.ListCapabilitiesWithResponse(ctx, "home", &sdk.ListCapabilitiesParams{Tag: &tag}))
	if list.JSON200 == nil || len(list.JSON200.Capabilities) != 0 {
		t.Errorf("capabilities: %s", list.Body)
	}
	rotated := must[*sdk.RotateKeyResponse](t)(phone.RotateKeyWithResponse(ctx, "home", "phone"))
	if rotated.JSON200 == nil {
		t.Fatalf("rotate: %s", rotated.Body)
	}
	if got := must[*sdk.RemoveExecutorResponse](t)(phone.RemoveExecutorWithResponse(ctx, "home", "phone")); got.JSON401 == nil {
		t.Errorf("with the old key: %s", got.Body)
	}
	phone = dialSDK(t, url, rotated.JSON200.APIKey)
	if got := must[*sdk.RemoveExecutorResponse](t)(phone.RemoveExecutorWithResponse(ctx, "home", "phone")); got.JSON200 == nil || !got.JSON200.Removed {
		t.Errorf("remove: %s", got.Body)
	}
}

// wantCompleted reads the thread back, alone and in a list.
func wantCompleted(t *testing.T, agent *sdk.ClientWithResponses, ref string) {
	t.Helper()
	ctx := t.Context()
	read := must[*sdk.GetRequestResponse](t)(agent.GetRequestWithResponse(ctx, "home", ref, nil))
	if read.JSON200 == nil {
		t.Fatalf("read: %s", read.Body)
	}
	thread := read.JSON200.Thread
	if thread.Status != sdk.Completed || thread.ExecutorID == nil || *thread.ExecutorID != "phone" || len(thread.Messages) != 2 {
		t.Fatalf("read: %+v", thread)
	}
	if got, want := string(thread.Messages[1].Mess[1]), `{"response":{"content":["Closed"]}}`; got != want {
		t.Errorf("the answer: got %s, want %s", got, want)
	}
	limit, status := 1, []sdk.StatusFilter{sdk.FilterCompleted, sdk.FilterNeedsInputHyphen}
	list := must[*sdk.ListRequestsResponse](t)(agent.ListRequestsWithResponse(ctx, "home", &sdk.ListRequestsParams{Status: &status, Limit: &limit}))
	if list.JSON200 == nil || len(list.JSON200.Threads) != 1 || list.JSON200.Threads[0].Ref != ref {
		t.Errorf("list: %s", list.Body)
	}
	if got := must[*sdk.GetRequestResponse](t)(agent.GetRequestWithResponse(ctx, "home", "none", nil)); got.JSON404 == nil || got.JSON404.Error != "Thread not found" {
		t.Errorf("no thread: %s", got.Body)
	}
}
