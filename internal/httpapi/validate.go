package httpapi

import (
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/go-chi/chi/v5"
	"golang.org/x/sync/semaphore"
)

// gate lets requests through to the handlers: those whose key opens the exchange, and that are as the
// contract says.
type gate struct {
	exchange   Exchange
	access     Access
	router     *chi.Mux
	room       *semaphore.Weighted              // bytes of large bodies in memory
	operations map[string]map[string]*operation // by chi's pattern, which is the contract's path, and by method

	registrations, wrongKeys attempts[netip.Addr] // by the address they come from
}

// operation is what the contract says about a method of a path, or Unmatched.
type operation struct {
	id       string
	answered Answered

	secured   bool // it takes an API key
	registers bool // it takes the registration token, where there is one
	keyed     bool // it takes an Idempotency-Key
	path      []*openapi3.Parameter
	strict    []*openapi3.Parameter // those of path that may not be any text, as every part of a path is
	query     []*openapi3.Parameter
	queries   memo             // that have passed: a program asks the same again and again
	body      *openapi3.Schema // nil where it takes none, or somebody's file
	others    []string         // types besides JSON that the body may have
	lenient   func(*body, *openapi3.Schema)
	route     *routers.Route
}

func newGate(doc *openapi3.T, e Exchange, access Access, router *chi.Mux) *gate {
	g := &gate{
		exchange: e, access: access, router: router, room: semaphore.NewWeighted(maxBodies), operations: map[string]map[string]*operation{},
		registrations: attempts[netip.Addr]{most: maxAttempts}, wrongKeys: attempts[netip.Addr]{most: maxAttempts},
	}
	for path, item := range doc.Paths.Map() {
		g.operations[path] = map[string]*operation{}
		for method, op := range item.Operations() {
			g.operations[path][method] = newOperation(doc, path, item, method, op)
		}
	}
	return g
}

func newOperation(doc *openapi3.T, path string, item *openapi3.PathItem, method string, op *openapi3.Operation) *operation {
	security := doc.Security
	if op.Security != nil {
		security = *op.Security
	}
	o := &operation{
		id:        op.OperationID,
		secured:   names(security, "apiKey"),
		registers: names(security, "registrationToken"),
		route:     &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: op},
	}
	for _, ref := range slices.Concat(item.Parameters, op.Parameters) {
		switch ref.Value.In {
		case openapi3.ParameterInPath:
			o.path = append(o.path, ref.Value)
			if !anyText(ref.Value.Schema.Value) {
				o.strict = append(o.strict, ref.Value)
			}
		case openapi3.ParameterInQuery:
			o.query = append(o.query, ref.Value)
		case openapi3.ParameterInHeader:
			o.keyed = o.keyed || ref.Value.Name == idempotencyHeader
		}
	}
	if op.RequestBody != nil {
		if content := op.RequestBody.Value.Content[mediaJSON]; content != nil { // else its handler reads it
			o.body = content.Schema.Value
			o.others = slices.Sorted(maps.Keys(op.RequestBody.Value.Content))
			o.others = slices.DeleteFunc(o.others, func(media string) bool { return media == mediaJSON })
		}
	}
	if op.OperationID == "createRequest" {
		o.lenient = lenientRequest
	}
	return o
}

// names reports whether one of the alternatives asks for that.
func names(security openapi3.SecurityRequirements, scheme string) bool {
	return slices.ContainsFunc(security, func(one openapi3.SecurityRequirement) bool {
		_, named := one[scheme]
		return named
	})
}

// anyText reports whether the schema asks for a string and nothing more.
func anyText(s *openapi3.Schema) bool {
	rest := *s
	rest.Type = nil
	return s.Type.Is(openapi3.TypeString) && rest.IsEmpty()
}

// tell has the answers of each operation told.
func (g *gate) tell(observe Observe) {
	for _, methods := range g.operations {
		for _, op := range methods {
			op.answered = observe(op.id)
		}
	}
}

