package httpapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	nethttpmiddleware "github.com/oapi-codegen/nethttp-middleware"

	"github.com/mess-exchange/mess-exchange/api"
)

// stock is the stock middleware for the contract, in front of a handler that says yes.
func stock(tb testing.TB) http.Handler {
	tb.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(api.OpenAPI)
	if err != nil {
		tb.Fatal(err)
	}
	authenticate := func(ctx context.Context, in *openapi3filter.AuthenticationInput) error {
		key, ok := bearer(in.RequestValidationInput.Request)
		if !ok {
			return errors.New("no key")
		}
		_, err := willing{}.Authenticate(ctx, in.RequestValidationInput.PathParams["exchange_id"], key)
		return err
	}
	return nethttpmiddleware.OapiRequestValidatorWithOptions(doc, &nethttpmiddleware.Options{
		DoNotValidateServers: true,
		Options:              openapi3filter.Options{AuthenticationFunc: authenticate},
	})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
}

// TestGolden holds the gate to the stock middleware: each request of testdata/golden.txt goes through
// both, and ours must refuse whatever that refuses. Exemptions are marked in the file with the
// leniency of the protocol that they are. -rewrite writes what both say.
func TestGolden(t *testing.T) {
	theirs, ours := stock(t), siteOf(t, willing{})
	requests := 0
	datadriven.RunTest(t, "testdata/golden.txt", func(t *testing.T, d *datadriven.TestData) string {
		requests++
		w := httptest.NewRecorder()
		theirs.ServeHTTP(w, goldenRequest(t, d))
		got := ours.serve(goldenRequest(t, d))
		var leniency string
		d.MaybeScanArgs(t, "lenient", &leniency)
		passed := got.status < 400
		switch {
		case w.Code >= 400 && passed && leniency == "":
			d.Fatalf(t, "the stock middleware refuses this (%d %s), the gate lets it through", w.Code, w.Body)
		case leniency != "" && !(w.Code >= 400 && passed):
			d.Fatalf(t, "marked as lenient, but stock says %d, ours %d", w.Code, got.status)
		}
		said := ""
		if !passed {
			said = ": " + got.text(t, "error")
		}
		return fmt.Sprintf("stock %d\nours  %d%s\n", w.Code, got.status, said)
	})
	if requests < 40 {
		t.Errorf("%d requests, want 40 or more", requests)
	}
}

// goldenRequest reads a request: method and path below the exchange (or from the root, after //), header lines, an empty line, the
// body. A good key and JSON are assumed where no header says otherwise. quoted: the body is a Go string;
// pad: white space is added up to that many bytes.
func goldenRequest(t *testing.T, d *datadriven.TestData) *http.Request {
	t.Helper()
	head, body, _ := strings.Cut(d.Input, "\n\n")
	body = strings.TrimSuffix(body, "\n")
	if d.HasArg("quoted") {
		unquoted, err := strconv.Unquote(body)
		if err != nil {
			d.Fatalf(t, "body: %v", err)
		}
		body = unquoted
	}
	if d.HasArg("pad") {
		var size int
		d.ScanArgs(t, "pad", &size)
		body += strings.Repeat(" ", size-len(body))
	}
	lines := bufio.NewScanner(strings.NewReader(head))
	lines.Scan()
	method, path, _ := strings.Cut(lines.Text(), " ")
	if whole, is := strings.CutPrefix(path, "//"); is {
		path = "/" + whole
	} else {
		path = "/api/v1/exchanges/home" + path
	}
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+goodKey)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ":")
		r.Header.Del(name)
		if value = strings.TrimSpace(value); value != "" {
			r.Header.Set(name, value)
		}
	}
	return r
}
