package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// wholes are values that are maps of the user's own: one setting, not one for each thing in them.
var wholes = []string{"ingress.annotations", "resources", "podSecurityContext"}

// TestValuesAreDocumented holds the table of docs/kubernetes.md to values.yaml: each value has a line with its
// default, and no line is about a value that is not there.
func TestValuesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	row := regexp.MustCompile("(?m)^\\| `([A-Za-z0-9.]+)` \\| (.+?) \\| .+ \\|$")
	for _, found := range row.FindAllStringSubmatch(string(page), -1) {
		documented[found[1]] = found[2]
	}
	values := chartValues(t)
	for name, value := range values {
		want := "`" + shown(t, value) + "`"
		if slices.Contains(wholes, name) {
			want = "see the file"
		}
		switch got, ok := documented[name]; {
		case !ok:
			t.Errorf("docs/kubernetes.md has no line about %s", name)
		case got != want:
			t.Errorf("docs/kubernetes.md says that %s is %s unless set; it is %s", name, got, want)
		}
	}
	for name := range documented {
		if _, ok := values[name]; !ok {
			t.Errorf("docs/kubernetes.md has a line about %s, which is no value", name)
		}
	}
}

// TestSchemaKnowsTheValues holds values.schema.json, which refuses what it does not know, to values.yaml.
func TestSchemaKnowsTheValues(t *testing.T) {
	source, err := os.ReadFile("../helm/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root schema
	if err := json.Unmarshal(source, &root); err != nil {
		t.Fatal(err)
	}
	delete(root.Properties, "global") // helm's own
	known := root.leaves("", t)
	values := slices.Sorted(maps.Keys(chartValues(t)))
	slices.Sort(known)
	if !slices.Equal(known, values) {
		t.Errorf("values.schema.json knows\n%s\nvalues.yaml has\n%s", strings.Join(known, " "), strings.Join(values, " "))
	}
}

// schema is the part of a JSON schema that says which values there may be.
type schema struct {
	Properties           map[string]schema `json:"properties"`
	AdditionalProperties json.RawMessage   `json:"additionalProperties"`
}

// leaves are the names of the values in it. Each of its objects must be closed.
func (s schema) leaves(prefix string, t *testing.T) []string {
	if string(s.AdditionalProperties) != "false" {
		t.Errorf("values.schema.json: %q takes what it does not know", prefix)
	}
	var names []string
	for name, value := range s.Properties {
		if value.Properties == nil {
			names = append(names, prefix+name)
		} else {
			names = append(names, value.leaves(prefix+name+".", t)...)
		}
	}
	return names
}

// chartValues are the settings of values.yaml by their full names.
func chartValues(t *testing.T) map[string]any {
	t.Helper()
	source, err := os.ReadFile("../helm/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var root map[string]any
	if err := yaml.Unmarshal(source, &root); err != nil {
		t.Fatal(err)
	}
	values := map[string]any{}
	collect(values, "", root)
	return values
}

func collect(values map[string]any, prefix string, in map[string]any) {
	for key, value := range in {
		name := prefix + key
		if below, ok := value.(map[string]any); ok && len(below) > 0 && !slices.Contains(wholes, name) {
			collect(values, name+".", below)
			continue
		}
		values[name] = value
	}
}

// shown is how the table has a default.
func shown(t *testing.T, value any) string {
	t.Helper()
	if text, ok := value.(string); ok && text != "" {
		return text
	}
	if _, ok := value.(int); ok {
		return fmt.Sprint(value)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
