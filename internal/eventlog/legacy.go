package eventlog

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// legacySet says which objects of the original server are the prefix of the log. Genesis freezes it:
// an object that appears later can't change the past under decisions already made.
type legacySet struct {
	Objects int     `json:"objects"`
	SHA256  string  `json:"sha256"` // hex, of the sorted keys joined by LF
	LastTS  instant `json:"last_ts"`
}

// instant is a time in the form of ts; the zero time is "".
type instant struct{ time.Time }

// MarshalJSON writes the time as in an event's ts.
func (t instant) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte(`""`), nil
	}
	return json.Marshal(t.UTC().Format(timeFormat))
}

// UnmarshalJSON reads RFC 3339; anything else is the zero time.
func (t *instant) UnmarshalJSON(data []byte) error {
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("decode time: %w", err)
	}
	t.Time, _ = time.Parse(time.RFC3339, s)
	return nil
}

// surveyLegacy makes the set that genesis records.
func surveyLegacy(ctx context.Context, store Store, exchange string) (legacySet, error) {
	found, err := list(ctx, store, exchange)
	if err != nil {
		return legacySet{}, err
	}
	// What is odd is said when the log is replayed, which follows.
	events, err := readLegacy(ctx, store, exchange, found.others, func(string, int, error) {})
	if err != nil {
		return legacySet{}, err
	}
	set := setOf(found.others)
	if len(events) > 0 {
		set.LastTS.Time = events[len(events)-1].TS
	}
	return set, nil
}

// keysOf returns the keys of objects, sorted.
func keysOf(objects []listed) []string {
	keys := make([]string, len(objects))
	for i, o := range objects {
		keys[i] = o.key
	}
	slices.Sort(keys)
	return keys
}

func setOf(objects []listed) legacySet {
	keys := keysOf(objects)
	h := sha256.Sum256([]byte(strings.Join(keys, "\n")))
	return legacySet{Objects: len(keys), SHA256: hex.EncodeToString(h[:])}
}

// loadLegacy reads the prefix that genesis recorded, in its order, from the objects that a listing
// shows now, and returns their keys as well. Where some came or went since, it takes those older than
// genesis, and tells changed. Of lines that can't be read, or not in full, it tells odd.
func loadLegacy(ctx context.Context, store Store, exchange string, want legacySet, found []listed, changed func(), odd func(key string, line int, err error)) ([]Event, []string, error) {
	if setOf(found).SHA256 != want.SHA256 {
		changed()
		var err error
		if found, err = olderThanGenesis(ctx, store, exchange, found); err != nil {
			return nil, nil, err
		}
	}
	events, err := readLegacy(ctx, store, exchange, found, odd)
	return events, keysOf(found), err
}

func olderThanGenesis(ctx context.Context, store Store, exchange string, objects []listed) ([]listed, error) {
	attr, err := store.Bucket().Attributes(ctx, genesisKey(exchange))
	if err != nil {
		return nil, fmt.Errorf("read the age of genesis: %w", err)
	}
	return slices.DeleteFunc(objects, func(o listed) bool { return o.mod.After(attr.ModTime) }), nil
}

// oldEvent is an event of the original server with what orders it.
type oldEvent struct {
	Event
	key string
	n   int // its line
}

// readLegacy reads objects of the original server in their order: by ts, then by type (two events of
// one call share a ts), then by key. It was not strict, so nothing here is an error but a store that
// can't be read: a line that is no event is passed over, and odd is told of it, in key order.
func readLegacy(ctx context.Context, store Store, exchange string, objects []listed, odd func(key string, line int, err error)) ([]Event, error) {
	objects = slices.SortedFunc(slices.Values(objects), func(a, b listed) int { return strings.Compare(a.key, b.key) })
	found, odds := make([][]oldEvent, len(objects)), make([][]func(), len(objects))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(replayReaders)
	for i, o := range objects {
		g.Go(func() error {
			c, err := readWhole(ctx, store, o.key, replayTimeout)
			if err != nil && !errors.Is(err, errAbsent) {
				return err
			}
			found[i] = parseLegacy(c.data, exchange, o.key, func(line int, err error) {
				odds[i] = append(odds[i], func() { odd(o.key, line, err) })
			})
			for j := range found[i] {
				put48(found[i][j].At[0:], int64(i))
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	for _, tell := range slices.Concat(odds...) {
		tell()
	}
	all := slices.Concat(found...)
	slices.SortStableFunc(all, func(a, b oldEvent) int {
		return cmp.Or(a.TS.Compare(b.TS), cmp.Compare(typeRank(a.Type), typeRank(b.Type)), strings.Compare(a.key, b.key), cmp.Compare(a.n, b.n))
	})
	events := make([]Event, len(all))
	for i, e := range all {
		events[i] = e.Event
	}
	return events, nil
}

// typeRank orders the events of one call of the original server.
func typeRank(eventType string) int {
	order := []string{"executor_registered", "thread_created", "status_changed", "message_added"}
	if i := slices.Index(order, eventType); i >= 0 {
		return i
	}
	return len(order)
}

// parseLegacy decodes one object of the original server. odd is told of each line, counted from 1, that is
// passed over or could not be read in full.
func parseLegacy(data []byte, exchange, key string, odd func(line int, err error)) []oldEvent {
	var events []oldEvent
	offset := 0
	for n, line := range bytes.SplitAfter(data, []byte("\n")) {
		at := lineAt(0, offset, line)
		put48(at[6:], original)
		offset += len(line)
		raw := bytes.TrimPrefix(bytes.TrimSpace(line), []byte("\ufeff"))
		if len(raw) == 0 {
			continue
		}
		e, err := parseOldLine(raw, exchange, key)
		if err != nil {
			odd(n+1, err)
		}
		if err != nil && !errors.Is(err, errUndated) {
			continue
		}
		e.At = at
		events = append(events, oldEvent{Event: e, key: key, n: n})
	}
	return events
}

// errUndated comes with an event whose ts can't be read.
var errUndated = errors.New("its ts can't be read; it counts as the start of its day")

// parseOldLine decodes a line with whatever types its fields have. An unreadable ts becomes the start
// of the day in the key; the event is then returned with errUndated.
func parseOldLine(raw []byte, exchange, key string) (Event, error) {
	var l map[string]json.RawMessage
	if err := json.Unmarshal(raw, &l); err != nil {
		return Event{}, fmt.Errorf("decode event: %w", err)
	}
	text := func(name string) (s string) {
		if json.Unmarshal(l[name], &s) != nil {
			return ""
		}
		return s
	}
	if x := text("exchange_id"); x != exchange && x != "" {
		return Event{}, errOtherExchange
	}
	e := Event{ID: text("event_id"), Thread: text("thread_ref"), Type: text("event_type"), Actor: text("actor_id"), Payload: l["payload"]}
	if e.Type == "" {
		return Event{}, errors.New("it has no event_type")
	}
	if ts, err := time.Parse(time.RFC3339, text("ts")); err == nil {
		e.TS = ts.UTC()
		return e, nil
	}
	if rest := strings.TrimPrefix(key, Prefix(exchange)); len(rest) > len(genesisDay) {
		e.TS, _ = time.Parse("2006/01/02", rest[:len(genesisDay)])
	}
	return e, errUndated
}
