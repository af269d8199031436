package settings

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// mostAttachmentMax is a limit that a mistake in the unit meets. A store takes objects of 5 GiB.
const mostAttachmentMax = 4096

// AttachmentMax reads ATTACHMENT_MAX, a number of MiB, and returns it in bytes.
func AttachmentMax(text string) (int64, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 || n > mostAttachmentMax {
		return 0, fmt.Errorf("ATTACHMENT_MAX: must be a number of MiB from 1 to %d, not %q", mostAttachmentMax, text)
	}
	return int64(n) << 20, nil
}

// Level reads LOG_LEVEL.
func Level(text string) (slog.Level, error) {
	switch strings.ToLower(text) {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("LOG_LEVEL: must be debug, info, warn or error, not %q", text)
}
