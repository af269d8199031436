package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Import takes threads over from elsewhere, with their refs, times and messages. All of them come in, or
// none.
type Import struct {
	Caller
	Threads []Imported

	Result struct{ Threads []ThreadState }
}

// ThreadState is what became of a thread.
type ThreadState struct{ Ref, Status string }

// Imported is a thread of an Import. It is encoded once, since decisions are repeated after a lost race.
type Imported struct {
	ref     string
	payload json.RawMessage
	told    told
}

type imported struct {
	Documents   []json.RawMessage `json:"documents"`
	Attachments []Attachment      `json:"attachments,omitempty"`
}

// NewImported returns a thread to be imported: its envelope and its messages, which package messeaf has
// checked, and the files beside them, which were stored before.
func NewImported(ref string, documents []json.RawMessage, attachments []Attachment) (Imported, *Error) {
	if len(documents) == 0 {
		return Imported{}, fault(errors.New("import of a thread without its envelope"))
	}
	payload, refusal := encode(imported{documents, attachments})
	if refusal != nil {
		return Imported{}, refusal
	}
	return Imported{ref: ref, payload: payload, told: readImported(payload)}, nil
}

// Size is how many bytes the thread takes in the log, less some hundred.
func (t *Imported) Size() int { return len(t.payload) }

// Decide implements Command. A thread that has expired on the way is imported as it was and expires in the
// same commit, so that nobody ever sees it wait.
func (c *Import) Decide(s *State, now time.Time) ([]Draft, *Error) {
	c.Result.Threads = nil
	if refusal := s.admit(c.Caller); refusal != nil {
		return nil, refusal
	}
	if refusal := c.checkRefs(s); refusal != nil {
		return nil, refusal
	}
	var (
		all    []Draft
		states []ThreadState
	)
	for _, t := range c.Threads {
		all = append(all, Draft{Thread: t.ref, Type: ThreadImported, Actor: c.Executor, Payload: t.payload})
		status := t.told.status
		if due := t.told.terms.NeededBy; status == StatusPending && !due.IsZero() && !now.Before(due) {
			expired, refusal := changes(t.ref, actorExchange, []step{{from: status, to: StatusExpired}}, "")
			if refusal != nil {
				return nil, refusal
			}
			all, status = append(all, expired...), StatusExpired
		}
		states = append(states, ThreadState{t.ref, status})
	}
	c.Result.Threads = states
	return all, nil
}

// checkRefs refuses the import where one of its threads is here. It names some, so that who imports a
// folder can leave them out.
func (c *Import) checkRefs(s *State) *Error {
	var here []string
	seen := map[string]bool{}
	for _, t := range c.Threads {
		if seen[t.ref] {
			return refuse(CodeInvalid, "the thread %s is there twice", t.ref)
		}
		seen[t.ref] = true
		if _, known := s.Thread(t.ref); known {
			here = append(here, t.ref)
		}
	}
	if len(here) > 0 {
		return refuse(CodeThreadExists, "Nothing was imported, because this exchange has %s already", enumerate(here))
	}
	return nil
}

// told is what the documents of an imported thread say to the rules.
type told struct {
	requestor, executor, status, intent, priority string
	created                                       time.Time // zero where it is not told
	terms                                         Terms
	messages                                      int
}

// readImported reads them like any payload: no member is trusted to have its type.
func readImported(payload json.RawMessage) told {
	docs := documents(payload)
	if len(docs) == 0 {
		return told{status: StatusPending, priority: PriorityNormal}
	}
	envelope := members(docs[0])
	t := told{
		requestor: text(envelope["requestor"]), executor: text(envelope["executor"]), status: canonical(text(envelope["status"])),
		intent: text(envelope["intent"]), priority: PriorityNormal, created: lenientTime(envelope["created"]), messages: len(docs) - 1,
	}
	if given(envelope["priority"]) {
		t.priority = text(envelope["priority"])
	}
	if t.status == "" || t.status == Delegated {
		t.status = StatusPending
	}
	if t.status == StatusPending {
		t.executor = "" // anyone may claim it
	}
	if !Terminal(t.status) {
		t.terms = importedTerms(docs, t.status)
	}
	return t
}

