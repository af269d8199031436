package httpapi

import (
	"log/slog"
	"net/http"
	"time"
)

// What a client may take of the server.
const (
	// maxBody is promised by the protocol: a photograph or two as data: URIs, and an event line that
	// still fits the log's limit of 15 MiB.
	maxBody = 10 << 20
	// freeBody is up to where a body does not count for maxBodies (memory.go): connections are bounded, and those
	// fit in what one costs anyway.
	freeBody = 64 << 10
	// maxDepth of objects and lists inside each other. Readers of the log recurse; the log allows 100.
	maxDepth = 100

	// headerTime is for the header to arrive, so that a connection costs little until it asks something.
	headerTime = 5 * time.Second
	// bodyTime is for the body to arrive: 10 MiB at 1.5 Mbit/s.
	bodyTime = 60 * time.Second
	// DefaultAttachmentMax is for a photo of a phone, uncompressed, or half a minute of video. uploadStall is how
	// long an upload may bring nothing, uploadTime how long all of it may take: 25 MiB at 230 kbit/s.
	DefaultAttachmentMax = 25 << 20
	uploadStall          = 30 * time.Second
	uploadTime           = 15 * time.Minute
	// formOverhead is what a form may have around its file.
	formOverhead = 64 << 10
	// idleTime is how long a connection is kept for a further request. Above the 60 s of usual proxies,
	// so that these close first and never meet a closing server.
	idleTime = 120 * time.Second
	// writeTime is for a client to take each writeChunk of an answer.
	writeTime  = 60 * time.Second
	writeChunk = 256 << 10

	// A client that sends all of its body before it reads sees no answer if the connection is cut
	// under it. So after a refusal the rest of the body is taken and thrown away, for that long at most
	// and up to that many bytes in all.
	// At least lingerLeast are taken, of an upload that was too long.
	lingerTime  = 2 * time.Second
	lingerBody  = 16 << 20
	lingerLeast = 4 << 20
)

// Server returns a server for the handler with the limits of this package. The rest of its time-outs
// are set by the handler for each request, because an answer may have to wait for an event longer
// than any body may take. What net/http itself complains of, such as too many open files, is logged
// as a warning.
func Server(h http.Handler, logger *slog.Logger) *http.Server {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		// A key of any length is answered 401, so headers keep the default of 1 MiB.
		MaxHeaderBytes: http.DefaultMaxHeaderBytes,
		ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}
