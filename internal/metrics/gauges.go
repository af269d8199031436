package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mess-exchange/mess-exchange/internal/engine"
)

// gauges asks an engine once for each scrape, so that what stands in one answer belongs together.
type gauges struct {
	stats func() engine.Stats

	exchanges, waiters, uploads, bodies, headAge *prometheus.Desc
}

func newGauges(stats func() engine.Stats) *gauges {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &gauges{
		stats:     stats,
		exchanges: describe("mess_exchanges_open", "Exchanges in memory."),
		waiters:   describe("mess_waiters", "Requests that wait for something to happen: streams of events, and reads of a thread with wait.", "kind"),
		uploads:   describe("mess_uploads_in_progress", "Uploads of photos and files under way."),
		bodies:    describe("mess_cached_message_bytes", "Bytes of messages kept in memory for the next reader."),
		headAge:   describe("mess_head_age_seconds", "How long ago it was last proved of an open exchange that nothing newer is in the bucket: the longest of all. 0 on a storage that has one server."),
	}
}

// Describe implements prometheus.Collector.
func (g *gauges) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.exchanges, g.waiters, g.uploads, g.bodies, g.headAge} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gauges) Collect(to chan<- prometheus.Metric) {
	s := g.stats()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	gauge(g.exchanges, float64(s.Exchanges))
	gauge(g.waiters, float64(s.Streams), "stream")
	gauge(g.waiters, float64(s.Reads), "read")
	gauge(g.uploads, float64(s.Uploads))
	gauge(g.bodies, float64(s.Bodies))
	gauge(g.headAge, s.HeadAge.Seconds())
}
