package eventlog

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

// A line has exactly the 8 keys in their order, and the payload keeps the spelling of its numbers, the
// order of its keys and characters that HTML would escape.
func TestLineForm(t *testing.T) {
	e := Event{
		ID: "id", Seq: 7, TS: time.Date(2026, 2, 1, 23, 0, 0, 5e6, time.FixedZone("", 3600)), Thread: "2026-02-01-XY1Z", Type: "said", Actor: `o"brien`,
		Payload: json.RawMessage(`{ "b": 12345678901234567890, "a": 2.50, "c": "<&>` + "\u2028" + `", "payload": {"payload":1} }`),
	}
	data, got, err := appendLine([]byte("before\n"), "home", e)
	if err != nil {
		t.Fatal(err)
	}
	const want = `before
{"event_id":"id","seq":7,"ts":"2026-02-01T22:00:00.005Z","exchange_id":"home","thread_ref":"2026-02-01-XY1Z","event_type":"said","actor_id":"o\"brien","payload":{"b":12345678901234567890,"a":2.50,"c":"<&>` + "\u2028" + `","payload":{"payload":1}}}
`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
	if problem := lineProblem(bytes.TrimSpace(data[len("before\n"):])); problem != "" {
		t.Error(problem)
	}
	read, err := parseLine(data[len("before\n"):], "home", nil)
	if err != nil {
		t.Fatal(err)
	}
	if string(read.Payload) != string(got.Payload) {
		t.Errorf("applied payload %s, a replay reads %s", got.Payload, read.Payload)
	}
	if read.ID != e.ID || read.Seq != e.Seq || !read.TS.Equal(e.TS) || read.Thread != e.Thread || read.Actor != e.Actor {
		t.Errorf("read back %+v", read)
	}
}

