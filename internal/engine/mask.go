package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// Settings are shown masked. The question is what someone could do with what leaks. A webhook's URL, a
// token or a password lets one write into a chat or open a house; an ntfy topic lets one read along and
// send false alarms, since whoever knows its name may. Settings are free-form, so no list of secrets would
// be complete: what is not known to be harmless is masked.
//
//   - The text and the number under a name of harmless are shown: they choose between things, and open none. But
//     inside headers and body of a hook the names are the receiver's, and say nothing.
//   - Of an http or https URL the scheme, the host and the port are shown, so that its owner recognises it.
//   - true, false and null are shown, and so are names of members: a mask keeps the shape of what it hides.
//   - Everything else is mask.

// mask stands for a value that is not shown, maskedRest for what followed the host of a URL.
const (
	mask       = "***"
	maskedRest = "/…"
)

// harmless are the names of members whose values are shown.
var harmless = map[string]bool{
	"type": true, "method": true, "enabled": true, "priority": true, "label": true, "labels": true,
	"at": true, "reason": true, // of what the server turned off
	"min_priority": true, "start": true, "end": true, "timezone": true, // preferences
	"service": true, "entity_id": true, "project_id": true, "section_id": true, "team_id": true, "tasklist_id": true, // hooks
}

// maxMaskDepth is how deep settings are looked into: deeper than a body may be nested. What lies below, in
// a file that something else wrote, is not shown.
const maxMaskDepth = 101

// masked returns settings as they may be shown.
func masked(settings map[string]json.RawMessage) map[string]json.RawMessage {
	shown := make(map[string]json.RawMessage, len(settings))
	for name, value := range settings {
		shown[name] = maskValue(name, value)
	}
	return shown
}

// maskValue masks the value of a member with that name.
func maskValue(name string, value json.RawMessage) json.RawMessage {
	m := &masker{in: json.NewDecoder(bytes.NewReader(value))}
	m.in.UseNumber() // shown as it is spelled
	if err := m.value(name, 1); err != nil {
		return json.RawMessage(`"` + mask + `"`)
	}
	return m.out
}

// masker writes a JSON value again, masked, with the order of members as it is.
type masker struct {
	in      *json.Decoder
	out     []byte
	foreign int // how many values around have names that are not ours
}

var errMaskDepth = errors.New("nested too deeply to be shown")

func (m *masker) value(name string, depth int) error {
	if m.foreign > 0 {
		name = ""
	}
	token, err := m.in.Token()
	if err != nil {
		return fmt.Errorf("read a setting: %w", err)
	}
	switch v := token.(type) {
	case json.Delim:
		if depth > maxMaskDepth {
			return errMaskDepth
		}
		if v == '{' {
			return m.object(depth)
		}
		return m.list(name, depth)
	case string:
		return m.text(maskText(name, v))
	case json.Number:
		if !harmless[name] {
			return m.text(mask)
		}
		m.out = append(m.out, v.String()...)
	case bool:
		m.out = fmt.Append(m.out, v)
	case nil:
		m.out = append(m.out, "null"...)
	}
	return nil
}

func (m *masker) object(depth int) error {
	m.out = append(m.out, '{')
	for first := true; m.in.More(); first = false {
		if !first {
			m.out = append(m.out, ',')
		}
		token, err := m.in.Token()
		if err != nil {
			return fmt.Errorf("read a setting: %w", err)
		}
		name, _ := token.(string) // nothing else stands there
		if err := m.text(name); err != nil {
			return err
		}
		m.out = append(m.out, ':')
		if err := m.member(name, depth+1); err != nil {
			return err
		}
	}
	return m.end('}')
}

// member masks the value of a member. What is sent to the receiver of a hook is the receiver's language.
func (m *masker) member(name string, depth int) error {
	if name == "headers" || name == "body" {
		m.foreign++
		defer func() { m.foreign-- }()
	}
	return m.value(name, depth)
}

// list masks each item as if it stood under the list's own name.
func (m *masker) list(name string, depth int) error {
	m.out = append(m.out, '[')
	for first := true; m.in.More(); first = false {
		if !first {
			m.out = append(m.out, ',')
		}
		if err := m.value(name, depth+1); err != nil {
			return err
		}
	}
	return m.end(']')
}

func (m *masker) end(bracket byte) error {
	if _, err := m.in.Token(); err != nil {
		return fmt.Errorf("read a setting: %w", err)
	}
	m.out = append(m.out, bracket)
	return nil
}

func (m *masker) text(s string) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return fmt.Errorf("write a setting: %w", err)
	}
	m.out = append(m.out, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
	return nil
}

// maskText is how a text under that name is shown. A URL is one under any name: of other schemes the host may
// be the secret, so they are hidden as a whole.
func maskText(name, s string) string {
	if !strings.Contains(s, "://") {
		if harmless[name] {
			return s
		}
		return mask
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return mask
	}
	origin := u.Scheme + "://" + u.Host
	if rest := strings.TrimPrefix(s, origin); rest == "" || rest == "/" {
		return s
	}
	return origin + maskedRest
}

// refuseMasked refuses settings that were read from this server and sent back: they would take the place of what
// the mask hides.
func refuseMasked(settings map[string]json.RawMessage) error {
	for name, value := range settings {
		if !isSetting(name) || !bytes.Contains(value, []byte(mask)) && !bytes.Contains(value, []byte("…")) && !bytes.Contains(value, []byte(`\u2026`)) {
			continue
		}
		in := json.NewDecoder(bytes.NewReader(value))
		in.UseNumber()
		for {
			token, err := in.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return fmt.Errorf("read the setting %s: %w", name, err) // not reached: the body was parsed before
			}
			if s, ok := token.(string); ok && isMask(s) {
				return refuse(exchange.CodeInvalid, name+": holds a value as it is shown, with its secret hidden; send the secret itself, or leave "+name+" out")
			}
		}
	}
	return nil
}

func isMask(s string) bool {
	return s == mask || strings.HasSuffix(s, maskedRest) && slices.ContainsFunc([]string{"http://", "https://"}, func(scheme string) bool { return strings.HasPrefix(s, scheme) })
}
