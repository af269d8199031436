package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections are pipes, so that time can be the bubble's.
type pipes struct {
	accept chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.accept:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { close(p.closed); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// inBubble runs a server with the limits of this package on faked time; dial opens a connection.
func inBubble(t *testing.T, e Exchange, test func(t *testing.T, dial func() net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		p := pipes{make(chan net.Conn), make(chan struct{})}
		server := Server(New(e, Options{}), slog.New(slog.DiscardHandler))
		served := make(chan error)
		go func() { served <- server.Serve(p) }()
		test(t, func() net.Conn {
			ours, theirs := net.Pipe()
			p.accept <- theirs
			t.Cleanup(func() { ours.Close() })
			return ours
		})
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
}

func say(t *testing.T, conn net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Error(err)
	}
}

// hear reads all that comes until the server ends the connection, and how long that took.
func hear(conn net.Conn) (string, time.Duration) {
	begun := time.Now()
	text, _ := io.ReadAll(conn) // ends with the connection, whatever way
	return string(text), time.Since(begun).Round(time.Second)
}

const postHead = "POST /api/v1/exchanges/home/requests HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer " + goodKey + "\r\n"

// Ensure a header that does not arrive ends the connection after 5 s.
func TestSlowHeader(t *testing.T) {
	inBubble(t, willing{}, func(t *testing.T, dial func() net.Conn) {
		conn := dial()
		say(t, conn, "GET /health HTTP/1.1\r\nHost: ")
		if _, took := hear(conn); took != headerTime {
			t.Errorf("took %v", took)
		}
	})
}

// Ensure a body that does not arrive, or drips, is answered 408 after 60 s and ends the connection.
func TestSlowBody(t *testing.T) {
	for name, drip := range map[string]bool{"silence": false, "a byte a second": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, willing{}, func(t *testing.T, dial func() net.Conn) {
				conn := dial()
				say(t, conn, postHead+"Content-Length: 1000\r\n\r\n{")
				var drips sync.WaitGroup
				if drip {
					drips.Go(func() {
						var err error
						for err == nil {
							time.Sleep(time.Second)
							_, err = conn.Write([]byte(" "))
						}
					})
				}
				got, took := hear(conn)
				drips.Wait()
				if !strings.HasPrefix(got, "HTTP/1.1 408 ") || !strings.Contains(got, `"code":"timeout"`) || took != bodyTime {
					t.Errorf("after %v: %s", took, got)
				}
			})
		})
	}
}

