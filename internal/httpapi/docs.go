package httpapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/swaggest/swgui/v5/static"

	"github.com/mess-exchange/mess-exchange/api"
)

//go:embed ui
var ui embed.FS

// docsPolicy lets the page load nothing from elsewhere and run no script that stands in it. Swagger
// UI sets styles on its elements and has pictures in its style sheet.
const docsPolicy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// asset is a file that is served as it stands. Its tag changes with its content, so a browser asks
// whether it changed and mostly need not load it again.
type asset struct {
	content []byte
	media   string
	tag     string
	gzipped bool // content is compressed
}

func newAsset(content []byte, media string, gzipped bool) *asset {
	sum := sha256.Sum256(content)
	return &asset{content, media, hex.EncodeToString(sum[:8]), gzipped}
}

// mountDocs serves the contract, and the page at /docs that makes calls of it. Nothing is loaded
// from elsewhere: it works without the internet.
func mountDocs(router *chi.Mux) {
	router.Method(http.MethodGet, "/openapi.yaml", newAsset(api.OpenAPI, "application/yaml", false))
	router.Method(http.MethodGet, "/openapi.json", newAsset(api.JSON(), "application/json", false))
	router.Method(http.MethodGet, "/docs", newAsset(embedded(ui, "ui/index.html"), "text/html; charset=utf-8", false))
	router.Method(http.MethodGet, "/docs/init.js", newAsset(embedded(ui, "ui/init.js"), "text/javascript; charset=utf-8", false))
	for name, media := range map[string]string{
		"swagger-ui-bundle.js.gz": "text/javascript; charset=utf-8",
		"swagger-ui.css.gz":       "text/css; charset=utf-8",
		"favicon-32x32.png":       "image/png",
	} {
		path, gzipped := strings.CutSuffix(name, ".gz")
		router.Method(http.MethodGet, "/docs/"+path, newAsset(embedded(static.FS, name), media, gzipped))
	}
	router.Get("/", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/docs", http.StatusFound)
	})
}

// embedded returns a file that is part of the program; its absence is a mistake in the build.
func embedded(files fs.FS, name string) []byte {
	content, err := fs.ReadFile(files, name)
	if err != nil {
		panic(fmt.Sprintf("httpapi: %v", err))
	}
	return content
}

func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, tag := a.content, a.tag
	h := w.Header()
	if a.gzipped {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			h.Set("Content-Encoding", "gzip")
			tag += "-gzip"
		} else {
			plain, err := gunzip(content)
			if err != nil {
				refuse(w, r, err)
				return
			}
			content = plain
		}
	}
	h.Set("Cache-Control", "no-cache")
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("Content-Type", a.media)
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// acceptsGzip takes any mention of gzip that is not refused by q=0 as a yes.
func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		coding, quality, _ := strings.Cut(part, ";")
		if strings.TrimSpace(coding) == "gzip" {
			q := strings.ReplaceAll(quality, " ", "")
			return q != "q=0" && !strings.HasPrefix(q, "q=0.0")
		}
	}
	return false
}

func gunzip(content []byte) ([]byte, error) {
	in, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("unpack an embedded file: %w", err)
	}
	plain, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("unpack an embedded file: %w", err)
	}
	return plain, nil
}
