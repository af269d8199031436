// Package gen holds what is generated from the contract, api/openapi.yaml, and never edited by hand:
// gen/server (chi router, strict handlers, models) and gen/client (the Go SDK).
package gen

//go:generate go -C .. tool oapi-codegen -config oapi-codegen.yaml api/openapi.yaml
//go:generate go -C .. tool oapi-codegen -config api/client.yaml api/openapi.yaml
