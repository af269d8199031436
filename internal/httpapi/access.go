package httpapi

import (
	"errors"
	"net/http"
	"strings"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// registrationTokenHeader is the header of the contract's registrationToken.
const registrationTokenHeader = "X-Registration-Token"

func errUnauthorized() error {
	return &exchange.Error{Code: exchange.CodeUnauthorized, Message: "Invalid or missing API key"}
}

// authenticate finds out who is calling, and that the key is one of that exchange. Nothing of the
// request but its headers has been looked at.
//
// An address that has sent too many wrong keys is refused before anything is looked up for it. Others may be
// behind the same address, so a key that is known without looking still opens.
func (g *gate) authenticate(r *http.Request, exchangeID string) error {
	key, ok := bearer(r)
	if !ok {
		return errUnauthorized()
	}
	at := clientAddress(r, g.access.TrustedProxies)
	if wait := g.wrongKeys.spent(at); wait > 0 && !g.exchange.Recognizes(key) {
		return tooMany("wrong API keys", wait)
	}
	caller, err := g.exchange.Authenticate(r.Context(), exchangeID, key)
	if refusal, ok := errors.AsType[*exchange.Error](err); ok && refusal.Code == exchange.CodeUnauthorized {
		// Of keys that are looked up at the same moment, those above the limit are told so, whatever was found.
		if wait := g.wrongKeys.add(at); wait > 0 {
			return tooMany("wrong API keys", wait)
		}
	}
	if err != nil {
		return err
	}
	callOf(r.Context()).caller = caller
	return nil
}

// bearer returns the key of a request. The scheme is spelled exactly so, and two headers would be two
// callers.
func bearer(r *http.Request) (string, bool) {
	headers := r.Header["Authorization"]
	if len(headers) != 1 {
		return "", false
	}
	return strings.CutPrefix(headers[0], "Bearer ")
}

// letRegister lets through who may register. Every attempt counts, since a good one costs most.
func (g *gate) letRegister(r *http.Request) error {
	if wait := g.registrations.add(clientAddress(r, g.access.TrustedProxies)); wait > 0 {
		return tooMany("registrations", wait)
	}
	if !g.access.RegistrationToken.Given() {
		return nil
	}
	tokens := r.Header[registrationTokenHeader]
	if len(tokens) != 1 || !g.access.RegistrationToken.Matches(tokens[0]) {
		return &exchange.Error{
			Code:    exchange.CodeUnauthorized,
			Message: "Registering needs this server's registration token, in the header " + registrationTokenHeader + "; ask its operator",
		}
	}
	return nil
}
