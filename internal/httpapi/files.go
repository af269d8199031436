package httpapi

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/mess-exchange/mess-exchange/gen/server"
	"github.com/mess-exchange/mess-exchange/internal/exchange"
	"github.com/mess-exchange/mess-exchange/internal/messeaf"
)

const (
	// importPatience is how long an import waits for its turn; mostImports are read at once (memory.go).
	importPatience = 5 * time.Second
)

const (
	mediaJSON = "application/json"
	mediaYAML = "application/yaml"
	mediaZip  = "application/zip"
)

// spelledYAML are the names that YAML goes by.
var spelledYAML = []string{mediaYAML, "application/x-yaml", "text/yaml"}

// attachmentPrefix begins the names of files that need not be text.
const attachmentPrefix = "att-"

// ImportThreads implements POST …/import.
func (h *handlers) ImportThreads(ctx context.Context, r server.ImportThreadsRequestObject) (server.ImportThreadsResponseObject, error) {
	soon, cancel := context.WithTimeout(ctx, importPatience)
	defer cancel()
	if h.imports.Acquire(soon, 1) != nil {
		return nil, &exchange.Error{Code: exchange.CodeOverloaded, Message: "Too many imports are being read; try again shortly", Err: ctx.Err()}
	}
	threads, err := threadsIn(r.Body.(*body))
	h.imports.Release(1)
	if err != nil {
		return nil, err
	}
	states, err := h.exchange.Import(ctx, callOf(ctx).caller, threads)
	if err != nil {
		return nil, err
	}
	return imported(states), nil
}

// threadsIn reads the threads in a body of any of the types of an import.
func threadsIn(b *body) ([]*messeaf.Thread, error) {
	threads, err := parseThreads(b)
	problem, ok := errors.AsType[*messeaf.Error](err)
	switch {
	case !ok:
		return threads, err
	case problem.File != "":
		return nil, invalid("%s", problem)
	case b.media != "":
		return nil, invalid("body: %s", problem)
	case b.get("content").raw != nil:
		return nil, invalid("content: %s", problem)
	}
	return nil, invalid("files: %s", problem)
}

func parseThreads(b *body) ([]*messeaf.Thread, error) {
	switch {
	case b.media == mediaZip:
		return messeaf.ParseZip(b.raw)
	case b.media != "":
		return single(messeaf.ParseV1("", b.raw))
	}
	content, files := b.get("content"), b.get("files")
	switch {
	case content.raw == nil && files.raw == nil:
		return nil, invalid("content: is required, or files")
	case content.raw != nil && files.raw != nil:
		return nil, invalid("content: must not be given beside files")
	case content.raw != nil:
		return single(messeaf.ParseV1("", []byte(b.text("content"))))
	}
	list, _ := b.value["files"].([]any)
	all := make([]messeaf.File, len(list))
	for i, v := range list {
		var err error
		if all[i], err = fileOf(i, v); err != nil {
			return nil, err
		}
	}
	return messeaf.ParseTree(all)
}

func single(t *messeaf.Thread, err error) ([]*messeaf.Thread, error) {
	return []*messeaf.Thread{t}, err
}

// fileOf is a ThreadFile, which the contract has let pass.
func fileOf(i int, v any) (messeaf.File, error) {
	members, _ := v.(map[string]any)
	name, _ := members["name"].(string)
	content, _ := members["content"].(string)
	encoding, _ := members["encoding"].(string)
	if encoding == "" && strings.HasPrefix(path.Base(name), attachmentPrefix) {
		encoding = string(server.EncodingBase64)
	}
	if encoding != string(server.EncodingBase64) {
		return messeaf.File{Name: name, Content: []byte(content)}, nil
	}
	decoded, err := base64.StdEncoding.DecodeString(content)
	if err != nil {
		return messeaf.File{}, invalid("files[%d].content: must be base64, or encoding must say text", i)
	}
	return messeaf.File{Name: name, Content: decoded}, nil
}

// imported answers an import.
type imported []exchange.ThreadState

func (all imported) VisitImportThreadsResponse(w http.ResponseWriter) error {
	text := strconv.AppendInt(append(takeBuffer(), `{"imported":`...), int64(len(all)), 10)
	text = append(text, `,"threads":[`...)
	for i, s := range all {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(appendString(append(text, `{"ref":`...), s.Ref), `,"status":`...)
		text = append(appendString(text, s.Status), '}')
	}
	text = append(text, "]}\n"...)
	err := writeJSON(w, http.StatusCreated, text)
	giveBuffer(text)
	return err
}

