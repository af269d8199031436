package httpapi

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mess-exchange/mess-exchange/internal/bucket/faultblob"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
)

// someBytes are those of a photo, another one for each seed.
func someBytes(seed int64, size int) []byte {
	b := make([]byte, size)
	rand.New(rand.NewSource(seed)).Read(b)
	return b
}

func inBase64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// post sends a body as it is.
func (c client) post(path, mediaType string, body io.Reader) response {
	c.tb.Helper()
	r := httptest.NewRequest("POST", c.base+path, body)
	r.Header.Set("Authorization", "Bearer "+c.key)
	r.Header.Set("Content-Type", mediaType)
	return c.serve(r)
}

// Ensure that messages with media are read as they were sent, and as links; that the links lead to the same bytes; and
// that HEAD says how long it all is.
func TestThreadWithMedia(t *testing.T) {
	phone := newSite(t).at("home").register("phone")
	one, two := someBytes(1, 5000), someBytes(2, 70_001)
	request := fmt.Sprintf(`{"intent":"x","context":["data:image/png;base64,%s"]}`, inBase64(one))
	ref := phone.create(request)
	mess := fmt.Sprintf(`[{"response":{"content":["\u0041",{"image":{"name":"a \"b\".jpg","data":"%s"}},"data:image/png;base64,%s",2.50]}},{"text":"%s"}]`,
		inBase64(two), inBase64(one), strings.Repeat("y", inlineBlocks))
	phone.want(200, "PATCH", "/requests/"+ref, `{"status":"completed","mess":`+mess+`}`)
	block := `{"status":{"re":"` + ref + `","code":"completed"}}`

	whole := phone.want(200, "GET", "/requests/"+ref, "")
	for _, want := range []string{`"mess":[{"request":` + request + `}]}`, `"mess":[` + block + `,` + mess[1:] + `}`} {
		if !strings.Contains(string(whole.body), want) {
			t.Errorf("got %.300s, want %.300s", whole.body, want)
		}
	}
	if !json.Valid(whole.body) || whole.header.Get("Content-Length") != fmt.Sprint(len(whole.body)) {
		t.Errorf("%d bytes, and it says %s", len(whole.body), whole.header.Get("Content-Length"))
	}
	head := phone.want(200, "HEAD", "/requests/"+ref, "")
	if len(head.body) != 0 || head.header.Get("Content-Length") != fmt.Sprint(len(whole.body)) {
		t.Errorf("HEAD: %d bytes, length %s", len(head.body), head.header.Get("Content-Length"))
	}
	if same := phone.want(200, "GET", "/requests/"+ref+"?media=inline", ""); !bytes.Equal(same.body, whole.body) {
		t.Error("media=inline shows something else")
	}

	var linked struct {
		Thread struct {
			Messages []struct{ Mess json.RawMessage }
		}
	}
	if err := json.Unmarshal(phone.want(200, "GET", "/requests/"+ref+"?media=link", "").body, &linked); err != nil {
		t.Fatal(err)
	}
	var message []struct {
		Response struct{ Content []any }
	}
	if err := json.Unmarshal(linked.Thread.Messages[1].Mess, &message); err != nil {
		t.Fatal(err)
	}
	content := message[1].Response.Content
	for link, want := range map[any][]byte{content[1].(map[string]any)["image"].(map[string]any)["data"]: two, content[2]: one} {
		got := phone.want(200, "GET", strings.TrimPrefix(link.(string), phone.base), "")
		if !bytes.Equal(got.body, want) {
			t.Errorf("%s: %d bytes", link, len(got.body))
		}
	}
	list := phone.want(200, "GET", "/requests", "")
	if len(list.body) > 1000 {
		t.Errorf("a list has %d bytes", len(list.body))
	}
}

