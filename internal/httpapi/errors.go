package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"

	"github.com/mess-exchange/mess-exchange/gen/server"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const internalMessage = "Internal server error"

// outcome is how a code is answered.
type outcome struct {
	status     int
	retryAfter int // seconds, 0 for none
}

// outcomes is the only table from codes to statuses.
var outcomes = map[exchange.Code]outcome{
	exchange.CodeInvalid:            {status: http.StatusBadRequest},
	exchange.CodeUnauthorized:       {status: http.StatusUnauthorized},
	exchange.CodeWrongExchange:      {status: http.StatusForbidden},
	exchange.CodeNotYourProfile:     {status: http.StatusForbidden},
	exchange.CodeForbidden:          {status: http.StatusForbidden},
	exchange.CodeThreadNotFound:     {status: http.StatusNotFound},
	exchange.CodeExecutorNotFound:   {status: http.StatusNotFound},
	exchange.CodeAttachmentNotFound: {status: http.StatusNotFound},
	exchange.CodeNotFound:           {status: http.StatusNotFound},
	exchange.CodeMethodNotAllowed:   {status: http.StatusMethodNotAllowed},
	exchange.CodeTimeout:            {status: http.StatusRequestTimeout},
	exchange.CodeAlreadyRegistered:  {status: http.StatusConflict},
	exchange.CodeNameTaken:          {status: http.StatusConflict},
	exchange.CodeThreadExists:       {status: http.StatusConflict},
	exchange.CodeAlreadyClaimed:     {status: http.StatusConflict},
	exchange.CodeThreadClosed:       {status: http.StatusConflict},
	exchange.CodeReserved:           {status: http.StatusForbidden},
	exchange.CodeMissingCapability:  {status: http.StatusForbidden},
	exchange.CodeTooEarly:           {status: http.StatusConflict},
	exchange.CodeDependencyOpen:     {status: http.StatusConflict},
	exchange.CodeUnconfirmed:        {status: http.StatusConflict},
	exchange.CodeKeyReused:          {status: http.StatusUnprocessableEntity},
	exchange.CodeRange:              {status: http.StatusRequestedRangeNotSatisfiable},
	exchange.CodeTooLarge:           {status: http.StatusRequestEntityTooLarge},
	exchange.CodeUnsupportedMedia:   {status: http.StatusUnsupportedMediaType},
	exchange.CodeRateLimited:        {status: http.StatusTooManyRequests}, // errTooMany says when to come again
	exchange.CodeInternal:           {status: http.StatusInternalServerError},
	exchange.CodeOverloaded:         {status: http.StatusServiceUnavailable, retryAfter: 1},
	exchange.CodeNotReady:           {status: http.StatusServiceUnavailable, retryAfter: 1},
	exchange.CodeUnavailable:        {status: http.StatusServiceUnavailable, retryAfter: 5},
	exchange.CodeOutcomeUnknown:     {status: http.StatusServiceUnavailable, retryAfter: 5},
	exchange.CodeReadOnly:           {status: http.StatusServiceUnavailable, retryAfter: 60},
}

// refuse answers an error. It is behind every door: the gate, the router, the binding of parameters,
// the handlers, and panics. Anything but an *exchange.Error is an internal error, whose text goes to
// the log only.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	refuseWith(w, r, err, func(w http.ResponseWriter, status int, message string, code exchange.Code) error {
		return writeJSON(w, status, appendError(nil, message, code))
	})
}

// refuseWith is refuse for answers that are no JSON.
func refuseWith(w http.ResponseWriter, r *http.Request, err error, write func(w http.ResponseWriter, status int, message string, code exchange.Code) error) {
	c := callOf(r.Context())
	if c.answer.status != 0 {
		c.log(r, slog.LevelDebug, "the answer broke off", err)
		return
	}
	refusal := refusalOf(err)
	o := outcomes[refusal.Code]
	message := refusal.Message
	switch {
	case r.Context().Err() != nil && errors.Is(err, context.Canceled):
		// The end of the request, not a fault. It is answered all the same: a client that has only
		// closed its sending half still reads.
		c.log(r, slog.LevelDebug, "the client went away", err)
	case refusal.Code == exchange.CodeInternal:
		message = internalMessage
		c.log(r, slog.LevelError, "internal error", err)
	case o.status == http.StatusServiceUnavailable:
		c.log(r, slog.LevelWarn, "unavailable", err)
	}
	h := w.Header()
	after := o.retryAfter
	if many, ok := errors.AsType[*errTooMany](err); ok {
		after = many.seconds()
	}
	if after > 0 {
		h.Set("Retry-After", strconv.Itoa(after))
	}
	if o.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="mess-exchange"`)
	}
	_ = write(w, o.status, message, refusal.Code) // fails where nobody is left to tell
}

// refusalOf returns the refusal that err is, with a code that has an outcome.
func refusalOf(err error) *exchange.Error {
	var refusal *exchange.Error
	switch {
	case errors.As(err, &refusal) && outcomes[refusal.Code].status != 0:
		return refusal
	case errors.Is(err, context.Canceled):
		return &exchange.Error{Code: exchange.CodeUnavailable, Message: "The request ended before it was answered", Err: err}
	}
	return &exchange.Error{Code: exchange.CodeInternal, Message: internalMessage, Err: err}
}

// refuseUnbound answers what the generated code could not bind. The gate has checked everything
// before, so this is a parameter that passed its schema but not the binding.
func refuseUnbound(w http.ResponseWriter, r *http.Request, err error) {
	var param *server.InvalidParamFormatError
	if errors.As(err, &param) {
		err = invalid("%s: is not valid", param.ParamName)
	}
	var many *server.TooManyValuesForParamError
	if errors.As(err, &many) {
		err = invalid("%s: is given twice", many.ParamName)
	}
	refuse(w, r, err)
}

func invalid(format string, args ...any) *exchange.Error {
	return &exchange.Error{Code: exchange.CodeInvalid, Message: fmt.Sprintf(format, args...)}
}
