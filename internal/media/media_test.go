package media

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"slices"
	"strings"
	"testing"
)

// putBack undoes TakeOut as a reader of the log does: by the pointers alone.
func putBack(t *testing.T, small []byte, parts []Part) []byte {
	t.Helper()
	var out []byte
	kept := 0
	for _, p := range parts {
		content, err := io.ReadAll(p.Content())
		if err != nil || len(content) != p.Size {
			t.Fatalf("%s: %d bytes of %d, %v", p.At, len(content), p.Size, err)
		}
		hole, ok := Locate(small, p.At)
		if !ok || hole.End < kept {
			t.Fatalf("%s is not found in %.300s", p.At, small)
		}
		out = append(out, small[kept:hole.End]...)
		out = append(out, base64.StdEncoding.EncodeToString(content)...)
		kept = hole.End
	}
	return append(out, small[kept:]...)
}

// check holds what must be true of any message.
func check(t *testing.T, message []byte) (taken int) {
	t.Helper()
	small, parts := TakeOut(message, "", Most)
	if !json.Valid(small) {
		t.Fatalf("no JSON: %.300s", small)
	}
	if got := putBack(t, small, parts); !bytes.Equal(got, message) {
		t.Fatalf("put back it is\n%.300s, not\n%.300s", got, message)
	}
	if before, after := Find(message, ""), Find(small, ""); !slices.EqualFunc(before, after, func(a, b Medium) bool {
		return a.At == b.At && a.Kind == b.Kind && a.Name == b.Name && a.Type == b.Type && a.Link == b.Link
	}) {
		t.Fatalf("found %+v in the message, and %+v after taking out", before, after)
	}
	for _, p := range parts {
		if p.Size <= Least || bytes.Contains(small, p.base64) && strings.Count(string(message), string(p.base64)) == 1 {
			t.Fatalf("%s was not taken out: %d bytes", p.At, p.Size)
		}
	}
	return len(parts)
}

// generator makes messages that are hard to take apart: media in all places and beside them, spelled in all ways.
type generator struct{ *rand.Rand }

func (g generator) pick(from ...string) string { return from[g.Intn(len(from))] }

func (g generator) data() string {
	b := make([]byte, []int{0, 1, 2, 3, Least - 1, Least, Least + 1, Least + 2, Least + 3, 3 * Least}[g.Intn(10)])
	g.Read(b)
	text := base64.StdEncoding.EncodeToString(b)
	switch g.Intn(12) {
	case 0:
		return strings.ReplaceAll(text, "/", `\/`)
	case 1:
		return strings.TrimRight(text, "=")
	case 2:
		return base64.URLEncoding.EncodeToString(b)
	case 3:
		return text + g.pick("=", "A", `\n`, " ", "\u00e9", `\u0041`, `\\`, `\"`)
	case 4:
		return g.pick("=", "A", `\n`, " ", `\u0041`) + text
	case 5:
		if n := len(text); n > 8 && strings.HasSuffix(text, "=") { // another spelling of the same bytes
			return strings.TrimRight(text, "=")[:n-3] + "B" + text[len(strings.TrimRight(text, "=")):]
		}
	}
	return text
}

func (g generator) uri() string {
	return g.pick("data:", "data:", "data:", "data:", "DATA:", `d\u0061ta:`, "data: ") + g.pick("image/png", "image/jpeg", `image\/svg+xml`, "text/html;charset=utf-8", "", "x,y", `a\"b/c`, "é/è") +
		g.pick(";base64", ";base64", ";base64", ";BASE64", `;b\u0061se64`, "") + g.pick(",", ",", ",", ",", ",", `\u002c`, "") + g.data()
}

func (g generator) text() string {
	return g.pick(g.uri(), g.uri(), g.data(), "Door is locked", `a \"quoted\" {\\`, "", "https://example.com/a.jpg")
}

func (g generator) name() string {
	return g.pick("image", "image", "image", "content", "content", "content", "audio", "video", "file", "attachment", "content", "context", "data", "data", "uri", "name", "mime", "text", "response", `im\u0061ge`, "a/b", "a~1b~0", "", `\"`, "0")
}

