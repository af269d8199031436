package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/mess-exchange/mess-exchange/internal/bucket"
	"github.com/mess-exchange/mess-exchange/internal/settings"
)

// config is everything that can be set. Each value comes from its flag, else from the environment
// variable named by its var tag, else from its default; an empty variable is one that is not set.
// All are text here, so that every mistake is reported by its variable's name (check).
type config struct {
	Help    helpFlag    `short:"h" help:"Show this help."`
	Version versionFlag `help:"Show the version."`

	Port        string `var:"PORT" default:"3000" help:"Port to listen on; 0 takes a free one."`
	Host        string `var:"HOST" help:"Address or name to listen on; none is all."`
	StorageType string `var:"STORAGE_TYPE" default:"filesystem" help:"Where the data is: filesystem (a directory) or s3 (a bucket)."`
	StoragePath string `var:"STORAGE_PATH" default:"./data" help:"The directory of a filesystem storage."`
	S3Endpoint  string `var:"S3_ENDPOINT" name:"s3-endpoint" help:"Where the S3 service is, such as http://minio:9000; none is AWS."`
	S3Bucket    string `var:"S3_BUCKET" name:"s3-bucket" help:"The bucket of an s3 storage. It must exist."`
	S3AccessKey string `var:"S3_ACCESS_KEY" name:"s3-access-key" help:"Access key of the bucket; none is what the AWS SDK finds."`
	S3SecretKey string `var:"S3_SECRET_KEY" name:"s3-secret-key" help:"Its secret; better not as a flag, which others can see."`
	S3Region    string `var:"S3_REGION" name:"s3-region" help:"Region of the bucket; none is auto with an endpoint, else what the AWS SDK finds."`

	Registration      string `var:"REGISTRATION" default:"open" help:"Who may register: open (everybody) or token (who knows the registration token)."`
	RegistrationToken string `var:"REGISTRATION_TOKEN" help:"The registration token; better not as a flag, which others can see. The register command sends it."`
	TrustedProxies    string `var:"TRUSTED_PROXIES" help:"Networks of the proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8,fd00::/8; none is none."`
	CapabilitiesDir   string `var:"CAPABILITIES_DIR" default:"./capabilities" help:"Folder of the YAML files that describe capabilities; it need not be there."`

	PublicURL           string `var:"PUBLIC_URL" name:"public-url" help:"Where people reach this server, such as https://mess.example.org: notifications then have a button that claims; none is no button."`
	NotifyAllowNetworks string `var:"NOTIFY_ALLOW_NETWORKS" help:"Networks besides the public ones where channels and hooks of executors may lead, such as 192.168.0.0/16,fd00::/8; none is none."`
	NotifyIFTTT         string `var:"NOTIFY_IFTTT_URL" name:"notify-ifttt-url" help:"Another address for IFTTT, such as a proxy's; none is the service itself."`
	NotifyTodoist       string `var:"NOTIFY_TODOIST_URL" name:"notify-todoist-url" help:"Another address for Todoist."`
	NotifyLinear        string `var:"NOTIFY_LINEAR_URL" name:"notify-linear-url" help:"Another address for Linear."`
	NotifyGoogleTasks   string `var:"NOTIFY_GOOGLE_TASKS_URL" name:"notify-google-tasks-url" help:"Another address for Google Tasks."`
	NotifyGoogleOAuth   string `var:"NOTIFY_GOOGLE_OAUTH_URL" name:"notify-google-oauth-url" help:"Another address for the tokens of Google Tasks."`

	AttachmentMax string `var:"ATTACHMENT_MAX" default:"25" help:"MiB that an uploaded photo or file may have."`
	Connections   string `var:"MAX_CONNECTIONS" name:"max-connections" default:"25000" help:"Connections open at once; one more is answered 503."`
	MetricsAddr   string `var:"METRICS_ADDR" help:"Address for /metrics, such as 127.0.0.1:9090; none is the public port, where anybody may read them."`
	PprofAddr     string `var:"PPROF_ADDR" help:"Address for Go's profiles, such as 127.0.0.1:6060; none is off. Never a public one."`
	LogLevel      string `var:"LOG_LEVEL" default:"info" help:"What is logged: debug, info, warn or error."`

	Serve    struct{}     `cmd:"" default:"1" help:"Run the server; the default."`
	Register registration `cmd:"" help:"Register an executor at a running server and print its API key; sends REGISTRATION_TOKEN where that is set."`
	Check    struct{}     `cmd:"" help:"Read every log in the storage, change nothing, and say what is wrong; exit status 1 if anything is."`
	Compact  struct{}     `cmd:"" help:"Merge days that were closed more than 24 hours ago into one object each, and delete photos and files that no message names; a running server does so by itself."`
	Copy     copying      `cmd:"" help:"Copy all exchanges of the storage into another one, a backup or the place to move to; servers may run on the first meanwhile. Again, it copies what is new."`
	Import   transfer     `cmd:"" help:"Send the threads in a folder of MESSE-AF files to a running server; those that are there already are left alone."`
	Export   exporting    `cmd:"" help:"Write the threads of an exchange of a running server into a folder of MESSE-AF files."`
	Health   struct{}     `cmd:"" help:"Ask the server that runs on this machine whether it answers; exit status 1 if not."`
}

