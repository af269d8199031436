package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// bare is the yardstick: net/http, answers to reads that lie ready, and group commit to durable files. It
// checks the key and that there is an intent or a status, and knows no rules.
type bare struct {
	root, folder string
	thread, list []byte // the answers to reads, as our server gave them

	mu    sync.Mutex
	queue []waiting
	wake  chan struct{}
}

type waiting struct {
	line   []byte
	stored chan error
}

const (
	bareKey = "mess_" + exchangeID + "_0123456789abcdef0123456789abcdef"

	readyThread = "ready-thread.json"
	readyList   = "ready-list.json"
)

// startBare starts this program again as the bare server, with the answers of ours to give.
func startBare(ours *target) (_ *target, err error) {
	p, err := newPlace()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.remove()
		}
	}()
	p.key, p.old = bareKey, ours.old
	c, err := ours.dial()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for name, path := range map[string]string{readyThread: api + "/requests/" + ours.newest(0), readyList: listPath} {
		data, err := c.do("GET", path, "", http.StatusOK)
		if err == nil {
			err = os.WriteFile(filepath.Join(p.dir, name), data, 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("make an answer ready: %w", err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return start(p, self, "bare", p.dir)
}

func serveBare(dir string) error {
	b := &bare{root: dir, folder: filepath.Join(dir, "events"), wake: make(chan struct{}, 1)}
	if err := os.MkdirAll(b.folder, 0o700); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	var err error
	if b.thread, err = os.ReadFile(filepath.Join(dir, readyThread)); err == nil {
		b.list, err = os.ReadFile(filepath.Join(dir, readyList))
	}
	if err != nil {
		return fmt.Errorf("read the ready answers: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	go b.commitLoop()
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+api+"/requests", b.create)
	mux.HandleFunc("PATCH "+api+"/requests/{ref}", b.update)
	mux.HandleFunc("GET "+api+"/requests/{ref}", func(w http.ResponseWriter, r *http.Request) { b.ready(w, r, b.thread) })
	mux.HandleFunc("GET "+api+"/requests", func(w http.ResponseWriter, r *http.Request) { b.ready(w, r, b.list) })
	fmt.Fprintln(os.Stderr, "listening on", l.Addr())
	return http.Serve(l, mux)
}

func (b *bare) commitLoop() {
	for n := 0; ; n++ {
		<-b.wake
		b.mu.Lock()
		queue := b.queue
		b.queue = nil
		b.mu.Unlock()
		if len(queue) == 0 {
			continue
		}
		var data []byte
		for _, w := range queue {
			data = append(data, w.line...)
		}
		err := durable(b.root, b.folder, fmt.Sprintf("%09d.jsonl", n), data)
		for _, w := range queue {
			w.stored <- err
		}
	}
}

func (b *bare) commit(line []byte) error {
	w := waiting{line: line, stored: make(chan error, 1)}
	b.mu.Lock()
	b.queue = append(b.queue, w)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return <-w.stored
}

// admits checks the key.
func (b *bare) admits(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("Authorization") != "Bearer "+bareKey {
		w.WriteHeader(http.StatusUnauthorized)
		return false
	}
	return true
}

func (b *bare) ready(w http.ResponseWriter, r *http.Request, text []byte) {
	if !b.admits(w, r) {
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text)
}

func (b *bare) create(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Intent   string `json:"intent"`
		Priority string `json:"priority"`
	}
	data, ok := b.take(w, r, &request)
	if !ok || request.Intent == "" {
		return
	}
	now := time.Now().UTC()
	ref := now.Format("2006-01-02-") + rand.Text()[:8]
	b.store(w, http.StatusCreated, ref, "pending", map[string]any{
		"ref": ref, "status": "pending", "intent": request.Intent, "requestor_id": executorID, "executor_id": nil,
		"priority": request.Priority, "created_at": now, "updated_at": now,
		"messages": []any{map[string]any{"from": executorID, "ts": now, "mess": []any{map[string]any{"request": json.RawMessage(data)}}}},
	})
}

func (b *bare) update(w http.ResponseWriter, r *http.Request) {
	var request struct {
		Status string `json:"status"`
	}
	if _, ok := b.take(w, r, &request); !ok {
		return
	}
	ref := r.PathValue("ref")
	b.store(w, http.StatusOK, ref, request.Status, map[string]any{
		"ref": ref, "status": request.Status, "executor_id": executorID, "updated_at": time.Now().UTC(),
	})
}

// take reads a body into request.
func (b *bare) take(w http.ResponseWriter, r *http.Request, request any) ([]byte, bool) {
	if !b.admits(w, r) {
		return nil, false
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10<<20))
	if err == nil {
		err = json.Unmarshal(data, request)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return nil, false
	}
	return data, true
}

// store answers when the record is durable.
func (b *bare) store(w http.ResponseWriter, status int, ref, threadStatus string, record map[string]any) {
	line, err := json.Marshal(record)
	if err == nil {
		err = b.commit(append(line, '\n'))
	}
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"ref": ref, "status": threadStatus})
}