// A line is what encoding/json makes of it, whatever stands in it: both have written logs.
func TestLineAsEncoded(t *testing.T) {
	for _, text := range []string{"", "plain-1.x", `"`, `\`, "é", "<&>", "\u2028", "\x7f", "\x00", "a\tb", "\xff", "~ "} {
		e := Event{ID: text, Seq: 1<<48 - 1, TS: time.Unix(1, 0), Thread: text, Type: text, Actor: text, Payload: json.RawMessage(`{"a": "<"}`)}
		l := line{EventID: text, Seq: e.Seq, TS: "1970-01-01T00:00:01.000Z", ExchangeID: text, EventType: text, ActorID: text, Payload: e.Payload}
		if text != "" {
			l.ThreadRef = &text
		}
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(l); err != nil {
			t.Fatal(err)
		}
		if got, _, err := appendLine(nil, text, e); err != nil || string(got) != want.String() {
			t.Errorf("got  %s\nwant %s (%v)", got, &want, err)
		}
	}
	if _, _, err := appendLine(nil, "home", Event{ID: "id", Type: "x", Payload: json.RawMessage(`{"torn`)}); err == nil {
		t.Error("a payload that is no JSON was written")
	}
}

func TestLineWithoutThread(t *testing.T) {
	data, _, err := appendLine(nil, "home", Event{ID: "id", Type: "x", Actor: "-", Payload: json.RawMessage(`{}`)})
	if err != nil || !strings.Contains(string(data), `"thread_ref":null`) {
		t.Errorf("got %s, %v", data, err)
	}
}

func TestLineProblems(t *testing.T) {
	good := `{"event_id":"i","seq":1,"ts":"2026-02-01T22:00:00.000Z","exchange_id":"home","thread_ref":null,"event_type":"x","actor_id":"a","payload":{}}`
	for name, raw := range map[string]string{
		"":                          good,
		"it is no JSON object":      `[]`,
		"it is torn":                good[:len(good)-4],
		"its payload is no object":  strings.Replace(good, `"payload":{}`, `"payload":"{}"`, 1),
		"it is not UTF-8":           strings.Replace(good, `"x"`, "\"\xff\"", 1),
		`its keys are ["event_id"]`: `{"event_id":"i"}`,
	} {
		if got := lineProblem([]byte(raw)); got != name {
			t.Errorf("%s: got %q, want %q", raw, got, name)
		}
	}
	twice := strings.Replace(good, `"seq":1`, `"seq":1,"seq":1`, 1)
	if got := lineProblem([]byte(twice)); !strings.HasPrefix(got, "its keys are") {
		t.Errorf("a key twice: %q", got)
	}
}

// FuzzParseObject feeds the event decoder with anything: it must refuse or return events whose seqs follow
// each other, and what it returns must survive being written again.
func FuzzParseObject(f *testing.F) {
	line, _, _ := appendLine(nil, "home", Event{ID: "id", Seq: 1, TS: time.Unix(0, 0), Type: "x", Actor: "a", Payload: json.RawMessage(`{"a":1}`)})
	f.Add(line)
	f.Add([]byte(schemaLines))
	f.Add(append([]byte(schemaLines), line...))
	f.Add([]byte("{}\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parseLegacy(data, "home", "events/exchange=home/2026/02/01/x.jsonl", func(int, error) {})
		events, err := parseObject(data, "home")
		if err != nil {
			return
		}
		for i, e := range events {
			if i > 0 && e.Seq != events[i-1].Seq+1 {
				t.Fatalf("seq %d after %d", e.Seq, events[i-1].Seq)
			}
			if len(e.Payload) == 0 || e.TS.Year() > 9999 || e.TS.Year() < 0 {
				continue
			}
			out, _, err := appendLine(nil, "home", e)
			if err != nil {
				t.Fatalf("event %+v was read and can't be written: %v", e, err)
			}
			again, err := parseLine(out, "home", nil)
			if err != nil || again.Seq != e.Seq || again.Actor != e.Actor || again.Thread != e.Thread {
				t.Fatalf("written as %s, read as %+v, %v", out, again, err)
			}
		}
	})
}

// The quick way to read a line comes to the same event as the tolerant one, or leaves the line to it.
func FuzzParseWritten(f *testing.F) {
	for _, e := range []Event{
		{ID: "1", Seq: 1, Thread: "t", Type: "x", Actor: "a", Payload: json.RawMessage(`{"a":"}}","b":{"c":{}}}`)},
		{ID: "ü\n", Seq: maxSeq, Type: `"`, Actor: `\`, Payload: json.RawMessage(`{}`)},
		benchEvent(4, time.Now().UTC()),
	} {
		line, _, err := appendLine(nil, "home", e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.TrimSuffix(line, []byte("\n")))
	}
	f.Add([]byte(`{"event_id":"1","seq":01,"ts":"2026-02-01T12:00:00.000Z","exchange_id":"home","thread_ref":null,"event_type":"x","actor_id":"a","payload":{},"x":{}}`))
	f.Add([]byte(`{"event_id":"1","seq":1,"ts":"2026-02-01T12:00:00.000Z","exchange_id":"home","thread_ref":"","event_type":"x","actor_id":"a","payload":{"a":1}}`))
	f.Add([]byte(`{"event_id":"1","seq":1000000000000000,"ts":"2026-02-01T12:00:00.000Z","exchange_id":"home","thread_ref":"","event_type":"x","actor_id":"a","payload":{"a":1} }`))
	f.Fuzz(func(t *testing.T, line []byte) {
		quick, ok := parseWritten(line, "home", words{})
		if !ok {
			return
		}
		slow, err := parseAny(line, "home")
		if err != nil || !slow.TS.Equal(quick.TS) || string(slow.Payload) != string(quick.Payload) {
			t.Fatalf("%q: %+v and %+v, %v", line, quick, slow, err)
		}
		slow.TS, slow.Payload, quick.TS, quick.Payload = time.Time{}, nil, time.Time{}, nil
		if !reflect.DeepEqual(quick, slow) {
			t.Errorf("%q: %+v and %+v", line, quick, slow)
		}
	})
}

// Every line that a server writes is read the quick way, or a start is slow.
func TestWrittenLinesAreReadQuickly(t *testing.T) {
	for seq := range int64(8) {
		line, _, err := appendLine(nil, "home", benchEvent(seq, time.Now().UTC()))
		if _, ok := parseWritten(bytes.TrimSuffix(line, []byte("\n")), "home", nil); !ok || err != nil {
			t.Errorf("not so %s (%v)", line, err)
		}
	}
}
