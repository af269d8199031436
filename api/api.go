// Package api embeds the contract, openapi.yaml. The server validates every request with it and serves
// it as it stands; the code in gen is generated from it. The overlays beside it change only what is
// generated, never what is served.
package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"go.yaml.in/yaml/v4"
)

// OpenAPI is the contract, an OpenAPI 3.0.3 document in YAML.
//
//go:embed openapi.yaml
var OpenAPI []byte

// JSON returns the contract as JSON, its members in the order of the YAML. It is converted once; do
// not change it.
var JSON = sync.OnceValue(func() []byte {
	var doc yaml.Node
	if err := yaml.Unmarshal(OpenAPI, &doc); err != nil {
		panic(fmt.Sprintf("api: the embedded contract: %v", err)) // a test reads it
	}
	return appendNode(nil, doc.Content[0])
})

func appendNode(dst []byte, n *yaml.Node) []byte {
	switch n.Kind {
	case yaml.AliasNode:
		return appendNode(dst, n.Alias)
	case yaml.MappingNode:
		dst = append(dst, '{')
		for i := 0; i < len(n.Content); i += 2 {
			if i > 0 {
				dst = append(dst, ',')
			}
			// A key is a name whatever it looks like: 200 is "200".
			dst = append(appendString(dst, n.Content[i].Value), ':')
			dst = appendNode(dst, n.Content[i+1])
		}
		return append(dst, '}')
	case yaml.SequenceNode:
		dst = append(dst, '[')
		for i, item := range n.Content {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendNode(dst, item)
		}
		return append(dst, ']')
	}
	return appendScalar(dst, n)
}

// appendScalar relies on the contract's numbers and booleans being spelled as JSON spells them, which
// a test checks by reading the result.
func appendScalar(dst []byte, n *yaml.Node) []byte {
	switch n.ShortTag() {
	case "!!int", "!!float", "!!bool":
		return append(dst, n.Value...)
	case "!!null":
		return append(dst, "null"...)
	}
	return appendString(dst, n.Value)
}

func appendString(dst []byte, s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("api: quote %q: %v", s, err)) // strings always marshal
	}
	return append(dst, quoted...)
}
