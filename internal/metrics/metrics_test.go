package metrics

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/mess-exchange/mess-exchange/internal/bucket"
	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/eventlog"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/httpapi"
)

// full returns metrics that have been told all that they can be.
func full() *Metrics {
	m := New("1.2.3", "filesystem")
	m.WatchEngine(func() engine.Stats {
		return engine.Stats{Exchanges: 1, Streams: 2, Reads: 3, Uploads: 4, Bodies: 5, HeadAge: 6 * time.Second}
	})
	m.WatchConnections(func() int { return 7 }, 8)
	for _, err := range []error{nil, eventlog.ErrLost, eventlog.ErrUnavailable, eventlog.ErrOutcomeUnknown, eventlog.ErrClosed} {
		if err != nil {
			err = fmt.Errorf("write: %w", err)
		}
		m.Committed(3, 900, 20*time.Millisecond, err)
	}
	m.Opened(time.Second, true)
	m.Opened(2*time.Second, false)
	m.Met(time.Second)
	m.Saved(time.Second, nil)
	m.Saved(time.Second, errors.New("no"))
	for _, operation := range bucket.Operations {
		for _, failure := range append([]bucket.Failure{""}, bucket.Failures...) {
			m.Storage(operation, time.Millisecond, failure)
		}
	}
	n := m.WatchNotifications(func() engine.Stats {
		return engine.Stats{Outbox: exchange.Outbox{Events: 9, Tries: 10, Lost: 11}, OldestDue: 12 * time.Second}
	})
	for _, channel := range append(channelTypes, "pigeon") {
		for _, outcome := range append(deliveryEnds, "lost on the way") {
			n.Delivered(channel, outcome)
		}
	}
	get, other := m.Operation("getRequest"), m.Operation(httpapi.Unmatched)
	for status := range 700 {
		get(status, time.Millisecond, false)
		other(status, time.Minute, true)
	}
	return m
}

func gathered(t *testing.T, m *Metrics) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*dto.MetricFamily{}
	for _, f := range families {
		all[f.GetName()] = f
	}
	return all
}

// value returns a metric with these values of labels: a counter's or gauge's, or how often a histogram was told.
func value(t *testing.T, all map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	for _, one := range all[name].GetMetric() {
		var values []string
		for _, l := range one.GetLabel() {
			values = append(values, l.GetValue())
		}
		if slices.Equal(values, labels) {
			return one.GetCounter().GetValue() + one.GetGauge().GetValue() + float64(one.GetHistogram().GetSampleCount())
		}
	}
	t.Errorf("%s has no %v", name, labels)
	return 0
}

