package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mess-exchange/mess-exchange/internal/bucket"
)

// storage is what is told of the calls of a storage.
type storage struct {
	took     *prometheus.HistogramVec
	failed   *prometheus.CounterVec
	times    map[bucket.Operation]prometheus.Observer
	failures map[bucket.Operation]map[bucket.Failure]prometheus.Counter
}

func newStorage() *storage {
	s := &storage{
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mess_storage_request_duration_seconds", Buckets: storageBuckets,
			Help: "How long a call of the storage took; of S3 with the SDK's repetitions, up to the first byte of the answer.",
		}, []string{"operation"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mess_storage_errors_total",
			Help: "Calls of the storage that failed: full, refused (certainly not done), timeout, unreachable, unknown (whether it was done) or fatal (the server stops). That an object exists, or does not, is an answer.",
		}, []string{"operation", "kind"}),
		times:    map[bucket.Operation]prometheus.Observer{},
		failures: map[bucket.Operation]map[bucket.Failure]prometheus.Counter{},
	}
	for _, op := range bucket.Operations {
		s.times[op] = s.took.WithLabelValues(string(op))
		s.failures[op] = map[bucket.Failure]prometheus.Counter{}
		for _, kind := range bucket.Failures {
			s.failures[op][kind] = s.failed.WithLabelValues(string(op), string(kind))
		}
	}
	return s
}

// Storage is told of a call of the storage. It is bucket.Observe.
func (m *Metrics) Storage(operation bucket.Operation, took time.Duration, failure bucket.Failure) {
	m.storage.times[operation].Observe(took.Seconds())
	if failure != "" {
		m.storage.failures[operation][failure].Inc()
	}
}

var _ bucket.Observe = (*Metrics)(nil).Storage
