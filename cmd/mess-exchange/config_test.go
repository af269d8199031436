package main

import (
	"bytes"
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// env is an environment for run.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		value := ""
		for _, pair := range pairs {
			if v, ok := strings.CutPrefix(pair, name+"="); ok {
				value = v // the last one wins
			}
		}
		return value
	}
}

// variables is the contract of the environment: name and default.
var variables = map[string]string{
	"PORT": "3000", "HOST": "", "STORAGE_TYPE": "filesystem", "STORAGE_PATH": "./data", "LOG_LEVEL": "info",
	"ATTACHMENT_MAX": "25", "MAX_CONNECTIONS": "25000", "PPROF_ADDR": "", "METRICS_ADDR": "",
	"REGISTRATION": "open", "REGISTRATION_TOKEN": "", "TRUSTED_PROXIES": "", "CAPABILITIES_DIR": "./capabilities",
	"PUBLIC_URL": "", "NOTIFY_ALLOW_NETWORKS": "", "NOTIFY_IFTTT_URL": "", "NOTIFY_TODOIST_URL": "", "NOTIFY_LINEAR_URL": "",
	"NOTIFY_GOOGLE_TASKS_URL": "", "NOTIFY_GOOGLE_OAUTH_URL": "",
	"S3_ENDPOINT": "", "S3_BUCKET": "", "S3_ACCESS_KEY": "", "S3_SECRET_KEY": "", "S3_REGION": "",
}

// values returns the settings by the names of their variables.
func (c *config) values() map[string]string {
	return map[string]string{
		"PORT": c.Port, "HOST": c.Host, "STORAGE_TYPE": c.StorageType, "STORAGE_PATH": c.StoragePath, "LOG_LEVEL": c.LogLevel,
		"ATTACHMENT_MAX": c.AttachmentMax, "MAX_CONNECTIONS": c.Connections, "PPROF_ADDR": c.PprofAddr, "METRICS_ADDR": c.MetricsAddr,
		"REGISTRATION": c.Registration, "REGISTRATION_TOKEN": c.RegistrationToken, "TRUSTED_PROXIES": c.TrustedProxies, "CAPABILITIES_DIR": c.CapabilitiesDir,
		"PUBLIC_URL": c.PublicURL, "NOTIFY_ALLOW_NETWORKS": c.NotifyAllowNetworks,
		"NOTIFY_IFTTT_URL": c.NotifyIFTTT, "NOTIFY_TODOIST_URL": c.NotifyTodoist, "NOTIFY_LINEAR_URL": c.NotifyLinear,
		"NOTIFY_GOOGLE_TASKS_URL": c.NotifyGoogleTasks, "NOTIFY_GOOGLE_OAUTH_URL": c.NotifyGoogleOAuth,
		"S3_ENDPOINT": c.S3Endpoint, "S3_BUCKET": c.S3Bucket, "S3_ACCESS_KEY": c.S3AccessKey, "S3_SECRET_KEY": c.S3SecretKey, "S3_REGION": c.S3Region,
	}
}