func documents(payload json.RawMessage) []json.RawMessage {
	return object[struct {
		Documents []json.RawMessage `json:"documents"`
	}](payload).Documents
}

// lenientTime reads a time; zero for what is none.
func lenientTime(v json.RawMessage) time.Time {
	var r termReader
	return r.time("", v)
}

// importedTerms are those of the request, as of a thread that was made here. The envelope tells when the
// thread expires where its request doesn't. What came of the terms elsewhere does not count here, but for
// whom the thread was last handed on to: a thread that is pending waits for that executor.
func importedTerms(docs []json.RawMessage, status string) Terms {
	var t Terms
	if len(docs) > 1 {
		t, _, _ = readTerms(requestIn(members(docs[1])["MESS"]))
	}
	if t.NeededBy.IsZero() {
		t.NeededBy = lenientTime(members(docs[0])["expires"])
	}
	if status == StatusPending {
		t.ReservedFor = handedTo(docs[1:])
	}
	return t
}

// handedTo returns to whom the last status block says that the thread was delegated, "" for nobody.
func handedTo(messages []json.RawMessage) string {
	for _, doc := range slices.Backward(messages) {
		if !bytes.Contains(doc, []byte("status")) && !bytes.Contains(doc, []byte(`\u`)) {
			continue // most say nothing of it, and need no decoding
		}
		var blocks []json.RawMessage
		if json.Unmarshal(list(members(doc)["MESS"]), &blocks) != nil {
			continue
		}
		for _, block := range slices.Backward(blocks) {
			status := members(members(block)["status"])
			if status == nil {
				continue
			}
			var to string
			if canonical(text(status["code"])) == Delegated {
				_ = json.Unmarshal(status["delegated_to"], &to) // anything but a text names nobody
			}
			return to
		}
	}
	return ""
}

// applyImported folds thread_imported. The thread is the newest and was updated now, because that is when
// it changed here: lists are in the order of updates, and who follows them must see what came in. A thread
// that is here already, which can't be, stays as it is.
func (s *State) applyImported(e Event) {
	if _, known := s.Thread(e.Thread); known || e.Thread == "" {
		return
	}
	told := readImported(e.Payload)
	t := Thread{
		Ref: e.Thread, Status: told.status, Intent: told.intent, Requestor: told.requestor, Executor: told.executor,
		Priority: told.priority, CreatedAt: told.created, UpdatedAt: e.TS, Seq: e.Seq, Messages: told.messages,
	}
	if t.CreatedAt.IsZero() {
		t.CreatedAt = e.TS
	}
	t.StatusBy = t.Requestor
	switch setter := setterOf(t.Status); {
	case setter == byExchange:
		t.StatusBy = actorExchange
	case setter == byExecutor && t.Executor != "":
		t.StatusBy = t.Executor
	}
	s.putImported(&t, e.At)
	s.setTerms(t.Ref, &told.terms)
	s.applyAttachments(e)
}

// importedMessages are the messages in a thread_imported event, by the names that the format has for their
// members. The files beside them are shown with the first.
func importedMessages(e Event) []Message {
	docs := documents(e.Payload)
	if len(docs) < 2 {
		return nil
	}
	all := make([]Message, len(docs)-1)
	for i, doc := range docs[1:] {
		m := members(doc)
		all[i] = Message{From: text(m["from"]), TS: lenientTime(m["received"]), Mess: list(bytes.TrimSpace(m["MESS"]))}
	}
	all[0].Attachments = AttachmentsOf(e)
	return all
}

// ImportedDocuments returns the documents of a thread_imported event, the envelope first. AttachmentsOf returns
// the files beside them, each named as in the folder of its thread.
func ImportedDocuments(e Event) []json.RawMessage { return documents(e.Payload) }
