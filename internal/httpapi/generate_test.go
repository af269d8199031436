package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// generator makes requests from the contract: mostly as it says, with something wrong now and then.
type generator struct {
	*rand.Rand
	operations []*operation
	keys       []string            // of exchange home; the first is used most
	values     map[string][]string // of parameters of paths, besides odd ones

	// strict is set when a request holds what the stock middleware does not look at: names given twice,
	// control characters, text after the JSON …
	strict bool
}

func newGenerator(seed uint64, keys []string, values map[string][]string) (*generator, error) {
	doc, err := contract()
	if err != nil {
		return nil, err
	}
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 0)), keys: keys, values: values}
	gate := newGate(doc, nil, Access{}, nil)
	for _, path := range slices.Sorted(maps.Keys(gate.operations)) {
		for _, method := range slices.Sorted(maps.Keys(gate.operations[path])) {
			g.operations = append(g.operations, gate.operations[path][method])
		}
	}
	return g, nil
}

// one is true once in n times.
func (g *generator) one(n int) bool { return g.IntN(n) == 0 }

func pick[T any](g *generator, from ...T) T { return from[g.IntN(len(from))] }

// sample is a request that can be made any number of times.
type sample struct {
	operation *operation
	method    string
	target    string
	header    http.Header
	body      string
	strict    bool
}

func (s sample) request() *http.Request {
	r := httptest.NewRequest(s.method, s.target, strings.NewReader(s.body))
	r.Header = s.header.Clone()
	return r
}

func (g *generator) sample() sample {
	g.strict = false
	op := pick(g, g.operations...)
	s := sample{operation: op, method: op.route.Method, header: http.Header{}}
	s.target = g.path(op) + g.query(op)
	switch {
	case g.one(20):
		s.header.Set("Authorization", pick(g, "Bearer x", "bearer "+g.keys[0], "Bearer "+foreignKey))
	case !g.one(20):
		s.header.Set("Authorization", "Bearer "+g.keys[min(g.IntN(3), len(g.keys)-1)])
	}
	if op.keyed || g.one(20) {
		g.idempotencyKey(s.header)
	}
	if op.route.Operation.OperationID == "listEvents" {
		s.header.Set("Accept", "application/json") // a stream would not end
	}
	if op.body != nil {
		s.body = g.json(op.body)
		if g.one(100) {
			s.body = pick(g, "", "null", "[]", "{", s.body[:len(s.body)/2])
		} else if g.one(100) {
			s.body += pick(g, " x", s.body, ",", "}")
			g.strict = true
		}
		if media := g.media(); media != "" {
			s.header.Set("Content-Type", media)
		}
	}
	if op.body == nil && op.route.Operation.RequestBody != nil { // somebody's file
		s.body = pick(g, "a photo", "x", strings.Repeat("y", 5000))
		s.header.Set("Content-Type", "application/octet-stream")
		g.strict = g.strict || strings.Contains(s.target, "name=") // of which the contract says only that it is a text
	}
	g.files(&s)
	s.strict = g.strict || strings.Contains(s.target, "%2e%2e") || strings.Contains(s.target, "a%2Fb")
	return s
}

// files makes half of the imports good ones. What stands in files, and which refs can name some, is beyond the
// stock middleware.
func (g *generator) files(s *sample) {
	switch s.operation.route.Operation.OperationID {
	case "exportThread":
		g.strict = true
	case "importThreads":
		g.strict = true
		if g.one(2) {
			ref := fmt.Sprintf("2026-01-%02d-I%03d", 1+g.IntN(31), g.IntN(1000))
			thread := "ref: " + ref + "\nrequestor: agent\nstatus: " + pick(g, "pending", "completed", "in-progress", "nonsense") +
				"\ncreated: 2026-01-01T00:00:00Z\nupdated: 2026-01-01T00:00:00Z\nintent: Look\n" +
				pick(g, "", "---\nfrom: agent\nreceived: 2026-01-01T00:00:00Z\nMESS:\n  - request:\n      intent: Look\n", "---\nfrom: agent\n")
			s.body = pick(g, `{"content":`+quote(thread)+`}`, `{"files":[{"name":"`+ref+`.messe-af.yaml","content":`+quote(thread)+`}]}`, thread)
		}
	}
}

// idempotencyKey adds one, often one that was used before, now and then one that is none.
func (g *generator) idempotencyKey(h http.Header) {
	switch {
	case g.one(2):
	case g.one(20):
		h.Set(idempotencyHeader, pick(g, "é", "a\x7f", strings.Repeat("k", exchange.MaxKey+1), "a\tb", "a\x00", "short"))
	case g.one(40): // the stock middleware looks at the first, or takes it for none
		h[idempotencyHeader] = pick(g, []string{"one", "two"}, []string{""})
		g.strict = true
	default:
		h.Set(idempotencyHeader, fmt.Sprintf(pick(g, "key %d, of a request", "{%d}%%2e \\ \"%[1]d\";a=b ~~~~", "%022d"), g.IntN(40)))
	}
}

func (g *generator) media() string {
	if g.one(20) {
		return pick(g, "", "text/plain", "application/xml", "json")
	}
	return pick(g, "application/json", "application/json", "Application/JSON", "application/json; charset=utf-8")
}

func (g *generator) path(op *operation) string {
	path := op.route.Path
	for _, p := range op.path {
		value := "home"
		if p.Name != "exchange_id" {
			value = pick(g, append(g.values[p.Name], "nobody", "2026-02-01-XY1Z", "%2e%2e", "a%20b")...)
		} else if g.one(20) {
			value = pick(g, "office", "nowhere", "-x", "a%2Fb", strings.Repeat("y", 65))
		}
		path = strings.ReplaceAll(path, "{"+p.Name+"}", value)
	}
	return path
}

