package messeaf

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// document is one YAML document: its value as JSON, and the tree it was read from, by which the lines
// of its parts are found.
type document struct {
	file  string
	above int
	node  *yaml.Node
	json  json.RawMessage
}

// readDocument parses one document and converts it to JSON: members in their order, numbers as they
// are spelled, all other scalars by the core schema of YAML 1.2.
func readDocument(file string, c chunk) (*document, *Error) {
	if err := checkSize(file, c); err != nil {
		return nil, err
	}
	node, err := compose(file, c)
	if err != nil {
		return nil, err
	}
	d := &document{file: file, above: c.above, node: node}
	v := &converter{document: d, out: make([]byte, 0, len(c.text))}
	if err := v.value(node, 1); err != nil {
		return nil, err
	}
	d.json = v.out
	return d, nil
}

var errDepth = errors.New("nested too deeply")

// compose runs the parser, which makes nodes and decides nothing.
func compose(file string, c chunk) (node *yaml.Node, refused *Error) {
	// The parser ends itself by panics. It recovers from those it means; of the others, which would be
	// faults in it, somebody's file must not make a crash.
	defer func() {
		if recover() != nil {
			node, refused = nil, &Error{File: show(file), Line: c.above + 1, Problem: "is not valid YAML"}
		}
	}()
	limits := loaderlimits.New(loaderlimits.DepthFunc(func(depth int, _ *yaml.DepthContext) error {
		if depth > maxDepth {
			return errDepth
		}
		return nil
	}))
	loader, err := yaml.NewLoader(bytes.NewReader(c.text), yaml.WithPlugin(limits))
	if err != nil {
		return nil, notYAML(file, c, err)
	}
	var doc, next yaml.Node
	if err := loader.Load(&doc); err != nil {
		return nil, notYAML(file, c, err)
	}
	if err := loader.Load(&next); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, notYAML(file, c, err)
		}
		return nil, &Error{File: show(file), Line: c.above + next.Line, Problem: "a document must begin with a line ---"}
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, &Error{File: show(file), Line: c.above + 1, Problem: "is not valid YAML"}
	}
	return doc.Content[0], nil
}

func notYAML(file string, c chunk, err error) *Error {
	e := &Error{File: show(file), Line: c.above + 1, Problem: "is not valid YAML"}
	var load *yaml.LoadError
	if !errors.As(err, &load) {
		return e
	}
	if load.Mark.Line > 0 {
		e.Line = c.above + load.Mark.Line
	}
	switch {
	case strings.Contains(load.Message, errDepth.Error()) || errors.Is(err, errDepth):
		e.Problem = tooDeep
	case load.Message != "":
		e.Problem += ": " + show(strings.TrimPrefix(load.Message, "yaml: "))
	}
	return e
}

var tooDeep = "is nested too deeply, at most " + strconv.Itoa(maxDepth) + " levels are allowed"

// converter appends the JSON of nodes.
type converter struct {
	*document
	out []byte
}

func (d *document) refuse(n *yaml.Node, problem string) *Error {
	return &Error{File: show(d.file), Line: d.above + n.Line, Problem: problem}
}

// value appends the JSON of a node; one that holds others is depth levels deep.
func (v *converter) value(n *yaml.Node, depth int) *Error {
	switch {
	case n.Kind == yaml.AliasNode:
		return v.refuse(n, "aliases (*name) are not part of the format")
	case n.Anchor != "":
		return v.refuse(n, "anchors (&name) are not part of the format")
	case n.Style&yaml.TaggedStyle != 0:
		return v.refuse(n, "tags (!name) are not part of the format")
	case n.Kind != yaml.ScalarNode && depth > maxDepth:
		return v.refuse(n, tooDeep)
	}
	switch n.Kind {
	case yaml.MappingNode:
		return v.object(n, depth)
	case yaml.SequenceNode:
		v.out = append(v.out, '[')
		for i, item := range n.Content {
			if i > 0 {
				v.out = append(v.out, ',')
			}
			if err := v.value(item, depth+1); err != nil {
				return err
			}
		}
		v.out = append(v.out, ']')
		return nil
	}
	return v.scalar(n)
}

