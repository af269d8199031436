package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mess-exchange/mess-exchange/internal/notify"
)

// reader reads members that may have any type, and notes what is wrong with them.
type reader struct {
	strict   bool // what the original server took and means the same is wrong too
	problems []*Problem
}

func (r *reader) wrong(field, rule string, args ...any) {
	r.problems = append(r.problems, &Problem{Field: field, Rule: fmt.Sprintf(rule, args...)})
}

// given reports whether a member is there. As in every body, null is as good as nothing.
func given(v json.RawMessage) bool {
	return len(v) > 0 && !bytes.Equal(bytes.TrimSpace(v), []byte("null"))
}

// object returns the members of an object; nil where it is none.
func (r *reader) object(field string, v json.RawMessage) map[string]json.RawMessage {
	var m map[string]json.RawMessage
	if given(v) && json.Unmarshal(v, &m) != nil {
		r.wrong(field, "must be an object")
		return nil
	}
	return m
}

// list returns the items of a list, the first ones where there are too many.
func (r *reader) list(field string, v json.RawMessage, most int) []json.RawMessage {
	var all []json.RawMessage
	if given(v) && json.Unmarshal(v, &all) != nil {
		r.wrong(field, "must be a list")
		return nil
	}
	if len(all) > most {
		r.wrong(field, "must have at most %d entries", most)
		all = all[:most]
	}
	return all
}

// disabled reports whether the server turned off a channel or hook, since its receiver wants no more. Setting the list
// again turns it on, so what is being set never is.
func disabled(item json.RawMessage) bool {
	var entry struct {
		Disabled json.RawMessage `json:"disabled"`
	}
	return json.Unmarshal(item, &entry) == nil && given(entry.Disabled)
}

// entries reads a list of channels or hooks. One with a problem is left out as a whole.
func (r *reader) entries(field string, v json.RawMessage, types []typ, most int) []Entry {
	var all []Entry
	for i, item := range r.list(field, v, most) {
		if !r.strict && disabled(item) {
			continue
		}
		before := len(r.problems)
		e := r.entry(fmt.Sprintf("%s[%d]", field, i), item, types)
		if e.Index = i; len(r.problems) == before {
			all = append(all, e)
		}
	}
	return all
}

func (r *reader) entry(field string, v json.RawMessage, types []typ) Entry {
	if !given(v) {
		r.wrong(field, "must be an object")
		return Entry{}
	}
	before := len(r.problems)
	members := r.object(field, v)
	if len(r.problems) > before {
		return Entry{}
	}
	var name string
	if !given(members["type"]) {
		r.wrong(field+".type", "is required")
		return Entry{}
	}
	i := -1
	if json.Unmarshal(members["type"], &name) == nil {
		i = slices.IndexFunc(types, func(t typ) bool { return t.name == name })
	}
	if i < 0 {
		r.wrong(field+".type", "must be one of %s", names(types))
		return Entry{}
	}
	e := Entry{Type: name, Text: map[string]string{}}
	for _, m := range types[i].members {
		r.member(&e, field+"."+m.name, m, members[m.name])
	}
	if alternatives := types[i].oneOf; alternatives != nil && len(r.problems) == before && !e.hasOneOf(alternatives) {
		r.wrong(field, "must have %s", either(alternatives))
	}
	return e
}

func names(types []typ) string {
	all := make([]string, len(types))
	for i, t := range types {
		all[i] = t.name
	}
	return strings.Join(all, ", ")
}

func (e Entry) hasOneOf(alternatives [][]string) bool {
	return slices.ContainsFunc(alternatives, func(set []string) bool {
		return !slices.ContainsFunc(set, func(name string) bool { return e.Text[name] == "" })
	})
}

func either(alternatives [][]string) string {
	all := make([]string, len(alternatives))
	for i, set := range alternatives {
		all[i] = strings.Join(set, " and ")
	}
	return strings.Join(all, ", or ")
}

// member reads one member into its place in the entry.
func (r *reader) member(e *Entry, field string, m member, v json.RawMessage) {
	if !given(v) || string(bytes.TrimSpace(v)) == `""` {
		if m.required {
			r.wrong(field, "is required")
		}
		return
	}
	switch m.kind {
	case headers:
		e.Headers = r.headers(field, v)
	case body:
		if len(v) > maxBody {
			r.wrong(field, "must have at most %d bytes", maxBody)
		}
		e.Body = v
	case labels:
		e.Labels = r.labels(field, v)
	case numbers:
		e.Priorities = r.priorities(field, v)
	default:
		if s, ok := r.text(field, v, m.kind); ok {
			e.Text[m.name] = s
		}
	}
}

// text reads a member that is a text, or a number where an id may be one.
func (r *reader) text(field string, v json.RawMessage, k kind) (string, bool) {
	var s string
	if n := json.Number(""); k == text && json.Unmarshal(v, &n) == nil {
		s = n.String()
	} else if json.Unmarshal(v, &s) != nil {
		r.wrong(field, "must be a string")
		return "", false
	}
	s, rule := check(k, s)
	if rule != "" {
		r.wrong(field, "%s", rule)
		return "", false
	}
	return s, true
}

// headers reads an object of headers.
func (r *reader) headers(field string, v json.RawMessage) []Header {
	members := r.object(field, v)
	if len(members) > maxHeaders {
		r.wrong(field, "must have at most %d entries", maxHeaders)
		return nil
	}
	var all []Header
	seen := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		low := strings.ToLower(name)
		if !isToken(name) || ownHeaders[low] || seen[low] {
			r.wrong(field, "has a name that is no name of a header, is given twice, or is the server's to set")
			continue
		}
		seen[low] = true
		var value string
		if json.Unmarshal(members[name], &value) != nil || len(value) > maxHeader || hasControl(value) {
			r.wrong(field+"."+name, "must be a string of at most %d bytes, in one line", maxHeader)
			continue
		}
		all = append(all, Header{Name: name, Value: value})
	}
	return all
}

func (r *reader) labels(field string, v json.RawMessage) []string {
	var all []string
	for i, item := range r.list(field, v, maxLabels) {
		var label string
		if json.Unmarshal(item, &label) != nil || label == "" || len(label) > maxLabel {
			r.wrong(fmt.Sprintf("%s[%d]", field, i), "must be a string of 1 to %d bytes", maxLabel)
			continue
		}
		all = append(all, label)
	}
	return all
}

// priorities reads which number a receiver has for a priority; Todoist has 1 to 4.
func (r *reader) priorities(field string, v json.RawMessage) map[string]int {
	all := map[string]int{}
	members := r.object(field, v)
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if !slices.Contains(priorities, name) {
			r.wrong(field, "may name no priority but %s", strings.Join(priorities, ", "))
			continue
		}
		var n int
		if json.Unmarshal(members[name], &n) != nil || n < 1 || n > 4 {
			r.wrong(field+"."+name, "must be a whole number from 1 to 4")
			continue
		}
		all[name] = n
	}
	return all
}

// unknownMoments is what is left of hooks: a list that would never fire is a mistake of whoever sets it.
func (r *reader) unknownMoments(hooks map[string]json.RawMessage) {
	if len(hooks) == 0 {
		return
	}
	known := make([]string, len(notify.Moments))
	for i, m := range notify.Moments {
		known[i] = m.Setting()
	}
	r.wrong("hooks", "may have no other members than %s", strings.Join(known, ", "))
}