// Ensure that what a browser is told of each medium is safe, and that ranges and tags work.
func TestGetAttachment(t *testing.T) {
	phone := newSite(t).at("home").register("phone")
	photo := someBytes(1, 10_000)
	ref := phone.create(fmt.Sprintf(`{"intent":"x","context":[{"image":{"name":"Fön, 50%% \"neu\".png","data":"%s"}},{"file":{"name":"a.html","data":"data:text/html;base64,PGI+"}},
		{"image":{"name":"a.svg","data":"PHN2Zz4="}},{"file":{"name":"a.pdf","data":"JVBERg=="}},{"audio":{"name":"a.mp3","data":"AAAA"}},"data:image/jpeg;base64,/9j/"]}`, inBase64(photo)))
	for name, want := range map[string]string{
		"F%C3%B6n%2C%2050%25%20%22neu%22.png": `image/png inline; filename*=utf-8''F%C3%B6n%2C%2050%25%20%22neu%22.png`,
		"a.html":                              `text/html attachment; filename=a.html`,
		"a.svg":                               `image/svg+xml attachment; filename=a.svg`,
		"a.pdf":                               `application/pdf inline; filename=a.pdf`,
		"a.mp3":                               `audio/mpeg inline; filename=a.mp3`,
		"image-1-6.jpg":                       `image/jpeg inline; filename=image-1-6.jpg`,
	} {
		a := phone.want(200, "GET", "/requests/"+ref+"/attachments/"+name, "")
		if got := a.header.Get("Content-Type") + " " + a.header.Get("Content-Disposition"); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		if a.header.Get("Content-Security-Policy") != "default-src 'none'; sandbox" || a.header.Get("Cache-Control") != "private, no-cache" {
			t.Errorf("%s: %v", name, a.header)
		}
	}
	path := "/requests/" + ref + "/attachments/F%C3%B6n%2C%2050%25%20%22neu%22.png"
	tag := phone.want(200, "GET", path, "").header.Get("ETag")
	for _, c := range []struct {
		header, value, want string
		status              int
	}{
		{"Range", "bytes=9990-", string(photo[9990:]), 206},
		{"Range", "bytes=-3", string(photo[9997:]), 206},
		{"Range", "bytes=5-7", string(photo[5:8]), 206},
		{"Range", "bytes=10000-", `{"error":"The range is not within the 10000 bytes of the attachment","code":"range_not_satisfiable"}` + "\n", 416},
		{"Range", "lines=1", `{"error":"Range: is not understood","code":"range_not_satisfiable"}` + "\n", 416},
		{"If-None-Match", tag, "", 304},
		{"If-None-Match", `"other"`, string(photo), 200},
	} {
		a := phone.want(c.status, "GET", path, "", c.header, c.value)
		if string(a.body) != c.want {
			t.Errorf("%s: %s: got %.200q", c.header, c.value, a.body)
		}
	}
	if a := phone.want(206, "GET", path, "", "Range", "bytes=0-1,9-9"); !strings.HasPrefix(a.header.Get("Content-Type"), "multipart/byteranges") || !bytes.Contains(a.body, photo[9:10]) {
		t.Errorf("two ranges: %v", a.header)
	}
	if a := phone.want(200, "HEAD", path, ""); a.header.Get("Content-Length") != "10000" || len(a.body) != 0 {
		t.Errorf("HEAD: %v", a.header)
	}
	for name, want := range map[string]string{
		"..": "Invalid filename", "%2e%2e": "Invalid filename", "..%2f..%2fetc%2fpasswd": "Invalid filename", "a%2Fb": "Invalid filename", "a%5Cb": "Invalid filename", "a%00": "Invalid filename", "%FF": "Invalid filename",
		strings.Repeat("x", 300): "Invalid filename", "none.png": "Attachment not found", "image-1-7.jpg": "Attachment not found",
	} {
		status := map[string]int{"Invalid filename": 400, "Attachment not found": 404}[want]
		if a := phone.want(status, "GET", "/requests/"+ref+"/attachments/"+name, ""); a.text(t, "error") != want || a.header.Get("Content-Disposition") != "" {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	phone.want(404, "GET", "/requests/2026-02-01-NONE/attachments/a.pdf", "")
	phone.as("mess_home_x").want(401, "GET", "/requests/"+ref+"/attachments/a.pdf", "")
	other := phone.at("office").register("other")
	phone.as(other.key).want(403, "GET", "/requests/"+ref+"/attachments/a.pdf", "")
}

// Ensure that an upload's answer is a block that can be put into a message as it is, in all ways to send a file.
func TestUploadAttachment(t *testing.T) {
	phone := newSite(t).at("home").register("phone")
	ref := phone.create(`{"intent":"x"}`)
	uploads := "/requests/" + ref + "/attachments"
	photo := someBytes(1, 300_000)
	form := func(parts ...string) (string, io.Reader) {
		return "multipart/form-data; boundary=b", strings.NewReader("--b\r\n" + strings.Join(parts, "\r\n--b\r\n") + "\r\n--b--\r\n")
	}
	part := func(head, content string) string {
		return "Content-Disposition: form-data; " + head + "\r\n\r\n" + content
	}
	type upload struct {
		query, mediaType string
		body             io.Reader
		kind, name, mime string
	}
	all := []upload{
		{"?name=a%20b.jpg", "image/jpeg", bytes.NewReader(photo), "image", "a b.jpg", "image/jpeg"},
		{"?name=x.mp4", "application/octet-stream", bytes.NewReader(photo), "video", "x.mp4", "video/mp4"},
		{"", "audio/ogg; codecs=opus", bytes.NewReader(photo), "audio", "audio.oga", "audio/ogg"},
		{"", "", bytes.NewReader(photo), "file", "file", "application/octet-stream"},
		{"", "no type", bytes.NewReader(photo), "file", "file", "application/octet-stream"},
	}
	for head, name := range map[string]string{`name="file"; filename="C:\\fakepath\\y.png"`: "y.png", `name="photo"; filename="../../y.png"`: "y.png"} {
		f := upload{kind: "image", name: name, mime: "image/png"}
		f.mediaType, f.body = form(part(`name="note"`, "x"), part(head, string(photo)), part(`name="after"`, ""))
		all = append(all, f)
	}
	for _, u := range all {
		a := phone.post(uploads+u.query, u.mediaType, u.body)
		if a.status != 201 {
			t.Fatalf("%s %s: %d %s", u.query, u.mediaType, a.status, a.body)
		}
		var block map[string]struct {
			Name, URI, Mime string
			Size            int
		}
		if err := json.Unmarshal(a.body, &block); err != nil {
			t.Fatal(err)
		}
		got := block[u.kind]
		if len(block) != 1 || got.Name != u.name || got.Mime != u.mime || got.Size != len(photo) {
			t.Errorf("%s %s: got %s", u.query, u.mediaType, a.body)
		}
		link := strings.TrimPrefix(got.URI, phone.base)
		phone.want(404, "GET", link, "")
		phone.want(200, "PATCH", "/requests/"+ref, `{"mess":[`+string(a.body)+`]}`)
		if read := phone.want(200, "GET", link, ""); !bytes.Equal(read.body, photo) || read.header.Get("Content-Type") != u.mime {
			t.Errorf("%s: %d bytes of %s", link, len(read.body), read.header.Get("Content-Type"))
		}
		if !strings.Contains(string(phone.want(200, "GET", "/requests/"+ref, "").body), got.URI) {
			t.Errorf("the message does not hold %s", got.URI)
		}
	}
}

// Ensure that what is no upload is refused, and that too much is, however it comes.
func TestUploadsRefused(t *testing.T) {
	phone := siteWith(t, engineOn(t, faultblob.New().Store(false)), &logBuffer{}, Options{AttachmentMax: 1 << 20}).at("home").register("phone")
	ref := phone.create(`{"intent":"x"}`)
	uploads := "/requests/" + ref + "/attachments"
	big := someBytes(1, 1<<20+1)
	unannounced := func(b []byte) io.Reader { return io.MultiReader(bytes.NewReader(b)) }
	formOf := func(b []byte) io.Reader {
		return io.MultiReader(strings.NewReader("--b\r\nContent-Disposition: form-data; name=file; filename=a.jpg\r\n\r\n"), bytes.NewReader(b), strings.NewReader("\r\n--b--\r\n"))
	}
	twoFiles := "--b\r\nContent-Disposition: form-data; name=file; filename=a.jpg\r\n\r\nx\r\n--b\r\nContent-Disposition: form-data; name=file; filename=b.jpg\r\n\r\nx\r\n--b--\r\n"
	for what, c := range map[string]struct {
		path, mediaType string
		body            io.Reader
		status          int
		code            exchange.Code
	}{
		"as large as may be":      {uploads, "image/jpeg", unannounced(big[1:]), 201, ""},
		"a form as large":         {uploads, "multipart/form-data; boundary=b", formOf(big[1:]), 201, ""},
		"too large":               {uploads, "image/jpeg", bytes.NewReader(big), 413, exchange.CodeTooLarge},
		"too large, unannounced":  {uploads, "image/jpeg", unannounced(big), 413, exchange.CodeTooLarge},
		"too large in a form":     {uploads, "multipart/form-data; boundary=b", formOf(big), 413, exchange.CodeTooLarge},
		"broken off":              {uploads, "image/jpeg", io.MultiReader(strings.NewReader("half"), failing{io.ErrUnexpectedEOF}), 400, exchange.CodeInvalid},
		"two files":               {uploads, "multipart/form-data; boundary=b", strings.NewReader(twoFiles), 400, exchange.CodeInvalid},
		"no thread":               {"/requests/2026-02-01-NONE/attachments", "image/jpeg", strings.NewReader("x"), 404, exchange.CodeThreadNotFound},
		"a name that is a path":   {uploads + "?name=a%2Fb", "image/jpeg", strings.NewReader("x"), 400, exchange.CodeInvalid},
		"a name that goes up":     {uploads + "?name=..", "image/jpeg", strings.NewReader("x"), 400, exchange.CodeInvalid},
		"a name with a line feed": {uploads + "?name=a%0Ab", "image/jpeg", strings.NewReader("x"), 400, exchange.CodeInvalid},
	} {
		a := phone.post(c.path, c.mediaType, c.body)
		code := ""
		if a.status >= 400 {
			code = a.text(t, "code")
		}
		if a.status != c.status || code != string(c.code) {
			t.Errorf("%s: got %d %s", what, a.status, a.body)
		}
	}
}

// Ensure that an upload may take long as long as some of it comes, and is cut where nothing does, or when it takes all
// day.
func TestSlowUpload(t *testing.T) {
	const head = "POST /api/v1/exchanges/home/requests/2026-02-01-XY1Z/attachments HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nAuthorization: Bearer " + goodKey + "\r\nContent-Length: 100\r\n\r\n"
	for name, c := range map[string]struct {
		every  time.Duration
		bytes  int
		status string
		took   time.Duration
	}{
		"a byte now and then": {8 * time.Second, 100, "201", 800 * time.Second},
		"silence":             {0, 1, "408", uploadStall},
		"nearly silence":      {uploadStall - time.Second, 100, "408", uploadTime},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, willing{}, func(t *testing.T, dial func() net.Conn) {
				conn := dial()
				begun := time.Now()
				say(t, conn, head)
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					for range c.bytes {
						time.Sleep(c.every)
						if _, err := conn.Write([]byte("x")); err != nil {
							return
						}
					}
				}()
				line := make([]byte, len("HTTP/1.1 201 "))
				_, err := io.ReadFull(conn, line)
				took := time.Since(begun).Round(time.Second)
				if err != nil || string(line) != "HTTP/1.1 "+c.status+" " || took != c.took {
					t.Errorf("after %s: %q, %v", took, line, err)
				}
				conn.Close()
				<-sent
			})
		})
	}
}

