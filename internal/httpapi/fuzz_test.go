package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

const (
	fuzzSeed     = 20260201
	fuzzRequests = 6000
)

// Ensure that of thousands of requests made from the contract, the gate refuses whatever the stock
// middleware refuses, and nothing else but what that does not look at.
func TestFuzzAgainstStock(t *testing.T) {
	theirs, ours := stock(t), siteOf(t, willing{})
	g, err := newGenerator(fuzzSeed, []string{goodKey}, nil)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for range fuzzRequests {
		s := g.sample()
		w := httptest.NewRecorder()
		theirs.ServeHTTP(w, s.request())
		got := ours.serve(s.request())
		switch {
		case got.status >= 500:
			t.Errorf("%s %s %s: got %d", s.method, s.target, s.body, got.status)
		case got.status < 400 && w.Code >= 400 && !lenientlyRight(t, theirs, s):
			t.Errorf("%s %s %q %s: stock refuses it (%d %.200s), the gate does not", s.method, s.target, s.header, s.body, w.Code, w.Body)
		case got.status >= 400 && w.Code < 400 && !s.strict:
			t.Errorf("%s %s %q %s: the gate refuses it (%d %s), stock does not", s.method, s.target, s.header, s.body, got.status, got.body)
		}
		if got.status >= 400 {
			refused++
		}
	}
	if refused < fuzzRequests/10 || refused > fuzzRequests*9/10 {
		t.Errorf("%d of %d requests were refused: the generator is out of balance", refused, fuzzRequests)
	}
}

// lenientlyRight reports whether a new request is what the contract allows once the protocol's
// leniencies are applied, by the stock middleware's own judgement.
func lenientlyRight(t *testing.T, theirs http.Handler, s sample) bool {
	if s.operation.lenient == nil {
		return false
	}
	b, err := parseBody([]byte(s.body))
	if err != nil {
		return false
	}
	lenientRequest(b, s.operation.body)
	text, err := json.Marshal(b.value)
	if err != nil {
		t.Fatal(err)
	}
	s.body = string(text)
	w := httptest.NewRecorder()
	theirs.ServeHTTP(w, s.request())
	return w.Code < 400
}

// Ensure that whatever is asked, the answers of the real engine are as the contract says, and no fault
// of the server. The harness checks every answer.
func TestFuzzTheEngine(t *testing.T) {
	s := newSite(t)
	home := s.at("home")
	phone, agent := home.register("phone"), home.register("agent")
	values := map[string][]string{"executor_id": {"phone", "agent"}, "name": {"a.png"}}
	for range 5 {
		values["ref"] = append(values["ref"], agent.create(`{"intent":"x","context":[{"image":{"name":"a.png","data":"AAAA"}}]}`))
	}
	g, err := newGenerator(fuzzSeed, []string{phone.key, agent.key}, values)
	if err != nil {
		t.Fatal(err)
	}
	answered, done := map[int]int{}, map[string]int{}
	for range fuzzRequests {
		sample := g.sample()
		got := s.serve(sample.request())
		answered[got.status]++
		if got.status < 300 {
			done[sample.operation.route.Operation.OperationID]++
			g.replaceKey(home, sample, got)
		}
		if got.status >= 500 {
			t.Errorf("%s %s %s: got %d %s", sample.method, sample.target, sample.body, got.status, got.body)
		}
	}
	for _, status := range []int{200, 201, 400, 401, 403, 404, 409, 415, 422} {
		if answered[status] == 0 {
			t.Errorf("no request was answered %d: %v", status, answered)
		}
	}
	for _, op := range g.operations {
		if name := op.route.Operation.OperationID; done[name] == 0 {
			t.Errorf("%s was never done: %v", name, done)
		}
	}
}

// replaceKey goes on with another key where a request has ended the one it came with: the new one, or that of
// another executor in the place of one who left.
func (g *generator) replaceKey(home client, s sample, got response) {
	i := slices.Index(g.keys, strings.TrimPrefix(s.header.Get("Authorization"), "Bearer "))
	switch s.operation.route.Operation.OperationID {
	case "rotateKey":
		g.keys[i] = got.text(home.tb, "api_key")
	case "removeExecutor":
		id := got.text(home.tb, "executor_id")
		next := fmt.Sprintf("next-%d", g.IntN(1e9))
		g.keys[i] = home.register(next).key
		g.values["executor_id"][slices.Index(g.values["executor_id"], id)] = next
	}
}

// FuzzValidate feeds bodies to the check of each operation. What is let through is valid for the
// standard library, too, means the same to it, and comes out of the handlers' hands as it went in.
func FuzzValidate(f *testing.F) {
	g, err := newGenerator(fuzzSeed, []string{goodKey}, nil)
	if err != nil {
		f.Fatal(err)
	}
	var taking []*operation
	for _, op := range g.operations {
		if op.body != nil {
			taking = append(taking, op)
		}
	}
	for i, op := range taking {
		for range 20 {
			f.Add(byte(i), []byte(g.json(op.body)))
		}
	}
	for _, text := range []string{"", "{", "{}", "null", `{"intent":"\ud800"}`, `{"a":1,"\u0061":2}`, `{"intent":"x"} x`, "\ufeff{}", `{"intent":1e999}`, "{\"intent\":\"\xff\"}", `{"context":0,"intent":"x","response_hints":[]}`} {
		f.Add(byte(0), []byte(text))
		f.Add(byte(1), []byte(text))
	}
	f.Fuzz(func(t *testing.T, which byte, text []byte) {
		op := taking[int(which)%len(taking)]
		b, err := op.checkBody(text)
		if err != nil {
			wantSayable(t, err)
			return
		}
		var std map[string]any
		if err := json.Unmarshal(text, &std); err != nil || !utf8.Valid(text) {
			t.Fatalf("accepted %q: %v", text, err)
		}
		if op.lenient == nil {
			if !reflect.DeepEqual(std, b.value) {
				t.Fatalf("%q was read as %v, is %v", text, b.value, std)
			}
			if err := op.body.VisitJSON(std, openapi3.VisitAsRequest()); err != nil {
				t.Fatalf("accepted %q: %v", text, err)
			}
		}
		wantKept(t, op, b)
	})
}

// wantSayable checks that a refusal can be told to a client: a sentence of limited length without odd
// bytes.
func wantSayable(t *testing.T, err error) {
	t.Helper()
	var refusal *exchange.Error
	if !errors.As(err, &refusal) || refusal.Code != exchange.CodeInvalid {
		t.Fatalf("refused by %v", err)
	}
	if m := refusal.Message; m == "" || len(m) > 600 || !utf8.ValidString(m) || hasControl(m) {
		t.Fatalf("refused with %q", m)
	}
}

// wantKept checks that what handlers pass on is one line, and reads back as the same value.
func wantKept(t *testing.T, op *operation, b *body) {
	t.Helper()
	block := b.block()
	again, err := parseBody(block)
	if err != nil {
		t.Fatalf("the block %q: %v", block, err)
	}
	for _, m := range again.members {
		if before := b.get(m.name); string(compact(before.raw)) != string(m.raw) || len(before.items) != len(m.items) {
			t.Fatalf("%q became %q", before.raw, m.raw)
		}
	}
	for _, c := range block {
		if c < 0x20 {
			t.Fatalf("the block holds a line break: %q", block)
		}
	}
	if op.lenient != nil {
		if second, err := op.checkBody(block); err != nil || !reflect.DeepEqual(second.value, b.value) {
			t.Fatalf("the block %q is read as %v (%v), was %v", block, second, err, b.value)
		}
	}
}