func (g generator) value(depth int) string {
	space := func() string { return g.pick("", "", "", " ", "\n\t") }
	n := g.Intn(10)
	switch {
	case depth == 0 || n < 2:
		return g.pick(`"`+g.text()+`"`, `"`+g.text()+`"`, `"`+g.text()+`"`, "7", "-2.50e+10", "true", "null", "[]", "{}", `""`)
	case n < 6:
		var items []string
		for range g.Intn(5) {
			items = append(items, g.value(depth-1))
		}
		return "[" + space() + strings.Join(items, space()+","+space()) + space() + "]"
	}
	if n == 9 || n == 8 { // one of the forms
		return g.pick(
			`{"image":"`+g.uri()+`"}`, `{"video":{"data":"`+g.data()+`","name":"`+g.pick("a.mp4", `\u0041.mov`, "../x", "")+`"}}`, `{"content":["`+g.uri()+`","`+g.text()+`","`+g.uri()+`"]}`,
			`{"file":[{"uri":"`+g.uri()+`"},{"mime":"text/plain", "data" : "`+g.data()+`"}]}`)
	}
	var all []string
	used := map[string]bool{}
	for range g.Intn(5) {
		if name := g.name(); !used[unquote([]byte(name))] {
			used[unquote([]byte(name))] = true
			all = append(all, `"`+name+`"`+space()+":"+space()+g.value(depth-1))
		}
	}
	return "{" + space() + strings.Join(all, space()+","+space()) + space() + "}"
}

// Whatever a message holds, it comes back to the byte.
func TestMessagesComeBack(t *testing.T) {
	taken := 0
	for seed := range int64(1500) {
		g := generator{rand.New(rand.NewSource(seed))}
		message := []byte(g.value(5))
		if !json.Valid(message) {
			t.Fatalf("seed %d: the generator makes no JSON: %.200s", seed, message)
		}
		taken += check(t, message)
	}
	if taken < 200 {
		t.Errorf("only %d media were taken out", taken)
	}
}

// The places where media stand, and the ones where they don't.
func TestWhatIsTaken(t *testing.T) {
	data := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{0xff, 7}, Least))
	for message, want := range map[string]string{
		`[{"response":{"content":["Door is locked",{"image":"data:image/jpeg;base64,%s"}]}}]`:           "/0/response/content/1/image image image/jpeg ",
		`[{"response":{"content":["data:image/png;base64,%s"]}}]`:                                       "/0/response/content/0 image image/png ",
		`[{"response":{"content":"data:audio/ogg;base64,%s"}}]`:                                         "/0/response/content audio audio/ogg ",
		`[{"request":{"context":["x","data:;base64,%s"]}}]`:                                             "/0/request/context/1 file  ",
		`[{"file":{"name":"a.PDF","data":"%s"}}]`:                                                       "/0/file/data file application/pdf a.PDF",
		`[{"attachment":{"data":"%s","name":"../a.pdf","mime":"Application/PDF; x=y"}}]`:                "/0/attachment/data file application/pdf ",
		`[{"video":[{"uri":"data:video/mp4;base64,%s","name":"f\u00f6n.mov"}]}]`:                        "/0/video/0/uri video video/mp4 fön.mov",
		`[{"reply":{"answers":{"photo":{"image":{"data":"data:image/webp;base64,%s"}}}}}]`:              "/0/reply/answers/photo/image/data image image/webp ",
		`[{"a/b~c":{"image":"data:image/png;base64,%s"}}]`:                                              "/0/a~1b~0c/image image image/png ",
		`[{"status":{"code":"completed","message":"data:image/png;base64,%s"}}]`:                        "",
		`[{"request":{"intent":"data:image/png;base64,%s","requires":["data:image/png;base64,AAAA"]}}]`: "",
		`[{"image":{"thumbnail":"%s"}}]`:                                                                "",
		`[{"image":"%s"}]`:                                                                              "",
		`[{"text":{"data":"%s"}}]`:                                                                      "",
		`[{"image":{"data":"%s=="}}]`:                                                                   "",
		`[{"image":"data:image/png,%s"}]`:                                                               "",
		`[{"image":"data:image/png;base64,%.5000s"}]`:                                                   "",
	} {
		message = fmt.Sprintf(message, data)
		var got []string
		_, parts := TakeOut(json.RawMessage(message), "", Most)
		for _, p := range parts {
			got = append(got, strings.Join([]string{p.At, p.Kind, p.Type, p.Name}, " "))
		}
		if strings.Join(got, "; ") != want {
			t.Errorf("%.80s…: got %q, want %q", message, got, want)
		}
		check(t, []byte(message))
	}
	var many []string
	for range Most + 5 {
		many = append(many, `"data:;base64,`+data+`"`)
	}
	if n := check(t, []byte(`{"content":[`+strings.Join(many, ",")+`]}`)); n != Most {
		t.Errorf("%d were taken out, not %d", n, Most)
	}
}

