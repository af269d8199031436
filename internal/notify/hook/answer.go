package hook

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/mess-exchange/mess-exchange/internal/notify/settings"
)

// maxExternalID is how many bytes an external id may have; it is kept with each delivery.
const maxExternalID = 256

// ReadAnswer reads the answer to a hook's request, whose status was a success. externalID is what it opened, ""
// where the answer names nothing, or nothing that can be kept. An error says that the receiver did not do what it
// was asked for in spite of the status; its text is fixed.
func ReadAnswer(hook settings.Entry, answer []byte) (externalID string, err error) {
	members := object(answer)
	if hook.Type == "linear" {
		// GraphQL answers 200 whatever happens.
		issue := object(object(object(members["data"])["issueCreate"])["issue"])
		if id := externalIDOf(issue["identifier"]); id != "" {
			return id, nil
		}
		return "", errNoIssue
	}
	for _, name := range []string{"id", "task_id", "item_id"} {
		if id := externalIDOf(members[name]); id != "" {
			return id, nil
		}
	}
	return "", nil
}

var errNoIssue = errors.New("the answer names no issue")

// object returns the members of a JSON object, none where it is something else.
func object(v json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(v, &m) != nil {
		return nil
	}
	return m
}

// externalIDOf takes what the original server took for an id: a text or a number that is not empty and not zero.
func externalIDOf(v json.RawMessage) string {
	var id string
	if json.Unmarshal(v, &id) != nil {
		var n json.Number
		if json.Unmarshal(v, &n) != nil {
			return ""
		}
		if f, err := n.Float64(); err != nil || f == 0 {
			return ""
		}
		id = n.String()
	}
	if len(id) > maxExternalID || hasControl(id) {
		return ""
	}
	return id
}

func hasControl(s string) bool {
	return !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
