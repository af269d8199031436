package exchange

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"
)

// Terms are what a request asks of whoever does it, as far as the exchange itself holds to it, and what
// has come of that so far. Most threads have none; those of a thread that has ended are gone. What a State
// hands out never changes afterwards.
type Terms struct {
	// From the request.
	Requires      []string  // capabilities, all of which an executor must have to claim
	NeededBy      time.Time // when the thread expires if it is pending; zero for never
	NotBefore     time.Time // from when on it can be claimed; zero for always
	DependsOn     []string  // refs of the threads that must be completed before a claim
	ConfirmBefore bool      // it can be completed only once the requestor confirmed

	// From what was done.
	Confirmed     bool   // the requestor answered a needs_confirmation with yes; kept where ConfirmBefore is set
	ReservedFor   string // to whom the pending thread was delegated, who alone may claim it; "" for nobody
	Before        string // the status that a reply leads back to, while the thread asks; "" is claimed
	DenialCancels bool   // a no to the needs_confirmation that stands cancels the thread
}

// What a new request may list. It keeps the memory of open threads and the sentences of refusals small.
const (
	mostTerms     = 100 // entries of requires, and of depends_on
	maxCapability = 256 // bytes
)

// Terms returns the terms of a thread.
func (s *State) Terms(ref string) Terms {
	if t := s.terms(ref); t != nil {
		return *t
	}
	return Terms{}
}

// terms returns the record of a thread, which is never changed but replaced; nil where it has none.
func (s *State) terms(ref string) *Terms {
	for ; s.base != nil; s = s.base {
		if t, ok := s.changed.terms[ref]; ok {
			return t
		}
	}
	if number, _ := s.table.find(ref); number != 0 {
		return s.table.terms.at(number)
	}
	return nil
}

// setTerms gives a known thread its terms; empty ones are none.
func (s *State) setTerms(ref string, t *Terms) {
	if t.equal(&Terms{}) {
		t = nil
	}
	if s.base != nil {
		s.changed.setTerms(ref, t)
	} else {
		number, _ := s.table.find(ref)
		s.table.setTerms(number, t)
	}
}

func (t *Terms) equal(o *Terms) bool {
	return slices.Equal(t.Requires, o.Requires) && t.NeededBy.Equal(o.NeededBy) && t.NotBefore.Equal(o.NotBefore) &&
		slices.Equal(t.DependsOn, o.DependsOn) && t.ConfirmBefore == o.ConfirmBefore &&
		t.Confirmed == o.Confirmed && t.ReservedFor == o.ReservedFor && t.Before == o.Before && t.DenialCancels == o.DenialCancels
}

// Eligible reports whether a thread is for an executor: it has every capability that the thread requires,
// and the thread is not reserved for another. Only who is eligible may claim it or needs to hear of it.
// Whether a claim is possible now is another question. Everyone is eligible for a thread that has ended.
func (s *State) Eligible(t Thread, e *Executor) bool {
	terms := s.terms(t.Ref)
	return terms == nil || !s.reserved(terms, e.ID) && len(terms.missing(e)) == 0
}

// reserved reports whether a thread waits for another executor. One who is not in the exchange can't keep
// it from anyone.
func (s *State) reserved(t *Terms, executor string) bool {
	if t.ReservedFor == "" || t.ReservedFor == executor {
		return false
	}
	_, there := s.Executor(t.ReservedFor)
	return there
}

// missing returns which of the required capabilities an executor lacks.
func (t *Terms) missing(e *Executor) []string {
	var lacking []string
	for _, c := range t.Requires {
		if !e.has(c) {
			lacking = append(lacking, c)
		}
	}
	return lacking
}

// applyTerms takes the terms of a thread from its first message: what the log keeps of a request is the
// block as it was sent, and that is so in data of the original server too.
func (s *State) applyTerms(ref string, payload json.RawMessage) {
	if !mayHoldTerms(payload) {
		return
	}
	p := object[struct {
		Mess json.RawMessage `json:"mess"`
	}](payload)
	if request := requestIn(p.Mess); request != nil {
		t, _, _ := readTerms(request) // what is odd in old data is no term
		s.setTerms(ref, &t)
	}
}

// requestIn returns the content of the first request block of a message, nil for none.
func requestIn(mess json.RawMessage) json.RawMessage {
	var blocks []json.RawMessage
	if json.Unmarshal(list(mess), &blocks) != nil {
		return nil
	}
	for _, block := range blocks {
		if request := members(block)["request"]; given(request) {
			return request
		}
	}
	return nil
}

// NeededBy returns when a thread with that first message expires, zero for never.
func NeededBy(first Message) time.Time {
	if !mayHoldTerms(first.Mess) {
		return time.Time{}
	}
	t, _, _ := readTerms(requestIn(first.Mess))
	return t.NeededBy
}

