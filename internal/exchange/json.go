package exchange

import (
	"bytes"
	"encoding/json"
)

// Payloads are read member by member and no member is trusted to have its type, because the original
// server stored what it was sent.

// text is a value as it is shown where a string belongs: a string's content, "" for null or a missing
// one, and for anything else its JSON text.
func text(v json.RawMessage) string {
	v = bytes.TrimSpace(v)
	var s string
	switch {
	case len(v) == 0 || string(v) == "null":
		return ""
	case v[0] == '"' && json.Unmarshal(v, &s) == nil:
		return s
	}
	return string(v)
}

// given tells a value from what clients send for "none": a missing one, null, "", false and 0.
func given(v json.RawMessage) bool {
	switch string(bytes.TrimSpace(v)) {
	case "", "null", `""`, "false", "0":
		return false
	}
	return true
}

// texts is a list of strings. A value that is no list counts as a list of one.
func texts(v json.RawMessage) []string {
	if !given(v) {
		return nil
	}
	var list []json.RawMessage
	if json.Unmarshal(v, &list) != nil {
		return []string{text(v)}
	}
	all := make([]string, len(list))
	for i, one := range list {
		all[i] = text(one)
	}
	return all
}

// members are the members of an object by their exact names (decoding into a struct would ignore the
// case of letters); nil for what is no object.
func members(v json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if json.Unmarshal(v, &m) != nil {
		return nil
	}
	return m
}
