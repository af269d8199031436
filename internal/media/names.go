package media

import (
	"mime"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// mostName is how long a name may be, which is what file systems take.
const mostName = 255

// CleanName reports whether name is one that a file could have, and that no path or header is upset by.
func CleanName(name string) bool {
	return name != "" && len(name) <= mostName && utf8.ValidString(name) && name != "." &&
		!strings.Contains(name, "..") && !strings.ContainsAny(name, `/\`) && !strings.ContainsFunc(name, unicode.IsControl)
}

// types are those of the extensions that media come with. They are not asked of the machine, where others may be
// installed.
var types = map[string]string{
	".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".gif": "image/gif", ".webp": "image/webp", ".avif": "image/avif",
	".heic": "image/heic", ".heif": "image/heif", ".bmp": "image/bmp", ".tif": "image/tiff", ".tiff": "image/tiff", ".svg": "image/svg+xml",
	".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".aac": "audio/aac", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg", ".wav": "audio/wav", ".flac": "audio/flac",
	".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime", ".webm": "video/webm", ".mkv": "video/x-matroska", ".ogv": "video/ogg", ".avi": "video/x-msvideo",
	".pdf": "application/pdf", ".json": "application/json", ".zip": "application/zip", ".gz": "application/gzip", ".xml": "application/xml",
	".txt": "text/plain", ".csv": "text/csv", ".md": "text/markdown", ".html": "text/html", ".htm": "text/html",
}

// TypeByName is the media type that a name's extension stands for, "" for none that is known.
func TypeByName(name string) string { return types[strings.ToLower(path.Ext(name))] }

// extensions are the first of those that stand for a type, in the order of their names.
var extensions = func() map[string]string {
	all := map[string]string{}
	for ext, mediaType := range types {
		if other, ok := all[mediaType]; !ok || ext < other {
			all[mediaType] = ext
		}
	}
	all["image/jpeg"], all["text/html"] = ".jpg", ".html" // rather than .jpeg and .htm
	return all
}()

// KindOf is the kind of a media type.
func KindOf(mediaType string) string {
	if kind, _, _ := strings.Cut(mediaType, "/"); slices.Contains([]string{Image, Audio, Video}, kind) {
		return kind
	}
	return File
}

// mostType is how long a media type may be.
const mostType = 127

// cleanType is a media type without its parameters, "" for what is none.
func cleanType(mediaType string) string {
	t, _, err := mime.ParseMediaType(mediaType)
	if err != nil && t == "" || !strings.Contains(t, "/") || len(t) > mostType {
		return ""
	}
	return t
}

// CleanType is the media type that text names, without its parameters; that of the name where it names none; and
// else the one of any bytes.
func CleanType(text, name string) string {
	if t := cleanType(text); t != "" {
		return t
	}
	if t := TypeByName(name); t != "" {
		return t
	}
	return "application/octet-stream"
}

// NameOfType is what an upload is called that came without a name.
func NameOfType(mediaType string) string { return KindOf(mediaType) + extensions[mediaType] }

// NameOf is what a medium is called that its message gives no name: after its kind, the number of the message in its
// thread and its own in the message, both from 1.
func (m *Medium) NameOf(message, n int) string {
	if m.Name != "" {
		return m.Name
	}
	return m.Kind + "-" + strconv.Itoa(message) + "-" + strconv.Itoa(n) + extensions[m.Type]
}
