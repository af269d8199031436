package channel

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// limits say what is wrong with a body, by what the receivers document. They are written down here once more, from the
// outside, so that a constant of the package that is changed by mistake is found.
var limits = map[string]func(body []byte) string{
	"ntfy": func(body []byte) string {
		var p struct {
			Title, Message string
			Priority       int
			Tags           []string
			Actions        []any
		}
		if err := json.Unmarshal(body, &p); err != nil {
			return err.Error()
		}
		if len(body) > 8192 || len(p.Message) > 4096 || len(p.Title) > 1024 || len(strings.Join(p.Tags, ",")) > 512 || p.Message == "" ||
			p.Priority < 1 || p.Priority > 5 || len(p.Actions) > 3 {
			return fmt.Sprintf("%d bytes, %d of the message, %d of the title, priority %d, %d actions", len(body), len(p.Message), len(p.Title), p.Priority, len(p.Actions))
		}
		return ""
	},
	"slack": func(body []byte) string {
		type text struct{ Type, Text string }
		var m struct {
			Text   string
			Blocks []struct {
				Type     string
				Text     text
				Fields   []text
				Elements []struct{ URL string }
			}
		}
		if err := json.Unmarshal(body, &m); err != nil {
			return err.Error()
		}
		if bad := entities(m.Text, 40_000); bad != "" || len(m.Blocks) > 50 {
			return bad
		}
		for _, b := range m.Blocks {
			most := map[string]int{"header": 150, "section": 3000}[b.Type]
			if bad := entities(b.Text.Text, most); bad != "" || most > 0 && len(b.Fields) == 0 && b.Text.Text == "" || len(b.Fields) > 10 {
				return b.Type + ": " + bad
			}
			for _, f := range b.Fields {
				if bad := entities(f.Text, 2000); bad != "" {
					return bad
				}
			}
		}
		return ""
	},
	"google_chat": func(body []byte) string {
		var m struct{ Text string }
		if err := json.Unmarshal(body, &m); err != nil {
			return err.Error()
		}
		if len(body) > 32_000 || strings.Contains(strings.ReplaceAll(m.Text, "<\u200b", ""), "<") {
			return fmt.Sprintf("%d bytes", len(body))
		}
		return ""
	},
	"webhook": func(body []byte) string {
		if len(body) > 64<<10 {
			return fmt.Sprintf("%d bytes", len(body))
		}
		return ""
	},
}

// entities says what is wrong with a text of Slack: too many characters, or one of & < > that is no entity.
func entities(s string, most int) string {
	if n := utf8.RuneCountInString(s); n > most {
		return fmt.Sprintf("%d characters", n)
	}
	rest := strings.NewReplacer("&amp;", "", "&lt;", "", "&gt;", "").Replace(s)
	if strings.ContainsAny(rest, "&<>") {
		return "not escaped: " + rest
	}
	return ""
}