// The members of a request that hold terms. A name can also be written with escapes.
var termNames = [][]byte{[]byte(`"requires"`), []byte(`"needed_by"`), []byte(`"confirm_before"`), []byte(`"constraints"`), []byte(`\u`)}

// mayHoldTerms is quick to tell most requests from those whose JSON must be read.
func mayHoldTerms(payload json.RawMessage) bool {
	return slices.ContainsFunc(termNames, func(name []byte) bool { return bytes.Contains(payload, name) })
}

// readTerms reads the terms in a request block, and names the member that NeededBy is from. The refusal is
// about the first member that is not as it should be; the terms are then those of the others.
func readTerms(request json.RawMessage) (t Terms, by string, refusal *Error) {
	var r termReader
	b := members(request)
	t.Requires = r.capabilities("requires", b["requires"])
	t.NeededBy, by = r.time("needed_by", b["needed_by"]), "needed_by"
	if given(b["confirm_before"]) {
		t.ConfirmBefore = string(bytes.TrimSpace(b["confirm_before"])) == "true"
		if !t.ConfirmBefore {
			r.wrong("confirm_before: must be true or false")
		}
	}
	constraints := r.object("constraints", b["constraints"])
	timing := r.object("constraints.timing", constraints["timing"])
	if expires := r.time("constraints.timing.expires", timing["expires"]); t.NeededBy.IsZero() {
		t.NeededBy, by = expires, "constraints.timing.expires"
	}
	t.NotBefore = r.time("constraints.timing.not_before", timing["not_before"])
	t.DependsOn = r.refs("constraints.depends_on", constraints["depends_on"])
	return t, by, r.refusal
}

// termReader reads members of a request that need not have their type. It keeps the first refusal.
type termReader struct{ refusal *Error }

func (r *termReader) wrong(format string, args ...any) {
	if r.refusal == nil {
		r.refusal = refuse(CodeInvalid, format, args...)
	}
}

func (r *termReader) object(name string, v json.RawMessage) map[string]json.RawMessage {
	m := members(v)
	if m == nil && given(v) {
		r.wrong("%s: must be an object", name)
	}
	return m
}

func (r *termReader) time(name string, v json.RawMessage) time.Time {
	if !given(v) {
		return time.Time{}
	}
	var s string
	if json.Unmarshal(v, &s) == nil {
		if ts, err := time.Parse(time.RFC3339, s); err == nil {
			return fromMillis(ts.UnixMilli())
		}
	}
	r.wrong("%s: must be a time with its offset, such as 2026-02-01T22:00:00Z", name)
	return time.Time{}
}

// list returns the entries of a list.
func (r *termReader) list(name string, v json.RawMessage) []json.RawMessage {
	var all []json.RawMessage
	if given(v) && json.Unmarshal(v, &all) != nil {
		r.wrong("%s: must be a list", name)
	}
	if len(all) > mostTerms {
		r.wrong("%s: must have at most %d entries", name, mostTerms)
	}
	return all
}

// capabilities reads names that stand alone or as members of an object with their details.
func (r *termReader) capabilities(name string, v json.RawMessage) []string {
	var all []string
	for i, one := range r.list(name, v) {
		var named []string
		if m := members(one); m != nil {
			named = slices.Sorted(maps.Keys(m))
		} else if s := ""; json.Unmarshal(one, &s) == nil {
			named = []string{s}
		}
		if len(named) == 0 || slices.ContainsFunc(named, func(s string) bool { return s == "" || len(s) > maxCapability }) {
			r.wrong("%s[%d]: must be the name of a capability, of at most %d bytes, or an object with it as a member", name, i, maxCapability)
			continue
		}
		all = appendNew(all, named...)
	}
	return all
}

// refs reads a list of refs, or a single one.
func (r *termReader) refs(name string, v json.RawMessage) []string {
	var all []string
	if s := ""; json.Unmarshal(v, &s) == nil && given(v) {
		v = slices.Concat(json.RawMessage("["), v, json.RawMessage("]"))
	}
	for i, one := range r.list(name, v) {
		var ref string
		if json.Unmarshal(one, &ref) == nil {
			if _, _, ok := ParseRef(ref); ok {
				all = appendNew(all, ref)
				continue
			}
		}
		r.wrong("%s[%d]: must be the ref of a request, such as 2026-02-01-XY1Z", name, i)
	}
	return all
}

// appendNew appends what is not there yet.
func appendNew(all []string, more ...string) []string {
	for _, s := range more {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// enumerate names things in a sentence, the first ten where there are many.
func enumerate(all []string) string {
	const most = 10
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return strings.Join(all[:most], ", ") + " and more"
}
