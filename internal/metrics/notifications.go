package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mess-exchange/mess-exchange/internal/engine"
)

// other stands for a channel or an outcome that is not in the lists: what comes from somebody's profile must not
// make labels.
const other = "other"

var (
	channelTypes = []string{"ntfy", "slack", "google_chat", "webhook", "ifttt", "zapier", "home_assistant", "todoist", "linear", "google_tasks", other}
	deliveryEnds = []string{"delivered", "retry", "deferred", "failed", "dropped", other}
)

// Notifications are the metrics of what executors are told.
type Notifications struct {
	stats func() engine.Stats

	events, tries, lost, oldest *prometheus.Desc
	deliveries                  map[string]map[string]prometheus.Counter // by channel and outcome
}

// WatchNotifications has the outbox asked for at each scrape, and not before. What it returns is to be told of
// deliveries.
func (m *Metrics) WatchNotifications(stats func() engine.Stats) *Notifications {
	describe := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, nil, nil) }
	n := &Notifications{
		stats:  stats,
		events: describe("mess_outbox_events", "Events of which somebody is still to be told."),
		tries:  describe("mess_outbox_retries", "Deliveries that failed and are to be tried again."),
		lost:   describe("mess_outbox_lost", "Events of the open exchanges that nobody was told of because too many were waiting."),
		oldest: describe("mess_outbox_oldest_due_seconds", "How long the delivery that is due for longest has been due."),
	}
	vector := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mess_deliveries_total", Help: "Attempts to tell an executor something, by the type of the channel or hook and what became of them.",
	}, []string{"channel", "outcome"})
	n.deliveries = map[string]map[string]prometheus.Counter{}
	for _, channel := range channelTypes {
		n.deliveries[channel] = map[string]prometheus.Counter{}
		for _, outcome := range deliveryEnds {
			n.deliveries[channel][outcome] = vector.WithLabelValues(channel, outcome)
		}
	}
	m.registry.MustRegister(n, vector)
	return n
}

// Delivered is told of each attempt by whoever made it, with the type of the channel or hook and the outcome that the
// note_delivery event has. Only the replica that made it counts it.
func (n *Notifications) Delivered(channel, outcome string) {
	outcomes, ok := n.deliveries[channel]
	if !ok {
		outcomes = n.deliveries[other]
	}
	counter, ok := outcomes[outcome]
	if !ok {
		counter = outcomes[other]
	}
	counter.Inc()
}

// Describe implements prometheus.Collector.
func (n *Notifications) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{n.events, n.tries, n.lost, n.oldest} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (n *Notifications) Collect(to chan<- prometheus.Metric) {
	s := n.stats()
	o := s.Outbox
	to <- prometheus.MustNewConstMetric(n.events, prometheus.GaugeValue, float64(o.Events))
	to <- prometheus.MustNewConstMetric(n.tries, prometheus.GaugeValue, float64(o.Tries))
	to <- prometheus.MustNewConstMetric(n.lost, prometheus.GaugeValue, float64(o.Lost))
	to <- prometheus.MustNewConstMetric(n.oldest, prometheus.GaugeValue, s.OldestDue.Seconds())
}
