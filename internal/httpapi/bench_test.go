package httpapi

import (
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/gen/server"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// The benchmarks behind the choices that doc.go names.

const smallBody = `{"intent":"Check if the garage door is closed","context":["Getting ready for bed","The door has been stuck twice this week, look at the rail"],` +
	`"priority":"normal","note":{"a":[1,2,3.50,true,null],"b":"text with é and \n escape"},"response_hint":["image"]}`

var bigBody = `{"status":"completed","mess":[{"response":{"content":["ok",{"image":"data:image/png;base64,` + strings.Repeat("iVBORw0KGgo", 95_000) + `"}]}}]}`

func BenchmarkBody(b *testing.B) {
	for name, text := range map[string]string{"300B": smallBody, "1MB": bigBody} {
		b.Run(name+"/checked", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := parseBody([]byte(text)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/json.Unmarshal", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				var v any
				if err := json.Unmarshal([]byte(text), &v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkList(b *testing.B) {
	threads := slices.Repeat([]exchange.Thread{someThread("2026-02-01-XY1Z").Thread}, 100)
	b.Run("appended", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			appendThreads(nil, threads, "")
		}
	})
	b.Run("models", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			list := server.ThreadList{Threads: make([]server.ThreadSummary, 0, len(threads))}
			for _, t := range threads {
				list.Threads = append(list.Threads, server.ThreadSummary{
					Ref: t.Ref, Status: server.Status(t.Status), Intent: t.Intent, RequestorID: t.Requestor,
					Priority: server.Priority(t.Priority), CreatedAt: t.CreatedAt.UTC(), UpdatedAt: t.UpdatedAt.UTC(),
				})
			}
			if _, err := json.Marshal(list); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRequest is everything but the engine and the network.
func BenchmarkRequest(b *testing.B) {
	handler := New(willing{}, Options{})
	for _, c := range []struct{ name, method, path, body, key string }{
		{"get", "GET", "/requests/2026-02-01-XY1Z", "", ""},
		{"list", "GET", "/requests?status=pending&limit=10", "", ""},
		{"create", "POST", "/requests", smallBody, ""},
		{"createWithKey", "POST", "/requests", smallBody, "6f1d3c52-8a0e-4b77-9c1b-2f6f0f1f7a55"},
		{"complete1MB", "PATCH", "/requests/2026-02-01-XY1Z", bigBody, ""},
		{"complete1MBWithKey", "PATCH", "/requests/2026-02-01-XY1Z", bigBody, "6f1d3c52-8a0e-4b77-9c1b-2f6f0f1f7a55"},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest(c.method, "/api/v1/exchanges/home"+c.path, strings.NewReader(c.body))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", "Bearer "+goodKey)
				if c.key != "" {
					r.Header.Set(idempotencyHeader, c.key)
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code >= 400 {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
