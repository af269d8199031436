package media

import (
	"net/url"
	"strings"
)

// Path is where the attachment endpoint of a thread serves a file, as a URL without a host.
func Path(exchangeID, ref, file string) string {
	return "/api/v1/exchanges/" + url.PathEscape(exchangeID) + "/requests/" + url.PathEscape(ref) + "/attachments/" + url.PathEscape(file)
}

// FileOf is the file that a link names, where it leads to the attachments of that thread, on whatever host.
// absolute tells that it names one.
func FileOf(link, exchangeID, ref string) (file string, absolute, ok bool) {
	u, err := url.Parse(link)
	if err != nil {
		return "", false, false
	}
	file, ok = strings.CutPrefix(u.EscapedPath(), Path(exchangeID, ref, ""))
	if !ok {
		return "", false, false
	}
	file, err = url.PathUnescape(file)
	return file, u.Host != "", err == nil && CleanName(file)
}
