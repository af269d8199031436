package httpapi

import (
	"encoding/json"

	"github.com/getkin/kin-openapi/openapi3"
)

// The leniencies of the protocol, for existing clients. They are applied before the contract is, and
// there are no others.

// setByServer are the fields of a new request that only the server sets. They are ignored, whatever
// they hold.
var setByServer = map[string]bool{
	"ref": true, "status": true, "created_at": true, "updated_at": true, "requestor_id": true, "executor_id": true,
}

// dropped are the optional fields that are left out of the stored block, too, where a client means
// "not given" by their value. The others are stored as sent.
var dropped = map[string]bool{"priority": true, "context": true, "response_hint": true, "response_hints": true}

// lenientRequest rewrites the body of a new request: what only the server sets and what means "not
// given" goes, response_hints becomes response_hint, and a context that is a text becomes a list of one.
func lenientRequest(b *body, schema *openapi3.Schema) {
	b.remove(func(m member) bool { return setByServer[m.name] })
	b.remove(func(m member) bool { return dropped[m.name] && meansNotGiven(b.value[m.name]) })
	if _, given := b.value["response_hint"]; !given {
		b.rename("response_hints", "response_hint")
	}
	if text, is := b.value["context"].(string); is {
		b.value["context"] = []any{text}
		for i, m := range b.members {
			if m.name == "context" {
				b.members[i].raw = append(append(json.RawMessage("["), m.raw...), ']')
			}
		}
	}
	for name := range schema.Properties {
		if v, given := b.value[name]; given && name != "intent" && meansNotGiven(v) {
			delete(b.value, name)
		}
	}
}

// meansNotGiven is true for "", null, false and 0.
func meansNotGiven(v any) bool {
	return v == nil || v == "" || v == false || v == 0.0
}

func (b *body) remove(drop func(member) bool) {
	kept := b.members[:0]
	for _, m := range b.members {
		if !drop(m) {
			kept = append(kept, m)
		}
	}
	b.members = kept
	for name := range b.value {
		if drop(member{name: name}) {
			delete(b.value, name)
		}
	}
}

func (b *body) rename(from, to string) {
	for i, m := range b.members {
		if m.name == from {
			b.members[i].name, b.members[i].key = to, json.RawMessage(`"`+to+`"`)
			b.value[to] = b.value[from]
			delete(b.value, from)
		}
	}
}
