package messeaf_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

// TestScripts runs testdata/*.txt. Their commands:
//
//	parse [name=N]    the documents of the v1 file in the input, one JSON line each
//	canon             the v1 file in the input as Render writes it, after checking that it says the same
//	render            the v1 file of documents, one JSON line each
//	v2                what Render makes of the v2 files in the input, each behind a line "== NAME"
//	tree              the refs, states and messages of the threads in such files, v1 and v2
//	view              what an exchange sees of the v1 file in the input
//	with              the v1 file in the input, changed as the lines before its first one say:
//	                  "> status S BY TIME", "> message BY TIME BLOCKS", "> executor" (none), "> nothing"
//	refs              the message refs of the v1 file in the input
//	names             for each name in the input what it is a name of
//
// A refusal is "error: " and its sentence.
func TestScripts(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if !strings.HasSuffix(path, ".txt") {
			return
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			out, err := runScript(t, d)
			if err != nil {
				var refused *messeaf.Error
				if !errors.As(err, &refused) && d.Cmd != "render" { // its documents come from us
					t.Errorf("%s: an error that is not for clients: %v", d.Pos, err)
				}
				return "error: " + err.Error() + "\n"
			}
			return out
		})
	})
}

func runScript(t *testing.T, d *datadriven.TestData) (string, error) {
	switch d.Cmd {
	case "names":
		return names(d.Input), nil
	case "render":
		return renderDocuments(d.Input)
	case "v2":
		return renderV2(files(d.Input))
	case "tree":
		return describe(files(d.Input))
	case "with":
		return with(t, d.Input)
	}
	var name string
	d.MaybeScanArgs(t, "name", &name)
	thread, err := messeaf.ParseV1(name, []byte(unescape(d.Input)+"\n"))
	if err != nil {
		return "", err
	}
	switch d.Cmd {
	case "parse":
		return lines(thread.Documents()), nil
	case "canon":
		return string(canon(t, thread)), nil
	case "view":
		return view(thread.View()), nil
	case "refs":
		return strings.Join(thread.View().MessageRefs(), "\n") + "\n", nil
	}
	t.Fatalf("%s: unknown command %s", d.Pos, d.Cmd)
	return "", nil
}

// unescape makes <U+0007> the character, so that scripts stay readable.
func unescape(s string) string {
	for {
		before, rest, found := strings.Cut(s, "<U+")
		code, after, closed := strings.Cut(rest, ">")
		var r rune
		if _, err := fmt.Sscanf(code, "%x", &r); !found || !closed || err != nil {
			return s
		}
		s = before + string(r) + after
	}
}

// canon renders a thread, and reads it again to see that nothing was lost or added.
func canon(t *testing.T, thread *messeaf.Thread) []byte {
	t.Helper()
	text, err := thread.RenderV1()
	if err != nil {
		t.Fatal(err)
	}
	again, err := messeaf.ParseV1("", text)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if got, want := lines(again.Documents()), lines(thread.Documents()); got != want {
		t.Fatalf("read again:\n%sbefore:\n%sin between:\n%s", got, want, text)
	}
	second, err := again.RenderV1()
	if err != nil {
		t.Fatal(err)
	}
	if string(second) != string(text) {
		t.Fatalf("rendered again:\n%sbefore:\n%s", second, text)
	}
	return text
}

func lines(documents []json.RawMessage) string {
	var b strings.Builder
	for _, doc := range documents {
		fmt.Fprintf(&b, "%s\n", doc)
	}
	return b.String()
}

func renderDocuments(input string) (string, error) {
	var documents []json.RawMessage
	for line := range strings.Lines(input) {
		documents = append(documents, json.RawMessage(line))
	}
	thread, err := messeaf.FromDocuments(documents, nil)
	if err != nil {
		return "", err
	}
	text, err := thread.RenderV1()
	return string(text), err
}

