//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/s3test"
)

const (
	rulesFile     = "deploy/prometheus/alerts.yaml"
	ruleTestsFile = "deploy/prometheus/alerts_test.yaml"
	dashboardFile = "deploy/grafana/mess-exchange.json"
)

// tool returns the path of a program of Debian's package prometheus.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed, and this test needs it: it is in Debian's package prometheus, which .ci/run unpacks (%v)", name, err)
	}
	return path
}

// TestAlertRules: the alert rules are what promtool takes for rules, and do what is written beside them.
func TestAlertRules(t *testing.T) {
	promtool := tool(t, "promtool")
	for _, args := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", ruleTestsFile}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = repository
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	tests, err := os.ReadFile(filepath.Join(repository, ruleTestsFile))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := os.ReadFile(filepath.Join(repository, rulesFile))
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile(`- alert: (\w+)`).FindAllSubmatch(rules, -1)
	if len(names) < 5 {
		t.Errorf("%d alerts", len(names))
	}
	for _, name := range names {
		if n := strings.Count(string(tests), "alertname: "+string(name[1])+"\n"); n < 2 {
			t.Errorf("%s is tested %d times; once that it fires, once that it does not", name[1], n)
		}
	}
}

// prometheus is a running one.
type prometheus struct {
	t   *testing.T
	url string
}

// startPrometheus has a real Prometheus scrape these servers twice a second, with the alert rules.
func startPrometheus(t *testing.T, targets ...string) prometheus {
	t.Helper()
	dir := t.TempDir()
	encoded, err := json.Marshal(targets)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 500ms, evaluation_interval: 1s}\nrule_files: [%q]\n"+
		"scrape_configs: [{job_name: mess-exchange, static_configs: [{targets: %s}]}]\n", filepath.Join(repository, rulesFile), encoded)
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	addr := freeAddress(t)
	cmd := exec.Command(tool(t, "prometheus"), "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+addr)
	cmd.Dir = dir
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatalf("starting prometheus: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
		if t.Failed() {
			t.Logf("log of prometheus:\n%s", &log)
		}
	})
	p := prometheus{t, "http://" + addr}
	within(t, time.Minute, func() error {
		res, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("prometheus is not ready: %d", res.StatusCode)
		}
		return nil
	})
	return p
}

// freeAddress is one that nobody listens on just now: Prometheus does not say which it took.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// within asks until the answer is right.
func within(t *testing.T, limit time.Duration, ask func() error) {
	t.Helper()
	late := time.After(limit)
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-late:
			t.Fatal(err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// get asks the API of Prometheus.
func (p prometheus) get(path string, query url.Values, into any) error {
	res, err := http.Get(p.url + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status != "success" {
		return fmt.Errorf("%s: %d %s", path, res.StatusCode, body)
	}
	return nil
}

// data is an error where a query has no number for an answer.
func (p prometheus) data(query string) error {
	var answer struct {
		Result []struct{ Value [2]any }
	}
	if err := p.get("/api/v1/query", url.Values{"query": {query}}, &answer); err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	for _, sample := range answer.Result {
		text, _ := sample.Value[1].(string)
		if n, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) {
			return nil
		}
	}
	return fmt.Errorf("%s: no data in %v", query, answer.Result)
}

// dashboard is what of a dashboard of Grafana is looked at.
type dashboard struct {
	Templating struct {
		List []struct{ Name, Type string }
	}
	Panels []struct {
		ID                       int
		Title, Type, Description string
		Datasource               struct{ UID string }
		FieldConfig              struct{ Defaults struct{ Unit string } }
		Targets                  []struct{ RefID, Expr, LegendFormat string }
	}
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, dashboardFile))
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// queries returns what the panels ask, with the variables as they are for all servers and a short time. It makes
// sure that each panel asks the data source that was chosen, and for something.
func (d dashboard) queries(t *testing.T) (all []string) {
	t.Helper()
	for i, v := range []struct{ name, kind string }{{"datasource", "datasource"}, {"instance", "query"}} {
		if len(d.Templating.List) != 2 || d.Templating.List[i].Name != v.name || d.Templating.List[i].Type != v.kind {
			t.Fatalf("the variables are %+v", d.Templating.List)
		}
	}
	fill := strings.NewReplacer("$instance", ".*", "$__rate_interval", "15s")
	ids := map[int]bool{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("panel %d, %q, is not whole: %+v", p.ID, p.Title, p)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			query := fill.Replace(target.Expr)
			if strings.Contains(query, "$") || !strings.Contains(target.Expr, "$instance") {
				t.Errorf("%s: %s", p.Title, target.Expr)
			}
			all = append(all, query)
		}
	}
	if len(all) < 20 {
		t.Errorf("the dashboard asks %d questions", len(all))
	}
	return all
}

// TestDashboard: two replicas on one bucket, one of which has its metrics on an address of their own, are scraped by a
// real Prometheus while the contract's walk goes on, and it has data for each panel of the dashboard. Nothing is
// wrong, so no alert is raised. What the replicas log meanwhile holds no key.
func TestDashboard(t *testing.T) {
	shared := bucketOf(t, s3test.Start(t))
	debug := append(slices.Clone(shared.settings), "LOG_LEVEL=debug")
	one, other := start(t, debug...), start(t, append(debug, "METRICS_ADDR=127.0.0.1:0")...)
	at2 := regexp.MustCompile(`metrics are at http://([^/]+)/metrics`).FindStringSubmatch(other.log.tail(1000))
	if at2 == nil {
		t.Fatalf("the second replica does not say where its metrics are:\n%s", other.log.tail(20))
	}
	p := startPrometheus(t, one.addr, at2[1])
	w := walkOn(t, one, other)
	within(t, time.Minute, func() error {
		return p.data(`sum(up{job="mess-exchange"}) == 2`)
	})
	for _, query := range readDashboard(t).queries(t) {
		within(t, time.Minute, func() error {
			w.round(t)
			return p.data(query)
		})
	}
	wantRulesWell(t, p)
	wantNoNames(t, p, w)
	wantMetricsWell(t, one.url+"/metrics", "http://"+at2[1]+"/metrics")
	if status := (client{base: other.url, http: http.DefaultClient}).send(t, "GET", "/metrics", nil).status; status != http.StatusNotFound {
		t.Errorf("/metrics on the public port of the second replica: %d", status)
	}
	for _, s := range []*server{one, other} {
		wantLogWithoutKeys(t, s, w)
	}
}

