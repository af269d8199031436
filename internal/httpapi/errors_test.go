package httpapi

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	goparser "go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// codes are the codes that the rules declare.
func codes(t *testing.T) []exchange.Code {
	t.Helper()
	file, err := goparser.ParseFile(token.NewFileSet(), "../exchange/error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []exchange.Code
	ast.Inspect(file, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if ok && len(v.Values) == 1 && strings.HasPrefix(v.Names[0].Name, "Code") {
			word, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, exchange.Code(word))
		}
		return true
	})
	if len(all) < 20 {
		t.Fatalf("found %d codes", len(all))
	}
	return all
}

// Ensure every code has a status, and the contract names it.
func TestEveryCodeHasAnOutcome(t *testing.T) {
	doc, err := contract()
	if err != nil {
		t.Fatal(err)
	}
	named := doc.Components.Schemas["ErrorCode"].Value.Enum
	for _, code := range codes(t) {
		if outcomes[code].status == 0 {
			t.Errorf("%s has no status", code)
		}
		if !slices.Contains(named, any(string(code))) {
			t.Errorf("%s is not in the contract", code)
		}
	}
	if len(named) != len(outcomes) {
		t.Errorf("the contract names %d codes, the table has %d", len(named), len(outcomes))
	}
}

// Ensure what the engine refuses is answered by its code, with the sentence meant for the client and
// without the cause, which is in the log beside the request id.
func TestRefusals(t *testing.T) {
	secret := errors.New("open /var/lib/secret: permission denied")
	for _, c := range []struct {
		err        error
		status     int
		body       string
		retryAfter string
		level      string
	}{
		{&exchange.Error{Code: exchange.CodeThreadNotFound, Message: "Thread not found", Err: secret}, 404, `{"error":"Thread not found","code":"thread_not_found"}`, "", ""},
		{fmt.Errorf("update: %w", &exchange.Error{Code: exchange.CodeAlreadyClaimed, Message: "taken <by> x"}), 409, `{"error":"taken <by> x","code":"already_claimed"}`, "", ""},
		{&exchange.Error{Code: exchange.CodeOverloaded, Message: "busy", Err: secret}, 503, `{"error":"busy","code":"overloaded"}`, "1", "WARN"},
		{&exchange.Error{Code: exchange.CodeOutcomeUnknown, Message: "look", Err: secret}, 503, `{"error":"look","code":"outcome_unknown"}`, "5", "WARN"},
		{&exchange.Error{Code: exchange.CodeInternal, Message: "at /var/lib/secret", Err: secret}, 500, `{"error":"Internal server error","code":"internal"}`, "", "ERROR"},
		{&exchange.Error{Code: "brand_new", Message: "at /var/lib/secret", Err: secret}, 500, `{"error":"Internal server error","code":"internal"}`, "", "ERROR"},
		{secret, 500, `{"error":"Internal server error","code":"internal"}`, "", "ERROR"},
	} {
		s := siteOf(t, willing{func(context.Context) error { return c.err }})
		// PATCH of a thread names all of these statuses.
		got := s.at("home").as(goodKey).send("PATCH", "/requests/x", `{"status":"claimed"}`, "X-Request-Id", "trace-7")
		if body := strings.TrimSpace(string(got.body)); got.status != c.status || body != c.body || got.header.Get("Retry-After") != c.retryAfter {
			t.Errorf("%v: got %d %s, Retry-After %q", c.err, got.status, body, got.header.Get("Retry-After"))
		}
		wantLogged(t, s.log.String(), c.level, secret.Error())
	}
}

// wantLogged checks that the cause is logged at that level with the request's id, "" for not at all
// above debug.
func wantLogged(t *testing.T, log, level, cause string) {
	t.Helper()
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=DEBUG") {
			continue
		}
		if level == "" || !strings.Contains(line, "level="+level) || !strings.Contains(line, "request_id=trace-7") || !strings.Contains(line, cause) {
			t.Errorf("logged %s, want %q", line, level)
		}
		level = ""
	}
	if level != "" {
		t.Errorf("nothing was logged as %s: %s", level, log)
	}
}

