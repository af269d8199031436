package simulation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// home is the only exchange of a run, folder is where its log lives.
const (
	home   = "home"
	folder = "events/exchange=" + home + "/"
)

// entry is an event of the log.
type entry struct {
	exchange.Event
	line []byte
	end  int64 // seq of the last event of its commit
}

// version is what a thread was from an event on.
type version struct {
	from   int64 // seq of that event
	until  int64 // seq of the last event before the next version; forever for the newest
	thread exchange.Thread
}

const forever = int64(1) << 62

// history is a thread with all it ever was.
type history struct {
	number   int // in the order of creation: its name in the trace
	ref      string
	versions []version
	messages []exchange.Message
}

// witness sees every change of the store and knows the log: at each position the first object that was
// created at its key, in the day that the log itself names. It knows the rules of the format on its own,
// and nothing of what the replicas believe.
type witness struct {
	fail func(format string, args ...any)
	note func(format string, args ...any)

	log     []entry // log[seq]
	day     string  // of the next position
	first   map[string]int64
	closed  map[string]int64 // seq of the last event of each closed day
	commits map[string]int64 // first seq of the commit that carries a command's token
	barred  map[string]string
	until   map[string]int64 // of a barred token that is a key, a seq before its answer
	ids     map[string]int64
	genuine map[string]bool // keys of commits of the log that no merge has deleted
	merged  map[string]bool // days
	orphans int             // commits created where they are no part of the log

	state   *exchange.State
	threads []*history
	byRef   map[string]*history
}

func newWitness() *witness {
	return &witness{
		first: map[string]int64{}, closed: map[string]int64{}, commits: map[string]int64{}, barred: map[string]string{}, until: map[string]int64{},
		ids: map[string]int64{}, genuine: map[string]bool{}, merged: map[string]bool{},
		state: exchange.New(), byRef: map[string]*history{},
	}
}

func (w *witness) head() int64 { return int64(len(w.log)) - 1 }

// end returns the last seq of the commit that holds seq: no state that is durable ends before it.
func (w *witness) end(seq int64) int64 {
	if seq < 0 || seq > w.head() {
		return seq
	}
	return w.log[seq].end
}

// at is a position's place in the folder: its day, and the seq in the first 48 bits of its name.
func at(key string) (day string, seq int64, ok bool) {
	rest, ok := strings.CutPrefix(key, folder)
	if !ok || len(rest) != len("2006/01/02/00000000-0000-8000-8000-000000000000.jsonl") {
		return "", 0, false
	}
	name := path.Base(rest)
	seq, err := strconv.ParseInt(name[:8]+name[9:13], 16, 64)
	return path.Dir(rest), seq, err == nil && name[14] == '8'
}