// ExportThread implements GET …/export/{ref}.
func (h *handlers) ExportThread(ctx context.Context, r server.ExportThreadRequestObject) (server.ExportThreadResponseObject, error) {
	c := callOf(ctx)
	t, err := h.exchange.Export(ctx, c.caller, r.Ref)
	if err != nil {
		return nil, err
	}
	media := preferred(c.answer.request.Header.Get("Accept"))
	version, err := versionOf(t, media, r.Params.Format)
	if err != nil {
		return nil, err
	}
	if media == mediaJSON {
		return exportJSON(t, version)
	}
	e := exported{media: media, name: t.Ref()}
	if media == mediaYAML {
		e.content, err = t.RenderV1()
		e.name = messeaf.NameV1(e.name)
		return e, err
	}
	files, err := t.Files(version)
	if err != nil {
		return nil, err
	}
	e.content, err = messeaf.Zip(files)
	e.name += ".zip"
	return e, err
}

// versionOf is the version of the files that are answered.
func versionOf(t *messeaf.Thread, media string, asked *server.FileFormat) (messeaf.Version, error) {
	version := messeaf.V1
	switch {
	case asked != nil && *asked == server.FormatV2, asked == nil && (media == mediaZip || media == mediaJSON && len(t.Attachments()) > 0):
		version = messeaf.V2
	}
	_, _, plain := exchange.ParseRef(t.Ref()) // older data may hold any
	switch {
	case version == messeaf.V2 && media == mediaYAML:
		return 0, invalid("format: v2 is several files; ask for them as JSON or in a zip")
	case version == messeaf.V1 && len(t.Attachments()) > 0:
		return 0, invalid("format: v1 can't hold the attachments of this thread; ask for v2")
	case !plain && (version == messeaf.V2 || media == mediaZip):
		return 0, invalid("format: the ref of this thread can't name files; ask for v1, as JSON or YAML")
	}
	return version, nil
}

// preferred returns which of the types of an export the Accept header asks for most; JSON where it does for
// none of them.
func preferred(accept string) string {
	best, most := mediaJSON, 0.0
	for part := range strings.SplitSeq(accept, ",") {
		name, params, _ := strings.Cut(part, ";")
		media := mediaNamed(strings.ToLower(strings.TrimSpace(name)))
		weight := 1.0
		for param := range strings.SplitSeq(params, ";") {
			if q, ok := strings.CutPrefix(strings.TrimSpace(param), "q="); ok {
				weight, _ = strconv.ParseFloat(q, 64) // what is no number is not wanted
			}
		}
		if media != "" && weight > most {
			best, most = media, weight
		}
	}
	return best
}

func mediaNamed(name string) string {
	switch name {
	case mediaZip:
		return mediaZip
	case mediaJSON, "*/*", "application/*":
		return mediaJSON
	}
	for _, yaml := range spelledYAML {
		if name == yaml {
			return mediaYAML
		}
	}
	return ""
}

// exported is a thread as a file.
type exported struct {
	media, name string
	content     []byte
}

func (e exported) VisitExportThreadResponse(w http.ResponseWriter) error {
	h := w.Header()
	h.Set("Content-Type", e.media)
	h.Set("Content-Length", strconv.Itoa(len(e.content)))
	h.Set("Vary", "Accept")
	if isPlain(e.name) {
		h.Set("Content-Disposition", `attachment; filename="`+e.name+`"`)
	}
	w.WriteHeader(http.StatusOK)
	_, err := w.Write(e.content)
	return err
}

// exportedJSON is a thread as an Exported.
type exportedJSON []byte

func (e exportedJSON) VisitExportThreadResponse(w http.ResponseWriter) error {
	w.Header().Set("Vary", "Accept")
	err := writeJSON(w, http.StatusOK, e)
	giveBuffer(e)
	return err
}

func exportJSON(t *messeaf.Thread, version messeaf.Version) (exportedJSON, error) {
	text := appendString(append(takeBuffer(), `{"ref":`...), t.Ref())
	if version == messeaf.V1 {
		content, err := t.RenderV1()
		if err != nil {
			return nil, err
		}
		text = appendString(append(text, `,"format":"v1","content":`...), string(content))
		return append(text, "}\n"...), nil
	}
	files, err := t.RenderV2()
	if err != nil {
		return nil, err
	}
	text = append(text, `,"format":"v2","files":[`...)
	for i, f := range files {
		if i > 0 {
			text = append(text, ',')
		}
		text = append(appendString(append(text, `{"name":`...), f.Name), `,"content":`...)
		if strings.HasPrefix(f.Name, attachmentPrefix) {
			text = base64.StdEncoding.AppendEncode(append(text, '"'), f.Content)
			text = append(text, `","encoding":"base64"}`...)
		} else {
			text = append(appendString(text, string(f.Content)), '}')
		}
	}
	return append(text, "]}\n"...), nil
}
