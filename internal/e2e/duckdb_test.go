//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// contractQuery is the query that users were promised, to the letter. It runs beside the folder data.
const contractQuery = `SELECT * FROM read_json_auto('data/events/**/*.jsonl', hive_partitioning=true)
WHERE exchange_id = 'home' AND thread_ref IS NOT NULL;`

// exactPayload is the same query with the payload as DuckDB holds it; the driver would decode it and
// round big numbers.
var exactPayload = "SELECT * REPLACE (payload::VARCHAR AS payload) FROM (" + strings.TrimSuffix(contractQuery, ";") + ")"

// queryTypes are the columns of the contract's query, whatever users put into their messages.
const queryTypes = "event_id VARCHAR, seq BIGINT, ts TIMESTAMP, exchange_id VARCHAR, thread_ref VARCHAR, event_type VARCHAR, actor_id VARCHAR, payload JSON, exchange VARCHAR"

// duckdb builds the query program, once.
var duckdb = sync.OnceValues(func() (string, error) {
	if _, err := exec.LookPath("g++"); err != nil {
		return "", errors.New("DuckDB is a C++ library and g++ is not installed; on Debian: apt-get install g++")
	}
	program := filepath.Join(workshop, "duckdb")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join(repository, "internal", "e2e", "duckdb")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the query program: %w\n%s", err, out)
	}
	return program, nil
})

// row is one line of a result by column; a nil is NULL.
type row map[string]*string

// query runs a statement in a fresh process beside a data folder, after those in files.
func query(t *testing.T, data, statement string, files ...string) (types string, rows []row) {
	t.Helper()
	program, err := duckdb()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, append([]string{statement}, files...)...)
	cmd.Dir = filepath.Dir(data)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("DuckDB: %v: %s", err, &stderr)
	}
	d := json.NewDecoder(bytes.NewReader(out))
	var columns []struct{ Name, Type string }
	if err := d.Decode(&columns); err != nil {
		t.Fatalf("DuckDB: columns: %v", err)
	}
	for i, c := range columns {
		types += map[bool]string{true: "", false: ", "}[i == 0] + c.Name + " " + c.Type
	}
	for d.More() {
		var values []*string
		if err := d.Decode(&values); err != nil {
			t.Fatalf("DuckDB: row %d: %v", len(rows)+1, err)
		}
		r := row{}
		for i, c := range columns {
			r[c.Name] = values[i]
		}
		rows = append(rows, r)
	}
	return types, rows
}

// wantQuery runs the contract's query and checks that it gives exactly the events of home about
// threads that stand in the files: every text equal, every payload equal as a JSON value. It returns
// the rows in the order of the log.
func wantQuery(t *testing.T, data string, stored []event) []row {
	t.Helper()
	types, literal := query(t, data, contractQuery)
	if types != queryTypes {
		t.Errorf("columns: got %s, want %s", types, queryTypes)
	}
	_, exact := query(t, data, exactPayload)
	if len(literal) != len(exact) {
		t.Errorf("the query gave %d rows, and %d with the payload as text", len(literal), len(exact))
	}
	byID := map[string]row{}
	for _, r := range exact {
		if r["event_id"] == nil || byID[*r["event_id"]] != nil {
			t.Fatalf("a row without an event_id, or twice: %v", show(r))
		}
		byID[*r["event_id"]] = r
	}
	var ordered []row
	for _, e := range stored {
		if e.Exchange != "home" || e.Thread == nil {
			continue
		}
		r := byID[e.ID]
		if r == nil {
			t.Errorf("event %s (%s) of %s is missing", e.ID, e.Type, e.file)
			continue
		}
		e.wantRow(t, r)
		ordered = append(ordered, r)
	}
	if len(ordered) != len(exact) {
		t.Errorf("rows: got %d, want %d", len(exact), len(ordered))
	}
	return ordered
}

// wantRow compares an event as it stands in its file with what DuckDB made of it.
func (e event) wantRow(t *testing.T, r row) {
	t.Helper()
	want := row{"event_id": &e.ID, "ts": &e.TS, "exchange_id": &e.Exchange, "thread_ref": e.Thread, "event_type": &e.Type, "actor_id": &e.Actor}
	if e.Seq != nil {
		seq := strconv.FormatInt(*e.Seq, 10)
		want["seq"] = &seq
	}
	_, partition, _ := strings.Cut(e.file, "/events/exchange=")
	partition, _, _ = strings.Cut(partition, "/")
	want["exchange"] = &partition
	for _, column := range []string{"event_id", "seq", "ts", "exchange_id", "thread_ref", "event_type", "actor_id", "exchange"} {
		if got := r[column]; !reflect.DeepEqual(got, want[column]) {
			t.Errorf("event %s: %s: got %s, want %s", e.ID, column, orNull(got), orNull(want[column]))
		}
	}
	if e.Payload == nil && r["payload"] == nil {
		return // old data has events without one
	}
	if r["payload"] == nil || !sameJSON(*r["payload"], string(e.Payload)) {
		t.Errorf("event %s: payload: got %.300s, want %.300s", e.ID, orNull(r["payload"]), e.Payload)
	}
}

func orNull(s *string) string {
	if s == nil {
		return "NULL"
	}
	return *s
}

func show(r row) string {
	var b strings.Builder
	for name, value := range r {
		fmt.Fprintf(&b, "%s=%.200s ", name, orNull(value))
	}
	return b.String()
}

// sameJSON compares two JSON texts as values: the order of members and the spelling of numbers do
// not count, their exact value does.
func sameJSON(a, b string) bool {
	x, errA := parse(a)
	y, errB := parse(b)
	return errA == nil && errB == nil && sameValue(x, y)
}

func parse(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	err := d.Decode(&v)
	return v, err
}

func sameValue(a, b any) bool {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for name, value := range x {
			if other, ok := y[name]; !ok || !sameValue(value, other) {
				return false
			}
		}
		return true
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, sameValue)
	case json.Number:
		y, ok := b.(json.Number)
		return ok && sameNumber(x.String(), y.String())
	default:
		return a == b
	}
}

// sameNumber compares integers exactly and everything else as the floating point numbers that
// DuckDB and most readers of JSON take them for.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	if !strings.ContainsAny(a+b, ".eE") {
		x, okX := new(big.Int).SetString(a, 10)
		y, okY := new(big.Int).SetString(b, 10)
		return okX && okY && x.Cmp(y) == 0
	}
	x, errX := strconv.ParseFloat(a, 64)
	y, errY := strconv.ParseFloat(b, 64)
	return errX == nil && errY == nil && x == y
}