// Ensure a client that went away is no fault of the server, and one that still reads gets an answer.
func TestClientGone(t *testing.T) {
	for name, wrap := range map[string]func(error) error{
		"the engine's": func(err error) error {
			return &exchange.Error{Code: exchange.CodeOutcomeUnknown, Message: "look", Err: err}
		},
		"bare": func(err error) error { return err },
	} {
		ctx, cancel := context.WithCancel(context.Background())
		s := siteOf(t, willing{func(ctx context.Context) error {
			cancel()
			return wrap(ctx.Err())
		}})
		r := httptest.NewRequest("GET", "/api/v1/exchanges/home/requests", nil).WithContext(ctx)
		r.Header.Set("Authorization", "Bearer "+goodKey)
		if got := s.serve(r); got.status != 503 {
			t.Errorf("%s: got %d %s", name, got.status, got.body)
		}
		if log := s.log.String(); !strings.Contains(log, "the client went away") || strings.Contains(log, "level=ERROR") || strings.Contains(log, "level=WARN") {
			t.Errorf("%s: log: %s", name, log)
		}
	}
}

// Ensure a panic is an internal error for one request, whose stack only the log sees.
func TestPanic(t *testing.T) {
	s := siteOf(t, willing{func(context.Context) error { panic("in the middle of /var/lib/secret") }})
	got := s.at("home").as(goodKey).send("GET", "/requests", "", "X-Request-Id", "trace-7")
	if got.status != 500 || strings.TrimSpace(string(got.body)) != `{"error":"Internal server error","code":"internal"}` {
		t.Errorf("got %d %s", got.status, got.body)
	}
	wantLogged(t, s.log.String(), "ERROR", "stub_test.go")
}

// Ensure an answer that breaks off is not answered a second time, and the connection is cut where the
// client would take a part for the whole.
func TestAnswerBreaksOff(t *testing.T) {
	serve := func(e Exchange, w http.ResponseWriter) (s *site, panicked any) {
		s = siteOf(t, e)
		r := httptest.NewRequest("GET", "/api/v1/exchanges/home/requests", nil)
		r.Header.Set("Authorization", "Bearer "+goodKey)
		defer func() { panicked = recover() }()
		s.handler.ServeHTTP(w, r)
		return s, nil
	}
	w := &breaking{ResponseRecorder: httptest.NewRecorder(), write: func() error { return errors.New("broken pipe") }}
	if s, panicked := serve(willing{}, w); panicked != nil || w.headers != 1 || !strings.Contains(s.log.String(), "the answer broke off") {
		t.Errorf("a failing connection: panic %v, %d headers, log %s", panicked, w.headers, s.log)
	}
	w = &breaking{ResponseRecorder: httptest.NewRecorder(), write: func() error { panic("in the middle") }}
	if s, panicked := serve(willing{}, w); panicked != http.ErrAbortHandler || w.headers != 1 || !strings.Contains(s.log.String(), "panic while answering") {
		t.Errorf("a panic while answering: panic %v, %d headers, log %s", panicked, w.headers, s.log)
	}
	w = &breaking{ResponseRecorder: httptest.NewRecorder()}
	if s, panicked := serve(willing{func(context.Context) error { panic(http.ErrAbortHandler) }}, w); panicked != http.ErrAbortHandler || w.headers != 0 || strings.Contains(s.log.String(), "level=ERROR") {
		t.Errorf("an abort: panic %v, %d headers, log %s", panicked, w.headers, s.log)
	}
}

// breaking is a connection that breaks while an answer is written.
type breaking struct {
	*httptest.ResponseRecorder
	write   func() error
	headers int
}

func (b *breaking) WriteHeader(status int) {
	b.headers++
	b.ResponseRecorder.WriteHeader(status)
}

func (b *breaking) Write([]byte) (int, error) { return 0, b.write() }
