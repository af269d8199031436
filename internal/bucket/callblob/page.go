package callblob

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"gocloud.dev/blob/driver"
)

// Version is the version of an object: a word that changes with the content.
func Version(data []byte) string {
	h := sha256.Sum256(data)
	return hex.EncodeToString(h[:])
}

// Page returns a page of at most n of the keys, which are sorted, or of the folders that the delimiter makes
// of them, and the token of the next one; nil is the last. object returns what is under a key.
func Page(o *driver.ListOptions, keys []string, n int, object func(key string) Object) (page []*driver.ListObject, next []byte) {
	last := ""
	for _, k := range keys {
		if !strings.HasPrefix(k, o.Prefix) {
			continue
		}
		e := &driver.ListObject{Key: k}
		if i := strings.Index(k[len(o.Prefix):], o.Delimiter); o.Delimiter != "" && i >= 0 {
			e = &driver.ListObject{Key: k[:len(o.Prefix)+i+len(o.Delimiter)], IsDir: true}
		}
		if e.Key <= string(o.PageToken) || e.Key == last {
			continue
		}
		if len(page) == n {
			return page, []byte(last)
		}
		if !e.IsDir {
			found := object(k)
			e.Size, e.ModTime = int64(len(found.Data)), found.Mod
		}
		last = e.Key
		page = append(page, e)
	}
	return page, nil
}
