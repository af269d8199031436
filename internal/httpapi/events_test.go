package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// live is a server with the real engine on faked time, as the program wires it.
type live struct {
	tb     testing.TB
	engine *engine.Engine
	server *http.Server
	pipes  pipes
	served chan error
}

// inLive runs a test against one.
func inLive(t *testing.T, test func(t *testing.T, l *live)) {
	synctest.Test(t, func(t *testing.T) {
		e := engine.New(faultblob.New().Store(false), engine.Options{Fatal: func(err error) { t.Error("fatal:", err) }})
		if err := e.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		l := &live{t, e, Server(New(e, Options{}), slog.New(slog.DiscardHandler)), pipes{make(chan net.Conn), make(chan struct{})}, make(chan error, 1)}
		l.server.RegisterOnShutdown(e.ReleaseWaiters)
		go func() { l.served <- l.server.Serve(l.pipes) }()
		test(t, l)
		l.shutdown(t)
	})
}

// shutdown stops the server as the program does, and returns how long that took.
func (l *live) shutdown(t *testing.T) time.Duration {
	t.Helper()
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := errors.Join(l.server.Shutdown(ctx), l.engine.Close(ctx)); err != nil {
		t.Error(err)
	}
	return time.Since(begun)
}

// site answers without connections, with the same engine.
func (l *live) site() client { return siteOf(l.tb, l.engine).at("home") }

// get sends a GET over a connection of its own.
func (l *live) get(t *testing.T, key, path string, headers ...string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	l.pipes.accept <- theirs
	t.Cleanup(func() { ours.Close() })
	say(t, ours, "GET /api/v1/exchanges/home"+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+key+"\r\n"+strings.Join(append(headers, "\r\n"), "\r\n"))
	return ours
}

// stream is a client of a stream.
type stream struct {
	net.Conn
	body *bufio.Reader
	head *http.Response
}

func (l *live) listen(t *testing.T, key, query string, headers ...string) *stream {
	t.Helper()
	conn := l.get(t, key, "/events"+query, headers...)
	head, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &stream{conn, bufio.NewReader(head.Body), head}
}

// block reads up to the next empty line; "" at the end of the stream.
func (s *stream) block() string {
	var block strings.Builder
	for {
		line, err := s.body.ReadString('\n')
		if block.WriteString(line); line == "\n" {
			return block.String()
		}
		if err != nil {
			return ""
		}
	}
}

var idsRE = regexp.MustCompile(`"event_id":"[0-9a-f-]+"`)

// Ensure what a stream looks like, to the byte: its header, its beginning, an event, a comment after 15 seconds,
// and its end with the server's.
func TestStream(t *testing.T) {
	inLive(t, func(t *testing.T, l *live) {
		agent := l.site().register("agent")
		s := l.listen(t, agent.key, "")
		if h := s.head.Header; s.head.StatusCode != 200 || h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" ||
			h.Get("X-Accel-Buffering") != "no" || h.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%d %v", s.head.StatusCode, h)
		}
		if got := s.block(); got != "retry: 2000\nid: 1\n\n" {
			t.Errorf("it begins with %q", got)
		}
		ref := agent.create(`{"intent":"Check <the> door","big":12345678901234567890123}`)
		shape := func(block string) string {
			block = idsRE.ReplaceAllString(timesRE.ReplaceAllString(block, "TIME"), `"event_id":"ID"`)
			return strings.ReplaceAll(block, ref, "REF")
		}
		for _, want := range []string{
			"id: 2\nevent: thread_created\n" + `data: {"event_id":"ID","seq":2,"ts":TIME,"exchange_id":"home","thread_ref":"REF","event_type":"thread_created","actor_id":"agent",` +
				`"payload":{"intent":"Check <the> door","context":[],"priority":"normal","requestor_id":"agent","response_hint":[]}}` + "\n\n",
			"id: 3\nevent: message_added\n" + `data: {"event_id":"ID","seq":3,"ts":TIME,"exchange_id":"home","thread_ref":"REF","event_type":"message_added","actor_id":"agent",` +
				`"payload":{"mess":[{"request":{"intent":"Check <the> door","big":12345678901234567890123}}]}}` + "\n\n",
		} {
			if got := shape(s.block()); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		}
		begun := time.Now()
		if got := s.block(); got != ": nothing new\n\n" || time.Since(begun) != 15*time.Second {
			t.Errorf("after %s: %q", time.Since(begun), got)
		}
		waiting := l.get(t, agent.key, "/requests/"+ref+"?wait=60")
		answers := make(chan string)
		go func() {
			text, _ := hear(waiting)
			answers <- text
		}()
		synctest.Wait()
		ended := make(chan string)
		go func() { ended <- s.block() }()
		if took := l.shutdown(t); took > time.Second {
			t.Errorf("the shutdown took %s", took)
		}
		if got := <-ended; got != "" {
			t.Errorf("at its end: %q", got)
		}
		if got := <-answers; !strings.HasPrefix(got, "HTTP/1.1 200 OK") || !strings.Contains(got, `"seq":3}}`) {
			t.Errorf("the one who waited: %q", got)
		}
	})
}

