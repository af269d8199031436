package settings

import (
	"log/slog"
	"strings"
	"testing"
)

func TestAttachmentMax(t *testing.T) {
	for text, want := range map[string]int64{"1": 1 << 20, "25": 25 << 20, "4096": 4096 << 20, "0": 0, "4097": 0, "-1": 0, "": 0, "25M": 0} {
		got, err := AttachmentMax(text)
		if got != want || (err == nil) != (want > 0) || err != nil && !strings.HasPrefix(err.Error(), "ATTACHMENT_MAX: ") {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestLevel(t *testing.T) {
	for text, want := range map[string]slog.Level{"debug": slog.LevelDebug, "Info": slog.LevelInfo, "WARN": slog.LevelWarn, "error": slog.LevelError} {
		if got, err := Level(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if _, err := Level("loud"); err == nil || !strings.HasPrefix(err.Error(), "LOG_LEVEL: ") {
		t.Errorf("a level that is none: %v", err)
	}
}
