//go:build e2e

package e2e

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var rewriteQuestions = flag.Bool("questions.rewrite", false, "write the answers in docs/questions.md again")

// TestQuestions asks each question of docs/questions.md of the log that comes along, and compares with the answer
// that stands there.
func TestQuestions(t *testing.T) {
	page := filepath.Join(repository, "docs", "questions.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	if err := os.Symlink(filepath.Join(repository, "deploy", "duckdb", "example"), data); err != nil {
		t.Fatal(err)
	}
	asked := 0
	answered := regexp.MustCompile("(?s)```sql\n(.*?)```\n(\n\\|.*?\n\\n|\n\\|.*?\n$)?").ReplaceAllStringFunc(string(text), func(block string) string {
		asked++
		statement, _, _ := strings.Cut(strings.TrimPrefix(block, "```sql\n"), "```")
		columns, rows := query(t, data, statement, views())
		if len(rows) == 0 {
			t.Errorf("no answer to\n%s", statement)
		}
		return "```sql\n" + statement + "```\n\n" + markdown(columns, rows) + "\n"
	})
	answered = strings.TrimRight(strings.ReplaceAll(answered, "\n\n\n", "\n\n"), "\n") + "\n"
	switch {
	case asked != 6:
		t.Errorf("%d questions, want 6", asked)
	case *rewriteQuestions:
		if err := os.WriteFile(page, []byte(answered), 0o644); err != nil {
			t.Fatal(err)
		}
	case answered != string(text):
		t.Errorf("the answers in docs/questions.md are not those of the views; go test -tags grpcnotrace,e2e -run TestQuestions ./internal/e2e -args -questions.rewrite writes\n%s", answered)
	}
}

// markdown is a result as a table.
func markdown(columns string, rows []row) string {
	var names []string
	for column := range strings.SplitSeq(columns, ", ") {
		name, _, _ := strings.Cut(column, " ")
		names = append(names, name)
	}
	lines := []string{strings.Join(names, " | "), strings.Repeat("---|", len(names)-1) + "---"}
	for _, r := range rows {
		var cells []string
		for _, name := range names {
			cells = append(cells, empty(r[name]))
		}
		lines = append(lines, strings.Join(cells, " | "))
	}
	for i, line := range lines {
		lines[i] = "| " + line + " |\n"
	}
	lines[1] = "|" + strings.Trim(lines[1], "| \n") + "|\n"
	return strings.Join(lines, "")
}
