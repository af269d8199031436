package template

import (
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
)

func variables(t testing.TB, object string) Variables {
	t.Helper()
	var v Variables
	d := json.NewDecoder(strings.NewReader(object))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// Ensure that templates mean what they meant to the original server.
func TestText(t *testing.T) {
	vars := variables(t, `{"ref":"R","intent":"a <b> {{ref}} & c","n":1.50,"yes":true,"none":null,"o":{"p":{"q":"deep"},"l":["x",{"y":"z"}]},"e":"","a.b":"no"}`)
	for template, want := range map[string]string{
		"plain":                      "plain",
		"{{ref}}":                    "R",
		"<{{ref}}>{{ref}}":           "<R>R",
		"{{intent}}":                 "a <b> {{ref}} & c", // not looked at again
		"{{n}} {{yes}}":              "1.50 true",
		"[{{none}}{{missing}}{{e}}]": "[]",
		"{{o.p.q}}":                  "deep",
		"{{o.p}}":                    `{"q":"deep"}`,
		"{{o.l}}":                    `["x",{"y":"z"}]`,
		"{{o.l.0}}{{o.l.1.y}}":       "xz",
		"[{{o.l.2}}{{o.l.-1}}{{o.l.y}}{{ref.x}}{{o..p}}{{.}}{{a.b}}]": "[{{o.l.-1}}]",
		"{{ ref }} {{}} {{re f}}":                                     "{{ ref }} {{}} {{re f}}",
		"{{{ref}}}":                                                   "{R}",
		"{{ref}":                                                      "{{ref}",
		"{{réf}}":                                                     "{{réf}}",
		"{{REF}}":                                                     "",
	} {
		got, err := New(vars).Text(template)
		if err != nil || got != want {
			t.Errorf("%s: got %q %v, want %q", template, got, err, want)
		}
	}
}

func TestJSON(t *testing.T) {
	vars := variables(t, `{"ref":"R","intent":"say \"hi\",\n<b>\\"}`)
	for document, want := range map[string]string{
		`{"b": "{{ref}}", "a": [1.50, 12345678901234567890, true, null, "x{{ref}}"], "{{ref}}": {}}`: `{"b":"R","a":[1.50,12345678901234567890,true,null,"xR"],"{{ref}}":{}}`,
		`"{{intent}}"`: `"say \"hi\",\n<b>\\"`,
		`[]`:           `[]`,
		`7`:            `7`,
	} {
		got, err := New(vars).JSON(json.RawMessage(document))
		if err != nil || string(got) != want {
			t.Errorf("%s\n got %s %v\nwant %s", document, got, err, want)
		}
	}
	for _, broken := range []string{``, `{`, `[1`, `{"a"`, strings.Repeat("[", 200) + strings.Repeat("]", 200)} {
		if got, err := New(vars).JSON(json.RawMessage(broken)); err == nil {
			t.Errorf("%.20s became %s", broken, got)
		}
	}
}

// Ensure that no value leaves the place in a URL or a header that the template gave it.
func TestEscaping(t *testing.T) {
	for value, want := range map[string]string{
		"a b":       "https://h/x/a%20b?q=a%20b&z=1",
		"../..":     "https://h/x/..%2F..?q=..%2F..&z=1",
		"..":        "https://h/x/%2E%2E?q=%2E%2E&z=1",
		"a?b=c&d#e": "https://h/x/a%3Fb%3Dc%26d%23e?q=a%3Fb%3Dc%26d%23e&z=1",
		"é@%":       "https://h/x/%C3%A9%40%25?q=%C3%A9%40%25&z=1",
		"v1.2_-~":   "https://h/x/v1.2_-~?q=v1.2_-~&z=1",
	} {
		got, err := New(Variables{"v": value}).URL("https://h/x/{{v}}?q={{v}}&z=1")
		if err != nil || got != want {
			t.Errorf("%q: got %s %v, want %s", value, got, err, want)
		}
		u, err := url.Parse(got)
		if err != nil || u.Query().Get("q") != value || u.Path != "/x/"+value || u.Host != "h" {
			t.Errorf("%q is read as %v %v", value, u, err)
		}
	}
	if got, err := New(Variables{"v": "a\r\nX-Evil: 1\x00\x7f\tb"}).Header("{{v}}\n"); err != nil || got != "aX-Evil: 1\tb" {
		t.Errorf("%q %v", got, err)
	}
}

// Ensure that a template that expands to a lot is an error before it is a lot of memory, and that the budget is
// that of the request, not of each of its texts.
func TestBudget(t *testing.T) {
	vars := Variables{"intent": strings.Repeat("€", 10<<20/3)}
	if got, err := New(vars).Text("{{intent}}"); err != nil || len(got) > MaxValue || len(got) < MaxValue-3 || !strings.HasSuffix(got, "€…") {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := New(vars).Text(strings.Repeat("{{intent}}", 10_000)); !errors.Is(err, ErrTooLong) {
		t.Errorf("%v", err)
	}
	x := New(vars)
	document := json.RawMessage(`["` + strings.Repeat("{{intent}}", 20) + `"]`)
	if _, err := x.JSON(document); err != nil {
		t.Errorf("%v", err)
	}
	if _, err := x.JSON(document); !errors.Is(err, ErrTooLong) {
		t.Errorf("%v", err)
	}
	if _, err := New(vars).Text(strings.Repeat("x", MaxExpansion+1)); !errors.Is(err, ErrTooLong) {
		t.Errorf("%v", err)
	}
}

func TestPrefix(t *testing.T) {
	for text, want := range map[string]string{"https://h/{{a}}": "https://h/", "{{a}}": "", "https://{h}/": "https://{h}/"} {
		if got := Prefix(text); got != want || Has(text) != (want != text) {
			t.Errorf("%s: %q %v", text, got, Has(text))
		}
	}
}

// FuzzJSON: whatever the document and the values, what comes out is JSON of the same shape, within the budget.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":["{{v}}",1.0]}`), `"},{`)
	f.Add([]byte(`"{{v}}{{v}}"`), "\x00\xff")
	f.Fuzz(func(t *testing.T, document []byte, value string) {
		if !json.Valid(document) {
			return
		}
		got, err := New(Variables{"v": value}).JSON(document)
		if err != nil {
			return
		}
		var before, after any
		if json.Unmarshal(document, &before) != nil {
			return // numbers that no float holds
		}
		if err := json.Unmarshal(got, &after); err != nil || !sameShape(before, after) {
			t.Fatalf("%s with %q became %s: %v", document, value, got, err)
		}
	})
}

func sameShape(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for name := range a {
			if other, ok := b[name]; !ok || !sameShape(a[name], other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !sameShape(a[i], b[i]) {
				return false
			}
		}
		return true
	case string:
		_, ok := b.(string)
		return ok
	}
	return a == b
}
