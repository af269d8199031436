package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
)

const (
	// registerTime is what the server may take. It answers everyone within ten seconds; a body may take longer.
	registerTime = 30 * time.Second
	// maxRegistered is the longest answer that is read.
	maxRegistered = 64 << 10
)

// registration are the flags of the register command.
type registration struct {
	URL          string   `name:"url" help:"Where the server is; none is the one that runs on this machine."`
	Exchange     string   `required:"" help:"The exchange to join. The first to join it opens it."`
	ID           string   `name:"id" required:"" help:"The executor's id."`
	Name         string   `help:"Its name for people; none is its id."`
	Capabilities []string `name:"capability" sep:"none" help:"Something it can do, such as photo:capture; may be given again."`
}

// registerExecutor joins an exchange of a running server and prints the API key, and nothing else, so that a
// script can take it. The registration token comes from REGISTRATION_TOKEN.
func registerExecutor(ctx context.Context, c *config, stdout io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, registerTime)
	defer cancel()
	req, err := c.registerRequest(ctx)
	if err != nil {
		return err
	}
	// A redirect would take the token elsewhere, and make a GET of this.
	client := http.Client{CheckRedirect: noRedirect}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no answer, so %s may be registered or not: %w", c.Register.ID, unwrapped(err))
	}
	defer res.Body.Close()
	var answer struct {
		Key   string `json:"api_key"`
		Error string `json:"error"`
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxRegistered))
	if err != nil {
		return fmt.Errorf("the answer broke off, so its API key is lost: %w", err)
	}
	err = json.Unmarshal(text, &answer)
	switch {
	case err == nil && res.StatusCode == http.StatusCreated && answer.Key != "" && answer.Key == printable(answer.Key):
		fmt.Fprintln(stdout, answer.Key)
		return nil
	case err == nil && answer.Error != "":
		return fmt.Errorf("refused with %d: %s%s", res.StatusCode, printable(answer.Error), again(res))
	}
	return fmt.Errorf("%s is not answered by a mess-exchange (status %d)", req.URL.Redacted(), res.StatusCode)
}

func (c *config) registerRequest(ctx context.Context) (*http.Request, error) {
	r := &c.Register
	base, err := c.serverURL(r.URL)
	if err != nil {
		return nil, err
	}
	if r.Exchange == "" {
		return nil, errors.New("--exchange: must not be empty")
	}
	body := map[string]any{"executor_id": r.ID}
	if r.Name != "" {
		body["display_name"] = r.Name
	}
	if len(r.Capabilities) > 0 {
		body["capabilities"] = r.Capabilities
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode the registration: %w", err)
	}
	address := base + "/api/v1/exchanges/" + url.PathEscape(r.Exchange) + "/register"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("--url: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.RegistrationToken != "" {
		req.Header.Set("X-Registration-Token", c.RegistrationToken)
	}
	return req, nil
}

// again says when a refusal for now may be tried again.
func again(res *http.Response) string {
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil {
		return fmt.Sprintf(" (in %d s)", seconds)
	}
	return ""
}

// noRedirect makes a client return an answer that leads elsewhere, rather than follow it.
func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// unwrapped is what went wrong, without the URL, which may hold a password.
func unwrapped(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// printable makes a server's text harmless to a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
}