func TestCanonicalIsWhatEncodingGives(t *testing.T) {
	g := generator{rand.New(rand.NewSource(1))}
	right := 0
	for range 3000 {
		b := make([]byte, g.Intn(9))
		g.Read(b)
		text := []byte(base64.StdEncoding.EncodeToString(b))
		for range g.Intn(3) {
			if len(text) > 0 {
				text[g.Intn(len(text))] = g.pick("A", "B", "=", "/", "+", "_", "\n", "z", "9")[0]
			}
		}
		decoded, err := base64.StdEncoding.DecodeString(string(text))
		want := err == nil && base64.StdEncoding.EncodeToString(decoded) == string(text)
		size, ok := canonical(text)
		if ok != want || ok && size != len(decoded) {
			t.Fatalf("%q: got %d, %v, want %d, %v", text, size, ok, len(decoded), want)
		}
		if ok {
			right++
		}
	}
	if right < 300 {
		t.Errorf("only %d were base64", right)
	}
}

// What is shown of media that stay where they are.
func TestNamesAndBytes(t *testing.T) {
	message := `[{"content":["data:image/png;base64,iVBORw0K",{"image":{"name":"a b.jpg","data":"/9j/4A"}},{"file":{"data":"_-8="}},"data:text/plain,h%C3%A9",
		{"audio":{"uri":"https://x/y.mp3"}},{"video":{"data":"no base64!"}},"data:image/svg+xml;base64,%50HN2Zz4=",{"image":"/api/v1/x"}]}]`
	want := []string{
		"image-3-1.png image/png \x89PNG\r\n", "a b.jpg image/jpeg \xff\xd8\xff\xe0", "file-3-3  \xff\xef", "file-3-4.txt text/plain hé",
		"audio-3-5  -https://x/y.mp3", "video-3-6  -", "image-3-7.svg image/svg+xml <svg>", "image-3-8  -/api/v1/x",
	}
	for i, m := range Find([]byte(message), "") {
		b, ok := m.Decode()
		if !ok {
			b = []byte("-" + m.URL())
		}
		if got := m.NameOf(3, i+1) + " " + m.Type + " " + string(b); i >= len(want) || got != want[i] {
			t.Errorf("number %d: got %q", i+1, got)
		}
	}
}

func TestCleanNames(t *testing.T) {
	for name, want := range map[string]bool{
		"a.jpg": true, "Fön im Bad.jpg": true, ".x": true, "": false, ".": false, "..": false, "a..b": false, "a/b": false, `a\b`: false,
		"a\x00": false, "a\u0085": false, "\xff": false, strings.Repeat("x", 255): true, strings.Repeat("x", 256): false,
	} {
		if CleanName(name) != want {
			t.Errorf("%q: got %v", name, !want)
		}
	}
}

// No bytes make the walk panic; what is JSON comes back.
func FuzzTakeOut(f *testing.F) {
	for seed := range int64(20) {
		f.Add([]byte(generator{rand.New(rand.NewSource(seed))}.value(4)))
	}
	for _, text := range []string{"", `"`, `{"`, `[`, `{"a":`, `{"a"`, `[1,`, `{"image":{"data":"`, `}`, `]`, `{]`, `[}`, `{"image":[`, `"\`, `{"content":"data:`, `[[[[`} {
		f.Add([]byte(text))
	}
	big := base64.StdEncoding.EncodeToString(make([]byte, Least+1))
	f.Fuzz(func(t *testing.T, message []byte) {
		message = bytes.ReplaceAll(message, []byte("%"), []byte(big)) // so that something large is met soon
		if json.Valid(message) {
			check(t, message)
			return
		}
		small, parts := TakeOut(message, "/x", Most)
		for _, p := range parts {
			Locate(small, p.At)
		}
		for _, m := range Find(message, "") {
			m.Decode()
			Locate(message, m.At)
		}
	})
}
