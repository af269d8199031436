package eventlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Report is what Check found out about one exchange's log.
type Report struct {
	Exchange string
	Objects  int   // commits, genesis not counted
	Events   int64 // of these commits; the head is the same number where nothing is wrong
	Legacy   int   // objects of the original server
	// Findings are broken rules: an acknowledged write may be missing, or a reader may fail.
	Findings []string
	First    string // key of the object in which the first of them shows, "" where there are none
	// Notes are oddities that no server may mend and every server reads past, such as a torn line of the
	// original server. A query on the folder may still fail on them.
	Notes []string
}

// Find adds a finding, and the key of the object in which it shows.
func (r *Report) Find(key, format string, args ...any) {
	if len(r.Findings) == 0 {
		r.First = key
	}
	r.Findings = append(r.Findings, fmt.Sprintf(format, args...))
}

// Note adds a note.
func (r *Report) Note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// CheckOptions of Check. The zero value checks the log without its snapshots.
type CheckOptions struct {
	// New makes a projection that was fed nothing. With it each snapshot of its version is held against the
	// state that the log's events make.
	New func() Projection
	// Difference says in what two projections differ that stand at the same event, or "". They may have
	// the positions of the events in different forms (SameEvent).
	Difference func(restored, replayed Projection) string
	// Watch is told the events in the order of the log, those of the original server first, each once.
	Watch func(events []Event)
	// Head is told the state at the head, made by New, where the log could be read up to there. For those who
	// check what belongs to the log: it is the log as of some moment after the call of Check.
	Head func(replayed Projection)
}

// Check reads the whole log of an exchange from the store alone and holds it against the format: the
// chain of positions without a hole, one key for each, every object whole, every line strict, seq and ts
// in order, days closed where they end, and nothing in the folder that is not accounted for. It writes
// nothing, and may run beside a server. An error means that the store could not be read or that there is
// no such log; what is wrong with the log is in the report.
func Check(ctx context.Context, store Store, exchange string, o CheckOptions) (Report, error) {
	r := Report{Exchange: exchange}
	snapshots, err := r.findSnapshots(ctx, store, o) // first of all: what they are made of is in the log by then
	if err != nil {
		return r, err
	}
	if err := verifySchema(ctx, store); err != nil {
		r.Find(SchemaKey, "%v", err)
	}
	// The listing comes first: what is committed while the chain is walked is in the chain only.
	found, err := list(ctx, store, exchange)
	if err != nil {
		return r, err
	}
	g, err := readGenesis(ctx, store, exchange)
	switch {
	case errors.Is(err, errAbsent) && len(found.positions)+len(found.others) == 0:
		return r, ErrNotFound
	case errors.Is(err, errAbsent) && len(found.positions) == 0:
		// A server adopts it when it opens the exchange.
		_, err := readLegacy(ctx, store, exchange, found.others, r.oddLine)
		r.Legacy = len(found.others)
		return r, err
	case errors.Is(err, errAbsent):
		r.Find(genesisKey(exchange), "position 0 is missing: %s", genesisKey(exchange))
		return r, nil
	case errors.Is(err, errCorrupt):
		r.Find(genesisKey(exchange), "%v", err)
		return r, nil
	case err != nil:
		return r, err
	}
	c := &comparison{report: &r, ctx: ctx, store: store, options: o, snapshots: snapshots}
	if err := r.checkLegacy(ctx, store, g, found.others, c); err != nil {
		return r, err
	}
	return r, r.checkChain(ctx, store, g, found, c)
}

func (r *Report) oddLine(key string, line int, err error) {
	r.Note("%s line %d, of the original server: %v", key, line, err)
}

// checkLegacy reads what the original server left, and feeds it to the comparison.
func (r *Report) checkLegacy(ctx context.Context, store Store, g opened, others []listed, c *comparison) error {
	r.Legacy = len(others)
	if g.Legacy == nil {
		for _, o := range others {
			r.Note("%s is no commit of this log", o.key)
		}
		return nil
	}
	events, keys, err := loadLegacy(ctx, store, r.Exchange, *g.Legacy, others, func() {
		r.Note("genesis recorded %d objects of the original server, and %d others are there now", g.Legacy.Objects, len(others))
	}, r.oddLine)
	if err != nil {
		return err
	}
	c.originals = keys
	c.feed(events)
	return nil
}