// parse reads flags and environment. It returns the command that was asked for.
func parse(args []string, getenv func(string) string, stdout io.Writer) (*config, string, error) {
	c := &config{}
	environment := kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if name := flag.Tag.Get("var"); name != "" {
			if value := getenv(name); value != "" {
				return value, nil
			}
		}
		return nil, nil
	})
	parser, err := kong.New(c,
		kong.Name("mess-exchange"),
		kong.NoDefaultHelp(),
		kong.Writers(stdout, stdout),
		kong.Resolvers(environment),
	)
	if err != nil {
		return nil, "", fmt.Errorf("declare the flags: %w", err)
	}
	k, err := parser.Parse(args)
	if err != nil {
		if errors.Is(err, errAnswered) {
			return nil, "", errAnswered
		}
		return nil, "", fmt.Errorf("%w (see mess-exchange --help)", err)
	}
	command := k.Command()
	if err := c.check(command); err != nil {
		return nil, "", err
	}
	return c, command, nil
}

// check finds what is wrong with the settings themselves, but for those of the storage (openStore).
func (c *config) check(command string) error {
	port, err := strconv.ParseUint(c.Port, 10, 16)
	if err != nil {
		return fmt.Errorf("PORT: must be a number from 0 to 65535, not %q", c.Port)
	}
	if n, err := strconv.ParseUint(c.Connections, 10, 31); err != nil || n == 0 {
		return fmt.Errorf("MAX_CONNECTIONS: must be a number from 1 on, not %q", c.Connections)
	}
	if _, err := settings.AttachmentMax(c.AttachmentMax); err != nil {
		return err
	}
	for name, address := range map[string]string{"PPROF_ADDR": c.PprofAddr, "METRICS_ADDR": c.MetricsAddr} {
		if _, _, err := net.SplitHostPort(address); address != "" && err != nil {
			return fmt.Errorf("%s: must be an address with a port, such as 127.0.0.1:6060, not %q", name, address)
		}
	}
	if _, err := c.level(); err != nil {
		return err
	}
	switch command {
	case "health", "register", "import <dir>", "export <dir>":
		if port == 0 && c.Register.URL+c.Import.URL+c.Export.URL == "" {
			return errors.New("PORT: must be the port of the server to ask, not 0")
		}
		return nil // the storage is the server's
	case "serve":
		if _, err := c.access().Read(); err != nil {
			return err
		}
		if _, err := c.notify().Read(); err != nil {
			return err
		}
	}
	switch c.StorageType {
	case "filesystem", "s3", "memory": // memory is for tests: it forgets everything
		return nil
	}
	return fmt.Errorf("STORAGE_TYPE: must be filesystem or s3, not %q", c.StorageType)
}

// openStore opens the storage, or what there is of it, for reading. What is wrong with its own settings
// is found there.
func (c *config) openStore(ctx context.Context, readOnly bool, observe bucket.Observe) (*bucket.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	return bucket.Open(ctx, bucket.Config{
		Type:     c.StorageType,
		Path:     c.StoragePath,
		S3:       bucket.S3{Endpoint: c.S3Endpoint, Bucket: c.S3Bucket, AccessKey: c.S3AccessKey, SecretKey: c.S3SecretKey, Region: c.S3Region},
		ReadOnly: readOnly,
		Observe:  observe,
	})
}

func (c *config) level() (slog.Level, error) { return settings.Level(c.LogLevel) }

// access is who may register, and whose word is taken for where clients are.
func (c *config) access() settings.Access {
	return settings.Access{Registration: c.Registration, RegistrationToken: c.RegistrationToken, TrustedProxies: c.TrustedProxies}
}

// notify is what notifications need.
func (c *config) notify() settings.Notify {
	return settings.Notify{
		PublicURL: c.PublicURL, AllowNetworks: c.NotifyAllowNetworks,
		IFTTT: c.NotifyIFTTT, Todoist: c.NotifyTodoist, Linear: c.NotifyLinear, GoogleTasks: c.NotifyGoogleTasks, GoogleOAuth: c.NotifyGoogleOAuth,
	}
}

// connections is MAX_CONNECTIONS.
func (c *config) connections() int {
	n, _ := strconv.Atoi(c.Connections) // checked when it was parsed
	return n
}

// attachmentMax is ATTACHMENT_MAX in bytes.
func (c *config) attachmentMax() int64 {
	n, _ := settings.AttachmentMax(c.AttachmentMax) // checked when it was parsed
	return n
}

// address is what to listen on.
func (c *config) address() string { return net.JoinHostPort(bare(c.Host), c.Port) }

// url is where a server that listens on HOST and that port is reached from this machine; loopback is
// how to call this machine where HOST is all.
func (c *config) url(port, loopback string) string {
	host := bare(c.Host)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = loopback
	}
	return "http://" + net.JoinHostPort(host, port)
}

// bare takes the brackets off an IPv6 address that was written as in a URL.
func bare(host string) string { return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]") }
