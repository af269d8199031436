package metrics

import (
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
)

const (
	// mostScrapes is how many answers to /metrics are made at once: one costs a millisecond or so, and where it is on
	// the public port anybody may ask.
	mostScrapes = 3
	// scrapeTime bounds one.
	scrapeTime = 10 * time.Second
)

// Buckets of the histograms. A GET takes some tens of microseconds, a commit a sync of a disk or a PUT, an exchange
// of a million events seconds to open.
var (
	answerBuckets  = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	storageBuckets = []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	commitBuckets  = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	eventBuckets   = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000}
	slowBuckets    = []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 300}
	lagBuckets     = []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
)

// The outcomes of a commit and of a snapshot.
const (
	stored      = "stored"
	lost        = "lost" // to another replica; decided again
	unavailable = "unavailable"
	unknown     = "unknown"
	failed      = "failed"
)

// Metrics are all metrics of a server. It is what a log's Observer is.
type Metrics struct {
	registry *prometheus.Registry
	requests *requests
	storage  *storage

	commits        map[string]prometheus.Counter // by outcome
	commitTime     prometheus.Histogram
	commitEvents   prometheus.Histogram
	commitBytes    prometheus.Counter
	openTime       map[bool]prometheus.Observer // by whether it was from a snapshot
	snapshots      map[string]prometheus.Counter
	snapshotTime   prometheus.Histogram
	replicationLag prometheus.Histogram
}

var _ eventlog.Observer = (*Metrics)(nil)

// New returns metrics of a program of that version on that type of storage. Nothing is told yet.
func New(version, storageType string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), requests: newRequests(), storage: newStorage()}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.requests, m.storage.took, m.storage.failed,
	)
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "mess_build_info", Help: "Always 1; its labels say which program this is, and on which type of storage.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version(), "storage": storageType},
	})
	build.Set(1)
	m.registry.MustRegister(build)
	m.registerLog()
	return m
}

func (m *Metrics) registerLog() {
	m.commits = m.counters("mess_commits_total", "Commits that were tried, by what became of them: stored, lost (another replica was first; decided again), unavailable (nothing was stored) or unknown.",
		"outcome", stored, lost, unavailable, unknown)
	m.commitTime = m.histogram("mess_commit_duration_seconds", "How long it took to store a commit.", commitBuckets)
	m.commitEvents = m.histogram("mess_commit_events", "How many events a stored commit has.", eventBuckets)
	m.commitBytes = prometheus.NewCounter(prometheus.CounterOpts{Name: "mess_commit_bytes_total", Help: "Bytes of stored commits: what the log grows by."})
	opened := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "mess_exchange_open_duration_seconds", Help: "How long it took to open an exchange, from a snapshot and what came behind it or from its whole log.", Buckets: slowBuckets,
	}, []string{"from"})
	m.openTime = map[bool]prometheus.Observer{true: opened.WithLabelValues("snapshot"), false: opened.WithLabelValues("log")}
	m.snapshots = m.counters("mess_snapshots_total", "Snapshots that were written, or could not be; one that failed costs a longer start.", "outcome", stored, failed)
	m.snapshotTime = m.histogram("mess_snapshot_duration_seconds", "How long it took to make and write a snapshot.", slowBuckets)
	m.replicationLag = m.histogram("mess_replication_lag_seconds", "How old the last event of another replica's commit was when it was applied here, by the clock of the store, whose dates have whole seconds.", lagBuckets)
	m.registry.MustRegister(m.commitBytes, opened)
}

// counters registers a counter for each of the values that its only label has.
func (m *Metrics) counters(name, help, label string, values ...string) map[string]prometheus.Counter {
	vector := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	m.registry.MustRegister(vector)
	all := map[string]prometheus.Counter{}
	for _, value := range values {
		all[value] = vector.WithLabelValues(value)
	}
	return all
}

func (m *Metrics) histogram(name, help string, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	m.registry.MustRegister(h)
	return h
}

// Opened implements eventlog.Observer.
func (m *Metrics) Opened(took time.Duration, fromSnapshot bool) {
	m.openTime[fromSnapshot].Observe(took.Seconds())
}

// Committed implements eventlog.Observer. Of a log that was closed meanwhile there is nothing to count.
func (m *Metrics) Committed(events, bytes int, took time.Duration, err error) {
	switch {
	case err == nil:
		m.commits[stored].Inc()
		m.commitTime.Observe(took.Seconds())
		m.commitEvents.Observe(float64(events))
		m.commitBytes.Add(float64(bytes))
	case errors.Is(err, eventlog.ErrLost):
		m.commits[lost].Inc()
	case errors.Is(err, eventlog.ErrUnavailable):
		m.commits[unavailable].Inc()
	case errors.Is(err, eventlog.ErrOutcomeUnknown):
		m.commits[unknown].Inc()
	}
}

// Met implements eventlog.Observer.
func (m *Metrics) Met(age time.Duration) { m.replicationLag.Observe(age.Seconds()) }

// Saved implements eventlog.Observer.
func (m *Metrics) Saved(took time.Duration, err error) {
	if err != nil {
		m.snapshots[failed].Inc()
		return
	}
	m.snapshots[stored].Inc()
	m.snapshotTime.Observe(took.Seconds())
}

// WatchEngine has an engine asked at each scrape for what it holds.
func (m *Metrics) WatchEngine(stats func() engine.Stats) {
	m.registry.MustRegister(newGauges(stats))
}

// WatchConnections has the number of open connections asked for at each scrape; limit is how many there may be.
func (m *Metrics) WatchConnections(open func() int, limit int) {
	m.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mess_http_connections_open", Help: "Open connections."}, func() float64 { return float64(open()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "mess_http_connections_limit", Help: "Connections that may be open at once (MAX_CONNECTIONS)."}, func() float64 { return float64(limit) }),
	)
}

// Handler answers with all metrics, to a few at once; one more is 503.
func (m *Metrics) Handler(logger *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
		MaxRequestsInFlight: mostScrapes, Timeout: scrapeTime,
	})
}