// checkChain walks the positions from 1 to the head.
func (r *Report) checkChain(ctx context.Context, store Store, g opened, found listing, c *comparison) error {
	l := &Log{store: store, exchange: r.Exchange, names: namesOf(r.Exchange), machine: c, own: map[string]struct{}{}}
	l.begin(g)
	c.log = l
	c.Apply(g.object.events)
	chain := map[string]struct{}{g.object.key: {}}
	ids := map[string]int64{g.object.events[0].ID: 0}
	firsts := map[day]object{} // without their bytes
	err := l.walk(ctx, fetchAhead(ctx, store, r.Exchange, found.commits()), func(o object) {
		chain[o.key] = struct{}{}
		r.checkLines(o, ids)
		if _, ok := firsts[o.day]; !ok || o.seq == firsts[o.day].seq {
			firsts[o.day] = object{place: o.place, events: []Event{o.events[0], o.events[len(o.events)-1]}}
		}
	})
	r.Objects, r.Events = len(chain)-1, l.head.next-1
	c.end()
	if c.err != nil {
		return c.err
	}
	if errors.Is(err, errCorrupt) {
		r.Find(l.head.place(r.Exchange).key, "%v", err)
		return nil
	}
	if err != nil {
		return err
	}
	if n := len(found.positions); c.options.Head != nil && (n == 0 || found.positions[n-1].seq < l.head.next) {
		c.options.Head(c.replayed)
	}
	return r.checkStrays(ctx, store, found.positions, chain, firsts, l.head.next)
}

// checkStrays reports computed keys that are not in the chain. Behind a merge there may be some, which the
// next merge deletes: the commits of the day where it was killed, and what was written there by one who
// slept. Any other means that something is wrong: past the head, that a position before it is missing; else
// that a position was created under two dates, or that a day was merged in part.
func (r *Report) checkStrays(ctx context.Context, store Store, positions []listed, chain map[string]struct{}, firsts map[day]object, next int64) error {
	for _, p := range positions {
		if _, ok := chain[p.key]; ok {
			continue
		}
		_, err := read(ctx, store, r.Exchange, p.place, replayTimeout)
		first, ok := firsts[p.day]
		switch {
		case errors.Is(err, errAbsent): // a merge has finished meanwhile
		case err != nil && !errors.Is(err, errCorrupt):
			return err
		case p.seq >= next:
			r.Find(p.key, "%s exists, but position %d is missing: %s", p, next, p.key)
		case !ok || p.seq <= first.seq || p.seq > first.last():
			r.Find(p.key, "%s is not in the chain of commits: %s", p, p.key)
		case !first.closes():
			r.Find(p.key, "%s is in the chain twice, for the day was merged in part: %s", p, p.key)
		default:
			r.Note("%s is left over from a merge, and no part of the log: %s", p, p.key)
		}
	}
	return nil
}

// lineKeys are the keys of a line, in the order in which they are written.
var lineKeys = []string{"event_id", "seq", "ts", "exchange_id", "thread_ref", "event_type", "actor_id", "payload"}

// checkLines holds the bytes of a commit against the strict form of a line, and its event ids against
// all before.
func (r *Report) checkLines(o object, ids map[string]int64) {
	for n, raw := range bytes.Split(bytes.TrimSuffix(o.data, []byte("\n")), []byte("\n")) {
		if problem := lineProblem(raw); problem != "" {
			r.Find(o.key, "%s line %d: %s", o.key, n+1, problem)
		}
	}
	for _, e := range o.events {
		if seq, ok := ids[e.ID]; ok && seq != e.Seq { // the same seq: the day was merged while it was read
			r.Find(o.key, "%s: event id %s of seq %d is that of seq %d too", o.key, e.ID, e.Seq, seq)
		}
		ids[e.ID] = e.Seq
	}
}

// lineProblem says what keeps a line from being read by everyone, or "".
func lineProblem(raw []byte) string {
	if len(raw) > maxCommand {
		return fmt.Sprintf("it is %d bytes long", len(raw))
	}
	if !utf8.Valid(raw) {
		return "it is not UTF-8"
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return "it is no JSON object"
	}
	var keys []string
	var last json.RawMessage
	for dec.More() {
		t, err := dec.Token()
		if err != nil || dec.Decode(&last) != nil {
			return "it is torn"
		}
		key, _ := t.(string)
		keys = append(keys, key)
	}
	if !slices.Equal(keys, lineKeys) {
		return fmt.Sprintf("its keys are %q", keys)
	}
	if last[0] != '{' {
		return "its payload is no object"
	}
	return ""
}