// Ensure that a store that is away is a 503 before an answer has begun, and cuts it off afterwards.
func TestMediaThatCannotBeRead(t *testing.T) {
	bucket := faultblob.New()
	store := bucket.Store(false)
	phone := siteOf(t, engineOn(t, store)).at("home").register("phone")
	failing := func(key string) {
		store.OnCall(func(_ context.Context, op faultblob.Op) faultblob.Fault {
			if op.Key == key {
				return faultblob.Drop
			}
			return faultblob.None
		})
	}
	ref := phone.create(fmt.Sprintf(`{"intent":"x","context":[{"image":{"name":"a.png","data":"%s"}},{"image":{"data":"%s"}}]}`, inBase64(someBytes(1, 5000)), inBase64(someBytes(2, 5000))))
	keys := bucket.Keys("attachments/") // in the order of the message, which need not be theirs
	links := string(phone.want(200, "GET", "/requests/"+ref+"?media=link", "").body)
	slices.SortFunc(keys, func(a, b string) int {
		return strings.Index(links, path.Base(a)) - strings.Index(links, path.Base(b))
	})
	failing(keys[0])
	for _, of := range []string{"/requests/" + ref, "/requests/" + ref + "/attachments/a.png"} {
		a := phone.want(503, "GET", of, "")
		if a.text(t, "code") != string(exchange.CodeUnavailable) || a.header.Get("ETag") != "" {
			t.Errorf("%s: %s %v", of, a.body, a.header)
		}
	}
	phone.want(200, "GET", "/requests/"+ref+"?media=link", "")
	phone.want(200, "HEAD", "/requests/"+ref, "")
	failing(keys[1])
	r := httptest.NewRequest(http.MethodGet, phone.base+"/requests/"+ref, nil)
	r.Header.Set("Authorization", "Bearer "+phone.key)
	w := httptest.NewRecorder()
	phone.handler.ServeHTTP(w, r)
	if length, err := strconv.Atoi(w.Header().Get("Content-Length")); w.Code != 200 || err != nil || w.Body.Len() >= length {
		t.Errorf("%d, %d of %d bytes, %v", w.Code, w.Body.Len(), length, err)
	}
	failing("")
	phone.want(200, "GET", "/requests/"+ref, "")
}
