//go:build js

package main

import (
	"log/slog"
	"syscall/js"

	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/httpapi"
	"github.com/mess-exchange/mess-exchange/internal/settings"
)

// config is what can be set. A variable has the name and the meaning that it has for cmd/mess-exchange; those about
// a port, a process or another storage have none here.
type config struct {
	level         slog.Level
	attachmentMax int64
	access        httpapi.Access
	notify        engine.Notify
	warn          func(*slog.Logger)
}

// read reads the variables and secrets of a Worker. One that is empty is one that is not set.
func read(env js.Value) (config, error) {
	get := func(name, otherwise string) string {
		if v := env.Get(name); v.Type() == js.TypeString && v.String() != "" {
			return v.String()
		}
		return otherwise
	}
	var c config
	var err error
	if c.level, err = settings.Level(get("LOG_LEVEL", "info")); err != nil {
		return c, err
	}
	if c.attachmentMax, err = settings.AttachmentMax(get("ATTACHMENT_MAX", "25")); err != nil {
		return c, err
	}
	access := settings.Access{
		Registration:      get("REGISTRATION", "open"),
		RegistrationToken: get("REGISTRATION_TOKEN", ""),
		TrustedProxies:    get("TRUSTED_PROXIES", ""),
	}
	c.warn = access.Warn
	if c.access, err = access.Read(); err != nil {
		return c, err
	}
	// The sender is never closed: nobody tells the program of its end.
	c.notify, _, err = settings.Notify{
		PublicURL:     get("PUBLIC_URL", ""),
		AllowNetworks: get("NOTIFY_ALLOW_NETWORKS", ""),
		IFTTT:         get("NOTIFY_IFTTT_URL", ""),
		Todoist:       get("NOTIFY_TODOIST_URL", ""),
		Linear:        get("NOTIFY_LINEAR_URL", ""),
		GoogleTasks:   get("NOTIFY_GOOGLE_TASKS_URL", ""),
		GoogleOAuth:   get("NOTIFY_GOOGLE_OAUTH_URL", ""),
	}.WithSender()
	return c, err
}
