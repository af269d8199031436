// Command duckdb runs one SQL statement with DuckDB in the current folder, after the statements of the files
// that are named behind it, and prints what came out as JSON lines: first the columns with their types, then
// each row as a list of texts and nulls.
//
// It is a module of its own because DuckDB needs cgo and a C++ library to link, which the server must
// not; and a program rather than a package so that each query of the tests runs in a fresh process,
// with nothing remembered of the files it has seen before.
package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	_ "github.com/duckdb/duckdb-go/v2"
)

// column is the first line's entry for one column.
type column struct {
	Name string `json:"name"`
	Type string `json:"type"` // as DuckDB spells it: VARCHAR, BIGINT, JSON …
}

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: duckdb SQL [FILE...]")
		os.Exit(2)
	}
	if err := query(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func query(statement string, before []string) error {
	// Everything that is needed is linked in; nothing may be fetched.
	db, err := sql.Open("duckdb", "?autoinstall_known_extensions=false")
	if err != nil {
		return fmt.Errorf("opening DuckDB: %w", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1) // what a file sets is its connection's
	for _, file := range before {
		script, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if _, err := db.Exec(string(script)); err != nil {
			return fmt.Errorf("running %s: %w", file, err)
		}
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	columns, err := describe(db, statement)
	if err != nil {
		return fmt.Errorf("describing the query: %w", err)
	}
	if err := out.Encode(columns); err != nil {
		return err
	}
	rows, err := db.Query(statement)
	if err != nil {
		return fmt.Errorf("running the query: %w", err)
	}
	defer rows.Close()
	values, targets := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return fmt.Errorf("reading a row: %w", err)
		}
		row := make([]*string, len(values))
		for i, v := range values {
			if row[i], err = text(v); err != nil {
				return fmt.Errorf("column %s: %w", columns[i].Name, err)
			}
		}
		if err := out.Encode(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

// describe asks DuckDB itself for the types, in the spelling that its documentation uses.
func describe(db *sql.DB, statement string) ([]column, error) {
	rows, err := db.Query("SELECT column_name, column_type FROM (DESCRIBE " + strings.TrimSuffix(strings.TrimSpace(statement), ";") + ")")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var columns []column
	for rows.Next() {
		var c column
		if err := rows.Scan(&c.Name, &c.Type); err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	return columns, rows.Err()
}

// text gives a value the spelling that the event log has for it; nil for NULL.
func text(value any) (*string, error) {
	var s string
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		s = v
	case time.Time:
		s = v.UTC().Format("2006-01-02T15:04:05.000Z")
	case int64, int32, uint64, float64, bool:
		s = fmt.Sprint(v)
	default: // a JSON column arrives decoded
		encoded, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		s = string(encoded)
	}
	return &s, nil
}
