package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"
)

// history is what a server would hold that has run for long: threads that nobody has claimed yet, posted
// on the days up to yesterday. Through HTTP a million of them would take minutes; here their log is
// written as docs/storage.md says, without a sync, on top of what the server itself wrote when the one
// executor registered: genesis, and the name and the key's hash in it.
type history struct {
	threads int
	// single puts each event into an object of its own. Otherwise a day is one object, as a server leaves
	// days that are over.
	single bool
	// mixed: a few threads, the oldest, are free for the executor or in its hands (mixedShown of each). Of the
	// others every second was done by it, and the rest wait for those who can what it can't.
	mixed bool
}

const (
	threadsPerDay   = 10000
	eventsPerThread = 2
	eventsRoot      = "events/exchange=" + exchangeID + "/"
	snapshotsRoot   = "snapshots/exchange=" + exchangeID
	genesisDay      = "1970/01/01"
	dayFormat       = "2006/01/02"
	timestampFormat = "2006-01-02T15:04:05.000Z"
	suffixAlphabet  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	suffixes        = 36 * 36 * 36 * 36
	suffixStride    = 7919 // prime to the number of suffixes, so that none comes twice in a day
	firstOfDay      = 6 * time.Hour
	betweenThreads  = 5 * time.Second
	bodyAsMessage   = `{"mess":[{"request":` + body + `}]}`
	mixedShown      = few / 2
	mixedDemands    = 20 // different ones
	claimedPayload  = `{"old_status":"pending","new_status":"claimed","executor_id":"` + executorID + `"}`
	donePayload     = `{"old_status":"claimed","new_status":"completed","executor_id":"` + executorID + `"}`
	threadPayload   = `{"intent":"Check if the garage door is closed","context":["Getting ready for bed"],"priority":"normal","requestor_id":"` + executorID + `","response_hint":["image"]}`
	positionDigits  = 13 // of an object's name: the seq, with a hyphen in it
	objectSuffix    = ".jsonl"
)