// walkers are two executors, each at a replica of its own, who do the contract's walk again and again.
type walkers struct {
	agent, phone client
	refs         []string
}

const (
	walkExchange = "dashboardhome"
	walkAgent    = "dashboard-agent"
	walkPhone    = "dashboard-phone"
)

func walkOn(t *testing.T, one, other *server) *walkers {
	t.Helper()
	return &walkers{agent: at(one, walkExchange).register(t, walkAgent), phone: at(other, walkExchange).register(t, walkPhone)}
}

func (w *walkers) round(t *testing.T) {
	t.Helper()
	ref := w.agent.create(t, intent("Check if the garage door is closed"))
	w.phone.set(t, ref, "claimed")
	w.phone.want(t, http.StatusOK, "PATCH", "/requests/"+ref, `{"status": "completed", "mess": [{"response": {"content": ["closed"]}}]}`)
	w.agent.want(t, http.StatusOK, "GET", "/requests/"+ref+"?wait=1s&since=1", nil)
	w.agent.threads(t, "")
	w.agent.want(t, http.StatusNotFound, "GET", "/requests/2026-02-01-NONE", nil)
	w.agent.as("mess_"+walkExchange+"_wrong").want(t, http.StatusUnauthorized, "GET", "/requests?key="+w.agent.key, nil)
	w.agent.want(t, http.StatusNotFound, "GET", "/requests/"+w.agent.key, nil)
	w.refs = append(w.refs, ref)
}

// wantRulesWell checks that Prometheus could evaluate each rule, and that none is raised.
func wantRulesWell(t *testing.T, p prometheus) {
	t.Helper()
	within(t, time.Minute, func() error {
		var answer struct {
			Groups []struct {
				Rules []struct{ Name, State, Health, LastError string }
			}
		}
		if err := p.get("/api/v1/rules", nil, &answer); err != nil {
			return err
		}
		if len(answer.Groups) != 1 || len(answer.Groups[0].Rules) < 5 {
			return fmt.Errorf("the rules are %+v", answer.Groups)
		}
		for _, r := range answer.Groups[0].Rules {
			if r.Health != "ok" || r.State != "inactive" {
				return fmt.Errorf("%s is %s, %s: %s", r.Name, r.Health, r.State, r.LastError)
			}
		}
		return nil
	})
}

// wantNoNames checks that no label has the name of anything that clients name.
func wantNoNames(t *testing.T, p prometheus, w *walkers) {
	t.Helper()
	var series []map[string]string
	if err := p.get("/api/v1/series", url.Values{"match[]": {`{job="mess-exchange"}`}}, &series); err != nil {
		t.Fatal(err)
	}
	if len(series) < 100 {
		t.Errorf("only %d series", len(series))
	}
	for _, one := range series {
		for label, value := range one {
			for _, name := range append(w.refs, walkExchange, walkAgent, walkPhone, w.agent.key, w.phone.key) {
				if strings.Contains(value, name) {
					t.Errorf("%s: the label %s is %s", one["__name__"], label, value)
				}
			}
		}
	}
}

// wantMetricsWell has promtool look at what the servers answer.
func wantMetricsWell(t *testing.T, urls ...string) {
	t.Helper()
	promtool := tool(t, "promtool")
	for _, url := range urls {
		res, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		cmd := exec.Command(promtool, "check", "metrics")
		cmd.Stdin = res.Body
		out, err := cmd.CombinedOutput()
		if err != nil || len(bytes.TrimSpace(out)) > 0 {
			t.Errorf("promtool check metrics of %s: %v\n%s", url, err, out)
		}
	}
}

// wantLogWithoutKeys checks that each line is JSON, that requests are told with what they were, and that no key is
// anywhere.
func wantLogWithoutKeys(t *testing.T, s *server, w *walkers) {
	t.Helper()
	told := map[string]bool{}
	for line := range strings.SplitSeq(s.log.tail(1_000_000), "\n") {
		var fields struct {
			Msg, Operation, Exchange, Executor string
			RequestID                          string `json:"request_id"`
			Status                             int
		}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Errorf("a line that is no JSON: %s", line)
		}
		for _, key := range []string{w.agent.key, w.phone.key, "_wrong", "key="} {
			if strings.Contains(line, key) {
				t.Errorf("the log holds %q: %s", key, line)
			}
		}
		if fields.Msg == "request" && (fields.RequestID == "" || fields.Status == 0) {
			t.Errorf("a request without its id or status: %s", line)
		}
		if fields.Msg == "request" && fields.Exchange == walkExchange && fields.Executor != "" {
			told[fields.Operation] = true
		}
	}
	if len(told) == 0 || s.url == strings.TrimSuffix(w.agent.base, "/api/v1/exchanges/"+walkExchange) && !(told["createRequest"] && told["getRequest"]) {
		t.Errorf("the log tells of %v", told)
	}
}