func (v *converter) object(n *yaml.Node, depth int) *Error {
	names := make(map[string]struct{}, len(n.Content)/2)
	v.out = append(v.out, '{')
	for i := 0; i+1 < len(n.Content); i += 2 {
		if i > 0 {
			v.out = append(v.out, ',')
		}
		key := n.Content[i]
		if err := v.key(key); err != nil {
			return err
		}
		if _, twice := names[key.Value]; twice {
			return v.refuse(key, "the key "+strconv.Quote(show(key.Value))+" is given twice")
		}
		names[key.Value] = struct{}{}
		v.out = append(v.out, ':')
		if err := v.value(n.Content[i+1], depth+1); err != nil {
			return err
		}
	}
	v.out = append(v.out, '}')
	return nil
}

func (v *converter) key(n *yaml.Node) *Error {
	if n.Kind == yaml.ScalarNode && plain(n) && n.Value == "<<" {
		return v.refuse(n, "merge keys (<<) are not part of the format")
	}
	begin := len(v.out)
	if err := v.value(n, maxDepth); err != nil {
		return err
	}
	if v.out[begin] != '"' {
		return v.refuse(n, "a key must be a text, in quotes where it looks like a number or another value")
	}
	return nil
}

// plain reports whether a scalar stands there without quotes, so that its text decides what it is.
func plain(n *yaml.Node) bool {
	return n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
}

// jsonNumber is what may stand as a number. Everything in otherNumber is one for the core schema of
// YAML 1.2, but readers differ on its value (010 is eight or ten), or JSON can't spell it.
var (
	jsonNumber  = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)
	otherNumber = regexp.MustCompile(`^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+)$`)
	notFinite   = regexp.MustCompile(`^([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$`)
)

func (v *converter) scalar(n *yaml.Node) *Error {
	if !plain(n) {
		return v.text(n)
	}
	switch n.Value {
	case "", "~", "null", "Null", "NULL":
		v.out = append(v.out, "null"...)
		return nil
	case "true", "True", "TRUE":
		v.out = append(v.out, "true"...)
		return nil
	case "false", "False", "FALSE":
		v.out = append(v.out, "false"...)
		return nil
	}
	if c := n.Value[0]; !(c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.') {
		return v.text(n)
	}
	switch {
	case jsonNumber.MatchString(n.Value):
		if f, err := strconv.ParseFloat(n.Value, 64); err != nil || math.IsInf(f, 0) {
			return v.refuse(n, show(n.Value)+" is a number that is too large")
		}
		v.out = append(v.out, n.Value...)
		return nil
	case notFinite.MatchString(n.Value):
		return v.refuse(n, n.Value+" is not a finite number; put it in quotes if it is a text")
	case otherNumber.MatchString(n.Value):
		return v.refuse(n, show(n.Value)+" is a number that readers understand in different ways; write it as in JSON, or put it in quotes if it is a text")
	}
	return v.text(n)
}

func (v *converter) text(n *yaml.Node) *Error {
	if hasControl(n.Value) {
		return v.refuse(n, "holds a control character")
	}
	out, err := jsontext.AppendQuote(v.out, n.Value)
	if err != nil {
		return v.refuse(n, "is not UTF-8")
	}
	v.out = out
	return nil
}

// at makes an error of a problem, with the line of the part of the document that it is about, or of
// the nearest around it.
func (d *document) at(p *problem) *Error {
	n := d.node
	line := n.Line
	for _, step := range p.path {
		if n = child(n, step); n == nil {
			break
		}
		line = n.Line
	}
	return &Error{File: show(d.file), Line: d.above + line, Problem: p.String()}
}

func child(n *yaml.Node, step any) *yaml.Node {
	switch step := step.(type) {
	case string:
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == step {
				return n.Content[i+1]
			}
		}
	case int:
		if n.Kind == yaml.SequenceNode && step < len(n.Content) {
			return n.Content[step]
		}
	}
	return nil
}
