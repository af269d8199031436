package metrics

import (
	"slices"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Ensure that deliveries are counted where they belong, and that nobody's profile makes a label.
func TestNotifications(t *testing.T) {
	m := New("1.2.3", "filesystem")
	n := m.WatchNotifications(func() engine.Stats {
		return engine.Stats{Outbox: exchange.Outbox{Events: 3, Tries: 2, Lost: 1}, OldestDue: 90 * time.Second}
	})
	for _, told := range [][2]string{{"ntfy", "delivered"}, {"ntfy", "delivered"}, {"webhook", "retry"}, {"mess_home_abc", "failed"}, {"slack", "?"}} {
		n.Delivered(told[0], told[1])
	}
	all := gathered(t, m)
	for _, c := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{3, "mess_outbox_events", nil}, {2, "mess_outbox_retries", nil}, {1, "mess_outbox_lost", nil}, {90, "mess_outbox_oldest_due_seconds", nil},
		{2, "mess_deliveries_total", []string{"ntfy", "delivered"}}, {1, "mess_deliveries_total", []string{"webhook", "retry"}},
		{1, "mess_deliveries_total", []string{"other", "failed"}}, {1, "mess_deliveries_total", []string{"slack", "other"}},
	} {
		if got := value(t, all, c.name, c.labels...); got != c.want {
			t.Errorf("%s %v: got %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	for _, one := range all["mess_deliveries_total"].GetMetric() {
		if l := one.GetLabel(); !slices.Contains(channelTypes, l[0].GetValue()) || !slices.Contains(deliveryEnds, l[1].GetValue()) {
			t.Errorf("%v", l)
		}
	}
}
