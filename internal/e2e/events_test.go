//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// shownEvent is an event as a stream or a page shows it.
type shownEvent struct {
	Seq  int64  `json:"seq"`
	Type string `json:"event_type"`
	line string
}

func shown(tb testing.TB, line string) shownEvent {
	tb.Helper()
	e := shownEvent{line: line}
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		tb.Fatalf("%q: %v", line, err)
	}
	return e
}

// stream opens a stream of events, which ends with the test. after is the last id, "" for none.
func (c client) stream(tb testing.TB, after string) *bufio.Scanner {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), "GET", c.base+"/events?since=0", nil)
	if err != nil {
		tb.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Last-Event-ID", after)
	patient := http.Client{Transport: c.http.Transport} // a stream has no end
	res, err := patient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		tb.Fatalf("the stream: %s", res.Status)
	}
	return bufio.NewScanner(res.Body)
}

// hear reads events up to the one that says text, or to the end of the stream.
func hear(tb testing.TB, in *bufio.Scanner, text string) (events []shownEvent) {
	tb.Helper()
	for in.Scan() {
		line, is := strings.CutPrefix(in.Text(), "data: ")
		if !is {
			continue
		}
		events = append(events, shown(tb, line))
		if strings.Contains(line, text) {
			return events
		}
	}
	return events
}

// pages reads all events, some at a time.
func (c client) pages(tb testing.TB, limit int) (events []shownEvent) {
	tb.Helper()
	for seq, more := int64(0), true; more; {
		a := c.send(tb, "GET", fmt.Sprintf("/events?since=%d&limit=%d", seq, limit), nil, "Accept", "application/json")
		page := decode[struct {
			Events []json.RawMessage
			Next   int64
			More   bool
		}](tb, a)
		for _, line := range page.Events {
			events = append(events, shown(tb, string(line)))
		}
		seq, more = page.Next, page.More
	}
	return events
}

// TestEventsAreTheStoredLog: what a stream tells, over a kill and at whatever replica it goes on, and what pages show,
// is what stands in the stored log, line by line, but for the hashes of keys.
func TestEventsAreTheStoredLog(t *testing.T) {
	inEachStorage(t, func(t *testing.T, place storage) {
		s := start(t, place.settings...)
		agent := at(s, "home").register(t, "agent")
		live := agent.stream(t, "")
		work := func(round int) string {
			for n := range 20 {
				ref := agent.create(t, intent(fmt.Sprint("é < ", round, n)))
				agent.set(t, ref, "claimed")
			}
			last := fmt.Sprint("the last of ", round)
			agent.create(t, intent(last))
			return last
		}
		events := hear(t, live, work(1))
		s.kill()
		s = start(t, place.settings...)
		key := agent.key
		agent = at(s, "home").as(key)
		last := work(2)
		if place.store != nil {
			agent = at(start(t, place.settings...), "home").as(key)
		}
		events = append(events, hear(t, agent.stream(t, strconv.FormatInt(events[len(events)-1].Seq, 10)), last)...)
		// The message follows the thread's event, and may have come with it.
		pages := agent.pages(t, 7)
		if n := len(pages); n != len(events)+1 && n != len(events) {
			t.Fatalf("%d events in pages, %d in the stream", n, len(events))
		}
		if !slices.Equal(events, pages[:len(events)]) {
			t.Error("the stream is not the pages")
		}
		wantStored(t, place, pages)
	})
}

// wantStored compares events with the lines of the log.
func wantStored(t *testing.T, place storage, events []shownEvent) {
	t.Helper()
	var lines []string
	for _, file := range eventFiles(t, place.files(t)) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			if strings.Contains(line, `"exchange_id":"home"`) && !strings.Contains(line, `"seq":0,`) {
				lines = append(lines, strings.TrimSuffix(line, "\n"))
			}
		}
	}
	if len(lines) != len(events) {
		t.Fatalf("%d events are shown, %d stand in the log", len(events), len(lines))
	}
	for i, e := range events {
		switch {
		case strings.Contains(e.line, "hash"):
			t.Errorf("a secret: %s", e.line)
		case !strings.HasPrefix(e.Type, "executor_") && e.line != lines[i]:
			t.Errorf("shown  %s\nstored %s", e.line, lines[i])
		}
	}
}