// Ensure an answer may take longer than a body: the limit ends with the body.
func TestSlowAnswer(t *testing.T) {
	waiting := willing{func(ctx context.Context) error {
		select {
		case <-time.After(10 * time.Minute):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	inBubble(t, waiting, func(t *testing.T, dial func() net.Conn) {
		for _, request := range []string{
			postHead + "Connection: close\r\nContent-Length: 14\r\n\r\n{\"intent\":\"x\"}",
			"GET /api/v1/exchanges/home/requests HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer " + goodKey + "\r\n\r\n",
		} {
			conn := dial()
			say(t, conn, request)
			if got, took := hear(conn); !strings.HasPrefix(got, "HTTP/1.1 20") || took < 10*time.Minute {
				t.Errorf("after %v: %s", took, got)
			}
		}
	})
}

// Ensure a connection is kept between requests, for 120 s of silence.
func TestIdle(t *testing.T) {
	inBubble(t, willing{}, func(t *testing.T, dial func() net.Conn) {
		conn := dial()
		in := bufio.NewReader(conn)
		for range 3 {
			// No deadline of the answer before may cut off the "100 Continue".
			say(t, conn, postHead+"Expect: 100-continue\r\nContent-Length: 14\r\n\r\n")
			if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusContinue {
				t.Fatal(res, err)
			}
			say(t, conn, `{"intent":"x"}`)
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != 201 {
				t.Fatal(res.Status, err)
			}
			time.Sleep(idleTime - 2*time.Second)
		}
		if got, took := hear(conn); got != "" || took > 2*time.Second {
			t.Errorf("after %v: %s", took, got)
		}
	})
}

// Ensure a client that does not take its answer is cut off.
func TestSlowReader(t *testing.T) {
	inBubble(t, willing{}, func(t *testing.T, dial func() net.Conn) {
		conn := dial()
		say(t, conn, "GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n")
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(writeTime + time.Second)
		if got, took := hear(conn); len(got) > 20_000 || took > time.Second {
			t.Errorf("after %v: %d bytes", took, len(got))
		}
	})
}

// Ensure a client that announces a body and waits for the answer before it sends any gets it at once.
func TestRefusedBeforeTheBody(t *testing.T) {
	inBubble(t, willing{}, func(t *testing.T, dial func() net.Conn) {
		for head, want := range map[string]string{
			"POST /api/v1/exchanges/home/requests HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n":   "401",
			"POST /nothing HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n":                  "404",
			postHead + fmt.Sprintf("Content-Length: %d\r\n\r\n", maxBody+1):                            "413",
			postHead + fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d\r\n\r\n", maxBody+1):    "413",
			postHead + "Authorization: Bearer x\r\nExpect: 100-continue\r\nContent-Length: 99\r\n\r\n": "401",
			"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n":                           "405",
		} {
			conn := dial()
			begun := time.Now()
			say(t, conn, head)
			in := bufio.NewReader(conn)
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(res.Status, want) || !res.Close || time.Since(begun) > 0 {
				t.Errorf("after %v: %s, close %v, want %s", time.Since(begun), res.Status, res.Close, want)
			}
			_, _ = io.Copy(io.Discard, in)
			patience := lingerTime + time.Second
			if strings.Contains(head, "Expect") {
				patience = time.Second
			}
			if took := time.Since(begun); took > patience {
				t.Errorf("%.40s: the connection was kept for %v", head, took)
			}
		}
	})
}

// Ensure clients that send everything before they read see why they were refused, over real sockets.
func TestSendersReadTheRefusal(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	server.Config = Server(New(willing{}, Options{}), nil)
	server.Start()
	t.Cleanup(server.Close)
	body := bytes.Repeat([]byte(" "), maxBody+2<<20)
	for head, want := range map[string]string{
		postHead: "413",
		"POST /api/v1/exchanges/home/requests HTTP/1.1\r\nHost: x\r\n":                            "401",
		"POST /api/v1/exchanges/home/requests HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n": "401",
	} {
		for _, framing := range []string{fmt.Sprintf("Content-Length: %d\r\n\r\n", len(body)), fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n", len(body))} {
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
				t.Fatal(err)
			}
			say(t, conn, head+framing)
			if _, err := conn.Write(body); err != nil {
				t.Errorf("%.20q: the connection was cut while sending: %v", framing, err)
			}
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Errorf("%.20q: no answer: %v", framing, err)
			} else if !strings.HasPrefix(res.Status, want) {
				t.Errorf("%.20q: got %s, want %s", framing, res.Status, want)
			}
			conn.Close()
		}
	}
}

// Ensure a body that breaks off is a mistake of its sender, and one that is cut by its sender's end of
// chunks too.
func TestBrokenBodies(t *testing.T) {
	s := siteOf(t, willing{})
	for name, c := range map[string]struct {
		err    error
		status int
	}{
		"cut off":  {io.ErrUnexpectedEOF, 400},
		"chunking": {errors.New("invalid byte in chunk length"), 400},
		"too slow": {fmt.Errorf("read tcp: %w", os.ErrDeadlineExceeded), 408},
	} {
		r := httptest.NewRequest("POST", "/api/v1/exchanges/home/requests", io.MultiReader(strings.NewReader(`{"intent":`), failing{c.err}))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+goodKey)
		if got := s.serve(r); got.status != c.status {
			t.Errorf("%s: got %d %s, want %d", name, got.status, got.body, c.status)
		}
	}
}

// Ensure a body whose length nobody announced is measured as it comes.
func TestUnannouncedLength(t *testing.T) {
	s := siteOf(t, willing{})
	for length, status := range map[int]int{maxBody - 1: 201, maxBody: 201, maxBody + 1: 413} {
		text := `{"intent":"x"}`
		r := httptest.NewRequest("POST", "/api/v1/exchanges/home/requests", io.MultiReader(strings.NewReader(text), strings.NewReader(strings.Repeat(" ", length-len(text)))))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+goodKey)
		if got := s.serve(r); got.status != status || r.ContentLength != -1 {
			t.Errorf("%d bytes: got %d %s, want %d", length, got.status, got.body, status)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Ensure that the bodies in memory are bounded together: one too many is told to come back, small requests are
// served all the same, and the room is free again when the others end.
func TestBodiesInMemoryAreBounded(t *testing.T) {
	release, arrived := make(chan struct{}), make(chan struct{}, 64)
	h := New(willing{called: func(context.Context) error {
		arrived <- struct{}{}
		<-release
		return nil
	}}, Options{})
	post := func(size int) int {
		text := append([]byte(`{"intent":"x","context":["`), bytes.Repeat([]byte("y"), size)...)
		r := httptest.NewRequest("POST", "/api/v1/exchanges/home/requests", bytes.NewReader(append(text, `"]}`...)))
		r.Header.Set("Authorization", "Bearer "+goodKey)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == http.StatusServiceUnavailable && (w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "large requests")) {
			t.Errorf("%v %s", w.Header(), w.Body)
		}
		return w.Code
	}
	large := maxBody - 100
	held := maxBodies / large
	var calls sync.WaitGroup
	for range held {
		calls.Go(func() {
			if status := post(large); status != http.StatusCreated {
				t.Errorf("got %d within the limit", status)
			}
		})
	}
	for range held {
		<-arrived
	}
	if status := post(large); status != http.StatusServiceUnavailable {
		t.Errorf("got %d above the limit", status)
	}
	calls.Go(func() {
		if status := post(100); status != http.StatusCreated {
			t.Errorf("got %d for a small one", status)
		}
	})
	<-arrived
	close(release)
	calls.Wait()
	if status := post(large); status != http.StatusCreated {
		t.Errorf("got %d when all had ended", status)
	}
}
