//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

const (
	headerLimit = 5 * time.Second  // for the header of a request to arrive
	bodyLimit   = 10 << 20         // bytes of a body
	patience    = 20 * time.Second // more than the server may take for anything below
)

// dial opens a connection on which a test speaks for itself.
func dial(t *testing.T, s *server) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// closedAfter reads until the server closes the connection and returns how long that took; it fails
// the test where the server leaves it hanging.
func closedAfter(t *testing.T, conn net.Conn) (said []byte, took time.Duration) {
	t.Helper()
	begun := time.Now()
	said, err := io.ReadAll(conn)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Fatalf("the connection was left hanging for %v after %q", patience, said)
	}
	return said, time.Since(begun)
}

// TestSlowHeaders: a header that does not arrive, all at once or byte by byte, is cut.
func TestSlowHeaders(t *testing.T) {
	t.Parallel()
	s := start(t, folder(t).settings...)
	for name, drip := range map[string]bool{"silence": false, "a byte now and then": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := dial(t, s)
			if _, err := io.WriteString(conn, "POST /api/v1/exchanges/home/requests HTTP/1.1\r\nHost: x\r\nX-Slow: "); err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			defer close(done)
			if drip {
				go func() {
					for tick := time.NewTicker(300 * time.Millisecond); ; {
						select {
						case <-tick.C:
							_, _ = conn.Write([]byte("x")) // fails once the server has cut it
						case <-done:
							return
						}
					}
				}()
			}
			if said, took := closedAfter(t, conn); took > headerLimit+3*time.Second {
				t.Errorf("cut after %v (%q), want about %v", took, said, headerLimit)
			}
		})
	}
}

// TestEndlessHeader: a header without end is refused while it arrives.
func TestEndlessHeader(t *testing.T) {
	s := start(t, folder(t).settings...)
	conn := dial(t, s)
	go func() {
		_, _ = io.WriteString(conn, "GET /health HTTP/1.1\r\nHost: x\r\n")
		line := "X-Filler: " + strings.Repeat("x", 4000) + "\r\n"
		for range 64 << 20 / len(line) {
			if _, err := io.WriteString(conn, line); err != nil {
				return
			}
		}
	}()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil {
		defer res.Body.Close()
		if res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("got %s, want 431", res.Status)
		}
		return
	}
	// The reset that follows the refusal may overtake it; a time-out would not be one.
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the connection was left hanging: %v", err)
	}
}

// TestBodiesTooLarge: whatever way a body exceeds 10 MiB, and whatever the header says of it, the
// answer is 413 at once, the connection does not hang, and nothing is stored.
func TestBodiesTooLarge(t *testing.T) {
	t.Parallel()
	onEachStorage(t, func(t *testing.T, s *server) {
		agent := at(s, "home").register(t, "agent")
		head := "POST /api/v1/exchanges/home/requests HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer "

		t.Run("12 MiB", func(t *testing.T) {
			body := `{"intent":"` + strings.Repeat("x", 12<<20) + `"}`
			wantRefusal(t, "12 MiB", agent.send(t, "POST", "/requests", body), 413, "")
		})
		t.Run("12 MiB announced, none sent", func(t *testing.T) {
			conn := dial(t, s)
			fmt.Fprintf(conn, "%s%s\r\nContent-Length: %d\r\n\r\n", head, agent.key, 12<<20)
			wantStatus(t, conn, 413)
		})
		t.Run("no end", func(t *testing.T) {
			conn := dial(t, s)
			fmt.Fprintf(conn, "%s%s\r\nTransfer-Encoding: chunked\r\n\r\n", head, agent.key)
			sent := make(chan int, 1)
			go func() { sent <- endless(conn, 64<<20) }()
			wantStatus(t, conn, 413)
			if n := <-sent; n > bodyLimit+(16<<20) { // what is beyond the limit stands in the buffers of two sockets
				t.Errorf("the server took %d MiB of a body without end", n>>20)
			}
		})
		t.Run("no end and no key", func(t *testing.T) {
			conn := dial(t, s)
			fmt.Fprintf(conn, "%snone\r\nTransfer-Encoding: chunked\r\n\r\n", head)
			go endless(conn, 64<<20)
			wantStatus(t, conn, 401) // decided before the body is read
		})
		t.Run("just below", func(t *testing.T) {
			filler := strings.Repeat("x", bodyLimit-100)
			ref := agent.create(t, `{"intent":"x","filler":"`+filler+`"}`)
			agent.want(t, http.StatusOK, "PATCH", "/requests/"+ref, `{"status":"completed","mess":[{"image":"`+filler+`"}]}`)
			for i, m := range agent.thread(t, ref).Messages {
				if !bytes.Contains(m.Mess, []byte(filler)) {
					t.Errorf("message %d came back with %d bytes", i, len(m.Mess))
				}
			}
		})
		if got := len(agent.threads(t, "")); got != 1 {
			t.Errorf("the exchange holds %d threads, want the one that was small enough", got)
		}
	})
}

// endless sends a JSON text that never ends, at most limit bytes of it, and returns how many were
// taken before the server closed the connection.
func endless(conn net.Conn, limit int) (sent int) {
	text := bytes.Repeat([]byte("x"), 64<<10)
	chunk := fmt.Appendf(nil, "%x\r\n%s\r\n", len(text), text)
	if _, err := io.WriteString(conn, "b\r\n{\"intent\":\"\r\n"); err != nil {
		return 0
	}
	for sent < limit {
		n, err := conn.Write(chunk)
		sent += n
		if err != nil {
			break
		}
	}
	return sent
}

// wantStatus reads an answer and then waits for the end of the connection.
func wantStatus(t *testing.T, conn net.Conn, want int) {
	t.Helper()
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer res.Body.Close()
	if res.StatusCode != want {
		t.Errorf("got %s, want %d", res.Status, want)
	}
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		t.Errorf("reading the answer: %v", err)
	}
	var timeout net.Error
	if _, err := io.Copy(io.Discard, in); errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("the connection was left hanging after the answer")
	}
}

// TestNoByteOfARefusedRequest: a text that appears only in refused requests is nowhere in the folder.
func TestNoByteOfARefusedRequest(t *testing.T) {
	const mark = "REFUSED-4f1c"
	place := folder(t)
	s := start(t, place.settings...)
	agent := at(s, "home").register(t, "agent")
	before := eventFiles(t, place.data)
	for _, body := range []string{
		`{"intent":"` + mark + `","priority":"x"}`,
		`{"intent":"` + mark + `"} x`,
		`{"note":"` + mark + `"}`,
		`{"intent":"` + mark + strings.Repeat("x", 12<<20) + `"}`,
		`{"intent":"` + mark + `","x":` + strings.Repeat("[", 150) + strings.Repeat("]", 150) + `}`,
	} {
		if a := agent.send(t, "POST", "/requests", body); a.status < 400 || a.status > 499 {
			t.Errorf("%.60s: got %v, want a refusal", body, a)
		}
	}
	at(s, "home").send(t, "POST", "/register", `{"executor_id":"`+mark+`/x"}`)
	at(s, "home").send(t, "POST", "/register", `{"executor_id":"agent","display_name":"`+mark+`"}`)
	s.terminate(t)
	if after := eventFiles(t, place.data); len(after) != len(before) {
		t.Errorf("files: got %d, want %d", len(after), len(before))
	}
	wantNowhere(t, os.DirFS(place.data), mark)
}
