package engine

import (
	"context"
	"errors"

	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

func refuse(code exchange.Code, message string) *exchange.Error {
	return &exchange.Error{Code: code, Message: message}
}

const internalSentence = "Internal server error"

func errUnauthorized() *exchange.Error {
	return refuse(exchange.CodeUnauthorized, "Invalid or missing API key")
}

func errClosing() *exchange.Error {
	return refuse(exchange.CodeUnavailable, "The server is shutting down; try again")
}

const idRule = ": must be 1 to 64 letters, digits, \"_\" or \"-\", beginning with a letter or digit; single dots may stand between them"

func errInvalidExchange() *exchange.Error {
	return refuse(exchange.CodeInvalid, "exchange_id"+idRule+"; \"null\" is reserved")
}

func errInvalidExecutor() *exchange.Error {
	return refuse(exchange.CodeInvalid, "executor_id"+idRule)
}

func errNameTaken(kind, other string) *exchange.Error {
	return refuse(exchange.CodeNameTaken, kind+" named "+other+" exists; names that differ in upper and lower case only are not allowed")
}

// The sentences for clients of what can go wrong below the rules. The cause goes into Err, for the
// server's log only.
var sentences = []struct {
	cause   error
	code    exchange.Code
	message string
}{
	{eventlog.ErrOverloaded, exchange.CodeOverloaded, "Too many changes are waiting; try again shortly"},
	{eventlog.ErrOutcomeUnknown, exchange.CodeOutcomeUnknown, "The storage did not say whether the change was stored; look before trying again"},
	{eventlog.ErrTooLarge, exchange.CodeTooLarge, "The change is too large to be stored"},
	{eventlog.ErrFormat, exchange.CodeReadOnly, "This exchange was written by a newer version of the server; this one only reads it"},
	{eventlog.ErrUnavailable, exchange.CodeUnavailable, "The storage is not available; nothing was stored"},
	// Of a call that outlives its request (detached): its own patience has ended.
	{context.DeadlineExceeded, exchange.CodeOutcomeUnknown, "The storage did not say in time whether the change was stored; look before trying again"},
	{context.Canceled, exchange.CodeOutcomeUnknown, "The server stopped before it was known whether the change was stored"},
}

// unstored turns an error of eventlog.Log.Submit into a refusal. It does not return while nothing
// may be answered any more: a log stops by itself only where going on could be a lie.
func (e *Engine) unstored(ctx context.Context, err error) *exchange.Error {
	if errors.Is(err, eventlog.ErrClosed) {
		return e.stopped(ctx, err)
	}
	if ctx.Err() != nil && isContextError(err) {
		return &exchange.Error{Code: exchange.CodeOutcomeUnknown, Message: "The request ended before it was known whether the change was stored", Err: ctx.Err()}
	}
	for _, s := range sentences {
		if errors.Is(err, s.cause) {
			return &exchange.Error{Code: s.code, Message: s.message, Err: opaque(err)}
		}
	}
	return &exchange.Error{Code: exchange.CodeInternal, Message: internalSentence, Err: opaque(err)}
}

// unreadable turns an error of reading the store into a refusal. Like unstored it does not return
// while nothing may be answered.
func (e *Engine) unreadable(ctx context.Context, err error) *exchange.Error {
	switch {
	case errors.Is(err, eventlog.ErrClosed):
		return e.stopped(ctx, err)
	case e.store.Fatal(err):
		e.die(err)
		return e.silence(ctx, err)
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return &exchange.Error{Code: exchange.CodeUnavailable, Message: "The request ended before it was answered", Err: err}
	}
	return &exchange.Error{Code: exchange.CodeUnavailable, Message: "The storage is not available; try again shortly", Err: opaque(err)}
}

// stopped is what a closed log means to a call that it took nothing from: the engine is closing, or
// the log has met something after which nothing may be answered.
func (e *Engine) stopped(ctx context.Context, err error) *exchange.Error {
	select {
	case <-e.closing:
		return errClosing()
	default:
		return e.silence(ctx, err)
	}
}

// silence waits for the end of the process, or of the call.
func (e *Engine) silence(ctx context.Context, err error) *exchange.Error {
	<-ctx.Done()
	return &exchange.Error{Code: exchange.CodeOutcomeUnknown, Message: "The server has stopped", Err: errors.Join(ctx.Err(), opaque(err))}
}

// opaque hides a context error that is not the caller's own (a time-out on the way to the store),
// so that nobody takes it for a client who went away.
func opaque(err error) error {
	if isContextError(err) {
		return errors.New(err.Error())
	}
	return err
}

func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// codeIs reports whether an error is a refusal with that code.
func codeIs(err error, code exchange.Code) bool {
	refusal, ok := errors.AsType[*exchange.Error](err)
	return ok && refusal.Code == code
}