// Ensure that each setting has its documented default, is taken from its variable, is overridden by
// its flag, and that an empty variable counts as none.
func TestSettings(t *testing.T) {
	given := map[string]string{
		"PORT": "4000", "HOST": "::1", "STORAGE_TYPE": "s3", "STORAGE_PATH": "/d", "LOG_LEVEL": "debug",
		"ATTACHMENT_MAX": "100", "MAX_CONNECTIONS": "7", "PPROF_ADDR": "[::1]:6060", "METRICS_ADDR": ":9090",
		"REGISTRATION": "token", "REGISTRATION_TOKEN": "t", "TRUSTED_PROXIES": "10.0.0.0/8, fd00::/8", "CAPABILITIES_DIR": "/c",
		"PUBLIC_URL": "https://mess.example.org/", "NOTIFY_ALLOW_NETWORKS": "192.168.0.0/16 fd00::/8,127.0.0.1",
		"NOTIFY_IFTTT_URL": "http://proxy:1/ifttt", "NOTIFY_TODOIST_URL": "http://proxy:2", "NOTIFY_LINEAR_URL": "http://proxy:3",
		"NOTIFY_GOOGLE_TASKS_URL": "http://proxy:4", "NOTIFY_GOOGLE_OAUTH_URL": "http://proxy:5",
		"S3_ENDPOINT": "http://minio:9000", "S3_BUCKET": "b", "S3_ACCESS_KEY": "ak", "S3_SECRET_KEY": "sk", "S3_REGION": "r",
	}
	var environment, empty, flags []string
	for name, value := range given {
		environment = append(environment, name+"="+value)
		empty = append(empty, name+"=")
		flags = append(flags, "--"+strings.ToLower(strings.ReplaceAll(name, "_", "-")), value)
	}
	for _, c := range []struct {
		name        string
		args        []string
		environment []string
		want        map[string]string
	}{
		{"defaults", nil, nil, variables},
		{"empty variables", nil, empty, variables},
		{"variables", nil, environment, given},
		{"flags", flags, nil, given},
		{"flags over variables", flags, []string{"PORT=1", "HOST=x", "STORAGE_TYPE=memory", "LOG_LEVEL=warn", "S3_BUCKET=other"}, given},
		{"after a command", append([]string{"check"}, flags...), nil, given},
	} {
		got, _, err := parse(c.args, env(c.environment...), &bytes.Buffer{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for name, want := range c.want {
			if value := got.values()[name]; value != want {
				t.Errorf("%s: %s is %q, want %q", c.name, name, value, want)
			}
		}
	}
}

// Ensure that the help names every flag with its variable, once, and that it works amid mistakes.
func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"check", "--help"}, {"--port=x", "--help"}} {
		var stdout, stderr bytes.Buffer
		if err := run(t.Context(), args, env("PORT=none"), &stdout, &stderr); err != nil || stderr.Len() > 0 {
			t.Fatal(args, err, stderr.String())
		}
		for name := range variables {
			flag := "--" + strings.ToLower(strings.ReplaceAll(name, "_", "-"))
			line := regexp.MustCompile(`(?m)^  ` + flag + ` +` + name + ` +` + regexp.QuoteMeta(variables[name]) + ` .*\.$`)
			if n := len(line.FindAllString(stdout.String(), -1)); n != 1 {
				t.Errorf("%v: %s stands there %d times\n%s", args, name, n, &stdout)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	var stdout bytes.Buffer
	if err := run(t.Context(), []string{"--version"}, env("LOG_LEVEL=loud"), &stdout, &stdout); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^mess-exchange \S+\n$`).MatchString(stdout.String()) {
		t.Errorf("got %q", stdout.String())
	}
}

// mistake is a setting that can't be, and what is said of it.
type mistake struct {
	args, environment []string
	says              string
}

// Ensure that mistakes which need nobody else to be found name their variable, and end before anything
// was touched.
func TestMistakenSettings(t *testing.T) {
	nowhere := t.TempDir() + "/data"
	for _, c := range []mistake{
		{nil, []string{"STORAGE_TYPE=floppy"}, `STORAGE_TYPE: must be filesystem or s3, not "floppy"`},
		{nil, []string{"STORAGE_TYPE=s3"}, "S3_BUCKET"},
		{nil, []string{"STORAGE_TYPE=s3", "S3_BUCKET=b", "S3_ACCESS_KEY=a"}, "S3_ACCESS_KEY and S3_SECRET_KEY"},
		{nil, []string{"STORAGE_TYPE=s3", "S3_BUCKET=b", "S3_ENDPOINT=minio:9000"}, "S3_ENDPOINT"},
		{nil, []string{"STORAGE_TYPE=s3", "S3_BUCKET=b", "S3_ENDPOINT=::no"}, "S3_ENDPOINT"},
		{nil, []string{"PORT=http"}, `PORT: must be a number from 0 to 65535, not "http"`},
		{nil, []string{"PORT=65536"}, "PORT: must be"},
		{nil, []string{"PORT=-1"}, "PORT: must be"},
		{[]string{"--port", "3000 "}, nil, "PORT: must be"},
		{nil, []string{"ATTACHMENT_MAX=0"}, `ATTACHMENT_MAX: must be a number of MiB from 1 to 4096, not "0"`},
		{nil, []string{"ATTACHMENT_MAX=26214400"}, "ATTACHMENT_MAX: must be"},
		{nil, []string{"ATTACHMENT_MAX=25MiB"}, "ATTACHMENT_MAX: must be"},
		{nil, []string{"MAX_CONNECTIONS=0"}, `MAX_CONNECTIONS: must be a number from 1 on, not "0"`},
		{nil, []string{"MAX_CONNECTIONS=many"}, "MAX_CONNECTIONS: must be"},
		{nil, []string{"PPROF_ADDR=6060"}, "PPROF_ADDR: must be an address with a port"},
		{nil, []string{"METRICS_ADDR=9090"}, "METRICS_ADDR: must be an address with a port"},
		{nil, []string{"REGISTRATION=closed"}, `REGISTRATION: must be open or token, not "closed"`},
		{[]string{"serve"}, []string{"REGISTRATION=Token", "REGISTRATION_TOKEN=t"}, "REGISTRATION: must be"},
		{nil, []string{"REGISTRATION=token"}, "REGISTRATION_TOKEN: must be set"},
		{nil, []string{"REGISTRATION=token", "REGISTRATION_TOKEN=t "}, "REGISTRATION_TOKEN: must consist of"},
		{nil, []string{"REGISTRATION=token", "REGISTRATION_TOKEN=schlüssel"}, "REGISTRATION_TOKEN: must consist of"},
		{nil, []string{"REGISTRATION=token", "REGISTRATION_TOKEN=a\nb"}, "REGISTRATION_TOKEN: must consist of"},
		{nil, []string{"TRUSTED_PROXIES=proxy.local"}, `TRUSTED_PROXIES: must be networks such as 10.0.0.0/8, with commas between them, not "proxy.local"`},
		{nil, []string{"TRUSTED_PROXIES=10.0.0.0/8 fd00::/8"}, "TRUSTED_PROXIES: must be"},
		{nil, []string{"TRUSTED_PROXIES=10.0.0.0/33"}, "TRUSTED_PROXIES: must be"},
		{nil, []string{"TRUSTED_PROXIES=::ffff:10.0.0.0/104"}, "TRUSTED_PROXIES: must be"},
		{nil, []string{"LOG_LEVEL=loud"}, `LOG_LEVEL: must be debug, info, warn or error, not "loud"`},
		{[]string{"health"}, []string{"PORT=0"}, "PORT: must be the port"},
		{[]string{"register", "--exchange", "e", "--id", "x"}, []string{"PORT=0"}, "PORT: must be the port"},
		{[]string{"register", "--exchange", "e"}, nil, "--id"},
		{[]string{"register", "--id", "e"}, nil, "--exchange"},
		{[]string{"register", "--exchange=", "--id=x", "--url=http://127.0.0.1:1"}, nil, "--exchange: must not be empty"},
		{[]string{"register", "--exchange=e", "--id=x", "--url=127.0.0.1:1"}, nil, "--url: must be like http://localhost:3000"},
		{[]string{"register", "--exchange=e", "--id=x", "--url=file:///etc"}, nil, "--url: must be like"},
		{[]string{"--verbose"}, nil, "unknown flag --verbose"},
		{[]string{"compost"}, nil, "compost"},
		{[]string{"--port"}, nil, "--port"},
	} {
		c.isRefused(t, nowhere)
	}
	if _, err := os.Stat(nowhere); err == nil {
		t.Error("a directory was made")
	}
}

func (m mistake) isRefused(t *testing.T, nowhere string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(t.Context(), m.args, env(append([]string{"STORAGE_PATH=" + nowhere}, m.environment...)...), &stdout, &stderr)
	if err == nil || !strings.Contains(err.Error(), m.says) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v %v: got %v, want %s", m.args, m.environment, err, m.says)
	}
	if stdout.Len()+stderr.Len() > 0 {
		t.Errorf("%v %v: more was said: %s%s", m.args, m.environment, &stdout, &stderr)
	}
}

// Ensure what is listened on and how it is called.
func TestAddress(t *testing.T) {
	for host, want := range map[string][]string{
		"":            {":80", "http://localhost:80"},
		"0.0.0.0":     {"0.0.0.0:80", "http://localhost:80"},
		"::":          {"[::]:80", "http://localhost:80"},
		"[::]":        {"[::]:80", "http://localhost:80"},
		"::1":         {"[::1]:80", "http://[::1]:80"},
		"127.0.0.1":   {"127.0.0.1:80", "http://127.0.0.1:80"},
		"mess.local":  {"mess.local:80", "http://mess.local:80"},
		"192.168.1.9": {"192.168.1.9:80", "http://192.168.1.9:80"},
	} {
		c := &config{Host: host, Port: "80"}
		if got := []string{c.address(), c.url("80", "localhost")}; !slices.Equal(got, want) {
			t.Errorf("%q: got %q", host, got)
		}
	}
}

// Ensure that a server which is stopped before it has started says nothing and is no failure.
func TestStoppedStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	if err := run(ctx, nil, env("HOST=127.0.0.1", "PORT=0", "STORAGE_PATH="+t.TempDir()), &out, &out); err != nil {
		t.Error(err)
	}
}
