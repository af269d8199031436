package capabilities

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v4"
)

var errNotYAML = errors.New("it is not valid YAML")

// parse reads the documents of a file. Documents without content are passed over.
func parse(text []byte) (all []Capability, err error) {
	// The parser ends itself by panics. It recovers from those it means; of the others, which would be faults
	// in it, a file must not make a crash.
	defer func() {
		if recover() != nil {
			all, err = nil, errNotYAML
		}
	}()
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotYAML, err)
	}
	size := 0
	for {
		var doc yaml.Node
		if err := loader.Load(&doc); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotYAML, err)
		}
		if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 || empty(doc.Content[0]) {
			continue
		}
		one, err := capability(doc.Content[0])
		if err != nil {
			return nil, err
		}
		size += len(one.ID) + len(one.Description)
		for _, tag := range one.Tags {
			size += len(tag)
		}
		// Only aliases make more of a text than there is.
		if size > len(text) {
			return nil, fmt.Errorf("line %d: aliases make it larger than the whole file", doc.Content[0].Line)
		}
		all = append(all, one)
	}
	return all, nil
}

// capability reads what the catalogue shows of a document. Other members, such as definition, may be
// anything.
func capability(n *yaml.Node) (Capability, error) {
	if n.Kind != yaml.MappingNode {
		return Capability{}, fmt.Errorf("line %d: must be a mapping with an id", n.Line)
	}
	one := Capability{Tags: []string{}}
	given := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i].Value, target(n.Content[i+1])
		var ok bool
		switch name {
		case "id":
			one.ID, ok = text(value)
		case "description":
			one.Description, ok = text(value)
		case "tags":
			one.Tags, ok = texts(value)
		default:
			continue
		}
		switch {
		case !ok && name == "tags":
			return Capability{}, fmt.Errorf("line %d: tags must be a list of texts", value.Line)
		case !ok:
			return Capability{}, fmt.Errorf("line %d: %s must be a text", value.Line, name)
		case given[name]:
			return Capability{}, fmt.Errorf("line %d: %s is given twice", n.Content[i].Line, name)
		}
		given[name] = true
	}
	if one.ID == "" {
		return Capability{}, fmt.Errorf("line %d: id is required", n.Line)
	}
	return one, nil
}

// target is what an alias stands for.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func empty(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// text is a scalar as it is spelled, so that 1.10 and yes stay what they are; nothing for null.
func text(n *yaml.Node) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", false
	case empty(n):
		return "", true
	}
	return n.Value, true
}

// texts is a list of scalars. One scalar is a list of one.
func texts(n *yaml.Node) ([]string, bool) {
	list := []string{}
	if n.Kind != yaml.SequenceNode {
		one, ok := text(n)
		if one != "" {
			list = append(list, one)
		}
		return list, ok
	}
	for _, item := range n.Content {
		one, ok := text(target(item))
		if !ok {
			return nil, false
		}
		if one != "" {
			list = append(list, one)
		}
	}
	return list, true
}
