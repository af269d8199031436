package metrics

import (
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mess-exchange/mess-exchange/internal/httpapi"
)

const (
	leastStatus = 100
	mostStatus  = 599
	// cut stands for the status of a connection that was cut without an answer.
	cut = "cut"
)

// requests counts the answers of each operation by status. Its counters are an array, because a look-up by labels
// would cost each request more than all the rest that is told of it.
type requests struct {
	description *prometheus.Desc
	took        *prometheus.HistogramVec
	operations  []*operation // complete before the first request and the first scrape
}

type operation struct {
	id       string
	took     prometheus.Observer
	statuses [mostStatus - leastStatus + 2]atomic.Uint64 // the last one is cut
}

func newRequests() *requests {
	return &requests{
		description: prometheus.NewDesc("mess_http_requests_total",
			"Requests that were answered, by the operation (the operationId of the contract, or unmatched) and the status; cut: the connection was, without an answer.",
			[]string{"operation", "status"}, nil),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "mess_http_request_duration_seconds", Buckets: answerBuckets,
			Help: "How long an answer took from the request's header to the last byte given to the connection. Reads that wait for a change, and streams, are left out.",
		}, []string{"operation"}),
	}
}

// Operation returns what is to be told of the answers to one. It is httpapi.Observe.
func (m *Metrics) Operation(id string) httpapi.Answered {
	op := &operation{id: id, took: m.requests.took.WithLabelValues(id)}
	m.requests.operations = append(m.requests.operations, op)
	return op.answered
}

var _ httpapi.Observe = (*Metrics)(nil).Operation

func (o *operation) answered(status int, took time.Duration, waited bool) {
	at := status - leastStatus
	if status < leastStatus || status > mostStatus {
		at = len(o.statuses) - 1
	}
	o.statuses[at].Add(1)
	if !waited {
		o.took.Observe(took.Seconds())
	}
}

// Describe implements prometheus.Collector.
func (r *requests) Describe(to chan<- *prometheus.Desc) {
	to <- r.description
	r.took.Describe(to)
}

// Collect implements prometheus.Collector. Of each operation 200 is there from the start; other statuses are
// from their first answer on.
func (r *requests) Collect(to chan<- prometheus.Metric) {
	for _, op := range r.operations {
		for i := range op.statuses {
			n := op.statuses[i].Load()
			if n == 0 && i != 200-leastStatus {
				continue
			}
			status := strconv.Itoa(leastStatus + i)
			if i == len(op.statuses)-1 {
				status = cut
			}
			to <- prometheus.MustNewConstMetric(r.description, prometheus.CounterValue, float64(n), op.id, status)
		}
	}
	r.took.Collect(to)
}
