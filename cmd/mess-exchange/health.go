package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// healthTime bounds the question, so that a container's health check never hangs.
const healthTime = 3 * time.Second

// health asks the server that these settings describe whether it answers. It does not ask the storage.
func health(ctx context.Context, c *config, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, healthTime)
	defer cancel()
	url := c.url(c.Port, "127.0.0.1") + "/health"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("HOST: %w", err)
	}
	// Neither a proxy nor a redirect leads to the server on this machine.
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: noRedirect,
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	defer res.Body.Close()
	var answer struct{ Status, Service, Version string }
	err = json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&answer)
	if err != nil || res.StatusCode != http.StatusOK || answer.Service != "mess-exchange" || answer.Status != "ok" {
		return fmt.Errorf("%s is not answered by a healthy mess-exchange (status %d)", url, res.StatusCode)
	}
	fmt.Fprintln(stdout, "ok", answer.Version)
	return nil
}