// validate is the middleware around every operation, after routing and before anything is bound.
func (g *gate) validate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rctx := chi.RouteContext(r.Context())
		op := g.operations[r.Pattern][rctx.RouteMethod]
		if op == nil {
			refuse(w, r, errors.New("no operation for "+rctx.RouteMethod+" "+r.Pattern))
			return
		}
		callOf(r.Context()).operation = op
		if err := g.admit(r, op); err != nil {
			refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// admit checks a request in the order in which clients are told what is wrong (docs/protocol.md):
// 429, 401, 403, 413, 415, 400.
func (g *gate) admit(r *http.Request, op *operation) error {
	switch {
	case op.secured:
		if err := g.authenticate(r, pathValue(r, "exchange_id")); err != nil {
			return err
		}
	case op.registers:
		if err := g.letRegister(r); err != nil {
			return err
		}
	}
	var (
		text  []byte
		media string
	)
	if op.body != nil {
		if r.ContentLength > maxBody {
			return errTooLarge()
		}
		var err error
		if media, err = op.announced(r); err != nil {
			return err
		}
		if text, err = g.readBody(r); err != nil {
			return err
		}
	}
	if err := op.checkParameters(r); err != nil {
		return err
	}
	key, err := op.idempotencyKey(r)
	if err != nil {
		return err
	}
	if op.body == nil {
		return nil
	}
	if media != "" {
		r.Body = &body{media: media, raw: text} // what it holds is the handler's to judge
		return nil
	}
	b, err := op.checkBody(text)
	if err != nil {
		return err
	}
	r.Body = b
	if key != "" {
		callOf(r.Context()).once = onceOf(r, key, text)
	}
	return nil
}

// checkBody returns the body of the operation that the text is.
func (op *operation) checkBody(text []byte) (*body, error) {
	b, err := parseBody(text)
	if err != nil {
		return nil, err
	}
	if op.lenient != nil {
		op.lenient(b, op.body)
	}
	if err := op.body.VisitJSON(b.value, openapi3.VisitAsRequest()); err != nil {
		return nil, explain(nil, err)
	}
	return b, nil
}

// checkParameters looks at those the contract names. Others are ignored: links get decorated on
// their way, and nothing is decided by them.
func (op *operation) checkParameters(r *http.Request) error {
	for _, p := range op.strict {
		if err := p.Schema.Value.VisitJSON(pathValue(r, p.Name)); err != nil {
			return explain(fieldPath{p.Name}, err)
		}
	}
	if r.URL.RawQuery == "" || len(op.query) == 0 || op.queries.has(r.URL.RawQuery) {
		return nil
	}
	if err := op.checkQuery(r); err != nil {
		return err
	}
	op.queries.add(r.URL.RawQuery)
	return nil
}

// checkQuery looks at the parameters in the query, and at nothing else of the request.
func (op *operation) checkQuery(r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalid("query: is not properly encoded")
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, QueryParams: query, Route: op.route,
		Options: &openapi3filter.Options{SkipSettingDefaults: true},
	}
	for _, p := range op.query {
		if !query.Has(p.Name) {
			continue
		}
		// It is bound as the only one, so it must be: which of two counts would be a guess.
		if len(query[p.Name]) > 1 {
			return invalid("%s: is given twice", p.Name)
		}
		if err := openapi3filter.ValidateParameter(r.Context(), input, p); err != nil {
			return explainParameter(p, err)
		}
	}
	return nil
}

func explainParameter(p *openapi3.Parameter, err error) error {
	if s := p.Schema.Value; s.Type.Is(openapi3.TypeArray) { // words with commas between them, not a list to who sends it
		return invalid("%s: %s", p.Name, demand(&openapi3.SchemaError{Schema: s.Items.Value, SchemaField: "enum"}))
	}
	var schema *openapi3.SchemaError
	if errors.As(err, &schema) {
		return explain(fieldPath{p.Name}, schema)
	}
	return invalid("%s: must be %s", p.Name, typeName(p.Schema.Value))
}

// pathValue returns a parameter of the path, decoded as generated code decodes it.
func pathValue(r *http.Request, name string) string {
	value := r.PathValue(name)
	if r.URL.RawPath == "" {
		return value
	}
	if decoded, err := url.PathUnescape(value); err == nil {
		return decoded
	}
	return value
}