// Ensure that what is told is counted where it belongs.
func TestCounts(t *testing.T) {
	all := gathered(t, full())
	for _, c := range []struct {
		want   float64
		name   string
		labels []string
	}{
		{1, "mess_commits_total", []string{"stored"}}, {1, "mess_commits_total", []string{"lost"}},
		{1, "mess_commits_total", []string{"unavailable"}}, {1, "mess_commits_total", []string{"unknown"}},
		{1, "mess_commit_duration_seconds", nil}, {1, "mess_commit_events", nil}, {900, "mess_commit_bytes_total", nil},
		{1, "mess_exchange_open_duration_seconds", []string{"snapshot"}}, {1, "mess_exchange_open_duration_seconds", []string{"log"}},
		{1, "mess_snapshots_total", []string{"stored"}}, {1, "mess_snapshots_total", []string{"failed"}}, {1, "mess_snapshot_duration_seconds", nil},
		{1, "mess_replication_lag_seconds", nil}, {6, "mess_head_age_seconds", nil},
		{1, "mess_exchanges_open", nil}, {2, "mess_waiters", []string{"stream"}}, {3, "mess_waiters", []string{"read"}},
		{4, "mess_uploads_in_progress", nil}, {5, "mess_cached_message_bytes", nil},
		{7, "mess_http_connections_open", nil}, {8, "mess_http_connections_limit", nil},
		{7, "mess_storage_request_duration_seconds", []string{"read"}}, {1, "mess_storage_errors_total", []string{"full", "write"}},
		{1, "mess_http_requests_total", []string{"getRequest", "404"}}, {200, "mess_http_requests_total", []string{"unmatched", "cut"}},
		{700, "mess_http_request_duration_seconds", []string{"getRequest"}},
		{0, "mess_http_request_duration_seconds", []string{"unmatched"}}, // all of them waited
	} {
		if got := value(t, all, c.name, c.labels...); got != c.want {
			t.Errorf("%s %v: got %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	if got := all["mess_commit_events"].GetMetric()[0].GetHistogram().GetSampleSum(); got != 3 {
		t.Errorf("%v events", got)
	}
}

// Ensure that a server that has done nothing yet has all that can be known beforehand, so that a query has data.
func TestFromTheStart(t *testing.T) {
	m := New("1.2.3", "s3")
	m.WatchEngine(func() engine.Stats { return engine.Stats{} })
	m.WatchConnections(func() int { return 0 }, 8)
	m.WatchNotifications(func() engine.Stats { return engine.Stats{} })
	m.Operation("getRequest")
	all := gathered(t, m)
	for name, f := range gathered(t, full()) {
		if strings.HasPrefix(name, "mess_") && name != "mess_http_requests_total" && len(all[name].GetMetric()) < len(f.GetMetric())-1 {
			t.Errorf("%s has %d of %d combinations", name, len(all[name].GetMetric()), len(f.GetMetric()))
		}
	}
	value(t, all, "mess_http_requests_total", "getRequest", "200")
}

// row is one of the table in docs/operations.md.
var row = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (counter|gauge|histogram) \\| (.*?) \\| .+ \\|$")

// Ensure that docs/operations.md names each metric with its type and its labels, and none that is not there; that
// each has a help; and that names follow the conventions.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, r := range row.FindAllStringSubmatch(string(page), -1) {
		if r[3] == "–" {
			r[3] = ""
		}
		labels := strings.Split(strings.ReplaceAll(r[3], "`", ""), ", ")
		slices.Sort(labels)
		documented[r[1]] = r[2] + " " + strings.Join(labels, ",")
	}
	there := map[string]string{}
	for name, f := range gathered(t, full()) {
		kind := strings.ToLower(f.GetType().String())
		if len(f.GetHelp()) < 10 || !strings.HasSuffix(f.GetHelp(), ".") && strings.HasPrefix(name, "mess_") {
			t.Errorf("%s has the help %q", name, f.GetHelp())
		}
		if !strings.HasPrefix(name, "mess_") {
			if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
				t.Errorf("whose is %s?", name)
			}
			continue
		}
		if (kind == "counter") != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %s", name, kind)
		}
		there[name] = kind + " " + strings.Join(labelsOf(f), ",")
	}
	if len(there) < 20 || !maps.Equal(documented, there) {
		for name := range there {
			if documented[name] != there[name] {
				t.Errorf("%s is %q, and the page says %q", name, there[name], documented[name])
			}
		}
		for name := range documented {
			if there[name] == "" {
				t.Errorf("the page has %s, which is not there", name)
			}
		}
	}
}

func labelsOf(f *dto.MetricFamily) (names []string) {
	for _, one := range f.GetMetric() {
		for _, l := range one.GetLabel() {
			names = append(names, l.GetName())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// bounded says which values a label may have. What has no line here is no label.
var bounded = map[string]*regexp.Regexp{
	"version": regexp.MustCompile(`^(1\.2\.3|go1.*)$`), "goversion": regexp.MustCompile(`^go1`), "storage": regexp.MustCompile(`^(filesystem|s3)$`),
	"operation": regexp.MustCompile(`^(getRequest|unmatched|read|write|list|stat|delete)$`), "status": regexp.MustCompile(`^([1-5]\d\d|cut)$`),
	"outcome": regexp.MustCompile(`^(stored|lost|unavailable|unknown|failed|delivered|retry|deferred|dropped|other)$`), "from": regexp.MustCompile(`^(snapshot|log)$`),
	"channel": regexp.MustCompile(`^(` + strings.Join(channelTypes, "|") + `)$`),
	"kind":    regexp.MustCompile(`^(stream|read|full|refused|timeout|unreachable|unknown|fatal)$`), "quantile": regexp.MustCompile(`^[01]`),
}

func TestLabelsAreBounded(t *testing.T) {
	series := 0
	for name, f := range gathered(t, full()) {
		for _, one := range f.GetMetric() {
			series++
			for _, l := range one.GetLabel() {
				if may := bounded[l.GetName()]; may == nil || !may.MatchString(l.GetValue()) {
					t.Errorf("%s: %s is %q", name, l.GetName(), l.GetValue())
				}
			}
		}
	}
	if most := 2*501 + 200; series > most { // two operations, of which all statuses were told
		t.Errorf("%d series, more than %d", series, most)
	}
}

// Ensure that nothing that is told on the way of a request allocates.
func TestTellingIsCheap(t *testing.T) {
	m := full()
	get := m.Operation("listRequests")
	if n := testing.AllocsPerRun(100, func() {
		get(200, time.Millisecond, false)
		m.Storage(bucket.OpRead, time.Millisecond, "")
		m.Committed(3, 900, time.Millisecond, nil)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestHandler(t *testing.T) {
	w := httptest.NewRecorder()
	full().Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "\nmess_exchanges_open 1\n") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func BenchmarkAnswered(b *testing.B) {
	get := New("1.2.3", "filesystem").Operation("getRequest")
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			get(200, 50*time.Microsecond, false)
		}
	})
}
