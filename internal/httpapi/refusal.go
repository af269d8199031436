package httpapi

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
)

// refusalExtension is the member of a schema that says in words what its pattern or its alternatives
// demand.
const refusalExtension = "x-refusal"

// fieldPath leads to a value in a body: names of members and numbers of items.
type fieldPath []string

// String writes mess[0].status.code. Names are the client's own words, so they are cut.
func (p fieldPath) String() string {
	if len(p) == 0 {
		return "body"
	}
	var out strings.Builder
	for i, name := range p {
		switch {
		case i > 0 && isNumber(name):
			out.WriteString("[" + name + "]")
			continue
		case i > 0:
			out.WriteByte('.')
		}
		if name = clip(name, 64); hasControl(name) {
			name = strconv.QuoteToASCII(name)
		}
		out.WriteString(name)
	}
	return clip(out.String(), 256)
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// clip cuts s to at most n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// explain turns what kin-openapi says about a value into one sentence that names the field and what
// it must be. Neither the value nor the schema's text gets into it.
func explain(path fieldPath, err error) error {
	var e *openapi3.SchemaError
	if !errors.As(err, &e) {
		return invalid("%s: is not allowed", path)
	}
	path = append(path[:len(path):len(path)], e.JSONPointer()...)
	if e.SchemaField == "required" {
		return invalid("%s: is required", path)
	}
	if branch := branchFor(e); branch != nil {
		if inner := branch.VisitJSON(e.Value); inner != nil {
			return explain(path, inner)
		}
	}
	return invalid("%s: %s", path, demand(e))
}

// branchFor returns which alternative of a combined schema the value was meant to be: the one whose
// type member allows the value's, else the last one. Nil where the schema is not combined, or says
// itself what it demands.
func branchFor(e *openapi3.SchemaError) *openapi3.Schema {
	if _, says := e.Schema.Extensions[refusalExtension]; says {
		return nil
	}
	switch e.SchemaField {
	case "allOf":
		for _, ref := range e.Schema.AllOf {
			if ref.Value.VisitJSON(e.Value) != nil {
				return ref.Value
			}
		}
	case "oneOf":
		object, _ := e.Value.(map[string]any)
		for _, ref := range e.Schema.OneOf {
			if kind := ref.Value.Properties["type"]; kind != nil && object != nil && kind.Value.VisitJSON(object["type"]) == nil {
				return ref.Value
			}
		}
		return e.Schema.OneOf[len(e.Schema.OneOf)-1].Value
	}
	return nil
}

// demand says what the schema wants of the value.
func demand(e *openapi3.SchemaError) string {
	s := e.Schema
	switch e.SchemaField {
	case "pattern", "oneOf":
		if words, says := s.Extensions[refusalExtension].(string); says {
			return words
		}
	case "nullable":
		if s.Type == nil {
			return "must not be null"
		}
		return "must be " + typeName(s)
	case "type":
		return "must be " + typeName(s)
	case "enum":
		words := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			words[i] = fmt.Sprint(v)
		}
		return "must be one of " + strings.Join(words, ", ")
	case "minItems":
		return "must not be empty"
	case "minLength":
		return "must not be empty"
	case "maxLength":
		return fmt.Sprintf("must have at most %d characters", *s.MaxLength)
	case "minimum":
		return fmt.Sprintf("must be at least %v", *s.Min)
	case "maximum":
		return fmt.Sprintf("must be at most %v", *s.Max)
	case "format":
		return "must be a date and time such as 2026-02-01T22:00:00Z"
	}
	return "is not allowed"
}

func typeName(s *openapi3.Schema) string {
	switch {
	case s.Type.Is(openapi3.TypeString):
		return "a string"
	case s.Type.Is(openapi3.TypeInteger):
		return "a whole number"
	case s.Type.Is(openapi3.TypeNumber):
		return "a number"
	case s.Type.Is(openapi3.TypeBoolean):
		return "true or false"
	case s.Type.Is(openapi3.TypeArray):
		return "a list"
	case s.Type.Is(openapi3.TypeObject):
		return "an object"
	}
	return "something else"
}
