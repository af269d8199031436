package exchange_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// imported adds a thread that is not there yet, with all its messages in one place.
func (m *model) imported(f fact, ts time.Time) {
	if _, known := m.threads[f.Thread]; known || f.Thread == "" {
		return
	}
	t := exchange.Thread{
		Ref: f.Thread, Status: f.status, Intent: f.intent, Requestor: f.requestor, StatusBy: f.requestor, Executor: f.executor, Priority: f.priority,
		CreatedAt: f.created, UpdatedAt: ts, Seq: f.Seq, Messages: f.said,
	}
	if t.Priority == "" {
		t.Priority = "normal"
	}
	switch {
	case t.Status == "" || t.Status == "delegated" || t.Status == "pending":
		t.Status, t.Executor = "pending", ""
	case t.Status != "cancelled" && !strings.HasPrefix(t.Status, "odd") && t.Executor != "":
		t.StatusBy = t.Executor
	}
	m.threads[t.Ref], m.changed[t.Ref], m.imports[t.Ref] = t, m.events, f.At
	for range f.said {
		m.messages[t.Ref] = append(m.messages[t.Ref], f.At)
	}
	if f.said > 0 && !strings.Contains("completed cancelled", t.Status) {
		m.terms[t.Ref] = f.terms
	}
}

// checkPast holds what only a state that is no fork knows.
func (m *model) checkPast(t *testing.T, s *exchange.State, ref string) {
	t.Helper()
	if s.IsFork() {
		return
	}
	if got := s.History(ref); !slices.Equal(got, m.history[ref]) {
		t.Fatalf("history of %s: got %v, want %v", ref, got, m.history[ref])
	}
	at, imported := m.imports[ref]
	if got, ok := s.Imported(ref); ok != imported || got != at {
		t.Fatalf("%s was imported at %x (%v), want %x (%v)", ref, got, ok, at, imported)
	}
}
