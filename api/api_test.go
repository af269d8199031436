package api_test

import (
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/mess-exchange/mess-exchange/api"
)

func load(t *testing.T, data []byte) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// Ensure the contract is valid OpenAPI, its examples included.
func TestContractIsValid(t *testing.T) {
	doc := load(t, api.OpenAPI)
	if err := doc.Validate(context.Background(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaFormatValidation()); err != nil {
		t.Fatal(err)
	}
}

// Ensure the JSON form says the same as the YAML.
func TestJSONIsTheContract(t *testing.T) {
	decode := func(doc *openapi3.T) (v any) {
		text, err := doc.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if !reflect.DeepEqual(decode(load(t, api.OpenAPI)), decode(load(t, api.JSON()))) {
		t.Error("the JSON form differs from the YAML")
	}
}

// Ensure every operation has an id, a tag, a summary and examples of what it takes and answers, and
// every error answer is an Error.
func TestOperationsAreDescribed(t *testing.T) {
	doc := load(t, api.OpenAPI)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			name := method + " " + path
			if op.OperationID == "" || op.Summary == "" || len(op.Tags) != 1 {
				t.Errorf("%s: operationId, summary or tag is missing", name)
			}
			if op.RequestBody != nil && op.RequestBody.Value.Content["*/*"] == nil && len(op.RequestBody.Value.Content.Get("application/json").Examples) == 0 {
				t.Errorf("%s: no example of its body", name)
			}
			for status, answer := range op.Responses.Map() {
				media := answer.Value.Content["application/json"]
				if status < "400" && (status == "304" || answer.Value.Content["*/*"] != nil) {
					continue // the bytes of somebody's file, or none
				}
				if media == nil || len(media.Examples) == 0 {
					t.Errorf("%s %s: no example", name, status)
				} else if status >= "400" && media.Schema.Ref != "#/components/schemas/Error" {
					t.Errorf("%s %s: not an Error", name, status)
				}
			}
		}
	}
}

// Ensure an input or output schema uses no keyword whose check the server leaves out: a default would
// have to be set, readOnly and writeOnly depend on the direction.
func TestContractUsesNoDefaults(t *testing.T) {
	for name, ref := range load(t, api.OpenAPI).Components.Schemas {
		for field, s := range ref.Value.Properties {
			if s.Value.Default != nil || s.Value.ReadOnly || s.Value.WriteOnly {
				t.Errorf("%s.%s: default, readOnly or writeOnly", name, field)
			}
		}
	}
}
