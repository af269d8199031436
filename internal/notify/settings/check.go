package settings

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mess-exchange/mess-exchange/internal/notify/template"
)

// check returns a text as it is used, or what it must be instead.
func check(k kind, s string) (used, rule string) {
	switch k {
	case text:
		if len(s) > maxText || hasControl(s) {
			return "", fmt.Sprintf("must have at most %d bytes, in one line", maxText)
		}
	case topic:
		if !topicName.MatchString(s) {
			return "", `must be 1 to 64 letters, digits, "_" or "-"`
		}
	case templated:
		if len(s) > maxTemplate {
			return "", fmt.Sprintf("must have at most %d bytes", maxTemplate)
		}
	case webURL, urlOfHook:
		return s, checkURL(s, k == urlOfHook)
	case secret:
		if _, err := Key(s); err != nil {
			return "", fmt.Sprintf(`must be "whsec_" and the base64 of %d to %d bytes`, minSecret, maxSecret)
		}
	case method:
		if s = strings.ToUpper(s); !slices.Contains(methods, s) {
			return "", "must be one of " + strings.Join(methods, ", ")
		}
	case action:
		if s != "create" && s != "complete" {
			return "", "must be one of create, complete"
		}
	}
	return s, ""
}

// The names that an ntfy server takes for a topic.
var topicName = regexp.MustCompile(`^[-_A-Za-z0-9]{1,64}$`)

var methods = []string{"POST", "PUT", "PATCH", "DELETE", "GET"}

// checkURL says what a URL must be, if it isn't. Where it leads is no matter here: names can change what they
// stand for, so addresses are checked when they are called (package send).
func checkURL(s string, variables bool) (rule string) {
	const mustBe = "must be an http or https URL"
	if len(s) > maxURL {
		return fmt.Sprintf("must have at most %d bytes", maxURL)
	}
	if variables {
		// Only what stands before the first variable says where it leads.
		fixed := template.Prefix(s)
		if _, rest, _ := strings.Cut(fixed, "://"); fixed != s && !strings.ContainsAny(rest, "/?#") {
			return mustBe + " with no variable in its host"
		}
		s, _ = template.New(nil).URL(s) // what is left is a URL too; it is not too long
	}
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", !validPort(u):
		return mustBe
	case u.User != nil:
		return "must not hold a user name or password"
	}
	return ""
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0
}

// ownHeaders are about the connection or the body, or say who called, so they are not an executor's to set.
var ownHeaders = map[string]bool{
	"host": true, "content-length": true, "transfer-encoding": true, "connection": true, "upgrade": true, "te": true, "trailer": true,
	"keep-alive": true, "proxy-authorization": true, "proxy-connection": true, "expect": true, "webhook-id": true,
}

var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$")

func isToken(name string) bool { return token.MatchString(name) }

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// Key decodes the key of a signature.
func Key(secret string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		return nil, fmt.Errorf("decode the key of a signature: %w", err)
	}
	if len(key) < minSecret || len(key) > maxSecret {
		return nil, fmt.Errorf("the key of a signature has %d bytes", len(key))
	}
	return key, nil
}