func files(input string) []messeaf.File {
	var all []messeaf.File
	for line := range strings.Lines(input + "\n") {
		if name, ok := strings.CutPrefix(line, "== "); ok {
			all = append(all, messeaf.File{Name: unescape(strings.TrimSuffix(name, "\n"))})
			continue
		}
		last := &all[len(all)-1]
		last.Content = append(last.Content, line...)
	}
	return all
}

func renderV2(in []messeaf.File) (string, error) {
	thread, err := messeaf.ParseV2(in)
	if err != nil {
		return "", err
	}
	out, err := thread.RenderV2()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, f := range out {
		fmt.Fprintf(&b, "== %s\n%s", f.Name, f.Content)
	}
	return b.String(), nil
}

func describe(in []messeaf.File) (string, error) {
	threads, err := messeaf.ParseTree(in)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, thread := range threads {
		v := thread.View()
		fmt.Fprintf(&b, "%s %s, %d messages, %d attachments\n", v.Ref, v.Status, len(v.Messages), len(thread.Attachments()))
	}
	return b.String(), nil
}

func view(v messeaf.View) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q of %s (%q), held by %q, %s, %s\n", v.Ref, v.Intent, v.Requestor, v.ClientID, v.Executor, v.Status, v.Priority)
	fmt.Fprintf(&b, "created %s, updated %s, expires %s\n", stamp(v.Created), stamp(v.Updated), stamp(v.Expires))
	for _, e := range v.History {
		fmt.Fprintf(&b, "%s %s by %s %q\n", stamp(e.At), e.Action, e.By, e.Ref)
	}
	for _, m := range v.Messages {
		fmt.Fprintf(&b, "%s %s by %q re %q: %s\n", stamp(m.TS), m.From, m.Channel, m.Re, m.Mess)
	}
	return b.String()
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Format(time.RFC3339Nano)
}

func with(t *testing.T, input string) (string, error) {
	var changes []string
	for strings.HasPrefix(input, "> ") {
		change, rest, _ := strings.Cut(input, "\n")
		changes, input = append(changes, change), rest
	}
	thread, err := messeaf.ParseV1("", []byte(input+"\n"))
	if err != nil {
		return "", err
	}
	v := thread.View()
	v.History, v.Messages = slices.Clone(v.History), slices.Clone(v.Messages)
	for _, change := range changes {
		words := strings.SplitN(change, " ", 5)
		switch words[1] {
		case "status":
			at := parse(t, words[4])
			v.Status, v.Executor, v.Updated = words[2], words[3], at
			v.History = append(v.History, messeaf.Entry{Action: words[2], At: at, By: words[3]})
		case "message":
			v.Messages = append(v.Messages, messeaf.Message{From: words[2], TS: parse(t, words[3]), Mess: json.RawMessage(words[4])})
		case "executor":
			v.Executor = ""
		case "nothing":
		default:
			t.Fatalf("unknown change %s", change)
		}
	}
	next, err := thread.With(v)
	if err != nil {
		return "", err
	}
	return string(canon(t, next)), nil
}

func parse(t *testing.T, s string) time.Time {
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func names(input string) string {
	var b strings.Builder
	for name := range strings.Lines(input) {
		name = unescape(strings.TrimSuffix(name, "\n"))
		if a, ok := messeaf.ParseAttachmentName(name); ok {
			fmt.Fprintf(&b, "attachment %d, %s, %q%s\n", a.Serial, a.Kind, a.Name, otherName(a.FileName(), name))
		} else if r, ok := messeaf.ParseMessageRef(name); ok {
			fmt.Fprintf(&b, "message %d of %s, %s, %q%s\n", r.Serial, r.Thread, r.Kind, r.ID, otherName(r.String(), name))
		} else {
			fmt.Fprintln(&b, "nothing")
		}
	}
	return b.String()
}

func otherName(makes, name string) string {
	if makes == name {
		return ""
	}
	return ", but its name is " + makes
}
