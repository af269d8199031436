//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// mostPlaces is how many servers with a bucket of their own one wrangler has. Where they have all been used, another
// wrangler begins, with empty ones.
const mostPlaces = 128

// placesUsed counts those that were given to tests.
var placesUsed atomic.Int64

// onR2 returns a new, empty R2 bucket of this machine. data is where a copy of its objects is put.
func onR2(tb testing.TB) storage {
	place := strconv.FormatInt(placesUsed.Add(1)-1, 10)
	return storage{r2: true, data: filepath.Join(tb.TempDir(), "data"), settings: []string{"STORAGE_TYPE=r2", "STORAGE_PLACE=" + place}}
}

// setting returns a setting from a list, the last of that name.
func setting(settings []string, name string) (value string) {
	for _, s := range settings {
		if v, ok := strings.CutPrefix(s, name+"="); ok {
			value = v
		}
	}
	return value
}

// launchWorker begins a server: the program in a Durable Object of a running wrangler, at an address of its own.
func launchWorker(settings []string) (*server, error) {
	w, place, err := wranglerOf(settings)
	if err != nil {
		return nil, err
	}
	cable, err := newCable(w.addr)
	if err != nil {
		return nil, err
	}
	s := &server{addr: cable.addr, url: "http://" + cable.addr, settings: settings, process: w.process, log: w.log, exited: make(chan struct{}), worker: true}
	s.cut = sync.OnceFunc(func() {
		cable.cut()
		_, _ = w.door("end/"+place, []byte{}) // it fails where wrangler itself was killed
		close(s.exited)
	})
	vars := map[string]string{}
	for _, s := range settings {
		if name, value, _ := strings.Cut(s, "="); !strings.HasPrefix(name, "STORAGE_") {
			vars[name] = value
		}
	}
	begin, err := json.Marshal(map[string]any{"host": cable.addr, "vars": vars})
	if err == nil {
		_, err = w.door("begin/"+place, begin)
	}
	if err == nil {
		_, err = fetch(s.url + "/health") // the program begins with the first request
	}
	if err != nil {
		s.cut()
		return nil, fmt.Errorf("the Worker does not answer: %w\n%s", err, s.log.tail(20))
	}
	return s, nil
}

// cable leads from an address of its own to wrangler's, byte by byte. It can be cut: a process that is killed leaves its
// clients the same.
type cable struct {
	addr     string
	listener net.Listener

	mu    sync.Mutex
	ended bool
	conns map[net.Conn]bool
}

func newCable(to string) (*cable, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &cable{addr: listener.Addr().String(), listener: listener, conns: map[net.Conn]bool{}}
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			go l.carry(near, to)
		}
	}()
	return l, nil
}

// carry carries one connection. What one end has said all of, the other is told the end of.
func (l *cable) carry(near net.Conn, to string) {
	defer l.drop(near)
	if !l.keep(near) {
		return
	}
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer l.drop(far)
	if !l.keep(far) {
		return
	}
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(far, near)
		_ = far.(*net.TCPConn).CloseWrite()
	})
	_, _ = io.Copy(near, far)
	_ = near.Close()
	up.Wait()
}

func (l *cable) keep(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = true
	return !l.ended
}

func (l *cable) drop(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	_ = c.Close()
}

func (l *cable) cut() {
	_ = l.listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	for c := range l.conns {
		_ = c.Close()
	}
}

// copyObjects puts a copy of all objects of a bucket into a folder, in the place of what is there.
func copyObjects(settings []string, folder string) error {
	w, place, err := wranglerOf(settings)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	for cursor, more := "", true; more; more = cursor != "" {
		listed, err := w.door("objects/"+place+"/?cursor="+url.QueryEscape(cursor), nil)
		if err != nil {
			return err
		}
		var page struct {
			Keys   []string
			Cursor string
		}
		if err := json.Unmarshal(listed, &page); err != nil {
			return err
		}
		for _, key := range page.Keys {
			data, err := w.door("objects/"+place+"/"+url.PathEscape(key), nil)
			if err != nil {
				return err
			}
			file := filepath.Join(folder, filepath.FromSlash(key))
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, data, 0o644)); err != nil {
				return err
			}
		}
		cursor = page.Cursor
	}
	return nil
}

// putObjects puts objects into a bucket on which no server runs.
func putObjects(settings []string, objects map[string][]byte) error {
	w, place, err := wranglerOf(settings)
	if err != nil {
		return err
	}
	for key, data := range objects {
		req, err := http.NewRequest(http.MethodPut, w.url("objects/"+place+"/"+url.PathEscape(key)), bytes.NewReader(data))
		if err != nil {
			return err
		}
		if _, err := answerTo(doorClient.Do(req)); err != nil {
			return err
		}
	}
	return nil
}

// door asks what test/server.mjs has beside the Worker; without a body (nil) by a GET.
func (w *wrangler) door(path string, body []byte) ([]byte, error) {
	if body == nil {
		return fetch(w.url(path))
	}
	return answerTo(doorClient.Post(w.url(path), "application/json", bytes.NewReader(body)))
}

func (w *wrangler) url(path string) string { return "http://" + w.addr + "/-test/" + path }

func fetch(address string) ([]byte, error) { return answerTo(doorClient.Get(address)) }

// doorClient gives up on what is not answered, so that a test fails in the place of waiting for good.
var doorClient = &http.Client{Timeout: time.Minute}

// answerTo reads an answer that must be 200.
func answerTo(res *http.Response, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.200s", res.Request.URL, res.Status, data)
	}
	return data, err
}