func (g *generator) query(op *operation) string {
	var pairs []string
	for _, p := range op.query {
		for range pick(g, 0, 0, 1, 1, 1) {
			value := g.parameter(p.Schema.Value)
			switch p.Name {
			case "cursor":
				g.strict = true // no text that the contract allows is one
			case "wait": // which the handler reads, and which must not take long here
				value = pick(g, "0", "0s", "1ms", "61", "1h", "-1s", "", "soon", "1m2")
				g.strict = true
			}
			pairs = append(pairs, p.Name+"="+strings.NewReplacer(" ", "%20", `\`, "%5C", `"`, "%22", "{", "%7B", "}", "%7D", "\xff", "%FF", "&", "%26", "#", "%23", ";", "%3B", "%", "%25").Replace(value))
		}
	}
	if g.one(4) {
		pairs = append(pairs, pick(g, "page=2", "x", "status[]=x"))
	}
	if len(pairs) == 0 {
		return ""
	}
	return "?" + strings.Join(pairs, "&")
}

// parameter writes a value for a parameter, a list with commas in it.
func (g *generator) parameter(s *openapi3.Schema) string {
	if !s.Type.Is(openapi3.TypeArray) {
		return strings.Trim(g.json(s), `"`)
	}
	if g.one(24) {
		return pick(g, "", ",", "urgent,", "x", "pending")
	}
	items := make([]string, 1+g.IntN(3))
	for i := range items {
		items[i] = strings.Trim(g.json(s.Items.Value), `"`)
	}
	return strings.Join(items, ",")
}

// json writes a value for the schema.
func (g *generator) json(s *openapi3.Schema) string {
	if g.one(24) {
		return g.any(3)
	}
	switch {
	case len(s.Enum) > 0:
		return quote(fmt.Sprint(pick(g, s.Enum...)))
	case len(s.OneOf) > 0:
		return g.json(pick(g, s.OneOf...).Value)
	case len(s.AllOf) > 0:
		return g.json(s.AllOf[0].Value)
	case s.Type.Is(openapi3.TypeString):
		return g.string(s)
	case s.Type.Is(openapi3.TypeInteger) && s.Max == nil:
		return strconv.Itoa(g.IntN(50) - 1)
	case s.Type.Is(openapi3.TypeInteger):
		return strconv.Itoa(g.IntN(int(*s.Max) + 2))
	case s.Type.Is(openapi3.TypeBoolean):
		return pick(g, "true", "false")
	case s.Type.Is(openapi3.TypeArray):
		items := make([]string, g.IntN(4))
		for i := range items {
			items[i] = g.json(s.Items.Value)
		}
		return "[" + strings.Join(items, g.space()+","+g.space()) + "]"
	case s.Type.Is(openapi3.TypeObject):
		return g.object(s)
	}
	return g.any(3)
}

func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings marshal
	}
	return string(text)
}

func (g *generator) string(s *openapi3.Schema) string {
	switch {
	case s.Pattern != "" && s.MaxLength != nil:
		return quote(pick(g, "my-phone", "a.b_c", "X", "..", "é", "", strings.Repeat("z", 64), "phone-"+strconv.Itoa(g.IntN(1000))))
	case s.Pattern != "":
		return quote(pick(g, "22:00", "00:59", "24:00", "7:00"))
	case s.Format == "date-time":
		return quote(pick(g, "2026-02-01T22:00:00Z", "2026-02-01T22:00:00.5+01:00", "tomorrow", "2026-02-30T00:00:00Z"))
	case g.one(60):
		g.strict = true
		return pick(g, `"a\u0000b"`, `"\u007f"`, `"\ud800"`, "\"\xff\"", `"\u0085"`)
	}
	return pick(g, `"Check the door"`, `"é 😀 \u00e9 \ud83d\ude00"`, `"<script>&amp;\/"`, `"a\tb\nc"`, `""`, `"data:image/png;base64,iVBORw0KGgo="`, `"`+strings.Repeat("long ", 200)+`"`)
}

func (g *generator) space() string { return pick(g, "", "", "", " ", "\n\t", "\r\n") }

func (g *generator) object(s *openapi3.Schema) string {
	var members []string
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		required := slices.Contains(s.Required, name)
		if required && !g.one(24) || !required && g.one(3) {
			members = append(members, quote(name)+g.space()+":"+g.space()+g.json(s.Properties[name].Value))
		}
	}
	if g.one(3) {
		members = append(members, pick(g, `"note"`, `"ref"`, `"status2"`, `"Intent"`, `"<>"`)+":"+g.any(3))
	}
	if len(members) > 0 && g.one(100) {
		members = append(members, pick(g, members...))
		g.strict = true
	}
	g.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return "{" + g.space() + strings.Join(members, g.space()+","+g.space()) + g.space() + "}"
}

// any writes any JSON value.
func (g *generator) any(depth int) string {
	if depth == 0 {
		return "null"
	}
	switch g.IntN(9) {
	case 0:
		return "[" + g.any(depth-1) + "," + g.any(depth-1) + "]"
	case 1:
		return `{"a":` + g.any(depth-1) + `,"b":` + g.any(depth-1) + "}"
	case 2:
		return pick(g, "12345678901234567890123", "2.50", "-0", "1E+2", "0.0")
	}
	return pick(g, "null", "true", "false", "0", "7", `""`, `"x"`, "[]", "{}")
}