// Ensure that a client that comes back goes on behind the last id that it saw, whatever its address says, and that
// a filtered stream is told how far it is.
func TestStreamResumes(t *testing.T) {
	inLive(t, func(t *testing.T, l *live) {
		agent := l.site().register("agent")
		ref := agent.create(`{"intent":"x"}`)
		agent.want(200, "PATCH", "/requests/"+ref, `{"status":"claimed"}`)
		for _, c := range []struct {
			query, last, ids string
		}{
			{"?since=0", "", "0 1 2 3 4"},
			{"?since=2", "", "2 3 4"},
			{"?since=0", "3", "3 4"},
			{"?since=4", "", "4"},
			{"", "1", "1 2 3 4"},
			{"?since=1", " ", "1 2 3 4"},
			{"?since=0&ref=" + ref, "", "0 2 3 4"},
			{"?since=0&status=claimed", "", "0 4"},
			{"?since=0&status=pending", "", "0 2 4"}, // the 4 is that of the comment
		} {
			s := l.listen(t, agent.key, c.query, "Last-Event-ID: "+c.last)
			for _, want := range strings.Fields(c.ids) {
				block := s.block()
				if !strings.Contains(block, "id: "+want+"\n") {
					t.Errorf("%s %q: got %q, want id %s", c.query, c.last, block, want)
				}
			}
			s.Close()
		}
	})
}

// Ensure that a client that reads nothing is cut off, that nobody else waits for it, and that it can go on where
// it was.
func TestSlowReaderIsCut(t *testing.T) {
	inLive(t, func(t *testing.T, l *live) {
		agent := l.site().register("agent")
		slow, quick := l.listen(t, agent.key, ""), l.listen(t, agent.key, "")
		slow.block()
		quick.block()
		ref := agent.create(`{"intent":"x"}`)
		synctest.Wait() // the slow one's event can't be written: nobody reads
		begun := time.Now()
		quick.block()
		if got := quick.block(); !strings.HasPrefix(got, "id: 3\n") || time.Since(begun) != 0 {
			t.Errorf("the quick one heard %q after %s", got, time.Since(begun))
		}
		time.Sleep(streamTime + time.Second)
		if _, err := slow.Conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the slow one is still connected: %v", err)
		}
		agent.want(200, "PATCH", "/requests/"+ref, `{"status":"claimed"}`)
		if got := quick.block(); !strings.HasPrefix(got, "id: 4\n") {
			t.Errorf("the quick one heard %q", got)
		}
		again := l.listen(t, agent.key, "", "Last-Event-ID: 1")
		again.block()
		if got := again.block(); !strings.HasPrefix(got, "id: 2\n") {
			t.Errorf("afterwards: %q", got)
		}
	})
}

// Ensure that a stream ends with its key, without a word, and that coming back is 401.
func TestStreamEndsWithItsKey(t *testing.T) {
	inLive(t, func(t *testing.T, l *live) {
		agent, phone := l.site().register("agent"), l.site().register("phone")
		s := l.listen(t, phone.key, "")
		s.block()
		phone.want(200, "POST", "/executors/phone/key", "")
		agent.create(`{"intent":"secret"}`)
		if got := s.block(); got != "" {
			t.Errorf("it heard %q", got)
		}
		if got := l.listen(t, phone.key, ""); got.head.StatusCode != 401 {
			t.Errorf("coming back: %d", got.head.StatusCode)
		}
	})
}

