package messeaf_test

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

// Whatever a thread says, its files say the same when they are read again, v1, v2 and packed, and
// rendering what was read gives the same bytes.
func TestFilesLoseNothing(t *testing.T) {
	const seeds = 120
	for seed := range int64(seeds) {
		g := &generator{rand.New(rand.NewSource(seed))}
		thread := g.thread(t, 0)
		text := canon(t, withoutAttachments(t, thread))
		if strings.Contains(string(text), "\r") || strings.Contains(string(text), "\u2028") {
			t.Fatalf("seed %d: line ends that readers differ on in\n%s", seed, text)
		}
		checkV2(t, seed, thread)
		if seed%4 == 0 { // packing is the dearest part
			checkTree(t, seed, []*messeaf.Thread{thread, g.thread(t, 1), g.thread(t, 2)})
		}
	}
}

func withoutAttachments(t *testing.T, thread *messeaf.Thread) *messeaf.Thread {
	t.Helper()
	bare, err := messeaf.FromDocuments(thread.Documents(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return bare
}

func checkV2(t *testing.T, seed int64, thread *messeaf.Thread) {
	t.Helper()
	files, err := thread.RenderV2()
	if err != nil {
		t.Fatal(err)
	}
	again, err := messeaf.ParseV2(files)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if !reflect.DeepEqual(again, thread) {
		t.Fatalf("seed %d: v2 files say\n%+v\nof\n%+v", seed, again, thread)
	}
	if second, err := again.RenderV2(); err != nil || !reflect.DeepEqual(second, files) {
		t.Fatalf("seed %d: the v2 files of what was read are others (%v)", seed, err)
	}
}

func checkTree(t *testing.T, seed int64, threads []*messeaf.Thread) {
	t.Helper()
	files, err := messeaf.Tree(messeaf.V2, threads...)
	if err != nil {
		t.Fatal(err)
	}
	archive, err := messeaf.Zip(files)
	if err != nil {
		t.Fatal(err)
	}
	again, err := messeaf.ParseZip(archive)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if !reflect.DeepEqual(again, threads) {
		t.Fatalf("seed %d: the zip says\n%+v\nof\n%+v", seed, again, threads)
	}
	filesAgain, err := messeaf.Tree(messeaf.V2, again...)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := messeaf.Zip(filesAgain); err != nil || string(second) != string(archive) {
		t.Fatalf("seed %d: the zip of what was read is another (%v)", seed, err)
	}
}

// A view that says what the thread says changes nothing. One that goes on keeps all that was there.
func TestWithKeepsWhatIsThere(t *testing.T) {
	for seed := range int64(100) {
		g := &generator{rand.New(rand.NewSource(seed))}
		thread := g.thread(t, 0)
		v := thread.View()
		same, err := thread.With(asExchange(v))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := lines(same.Documents()), lines(thread.Documents()); got != want {
			t.Fatalf("seed %d: its own view made\n%sof\n%s", seed, got, want)
		}
		v = asExchange(v)
		v.Status, v.Executor = "held", "phone"
		v.Updated = v.Updated.Add(time.Second)
		v.History = append(v.History[:len(v.History):len(v.History)], messeaf.Entry{Action: "held", At: v.Updated, By: "phone"})
		v.Messages = append(v.Messages[:len(v.Messages):len(v.Messages)], messeaf.Message{From: "phone", TS: v.Updated, Mess: json.RawMessage(`[{"status": {"code": "held"}}]`)})
		next, err := thread.With(v)
		if err != nil {
			t.Fatal(err)
		}
		reread, err := messeaf.FromDocuments(next.Documents(), next.Attachments())
		if err != nil {
			t.Fatal(err)
		}
		got := reread.View()
		if got.Status != "held" || got.Executor != "phone" || got.ClientID != thread.View().ClientID || len(got.History) != len(v.History) || len(got.Messages) != len(v.Messages) {
			t.Fatalf("seed %d: %+v of %+v", seed, got, v)
		}
		kept := len(thread.Documents())
		if !reflect.DeepEqual(reread, next) {
			t.Fatalf("seed %d: the view is %+v, the documents say %+v", seed, next.View(), reread.View())
		}
		if lines(reread.Documents()[1:kept]) != lines(thread.Documents()[1:]) {
			t.Fatalf("seed %d: the messages that were there have changed", seed)
		}
	}
}

// asExchange is the view without what an exchange does not tell.
func asExchange(v messeaf.View) messeaf.View {
	v.ClientID, v.Expires = "", time.Time{}
	v.Created, v.Updated = v.Created.Truncate(time.Millisecond), v.Updated.Truncate(time.Millisecond)
	v.Messages = slices.Clone(v.Messages)
	for i := range v.Messages {
		m := &v.Messages[i]
		m.Channel, m.Re, m.TS = "", "", m.TS.Truncate(time.Millisecond)
	}
	return v
}

// generator makes threads out of everything that is hard to write in YAML.
type generator struct{ *rand.Rand }

func pick[T any](g *generator, from ...T) T { return from[g.Intn(len(from))] }

var hardTexts = []string{
	"", " ", "a", "yes", "No", "ON", "y", "n", "null", "~", "true", "FALSE", "0", "-0", "007", "0x1F", "0o17", "1_000", "1e5", ".5", "5.", "+5", ".inf", "-.INF", ".nan",
	"1:30", "190:20:30", "2026-02-01", "2026-02-01T22:00:00Z", "2026-02-01 22:00:00", "2026-02-01-XY1Z", "1.0.0", "12 monkeys", "<<", "=", "- a", "-", "--- a", "---", "...", "? a", "?", ": a", ":", "a: b", "a:", "a:b",
	"a #b", "a#b", "#a", "[a]", "{a: b}", "a, b", "a]", "*a", "&a", "!a", "|", ">", "%a", "@a", "`a", `"a"`, "'a'", `a"b`, `a\b`, `\u0041`, " a", "a ", "a\tb", "\ta",
	"a\nb", "a\nb\n", "a\n\nb\n\n", "\na", "\n", "\n\n", " a\nb", "a\n b", "a \nb", "a\n\tb", "a\r\nb", "a\rb", "a\n---\nb", "a\n...\n", "# a\n# b", "a: |\n  b", "- a\n- b",
	"é", "日本語", "👩\u200d👩\u200d👧", "\u00a0a", "a\u2028b", "\ufeffa", "\ufffd", "\ufffe", "\U0010fffe", "a\u202eb", "می\u200cخواهم", "a\u0301", "data:image/png;base64,iVBORw0KGgo=", "https://example.org/a?b=c#d",
}

func (g *generator) text() string {
	switch g.Intn(4) {
	case 0:
		return pick(g, hardTexts...) + pick(g, hardTexts...)
	case 1:
		return strings.Repeat(pick(g, hardTexts...), g.Intn(40))
	}
	return pick(g, hardTexts...)
}

func (g *generator) value(depth int) string {
	n := g.Intn(10)
	if depth > 5 {
		n %= 7
	}
	switch n {
	case 0:
		return pick(g, "0", "-0", "2.50", "1e5", "1E+5", "-1.5e-10", "123456789012345678901234567890", "0.1000")
	case 1:
		return pick(g, "true", "false", "null")
	case 7, 8:
		return g.object(depth + 1)
	case 9:
		var items []string
		for range g.Intn(4) {
			items = append(items, g.value(depth+1))
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	return quote(g.text())
}

func (g *generator) object(depth int, before ...string) string {
	members := before
	used := map[string]bool{}
	for range g.Intn(4) {
		if key := g.text(); !used[key] {
			used[key] = true
			members = append(members, quote(key)+":"+g.value(depth+1))
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

func quote(s string) string {
	out, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(out)
}

func (g *generator) time() string {
	return pick(g, "2026-02-01T22:00:00Z", "2026-02-01T17:00:00-08:00", "2026-02-01T22:00:00.123456789+05:30", "0001-01-01T00:00:01Z")
}

// name is a text that names somebody or something.
func (g *generator) name() string {
	for {
		if s := g.text(); strings.TrimSpace(s) != "" && !strings.ContainsAny(s, "\r\n\t") && len(s) < 500 {
			return s
		}
	}
}

// thread makes one whose ref holds that number.
func (g *generator) thread(t *testing.T, number int) *messeaf.Thread {
	t.Helper()
	ref := fmt.Sprintf("2026-02-01-%03d%s", number, pick(g, "", "-check", "-A.b_c"))
	status := pick(g, "pending", "claimed", "in-progress", "needs_input", "completed", "canceled", "superseded")
	envelope := []string{
		`"ref":` + quote(ref), `"requestor":` + quote(g.name()), `"status":` + quote(status),
		`"created":` + quote(g.time()), `"updated":` + quote(g.time()), `"intent":` + quote("x"+g.text()),
	}
	for _, optional := range []string{
		`"executor":null`, `"executor":` + quote(g.name()), `"client_id":` + quote(g.name()), `"expires":` + quote(g.time()), `"priority":"urgent"`,
		`"history":[]`, `"history":[{"action":"created","at":` + quote(g.time()) + `,"by":` + quote(g.name()) + `},{"note":` + quote(g.text()) + `,"by":"x","at":` + quote(g.time()) + `,"action":"claimed","ref":"r"}]`,
	} {
		name, _, _ := strings.Cut(optional, ":")
		if g.Intn(2) == 0 && !strings.Contains(strings.Join(envelope, ","), name+":") {
			envelope = append(envelope, optional)
		}
	}
	g.Shuffle(len(envelope), func(i, j int) { envelope[i], envelope[j] = envelope[j], envelope[i] })
	documents := []json.RawMessage{json.RawMessage(g.object(1, envelope...))}
	for range g.Intn(5) {
		var blocks []string
		for range g.Intn(4) {
			blocks = append(blocks, g.object(3))
		}
		message := []string{`"from":` + quote(g.name()), `"received":` + quote(g.time()), `"MESS":[` + strings.Join(blocks, ",") + `]`}
		if g.Intn(2) == 0 {
			message = append(message, `"re":`+quote(ref), `"channel":`+quote(g.name()))
		}
		documents = append(documents, json.RawMessage(g.object(1, message...)))
	}
	var attachments []messeaf.Attachment
	for i := range g.Intn(3) {
		attachments = append(attachments, messeaf.Attachment{Serial: i + 1, Kind: "image", Name: "IMG_1.jpg", Bytes: []byte(g.text() + "\x00")})
	}
	thread, err := messeaf.FromDocuments(documents, attachments)
	if err != nil {
		t.Fatalf("%v in %s", err, documents)
	}
	return thread
}
