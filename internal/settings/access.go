package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/mess-exchange/mess-exchange/internal/auth"
	"github.com/mess-exchange/mess-exchange/internal/httpapi"
)

// weakToken is the length below which a registration token draws a warning. The limit per address alone
// does not keep short ones from being guessed by many.
const weakToken = 16

// Access is who may register, and whose word is taken for where clients are, as REGISTRATION, REGISTRATION_TOKEN and
// TRUSTED_PROXIES say it.
type Access struct{ Registration, RegistrationToken, TrustedProxies string }

// Read reads it.
func (c Access) Read() (httpapi.Access, error) {
	var a httpapi.Access
	switch c.Registration {
	case "open":
	case "token":
		if c.RegistrationToken == "" {
			return a, errors.New("REGISTRATION_TOKEN: must be set with REGISTRATION=token")
		}
		if strings.TrimSpace(c.RegistrationToken) != c.RegistrationToken || strings.ContainsFunc(c.RegistrationToken, func(r rune) bool { return r < ' ' || r > '~' }) {
			return a, errors.New("REGISTRATION_TOKEN: must consist of printable ASCII characters, without a space at either end, to fit into a header")
		}
		a.RegistrationToken = auth.NewSecret(c.RegistrationToken)
	default:
		return a, fmt.Errorf("REGISTRATION: must be open or token, not %q", c.Registration)
	}
	for part := range strings.SplitSeq(c.TrustedProxies, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		p, err := network(part)
		if err != nil {
			return a, fmt.Errorf("TRUSTED_PROXIES: must be networks such as 10.0.0.0/8, with commas between them, not %q", part)
		}
		a.TrustedProxies = append(a.TrustedProxies, p)
	}
	return a, nil
}

// Warn says what an operator may not have meant. The token itself is never logged.
func (c Access) Warn(logger *slog.Logger) {
	switch {
	case c.Registration == "token" && len(c.RegistrationToken) < weakToken:
		logger.Warn(fmt.Sprintf("REGISTRATION_TOKEN has less than %d characters; take a long random one", weakToken))
	case c.Registration == "open" && c.RegistrationToken != "":
		logger.Warn("REGISTRATION_TOKEN is set and not asked for: whoever reaches this server may register, unless REGISTRATION=token")
	}
}