// Ensure that who asks for JSON gets pages that follow each other.
func TestEventPages(t *testing.T) {
	agent := newSite(t).at("home").register("agent")
	for range 5 {
		agent.create(`{"intent":"x"}`)
	}
	type page struct {
		Events []struct{ Seq int64 }
		Next   int64
		More   bool
	}
	read := func(query string) (p page) {
		t.Helper()
		got := agent.want(200, "GET", "/events"+query, "", "Accept", "application/json")
		if err := json.Unmarshal(got.body, &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	seq := int64(0)
	for p := (page{More: true}); p.More; {
		p = read(fmt.Sprintf("?since=%d&limit=4", seq))
		for _, e := range p.Events {
			if seq++; e.Seq != seq {
				t.Fatalf("event %d follows %d", e.Seq, seq-1)
			}
		}
		if p.Next != seq || p.More != (seq < 11) {
			t.Errorf("%+v", p)
		}
	}
	if got := agent.want(200, "GET", "/events", "", "Accept", "application/json"); string(got.body) != `{"events":[],"next":11,"more":false}`+"\n" {
		t.Errorf("%s", got.body)
	}
	if p := read("?since=0&status=pending"); len(p.Events) != 5 || p.Next != 11 {
		t.Errorf("%+v", p)
	}
	for accept, json := range map[string]bool{
		"": false, "*/*": false, "text/event-stream": false, "application/json": true, "text/html, application/json;q=0.5": true,
		"application/json, text/event-stream": false, "application/json, text/event-stream;q=0.5": true, "application/json;q=0": false,
		"APPLICATION/JSON": true, "x/y;;, application/json": true,
	} {
		if got := prefersJSON([]string{accept}); got != json {
			t.Errorf("%q: %v", accept, got)
		}
	}
}

// Ensure that whatever is wrong with a question for events, or for a change of a thread, is said in one sentence,
// and that HEAD has an end.
func TestLiveRefusals(t *testing.T) {
	agent := newSite(t).at("home").register("agent")
	ref := agent.create(`{"intent":"x"}`)
	const badWait = "wait: must be a duration such as 30s, or a number of seconds, from 0 to 60 seconds"
	for _, c := range []struct {
		path, last string
		status     int
		sentence   string
	}{
		{"/events?since=-1", "", 400, "since: must be at least 0"},
		{"/events?since=x", "", 400, "since: must be a whole number"},
		{"/events?since=1.5", "", 400, "since: must be a whole number"},
		{"/events?since=9", "", 400, "since: there is no event 9 yet; the last one is 3"},
		{"/events?since=99999999999999999999", "", 400, "since: must be a whole number"},
		{"/events?since=1&since=2", "", 400, "since: is given twice"},
		{"/events?limit=0", "", 400, "limit: must be at least 1"},
		{"/events?limit=1001", "", 400, "limit: must be at most 1000"},
		{"/events?ref=", "", 400, "ref: must not be empty"},
		{"/events?ref=2026-02-01-NONE", "", 404, "Thread not found"},
		{"/events?status=delegated", "", 400, "status: must be one of "},
		{"/events", "x", 400, "Last-Event-ID: must be the id of an event, a whole number from 0 on"},
		{"/events", "-1", 400, "Last-Event-ID: must be the id of an event, a whole number from 0 on"},
		{"/events", "9", 400, "since: there is no event 9 yet; the last one is 3"},
		{"/requests/" + ref + "?wait=61", "", 400, badWait},
		{"/requests/" + ref + "?wait=2m", "", 400, badWait},
		{"/requests/" + ref + "?wait=-1s", "", 400, badWait},
		{"/requests/" + ref + "?wait=soon", "", 400, badWait},
		{"/requests/" + ref + "?wait=", "", 400, badWait},
		{"/requests/" + ref + "?wait=1m2", "", 400, badWait},
		{"/requests/" + ref + "?wait=NaN", "", 400, badWait},
		{"/requests/" + ref + "?wait=1e400", "", 400, badWait},
		{"/requests/" + ref + "?wait=1&since=-1", "", 400, "since: must be at least 0"},
		{"/requests/" + ref + "?since=x", "", 400, "since: must be a whole number"},
		{"/requests/2026-02-01-NONE?wait=30s", "", 404, "Thread not found"},
	} {
		got := agent.send("GET", c.path, "", "Last-Event-ID", c.last)
		if got.status != c.status || !strings.HasPrefix(got.text(t, "error"), c.sentence) {
			t.Errorf("%s %q: %d %s, want %d %s", c.path, c.last, got.status, got.body, c.status, c.sentence)
		}
	}
	for _, wait := range []string{"0", "0s", "0.001", "1ms"} {
		agent.want(200, "GET", "/requests/"+ref+"?wait="+wait, "")
	}
	if got := agent.want(200, "GET", "/requests/"+ref+"?wait=60&since=0", ""); !strings.Contains(string(got.body), `"seq":3}}`) {
		t.Errorf("%s", got.body)
	}
	if got := agent.want(200, "HEAD", "/events", ""); len(got.body) != 0 || got.header.Get("Content-Type") != streamType {
		t.Errorf("HEAD: %v %s", got.header, got.body)
	}
	if got := agent.send("OPTIONS", "/events", ""); !strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "Last-Event-ID") {
		t.Errorf("OPTIONS: %v", got.header)
	}
	agent.want(405, "POST", "/events", "{}")
	agent.as("").want(401, "GET", "/events?since=x", "")
	agent.site.at("office").as(agent.key).want(403, "GET", "/events?since=x", "")
}

// Ensure that two ids of a last event are no server's fault.
func TestTwoLastEventIDs(t *testing.T) {
	inBubble(t, willing{}, func(t *testing.T, dial func() net.Conn) {
		conn := dial()
		say(t, conn, "GET /api/v1/exchanges/home/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "+goodKey+"\r\nLast-Event-ID: 1\r\nLast-Event-ID: 2\r\n\r\n")
		if got, _ := hear(conn); !strings.HasPrefix(got, "HTTP/1.1 400 ") || !strings.Contains(got, "Last-Event-ID: is given twice") {
			t.Errorf("%s", got)
		}
	})
}

// Ensure that a fault before a stream has begun is answered as such, and one after it ends it.
func TestStreamFaults(t *testing.T) {
	broken := willing{func(context.Context) error { return errors.New("secret") }}
	got := siteOf(t, broken).at("home").as(goodKey).send("GET", "/events", "")
	if got.status != 500 || got.text(t, "code") != string(exchange.CodeInternal) || strings.Contains(string(got.body), "secret") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// Ensure that a long poll answers at once, at the change, and when its time is over, by the connection's clock.
func TestLongPoll(t *testing.T) {
	inLive(t, func(t *testing.T, l *live) {
		agent := l.site().register("agent")
		ref := agent.create(`{"intent":"x"}`)
		poll := func(query string) (seq string, took time.Duration) {
			text, took := hear(l.get(t, agent.key, "/requests/"+ref+query, "Connection: close"))
			_, seq, _ = strings.Cut(text, `],"seq":`)
			return strings.TrimRight(seq, "}\r\n0"), took
		}
		for _, c := range []struct {
			query, seq string
			took       time.Duration
		}{
			{"", "3", 0},
			{"?wait=30s&since=2", "3", 0},
			{"?wait=30s&since=3", "3", 30 * time.Second},
			{"?wait=1m", "3", time.Minute},
			{"?since=3", "3", 0},
		} {
			if seq, took := poll(c.query); seq != c.seq || took != c.took {
				t.Errorf("%q: seq %s after %s", c.query, seq, took)
			}
		}
		go func() {
			time.Sleep(20 * time.Second)
			agent.want(200, "PATCH", "/requests/"+ref, `{"status":"claimed"}`)
		}()
		if seq, took := poll("?wait=60&since=3"); seq != "4" || took != 20*time.Second {
			t.Errorf("seq %s after %s", seq, took)
		}
	})
}
