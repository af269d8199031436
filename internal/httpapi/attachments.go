package httpapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/mess-exchange/mess-exchange/gen/server"
	"github.com/mess-exchange/mess-exchange/internal/engine"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/media"
)

// GetAttachment implements GET …/requests/{ref}/attachments/{name}.
func (h *handlers) GetAttachment(ctx context.Context, r server.GetAttachmentRequestObject) (server.GetAttachmentResponseObject, error) {
	c := callOf(ctx)
	a, err := h.exchange.Attachment(ctx, c.caller, r.Ref, r.Name)
	if err != nil {
		return nil, err
	}
	return attachmentAnswer{a, c.answer.request}, nil
}

// attachmentAnswer is somebody's file, or a part of it.
type attachmentAnswer struct {
	*engine.Attachment
	request *http.Request
}

// around is what a browser is told of somebody's file: not to guess what it is, not to run anything in it, and to
// ask again whether it still is the newest of its name.
var around = []header{
	{"Cache-Control", []string{"private, no-cache"}},
	{"Content-Security-Policy", []string{"default-src 'none'; sandbox"}},
	{"Access-Control-Expose-Headers", []string{"Accept-Ranges, Content-Disposition, Content-Range, ETag, Retry-After, X-Request-Id"}},
}

func (a attachmentAnswer) VisitGetAttachmentResponse(w http.ResponseWriter) error {
	setHeaders(w.Header(), around)
	w.Header().Set("Content-Type", a.Type)
	w.Header().Set("Content-Disposition", disposition(a.Type, a.Name))
	w.Header().Set("ETag", `"`+a.Tag+`"`)
	defer a.Content.Close() // it was only read
	content := &watchedReader{ReadSeeker: a.Content}
	late := &lateWriter{ResponseWriter: w}
	http.ServeContent(late, a.request, "", time.Time{}, content)
	return late.end(content.err)
}

// disposition says whether a browser may show it. What can hold a script is for saving only.
func disposition(mediaType, name string) string {
	how := "attachment"
	if media.KindOf(mediaType) != media.File && mediaType != "image/svg+xml" || mediaType == "application/pdf" {
		how = "inline"
	}
	if d := mime.FormatMediaType(how, map[string]string{"filename": name}); d != "" {
		return d
	}
	return how
}

// watchedReader keeps the error of reading, which http.ServeContent does not tell.
type watchedReader struct {
	io.ReadSeeker
	err error
}

