package eventlog

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/mess-exchange/mess-exchange/internal/bucket"
)

var startEvents = flag.Int("start.events", 20_000, "events of BenchmarkStart")

// A start on a directory: reading the log as commits of 8 MiB, as one event an object, and from a snapshot.
// What the machine does with an event is not in it: this one keeps its place.
func BenchmarkStart(b *testing.B) {
	for _, c := range []struct {
		name      string
		perCommit int
		snapshot  bool
	}{{"commits", maxBatch, false}, {"objects", 1, false}, {"snapshot", maxBatch, true}, {"snapshot-objects", 1, true}} {
		b.Run(c.name, func(b *testing.B) {
			dir := b.TempDir()
			writeLog(b, dir, *startEvents, c.perCommit)
			store, err := bucket.Open(b.Context(), bucket.Config{Type: "filesystem", Path: dir})
			if err != nil {
				b.Fatal(err)
			}
			defer store.Close()
			open := func() *Log {
				m := &ledger{}
				l, err := Open(b.Context(), store, "home", m, Options{})
				if err != nil || len(m.at) < *startEvents {
					b.Fatal(len(m.at), err)
				}
				return l
			}
			if c.snapshot {
				l := open()
				if err := errors.Join(l.Snapshot(b.Context()), l.Close(b.Context())); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				l := open()
				b.StopTimer()
				if got := l.Unsaved() == 0; got != c.snapshot {
					b.Fatalf("began from a snapshot: %v", got)
				}
				_ = l.Close(context.Background())
				b.StartTimer()
			}
		})
	}
}

// ledger is a Projection that keeps the place of each event.
type ledger struct{ at []At }

func (l *ledger) Apply(events []Event) {
	for _, e := range events {
		l.at = append(l.at, e.At)
	}
}
func (l *ledger) Fork() Tentative       { return nil }
func (l *ledger) Version() string       { return "ledger" }
func (l *ledger) Freeze() (Image, bool) { return ledgerImage(l.at[:len(l.at):len(l.at)]), true }

func (l *ledger) Restore(r io.Reader) error {
	var n int64
	if err := binary.Read(r, binary.BigEndian, &n); err != nil {
		return err
	}
	l.at = make([]At, n)
	for i := range l.at {
		if _, err := io.ReadFull(r, l.at[i][:]); err != nil {
			return err
		}
	}
	return nil
}

type ledgerImage []At

func (i ledgerImage) Encode(w io.Writer) error {
	if err := binary.Write(w, binary.BigEndian, int64(len(i))); err != nil {
		return err
	}
	for _, at := range i {
		if _, err := w.Write(at[:]); err != nil {
			return err
		}
	}
	return nil
}

// writeLog writes a log of one day as a server would, without waiting for the disk.
func writeLog(tb testing.TB, dir string, events, perCommit int) {
	tb.Helper()
	ts := time.Now().UTC().Truncate(time.Millisecond)
	today := dayOf(ts)
	put := func(key string, data []byte) {
		name := filepath.Join(dir, filepath.FromSlash(key))
		err := os.WriteFile(name, data, 0o600)
		if errors.Is(err, os.ErrNotExist) {
			err = errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, data, 0o600))
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	data, err := encodeGenesis("home", genesis{Format: format, Next: today}, ts)
	if err != nil {
		tb.Fatal(err)
	}
	put(genesisKey("home"), data)
	put(SchemaKey, []byte(schemaLines))
	data = data[:0]
	first := int64(1)
	for seq := int64(1); seq <= int64(events); seq++ {
		if data, _, err = appendLine(data, "home", benchEvent(seq, ts)); err != nil {
			tb.Fatal(err)
		}
		if len(data) >= perCommit-512 || seq == int64(events) {
			put(positionKey("home", today, first), data)
			first, data = seq+1, data[:0]
		}
	}
}

// benchEvent is one of a thread's four: it is created, claimed, answered and completed.
func benchEvent(seq int64, ts time.Time) Event {
	thread := fmt.Sprintf("2026-02-01-%06X", seq/4)
	words := make([]byte, 0, 200)
	for range 12 {
		words = append(words, []string{"kitchen ", "please ", "photo ", "broken ", "window ", "report ", "invoice ", "today "}[rand.IntN(8)]...)
	}
	var typ string
	var payload any
	switch seq % 4 {
	case 0:
		typ, payload = "thread_created", map[string]any{"intent": string(words), "context": []string{}, "priority": "normal", "requestor_id": "agent-7", "response_hint": nil}
	case 1:
		typ, payload = "status_changed", map[string]any{"old_status": "pending", "new_status": "claimed", "executor_id": "phone-3", "message": nil}
	case 2:
		typ, payload = "message_added", map[string]any{"mess": []any{map[string]any{"response": map[string]any{"re": thread, "content": []any{map[string]any{"text": string(words)}}}}}}
	default:
		typ, payload = "status_changed", map[string]any{"old_status": "claimed", "new_status": "completed", "executor_id": "phone-3", "message": nil}
	}
	p, _ := json.Marshal(payload)
	return Event{ID: uuid.Must(uuid.NewV7()).String(), Seq: seq, TS: ts, Thread: thread, Type: typ, Actor: "phone-3", Payload: p}
}