func (w *witness) created(key string, data []byte) {
	day, seq, ok := at(key)
	if !ok {
		return
	}
	if seq != int64(len(w.log)) || seq > 0 && day != w.day || seq == 0 && day != "1970/01/01" {
		w.orphans++
		w.note("an orphan: position %d in %s, the log is at %d in %s", seq, day, len(w.log), w.day)
		return
	}
	w.genuine[key] = true
	lines := bytes.SplitAfter(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	if seq == 0 {
		lines = lines[min(2, len(lines)):] // the schema's come first
	}
	if _, known := w.first[day]; !known {
		w.first[day] = seq
	}
	for i, line := range lines {
		w.take(bytes.TrimSuffix(line, []byte("\n")), seq+int64(i), i == len(lines)-1, seq)
	}
	for i := seq; i < int64(len(w.log)); i++ {
		w.log[i].end = w.head()
	}
}

// line is an event as the store has it.
type line struct {
	EventID    string          `json:"event_id"`
	Seq        int64           `json:"seq"`
	TS         time.Time       `json:"ts"`
	ExchangeID string          `json:"exchange_id"`
	ThreadRef  string          `json:"thread_ref"`
	EventType  string          `json:"event_type"`
	ActorID    string          `json:"actor_id"`
	Payload    json.RawMessage `json:"payload"`
}

// take adds an event to the log.
func (w *witness) take(data []byte, seq int64, last bool, commit int64) {
	var l line
	if err := json.Unmarshal(data, &l); err != nil {
		w.fail("seq %d is no event: %v", seq, err)
		return
	}
	e := exchange.Event{ID: l.EventID, Seq: l.Seq, TS: l.TS.UTC(), Thread: l.ThreadRef, Type: l.EventType, Actor: l.ActorID, Payload: l.Payload}
	if e.Seq != seq || l.ExchangeID != home {
		w.fail("seq %d of %s stands where seq %d should", e.Seq, l.ExchangeID, seq)
	}
	if n := len(w.log); n > 0 && e.TS.Before(w.log[n-1].TS) {
		w.fail("ts goes back at seq %d", seq)
	}
	if other, taken := w.ids[e.ID]; taken {
		w.fail("seq %d has the id of seq %d", seq, other)
	}
	w.ids[e.ID] = seq
	w.log = append(w.log, entry{Event: e, line: bytes.Clone(data)})
	w.admit(e, commit)
	w.turn(e, last)
	w.state.Apply(e)
	if e.Thread != "" {
		w.remember(e)
	}
}

// turn follows the log into its next day.
func (w *witness) turn(e exchange.Event, last bool) {
	if e.Type != exchange.ExchangeOpened && e.Type != exchange.DayClosed {
		return
	}
	var p struct {
		Next string `json:"next"`
	}
	if err := json.Unmarshal(e.Payload, &p); err != nil || p.Next <= w.day || !last {
		w.fail("seq %d moves the log from %s to %q", e.Seq, w.day, p.Next)
	}
	if w.day != "" {
		w.closed[w.day] = e.Seq
	}
	w.day = p.Next
}

var tokens = regexp.MustCompile(`tok-[0-9]+`)

// admit holds an event against what was decided and answered before it.
func (w *witness) admit(e exchange.Event, commit int64) {
	if token := tokens.FindString(string(e.Payload)); token != "" {
		if before, twice := w.commits[token]; twice && before != commit && !(w.answers(before) && w.forgotten(before, e.TS)) {
			w.fail("%s was carried out twice, in the commits at %d and %d", token, before, commit)
		}
		w.commits[token] = commit
		since, keyed := w.until[token]
		if why, barred := w.barred[token]; barred && !(keyed && w.forgotten(since, e.TS)) {
			w.fail("%s, which %s, is in the log at %d", token, why, e.Seq)
		}
	}
	thread, exists := w.state.Thread(e.Thread)
	_, registered := w.state.Executor(e.Actor)
	switch {
	case e.Type == exchange.ExecutorRegistered && registered:
		w.fail("%s registers a second time at seq %d", e.Actor, e.Seq)
	case e.Type == exchange.ThreadCreated && exists:
		w.fail("seq %d creates a thread that is there", e.Seq)
	case e.Type != exchange.ThreadCreated && e.Thread != "" && !exists:
		w.fail("seq %d changes a thread that is not there", e.Seq)
	case e.Type != exchange.StatusChanged:
		return
	}
	var p struct {
		Old string `json:"old_status"`
		New string `json:"new_status"`
	}
	if err := json.Unmarshal(e.Payload, &p); err != nil || !exists {
		w.fail("seq %d: %v", e.Seq, err)
		return
	}
	if p.Old != thread.Status {
		w.fail("seq %d was decided on a thread that is %s, and it is %s", e.Seq, p.Old, thread.Status)
	}
	if p.New == exchange.StatusClaimed && thread.Executor != "" && thread.Executor != e.Actor {
		w.fail("%s claims at seq %d a thread that %s holds", e.Actor, e.Seq, thread.Executor)
	}
}

// remember keeps what a thread is now.
func (w *witness) remember(e exchange.Event) {
	thread, ok := w.state.Thread(e.Thread)
	if !ok {
		return
	}
	h := w.byRef[e.Thread]
	if h == nil {
		h = &history{number: len(w.threads), ref: e.Thread}
		w.byRef[e.Thread] = h
		w.threads = append(w.threads, h)
	}
	if n := len(h.versions); n > 0 {
		h.versions[n-1].until = e.Seq - 1
	}
	if e.Type == exchange.MessageAdded {
		h.messages = append(h.messages, exchange.MessageOf(e))
	}
	h.versions = append(h.versions, version{from: e.Seq, until: forever, thread: thread})
}

// bar notes that a command must never be in the log, and looks whether it is. One with a key that may be forgotten by
// now was decided anew, and is where it was before.
func (w *witness) bar(token, why string) {
	commit, there := w.commits[token]
	if there && !(w.answers(commit) && w.forgotten(commit, w.log[w.head()].TS)) {
		w.fail("%s %s, and is in the log at %d", token, why, commit)
	}
	w.barred[token] = why
}

// unbar takes that back for a command that is given once more.
func (w *witness) unbar(token string) { delete(w.barred, token) }

// forgotten tells whether a key of which the log knew at a seq may be forgotten at a time.
func (w *witness) forgotten(seq int64, now time.Time) bool {
	return now.Sub(w.log[max(seq, 0)].TS) >= 24*time.Hour
}

// answers tells whether a commit holds a note_answered.
func (w *witness) answers(commit int64) bool {
	for seq := commit; seq < int64(len(w.log)) && w.log[seq].end == w.log[commit].end; seq++ {
		if w.log[seq].Type == exchange.NoteAnswered {
			return true
		}
	}
	return false
}

// whole is what the one object of a closed day must be.
func (w *witness) whole(day string) (data []byte, ok bool) {
	last, closed := w.closed[day]
	if !closed {
		return nil, false
	}
	for seq := w.first[day]; seq <= last; seq++ {
		data = append(append(data, w.log[seq].line...), '\n')
	}
	return data, true
}

// overwritten: only a merge may replace an object of the log, and only by its whole day.
func (w *witness) overwritten(key string, _, data []byte) {
	day, seq, ok := at(key)
	if !ok {
		return
	}
	whole, closed := w.whole(day)
	switch {
	case !closed:
		w.fail("position %d in %s is overwritten, a day that is not closed", seq, day)
	case seq != w.first[day]:
		w.fail("position %d in %s is overwritten, which is not the first of its day", seq, day)
	case !bytes.Equal(data, whole):
		w.fail("%s is merged into something that is not the day", day)
	default:
		w.merged[day] = true
	}
}

// deleted: only what a merge made superfluous may go.
func (w *witness) deleted(key string, _ []byte) {
	day, seq, ok := at(key)
	switch {
	case !ok || !w.genuine[key]:
		return
	case seq == w.first[day]:
		w.fail("position %d in %s is deleted, the first of its day", seq, day)
	case !w.merged[day]:
		w.fail("position %d in %s is deleted, before the day is merged", seq, day)
	}
	delete(w.genuine, key)
}

// applied looks at an event that a replica applies.
func (w *witness) applied(number int, e exchange.Event) {
	if e.Seq > w.head() || w.log[e.Seq].ID != e.ID {
		w.fail("replica %d applies an event at seq %d that is not the log's", number, e.Seq)
	}
}

func (h *history) String() string { return fmt.Sprintf("thread %d", h.number) }
