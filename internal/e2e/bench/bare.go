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

// bare is the yardstick: net/http, a map, and group commit to durable files. It checks the key and that
// there is an intent, and knows no rules.
type bare struct {
	root, folder string

	mu      sync.Mutex
	threads map[string][]byte
	newest  []json.RawMessage // without messages, as lists show them
	queue   []waiting
	wake    chan struct{}
}

type waiting struct {
	line   []byte
	stored chan error
}

const bareKey = "mess_home_0123456789abcdef0123456789abcdef"

func serveBare(dir string) error {
	b := &bare{root: dir, folder: filepath.Join(dir, "events"), threads: map[string][]byte{}, wake: make(chan struct{}, 1)}
	if err := os.MkdirAll(b.folder, 0o700); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	go b.commitLoop()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/exchanges/home/register", b.register)
	mux.HandleFunc("POST /api/v1/exchanges/home/requests", b.create)
	mux.HandleFunc("GET /api/v1/exchanges/home/requests/{ref}", b.get)
	mux.HandleFunc("GET /api/v1/exchanges/home/requests", b.list)
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

func (b *bare) register(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusCreated, map[string]string{"api_key": bareKey})
}

func (b *bare) create(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+bareKey {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10<<20))
	var request struct {
		Intent   string `json:"intent"`
		Priority string `json:"priority"`
	}
	if err == nil {
		err = json.Unmarshal(data, &request)
	}
	if err != nil || request.Intent == "" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	now := time.Now().UTC()
	ref := now.Format("2006-01-02-") + rand.Text()[:8]
	thread := map[string]any{
		"ref": ref, "status": "pending", "intent": request.Intent, "requestor_id": "bench", "executor_id": nil,
		"priority": request.Priority, "created_at": now, "updated_at": now,
	}
	summary, err := json.Marshal(thread)
	thread["messages"] = []any{map[string]any{"from": "bench", "ts": now, "mess": []any{map[string]any{"request": json.RawMessage(data)}}}}
	var line []byte
	if err == nil {
		line, err = json.Marshal(thread)
	}
	if err == nil {
		err = b.commit(append(line, '\n'))
	}
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	b.mu.Lock()
	b.threads[ref] = line
	b.newest = append(b.newest, summary)
	b.mu.Unlock()
	answer(w, http.StatusCreated, map[string]string{"ref": ref, "status": "pending"})
}

func (b *bare) get(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	line, ok := b.threads[r.PathValue("ref")]
	b.mu.Unlock()
	if !ok || r.Header.Get("Authorization") != "Bearer "+bareKey {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(line)
}

func (b *bare) list(w http.ResponseWriter, r *http.Request) {
	limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
	var threads []json.RawMessage
	b.mu.Lock()
	for i := len(b.newest) - 1; i >= 0 && len(threads) < limit; i-- {
		threads = append(threads, b.newest[i])
	}
	b.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{"threads": threads})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