// write replaces the log of a folder, in which a server has registered the executor and nothing else, by
// the history. It returns the refs, the oldest first.
func (h history) write(dir string) ([]string, error) {
	w, err := newHistoryWriter(dir)
	if err != nil {
		return nil, err
	}
	days := max(1, (h.threads+threadsPerDay-1)/threadsPerDay)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	first := today.AddDate(0, 0, -days)
	if err := w.begin(first); err != nil {
		return nil, err
	}
	w.single = h.single
	refs := make([]string, 0, h.threads)
	for d := range days {
		day := first.AddDate(0, 0, d)
		if err := w.openDay(day); err != nil {
			return nil, err
		}
		for i := range min(threadsPerDay, h.threads-len(refs)) {
			ref := day.Format("2006-01-02-") + suffix(i)
			at := day.Add(firstOfDay + time.Duration(i)*betweenThreads)
			w.event(at, `"`+ref+`"`, "thread_created", executorID, threadPayload)
			message, changes := h.course(len(refs))
			w.event(at, `"`+ref+`"`, "message_added", executorID, message)
			for _, change := range changes {
				w.event(at, `"`+ref+`"`, "status_changed", executorID, change)
			}
			refs = append(refs, ref)
		}
		next := day.AddDate(0, 0, 1)
		w.event(day.Add(firstOfDay+threadsPerDay*betweenThreads), "null", "day_closed", "-", `{"next":"`+next.Format(dayFormat)+`"}`)
		if err := w.closeDay(); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// course is what becomes of a thread after it was created: the payloads of its first message and of the changes
// of its status.
func (h history) course(i int) (message string, changes []string) {
	switch {
	case !h.mixed || i < mixedShown:
		return bodyAsMessage, nil
	case i < 2*mixedShown:
		return bodyAsMessage, []string{claimedPayload}
	case i%2 == 0:
		return bodyAsMessage, []string{claimedPayload, donePayload}
	}
	return fmt.Sprintf(`{"mess":[{"request":{"intent":"Carry it","requires":["lift:%d"]}}]}`, i/2%mixedDemands), nil
}

func suffix(i int) string {
	n := i * suffixStride % suffixes
	var s [4]byte
	for at := range s {
		s[at] = suffixAlphabet[n%len(suffixAlphabet)]
		n /= len(suffixAlphabet)
	}
	return string(s[:])
}

// historyWriter writes the objects of a log. The first error stays.
type historyWriter struct {
	root       string // the log's folder
	rest       string // what the names of all its objects have after the seq
	genesis    []byte
	registered []byte // the line that registers the executor
	single     bool

	seq    int64
	folder string
	file   *os.File // the day's object, unless every event has its own
	out    *bufio.Writer
	line   []byte
	err    error
}

// newHistoryWriter reads what the server wrote.
func newHistoryWriter(dir string) (*historyWriter, error) {
	w := &historyWriter{root: filepath.Join(dir, eventsRoot), out: bufio.NewWriterSize(io.Discard, 1<<20)}
	found, err := filepath.Glob(filepath.Join(w.root, "*", "*", "*", "*"+objectSuffix))
	if err != nil || len(found) != 2 {
		return nil, fmt.Errorf("find the log that the server began in %s: %d objects, not 2 (%w)", w.root, len(found), err)
	}
	slices.Sort(found) // genesis is under 1970
	w.rest = filepath.Base(found[0])[positionDigits:]
	if w.genesis, err = os.ReadFile(found[0]); err == nil {
		w.registered, err = os.ReadFile(found[1])
	}
	if err != nil {
		return nil, fmt.Errorf("read the log that the server began: %w", err)
	}
	return w, nil
}

var (
	timestamp = regexp.MustCompile(`"ts":"2[^"]*"`) // not that of the schema's lines, which is of 1970
	nextDay   = regexp.MustCompile(`"next":"[^"]*"`)
)

// begin writes genesis again, for a log that began on that day.
func (w *historyWriter) begin(first time.Time) error {
	if err := os.RemoveAll(w.root); err != nil {
		return fmt.Errorf("remove the log that the server began: %w", err)
	}
	ts := []byte(`"ts":"` + first.Format(timestampFormat) + `"`)
	w.registered = timestamp.ReplaceAll(w.registered, ts)
	genesis := timestamp.ReplaceAll(w.genesis, ts)
	genesis = nextDay.ReplaceAll(genesis, []byte(`"next":"`+first.Format(dayFormat)+`"`))
	folder := filepath.Join(w.root, filepath.FromSlash(genesisDay))
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return fmt.Errorf("write genesis: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, w.name(0)), genesis, 0o640); err != nil {
		return fmt.Errorf("write genesis: %w", err)
	}
	return nil
}

// name of the object whose first event has that seq.
func (w *historyWriter) name(seq int64) string {
	return fmt.Sprintf("%08x-%04x%s", seq>>16, seq&0xffff, w.rest)
}

// openDay begins a day, the very first one with the registration.
func (w *historyWriter) openDay(day time.Time) error {
	w.folder = filepath.Join(w.root, filepath.FromSlash(day.Format(dayFormat)))
	if w.err = os.MkdirAll(w.folder, 0o750); w.err != nil {
		return fmt.Errorf("write a day: %w", w.err)
	}
	if !w.single {
		if w.file, w.err = os.Create(filepath.Join(w.folder, w.name(w.seq+1))); w.err != nil {
			return fmt.Errorf("write a day: %w", w.err)
		}
		w.out.Reset(w.file)
	}
	if w.seq == 0 {
		w.put(w.registered)
	}
	return nil
}

// event writes the next event; thread and payload are JSON.
func (w *historyWriter) event(at time.Time, thread, kind, actor, payload string) {
	id, err := uuid.NewV7()
	if err != nil && w.err == nil {
		w.err = err
	}
	w.line = fmt.Appendf(w.line[:0], `{"event_id":"%s","seq":%d,"ts":"%s","exchange_id":"%s","thread_ref":%s,"event_type":"%s","actor_id":"%s","payload":%s}`+"\n",
		id, w.seq+1, at.Format(timestampFormat), exchangeID, thread, kind, actor, payload)
	w.put(w.line)
}

func (w *historyWriter) put(line []byte) {
	w.seq++
	switch {
	case w.err != nil:
	case w.single:
		w.err = os.WriteFile(filepath.Join(w.folder, w.name(w.seq)), line, 0o640)
	default:
		_, w.err = w.out.Write(line)
	}
}

func (w *historyWriter) closeDay() error {
	if !w.single {
		if err := w.out.Flush(); w.err == nil {
			w.err = err
		}
		if err := w.file.Close(); w.err == nil {
			w.err = err
		}
	}
	if w.err != nil {
		return fmt.Errorf("write a day: %w", w.err)
	}
	return nil
}
