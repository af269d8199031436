package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Ensure that errors of the log become refusals that tell clients what to do and nothing else, and
// that only a call's own context shows through.
func TestRefusalsHideTheirCause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := faultblob.New().Store(true)
		e := launch(t, store)
		_, c := enroll(t, e, "home", "agent")
		fault := faultblob.Refuse
		store.OnCall(func(ctx context.Context, op faultblob.Op) faultblob.Fault {
			if fault == faultblob.Drop {
				<-ctx.Done() // a store that never answers
			}
			return fault
		})
		wantRefusal := func(err error, want exchange.Code) {
			t.Helper()
			wantCode(t, err, want)
			var refusal *exchange.Error
			if errors.As(err, &refusal) && (strings.Contains(refusal.Message, "executors/") || strings.Contains(refusal.Message, "events/") || refusal.Err == nil) {
				t.Errorf("%q, cause %v", refusal.Message, refusal.Err)
			}
			if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
				t.Error("the store's time-out passes for the client's:", err)
			}
		}
		_, err := e.Threads(t.Context(), c, exchange.Filter{})
		wantRefusal(err, exchange.CodeUnavailable)
		wantRefusal(e.Create(t.Context(), c, request("x")), exchange.CodeUnavailable)
		_, err = e.Authenticate(t.Context(), "home", "mess_other_00112233445566778899aabbccddeeff")
		wantRefusal(err, exchange.CodeUnavailable)
		fault = faultblob.Drop
		_, err = e.Threads(t.Context(), c, exchange.Filter{})
		wantRefusal(err, exchange.CodeUnavailable)
		wantRefusal(e.Create(t.Context(), c, request("x")), exchange.CodeOutcomeUnknown)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, err := range []error{
			func() error { _, err := e.Threads(ctx, c, exchange.Filter{}); return err }(),
			e.Create(ctx, c, request("x")),
			func() error { _, err := e.Authenticate(ctx, "home", "mess_third_0011223344556677"); return err }(),
		} {
			var refusal *exchange.Error
			if !errors.As(err, &refusal) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the client's own time-out does not show: %v", err)
			}
		}
		store.OnCall(nil)
	})
}

// Ensure what each error below the rules becomes.
func TestRefusals(t *testing.T) {
	e := New(faultblob.New().Store(true), Options{})
	timeout := fmt.Errorf("read x: %w", context.DeadlineExceeded)
	for _, c := range []struct {
		err  error
		want exchange.Code
	}{
		{fmt.Errorf("%w: y", eventlog.ErrOverloaded), exchange.CodeOverloaded},
		{fmt.Errorf("%w: %w", eventlog.ErrUnavailable, timeout), exchange.CodeUnavailable},
		{fmt.Errorf("%w: %w", eventlog.ErrOutcomeUnknown, timeout), exchange.CodeOutcomeUnknown},
		{eventlog.ErrTooLarge, exchange.CodeTooLarge},
		{eventlog.ErrFormat, exchange.CodeReadOnly},
		{timeout, exchange.CodeOutcomeUnknown},
		{errors.New("a mistake of this program"), exchange.CodeInternal},
	} {
		refusal := e.unstored(t.Context(), c.err)
		if refusal.Code != c.want || refusal.Message == "" || errors.Is(refusal, context.DeadlineExceeded) || refusal.Err.Error() != c.err.Error() {
			t.Errorf("%v: got %s %v", c.err, refusal.Code, refusal)
		}
	}
	if refusal := e.unreadable(t.Context(), timeout); refusal.Code != exchange.CodeUnavailable || errors.Is(refusal, context.DeadlineExceeded) {
		t.Error(refusal)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if refusal := e.unstored(ctx, ctx.Err()); refusal.Code != exchange.CodeOutcomeUnknown || !errors.Is(refusal, context.Canceled) {
		t.Error(refusal)
	}
	if refusal := e.unstored(ctx, fmt.Errorf("%w: fsync", eventlog.ErrClosed)); !errors.Is(refusal, context.Canceled) {
		t.Error(refusal)
	}
	shut(t, e)
	wantCode(t, e.unstored(t.Context(), eventlog.ErrClosed), exchange.CodeUnavailable)
}
