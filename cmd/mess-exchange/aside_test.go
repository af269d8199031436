package main

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// Ensure that metrics are on the public port unless they have an address of their own, and then only there.
func TestMetrics(t *testing.T) {
	s := launch(t, "STORAGE_TYPE=memory")
	register(t, s, "home", "agent")
	status, text := get(t, s.url+"/metrics")
	for _, line := range []string{
		`mess_http_requests_total{operation="registerExecutor",status="201"} 1`, `mess_commits_total{outcome="stored"} 1`,
		"mess_exchanges_open 1", `mess_waiters{kind="stream"} 0`, "mess_http_connections_limit 25000", "go_goroutines ",
	} {
		if status != http.StatusOK || !strings.Contains(text, "\n"+line) {
			t.Errorf("%d, without %s:\n%s", status, line, text)
		}
	}

	s = launch(t, "STORAGE_TYPE=memory", "METRICS_ADDR=127.0.0.1:0")
	at := regexp.MustCompile(`metrics are at (http://127\.0\.0\.1:\d+)/metrics`).FindStringSubmatch(s.log.String())
	if at == nil {
		t.Fatalf("the log does not say where: %s", s.log)
	}
	if status, text := get(t, at[1]+"/metrics"); status != http.StatusOK || !strings.Contains(text, "\nmess_build_info{") {
		t.Errorf("%d: %s", status, text)
	}
	if status, _ := get(t, at[1]+"/health"); status != http.StatusNotFound {
		t.Errorf("/health at the address of metrics: %d", status)
	}
	if status, _ := get(t, s.url+"/metrics"); status != http.StatusNotFound {
		t.Errorf("/metrics at the public port: %d", status)
	}
}

// Ensure that an address that is in use ends the start, with its variable's name.
func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, variable := range []string{"METRICS_ADDR", "PPROF_ADDR"} {
		err := run(t.Context(), nil, local("STORAGE_TYPE=memory", variable+"="+l.Addr().String()), io.Discard, io.Discard)
		if err == nil || !strings.HasPrefix(err.Error(), variable+": can't listen on ") {
			t.Errorf("%s: %v", variable, err)
		}
	}
}

// Ensure that the log is text for people at a terminal, and JSON for whatever else reads it.
func TestLogFormat(t *testing.T) {
	c := &config{LogLevel: "debug"}
	for name, text := range map[string]bool{os.DevNull: false, "/dev/ptmx": true} {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, ok := newLogger(c, f).Handler().(*slog.TextHandler); ok != text {
			t.Errorf("%s: text is %v", name, ok)
		}
	}
	if _, ok := newLogger(c, io.Discard).Handler().(*slog.JSONHandler); !ok {
		t.Error("what is no file gets no JSON")
	}
}
