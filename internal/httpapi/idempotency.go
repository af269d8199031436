package httpapi

import (
	"net/http"
	"strings"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// idempotencyHeader names the header of the contract's IdempotencyKey. Where an operation does not take it, it is
// ignored like any other.
const idempotencyHeader = "Idempotency-Key"

// idempotencyKey returns the key of a request, "" where there is none.
func (op *operation) idempotencyKey(r *http.Request) (string, error) {
	keys := r.Header[idempotencyHeader]
	if !op.keyed || len(keys) == 0 {
		return "", nil
	}
	switch key := keys[0]; {
	case len(keys) > 1: // which of two counts would be a guess
		return "", invalid("%s: is given twice", idempotencyHeader)
	case !exchange.ValidKey(key):
		return "", invalid("%s: must be 1 to %d printable ASCII characters", idempotencyHeader, exchange.MaxKey)
	case op.registers && len(key) < exchange.MinRegistrationKey:
		return "", invalid("%s: must have at least %d characters for a registration, because nobody may guess it", idempotencyHeader, exchange.MinRegistrationKey)
	default:
		return key, nil
	}
}

// onceOf returns what makes a repetition of the request one: its key, method, path and the bytes of its body.
// Of the path, spellings that mean the same are the same, and so are the bodies of the same bytes only.
func onceOf(r *http.Request, key string, body []byte) exchange.Once {
	return exchange.NewOnce(key, r.Method, strings.TrimSuffix(r.URL.Path, "/"), body)
}