func (r *watchedReader) Read(p []byte) (int, error) {
	n, err := r.ReadSeeker.Read(p)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// lateWriter begins an answer with its first byte, so that what can't be read at all is answered as an error, and
// so is a range that is none.
type lateWriter struct {
	http.ResponseWriter
	status int
	begun  bool
}

func (w *lateWriter) WriteHeader(status int) { w.status = status }

func (w *lateWriter) Write(p []byte) (int, error) {
	if w.status == http.StatusRequestedRangeNotSatisfiable {
		return len(p), nil // a sentence of net/http's
	}
	w.begin()
	return w.ResponseWriter.Write(p)
}

func (w *lateWriter) begin() {
	if !w.begun {
		w.begun = true
		w.ResponseWriter.WriteHeader(w.status)
	}
}

// end begins an answer that has no body, or returns the error that is to be answered.
func (w *lateWriter) end(failed error) error {
	switch {
	case w.begun:
		return failed
	case failed != nil:
	case w.status == http.StatusRequestedRangeNotSatisfiable:
		message := "Range: is not understood"
		if _, size, ok := strings.Cut(w.Header().Get("Content-Range"), "/"); ok {
			message = "The range is not within the " + size + " bytes of the attachment"
		}
		failed = &exchange.Error{Code: exchange.CodeRange, Message: message}
	default:
		w.begin()
		return nil
	}
	for _, name := range []string{"ETag", "Content-Disposition", "Content-Security-Policy", "Accept-Ranges"} {
		w.Header().Del(name)
	}
	setHeaders(w.Header(), everywhere)
	return failed
}

// UploadAttachment implements POST …/requests/{ref}/attachments.
func (h *handlers) UploadAttachment(ctx context.Context, r server.UploadAttachmentRequestObject) (server.UploadAttachmentResponseObject, error) {
	c := callOf(ctx)
	f, err := h.fileOf(c, r)
	if err != nil {
		return nil, err
	}
	a, err := h.exchange.Upload(ctx, c.caller, r.Ref, f.name, f.mediaType, f.content)
	if err != nil {
		return nil, err
	}
	file := server.UploadedFile{Name: f.name, URI: media.Path(r.ExchangeID, r.Ref, path.Base(a.Key)), Mime: f.mediaType, Size: a.Size}
	var block server.Uploaded
	switch media.KindOf(f.mediaType) {
	case media.Image:
		block.Image = &file
	case media.Audio:
		block.Audio = &file
	case media.Video:
		block.Video = &file
	default:
		block.File = &file
	}
	return server.UploadAttachment201JSONResponse(block), nil
}

// file is what is uploaded. Errors of its content are refusals.
type file struct {
	name, mediaType string
	content         *bufio.Reader
}

// fileOf looks at what is known of an upload before it has come, and begins to take it.
func (h *handlers) fileOf(c *call, r server.UploadAttachmentRequestObject) (file, error) {
	header := c.answer.request.Header
	sent, params, unnamed := mime.ParseMediaType(header.Get("Content-Type"))
	if unnamed != nil {
		sent = ""
	}
	switch encoding := header.Get("Content-Encoding"); {
	case encoding != "" && !strings.EqualFold(encoding, "identity"):
		return file{}, &exchange.Error{Code: exchange.CodeUnsupportedMedia, Message: "The body must be sent without a Content-Encoding"}
	case sent == "application/x-www-form-urlencoded":
		return file{}, &exchange.Error{Code: exchange.CodeUnsupportedMedia, Message: "The body must be the file itself, with its type as Content-Type, or multipart/form-data"}
	}
	limit := h.options.AttachmentMax
	form := sent == "multipart/form-data"
	if form {
		limit += formOverhead
	}
	tooLarge := &exchange.Error{Code: exchange.CodeTooLarge, Message: "The file is larger than " + strconv.FormatInt(h.options.AttachmentMax>>20, 10) + " MiB"}
	if c.answer.request.ContentLength > limit {
		return file{}, tooLarge
	}
	body := &limitedReader{r: c.upload(r.Body), left: limit, over: tooLarge}
	f := file{mediaType: sent}
	if r.Params.Name != nil {
		f.name = *r.Params.Name
	}
	if !form {
		f.content = bufio.NewReader(body)
		return f, f.settle()
	}
	if params["boundary"] == "" {
		return file{}, invalid("body: the form's Content-Type has no boundary")
	}
	f, err := fileOfForm(multipart.NewReader(body, params["boundary"]), f.name, h.options.AttachmentMax, tooLarge)
	if err != nil {
		return file{}, err
	}
	return f, f.settle()
}

// settle decides on the name and the type, and wants a first byte.
func (f *file) settle() error {
	if f.mediaType == "application/octet-stream" {
		f.mediaType = "" // what is said of everything
	}
	f.mediaType = media.CleanType(f.mediaType, f.name)
	if f.name == "" {
		f.name = media.NameOfType(f.mediaType)
	}
	if !media.CleanName(f.name) {
		return invalid("Invalid filename")
	}
	if _, err := f.content.Peek(1); errors.Is(err, io.EOF) {
		return invalid("body: is empty")
	} else if err != nil {
		return refusalOf(err)
	}
	return nil
}

// fileOfForm finds the file in a form. Its content ends where the form does: what follows is an error of it, so that
// nothing is stored of a form that is not whole.
func fileOfForm(form *multipart.Reader, name string, limit int64, over *exchange.Error) (file, error) {
	for {
		part, err := form.NextRawPart()
		if err == io.EOF {
			return file{}, invalid("body: the form has no file")
		}
		if err != nil {
			return file{}, brokenForm(err)
		}
		if part.FormName() != "file" && part.FileName() == "" {
			continue
		}
		if name == "" {
			name = part.FileName()
			name = name[strings.LastIndexByte(name, '\\')+1:] // a path on Windows
		}
		mediaType, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		content := &limitedReader{r: &lastFile{part: part, form: form}, left: limit, over: over}
		return file{name: name, mediaType: mediaType, content: bufio.NewReader(content)}, nil
	}
}

func brokenForm(err error) error {
	if refusal, ok := errors.AsType[*exchange.Error](err); ok {
		return refusal
	}
	return &exchange.Error{Code: exchange.CodeInvalid, Message: "body: is no whole form", Err: err}
}

// lastFile is the content of a file in a form behind which there is no other.
type lastFile struct {
	part *multipart.Part
	form *multipart.Reader
}

func (f *lastFile) Read(p []byte) (int, error) {
	n, err := f.part.Read(p)
	if err == nil || err == io.EOF && n > 0 {
		return n, nil
	}
	if err != io.EOF {
		return n, brokenForm(err)
	}
	for {
		next, err := f.form.NextRawPart()
		switch {
		case err == io.EOF:
			return 0, io.EOF
		case err != nil:
			return 0, brokenForm(err)
		case next.FileName() != "":
			return 0, invalid("body: the form has more than one file")
		}
	}
}

// limitedReader ends in a refusal where more comes than is allowed.
type limitedReader struct {
	r    io.Reader
	left int64
	over *exchange.Error
}

func (l *limitedReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, l.over
	}
	return n, err
}

// upload returns a request's body that may take longer than others, as long as some of it comes.
func (c *call) upload(body io.Reader) io.Reader {
	return &slowBody{r: body, answer: &c.answer, until: time.Now().Add(uploadTime)}
}

type slowBody struct {
	r      io.Reader
	answer *answer
	until  time.Time
}

// Read returns errors that are refusals.
func (b *slowBody) Read(p []byte) (int, error) {
	deadline := time.Now().Add(uploadStall)
	if b.until.Before(deadline) {
		deadline = b.until
	}
	_ = b.answer.control.SetReadDeadline(deadline) // fails where there is no connection, in tests
	n, err := b.r.Read(p)
	switch {
	case err == nil, err == io.EOF:
		return n, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, &exchange.Error{Code: exchange.CodeTimeout, Message: "The file did not arrive in time", Err: err}
	}
	return n, &exchange.Error{Code: exchange.CodeInvalid, Message: "body: broke off before its end", Err: err}
}
